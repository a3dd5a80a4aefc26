//! What the `process` source tells in the log.
//!
//! Owns wording and levels.

use watchkeeper_agent_core::polling::Gap;

pub(super) fn gap(source: &str, gap: &Gap) {
    let (seconds, cause) = (gap.length.as_secs(), gap.cause.as_str());
    tracing::info!(%source, seconds, %cause, "the process was not looked at for a while");
}

pub(super) fn problem(source: &str, problem: &str) {
    tracing::warn!(%source, %problem, "the process can't be observed, or not all of it");
}

pub(super) fn observed_again(source: &str) {
    tracing::info!(%source, "the process is observed again");
}
