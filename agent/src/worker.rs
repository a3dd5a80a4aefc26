//! The worker thread: the single owner of all sources and of what they have counted since the last seal.
//!
//! Owns the loop observe → seal → commit. Because one thread reads, counts, takes positions and seals, a batch and the
//! positions it covers can never disagree. Never talks to the collector: sealed batches are the spool's.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use watchkeeper_agent_core::observe::{Accumulator, Sealed};
use watchkeeper_agent_core::seal::SealPolicy;
use watchkeeper_daemon::{clock, crash};
use watchkeeper_model::{Body, Frontier, Kind, Timestamp};

use crate::config::AgentSettings;
use crate::delivery::ForSources;
use crate::reload::Pending;
use crate::sources::{Beside, Checkpoint, Progress, Source, Wakes};
use crate::spool::{SealRequest, SourceCheckpoint, Spool, SpoolError};
use crate::status::{SourceStatus, Status};
use crate::{facts, wire};

/// The longest the worker sleeps: status and clock jumps are looked at this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What reaches the worker from outside.
#[derive(Debug)]
pub enum Command {
    /// From the collector.
    Collector(ForSources),
    /// Go over to these settings, read at this time.
    Reload(Box<AgentSettings>, Timestamp),
    /// Seal what there is and end.
    Stop,
}

/// What the worker needs.
pub struct Worker {
    /// What it runs with; its `sources` are those below, in the same order.
    pub settings: AgentSettings,
    /// All sources.
    pub sources: Vec<Box<dyn Source>>,
    /// What they have counted.
    pub counted: Accumulator,
    /// When to seal.
    pub policy: SealPolicy,
    /// Where batches go.
    pub spool: Arc<Spool>,
    /// Rung after every seal.
    pub sealed: Arc<Notify>,
    /// Written for everybody.
    pub status: Arc<Status>,
    /// Commands.
    pub commands: Receiver<Command>,
    /// Wakes the worker.
    pub wakes: Wakes,
    /// Where sources do what may take long.
    pub beside: Beside,
    /// Says when this spool has been welcomed.
    pub spool_is_new: watch::Sender<bool>,
    /// After this time without a welcome files are read from where the spool says.
    pub patience_until: Option<Timestamp>,
    /// What the last welcome said of sources that there were none of; `None` before the first.
    pub heard: Option<Vec<Frontier>>,
    /// Settings that could not be gone over to yet.
    pub pending: Option<Pending>,
}

impl Worker {
    /// Runs until told to stop; then seals once more.
    pub fn run(mut self) {
        loop {
            if self.take_commands() {
                break;
            }
            let now = clock::now();
            self.lose_patience(now);
            let (next, dirty) = self.poll(now);
            let dirty = dirty || self.wants_to_go_over();
            let next = match self.next_seal(clock::now(), dirty) {
                Some(at) if at <= clock::now() => {
                    self.seal(clock::now());
                    continue;
                }
                Some(at) => next.min(at),
                None => next,
            };
            self.tell_status();
            self.wakes.wait(next.since(clock::now()).min(LONGEST_SLEEP));
        }
        // Whoever ends goes over to nothing any more.
        self.pending = None;
        let now = clock::now();
        self.poll(now);
        self.seal(clock::now());
    }

    /// Takes in all commands that wait; whether to stop.
    pub(crate) fn take_commands(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Collector(ForSources::Bounds(bounds))) => {
                    self.counted.clear_wanted_bounds();
                    for (service, signal, at) in bounds {
                        self.counted.set_wanted_bounds(&service, &signal, &at);
                    }
                }
                Ok(Command::Collector(ForSources::Frontiers(frontiers))) => {
                    let now = clock::now();
                    for source in &mut self.sources {
                        source.adopt(now, &frontiers);
                    }
                    self.hear(frontiers);
                    self.welcomed(now);
                }
                Ok(Command::Collector(ForSources::EpochChanged)) => {
                    self.sources.iter_mut().for_each(|s| s.epoch_changed());
                }
                Ok(Command::Reload(settings, asked_at)) => {
                    self.reload(settings, asked_at, clock::now());
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    /// A source that is added later hears what was said of it.
    fn hear(&mut self, mut frontiers: Vec<Frontier>) {
        let names: BTreeSet<&str> = self.sources.iter().map(|s| s.name()).collect();
        frontiers.retain(|f| !names.contains(f.source.as_str()));
        self.heard = Some(frontiers);
    }

    /// The first welcome is taken in durably with the positions it led to: from then on the spool is not new.
    fn welcomed(&mut self, now: Timestamp) {
        self.patience_until = None;
        if *self.spool_is_new.borrow() && self.store(now, true) {
            self.spool_is_new.send_replace(false);
        }
    }

    fn lose_patience(&mut self, now: Timestamp) {
        if self.patience_until.is_some_and(|until| until <= now) {
            self.patience_until = None;
            facts::patience_lost();
            for source in &mut self.sources {
                source.adopt(now, &[]);
            }
        }
    }

    /// Lets every source do a bounded piece of work; when to call again, and whether a position is worth storing.
    pub(crate) fn poll(&mut self, now: Timestamp) -> (Timestamp, bool) {
        let may_read = self.policy.may_read();
        let (mut next, mut dirty) = (now + LONGEST_SLEEP, false);
        for source in &mut self.sources {
            if let Some(progress) = poll_source(source.as_mut(), now, may_read, &mut self.counted) {
                next = next.min(progress.next);
                dirty |= progress.dirty;
            }
        }
        (next, dirty)
    }

    fn next_seal(&mut self, now: Timestamp, dirty: bool) -> Option<Timestamp> {
        self.policy.spool_filled(self.spool.fill());
        let something = dirty || !self.counted.is_empty();
        let deadline = self.policy.next_deadline(now, self.counted.held_bytes(), something)?;
        let is_awaited = self.sources.iter().any(|source| source.is_awaited());
        Some(if is_awaited { deadline.min(self.policy.awaited_deadline(now)) } else { deadline })
    }

    pub(crate) fn seal(&mut self, now: Timestamp) {
        if self.store(now, false) {
            self.go_over(now);
        }
    }

    /// One transaction: everything counted, and where every source stands. Whether it is durable.
    fn store(&mut self, now: Timestamp, welcomed: bool) -> bool {
        let checkpoints: Vec<Checkpoint> =
            self.sources.iter_mut().map(|s| s.checkpoint()).collect();
        let frontiers = self
            .sources
            .iter()
            .zip(&checkpoints)
            .flat_map(|(source, c)| {
                c.frontiers.iter().map(|f| (source.service().clone(), f.clone()))
            })
            .collect();
        let sealed = self.counted.seal(now, &self.policy.order(), frontiers);
        let request = match request(&self.sources, &sealed, checkpoints, welcomed) {
            Ok(request) => request,
            Err(error) => {
                self.failed(now, sealed, &SpoolError::Io { path: "zstd".into(), error });
                return false;
            }
        };
        crash::point("agent.before_seal");
        match self.spool.seal(&request, now) {
            Ok(()) => {
                for source in &mut self.sources {
                    source.committed(now);
                }
                self.tell_sealed(&sealed);
                self.policy.sealed(now);
                self.sealed.notify_one();
                crash::point("agent.after_seal");
                true
            }
            Err(error) => {
                self.failed(now, sealed, &error);
                false
            }
        }
    }

    /// What is durable now counts for the metrics too.
    fn tell_sealed(&self, sealed: &Sealed) {
        let bodies = sealed.services.iter().flat_map(|s| &s.bodies);
        let tallies = bodies.filter_map(|body| match body {
            Body::Windows { tallies, .. } => Some(tallies),
            Body::Events { .. } => None,
        });
        self.status.update(|status| {
            tallies.flatten().for_each(|tally| status.add(tally));
            if status.spool.take().is_some() {
                facts::sealing_again();
            }
        });
    }

    fn failed(&mut self, now: Timestamp, sealed: Sealed, error: &SpoolError) {
        if self.status.get().spool.is_none() {
            facts::seal_failed(error);
        }
        self.status.update(|s| s.spool = Some(error.to_string()));
        self.counted.restore(sealed);
        self.policy.seal_failed(now);
    }

    fn tell_status(&self) {
        let sources: Vec<SourceStatus> = self
            .sources
            .iter()
            .map(|s| SourceStatus {
                name: s.name().to_owned(),
                kind: s.kind(),
                state: s.health().to_string(),
                service: s.service().as_str().to_owned(),
                lag_bytes: s.lag_bytes(),
            })
            .collect();
        self.status.set_sources(sources);
        let overflowed = self.counted.overflowed();
        let held_back = self.counted.held_back();
        self.status.update(|s| {
            s.stage = self.policy.stage();
            s.overflowed = overflowed.into_iter().map(|o| (o.signal, o.label, o.n)).collect();
            s.held_back = held_back.into_iter().map(|h| (h.source, h.event, h.n)).collect();
            s.starting = false;
        });
    }
}

/// Lets a source do a bounded piece of work. One that panics loses this turn; what it had counted and its positions stay
/// as they were.
pub(crate) fn poll_source(
    source: &mut dyn Source,
    now: Timestamp,
    may_read: bool,
    counted: &mut Accumulator,
) -> Option<Progress> {
    let progress = catch_unwind(AssertUnwindSafe(|| source.poll(now, may_read, counted)));
    progress.inspect_err(|_| facts::source_panicked(source.name())).ok()
}

fn request(
    sources: &[Box<dyn Source>],
    sealed: &Sealed,
    checkpoints: Vec<Checkpoint>,
    welcomed: bool,
) -> std::io::Result<SealRequest> {
    let mut batches = Vec::new();
    for service in &sealed.services {
        for body in &service.bodies {
            let kind = match body {
                Body::Windows { .. } => Kind::Windows,
                Body::Events { .. } => Kind::Events,
            };
            batches.push((service.service.clone(), kind, wire::seal_body(body, sealed.at)?));
        }
    }
    // Bodies must not overtake counts in the spool either.
    batches.sort_by_key(|(_, kind, _)| *kind);
    let checkpoints = sources
        .iter()
        .zip(checkpoints)
        .map(|(source, c)| SourceCheckpoint {
            source: source.name().to_owned(),
            store: c.store,
            forget: c.forget,
            looked_at: c.looked_at,
        })
        .collect();
    Ok(SealRequest { batches, checkpoints, welcomed })
}
