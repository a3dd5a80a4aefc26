//! The scanner of logfmt against its grammar as regular expressions: the same lines are read, with the same fields.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use regex::Regex;
use watchkeeper_agent_core::observe::{Field, Format, Parser, Slots};

const NAMES: [&str; 6] = ["a", "b", "b.c", "msg", "é", "level"];

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("an expression of ours")
}

/// One pair with its blanks: the key, what is behind `=`, and what is in quotes.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    let escape = r#"\\(?:["\\/'abfnrtv]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"#;
    regex(&format!(
        r#"\A([^\x00-\x20="]+)(=(?:"((?s:[^"\\]|{escape})*)"|[^\x00-\x20"]*))?(?:[\x00-\x20]+|\z)"#
    ))
});

/// Text without escapes; in UTF-16, where halves of surrogate pairs find each other.
fn unescaped(inside: &str) -> String {
    let (mut units, mut rest) = (Vec::new(), inside);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        let n_digits = match rest.as_bytes()[0] {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        let (kind, digits) = (rest.as_bytes()[0], &rest[1..=n_digits]);
        let number = u32::from_str_radix(digits, 16).unwrap_or(0);
        match kind {
            b'u' => units.push(number as u16),
            b'x' | b'U' => {
                let is_char = kind == b'U' || number < 0x80;
                let c = char::from_u32(number).filter(|_| is_char).unwrap_or('\u{fffd}');
                units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            }
            _ => {
                let at = br"abfnrtv".iter().position(|b| *b == kind);
                let unit = at.map_or(kind, |at| b"\x07\x08\x0c\n\r\t\x0b"[at]);
                units.push(unit.into());
            }
        }
        rest = &rest[1 + n_digits..];
    }
    String::from_utf16_lossy(&units)
}

/// The pairs of a line, of a key that stands twice the last; `None` if it is no logfmt.
fn reference(line: &str) -> Option<BTreeMap<&str, String>> {
    let (mut pairs, mut has_value) = (BTreeMap::new(), false);
    let mut rest = line.trim_start_matches(|c| c <= ' ');
    while !rest.is_empty() {
        let found = PAIR.captures(rest)?;
        let value = match found.get(2).map(|value| &value.as_str()[1..]) {
            None => "true".to_owned(),
            Some(value) => {
                has_value = true;
                let inside = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                inside.map_or_else(|| value.to_owned(), unescaped)
            }
        };
        pairs.insert(found.get(1)?.as_str(), value);
        rest = &rest[found.get_match().end()..];
    }
    has_value.then_some(pairs)
}

fuzz_target!(|data: &[u8]| {
    let Ok(line) = std::str::from_utf8(data) else { return };
    let mut slots = Slots::default();
    NAMES.iter().for_each(|name| _ = slots.slot(name));
    let mut parser = Parser::new(&Format::Logfmt, slots);
    let wanted = reference(line);
    let Ok(fields) = parser.read(line) else {
        return assert_eq!(wanted, None, "{line:?} is logfmt");
    };
    let wanted = wanted.unwrap_or_else(|| panic!("{line:?} is no logfmt"));
    for (slot, name) in NAMES.into_iter().enumerate() {
        let value = wanted.get(name).map_or(Field::Absent, |value| Field::Text(value));
        assert_eq!(fields.get(slot), value, "{name} of {line:?}");
    }
    let body: BTreeMap<String, String> =
        serde_json::from_str(&fields.body()).expect("a body is an object of texts");
    let owned = wanted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    assert_eq!(body, owned, "{line:?}");
});
