//! What an event keeps of its line, as JSON.
//!
//! Owns how each format's pairs become an object. Asked only for lines that become events. Never cuts: `event` does.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serializer;

use super::logfmt::Pairs;
use super::pattern::Pattern;

/// How a line becomes JSON.
#[derive(Debug)]
pub(super) enum Body {
    /// It is JSON.
    Line,
    /// An object of all pairs of logfmt.
    Pairs,
    /// An object of the groups that took part.
    Groups(Pattern),
    /// An object that holds it whole.
    Message,
}

impl Body {
    /// The body of a line that was read without a complaint.
    pub(super) fn of(&self, line: &str) -> String {
        match self {
            Self::Line => line.to_owned(),
            Self::Pairs => pairs(line),
            Self::Groups(pattern) => groups(pattern, line),
            Self::Message => object([("message", line.into())]),
        }
    }
}

/// Of a key that stands twice the last holds.
fn pairs(line: &str) -> String {
    let (mut pairs, mut all) = (Pairs::of(line), Vec::new());
    while let Ok(Some(pair)) = pairs.next() {
        all.push(pair);
    }
    let last: BTreeMap<&str, usize> = all.iter().map(|pair| pair.key(line)).zip(0..).collect();
    let holding = all.iter().zip(0..).filter(|(pair, n)| last.get(pair.key(line)) == Some(n));
    object(holding.map(|(pair, _)| (pair.key(line), pair.text(line))))
}

fn groups(pattern: &Pattern, line: &str) -> String {
    let regex = pattern.whole();
    let Some(found) = regex.captures(line) else { return object([]) };
    let named = regex.capture_names().enumerate();
    object(named.filter_map(|(n, name)| Some((name?, found.get(n)?.as_str().into()))))
}

fn object<'a>(pairs: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    let mut text = Vec::new();
    let written = serde_json::Serializer::new(&mut text).collect_map(pairs);
    written.expect("texts are written to memory");
    String::from_utf8(text).expect("serde_json writes UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_a_body_of_json() {
        let pattern = Pattern::new(r"^(?P<verb>\w+)(?: (?P<path>\S+))?(?: (\d+))?$").unwrap();
        for (body, line, wanted) in [
            (Body::Line, r#"{"a": 1}"#, r#"{"a": 1}"#),
            (
                Body::Pairs,
                r#"b=1 a="x \"y\"\n" flag b= é="ü""#,
                r#"{"a":"x \"y\"\n","flag":"true","b":"","é":"ü"}"#,
            ),
            (Body::Groups(pattern.clone()), "GET /é 200", r#"{"verb":"GET","path":"/é"}"#),
            (Body::Groups(pattern), "GET", r#"{"verb":"GET"}"#),
            (Body::Message, "say \"x\"\u{1}", r#"{"message":"say \"x\"\u0001"}"#),
        ] {
            assert_eq!(body.of(line), wanted, "{body:?} {line}");
            assert!(serde_json::from_str::<serde_json::Value>(&body.of(line)).is_ok());
        }
    }
}
