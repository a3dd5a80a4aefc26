//! One source being read: the live agent's source and accumulator, sealed into memory.
//!
//! Owns poll → seal → gather, in the order of the worker. Sealing is coarse, because nobody asks for windows here, and
//! frequent enough that memory stays bounded. Never writes anything.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use watchkeeper_agent_core::observe::{Accumulator, Overflowed};
use watchkeeper_agent_core::seal::{SealOrder, SealPolicy};
use watchkeeper_agent_core::tail::Followed;
use watchkeeper_model::{AgentId, Labels, Timestamp};

use super::gather::Gathered;
use crate::choice::{Chosen, From};
use crate::sources::tail::{Pipe, TailSource, TailSourceSettings};
use crate::sources::{self, Beside, Inspection, Source, SourceSettings, Stored, Waker};

/// How often at least what was counted is sealed; more often when there is much.
const SEAL_EVERY: Duration = Duration::from_millis(500);

/// Windows are a day wide: all that is asked is how much there is in all.
const ORDER: SealOrder =
    SealOrder { width_secs: 86_400, least_severity: None, max_event_bytes: usize::MAX };

/// Longer than a source waits for the rest of a record, or for late writers of a file.
const FUTURE: Duration = Duration::from_secs(3_600);

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
    /// Files that are not read as far as they were long when it began. `None` before the first look.
    goal: Option<BTreeMap<PathBuf, u64>>,
    has_looked: bool,
    is_done: bool,
}

impl Reading {
    /// Begins. If it reads standard input, a thread of its own feeds it until its end.
    pub(super) fn start(chosen: Chosen, agent: &AgentId, waker: Waker) -> Self {
        let Chosen { settings, from } = chosen;
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
                let tail = SourceSettings::new(settings.clone());
                sources::build(tail, Stored::default(), &mut counted, &Beside::new(waker))
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
            goal: None,
            has_looked: false,
            is_done: false,
        }
    }

    /// Does a bounded piece of work; when there may be more.
    pub(super) fn step(&mut self, now: Timestamp) -> Timestamp {
        let started = Instant::now();
        let next = self.source.poll(now, true, &mut self.counted).next;
        self.has_looked = true;
        let is_something = !self.counted.is_empty();
        let seal_at = self.policy.next_deadline(now, self.counted.held_bytes(), is_something);
        if seal_at.is_some_and(|at| at <= now) {
            self.seal(now);
            self.approach_goal();
        }
        self.spent += started.elapsed();
        seal_at.map_or(next, |at| next.min(at.max(now)))
    }

    /// Notes which files were read as far as they were long when it began: a file that grows faster than it is read has
    /// no end.
    fn approach_goal(&mut self) {
        let files = self.source.inspect().map(|seen| seen.files).unwrap_or_default();
        let goal = self.goal.get_or_insert_with(|| {
            let size = |file: &Followed<'_>| file.read_bytes + file.left_bytes;
            files.iter().map(|file| (file.path.to_owned(), size(file))).collect()
        });
        for file in files {
            if goal.get(file.path).is_some_and(|size| *size <= file.read_bytes) {
                goal.remove(file.path);
            }
        }
    }

    /// Whether everything was read that there is now.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.has_looked && !self.source.is_behind()
    }

    /// Whether everything was read that there was when it began. Standard input ends when it does.
    pub(super) fn has_reached_the_end(&self) -> bool {
        let is_goal_reached = self.goal.as_ref().is_some_and(BTreeMap::is_empty);
        self.is_at_the_end() || (is_goal_reached && self.from != From::Stdin)
    }

    /// Reads no further. A last look is taken from so far in the future that nothing is held any more until more comes.
    pub(super) fn finish(&mut self, now: Timestamp) {
        if !self.is_done {
            self.source.poll(now + FUTURE, true, &mut self.counted);
            self.settle(now);
            self.is_done = true;
        }
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

    /// How many bodies of an event its limit held back.
    pub(super) fn held_back(&self, event: &str) -> u64 {
        self.counted.held_back().iter().filter(|h| h.event == event).map(|h| h.n).sum()
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::dry_run::options::DryRunOptions;
    use crate::dry_run::plan::plan;
    use crate::dry_run::tests::settings;
    use crate::sources::Wakes;

    #[test]
    fn a_file_that_grows_faster_than_it_is_read_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut file = File::create(&path).unwrap();
        let line = format!("{{\"fill\":\"{}\"}}\n", "x".repeat(100_000));
        let more = line.repeat(60);
        file.write_all(more.as_bytes()).unwrap();
        let source =
            format!("- tail: {{service: shop, paths: [{path:?}], signals: [{{name: all}}]}}\n");
        let plan = plan(settings(&source), &DryRunOptions::default(), dir.path()).unwrap();
        let chosen = plan.sources.into_iter().next().unwrap();
        let mut reading = Reading::start(chosen, &AgentId::new("web-1"), Wakes::new().waker());
        let mut n_steps = 0;
        while !reading.has_reached_the_end() {
            n_steps += 1;
            assert!(n_steps < 10, "it reads on and on");
            reading.step(Timestamp::from_secs(1_795_370_829 + n_steps));
            file.write_all(more.as_bytes()).unwrap();
        }
        assert!(!reading.is_at_the_end());
        reading.finish(Timestamp::from_secs(1_795_370_900));
        let read = reading.gathered.tally.read;
        assert!((60..60 * (n_steps as u64 + 1)).contains(&read), "{read} lines in {n_steps} steps");
    }
}
