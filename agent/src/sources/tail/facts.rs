//! What the `tail` source tells in the log.
//!
//! Owns wording and levels.

use watchkeeper_agent_core::tail::Report;

pub(super) fn no_notifications(source: &str, error: &notify::Error) {
    tracing::warn!(%source, %error, "no notifications; files are looked at by the clock only");
}

pub(super) fn reported(source: &str, report: Report) {
    match report {
        Report::Read { .. } => {}
        Report::Truncated { bytes_unknown: 0 } => {
            tracing::info!(%source, "file was cut; reading it anew")
        }
        Report::Truncated { bytes_unknown } => {
            tracing::warn!(%source, bytes_unknown, "file was cut before it was read to its end");
        }
        Report::Unknown { bytes } => {
            tracing::warn!(%source, bytes, "neither this agent nor the collector knows these bytes");
        }
        Report::Abandoned { bytes } => {
            tracing::error!(%source, bytes, "file is gone before it was read to its end");
        }
        Report::Compressed => tracing::warn!(
            %source,
            "compressed file is not read; `compressed: read` reads gzip files that match `paths`, and no others"
        ),
        Report::Damaged { bytes_unknown } => {
            tracing::error!(%source, bytes_unknown, "compressed file is damaged; what follows is not counted");
        }
    }
}

pub(super) fn unreadable(source: &str, problem: &str) {
    tracing::warn!(%source, %problem, "can't read");
}

pub(super) fn readable_again(source: &str) {
    tracing::info!(%source, "everything can be read again");
}

pub(super) fn corrupt(source: &str, error: &dyn std::error::Error) {
    tracing::error!(%source, %error, "this source stands still; its stored positions must be repaired or removed");
}
