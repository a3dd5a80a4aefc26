//! What the `watch` source tells in the log.
//!
//! Owns wording and levels.

use watchkeeper_agent_core::polling::Gap;

pub(super) fn gap(source: &str, gap: &Gap) {
    let (seconds, cause) = (gap.length.as_secs(), gap.cause.as_str());
    tracing::info!(%source, seconds, %cause, "files were not looked at for a while");
}

pub(super) fn problem(source: &str, problem: &str) {
    tracing::warn!(%source, %problem, "not all files can be watched");
}

pub(super) fn all_is_seen(source: &str) {
    tracing::info!(%source, "all files are watched again");
}

pub(super) fn corrupt(source: &str, row: &str) {
    tracing::error!(
        %source,
        %row,
        "what was known of files can't be read: what changed while the agent was down is not told"
    );
}

pub(super) fn no_notifications(source: &str, error: &notify::Error) {
    tracing::warn!(%source, %error, "changes are not notified: they are found at the next look");
}
