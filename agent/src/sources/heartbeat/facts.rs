//! What the `heartbeat` source tells in the log.
//!
//! Owns wording and levels.

use watchkeeper_agent_core::heartbeat::{Absence, Change, JobResult};

pub(super) fn became(source: &str, change: &Change) {
    let (result, run) = (change.result.as_str(), &change.run);
    match change.result {
        JobResult::Ok => tracing::info!(%source, %result, %run, "a run has ended"),
        _ => tracing::warn!(%source, %result, %run, "a run is not as it should be"),
    }
}

pub(super) fn absence(source: &str, absence: &Absence) {
    let (seconds, n_due) = (absence.length.as_secs(), absence.n_due);
    tracing::info!(%source, seconds, n_due, "runs were due while nobody listened");
}
