//! Cutting what `journalctl --output=json` writes into entries.
//!
//! Owns where an entry ends, and that one longer than allowed is passed over without being kept: only its cursor and its
//! length are. What is cut off at the end is never given out: it is read again. Never decides whether an entry counts.

use memchr::memchr;

use super::cursor::{CursorSearch, cursor_in};
use super::readable::readable;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub cursor: String,
    /// How long it is as it was written, line end included.
    pub n_bytes: u64,
    /// A JSON object of its fields; `None` if it is longer than allowed.
    pub json: Option<Vec<u8>>,
}

/// Something was written that is no entry: a line without a cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line without __CURSOR, which is no entry of a journal: {head:?}")]
pub struct Foreign {
    /// How it begins.
    pub head: String,
}

/// An entry that is too long, so far.
#[derive(Debug, Default)]
struct Beyond {
    n_bytes: u64,
    head: Vec<u8>,
    search: CursorSearch,
}

/// Cuts one piece of output after another.
#[derive(Debug)]
pub struct Splitter {
    max_line_bytes: usize,
    held: Vec<u8>,
    beyond: Option<Beyond>,
}

impl Splitter {
    /// Entries longer than this, without their line end, are not kept.
    pub fn new(max_line_bytes: usize) -> Self {
        Self { max_line_bytes, held: Vec::new(), beyond: None }
    }

    /// Gives out every entry that ends in `piece`.
    ///
    /// # Errors
    /// If a line is no entry. Those before it were given out; nothing behind it can be used.
    pub fn split(&mut self, piece: &[u8], out: &mut Vec<Entry>) -> Result<(), Foreign> {
        let mut rest = piece;
        while let Some(len) = memchr(b'\n', rest) {
            self.hold(&rest[..len]);
            out.push(self.end()?);
            rest = &rest[len + 1..];
        }
        self.hold(rest);
        Ok(())
    }

    fn hold(&mut self, part: &[u8]) {
        match &mut self.beyond {
            Some(beyond) => beyond.add(part),
            None if self.held.len() + part.len() > self.max_line_bytes => {
                let mut beyond = Beyond::default();
                beyond.add(&std::mem::take(&mut self.held));
                beyond.add(part);
                self.beyond = Some(beyond);
            }
            None => self.held.extend_from_slice(part),
        }
    }

    fn end(&mut self) -> Result<Entry, Foreign> {
        if let Some(beyond) = self.beyond.take() {
            let foreign = foreign(&beyond.head);
            let cursor = beyond.search.found().ok_or(foreign)?;
            return Ok(Entry { cursor, n_bytes: beyond.n_bytes + 1, json: None });
        }
        let line = std::mem::take(&mut self.held);
        let cursor = cursor_in(&line).ok_or_else(|| foreign(&line))?.to_owned();
        let n_bytes = line.len() as u64 + 1;
        Ok(Entry { cursor, n_bytes, json: Some(readable(&line).unwrap_or(line)) })
    }
}

impl Beyond {
    fn add(&mut self, part: &[u8]) {
        self.n_bytes += part.len() as u64;
        let room = HEAD_BYTES.saturating_sub(self.head.len()).min(part.len());
        self.head.extend_from_slice(&part[..room]);
        self.search.add(part);
    }
}

/// How much of a line that is no entry is told.
const HEAD_BYTES: usize = 80;

fn foreign(line: &[u8]) -> Foreign {
    let head = &line[..line.len().min(HEAD_BYTES)];
    Foreign { head: String::from_utf8_lossy(head).into_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(n: usize, message: &str) -> String {
        format!("{{\"MESSAGE\":\"{message}\",\"__CURSOR\":\"c{n}\"}}\n")
    }

    fn split(text: &[u8], max: usize, size: usize) -> Result<Vec<Entry>, Foreign> {
        let (mut splitter, mut out) = (Splitter::new(max), Vec::new());
        for piece in text.chunks(size) {
            splitter.split(piece, &mut out)?;
        }
        Ok(out)
    }

    #[test]
    fn an_entry_that_is_too_long_leaves_its_cursor_and_its_length() {
        let long = entry(2, &"x".repeat(5_000));
        let text = [entry(1, "a"), long.clone(), entry(3, "b")].concat();
        let out = split(text.as_bytes(), 1_000, 64).unwrap();
        let told: Vec<_> = out.iter().map(|e| (&*e.cursor, e.json.is_some(), e.n_bytes)).collect();
        assert_eq!(told, [("c1", true, 32), ("c2", false, long.len() as u64), ("c3", true, 32)]);
        assert!(split(long.as_bytes(), long.len() - 1, 64).unwrap()[0].json.is_some(), "just fits");
        assert!(split(long.as_bytes(), long.len() - 2, 64).unwrap()[0].json.is_none());
    }

    #[test]
    fn what_is_cut_off_is_not_given_out() {
        let text = [entry(1, "a"), entry(2, "b")].concat();
        for cut in 1..entry(2, "b").len() {
            let out = split(&text.as_bytes()[..text.len() - cut], 1_000, 10).unwrap();
            assert_eq!(out.len(), 1);
        }
    }

    #[test]
    fn a_line_that_is_no_entry_is_told_after_those_before_it() {
        let (mut splitter, mut out) = (Splitter::new(1_000), Vec::new());
        let text = [&entry(1, "a"), "-- No entries --\n", &entry(2, "b")].concat();
        let error = splitter.split(text.as_bytes(), &mut out).unwrap_err();
        assert_eq!(out.len(), 1);
        assert!(error.to_string().contains("-- No entries --"), "{error}");
        let long = format!("{}\n", "y".repeat(5_000));
        let error = split(long.as_bytes(), 1_000, 100).unwrap_err();
        assert_eq!(error.head.len(), HEAD_BYTES);
    }

    #[test]
    fn bytes_are_made_text() {
        let line = b"{\"MESSAGE\":[104,105],\"__CURSOR\":\"c\"}\n";
        let out = split(line, 1_000, 1_000).unwrap();
        let json = out[0].json.as_deref().unwrap();
        assert_eq!(std::str::from_utf8(json), Ok(r#"{"MESSAGE":"hi","__CURSOR":"c"}"#));
        assert_eq!(out[0].n_bytes, line.len() as u64, "as it was written");
    }

    proptest! {
        #[test]
        fn the_same_entries_come_out_however_the_output_is_cut(
            lengths in prop::collection::vec(0_usize..400, 0..20), size in 1_usize..500,
        ) {
            let text: String =
                lengths.iter().enumerate().map(|(i, n)| entry(i, &"z".repeat(*n))).collect();
            let whole = split(text.as_bytes(), 200, text.len() + 1).unwrap();
            prop_assert_eq!(whole.len(), lengths.len());
            prop_assert_eq!(whole.iter().map(|e| e.n_bytes).sum::<u64>(), text.len() as u64);
            prop_assert_eq!(whole, split(text.as_bytes(), 200, size).unwrap());
        }

        #[test]
        fn any_bytes_are_cut_or_refused_without_panic(
            text in prop::collection::vec(any::<u8>(), 0..600), size in 1_usize..300,
        ) {
            // Nothing to assert: it has to come back.
            let _ = split(&text, 100, size);
        }
    }
}
