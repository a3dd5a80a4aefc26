//! The task of one integration: asks its queue what to do, does it, reports.
//!
//! Owns the clock, the randomness and the attempts under way. Never decides: `queue` does. Its time is monotonic, so a
//! wall clock that jumps neither holds a page back nor hurries it.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use watchkeeper_model::Timestamp;

use super::delivery::{Delivery, Hold, Outcome};
use super::digest;
use super::facts::{AttemptEnded, BreakerTurned, DigestRefused};
use super::queue::{Attempt, Queue, Step};
use crate::channels::{Cause, Channel, Delivered, DeliveryError};

/// Why deliveries for a removed integration fail.
pub(super) const NO_LONGER_CONFIGURED: &str = "receiver no longer configured";

/// How much longer than its deadline a channel may take before it is given up as faulty.
const GRACE: Duration = Duration::from_secs(1);

/// Monotonic time as the queues take it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Timestamp {
        Timestamp::EPOCH + self.0.elapsed()
    }

    fn instant(self, at: Timestamp) -> Instant {
        self.0 + at.since(Timestamp::EPOCH)
    }
}

/// What a worker and the outside share.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    channel: Mutex<Arc<dyn Channel>>,
    changed: Notify,
    clock: Clock,
    /// Nothing new is begun that can't be sent now; ends when nothing is under way.
    pub(super) drain: CancellationToken,
    /// The integration is no more: what can't be sent now is given back.
    retired: AtomicBool,
}

impl Shared {
    pub(super) fn new(queue: Queue, channel: Arc<dyn Channel>, clock: Clock) -> Self {
        Self {
            queue: Mutex::new(queue),
            channel: Mutex::new(channel),
            changed: Notify::new(),
            clock,
            drain: CancellationToken::new(),
            retired: AtomicBool::new(false),
        }
    }

    /// Ends the worker for good; answers what waited.
    pub(super) fn retire(&self) -> Vec<Outcome> {
        self.retired.store(true, Ordering::Release);
        self.drain.cancel();
        self.queue().clear(NO_LONGER_CONFIGURED)
    }

    /// Takes a delivery without waiting for anything.
    pub(super) fn push(&self, mut delivery: Delivery) -> Option<Outcome> {
        delivery.may_digest = self.channel().may_digest(&delivery.notification);
        let replaced = self.queue().push(delivery, self.clock.now());
        self.changed.notify_one();
        replaced
    }

    /// From the next attempt on.
    pub(super) fn set_channel(&self, channel: Arc<dyn Channel>) {
        *lock(&self.channel) = channel;
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// As of the next attempt.
    pub(super) fn channel(&self) -> Arc<dyn Channel> {
        lock(&self.channel).clone()
    }
}

/// A panic elsewhere must not end notifications.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An attempt and how it ended: of one delivery, or of several told together.
struct Ended {
    attempts: Vec<Attempt>,
    took: Duration,
    result: Result<Delivered, DeliveryError>,
}

/// The worker's loop; ends when drained.
pub(super) async fn run(shared: Arc<Shared>, outcomes: mpsc::Sender<Outcome>) {
    let mut attempts = JoinSet::new();
    loop {
        let (expired, step) = {
            let (mut queue, now) = (shared.queue(), shared.clock.now());
            (queue.expire(now), queue.next(now))
        };
        for outcome in expired {
            report(&outcomes, outcome, 0).await;
        }
        let wake_at = match step {
            Step::Send(attempt) => {
                attempts.spawn(make(shared.channel(), vec![attempt]));
                continue;
            }
            Step::Digest(together) => {
                attempts.spawn(make(shared.channel(), together));
                continue;
            }
            Step::Wait(at, hold) => Some((shared.clock.instant(at), hold)),
            Step::Idle => None,
        };
        let may_still_send = matches!(wake_at, Some((_, Hold::Paced)));
        let is_draining = shared.drain.is_cancelled();
        if is_draining && attempts.is_empty() && !may_still_send {
            break;
        }
        tokio::select! {
            Some(ended) = attempts.join_next() => {
                if let Ok(ended) = ended {
                    finish(&shared, &outcomes, ended).await;
                }
            }
            () = sleep(wake_at.map(|(at, _)| at)) => {}
            () = shared.changed.notified() => {}
            () = shared.drain.cancelled(), if !is_draining => {}
        }
    }
    if shared.retired.load(Ordering::Acquire) {
        let given_back = shared.queue().clear(NO_LONGER_CONFIGURED);
        for outcome in given_back {
            report(&outcomes, outcome, 0).await;
        }
    }
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// One attempt, which ends whatever the channel does: late or in a panic too.
async fn make(channel: Arc<dyn Channel>, attempts: Vec<Attempt>) -> Ended {
    let started = Instant::now();
    let deadline = started + channel.timeout();
    let told = match attempts.as_slice() {
        [only] => Some(only.delivery.notification.clone()),
        several => digest::notification(several).map(Arc::new),
    };
    let Some(told) = told else {
        let result = Err(fault(&*channel, Cause::Bug, "bug: an attempt to tell nothing"));
        return Ended { attempts, took: Duration::ZERO, result };
    };
    let delivery = AssertUnwindSafe(channel.deliver(&told, deadline));
    let result = match timeout_at(deadline + GRACE, delivery.catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(fault(&*channel, Cause::Bug, "bug: the channel panicked")),
        Err(_) => Err(fault(&*channel, Cause::TimedOut, "bug: the channel ignored its deadline")),
    };
    Ended { attempts, took: started.elapsed(), result }
}

fn fault(channel: &dyn Channel, cause: Cause, what: &str) -> DeliveryError {
    DeliveryError::new(cause, format!("{}: {what}", channel.kind()))
}

async fn finish(shared: &Shared, outcomes: &mpsc::Sender<Outcome>, ended: Ended) {
    let Ended { attempts, took, result } = ended;
    let (replies, was_broken, is_broken) = {
        let mut queue = shared.queue();
        let (was_broken, now) = (queue.is_broken(), shared.clock.now());
        let replies = match attempts.as_slice() {
            [only] => vec![queue.finish(only, result, draw(), now)],
            several => {
                let refused = result.as_ref().err().filter(|error| !error.is_retryable());
                if let (Some(error), Some(first)) = (refused, several.first()) {
                    let (key, n) = (&first.delivery.key, several.len());
                    DigestRefused { key, n, error: &error.message }.emit();
                }
                queue.finish_digest(several, result, draw(), now)
            }
        };
        (replies, was_broken, queue.is_broken())
    };
    if let Some(Attempt { delivery, .. }) = attempts.first()
        && was_broken != is_broken
    {
        BreakerTurned { key: &delivery.key, is_broken }.emit();
    }
    for (Attempt { incident, n, delivery }, reply) in attempts.into_iter().zip(replies) {
        let outcome = Outcome { delivery: delivery.id, key: delivery.key, attempt: n, took, reply };
        report(outcomes, outcome, incident).await;
    }
}

/// Waits if the engine is behind: what the ledger can't take is not sent either.
async fn report(outcomes: &mpsc::Sender<Outcome>, outcome: Outcome, incident: u64) {
    AttemptEnded { outcome: &outcome, incident }.emit();
    // The other end closes only when the process ends; the ledger then offers the delivery again.
    let _ = outcomes.send(outcome).await;
}

/// A random number in 0..1.
fn draw() -> f64 {
    getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX))
}
