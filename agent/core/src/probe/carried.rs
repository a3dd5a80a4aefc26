//! What is carried from one step of a journey to the next.
//!
//! Owns `{{name}}` in texts. Never sends them.

use std::collections::BTreeMap;

/// Bytes of one value that are carried; more can't go into a URL or a header.
const MAX_VALUE: usize = 8 << 10;

/// The name that stands for something else in every attempt.
pub const UNIQUE: &str = "unique";

/// How a value is put into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Without a change.
    AsItIs,
    /// Percent-encoded, for URLs.
    Encoded,
}

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried(BTreeMap<String, String>);

impl Carried {
    /// Only [`UNIQUE`], with this value.
    pub fn with_unique(value: String) -> Self {
        Self([(UNIQUE.to_owned(), value)].into())
    }

    /// Carries a value from now on. `false`, and then it does not, if it is too long.
    pub fn carry(&mut self, name: &str, value: String) -> bool {
        let fits = value.len() <= MAX_VALUE;
        if fits {
            self.0.insert(name.to_owned(), value);
        }
        fits
    }

    /// The text with values in their places. What is no place, or a place for what is not carried, stays as it is.
    pub fn fill(&self, text: &str, fill: Fill) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut at = 0;
        for (place, name) in places(text) {
            let Some(value) = self.0.get(name) else { continue };
            filled.push_str(&text[at..place.start]);
            match fill {
                Fill::AsItIs => filled.push_str(value),
                Fill::Encoded => encode(value, &mut filled),
            }
            at = place.end;
        }
        filled.push_str(&text[at..]);
        filled
    }
}

/// The names for which a text has places.
pub fn wanted(text: &str) -> impl Iterator<Item = &str> {
    places(text).map(|(_, name)| name)
}

/// Whether something may be carried under this name.
pub fn is_name(name: &str) -> bool {
    watchkeeper_model::names::is_label_name(name)
}

/// Places in their order, and their names.
fn places(text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + text[from..].find("{{")?;
            let inside = start + 2;
            let name = text[inside..].split("}}").next().unwrap_or_default();
            let end = inside + name.len() + 2;
            if end <= text.len() && is_name(name.trim()) {
                from = end;
                return Some((start..end, name.trim()));
            }
            from = start + 1;
        }
    })
}

/// All but RFC 3986's unreserved characters as `%XX`.
fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_take_their_places() {
        let mut carried = Carried::with_unique("u1".to_owned());
        assert!(carried.carry("id", "a b/ü".to_owned()));
        assert!(!carried.carry("long", "x".repeat(10_000)));
        for (text, fill, filled) in [
            ("/users/{{id}}", Fill::Encoded, "/users/a%20b%2F%C3%BC"),
            ("{\"id\": \"{{ id }}\"}", Fill::AsItIs, "{\"id\": \"a b/ü\"}"),
            ("{{id}}{{unique}}", Fill::AsItIs, "a b/üu1"),
            ("{{long}} {{", Fill::AsItIs, "{{long}} {{"),
            ("{{{id}}}", Fill::AsItIs, "{a b/ü}"),
            ("{{a b}} {{}}", Fill::AsItIs, "{{a b}} {{}}"),
        ] {
            assert_eq!(carried.fill(text, fill), filled, "{text}");
        }
        assert_eq!(wanted("{{a}}/{{ b }}/{{c d}}/{e}").collect::<Vec<_>>(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn any_text_is_filled(text in "[{}a-c ü]{0,30}") {
            let mut carried = Carried::default();
            carried.carry("a", "1".to_owned());
            let filled = carried.fill(&text, Fill::AsItIs);
            prop_assert_eq!(wanted(&text).filter(|name| *name == "a").count() == 0, filled == text);
        }
    }
}
