//! What the `journal` source tells in the log.
//!
//! Owns wording and levels.

pub(super) fn corrupt(source: &str, error: &dyn std::error::Error) {
    tracing::error!(%source, %error, "this source stands still; its stored position must be repaired or removed");
}

pub(super) fn failed(source: &str, problem: &str) {
    tracing::warn!(%source, %problem, "the journal can't be read at present; it is tried again");
}

pub(super) fn reads_again(source: &str) {
    tracing::info!(%source, "the journal is read again");
}

pub(super) fn closed(source: &str, path: &std::path::Path) {
    tracing::warn!(%source, path = %path.display(), "this part of the journal may not be read");
}

pub(super) fn complained(source: &str, said: &str) {
    tracing::warn!(%source, %said, "journalctl");
}

pub(super) fn new_directory(source: &str) {
    tracing::info!(%source, "there is a new directory of journals; reading anew from where it stood");
}

pub(super) fn place_gone(source: &str) {
    tracing::warn!(%source, "the entry read last does not come again: it is gone, or others are asked for now; what came right behind it may be gone too");
}
