//! The broker's queue as a place of dead letters.
//!
//! Owns whose turn it is, deadlines, and when what is in hand goes back. A retry is the message coming once more: it goes
//! through the intake as it would from the queue, so the store's dedupe keeps it from counting twice, and it is
//! acknowledged only when it counts. Never publishes it back to where it came from: what had killed a collector there would
//! do it again, and nobody could say what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, OwnedMutexGuard};
use watchkeeper_amqp::{Broker, BrokerError};

use super::message::{NAME, NoBatch, batch_of};
use super::renewal::Renewal;
use super::view::{Held, View};
use crate::intake::amqp::DeadQueue;
use crate::letters::letter::{Opened, Retried, RetryOutcome};
use crate::letters::place::{Listed, Place, PlaceError};

/// How long one waits until somebody else has done. With the next two below the 10 s that a request may take.
const WAITING: Duration = Duration::from_secs(2);
/// How long connecting may take.
const OPENING: Duration = Duration::from_secs(3);
/// How long one step in an open view may take; looking ends by itself before that.
const STEP: Duration = Duration::from_secs(4);
/// How often it is looked whether somebody still wants a view.
const TICK: Duration = Duration::from_millis(500);

/// Those in the broker's queue of dead letters.
pub struct BrokerLetters(Arc<Shared>);

struct Shared {
    broker: Arc<Broker>,
    queue: Arc<DeadQueue>,
    view: Arc<Mutex<Option<View>>>,
    /// Letters that were looked at often could not be renewed.
    is_worn: AtomicBool,
}

/// Somebody's turn. If it ends early, whatever was in hand goes back.
struct Turn {
    slot: OwnedMutexGuard<Option<View>>,
    view: View,
}

fn unreachable(detail: impl Into<String>) -> PlaceError {
    PlaceError::Unreachable { place: NAME, detail: detail.into() }
}

/// Within a time, or it is the broker's fault.
async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, PlaceError> {
    match tokio::time::timeout(limit, step).await {
        Ok(done) => done.map_err(|error| unreachable(error.message)),
        Err(_) => Err(unreachable("the broker did not answer in time")),
    }
}

impl BrokerLetters {
    /// Those of this queue; nothing is connected yet.
    pub fn new(broker: Arc<Broker>, queue: Arc<DeadQueue>) -> Self {
        let is_worn = AtomicBool::default();
        Self(Arc::new(Shared { broker, queue, view: Arc::default(), is_worn }))
    }

    async fn turn(&self) -> Result<Turn, PlaceError> {
        self.0.queue.is_listening().map_err(unreachable)?;
        let slot = tokio::time::timeout(WAITING, self.0.view.clone().lock_owned()).await;
        let mut slot =
            slot.map_err(|_| unreachable("somebody else has them in hand: try again"))?;
        let view = match slot.take() {
            Some(view) if view.is_fresh() => view,
            stale => {
                if let Some(view) = stale {
                    self.0.give_back(view).await;
                }
                let view = self.0.open().await?;
                tokio::spawn(self.0.clone().give_back_in_time());
                view
            }
        };
        Ok(Turn { slot, view })
    }
}

impl Turn {
    async fn look(&mut self) -> Result<(), PlaceError> {
        within(STEP, self.view.look()).await
    }

    /// The letter, looked for if it is not in hand.
    async fn find(&mut self, number: u64) -> Result<Option<&Held>, PlaceError> {
        if self.view.find(number).is_none() {
            self.look().await?;
        }
        Ok(self.view.find(number))
    }

    async fn take_out(&mut self, number: u64, queue: &DeadQueue) -> Result<(), PlaceError> {
        let n_left = within(STEP, self.view.take_out(number)).await?;
        queue.holds(n_left).await;
        Ok(())
    }

    /// For whoever goes on within a moment.
    fn end(mut self) {
        self.view.used();
        *self.slot = Some(self.view);
    }
}

impl Shared {
    async fn open(&self) -> Result<View, PlaceError> {
        if self.is_worn.load(Ordering::Relaxed) {
            // Looking on would lose them.
            let trying = async { Renewal::open(&self.broker).await?.probe().await };
            within(OPENING, trying).await?;
            self.is_worn.store(false, Ordering::Relaxed);
        }
        let looking = tokio::time::timeout(WAITING, self.queue.look()).await;
        let looking =
            looking.map_err(|_| unreachable("the broker does not say how many there are"))?;
        within(OPENING, View::open(&self.broker, looking)).await
    }

    /// Gives the view back when nobody wants it any more.
    async fn give_back_in_time(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TICK).await;
            let mut slot = self.view.lock().await;
            match slot.as_ref() {
                None => return,
                Some(view) if view.is_wanted() => {}
                Some(_) => {
                    if let Some(view) = slot.take() {
                        self.give_back(view).await;
                    }
                    return;
                }
            }
        }
    }

    async fn give_back(&self, mut view: View) {
        if view.worn().next().is_some() {
            self.renew(&mut view).await;
        }
        match tokio::time::timeout(STEP, view.give_back()).await {
            Ok(Ok(n)) => {
                self.queue.holds(n).await;
                let _ = tokio::time::timeout(STEP, view.close()).await;
            }
            // With its connection the broker has them back.
            Ok(Err(_)) | Err(_) => drop(view),
        }
    }

    async fn renew(&self, view: &mut View) {
        let n_worn = view.worn().count();
        let renewal = tokio::time::timeout(OPENING, Renewal::open(&self.broker)).await;
        let n_copied = match renewal {
            Ok(Ok(renewal)) => renewal.copy(view.worn()).await,
            Ok(Err(_)) | Err(_) => 0,
        };
        let is_done = n_copied == n_worn;
        self.is_worn.store(!is_done, Ordering::Relaxed);
        if !is_done {
            tracing::warn!(
                n_worn,
                n_copied,
                "dead letters at the broker were looked at often and could not be renewed"
            );
        }
        let _ = view.renewed(n_copied).await;
    }
}

impl Place for BrokerLetters {
    fn name(&self) -> &'static str {
        NAME
    }

    fn letters(&self) -> BoxFuture<'_, Result<Listed, PlaceError>> {
        Box::pin(async move {
            let mut turn = self.turn().await?;
            turn.look().await?;
            let listed = Listed { letters: turn.view.letters(), n_left_out: turn.view.n_behind() };
            turn.end();
            Ok(listed)
        })
    }

    fn open(&self, number: u64) -> BoxFuture<'_, Result<Option<Opened>, PlaceError>> {
        Box::pin(async move {
            let mut turn = self.turn().await?;
            let opened = turn.find(number).await?.map(opened);
            turn.end();
            Ok(opened)
        })
    }

    fn retry(&self, number: u64) -> BoxFuture<'_, Result<Option<Retried>, PlaceError>> {
        Box::pin(async move {
            let mut turn = self.turn().await?;
            let Some(held) = turn.find(number).await? else {
                turn.end();
                return Ok(None);
            };
            let refused = |reason| Retried { outcome: RetryOutcome::Refused, reason };
            let retried = match batch_of(&held.delivery.properties, &held.delivery.data) {
                Err(NoBatch::Never(reason)) => refused(reason),
                Err(NoBatch::Newer(reason)) => Retried { outcome: RetryOutcome::NotYet, reason },
                Ok((agent, batch)) => match self.0.queue.offer(&agent, batch).await {
                    Err(reason) => refused(reason),
                    Ok(reply) => {
                        Retried { outcome: RetryOutcome::of(reply.outcome), reason: reply.reason }
                    }
                },
            };
            if retried.outcome == RetryOutcome::Counted {
                // If the broker does not hear of it, it is a letter that counts already: the next retry finds that out.
                turn.take_out(number, &self.0.queue).await?;
            }
            turn.end();
            Ok(Some(retried))
        })
    }

    fn drop_letter(&self, number: u64) -> BoxFuture<'_, Result<bool, PlaceError>> {
        Box::pin(async move {
            let mut turn = self.turn().await?;
            let is_there = turn.find(number).await?.is_some();
            if is_there {
                turn.take_out(number, &self.0.queue).await?;
            }
            turn.end();
            Ok(is_there)
        })
    }
}

fn opened(held: &Held) -> Opened {
    let (properties, data) = (&held.delivery.properties, &held.delivery.data);
    let sealed = batch_of(properties, data).map(|(_, batch)| batch.body.to_vec());
    Opened { letter: held.letter.clone(), sealed: sealed.unwrap_or_else(|_| data.clone()) }
}
