//! Keeping JSON valid.
//!
//! Owns what of a finding may be replaced in a JSON text: the inside of strings, and numbers and words as a whole. What
//! an expression matched besides, quotes and brackets, stays.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::span::Span;

/// What is written in place of a part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) span: Span,
    /// The mark needs quotes: it stands for a number.
    pub(super) quoted: bool,
}

/// Whether a text is an object or a list of JSON.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The pieces that keep this JSON valid, for findings in the order of the text.
pub(super) fn pieces(text: &str, spans: &[Span]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = spans;
    for (token, is_string) in tokens(text) {
        while rest.first().is_some_and(|s| s.at.end <= token.start) {
            rest = &rest[1..];
        }
        let here = rest.iter().take_while(|s| s.at.start < token.end);
        if is_string {
            pieces.extend(here.map(|s| Piece { span: within(s, &token), quoted: false }));
        } else if let Some(span) = here.map(|s| Span { at: token.clone(), ..s.clone() }).next() {
            pieces.push(Piece { span, quoted: true });
        }
    }
    pieces
}

fn within(span: &Span, token: &Range<usize>) -> Span {
    Span { at: span.at.start.max(token.start)..span.at.end.min(token.end), mark: span.mark }
}

/// The insides of strings, and numbers and words. The text is valid JSON.
fn tokens(text: &str) -> impl Iterator<Item = (Range<usize>, bool)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_between = |b: u8| b" \t\n\r{}[]:,".contains(&b);
        let start = at + bytes.get(at..)?.iter().position(|&b| !is_between(b))?;
        let is_string = bytes[start] == b'"';
        let token = if is_string {
            start + 1..end_of_string(bytes, start + 1)
        } else {
            let rest = &bytes[start..];
            let len = rest.iter().position(|&b| is_between(b) || b == b'"').unwrap_or(rest.len());
            start..start + len
        };
        at = token.end + usize::from(is_string);
        Some((token, is_string))
    })
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(next) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        if bytes[at + next] == b'"' {
            return at + next;
        }
        at += next + 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::super::span::Mark;
    use super::*;

    #[test]
    fn only_insides_of_strings_and_whole_numbers_are_replaced() {
        let text = r#"{"a":"x\"y", "n" : -12.5e3,"t":true,"l":["",{}]}"#;
        let parts: Vec<(&str, bool)> = tokens(text).map(|(at, s)| (&text[at], s)).collect();
        let expected = [
            ("a", true),
            (r#"x\"y"#, true),
            ("n", true),
            ("-12.5e3", false),
            ("t", true),
            ("true", false),
            ("l", true),
            ("", true),
        ];
        assert_eq!(parts, expected);
        let all = Span { at: 0..text.len(), mark: Mark::Card };
        let mut out = text.to_owned();
        for Piece { span, quoted } in pieces(text, &[all]).into_iter().rev() {
            out.replace_range(span.at, if quoted { "\"#\"" } else { "#" });
        }
        assert_eq!(out, r##"{"#":"#", "#" : "#","#":"#","#":["#",{}]}"##);
        assert!(is_json(&out));
    }
}
