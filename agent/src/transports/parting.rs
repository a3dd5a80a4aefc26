//! The end of a road whose agent was asked to connect again.
//!
//! Owns when it is over: a moment after the last answer, so that receipts that are owed still come. For roads that the
//! collector can't end itself.

use std::time::Duration;

use tokio::time::Instant;
use watchkeeper_proto::v1;

/// Nothing was heard for so long: no more answers are to come.
const QUIET: Duration = Duration::from_secs(1);
/// However much is still heard.
const LIMIT: Duration = Duration::from_secs(10);

/// Whether a road is to end, and when.
#[derive(Debug, Default)]
pub(super) struct Parting {
    /// Asked at, last heard at.
    since: Option<(Instant, Instant)>,
}

impl Parting {
    /// Takes note of an answer.
    pub(super) fn take(&mut self, answer: &v1::ToAgent) {
        if is_reconnect(answer) {
            self.begin();
        } else if let Some((_, heard)) = &mut self.since {
            *heard = Instant::now();
        }
    }

    /// The agent has been asked.
    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        self.since.get_or_insert((now, now));
    }

    /// Whether it has been asked.
    pub(super) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Waits for the end; for ever if the agent was not asked.
    pub(super) async fn over(&self) {
        match self.since {
            Some((asked, heard)) => {
                tokio::time::sleep_until((heard + QUIET).min(asked + LIMIT)).await;
            }
            None => std::future::pending().await,
        }
    }
}

fn is_reconnect(answer: &v1::ToAgent) -> bool {
    matches!(
        &answer.message,
        Some(v1::to_agent::Message::Notice(v1::Notice {
            notice: Some(v1::notice::Notice::Reconnect(_))
        }))
    )
}
