//! What tailing needs to know beyond the paths, which are the disk's business.
//!
//! Owns the defaults. Never holds state.

use std::time::Duration;

use super::follow::TURN_BYTES;
use super::framer::LineForm;
use super::join::JoinSettings;

/// Where to begin in files that are there when a source starts for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// Only what is written from now on.
    #[default]
    End,
    /// Everything.
    Beginning,
}

/// What becomes of gzip files that match the paths. What is compressed otherwise, or only looks like a rotated sibling
/// of what matches, is never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compressed {
    /// They are skipped and counted.
    #[default]
    Skip,
    /// They are read whole, once, wherever reading starts in others.
    Read,
}

/// How to follow the files of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailSettings {
    /// The source's name.
    pub source: String,
    /// Where to begin in files present at the first start; every later file is read from its beginning.
    pub start_at: StartAt,
    /// Whether gzip files are read.
    pub compressed: Compressed,
    /// Longer lines are skipped and counted.
    pub max_line_bytes: usize,
    /// How its lines become records.
    pub join: JoinSettings,
    /// How long a rotated or deleted file must be quiet at its end before a last line without line end is taken.
    pub rotate_wait: Duration,
    /// How much longer it is looked at, slowly, for late writers.
    pub linger: Duration,
    /// How much unread data of deleted files may wait while files are not read.
    pub max_held_bytes: u64,
    /// How long a file that has no name any more may wait with unread data.
    pub max_held_age: Duration,
}

impl TailSettings {
    /// The defaults for a source.
    pub fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            start_at: StartAt::End,
            compressed: Compressed::Skip,
            max_line_bytes: 1 << 20,
            join: JoinSettings::default(),
            rotate_wait: Duration::from_secs(5),
            linger: Duration::from_secs(600),
            max_held_bytes: 1 << 30,
            max_held_age: Duration::from_secs(86_400),
        }
    }

    /// What a line of a file may be if nothing is joined.
    pub(super) fn line_form(&self) -> LineForm {
        LineForm { max_bytes: self.max_line_bytes, keeps_cr: false }
    }

    /// The most bytes that are read again to find what is held, instead of keeping it by itself.
    pub(super) fn max_reread_bytes(&self) -> u64 {
        (2 * self.max_line_bytes).max(TURN_BYTES) as u64
    }
}
