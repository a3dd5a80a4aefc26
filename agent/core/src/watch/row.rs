//! What is stored of watched files.
//!
//! Owns the stored form: a row for each file, by its name, and one that says what was looked for and how that was judged.
//! Rows of a file are short: there may be 20 000. What can't be read is told, and then everything there is is known anew:
//! nothing is told of changes that may be none.

use serde::{Deserialize, Serialize};
use watchkeeper_model::{FileRef, Guard, Timestamp};

use super::listing::{Hash, Stat};
use super::name::FileName;
use super::verdict::{Outcome, Turn};

/// Where what is no file's is stored: no name is empty.
pub(super) const HEAD: FileRef = FileRef { inode: 0, born: Timestamp(0) };

/// What a source has stored.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Files as they were told, and since when they were there.
    pub(super) files: Vec<(FileName, Stat, Timestamp)>,
    /// What was looked for; `None` if nobody looked before.
    pub(super) head: Option<Head>,
    /// Why what is stored can't be used.
    pub corrupt: Option<String>,
}

/// What is stored besides files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What was looked for.
    pub(super) reads: String,
    /// How it was judged last.
    pub(super) turn: Option<Turn>,
}

/// The stored form of [`Head`]. Fields may be added with a default; none is ever given another meaning.
#[derive(Serialize, Deserialize)]
struct HeadRow {
    v: u32,
    kind: String,
    reads: String,
    result: Option<String>,
    reason: Option<String>,
}

/// The stored form of a file: name, device, inode, born, mode, owner, group, size, modified, touched, came, hash. Some may
/// be added behind these; none is ever given another meaning.
type FileRow = (String, u64, u64, Option<i64>, u32, u32, u32, u64, i64, i64, i64, Option<String>);

impl Stored {
    /// Decodes what was stored.
    pub fn read(rows: &[String]) -> Self {
        let mut stored = Self::default();
        for row in rows {
            let read = match row.starts_with('{') {
                true => Head::decode(row).map(|head| stored.head = Some(head)),
                false => decode(row).map(|file| stored.files.push(file)),
            };
            if read.is_none() {
                let corrupt = row.chars().take(80).collect();
                return Self { corrupt: Some(corrupt), ..Self::default() };
            }
        }
        if stored.head.is_none() && !stored.files.is_empty() {
            return Self { corrupt: Some("files without a head".to_owned()), ..Self::default() };
        }
        stored
    }

    /// Lets go of files that are not looked for any more; they stay known to the store.
    pub fn retain(&mut self, mut is_ours: impl FnMut(&FileName) -> bool) -> Vec<FileRef> {
        let (ours, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.files).into_iter().partition(|(name, ..)| is_ours(name));
        self.files = ours;
        others.iter().map(|(name, ..)| key(name)).collect()
    }
}

impl Head {
    pub(super) fn encode(&self) -> String {
        let row = HeadRow {
            v: 1,
            kind: "watch".to_owned(),
            reads: self.reads.clone(),
            result: self.turn.as_ref().map(|turn| turn.outcome.as_str().to_owned()),
            reason: self.turn.as_ref().map(|turn| turn.reason.clone()),
        };
        serde_json::to_string(&row).expect("a struct of numbers and text is JSON")
    }

    fn decode(row: &str) -> Option<Self> {
        let HeadRow { v, kind, reads, result, reason } = serde_json::from_str(row).ok()?;
        if v != 1 || kind != "watch" {
            return None;
        }
        let turn = match (result, reason) {
            (Some(result), Some(reason)) => {
                Some(Turn { outcome: Outcome::from_str(&result)?, reason })
            }
            _ => None,
        };
        Some(Self { reads, turn })
    }
}

/// Under which key a file is stored.
pub(super) fn key(name: &FileName) -> FileRef {
    FileRef { inode: Guard::of(name.bytes()).hash, born: Timestamp(1) }
}

/// A file as it is stored.
pub(super) fn encode(name: &FileName, stat: &Stat, came: Timestamp) -> String {
    let hash = match stat.hash {
        Hash::Known(hash) => Some(format!("{hash:032x}")),
        Hash::None | Hash::Pending => None,
    };
    let row: FileRow = (
        name.encode(),
        stat.device,
        stat.inode,
        stat.born.map(Timestamp::nanos),
        stat.mode,
        stat.owner,
        stat.group,
        stat.size,
        stat.modified.nanos(),
        stat.touched.nanos(),
        came.nanos(),
        hash,
    );
    serde_json::to_string(&row).expect("numbers and texts are JSON")
}

fn decode(row: &str) -> Option<(FileName, Stat, Timestamp)> {
    let row: FileRow = serde_json::from_str(row).ok()?;
    let (name, device, inode, born, mode, owner, group, size, modified, touched, came, hash) = row;
    let hash = match hash {
        Some(hash) => Hash::Known(u128::from_str_radix(&hash, 16).ok()?),
        None => Hash::None,
    };
    let born = born.map(Timestamp);
    let (modified, touched) = (Timestamp(modified), Timestamp(touched));
    let stat = Stat { device, inode, born, mode, owner, group, size, modified, touched, hash };
    Some((FileName::decode(&name)?, stat, Timestamp(came)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stat() -> Stat {
        Stat {
            device: 1,
            inode: u64::MAX,
            born: Some(Timestamp(3)),
            mode: 0o644,
            owner: 1000,
            group: 100,
            size: 5,
            modified: Timestamp(-6),
            touched: Timestamp(7),
            hash: Hash::Known(u128::MAX / 3),
        }
    }

    #[test]
    fn files_and_head_read_as_they_are_written_and_rows_are_short() {
        let head = Head {
            reads: "watch\n/in/*".into(),
            turn: Some(Turn { outcome: Outcome::Failed, reason: "oldest".into() }),
        };
        let none = Stat { born: None, hash: Hash::None, ..stat() };
        let named = |text: &[u8]| FileName::new(text);
        let files = vec![
            (named(b"/in/a \"b\"\n\xff"), stat(), Timestamp(9)),
            (named(b"/in/b"), none, Timestamp(1)),
        ];
        let mut rows: Vec<String> =
            files.iter().map(|(name, stat, came)| encode(name, stat, *came)).collect();
        assert!(rows[1].len() < 80, "{}", rows[1]);
        rows.insert(1, head.encode());
        let stored = Stored::read(&rows);
        assert_eq!((stored.files, stored.head), (files, Some(head)));
        assert!(Stored::read(&[]).corrupt.is_none());
    }

    #[test]
    fn damage_is_noticed() {
        let row = encode(&FileName::new(b"/in/a"), &stat(), Timestamp(0));
        let head = Head { reads: String::new(), turn: None }.encode();
        let (file, other) = (row.clone(), head.replace("watch", "tail"));
        for rows in [
            vec![row.clone()],
            vec![head.clone(), row[..row.len() - 2].to_owned()],
            vec![head.clone(), row.replace("/in/a", "in/a")],
            vec![other, file],
            vec![head.replace("\"v\":1", "\"v\":2")],
            vec![String::new()],
        ] {
            let stored = Stored::read(&rows);
            assert!(stored.corrupt.is_some() && stored.files.is_empty(), "{rows:?}");
        }
    }

    proptest! {
        #[test]
        fn no_row_makes_it_panic(row in "\\PC{0,60}|\\[\"/[a-z]\"(,[0-9-]{1,20}){10},(null|\"[0-9a-f]{0,40}\")\\]") {
            let _ = Stored::read(&[row]);
        }
    }
}
