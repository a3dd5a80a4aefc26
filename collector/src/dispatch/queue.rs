//! Which delivery is next, when, and what becomes of one that failed.
//!
//! Owns pauses, the breaker, the pace, retries and giving up. Never waits and never sends: it takes `now` and answers.

use std::time::Duration;

use watchkeeper_collector_core::notify::Reply;
use watchkeeper_model::{Severity, Timestamp};

use super::backoff::Retry;
use super::breaker::{Breaker, BreakerSettings, Gate};
use super::delivery::{Delivery, Hold, Outcome};
use super::lanes::Lanes;
use super::meter::Meter;
use crate::channels::{Cause, Delivered, DeliveryError, Pace, text};

/// What to do now.
#[derive(Debug)]
pub(super) enum Step {
    /// Make this attempt and call [`Queue::finish`].
    Send(Attempt),
    /// Tell these together in one attempt and call [`Queue::finish_digest`].
    Digest(Vec<Attempt>),
    /// Ask again then, or when something was pushed or finished.
    Wait(Timestamp, Hold),
    /// Ask again when something was pushed or finished.
    Idle,
}

/// One attempt to make.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) incident: u64,
    /// Which attempt of its delivery, from 1.
    pub(super) n: u32,
    pub(super) delivery: Delivery,
}

/// What a queue goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueSettings {
    pub(super) retry: Retry,
    pub(super) breaker: BreakerSettings,
    pub(super) pace: Pace,
    pub(super) max_in_flight: usize,
}

/// Everything that waits for one integration.
#[derive(Debug)]
pub(super) struct Queue {
    settings: QueueSettings,
    lanes: Lanes,
    meter: Meter,
    breaker: Breaker,
    paused_until: Timestamp,
    last_error: String,
    /// Attempts under way; one of them may tell many deliveries.
    n_attempts: usize,
    n_digests_failed: u64,
}

/// Deliveries of less than a page are told together when one has waited so long for its turn, and so many wait: at Slack's
/// one a second a hundred groups would take minutes otherwise.
const DIGEST_AFTER: Duration = Duration::from_secs(5);
const DIGEST_FROM: usize = 10;

/// Most deliveries in one message: their names don't all stand in it, but each is done with.
const DIGEST_AT_MOST: usize = 1_000;

impl Queue {
    pub(super) fn new(settings: QueueSettings) -> Self {
        Self {
            settings,
            lanes: Lanes::default(),
            meter: Meter::new(settings.pace),
            breaker: Breaker::new(settings.breaker),
            paused_until: Timestamp(i64::MIN),
            last_error: String::new(),
            n_attempts: 0,
            n_digests_failed: 0,
        }
    }

    /// Takes a delivery; answers with the update whose place it took, if it did. One that is known is not taken twice.
    pub(super) fn push(&mut self, delivery: Delivery, now: Timestamp) -> Option<Outcome> {
        self.lanes.push(delivery, now)
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Timestamp) -> Step {
        self.lanes.wake(now);
        let Some((incident, severity)) = self.lanes.first() else {
            return self.lanes.wakes_at().map_or(Step::Idle, |at| {
                Step::Wait(at.min(self.trouble_expiry(now)), Hold::Backoff)
            });
        };
        match self.hold(severity, now) {
            None => match self.digest(severity, now) {
                Some(attempts) => Step::Digest(attempts),
                None => self.send(incident, now),
            },
            Some((_, Hold::Busy)) => Step::Idle,
            Some((until, hold)) => Step::Wait(until.min(self.trouble_expiry(now)), hold),
        }
    }

    fn send(&mut self, incident: u64, now: Timestamp) -> Step {
        let Some(attempt) = self.attempt(incident) else { return Step::Idle };
        self.leave(now);
        Step::Send(attempt)
    }

    /// What is told together now; `None` if the next delivery goes by itself. Pages go before it, one by one.
    fn digest(&mut self, next: Severity, now: Timestamp) -> Option<Vec<Attempt>> {
        if next >= Severity::Critical {
            return None;
        }
        let (incidents, since) = self.lanes.digestible(DIGEST_AT_MOST);
        let is_flood = since.is_some_and(|since| since + DIGEST_AFTER <= now);
        if incidents.len() < DIGEST_FROM || !is_flood {
            return None;
        }
        let attempts = incidents.into_iter().filter_map(|incident| self.attempt(incident));
        let attempts = attempts.collect();
        self.leave(now);
        Some(attempts)
    }

    fn attempt(&mut self, incident: u64) -> Option<Attempt> {
        let head = self.lanes.send(incident)?;
        Some(Attempt { incident, n: head.n_failed + 1, delivery: head.delivery.clone() })
    }

    /// A request leaves.
    fn leave(&mut self, now: Timestamp) {
        self.n_attempts += 1;
        self.meter.take(now);
        self.breaker.sent();
    }

    /// Why a delivery of that severity can't leave, and until when.
    fn hold(&self, severity: Severity, now: Timestamp) -> Option<(Timestamp, Hold)> {
        // The last of several slots is kept for pages: they must not wait for tickets that hang.
        let is_page = severity >= Severity::Critical;
        let n_reserved = usize::from(self.settings.max_in_flight > 1 && !is_page);
        if self.n_attempts + n_reserved >= self.settings.max_in_flight {
            return Some((Timestamp::MAX, Hold::Busy));
        }
        let ready_at = self.meter.ready_at();
        self.trouble(now).or_else(|| (ready_at > now).then_some((ready_at, Hold::Paced)))
    }

    /// Why nothing at all can leave, and until when, if that is the receiver's doing.
    fn trouble(&self, now: Timestamp) -> Option<(Timestamp, Hold)> {
        match self.breaker.gate(now) {
            _ if self.paused_until > now => Some((self.paused_until, Hold::Paused)),
            Gate::ClosedUntil(until) => Some((until, Hold::Broken)),
            Gate::Asking => Some((Timestamp::MAX, Hold::Broken)),
            Gate::Open => None,
        }
    }

    /// An attempt has ended. `draw` in 0..1 spreads the retries.
    pub(super) fn finish(
        &mut self,
        attempt: &Attempt,
        result: Result<Delivered, DeliveryError>,
        draw: f64,
        now: Timestamp,
    ) -> Reply {
        self.lanes.returned();
        self.n_attempts -= 1;
        let error = match result {
            Ok(Delivered { status, memory, note }) => {
                self.breaker.answered();
                self.lanes.end(attempt.incident);
                return match attempt.delivery.recorded {
                    true => Reply::Ok { status, memory, note },
                    false => Reply::Unrecorded { status, memory },
                };
            }
            Err(error) => error,
        };
        self.last_error.clone_from(&error.message);
        if error.is_retryable() {
            let at = self.retry_at(attempt.n, &error, draw, now);
            return self.retry(attempt, error, at, now);
        }
        self.breaker.answered();
        self.lanes.end(attempt.incident);
        Reply::Failed { permanent: true, status: error.status, error: error.message }
    }

    /// An attempt to tell many together has ended; the reply for each of them, in their order. None if it was refused: then
    /// each is told by itself, for it may be the digest that can't be taken.
    pub(super) fn finish_digest(
        &mut self,
        attempts: &[Attempt],
        result: Result<Delivered, DeliveryError>,
        draw: f64,
        now: Timestamp,
    ) -> Vec<Reply> {
        attempts.iter().for_each(|_| self.lanes.returned());
        self.n_attempts -= 1;
        let error = match result {
            Ok(Delivered { status, note, .. }) => {
                self.breaker.answered();
                attempts.iter().for_each(|attempt| drop(self.lanes.end(attempt.incident)));
                let n = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
                let reply = |attempt: &Attempt| match attempt.delivery.recorded {
                    true => Reply::Digested { status, n, note: note.clone() },
                    false => Reply::Unrecorded { status, memory: None },
                };
                return attempts.iter().map(reply).collect();
            }
            Err(error) => error,
        };
        self.last_error.clone_from(&error.message);
        if !error.is_retryable() {
            self.breaker.answered();
            attempts.iter().for_each(|attempt| self.lanes.part(attempt.incident));
            return Vec::new();
        }
        self.n_digests_failed += 1;
        for attempt in attempts {
            self.lanes.note_digest(attempt.incident, self.n_digests_failed);
        }
        let n = attempts.iter().map(|attempt| attempt.n).max().unwrap_or(1);
        let at = self.retry_at(n, &error, draw, now);
        attempts.iter().map(|attempt| self.retry(attempt, error.clone(), at, now)).collect()
    }

    /// Puts it back until `at`, or gives up when that would be too late.
    fn retry(
        &mut self,
        tried: &Attempt,
        error: DeliveryError,
        at: Timestamp,
        now: Timestamp,
    ) -> Reply {
        let since = self.lanes.head(tried.incident).map_or(now, |head| head.since);
        let DeliveryError { status, message, .. } = error;
        if at <= since + self.settings.retry.window {
            self.lanes.rest(tried.incident, at);
            return Reply::Retry { after: at.since(now), status, error: message };
        }
        self.lanes.end(tried.incident);
        let (n, span) = (tried.n, text::span(now.since(since)));
        let attempts = if n == 1 { "attempt" } else { "attempts" };
        let error = format!("{message} (gave up after {n} {attempts} in {span})");
        Reply::Failed { permanent: false, status, error }
    }

    /// When to try again after the `n`th attempt; tells breaker and pause what happened.
    fn retry_at(&mut self, n: u32, error: &DeliveryError, draw: f64, now: Timestamp) -> Timestamp {
        let wait = error.retry_after().unwrap_or_else(|| self.settings.retry.wait(n, draw));
        let at = now + wait;
        if error.retry_after().is_some() || error.cause == Cause::RateLimited {
            // It said when: that holds for everything that waits, and is no sign of trouble.
            self.paused_until = self.paused_until.max(at);
            self.breaker.postponed(now);
            return at;
        }
        if error.cause == Cause::PutOff {
            // It answers: nobody else must wait for one who is put off.
            self.breaker.answered();
            return at;
        }
        self.breaker.failed(now);
        self.trouble(now).map_or(at, |(until, _)| at.max(until))
    }

    /// Gives back what has waited longer than the retry window for a receiver in trouble: the engine decides anew, with
    /// fresh facts. What merely waits its turn stays.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Outcome> {
        let mut expired = Vec::new();
        while self.trouble_expiry(now) <= now {
            let oldest = self.lanes.oldest().and_then(|(incident, _)| self.lanes.end(incident));
            let Some(item) = oldest else { break };
            let waited = text::span(now.since(item.since));
            let error = format!("receiver in trouble, waited {waited}: {}", self.last_error);
            expired.push(item.delivery.given_up(item.n_failed, false, error));
        }
        expired
    }

    /// When the oldest that waits is to be given back, if the receiver is in trouble.
    fn trouble_expiry(&self, now: Timestamp) -> Timestamp {
        let oldest = self.lanes.oldest().filter(|_| self.trouble(now).is_some());
        oldest.map_or(Timestamp::MAX, |(_, since)| since + self.settings.retry.window)
    }

    /// Gives everything back that waits, for an integration that is no more.
    pub(super) fn clear(&mut self, why: &str) -> Vec<Outcome> {
        let items = self.lanes.clear();
        items.iter().map(|item| item.delivery.given_up(item.n_failed, true, why.into())).collect()
    }

    /// How many deliveries wait, those under way not among them.
    pub(super) fn n_waiting(&self) -> usize {
        self.lanes.n_waiting()
    }

    /// How many attempts are under way.
    pub(super) const fn n_in_flight(&self) -> usize {
        self.n_attempts
    }

    /// Why nothing is sent just now, if something waits.
    pub(super) fn held(&self, now: Timestamp) -> Option<Hold> {
        match self.lanes.first() {
            Some((_, severity)) => self.hold(severity, now).map(|(_, hold)| hold),
            None => self.lanes.wakes_at().map(|_| Hold::Backoff),
        }
    }

    /// How long until the receiver is spoken to again, if it is left alone.
    pub(super) fn left_alone_for(&self, now: Timestamp) -> Option<Duration> {
        self.trouble(now).map(|(until, _)| until.since(now))
    }

    /// What the receiver's last failure was; "" if there was none.
    pub(super) fn last_error(&self) -> &str {
        &self.last_error
    }

    pub(super) const fn is_broken(&self) -> bool {
        !self.breaker.is_closed()
    }
}
