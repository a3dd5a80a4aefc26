//! Which processes are meant.
//!
//! Owns the promises of those who know: they are asked on the worker's thread and never wait; what takes long they have done
//! beside it.

use std::fmt::Debug;
use std::time::Duration;

use watchkeeper_agent_core::process::{Exit, Process};

use super::table::Moment;
use crate::sources::Beside;

/// Which processes are meant at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Nobody has answered yet.
    NotYet,
    /// These, and so many more that are too many to look at.
    These { pids: Vec<u32>, n_more: usize },
    /// It runs, and has no process of its own.
    NoProcess,
    /// None, for this reason.
    Nobody(String),
    /// That can't be told, for this reason.
    Unclear(String),
}

/// Who knows which processes are meant.
pub(super) trait Knower: Debug + Send {
    /// A turn begins, or something is expected: asks for what takes long. `running` is [`clock::running`].
    ///
    /// [`clock::running`]: watchkeeper_daemon::clock::running
    fn ask(&mut self, beside: &Beside, running: Duration);

    /// Whether there is an answer that was not taken yet.
    fn take(&mut self) -> bool;

    /// Which processes are meant, as far as is known.
    fn whom(&mut self) -> Whom;

    /// Whether this process may be the one that is meant; if not, why.
    fn accepts(&mut self, _process: &Process, _moment: Moment) -> Result<(), String> {
        Ok(())
    }

    /// One has ended: what was known of it is outdated.
    fn died(&mut self, pid: u32);

    /// How one ended whose parent alone knows; `None` while that may still be said.
    fn exit(&self, _pid: u32) -> Option<Exit> {
        Some(Exit::Unknown)
    }

    /// How often it was started again since this was asked last, by whoever starts it.
    fn n_restarts(&mut self) -> u64 {
        0
    }
}
