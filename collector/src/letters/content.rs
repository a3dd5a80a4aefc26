//! What can be seen of a batch's inside, also of one that can't be counted.
//!
//! Owns a lenient look: what the intake refuses by its rules is shown as it stands, as far as it is a message at all.
//! Bounded: [`CONTENT_ITEMS`] of each list, 200 labels and 4 KiB of a text, with what was left out counted. Never judges.

use prost::Message as _;
use serde_json::{Value, json};
use watchkeeper_model::{Kind, Timestamp};
use watchkeeper_proto::v1;

use crate::wire::MAX_BODY_BYTES;

/// So many items of a list are shown.
pub const CONTENT_ITEMS: usize = 50;
/// So many labels of a series: more than the intake takes, since too many is a reason to refuse it.
const MAX_LABELS: usize = 200;
const MAX_TEXT_CHARS: usize = 4_096;
/// As much is shown of what can't be read.
const MAX_RAW_BYTES: usize = 64;

/// The inside of a sealed batch of a kind as JSON; if it is no such message, why not and how it begins.
pub fn content(kind: Option<Kind>, sealed: &[u8]) -> Value {
    let unreadable = |why: String, bytes: &[u8]| {
        let head: String =
            bytes.iter().take(MAX_RAW_BYTES).map(|byte| format!("{byte:02x}")).collect();
        json!({"unreadable": why, "first_bytes": head})
    };
    let Some(kind) = kind else {
        return unreadable("its kind is not known".to_owned(), sealed);
    };
    let bytes = match zstd::bulk::decompress(sealed, MAX_BODY_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => return unreadable(format!("it cannot be unpacked: {error}"), sealed),
    };
    let shown = match kind {
        Kind::Windows => v1::Windows::decode(&*bytes).map(windows),
        Kind::Events => v1::Events::decode(&*bytes).map(events),
    };
    shown.unwrap_or_else(|error| {
        unreadable(format!("it is no {} message: {error}", kind.as_str()), &bytes)
    })
}

fn windows(message: v1::Windows) -> Value {
    let n_counted = message.series.iter().flat_map(|series| &series.windows);
    let n_counted = n_counted.fold(0_u64, |sum, window| sum.saturating_add(window.count));
    let tallies = message.tallies.into_iter().map(|tally| {
        let skipped = tally.skipped.into_iter().map(|s| (text(s.reason), json!(s.count)));
        json!({
            "source": text(tally.source), "read": tally.read, "bytes": tally.bytes,
            "skipped": skipped.collect::<serde_json::Map<_, _>>(),
        })
    });
    json!({
        "sealed_at": time(message.sealed_at_ns),
        "counted": n_counted,
        "series": list(message.series.into_iter().map(series)),
        "sources": list(tallies),
        "files": list(message.frontiers.into_iter().map(frontier)),
    })
}

fn series(series: v1::Series) -> Value {
    let n_more = series.labels.len().saturating_sub(MAX_LABELS);
    let labels = series.labels.into_iter().take(MAX_LABELS);
    let labels = labels.map(|l| (text(l.name), Value::from(text(l.value))));
    let windows = series.windows.into_iter().map(|window| {
        json!({"start": time(window.start_ns), "seconds": window.width_secs, "count": window.count})
    });
    json!({
        "signal": text(series.signal),
        "unit": text(series.unit),
        "labels": labels.collect::<serde_json::Map<_, _>>(),
        "more_labels": n_more,
        "windows": list(windows),
    })
}

fn events(message: v1::Events) -> Value {
    let events = message.events.into_iter().map(|event| {
        json!({
            "time": time(event.at_ns), "source": text(event.source), "name": text(event.name),
            "message": text(event.message), "correlation": text(event.correlation),
        })
    });
    json!({
        "sealed_at": time(message.sealed_at_ns),
        "events": list(events),
        "files": list(message.frontiers.into_iter().map(frontier)),
    })
}

fn frontier(frontier: v1::Frontier) -> Value {
    json!({
        "source": text(frontier.source), "path": text(frontier.path),
        "from": frontier.from, "to": frontier.to,
    })
}

/// The first ones, and how many more there are.
fn list(items: impl ExactSizeIterator<Item = Value>) -> Value {
    let n_more = items.len().saturating_sub(CONTENT_ITEMS);
    json!({"items": items.take(CONTENT_ITEMS).collect::<Vec<_>>(), "more": n_more})
}

fn text(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn time(nanos: i64) -> String {
    Timestamp(nanos).rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(message: &impl prost::Message) -> Vec<u8> {
        zstd::bulk::compress(&message.encode_to_vec(), 3).unwrap()
    }

    #[test]
    fn what_the_intake_refuses_is_shown_as_it_stands() {
        let label = v1::Label { name: "not a name".into(), value: "x".repeat(5_000) };
        let part = v1::WindowPart { start_ns: 7, width_secs: 0, count: 3, values: None };
        let series = v1::Series {
            signal: "requests".into(),
            unit: "furlong".into(),
            labels: vec![label],
            windows: vec![part; 60],
            ..v1::Series::default()
        };
        let shown = content(
            Some(Kind::Windows),
            &sealed(&v1::Windows { series: vec![series; 70], ..v1::Windows::default() }),
        );
        assert_eq!(shown["counted"], 70 * 60 * 3);
        assert_eq!(
            (shown["series"]["items"].as_array().unwrap().len(), &shown["series"]["more"]),
            (50, &json!(20))
        );
        let first = &shown["series"]["items"][0];
        assert_eq!((&first["unit"], &first["windows"]["more"]), (&json!("furlong"), &json!(10)));
        assert_eq!(first["labels"]["not a name"].as_str().unwrap().chars().count(), 4_097);
    }

    #[test]
    fn what_is_no_message_says_why_and_how_it_begins() {
        for (sentence, kind, bytes, why) in [
            ("not packed", Some(Kind::Events), b"hello".to_vec(), "cannot be unpacked"),
            (
                "not protobuf",
                Some(Kind::Windows),
                zstd::bulk::compress(b"\xff\xff\xff", 3).unwrap(),
                "no windows message",
            ),
            ("of an unknown kind", None, b"hello".to_vec(), "kind is not known"),
        ] {
            let shown = content(kind, &bytes);
            assert!(shown["unreadable"].as_str().unwrap().contains(why), "{sentence}: {shown}");
            assert!(!shown["first_bytes"].as_str().unwrap().is_empty(), "{sentence}");
        }
    }

    #[test]
    fn a_body_that_unpacks_to_more_than_it_may_is_not_unpacked() {
        let bomb = zstd::bulk::compress(&vec![0_u8; MAX_BODY_BYTES + 1], 3).unwrap();
        assert!(content(Some(Kind::Events), &bomb)["unreadable"].is_string());
    }
}
