//! How far one file was read, as it is stored.
//!
//! Owns the stored form and its checks. A position that does not decode or contradicts itself is corrupt: the source
//! then stands still and says so; it never begins silently at the start or the end.

use std::path::Path;

use serde::{Deserialize, Serialize};
use watchkeeper_model::{FileRef, Guard, Timestamp};

use super::disk::{Behind, End, Ending, Version};
use super::join::{Held, HeldRow};

/// The most bytes a prefix covers.
pub(super) const MAX_PREFIX_BYTES: usize = 1024;

/// The most bytes a guard covers.
pub(super) const MAX_GUARD_BYTES: usize = 256;

/// How far one life of a file was read and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The source, by name.
    pub source: String,
    /// Which life of which file.
    pub file: FileRef,
    /// The device it was on.
    pub dev: u64,
    /// The path it was last seen under, for people.
    pub path: String,
    /// The link that led to it.
    pub behind: Option<Behind>,
    /// When the inode was made, where known: tells one that is used again.
    pub created: Option<Timestamp>,
    /// Its size when last looked at.
    pub size: u64,
    /// Where reading began under this epoch.
    pub begin: u64,
    /// Everything before is counted or held; always at a line's end.
    pub offset: u64,
    /// Its first bytes.
    pub prefix: Guard,
    /// The bytes just before the offset.
    pub guard: Guard,
    /// When it was first seen to be rotated or deleted.
    pub rotated: Option<Timestamp>,
    /// The life it is a copy of, made by copytruncate; not read while that one is intact.
    pub copy_of: Option<FileRef>,
    /// What stands before the offset, was read, and is not counted yet.
    pub held: Option<Held>,
    /// It is a gzip file: sizes and offsets are those of what is in it.
    pub compressed: bool,
    /// Nothing more can be had of this version of it.
    pub exhausted: Option<End>,
}

/// A stored position can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored position is corrupt: {0}")]
pub struct Corrupt(pub String);

/// The stored form. Fields may be added with a default; none is ever given another meaning.
#[derive(Serialize, Deserialize)]
struct Row {
    v: u32,
    source: String,
    inode: u64,
    born: i64,
    dev: u64,
    path: String,
    created: Option<i64>,
    size: u64,
    begin: u64,
    offset: u64,
    prefix: (u32, u64),
    guard: (u32, u64),
    rotated: Option<i64>,
    copy_of: Option<(u64, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<HeldRow>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    compressed: bool,
    /// Bytes, time of writing, how it ends, bytes lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exhausted: Option<(u64, i64, String, u64)>,
    /// A link, and where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<(String, String)>,
}

impl Position {
    /// Which life of which file: with the source's name the key it is stored under.
    pub fn file(&self) -> FileRef {
        self.file
    }

    /// Where it lies, or lay.
    pub(super) fn place(&self) -> &Path {
        Behind::place(self.behind.as_ref(), Path::new(&self.path))
    }

    /// As it is stored.
    pub fn encode(&self) -> String {
        let row = Row {
            v: 1,
            source: self.source.clone(),
            inode: self.file.inode,
            born: self.file.born.nanos(),
            dev: self.dev,
            path: self.path.clone(),
            created: self.created.map(Timestamp::nanos),
            size: self.size,
            begin: self.begin,
            offset: self.offset,
            prefix: (self.prefix.len, self.prefix.hash),
            guard: (self.guard.len, self.guard.hash),
            rotated: self.rotated.map(Timestamp::nanos),
            copy_of: self.copy_of.map(|f| (f.inode, f.born.nanos())),
            held: self.held.as_ref().map(Held::row),
            compressed: self.compressed,
            exhausted: self.exhausted.map(|end| {
                let Version { bytes, modified } = end.version;
                let (ending, lost_bytes) = ending_as_stored(end.ending);
                (bytes, modified.nanos(), ending.to_owned(), lost_bytes)
            }),
            behind: self.behind.as_ref().map(|Behind { link, target }| {
                (link.to_string_lossy().into_owned(), target.to_string_lossy().into_owned())
            }),
        };
        serde_json::to_string(&row).expect("a struct of numbers and text is JSON")
    }

    /// Out of its stored form.
    pub fn decode(stored: &str) -> Result<Self, Corrupt> {
        let row: Row = serde_json::from_str(stored).map_err(|e| Corrupt(e.to_string()))?;
        let file = |(inode, born)| FileRef { inode, born: Timestamp(born) };
        let guard = |(len, hash)| Guard { len, hash };
        let held = match row.held {
            Some(held) => {
                let held = Held::of(held);
                Some(held.ok_or_else(|| Corrupt("what is held contradicts itself".to_owned()))?)
            }
            None => None,
        };
        let position = Self {
            source: row.source,
            file: file((row.inode, row.born)),
            dev: row.dev,
            path: row.path,
            behind: row
                .behind
                .map(|(link, target)| Behind { link: link.into(), target: target.into() }),
            created: row.created.map(Timestamp),
            size: row.size,
            begin: row.begin,
            offset: row.offset,
            prefix: guard(row.prefix),
            guard: guard(row.guard),
            rotated: row.rotated.map(Timestamp),
            copy_of: row.copy_of.map(file),
            held,
            compressed: row.compressed,
            exhausted: row.exhausted.map(end_from_stored).transpose()?,
        };
        let guard_fits = position.guard.len as usize
            == usize::try_from(position.offset).map_or(MAX_GUARD_BYTES, |o| o.min(MAX_GUARD_BYTES));
        if row.v != 1 {
            Err(Corrupt(format!("version {} is not known", row.v)))
        } else if !guard_fits || position.prefix.len as usize > MAX_PREFIX_BYTES {
            Err(Corrupt(format!("guards of {} do not fit offset {}", row.inode, row.offset)))
        } else if position.begin > position.offset {
            Err(Corrupt(format!("begin {} is after offset {}", row.begin, row.offset)))
        } else {
            Ok(position)
        }
    }
}

fn ending_as_stored(ending: Ending) -> (&'static str, u64) {
    match ending {
        Ending::Whole => ("whole", 0),
        Ending::Unfinished => ("unfinished", 0),
        Ending::Damaged { lost_bytes } => ("damaged", lost_bytes),
    }
}

fn end_from_stored(
    (bytes, modified, ending, lost): (u64, i64, String, u64),
) -> Result<End, Corrupt> {
    let ending = match ending.as_str() {
        "whole" => Ending::Whole,
        "unfinished" => Ending::Unfinished,
        "damaged" => Ending::Damaged { lost_bytes: lost },
        other => return Err(Corrupt(format!("ending {other:?} is not known"))),
    };
    Ok(End { ending, version: Version { bytes, modified: Timestamp(modified) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_as_it_is_written_and_damage_is_noticed() {
        let position = Position {
            source: "shop-log".into(),
            file: FileRef { inode: u64::MAX, born: Timestamp(-5) },
            dev: 7,
            path: "/var/log/\"a\".log".into(),
            behind: None,
            created: Some(Timestamp(3)),
            size: 2_000,
            begin: 10,
            offset: 1_000,
            prefix: Guard { len: 1024, hash: u64::MAX },
            guard: Guard { len: 256, hash: 1 },
            rotated: None,
            copy_of: Some(FileRef { inode: 1, born: Timestamp(2) }),
            held: None,
            compressed: false,
            exhausted: None,
        };
        let stored = position.encode();
        assert_eq!(Position::decode(&stored), Ok(position.clone()));
        for ending in [Ending::Whole, Ending::Unfinished, Ending::Damaged { lost_bytes: 9 }] {
            let version = Version { bytes: 8, modified: Timestamp(-7) };
            let exhausted = Some(End { ending, version });
            let compressed = Position { compressed: true, exhausted, ..position.clone() };
            let stored = compressed.encode();
            assert_eq!(Position::decode(&stored), Ok(compressed));
            assert!(
                Position::decode(&stored.replace("[8,-7,\"", "[8,-7,\"un")).is_err(),
                "{stored}"
            );
        }
        let behind = Behind { link: "/var/log/\"a\".log".into(), target: "/data/a.log".into() };
        let linked = Position { behind: Some(behind), ..position };
        assert_eq!(Position::decode(&linked.encode()), Ok(linked));
        for damaged in [
            stored[..stored.len() - 3].to_owned(),
            stored.replace("\"v\":1", "\"v\":2"),
            stored.replace("\"offset\":1000", "\"offset\":100"),
            stored.replace("\"offset\":1000", "\"offset\":-1"),
            stored.replace("\"begin\":10", "\"begin\":1001"),
            stored.replace("[1024,", "[1025,"),
            String::new(),
        ] {
            assert!(Position::decode(&damaged).is_err(), "{damaged}");
        }
    }
}
