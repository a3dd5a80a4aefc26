//! What every source is to the worker that owns it.
//!
//! Owns the trait and its promises. The order is always the same: poll as often as it asks, then one checkpoint, one
//! seal with everything counted so far, and, only if that is durable, `committed`. Nothing is polled in between, so
//! what is counted and where a source stands can't disagree.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use watchkeeper_agent_core::observe::{Accumulator, Evidence, InUse, Past};
use watchkeeper_agent_core::tail::Followed;
use watchkeeper_model::{FileRef, Frontier, Service, Timestamp};

use super::SourceSettings;

/// What was stored of a source, as it gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The rows of its last checkpoints.
    pub rows: Vec<String>,
    /// Up to when it had looked through its directories; `None` if it never ran before.
    pub looked_at: Option<Timestamp>,
    /// The collector has to say first what it knows: nothing is read until [`Source::adopt`].
    pub wait: bool,
}

/// What to store with a seal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// How far was read since the last seal: goes into the batches.
    pub frontiers: Vec<Frontier>,
    /// Rows to insert or replace, by key. A source without files has keys of its own choice.
    pub store: Vec<(FileRef, String)>,
    /// Rows to delete.
    pub forget: Vec<FileRef>,
    /// Up to when directories were looked through.
    pub looked_at: Option<Timestamp>,
}

/// What to do after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When to poll again, unless something wakes the worker.
    pub next: Timestamp,
    /// There is something worth storing even if nothing was counted.
    pub dirty: bool,
}

/// A place where the agent observes.
pub trait Source: Send {
    /// Its name, unique in the agent.
    fn name(&self) -> &str;

    /// What kind it is, as in the configuration.
    fn kind(&self) -> &'static str;

    /// Whose observations it makes.
    fn service(&self) -> &Service;

    /// Does a bounded piece of work and never waits. While `may_read` is false what can wait is left where it is.
    fn poll(&mut self, now: Timestamp, may_read: bool, into: &mut Accumulator) -> Progress;

    /// Whether somebody waits to hear that what was counted is durable.
    fn is_awaited(&self) -> bool {
        false
    }

    /// What to store with the seal made right now, which covers everything it has counted. What has no place to go on
    /// from stores nothing.
    fn checkpoint(&mut self) -> Checkpoint {
        Checkpoint::default()
    }

    /// The last checkpoint is durable, since `at`. After a failed seal this is not called, and the next checkpoint
    /// covers everything that the failed one did.
    fn committed(&mut self, _at: Timestamp) {}

    /// What the collector knows of this agent's files, once after a start with a spool that is not the old one.
    fn adopt(&mut self, _now: Timestamp, _frontiers: &[Frontier]) {}

    /// From now on its batches are sealed under another epoch.
    fn epoch_changed(&mut self) {}

    /// Goes on with other settings, perhaps of another name, without losing or repeating anything; `false`, and then
    /// nothing has changed, if it can't: it is built anew where its last checkpoint stands. Only called when everything
    /// it has counted is durable.
    fn reconfigure(&mut self, _settings: &SourceSettings, _into: &mut Accumulator) -> bool {
        false
    }

    /// Under which ids it counts; `None` if it can't say, and then no source's are forgotten after a reload.
    fn in_use(&self) -> Option<InUse> {
        None
    }

    /// Bytes that wait to be read.
    fn lag_bytes(&self) -> u64 {
        0
    }

    /// How it is.
    fn health(&self) -> Health;

    /// Keeps, from now on, what its lines show, for a person who asks. What reads no lines keeps nothing.
    fn keep_evidence(&mut self) {}

    /// What it has seen since [`Source::keep_evidence`]; `None` if nothing is kept.
    fn inspect(&self) -> Option<Inspection<'_>> {
        None
    }

    /// Takes, from now on, the times in lines for what time it was when they were written, and counts those of this span.
    /// What reads no lines of its own time does nothing of the kind.
    fn read_as_past(&mut self, _span: Range<Timestamp>) {}

    /// What time it was, as far as lines have said since [`Source::read_as_past`].
    fn past_mut(&mut self) -> Option<&mut Past> {
        None
    }

    /// Whether there is something that it knows of, could read, and has not read yet.
    fn is_behind(&self) -> bool {
        false
    }
}

/// A source of lines as a person sees it who asks why something is counted or not.
#[derive(Clone, Debug)]
pub struct Inspection<'a> {
    /// What the lines have shown.
    pub lines: &'a Evidence,
    /// The files it follows.
    pub files: Vec<Followed<'a>>,
    /// Compressed files that match and are not read.
    pub skipped: Vec<&'a Path>,
    /// What can't be read at present, with the reason.
    pub problems: Vec<String>,
}

/// How a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It observes.
    Ok,
    /// There is nothing to observe yet.
    Waiting(String),
    /// Something can't be observed.
    Failing(String),
}

/// `ok`, `waiting: …`, `failing: …`.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Waiting(why) => write!(f, "waiting: {why}"),
            Self::Failing(why) => write!(f, "failing: {why}"),
        }
    }
}
