//! What a channel is.
//!
//! Owns the trait between dispatch and the channels. Never names one of them.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::Notification;

use super::error::{Delivered, DeliveryError};

/// How often a receiver wants to be spoken to: `burst` at once, then one every `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two deliveries in the long run.
    pub interval: Duration,
    /// How many may go at once after a rest; at least 1.
    pub burst: u32,
}

/// One integration of one receiver, able to make one attempt.
///
/// An attempt tells the whole notification or fails with a reason; it ends by its deadline whatever the other side
/// does, and nothing it returns or logs holds a secret.
pub trait Channel: Send + Sync + fmt::Debug {
    /// Its kind as in configuration without `_configs`: `slack`, `webhook`.
    fn kind(&self) -> &'static str;

    /// Whether it wants to hear that a problem has ended.
    fn send_resolved(&self) -> bool;

    /// How many alerts one notification may carry; 0 for any number.
    fn max_alerts(&self) -> usize;

    /// How long one attempt may take.
    fn timeout(&self) -> Duration;

    /// How often it may be called.
    fn pace(&self) -> Pace;

    /// Whether this may be told together with others, in one message, when too many wait: only if nothing stays open over
    /// there that a later word has to find again. What is told together is a notification of no incident (number 0).
    fn may_digest(&self, _: &Notification) -> bool {
        false
    }

    /// Makes one attempt, which ends before `deadline`.
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>>;
}
