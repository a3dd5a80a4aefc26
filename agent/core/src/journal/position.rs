//! How far a journal was read, as it is stored.
//!
//! Owns the stored form and its checks. A position that does not decode or contradicts itself is corrupt: the source
//! then stands still and says so; it never begins silently at the start or the end.

use serde::{Deserialize, Serialize};
use watchkeeper_model::{FileRef, Guard, Timestamp};

use super::cursor::is_cursor;

/// What stands for the journal where others name a file: it has no inode, and one life.
pub const FILE: FileRef = FileRef { inode: 0, born: Timestamp(0) };

/// How far a journal was read and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Where everything before is counted.
    pub place: Place,
    /// How many bytes had been read where reading began under this epoch.
    pub begin: u64,
    /// How many bytes of entries have been read.
    pub read: u64,
}

/// A place in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before its first entry.
    Beginning,
    /// Before the first entry of this time or later: nothing has been read yet.
    Since(Timestamp),
    /// Behind the entry with this cursor.
    Behind(String),
}

/// A stored position can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored position is corrupt: {0}")]
pub struct Corrupt(pub String);

/// The stored form. Fields may be added with a default; none is ever given another meaning.
#[derive(Serialize, Deserialize)]
struct Row {
    v: u32,
    kind: String,
    since: Option<i64>,
    cursor: Option<String>,
    guard: (u32, u64),
    begin: u64,
    read: u64,
}

impl Position {
    /// The cursor of the last entry that was read.
    pub fn cursor(&self) -> Option<&str> {
        match &self.place {
            Place::Behind(cursor) => Some(cursor),
            Place::Beginning | Place::Since(_) => None,
        }
    }

    /// As it is stored.
    pub fn encode(&self) -> String {
        let since = match self.place {
            Place::Since(at) => Some(at.nanos()),
            Place::Beginning | Place::Behind(_) => None,
        };
        let guard = guard(self.cursor().unwrap_or_default());
        let row = Row {
            v: 1,
            kind: "journal".to_owned(),
            since,
            cursor: self.cursor().map(str::to_owned),
            guard: (guard.len, guard.hash),
            begin: self.begin,
            read: self.read,
        };
        serde_json::to_string(&row).expect("a struct of numbers and text is JSON")
    }

    /// Out of its stored form.
    ///
    /// # Errors
    /// If it is none, or contradicts itself.
    pub fn decode(stored: &str) -> Result<Self, Corrupt> {
        let row: Row = serde_json::from_str(stored).map_err(|e| Corrupt(e.to_string()))?;
        let told = guard(row.cursor.as_deref().unwrap_or_default());
        let corrupt = |why: String| Err(Corrupt(why));
        if row.v != 1 || row.kind != "journal" {
            return corrupt(format!("version {} of a {} is not known", row.v, row.kind));
        }
        if (told.len, told.hash) != row.guard {
            return corrupt("the cursor is not the one that was stored".to_owned());
        }
        if row.begin > row.read {
            return corrupt(format!("begin {} is after {}", row.begin, row.read));
        }
        let place = match (row.cursor, row.since) {
            (Some(cursor), None) if is_cursor(&cursor) => Place::Behind(cursor),
            (None, Some(at)) if row.read == 0 => Place::Since(Timestamp(at)),
            (None, None) if row.read == 0 => Place::Beginning,
            _ => return corrupt("cursor, time and bytes read contradict each other".to_owned()),
        };
        Ok(Self { place, begin: row.begin, read: row.read })
    }
}

/// What tells whether a cursor is whole.
pub(super) fn guard(cursor: &str) -> Guard {
    Guard::of(cursor.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_as_it_is_written_and_damage_is_noticed() {
        let behind = Position { place: Place::Behind("s=a;i=1f".into()), begin: 10, read: 99 };
        let since = Position { place: Place::Since(Timestamp(5)), begin: 0, read: 0 };
        let beginning = Position { place: Place::Beginning, ..since.clone() };
        for position in [&behind, &since, &beginning] {
            assert_eq!(Position::decode(&position.encode()).as_ref(), Ok(position));
        }
        let stored = behind.encode();
        for damaged in [
            stored[..stored.len() - 3].to_owned(),
            stored.replace("\"v\":1", "\"v\":2"),
            stored.replace("\"kind\":\"journal\"", "\"kind\":\"tail\""),
            stored.replace("s=a;i=1f", "s=a;i=1e"),
            stored.replace("\"s=a;i=1f\"", "null"),
            stored.replace("\"since\":null", "\"since\":5"),
            stored.replace("\"begin\":10", "\"begin\":100"),
            stored.replace("\"read\":99", "\"read\":-1"),
            since.encode().replace("\"read\":0", "\"read\":1"),
            "{\"v\":1,\"source\":\"s\",\"inode\":7}".to_owned(),
            String::new(),
        ] {
            assert!(Position::decode(&damaged).is_err(), "{damaged}");
        }
    }
}
