//! One probe at work beside the worker: waits for its slot, asks, and says what it found.
//!
//! Owns the deadline of an attempt, the room all probes share, and that a panic is an attempt of which nothing is known. What
//! is found goes into a queue of [`MAX_FINDINGS`]; while it is full nobody is asked, and the worker tells the gap.

use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use watchkeeper_agent_core::probe::{
    Expectations, Failure, Finding, Judged, Moment, Reason, Said, Schedule, Seen, judge,
};
use watchkeeper_daemon::clock;
use watchkeeper_model::Masks;

use super::facts;
use super::kinds::{Prober, Target};
use crate::descriptors;
use crate::sources::Soon;

/// Findings that wait for the worker, which takes them at least once a second.
pub(super) const MAX_FINDINGS: usize = 64;

/// Attempts of all probes of this process at the same time: each holds a descriptor or a few.
const MAX_AT_ONCE: usize = 512;

/// The part of the process's descriptors that attempts may take: the spool, the road and log files need theirs.
const SHARE: u64 = 4;

/// The room that all probes share, as they share the descriptors of the process.
static ROOM: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(most_at_once()));

/// How many attempts there may be at the same time.
fn most_at_once() -> usize {
    let descriptors = usize::try_from(descriptors::limit() / SHARE).unwrap_or(MAX_AT_ONCE);
    descriptors.clamp(1, MAX_AT_ONCE)
}

/// What one probe needs to ask.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) name: String,
    pub(super) schedule: Schedule,
    pub(super) target: Target,
    pub(super) expectations: Expectations,
    /// What must not be told of what was seen.
    pub(super) masks: Masks,
    pub(super) findings: mpsc::Sender<Found>,
    pub(super) soon: Soon,
}

/// A finding on its way to the worker.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) finding: Finding,
    /// When it was known, by both clocks.
    pub(super) ended: Moment,
}

impl Asker {
    /// Asks until nobody wants to know any more.
    pub(super) async fn run(mut self) {
        let begun = Instant::now();
        let mut prober = self.target.open(&self.expectations);
        loop {
            sleep_until(begun + self.schedule.next()).await;
            let found = self.attempt(&mut prober).await;
            if found.finding.judged.reason == Reason::Certificate {
                // Whom this machine trusts may change: what was kept is made anew.
                prober = self.target.open(&self.expectations);
            }
            if self.findings.send(found).await.is_err() {
                return;
            }
            self.soon.wake();
            self.schedule.used(begun.elapsed());
        }
    }

    /// One attempt.
    pub(super) async fn attempt(&self, prober: &mut Box<dyn Prober>) -> Found {
        let mut begun = moment();
        let mut seen = Seen::default();
        seen.masks = self.masks.clone();
        seen.waits_for = "an answer";
        let room = timeout(self.expectations.within, ROOM.acquire()).await;
        let came = match &room {
            Ok(Ok(_)) => {
                begun = moment();
                self.asked(prober, &mut seen).await
            }
            _ => Err(Failure::new(
                Reason::Resources,
                format!("{} probes are under way, and none has ended in time", most_at_once()),
            )),
        };
        drop(room);
        let ended = moment();
        let took = ended.running.saturating_sub(begun.running);
        seen.say("latency", Said::Span(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX)));
        let judged =
            judge(came, &seen, &self.expectations, (begun, ended), self.expectations.within);
        Found { finding: finding(seen, judged, took, ended), ended }
    }

    async fn asked(&self, prober: &mut Box<dyn Prober>, seen: &mut Seen) -> Result<(), Failure> {
        let deadline = Instant::now() + self.expectations.within;
        let asking = AssertUnwindSafe(prober.ask(seen)).catch_unwind();
        match timeout_at(deadline, asking).await {
            Ok(Ok(came)) => came,
            Ok(Err(_)) => {
                facts::failed(&self.name);
                *prober = self.target.open(&self.expectations);
                Err(Failure::new(Reason::Bug, "bug: the attempt panicked"))
            }
            Err(_) => Err(self.given_up(seen)),
        }
    }
}

impl Asker {
    /// Time ran out.
    fn given_up(&self, seen: &mut Seen) -> Failure {
        let step = match seen.parts.split_last_mut() {
            Some((last, others)) => {
                let before: Duration = others.iter().map(|part| part.took).sum();
                last.took = self.expectations.within.saturating_sub(before);
                format!("step {}: ", last.name)
            }
            None => String::new(),
        };
        let (seconds, waits_for) = (self.expectations.within.as_secs_f64(), seen.waits_for);
        let what = format!("{step}no answer within {seconds} s: it waited for {waits_for}");
        let is_ours = seen.waits_for_room;
        Failure::new(if is_ours { Reason::Resources } else { Reason::Timeout }, what)
    }
}

fn moment() -> Moment {
    Moment { at: clock::now(), running: clock::running() }
}

fn finding(seen: Seen, judged: Judged, took: Duration, ended: Moment) -> Finding {
    let expires_in = match seen.get("certificate.expires_in") {
        Some(Said::Span(nanos)) => Some(*nanos),
        _ => None,
    };
    let Seen { phases, mut parts, .. } = seen;
    // A step that did not come to its end has the reason of the whole.
    if let Some(last) = parts.last_mut().filter(|last| last.reason == Reason::Timeout) {
        last.reason = judged.reason;
    }
    Finding { at: ended.at, judged, took, phases, parts, expires_in }
}
