//! Arbitrary output of `journalctl` against serde_json: however it is cut, each line is one entry with the cursor it says,
//! bytes made text and everything else as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use watchkeeper_agent_core::journal::{Entry, MAX_CURSOR_BYTES, Splitter};
use watchkeeper_fuzz::Feed;

/// Stands for so much text, so that entries become longer than what is looked at at once.
const FILLER: (u8, usize) = (1, 700);

/// Of one that is too long less is looked at together than of others: a key and its cursor with a page of blanks between
/// would be found in one and not in the other.
const MAX_BYTES: usize = 900;

type Read = (Vec<Entry>, Option<String>);

/// The entries, and how the line begins that is none.
fn read(bytes: &[u8], max: usize, steps: &[u8]) -> Read {
    let (mut splitter, mut out, mut rest) = (Splitter::new(max), Vec::new(), bytes);
    let mut steps = steps.iter().map(|b| usize::from(*b) * 4 + 1).cycle();
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(steps.next().unwrap_or(rest.len()).min(rest.len()));
        if let Err(foreign) = splitter.split(piece, &mut out) {
            return (out, Some(foreign.head));
        }
        rest = more;
    }
    (out, None)
}

/// A list of bytes as the text it is.
fn text_of(value: &Value) -> Option<Value> {
    let bytes = value.as_array().filter(|items| !items.is_empty())?;
    let bytes: Option<Vec<u8>> = bytes.iter().map(|b| b.as_u64()?.try_into().ok()).collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned().into())
}

fn readable(value: Value) -> Value {
    match (text_of(&value), value) {
        (Some(text), _) => text,
        (None, Value::Array(all)) => all.into_iter().map(|v| text_of(&v).unwrap_or(v)).collect(),
        (None, other) => other,
    }
}

/// What journalctl can have written: an object without blanks or objects inside.
fn fields(line: &[u8]) -> Option<Map<String, Value>> {
    let is_spaced = line.windows(2).any(|w| b":,[{".contains(&w[0]) && w[1].is_ascii_whitespace());
    let is_nested = line.iter().filter(|b| **b == b'{').count() != 1;
    let is_escaped = line.windows(2).any(|w| w == b"\\u");
    let fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
    (!is_spaced && !is_nested && !is_escaped).then_some(fields)
}

fn check(line: &[u8], entry: &Entry, max: usize) {
    assert_eq!(entry.n_bytes, line.len() as u64 + 1);
    assert_eq!(entry.json.is_some(), line.len() <= max);
    assert!(!entry.cursor.is_empty() && entry.cursor.len() <= MAX_CURSOR_BYTES);
    let Some(mut wanted) = fields(line) else { return };
    let n_cursors = memchr::memmem::find_iter(line, b"\"__CURSOR\":").count();
    if n_cursors == 1 {
        assert_eq!(Some(&*entry.cursor), wanted.get("__CURSOR").and_then(Value::as_str));
    }
    if let Some(json) = &entry.json {
        let json: Map<String, Value> = serde_json::from_slice(json).expect("it was JSON");
        wanted.values_mut().for_each(|value| *value = readable(value.take()));
        assert_eq!(json, wanted, "{:?}", String::from_utf8_lossy(line));
    }
}

// How long an entry may be in the first byte, how much is read at a time in the bytes of the line behind it, then the
// output.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let max = feed.choice(100) * 40;
    let steps = feed.line();
    let mut bytes = Vec::new();
    for b in feed.rest().iter().take(MAX_BYTES) {
        let (byte, n) = if *b == FILLER.0 { (b'y', FILLER.1) } else { (*b, 1) };
        bytes.resize(bytes.len() + n, byte);
    }
    let (entries, foreign) = read(&bytes, max, &[]);
    assert_eq!(read(&bytes, max, steps), (entries.clone(), foreign.clone()));

    let mut lines =
        bytes.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    entries.iter().zip(lines.by_ref()).for_each(|(entry, line)| check(line, entry, max));
    match (lines.next(), foreign) {
        (None, None) => {}
        (Some(line), Some(head)) => {
            assert_eq!(String::from_utf8_lossy(&line[..line.len().min(80)]), head);
            let cursor = fields(line).and_then(|f| f.get("__CURSOR")?.as_str().map(str::to_owned));
            let is_cursor = |c: &String| {
                (1..=MAX_CURSOR_BYTES).contains(&c.len())
                    && c.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
            };
            assert!(!cursor.is_some_and(|c| is_cursor(&c)), "an entry was refused: {head}");
        }
        (line, foreign) => panic!("{foreign:?} and {line:?}"),
    }
});
