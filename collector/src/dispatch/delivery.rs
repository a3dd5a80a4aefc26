//! What goes into dispatch and what comes out of it.
//!
//! Owns these types. Never decides.

use std::sync::Arc;
use std::time::Duration;

use watchkeeper_collector_core::engine;
use watchkeeper_collector_core::notify::{Notification, Reply};
use watchkeeper_model::Severity;

use crate::channels::IntegrationKey;

/// One thing to send.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Under which attempts are reported.
    pub id: u64,
    /// By which integration.
    pub key: IntegrationKey,
    /// Whether the ledger knows of it; a success without is reported as unrecorded.
    pub recorded: bool,
    /// What to send.
    pub notification: Arc<Notification>,
    /// Whether its channel would tell it together with others.
    pub(super) may_digest: bool,
}

impl Delivery {
    /// What the engine wants sent; `recorded` if its ledger row is durable.
    pub fn new(wanted: engine::Delivery, recorded: bool) -> Self {
        let engine::Delivery { id, integration, notification, .. } = wanted;
        let key = IntegrationKey::new(&notification.receiver, &integration);
        Self { id, key, recorded, notification: Arc::new(notification), may_digest: false }
    }

    /// What ends it without an attempt; unless `permanent` the engine may decide it anew.
    pub(super) fn given_up(&self, attempt: u32, permanent: bool, error: String) -> Outcome {
        let reply = Reply::Failed { permanent, status: None, error };
        let key = self.key.clone();
        Outcome { delivery: self.id, key, attempt, took: Duration::ZERO, reply }
    }

    /// The worst severity that fires in it, or of all alerts if none does.
    pub(super) fn severity(&self) -> Severity {
        self.notification.severity()
    }
}

/// What became of one attempt, or of a delivery without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which delivery.
    pub delivery: u64,
    /// By which integration.
    pub key: IntegrationKey,
    /// Which attempt of this process, from 1; 0 if none was made.
    pub attempt: u32,
    /// How long the attempt took.
    pub took: Duration,
    /// For the engine.
    pub reply: Reply,
}

/// Why nothing is sent just now although something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Everything that waits has failed before and rests.
    Backoff,
    /// The receiver asked to be left alone.
    Paused,
    /// The breaker is open.
    Broken,
    /// The receiver takes only so many a second.
    Paced,
    /// As many as allowed are under way.
    Busy,
}

impl Hold {
    /// As in metrics and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backoff => "backoff",
            Self::Paused => "paused",
            Self::Broken => "broken",
            Self::Paced => "paced",
            Self::Busy => "busy",
        }
    }
}
