//! What the `host` source tells in the log.
//!
//! Owns wording and levels.

use watchkeeper_agent_core::polling::Gap;

pub(super) fn gap(source: &str, gap: &Gap) {
    let (seconds, cause) = (gap.length.as_secs(), gap.cause.as_str());
    tracing::info!(%source, seconds, %cause, "the host was not looked at for a while");
}

pub(super) fn problem(source: &str, problem: &str) {
    tracing::warn!(%source, %problem, "not everything of this host can be observed");
}

pub(super) fn all_is_seen(source: &str) {
    tracing::info!(%source, "everything of this host is observed again");
}
