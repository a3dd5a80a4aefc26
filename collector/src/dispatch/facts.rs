//! What dispatch tells about itself.
//!
//! Owns the wording of its log lines. Never logs a notification's content.

use watchkeeper_collector_core::notify::Reply;

use super::delivery::Outcome;
use crate::channels::IntegrationKey;

/// An attempt has ended, or a delivery without one.
pub(super) struct AttemptEnded<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) incident: u64,
}

impl AttemptEnded<'_> {
    pub(super) fn emit(self) {
        let Outcome { delivery, key, attempt, took, reply } = self.outcome;
        let (incident, took_ms) = (self.incident, took.as_millis() as u64);
        match reply {
            Reply::Ok { status, .. } => tracing::info!(
                %key, delivery, incident, attempt, took_ms, status, "notification delivered"
            ),
            Reply::Digested { status, n, .. } => tracing::info!(
                %key, delivery, incident, attempt, took_ms, status, digest_of = n, "notification delivered"
            ),
            Reply::Unrecorded { status, .. } => tracing::warn!(
                %key, delivery, incident, attempt, took_ms, status, "notification delivered unrecorded"
            ),
            Reply::Retry { after, status, error } => tracing::warn!(
                %key, delivery, incident, attempt, took_ms, status, error, after_ms = after.as_millis() as u64,
                "notification failed, will be tried again"
            ),
            Reply::Failed { permanent, status, error } => tracing::error!(
                %key, delivery, incident, attempt, took_ms, status, error, permanent,
                "notification failed"
            ),
        }
    }
}

/// A message that told of many was not taken.
pub(super) struct DigestRefused<'a> {
    pub(super) key: &'a IntegrationKey,
    pub(super) n: usize,
    pub(super) error: &'a str,
}

impl DigestRefused<'_> {
    pub(super) fn emit(self) {
        let Self { key, n, error } = self;
        tracing::warn!(%key, n, error, "a message for many was refused: each is told by itself");
    }
}

/// A receiver is left alone, or back.
pub(super) struct BreakerTurned<'a> {
    pub(super) key: &'a IntegrationKey,
    pub(super) is_broken: bool,
}

impl BreakerTurned<'_> {
    pub(super) fn emit(self) {
        let key = self.key;
        if self.is_broken {
            tracing::warn!(%key, "receiver fails again and again: breaker opened");
        } else {
            tracing::info!(%key, "receiver answers: breaker closed");
        }
    }
}
