//! The cursor: how the journal names the place of an entry.
//!
//! Owns finding it in an entry as JSON, whole or in pieces. Never looks into it: systemd calls its form private
//! (`journalctl(1)`, `--show-cursor`).

use memchr::memmem;

/// The most bytes a cursor may have; those of systemd 252 have some 150.
pub const MAX_CURSOR_BYTES: usize = 1024;

const KEY: &[u8] = b"\"__CURSOR\"";

/// A cursor with its key fits in here, wherever pieces are cut.
const WINDOW_BYTES: usize = 2 * MAX_CURSOR_BYTES;

/// The cursor in an entry, or in a piece of one that has it whole.
///
/// The key can't be taken for something inside a text: there its quotes would be escaped, and behind a value that reads
/// the same there is no colon.
pub(super) fn cursor_in(json: &[u8]) -> Option<&str> {
    memmem::find_iter(json, KEY).find_map(|at| {
        let rest = json[at + KEY.len()..].trim_ascii_start();
        let rest = rest.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
        let end = memchr::memchr(b'"', rest)?;
        std::str::from_utf8(&rest[..end]).ok().filter(|text| is_cursor(text))
    })
}

/// Whether this can be a cursor: printable ASCII that needs no escapes in JSON, not too long.
pub(super) fn is_cursor(text: &str) -> bool {
    (1..=MAX_CURSOR_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}

/// Looks for the cursor of an entry that comes in pieces and is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CursorSearch {
    found: Option<String>,
    window: Vec<u8>,
}

impl CursorSearch {
    /// The next piece.
    pub(super) fn add(&mut self, piece: &[u8]) {
        if self.found.is_some() {
            return;
        }
        self.window.extend_from_slice(piece);
        self.found = cursor_in(&self.window).map(str::to_owned);
        let done = if self.found.is_some() {
            self.window.len()
        } else {
            self.window.len().saturating_sub(WINDOW_BYTES)
        };
        self.window.drain(..done);
    }

    /// What was found.
    pub(super) fn found(self) -> Option<String> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_found_wherever_it_stands_and_nothing_is_taken_for_it() {
        for (sentence, json, cursor) in [
            ("first", r#"{"__CURSOR":"s=a;i=1","MESSAGE":"x"}"#, Some("s=a;i=1")),
            ("last", r#"{"MESSAGE":"x","__CURSOR":"s=a;i=1"}"#, Some("s=a;i=1")),
            (
                "as older versions write it",
                r#"{ "__CURSOR" : "s=a;i=1", "A" : "x" }"#,
                Some("s=a;i=1"),
            ),
            (
                "a message about cursors",
                r#"{"MESSAGE":"{\"__CURSOR\":\"s=b\"}","__CURSOR":"s=a"}"#,
                Some("s=a"),
            ),
            ("a value that reads the same", r#"{"A":"__CURSOR","__CURSOR":"s=a"}"#, Some("s=a")),
            ("in a list", r#"{"A":["__CURSOR","x"],"__CURSOR":"s=a"}"#, Some("s=a")),
            ("none", r#"{"MESSAGE":"x"}"#, None),
            ("an empty one", r#"{"__CURSOR":""}"#, None),
            ("no text", r#"{"__CURSOR":null}"#, None),
            ("one that is cut", r#"{"__CURSOR":"s=a"#, None),
            ("one with escapes", r#"{"__CURSOR":"s=\u0061"}"#, None),
        ] {
            assert_eq!(cursor_in(json.as_bytes()), cursor, "{sentence}");
        }
        let long = format!(r#"{{"__CURSOR":"{}"}}"#, "x".repeat(MAX_CURSOR_BYTES + 1));
        assert_eq!(cursor_in(long.as_bytes()), None, "one that is too long");
    }

    #[test]
    fn the_cursor_is_found_however_the_pieces_are_cut() {
        let filler = "y".repeat(3 * WINDOW_BYTES);
        let cursor = "c".repeat(MAX_CURSOR_BYTES);
        let json = format!(r#"{{"MESSAGE":"{filler}","__CURSOR":"{cursor}","B":"{filler}"}}"#);
        for size in [1, 7, 1000, WINDOW_BYTES, json.len()] {
            let mut search = CursorSearch::default();
            for piece in json.as_bytes().chunks(size) {
                search.add(piece);
                assert!(search.window.len() <= WINDOW_BYTES);
            }
            assert_eq!(search.found(), Some(cursor.clone()), "in pieces of {size}");
        }
    }
}
