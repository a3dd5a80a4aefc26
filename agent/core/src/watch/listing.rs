//! What one look at files has seen.
//!
//! Owns the words that every file system is put into, and how many files are known one by one. Never looks.

use std::fmt;
use std::time::Duration;

use serde_json::{Value as Json, json};
use watchkeeper_model::Timestamp;

use super::name::FileName;

/// The most files of a source of which changes are told. Beyond it they are only added up.
pub const MAX_FILES: usize = 20_000;

/// One look.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The files that match, in any order, each once; empty if there are more than [`MAX_FILES`].
    pub files: Vec<(FileName, Stat)>,
    /// If there are more than [`MAX_FILES`]: what they add up to.
    pub too_many: Option<Sums>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
    /// The file system with the least room among those of the folders.
    pub space: Option<Space>,
    /// How long it took.
    pub took: Duration,
}

/// What files add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there are.
    pub n: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// When the one was written that was not written for longest.
    pub oldest: Option<Timestamp>,
    /// When the one was written that was written last.
    pub newest: Option<Timestamp>,
    /// When the one came that has been there for longest.
    pub first_came: Option<Timestamp>,
}

/// A place that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// A folder, or a file.
    pub at: FileName,
    /// Why, in one word.
    pub why: Blindness,
    /// Why, for a person.
    pub problem: String,
}

/// Why something can't be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blindness {
    /// The folder does not exist.
    Missing,
    /// The agent's user may not look there.
    Denied,
    /// There is more than is looked at.
    TooMany,
    /// The system gives an error.
    Unreadable,
}

/// Room in a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that programs without privileges may still have.
    pub bytes: u64,
    /// Inodes that are free; `None` if the file system makes them as they are needed, or does not tell.
    pub inodes: Option<u64>,
}

/// What a file is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The device it lies on. It may change with a restart of the machine.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// When it was made, where the file system knows.
    pub born: Option<Timestamp>,
    /// Its permissions, the lower 12 bits of its mode.
    pub mode: u32,
    /// Its owner's number.
    pub owner: u32,
    /// Its group's number.
    pub group: u32,
    /// Bytes.
    pub size: u64,
    /// When it was written last.
    pub modified: Timestamp,
    /// When anything of it changed last, its name and its place among them.
    pub touched: Timestamp,
    /// What its content is.
    pub hash: Hash,
}

/// A file's content in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// Nobody asks, or it can't be had.
    None,
    /// It is not known yet.
    Pending,
    /// The first 128 bits of its SHA-256.
    Known(u128),
}

impl Blindness {
    /// In one word, for a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::TooMany => "too_many",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Sums {
    /// Adds a file.
    pub fn add(&mut self, stat: &Stat, came: Timestamp) {
        let earlier = |a: Option<Timestamp>, b| Some(a.map_or(b, |a| a.min(b)));
        self.n += 1;
        self.bytes = self.bytes.saturating_add(stat.size);
        self.oldest = earlier(self.oldest, stat.modified);
        self.newest = self.newest.max(Some(stat.modified));
        self.first_came = earlier(self.first_came, came);
    }
}

impl Stat {
    /// Since when it has been where it is, as far as a look can tell: a file that is moved keeps the time of its writing,
    /// but is touched.
    pub fn came(&self) -> Timestamp {
        self.modified.max(self.touched)
    }

    /// Whether it can be the same file under the same name. A number that is given to another file is told by the time
    /// that was made, where that is known. A device may have another number after a restart.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let born = self.born.zip(other.born).is_none_or(|(a, b)| a == b);
        self.inode == other.inode && born
    }

    /// Whether it is surely the same file under another name.
    pub(super) fn is_same_elsewhere(&self, other: &Self) -> bool {
        let is_known = self.born.is_some() && other.born.is_some();
        let is_equal = self.size == other.size && self.modified == other.modified;
        self.is_same(other) && self.device == other.device && (is_known || is_equal)
    }

    /// Whether content was written in between, as far as a look can tell.
    pub(super) fn is_as_written(&self, other: &Self) -> bool {
        self.is_same(other) && self.size == other.size && self.modified == other.modified
    }

    /// Whether permissions and owners are the same.
    pub(super) fn is_as_owned(&self, other: &Self) -> bool {
        (self.mode, self.owner, self.group) == (other.mode, other.owner, other.group)
    }

    /// Which attributes differ.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let hash_differs = match (self.hash, other.hash) {
            (Hash::Known(a), Hash::Known(b)) => a != b,
            _ => false,
        };
        let all = [
            ("replaced", !self.is_same(other)),
            ("size", self.size != other.size),
            ("modified", self.modified != other.modified),
            ("mode", self.mode != other.mode),
            ("owner", self.owner != other.owner),
            ("group", self.group != other.group),
            ("hash", hash_differs),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// For the fields of an event.
    pub(super) fn to_json(&self) -> Json {
        let mut all = json!({
            "size": self.size,
            "modified": self.modified.rfc3339(),
            "mode": format!("{:04o}", self.mode),
            "owner": self.owner,
            "group": self.group,
            "inode": self.inode,
        });
        if let Hash::Known(hash) = self.hash {
            all["hash"] = Json::from(format!("{hash:032x}"));
        }
        all
    }
}

/// What is said for a person.
impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}
