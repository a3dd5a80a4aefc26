//! The broker's queue of dead letters, as the road and those who look at it share it.
//!
//! Owns what one has to know of the other: whether this collector listens at all, how many messages lie there, and that
//! nobody counts them while somebody holds some in hand. Never takes a message out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use watchkeeper_collector_core::engine::Road;
use watchkeeper_proto::v1;

use crate::intake::receive::{Intake, Reply};
use crate::intake::session::Session;

/// Nobody has counted them.
const NOT_COUNTED: u64 = u64::MAX;

/// What is known of the queue.
pub struct DeadQueue {
    intake: Arc<Intake>,
    /// Why batches are not taken in at present.
    silence: Mutex<Option<String>>,
    /// Held by whoever has messages in hand, which the broker does not count.
    looking: Arc<tokio::sync::Mutex<()>>,
    n_messages: AtomicU64,
}

impl DeadQueue {
    /// A queue of which nothing is known yet.
    pub(super) fn new(intake: Arc<Intake>) -> Self {
        intake.expect_parked();
        Self {
            intake,
            silence: Mutex::new(Some("it is not connected yet".to_owned())),
            looking: Arc::default(),
            n_messages: AtomicU64::new(NOT_COUNTED),
        }
    }

    /// Batches are taken in: what is there are the dead letters of this collector.
    pub(super) fn listens(&self) {
        *self.silence() = None;
    }

    /// Batches are not taken in. Another collector may do it meanwhile, and its letters are none of ours.
    pub(super) fn is_silent(&self, why: &str) {
        *self.silence() = Some(why.to_owned());
    }

    fn silence(&self) -> MutexGuard<'_, Option<String>> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this collector takes in batches from this broker.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn is_listening(&self) -> Result<(), String> {
        self.silence().clone().map_or(Ok(()), Err)
    }

    /// Keeps others from counting and looking until the guard is dropped.
    pub(crate) async fn look(&self) -> OwnedMutexGuard<()> {
        self.looking.clone().lock_owned().await
    }

    /// The same, unless somebody looks.
    pub(super) fn look_if_nobody_does(&self) -> Option<OwnedMutexGuard<()>> {
        self.looking.clone().try_lock_owned().ok()
    }

    /// So many messages are there, those in somebody's hand among them.
    pub(crate) async fn holds(&self, n: u64) {
        self.n_messages.store(n, Ordering::Relaxed);
        self.intake.set_parked(n).await;
    }

    /// How many messages were there when they were counted last.
    pub(super) fn n_messages(&self) -> Option<u64> {
        Some(self.n_messages.load(Ordering::Relaxed)).filter(|n| *n != NOT_COUNTED)
    }

    /// Takes in a batch as if its message had come once more.
    ///
    /// # Errors
    /// In words, if this is no agent's id.
    pub(crate) async fn offer(&self, agent: &str, batch: v1::Batch) -> Result<Reply, String> {
        let session = Session::resumed(&self.intake, agent, Road::Amqp);
        let receipt = session.map_err(|e| e.to_string())?.receipt_for(batch).await;
        Ok(Reply { outcome: receipt.outcome(), reason: receipt.reason })
    }
}
