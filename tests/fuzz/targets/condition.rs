//! Arbitrary text as a condition in every scope, asked about arbitrary values: an answer or a reason, in bounded time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchkeeper_expr::{Condition, Scope, Type, Value};
use watchkeeper_fuzz::Feed;

const KNOWN: [(&str, Type); 6] = [
    ("status", Type::Int),
    ("ratio", Type::Double),
    ("msg", Type::String),
    ("ok", Type::Bool),
    ("latency", Type::Duration),
    ("json", Type::Json),
];

/// A value as JSON writes it; anything else is absent.
fn value(line: &[u8]) -> Value<'_> {
    let Ok(text) = std::str::from_utf8(line) else { return Value::Absent };
    let text = text.trim();
    match text.as_bytes().first() {
        Some(b'"') => Value::Str(text.trim_matches('"')),
        // Not checked on purpose: what is no JSON has to be a fault and no more.
        Some(b'{' | b'[') => Value::Json(text),
        _ => match text {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => match (text.parse(), text.parse()) {
                (Ok(whole), _) => Value::Int(whole),
                (_, Ok(fraction)) => Value::Double(fraction),
                _ => Value::Absent,
            },
        },
    }
}

// The scope in the first byte, the condition up to the line end, then values, one per line.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let scope = match feed.choice(4) {
        0 => Scope::Line,
        1 => Scope::TextLine,
        2 => Scope::Labels,
        _ => Scope::Known(&KNOWN),
    };
    let Ok(text) = std::str::from_utf8(feed.line()) else { return };
    let condition = match Condition::compile(text, scope) {
        Ok(condition) => condition,
        Err(problems) => return assert!(!problems.is_empty(), "refused without a reason"),
    };
    let mut values = Vec::new();
    while !feed.is_empty() {
        values.push(value(feed.line()));
    }
    let verdict = condition.evaluate(values.as_slice());
    assert_eq!(condition.evaluate(values.as_slice()), verdict, "asked twice");
    assert_eq!(Condition::compile(condition.text(), scope).as_ref(), Ok(&condition));
    let _ = condition.evaluate::<[Value<'_>]>(&[]);
});
