//! One source being read: the live agent's source and accumulator, sealed into memory.
//!
//! Owns poll → seal → gather, in the order of the worker. Sealing is coarse, because nobody asks for windows here, and
//! frequent enough that memory stays bounded. Never writes anything.

use std::io::Read;
use std::time::{Duration, Instant};

use watchkeeper_agent_core::observe::{Accumulator, Overflowed};
use watchkeeper_agent_core::seal::{SealOrder, SealPolicy};
use watchkeeper_model::{AgentId, Labels, Timestamp};

use super::gather::Gathered;
use super::plan::{From, Planned};
use crate::sources::tail::{Pipe, TailSource, TailSourceSettings};
use crate::sources::{self, Inspection, Source, SourceSettings, Stored, Waker};

/// How often at least what was counted is sealed; more often when there is much.
const SEAL_EVERY: Duration = Duration::from_millis(500);

/// Windows are a day wide: all that is asked is how much there is in all.
const ORDER: SealOrder =
    SealOrder { width_secs: 86_400, least_severity: None, max_event_bytes: usize::MAX };

/// What stands where a path would.
const STDIN: &str = "standard input";

/// A source, what it has counted, and for how long it has worked.
pub(super) struct Reading {
    pub(super) settings: TailSourceSettings,
    pub(super) from: From,
    pub(super) gathered: Gathered,
    pub(super) spent: Duration,
    source: Box<dyn Source>,
    counted: Accumulator,
    policy: SealPolicy,
    is_done: bool,
}

impl Reading {
    /// Begins. If it reads standard input, a thread of its own feeds it until its end.
    pub(super) fn start(planned: Planned, agent: &AgentId, waker: Waker) -> Self {
        let Planned { settings, from } = planned;
        // The agent's labels are the same on everything: they would only take room.
        let mut counted = Accumulator::new(agent.clone(), Labels::default());
        let mut source: Box<dyn Source> = match from {
            From::Stdin => {
                let (source, pipe) =
                    TailSource::of_stream(settings.clone(), STDIN, &mut counted, waker);
                std::thread::spawn(move || feed(&mut std::io::stdin().lock(), pipe));
                Box::new(source)
            }
            From::Paths | From::Files(_) => {
                let tail = SourceSettings::Tail(settings.clone());
                sources::build(tail, Stored::default(), &mut counted, waker)
            }
        };
        source.keep_evidence();
        // Nothing yet, but from now on windows are wide.
        counted.seal(Timestamp::EPOCH, &ORDER, Vec::new());
        Self {
            settings,
            from,
            gathered: Gathered::default(),
            spent: Duration::ZERO,
            source,
            counted,
            policy: SealPolicy::new(SEAL_EVERY),
            is_done: false,
        }
    }

    /// Does a bounded piece of work; when there may be more.
    pub(super) fn step(&mut self, now: Timestamp) -> Timestamp {
        let started = Instant::now();
        let next = self.source.poll(now, true, &mut self.counted).next;
        let is_something = !self.counted.is_empty();
        let seal_at = self.policy.next_deadline(now, self.counted.held_bytes(), is_something);
        if seal_at.is_some_and(|at| at <= now) {
            self.seal(now);
        }
        self.spent += started.elapsed();
        seal_at.map_or(next, |at| next.min(at.max(now)))
    }

    /// Whether everything was read that there is now.
    pub(super) fn is_at_the_end(&self) -> bool {
        !self.source.is_behind()
    }

    /// Reads no further.
    pub(super) fn finish(&mut self, now: Timestamp) {
        self.settle(now);
        self.is_done = true;
    }

    /// Gathers everything counted so far, so that it agrees with what the lines have shown.
    pub(super) fn settle(&mut self, now: Timestamp) {
        if !self.is_done {
            self.seal(now);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    fn seal(&mut self, now: Timestamp) {
        // As with a real seal: the source goes on from here.
        self.source.checkpoint();
        self.gathered.add(self.counted.seal(now, &ORDER, Vec::new()));
        self.source.committed(now);
        self.policy.sealed(now);
    }

    /// What the source has seen.
    pub(super) fn inspect(&self) -> Option<Inspection<'_>> {
        self.source.inspect()
    }

    /// Labels whose values became too many.
    pub(super) fn overflowed(&self) -> Vec<Overflowed> {
        self.counted.overflowed()
    }
}

/// Writes everything that `from` gives.
fn feed(from: &mut impl Read, pipe: Pipe) {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(n) => pipe.write(&chunk[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return pipe.fail(error.to_string()),
        }
    }
}
