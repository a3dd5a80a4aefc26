//! The collector's own dead letters: batches that it refused for good, in the table of their file.
//!
//! Owns a retry: the content goes through the intake as the batch that it is, so that the store's dedupe keeps it from
//! counting twice whatever else brings it. Never counts by itself.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use watchkeeper_model::{BatchKey, Kind};

use super::letter::{Letter, Opened, Retried, RetryOutcome};
use super::place::{Listed, Place, PlaceError};
use crate::intake::Intake;
use crate::store::{DeadLetter, Reads, Store, StoreError};

/// Said of a letter whose lines were read again.
const FENCED: &str = "no retry can help: what it counts was read again";

/// Those of one kind.
pub struct KeptLetters {
    kind: Kind,
    store: Store,
    intake: Arc<Intake>,
}

impl KeptLetters {
    /// Those of this kind in `store`, retried by `intake`.
    pub fn new(kind: Kind, store: Store, intake: Arc<Intake>) -> Self {
        Self { kind, store, intake }
    }

    /// Asks the store where blocking is allowed.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reads) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PlaceError> {
        let reads = self.store.reads().clone();
        let asked = tokio::task::spawn_blocking(move || question(&reads)).await;
        Ok(asked.map_err(|_| StoreError::Closed { file: "dead letters" })??)
    }

    async fn find(&self, id: u64) -> Result<Option<(DeadLetter, Vec<u8>)>, PlaceError> {
        let kind = self.kind;
        self.ask(move |reads| reads.dead_letter(kind, id)).await
    }

    async fn lead_through(
        &self,
        letter: DeadLetter,
        sealed: Vec<u8>,
    ) -> Result<Retried, PlaceError> {
        if letter.fenced {
            let reason = format!("{FENCED}: {}", letter.reason);
            return Ok(Retried { outcome: RetryOutcome::Refused, reason });
        }
        let reply = self.intake.again(&key_of(&letter), letter.digest, sealed).await?;
        let outcome = RetryOutcome::of(reply.outcome);
        if outcome == RetryOutcome::Counted {
            // Nearly always gone with the commit that counted it; left if it was counted by another way.
            self.store.discard_dead_letter(self.kind, letter.id).await?;
        }
        Ok(Retried { outcome, reason: reply.reason })
    }
}

impl Place for KeptLetters {
    fn name(&self) -> &'static str {
        self.kind.as_str()
    }

    fn letters(&self) -> BoxFuture<'_, Result<Listed, PlaceError>> {
        let kind = self.kind;
        Box::pin(async move {
            let all = self.ask(move |reads| reads.dead_letters(kind)).await?;
            Ok(Listed { letters: all.iter().map(letter_of).collect(), n_left_out: 0 })
        })
    }

    fn open(&self, number: u64) -> BoxFuture<'_, Result<Option<Opened>, PlaceError>> {
        Box::pin(async move {
            let found = self.find(number).await?;
            Ok(found.map(|(letter, sealed)| Opened { letter: letter_of(&letter), sealed }))
        })
    }

    fn retry(&self, number: u64) -> BoxFuture<'_, Result<Option<Retried>, PlaceError>> {
        Box::pin(async move {
            match self.find(number).await? {
                None => Ok(None),
                Some((letter, sealed)) => self.lead_through(letter, sealed).await.map(Some),
            }
        })
    }

    fn drop_letter(&self, number: u64) -> BoxFuture<'_, Result<bool, PlaceError>> {
        Box::pin(async move { Ok(self.store.discard_dead_letter(self.kind, number).await?) })
    }
}

fn key_of(letter: &DeadLetter) -> BatchKey {
    BatchKey { stream: letter.stream.clone(), seq: letter.seq }
}

fn letter_of(letter: &DeadLetter) -> Letter {
    let id = format!("{}-{}", letter.stream.kind.as_str(), letter.id);
    let key = key_of(letter);
    Letter {
        reason: letter.reason.clone(),
        bytes: letter.n_bytes,
        retryable: !letter.fenced,
        ..Letter::of(id, "collector", &key, letter.digest, letter.received_at)
    }
}
