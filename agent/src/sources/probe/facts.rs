//! What the `probe` source tells in the log.
//!
//! Owns wording and levels.

use watchkeeper_agent_core::polling::Gap;

pub(super) fn gap(source: &str, gap: &Gap) {
    let (seconds, cause) = (gap.length.as_secs(), gap.cause.as_str());
    tracing::info!(%source, seconds, %cause, "nobody was asked for a while");
}

pub(super) fn turned(source: &str, result: &'static str, reason: &'static str, why: &str) {
    tracing::info!(%source, result, reason, %why, "the probe has turned");
}

pub(super) fn failed(source: &str) {
    tracing::error!(%source, "bug: an attempt panicked");
}

pub(super) fn lost(source: &str) {
    tracing::error!(%source, "bug: the probe has ended, and is started again");
}
