//! What an attempt saw, under the names that conditions know.
//!
//! Owns how a path such as `json.items` or `headers.content-type` is found. Never judges a value.

use std::time::Duration;

use serde_json::Value as Json;
use watchkeeper_expr::Value;
use watchkeeper_model::Masks;

use super::reason::Reason;

/// Characters of one value that are told to people.
const MAX_SHOWN: usize = 120;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A text.
    Text(String),
    /// A span of time in nanoseconds; below zero if it is over.
    Span(i64),
    /// Anything JSON can hold, parts of which have paths.
    Json(Json),
}

/// One of several things an attempt consists of: a step of a journey.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Why it is as it is.
    pub reason: Reason,
    /// How long it took.
    pub took: Duration,
}

/// Everything one attempt saw, also if it came to nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    values: Vec<(&'static str, Said)>,
    /// How long each part of the way took, in order: `dns`, `connect`, `tls`, `first_byte`.
    pub phases: Vec<(&'static str, Duration)>,
    /// What it waits for now, for the message if time runs out.
    pub waits_for: &'static str,
    /// It waits for us: for room that other attempts take.
    pub waits_for_room: bool,
    /// The steps of a journey, as far as it went.
    pub parts: Vec<Part>,
    /// What must not be told, also if the one who is asked says it.
    pub masks: Masks,
    /// Names of which there was more than was read.
    pub cut: Vec<&'static str>,
}

/// A value by its path, owned, ready to be asked by a condition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Found {
    #[default]
    Absent,
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Span(i64),
    Json(String),
}

impl Seen {
    /// Keeps a value; a later one of the same name replaces it.
    pub fn say(&mut self, name: &'static str, said: Said) {
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, value)) => *value = said,
            None => self.values.push((name, said)),
        }
    }

    /// Keeps how long a part of the way took; if it is passed again, as after a redirect, both together.
    pub fn passed(&mut self, phase: &'static str, took: Duration) {
        match self.phases.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, total)) => *total += took,
            None => self.phases.push((phase, took)),
        }
    }

    /// A value by its whole name.
    pub fn get(&self, name: &str) -> Option<&Said> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, said)| said)
    }

    /// Forgets all values, before another step of a journey says its own.
    pub fn clear_values(&mut self) {
        self.values.clear();
        self.cut.clear();
    }

    /// The text at a path, for what is carried from one step to the next. Nothing, and no object or list, has none.
    pub fn text_at(&self, path: &str) -> Option<String> {
        match self.find(path) {
            Found::Text(text) => Some(text),
            Found::Int(i) => Some(i.to_string()),
            Found::Double(d) => Some(d.to_string()),
            Found::Bool(b) => Some(b.to_string()),
            Found::Absent | Found::Null | Found::Span(_) | Found::Json(_) => None,
        }
    }

    /// What stands at a path.
    pub(super) fn find(&self, path: &str) -> Found {
        if let Some(said) = self.get(path) {
            return Found::of(said);
        }
        let holds = |name: &str| path.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        self.values
            .iter()
            .find_map(|(name, said)| match (holds(name), said) {
                (Some(rest), Said::Json(json)) => Some(Found::of_json(part(json, rest))),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// `status = 503`, cut to what a person wants to read.
    pub(super) fn show(&self, path: &str) -> String {
        let value = match self.find(path) {
            Found::Absent if path.starts_with("json.") && self.get("json").is_none() => {
                return format!("{path} is absent: what came is no JSON");
            }
            Found::Absent => return format!("{path} is absent"),
            Found::Null => "null".to_owned(),
            Found::Bool(b) => b.to_string(),
            Found::Int(i) => i.to_string(),
            Found::Double(d) => d.to_string(),
            Found::Text(text) => format!("{:?}", cut(&self.masks.apply(&text))),
            Found::Span(nanos) => span(nanos),
            Found::Json(text) => cut(&self.masks.apply(&text)),
        };
        format!("{path} = {value}")
    }
}

/// `412.3ms`, `1.23s`, `12d3h`.
fn span(nanos: i64) -> String {
    let seconds = nanos as f64 / 1e9;
    match nanos.unsigned_abs() {
        0..1_000_000_000 => format!("{:.1}ms", seconds * 1e3),
        1_000_000_000..60_000_000_000 => format!("{seconds:.2}s"),
        _ => watchkeeper_expr::duration::format(nanos / 1_000_000_000 * 1_000_000_000),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The part of a value at a path: a key that is the whole rest of the path first, then key by key.
fn part<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    if let Some(whole) = json.get(path) {
        return Some(whole);
    }
    let splits = path.match_indices('.').map(|(at, _)| (&path[..at], &path[at + 1..]));
    splits.filter_map(|(key, rest)| part(json.get(key)?, rest)).next()
}

impl Found {
    fn of(said: &Said) -> Self {
        match said {
            Said::Bool(b) => Self::Bool(*b),
            Said::Int(i) => Self::Int(*i),
            Said::Double(d) => Self::Double(*d),
            Said::Text(text) => Self::Text(text.clone()),
            Said::Span(nanos) => Self::Span(*nanos),
            Said::Json(json) => Self::of_json(Some(json)),
        }
    }

    fn of_json(json: Option<&Json>) -> Self {
        match json {
            None => Self::Absent,
            Some(Json::Null) => Self::Null,
            Some(Json::Bool(b)) => Self::Bool(*b),
            Some(Json::Number(n)) => {
                n.as_i64().map_or_else(|| Self::Double(n.as_f64().unwrap_or(f64::NAN)), Self::Int)
            }
            Some(Json::String(text)) => Self::Text(text.clone()),
            Some(json @ (Json::Array(_) | Json::Object(_))) => Self::Json(json.to_string()),
        }
    }

    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Absent => Value::Absent,
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(i) | Self::Span(i) => Value::Int(*i),
            Self::Double(d) => Value::Double(*d),
            Self::Text(text) => Value::Str(text),
            Self::Json(text) => Value::Json(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn seen() -> Seen {
        let mut seen = Seen::default();
        seen.say("status", Said::Int(503));
        seen.say("latency", Said::Span(412_345_678));
        seen.say("json", Said::Json(json!({"a": {"b": 1, "c.d": "x"}, "a.b": 2, "n": null})));
        seen.say("headers", Said::Json(json!({"content-type": "text/html"})));
        seen.say("body", Said::Text("y".repeat(500)));
        seen
    }

    #[test]
    fn a_path_finds_a_whole_key_first_and_then_key_by_key() {
        for (path, shown) in [
            ("status", "status = 503"),
            ("latency", "latency = 412.3ms"),
            ("json.a.b", "json.a.b = 2"),
            ("json.a.c.d", "json.a.c.d = \"x\""),
            ("json.a", "json.a = {\"b\":1,\"c.d\":\"x\"}"),
            ("json.n", "json.n = null"),
            ("json.n.m", "json.n.m is absent"),
            ("headers.content-type", "headers.content-type = \"text/html\""),
            ("status.x", "status.x is absent"),
            ("nothing", "nothing is absent"),
        ] {
            assert_eq!(seen().show(path), shown);
        }
        assert_eq!(Seen::default().show("json.a"), "json.a is absent: what came is no JSON");
        assert!(seen().show("body").len() < 150);
        assert_eq!(seen().text_at("json.a.b").as_deref(), Some("2"));
        assert_eq!(seen().text_at("json.a"), None);
    }

    proptest! {
        #[test]
        fn no_path_is_too_strange(path in "[a-c.]{0,12}|.{0,20}") {
            let json = json!({"a": {"b": {"c": 1}}, "": {"": 2}});
            let mut seen = Seen::default();
            seen.say("a", Said::Json(json));
            let _ = seen.show(&path);
        }
    }
}
