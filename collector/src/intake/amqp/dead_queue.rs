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

#[cfg(test)]
mod tests {
    use watchkeeper_collector_core::engine::Input;
    use watchkeeper_model::Kind;

    use super::*;
    use crate::hub::{HubQueue, channel};
    use crate::intake::restoring::settings;
    use crate::store::tests::parts::{batch, open};
    use crate::store::{Fate, WindowsCommit};

    fn told(hub: &mut HubQueue) -> Vec<(u64, Option<u64>)> {
        let numbers = |input| match input {
            Input::DeadLetters { collector, broker } => (collector, broker),
            other => panic!("{other:?}"),
        };
        hub.inputs().into_iter().map(numbers).collect()
    }

    #[tokio::test]
    async fn those_here_and_at_the_broker_are_told_together_whoever_counts() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let settings = tokio::sync::watch::channel(Arc::new(settings(Vec::new()))).1;
        let (handle, mut hub) = channel();
        let intake = Arc::new(Intake::new(store.clone(), handle, settings));
        intake.tell_dead_letters().await.unwrap();
        assert_eq!(told(&mut hub), [(0, Some(0))], "without a broker there are none");
        let queue = DeadQueue::new(intake.clone());
        intake.tell_dead_letters().await.unwrap();
        assert_eq!(told(&mut hub), [(0, None)], "not counted yet");
        assert_eq!(queue.n_messages(), None);
        queue.holds(3).await;
        queue.holds(3).await;
        assert_eq!((told(&mut hub), queue.n_messages()), (vec![(0, Some(3))], Some(3)));
        let fate = Fate::Buried { reason: "no such unit".into(), raw: vec![1], fenced: false };
        let batches = vec![batch(Kind::Windows, 9, fate)];
        store.commit_windows(WindowsCommit { batches, ..WindowsCommit::default() }).await.unwrap();
        intake.tell_dead_letters().await.unwrap();
        store.discard_dead_letter(Kind::Windows, 1).await.unwrap();
        intake.tell_dead_letters().await.unwrap();
        assert_eq!(
            told(&mut hub),
            [(1, Some(3)), (0, Some(3))],
            "the end of one place ends nothing"
        );
    }

    #[tokio::test]
    async fn only_one_looks_or_counts_at_a_time_and_only_where_this_collector_listens() {
        let directory = tempfile::tempdir().unwrap();
        let settings = tokio::sync::watch::channel(Arc::new(settings(Vec::new()))).1;
        let intake = Arc::new(Intake::new(open(directory.path()), channel().0, settings));
        let queue = DeadQueue::new(intake);
        assert!(queue.is_listening().is_err_and(|why| why.contains("not connected yet")));
        queue.listens();
        assert_eq!(queue.is_listening(), Ok(()));
        let looking = queue.look().await;
        assert!(queue.look_if_nobody_does().is_none());
        drop(looking);
        assert!(queue.look_if_nobody_does().is_some());
        queue.is_silent("another collector listens on this broker");
        assert!(queue.is_listening().is_err_and(|why| why.contains("another collector")));
        let refused = queue.offer("no agent", v1::Batch::default()).await;
        assert!(refused.is_err_and(|why| why.contains("1 to 253")));
    }
}
