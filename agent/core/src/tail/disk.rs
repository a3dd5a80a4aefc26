//! What tailing asks about the world.
//!
//! Owns the questions. The agent answers them from a real file system, tests from memory; an answer is a fact at the
//! time it was given and may be outdated at once.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use watchkeeper_model::Timestamp;

use super::names::Named;

/// What the system says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The device it lies on; may change over a reboot.
    pub dev: u64,
    /// Its number there; may be used again once the file is gone.
    pub inode: u64,
    /// Its size.
    pub size: u64,
    /// When the inode was made, where the file system tells.
    pub created: Option<Timestamp>,
    /// When it was last written.
    pub modified: Timestamp,
    /// How many names it has.
    pub n_links: u64,
    /// What it is.
    pub kind: Kind,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
    /// A pipe, socket or device: never opened.
    Other,
}

/// A file as it lies there: another size or time of writing is other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its size, compressed as it is.
    pub bytes: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// How far the content of a compressed file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Not so far yet, and this was as much work as one call may do: ask again.
    NotYet,
    /// The bytes asked for can be read.
    There,
    /// Its content ends before, at the size that it has now.
    End(End),
}

/// Where the content of a compressed file ends, and of which version of it that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How it ends.
    pub ending: Ending,
    /// The file as it was then.
    pub version: Version,
}

/// How the content of a compressed file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Whole,
    /// In the middle: it is still being written, or was cut off.
    Unfinished,
    /// What follows can't be decoded.
    Damaged {
        /// Compressed bytes from there to the file's end.
        lost_bytes: u64,
    },
}

/// A log that is reached by a link and lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Behind {
    /// The path configured, which is the link.
    pub link: PathBuf,
    /// Where it leads, all links followed.
    pub target: PathBuf,
}

impl Behind {
    /// Where what has this path lies: the target, if it is the link.
    pub(super) fn place<'a>(behind: Option<&'a Self>, path: &'a Path) -> &'a Path {
        behind.filter(|b| b.link == path).map_or(path, |b| &b.target)
    }

    /// The path that belongs to the source, or whose rotated sibling does: the link, if there is one.
    pub(super) fn ours<'a>(behind: Option<&'a Self>, path: &'a Path) -> &'a Path {
        behind.map_or(path, |b| &b.link)
    }
}

/// One path that is a source's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path.
    pub path: PathBuf,
    /// What it is by its name. What lies beside a link's target is a sibling of the link.
    pub named: Named,
    /// The link that led here, if there is one: this is the link, or lies beside its target.
    pub behind: Option<Behind>,
    /// What is there, links followed. The size of a compressed file is that of its compressed bytes.
    pub stat: Stat,
}

impl Entry {
    /// The path of the file whose rotated sibling it is by its name: beside it, wherever that is.
    pub(super) fn original(&self) -> Option<&Path> {
        let base = self.named.base.as_deref()?;
        Some(self.behind.as_ref().filter(|b| b.link != self.path).map_or(base, |b| &b.target))
    }
}

/// Everything there is in the directories of a source's paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The paths configured and rotated siblings of them.
    pub entries: Vec<Entry>,
    /// What could not be looked at, and why.
    pub problems: Vec<(PathBuf, String)>,
}

/// Answers questions about files. Errors are text for people: subject first, without full stop.
pub trait Disk {
    /// An open file; dropping it closes it.
    type Handle;

    /// What there is now. `known` is where links led: what lies there is listed as rotated if no link leads there now.
    fn list(&mut self, known: &BTreeSet<Behind>) -> Listing;

    /// Opens a regular file for reading, without ever blocking.
    fn open(&mut self, path: &Path) -> Result<(Self::Handle, Stat), String>;

    /// Opens a gzip file, whose bytes are then the uncompressed ones, and whose size is how far they are known.
    fn open_compressed(&mut self, path: &Path) -> Result<(Self::Handle, Stat), String>;

    /// Gets the bytes of an open gzip file that lie in `span` ready to be read, a bounded piece of work at a time. What
    /// lies before the span need not be kept, except the first 1 024 bytes, and the last 1 024 if the content ends
    /// before the span.
    fn reach(&mut self, handle: &Self::Handle, span: Range<u64>) -> Result<Reached, String>;

    /// What an open file is now.
    fn stat(&mut self, handle: &Self::Handle) -> Result<Stat, String>;

    /// Reads at an offset until `into` is full or the file ends; says how many bytes it read.
    fn read_at(
        &mut self,
        handle: &Self::Handle,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, String>;
}
