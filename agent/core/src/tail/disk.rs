//! What tailing asks about the world.
//!
//! Owns the questions. The agent answers them from a real file system, tests from memory; an answer is a fact at the
//! time it was given and may be outdated at once.

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

/// One path that is a source's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path.
    pub path: PathBuf,
    /// What it is by its name.
    pub named: Named,
    /// What is there, links followed.
    pub stat: Stat,
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

    /// What there is now.
    fn list(&mut self) -> Listing;

    /// Opens a regular file for reading, without ever blocking.
    fn open(&mut self, path: &Path) -> Result<(Self::Handle, Stat), String>;

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
