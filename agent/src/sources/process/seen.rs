//! What a table of processes says.
//!
//! Owns the words that every system is put into. Never looks.

use std::io;
use std::time::Duration;

#[cfg(doc)]
use watchkeeper_agent_core::process::Identity;
use watchkeeper_agent_core::process::Sample;
use watchkeeper_model::Timestamp;

/// A moment, by the clocks that ages are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) uptime: Duration,
    /// What began now would have begun at, in the unit of [`Identity::started`].
    pub(super) started: u64,
}

/// An entry of the list of all processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) pid: u32,
    /// Tells it from another process that has its number later. For one process it may change too.
    pub(super) entry: u64,
}

/// How a process was called.
#[derive(Debug)]
pub(super) struct Called {
    /// When it began, in its own unit.
    pub(super) started: u64,
    pub(super) age: Duration,
    pub(super) parent: u32,
    /// Its words with a space between them; empty for what has none, such as threads of the kernel.
    pub(super) command: String,
}

/// What is known of one process.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) sample: Sample,
    /// Why its open files can't be counted.
    pub(super) closed: Option<io::Error>,
}
