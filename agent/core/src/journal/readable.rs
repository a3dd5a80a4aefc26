//! Text for what `journalctl` does not write as text.
//!
//! Owns one rule: a field with bytes that are not printable UTF-8 comes as a list of numbers (`journalctl(1)`,
//! `--output=json`), and that is so for every message with a colour in it. It becomes the text it is, what is no UTF-8
//! in it replaced by U+FFFD. All other lists and fields stay as they are.

use memchr::memmem;
use serde_json::{Map, Value};

/// An entry whose bytes are made text; `None` if there is nothing to change, or if it is no JSON.
pub(super) fn readable(json: &[u8]) -> Option<Vec<u8>> {
    if !may_hold_bytes(json) {
        return None;
    }
    let mut entry: Map<String, Value> = serde_json::from_slice(json).ok()?;
    let mut changed = false;
    for value in entry.values_mut() {
        changed |= make_text(value);
        // A field that is there more than once comes as a list, and each of its values may be bytes.
        for value in value.as_array_mut().into_iter().flatten() {
            changed |= make_text(value);
        }
    }
    changed.then(|| serde_json::to_vec(&entry).ok()).flatten()
}

/// Whether a field is a list that begins with a number or a list. Inside of a text the quote before the colon would
/// be escaped.
fn may_hold_bytes(json: &[u8]) -> bool {
    memmem::find_iter(json, b"\":[").any(|at| {
        at > 0 && json[at - 1] != b'\\' && matches!(json.get(at + 3), Some(b'0'..=b'9' | b'['))
    })
}

fn make_text(value: &mut Value) -> bool {
    let Value::Array(items) = value else { return false };
    let byte = |item: &Value| item.as_u64().and_then(|n| u8::try_from(n).ok());
    let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
    match bytes {
        Some(bytes) if !bytes.is_empty() => {
            *value = Value::String(String::from_utf8_lossy(&bytes).into_owned());
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text_and_everything_else_stays() {
        for (sentence, json, text) in [
            (
                "a coloured message",
                r#"{"MESSAGE":[27,91,51,49,109,114,101,100],"P":"3"}"#,
                Some(r#"{"MESSAGE":"\u001b[31mred","P":"3"}"#),
            ),
            (
                "no UTF-8",
                r#"{"MESSAGE":[255,254,97]}"#,
                Some("{\"MESSAGE\":\"\u{fffd}\u{fffd}a\"}"),
            ),
            ("twice, once as bytes", r#"{"A":[[104,105],"x"]}"#, Some(r#"{"A":["hi","x"]}"#)),
            ("twice as text", r#"{"A":["1","2"]}"#, None),
            ("a text about lists", r#"{"MESSAGE":"{\"a\":[1,2]}"}"#, None),
            ("numbers that are no bytes", r#"{"A":[256,1]}"#, None),
            ("an empty list", r#"{"A":[]}"#, None),
            ("no JSON", r#"{"A":[1,"#, None),
            ("plain", r#"{"MESSAGE":"hello"}"#, None),
        ] {
            let got = readable(json.as_bytes());
            assert_eq!(got.as_deref(), text.map(str::as_bytes), "{sentence}");
        }
    }
}
