//! Known faults: a file that says what was wrong when.
//!
//! Owns the keys it may have. Never decides what was found.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use watchkeeper_expr::duration;
use watchkeeper_model::time::SECOND;
use watchkeeper_model::{Decimal, Timestamp};

/// Names of the key of a fault's begin, end and length.
const START: [&str; 5] = ["start", "time", "from", "start_time", "at"];
const END: [&str; 4] = ["end", "to", "end_time", "until"];
const LENGTH: [&str; 1] = ["duration"];

/// Something that is known to have been wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// Whose; any service's data and alerts count where this is not known.
    pub(super) service: Option<String>,
    /// Everything else that is said of it: `network_delay cartservice-579f…`.
    pub(super) what: String,
}

/// Reads a file of faults. Where one has no end it is as long as `usual`, or up to the next.
pub(super) fn read(path: &Path, usual: Duration) -> anyhow::Result<Vec<Fault>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    parse(&text, usual).with_context(|| path.display().to_string())
}

fn parse(text: &str, usual: Duration) -> anyhow::Result<Vec<Fault>> {
    let read: Value = serde_json::from_str(text).context("is no JSON")?;
    let list = match &read {
        Value::Object(map) => map.get("faults").unwrap_or(&Value::Null),
        other => other,
    };
    let Value::Array(list) = list else {
        bail!("a list of faults is needed, or {{\"faults\": […]}}");
    };
    let mut faults = Vec::new();
    for (i, fault) in list.iter().enumerate() {
        let (fault, is_open) = one(fault, usual).with_context(|| format!("fault {}", i + 1))?;
        faults.push((fault, is_open));
    }
    faults.sort_by_key(|(fault, _)| fault.start);
    let starts: Vec<Timestamp> = faults.iter().map(|(fault, _)| fault.start).collect();
    let up_to_next = |(i, (mut fault, is_open)): (usize, (Fault, bool))| {
        let next = starts[i..].iter().find(|start| **start > fault.start);
        if let Some(next) = next.filter(|_| is_open) {
            fault.end = fault.end.min(*next);
        }
        fault
    };
    Ok(faults.into_iter().enumerate().map(up_to_next).collect())
}

/// One of them, and whether nothing says when it ended.
fn one(fault: &Value, usual: Duration) -> anyhow::Result<(Fault, bool)> {
    let Value::Object(keys) = fault else { bail!("is no object") };
    let Some((key, start)) = find(keys, &START) else {
        bail!("says no time: one of {} is needed", START.join(", "));
    };
    let start = time(start).with_context(|| key.to_owned())?;
    let (end, is_open) = match (find(keys, &END), find(keys, &LENGTH)) {
        (Some((key, end)), _) => (time(end).with_context(|| key.to_owned())?, false),
        (None, Some((key, length))) => {
            (start.shifted(span(length).with_context(|| key.to_owned())?), false)
        }
        (None, None) => (start + usual, true),
    };
    if end <= start {
        bail!("ends at {end}, which is not after its start");
    }
    let service = keys.get("service").and_then(Value::as_str).map(str::to_owned);
    let known = [&START[..], &END, &LENGTH, &["service"]].concat();
    let words = keys.iter().filter(|(key, _)| !known.contains(&key.as_str()));
    let mut words: Vec<(bool, String)> =
        words.filter_map(|(key, value)| word(key, value)).collect();
    // What it was stands before where it was.
    words.sort_by_key(|word| !word.0);
    let what = words.into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ");
    Ok((Fault { start, end, service, what }, is_open))
}

fn find<'k>(keys: &'k Map<String, Value>, names: &[&'k str]) -> Option<(&'k str, &'k Value)> {
    names.iter().find_map(|name| Some((*name, keys.get(*name)?)))
}

/// What a key says, and whether it names the fault.
fn word(key: &str, value: &Value) -> Option<(bool, String)> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some((["kind", "name", "type", "fault"].contains(&key), text))
}

/// RFC 3339, or seconds since 1970.
fn time(value: &Value) -> anyhow::Result<Timestamp> {
    let secs = |text: &str| Decimal::parse(text)?.scale(SECOND).map(Timestamp);
    let at = match value {
        Value::String(text) => {
            text.parse::<jiff::Timestamp>().ok().map(Timestamp::from_jiff).or_else(|| secs(text))
        }
        Value::Number(number) => secs(&number.to_string()),
        _ => None,
    };
    at.with_context(|| format!("{value} is no time: write 2026-11-22T18:07:09Z or unix seconds"))
}

/// `5m`, or seconds; in nanoseconds.
fn span(value: &Value) -> anyhow::Result<i64> {
    let nanos = match value {
        Value::String(text) => duration::parse(text).ok(),
        Value::Number(number) => Decimal::parse(&number.to_string()).and_then(|n| n.scale(SECOND)),
        _ => None,
    };
    nanos.with_context(|| format!("{value} is no duration: write 5m or seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> anyhow::Result<Vec<(i64, u64, String)>> {
        let faults = parse(text, Duration::from_secs(300))?;
        let told = |f: Fault| {
            let service = f.service.map(|s| format!("[{s}] ")).unwrap_or_default();
            (f.start.secs(), f.end.since(f.start).as_secs(), service + &f.what)
        };
        Ok(faults.into_iter().map(told).collect())
    }

    #[test]
    fn faults_have_an_end_a_length_or_are_as_long_as_usual() {
        let text = r#"[
            {"start": 1000, "end": "1970-01-01T00:20:00Z", "service": "shop", "kind": "cpu"},
            {"time": "1970-01-01T00:00:10Z", "pod": "web-1", "kind": "delay"},
            {"start": 2000, "duration": "2m"}, {"start": 3000.5, "duration": 7}
        ]"#;
        let expected =
            [(10, 300, "delay web-1"), (1000, 200, "[shop] cpu"), (2000, 120, ""), (3000, 7, "")];
        let expected = expected.map(|(at, n, what)| (at, n, what.to_owned()));
        assert_eq!(parsed(text).unwrap(), expected);
        assert_eq!(parsed(r#"{"faults": []}"#).unwrap(), []);
    }

    #[test]
    fn one_without_an_end_ends_with_the_next() {
        let text = r#"[{"time": 100}, {"time": 150}, {"time": 150}]"#;
        let spans: Vec<u64> = parsed(text).unwrap().into_iter().map(|f| f.1).collect();
        assert_eq!(spans, [50, 300, 300]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("{", "is no JSON"),
            ("7", "a list of faults is needed"),
            (r#"[{"kind": "cpu"}]"#, "fault 1: says no time"),
            (r#"[{"time": 1}, {"time": "noon"}]"#, "fault 2: time: \"noon\" is no time"),
            (r#"[{"time": 1, "duration": "long"}]"#, "fault 1: duration: \"long\" is no duration"),
            (r#"[{"time": 9, "end": 9}]"#, "fault 1: ends at 1970-01-01T00:00:09Z"),
        ] {
            let error = format!("{:#}", parsed(text).unwrap_err());
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
