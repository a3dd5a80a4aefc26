//! The driver of one `tail` source.
//!
//! Owns nothing but the wiring: hints to the tail, records to the observer, reports to the tally and the log.

use std::time::Duration;

use watchkeeper_agent_core::observe::{Accumulator, LineObserver};
use watchkeeper_agent_core::tail::{self, Record, Report, Sink, Tail};
use watchkeeper_model::{Frontier, Service, SkipReason, Timestamp};

use super::config::TailSourceSettings;
use super::disk::RealDisk;
use super::facts;
use super::hints::Hints;
use crate::sources::{Checkpoint, Health, Progress, Source, Stored, Waker};

/// A busy writer gives a hint with every line; so often they are followed at most.
const HINT_EVERY: Duration = Duration::from_millis(20);

/// Reads lines of files.
#[derive(Debug)]
pub struct TailSource {
    name: String,
    service: Service,
    paths: String,
    tail: Tail<RealDisk>,
    lines: LineObserver,
    hints: Hints,
    hinted_at: Timestamp,
    /// Reported when there was no accumulator at hand.
    unreported: Reports,
    problem: Option<String>,
}

impl TailSource {
    /// A source of these settings that goes on from what was stored.
    pub fn new(
        settings: TailSourceSettings,
        stored: Stored,
        into: &mut Accumulator,
        waker: Waker,
    ) -> Self {
        let TailSourceSettings { lines, tail, paths, exclude } = settings;
        let name = lines.source.clone();
        let stored = tail::Stored::read(stored.looked_at, stored.rows, stored.wait);
        if let Some(corrupt) = &stored.corrupt {
            facts::corrupt(&name, corrupt);
        }
        let all: Vec<&str> = paths.iter().map(glob::Pattern::as_str).collect();
        Self {
            paths: all.join(", "),
            service: lines.service.clone(),
            lines: LineObserver::new(&lines, into),
            hints: Hints::new(&name, waker),
            tail: Tail::new(tail, stored, RealDisk::new(paths, exclude)),
            hinted_at: Timestamp(i64::MIN),
            unreported: Reports::default(),
            problem: None,
            name,
        }
    }

    /// Follows hints, but not too often: those that wait are looked at when it says so.
    fn follow_hints(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.hints.is_empty() {
            return None;
        }
        let next = self.hinted_at + HINT_EVERY;
        if now < next && self.hinted_at <= now {
            return Some(next);
        }
        self.hinted_at = now;
        let heard = self.hints.take();
        if heard.everything {
            self.tail.hint(None);
        }
        heard.paths.iter().for_each(|path| self.tail.hint(Some(path)));
        None
    }

    fn tell_problems(&mut self) {
        let problem = first_problem(&self.tail);
        if problem != self.problem {
            match &problem {
                Some(problem) => facts::unreadable(&self.name, problem),
                None => facts::readable_again(&self.name),
            }
            self.problem = problem;
        }
    }
}

fn first_problem(tail: &Tail<RealDisk>) -> Option<String> {
    let n = tail.problems().count();
    let (path, why) = tail.problems().next()?;
    let more = if n > 1 { format!(" (and {} more)", n - 1) } else { String::new() };
    Some(format!("{}: {why}{more}", path.display()))
}

impl Source for TailSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "tail"
    }

    fn service(&self) -> &Service {
        &self.service
    }

    fn poll(&mut self, now: Timestamp, may_read: bool, into: &mut Accumulator) -> Progress {
        let waiting_hint = self.follow_hints(now);
        let mut sink = Lines { name: &self.name, lines: &mut self.lines, into, now };
        for report in std::mem::take(&mut self.unreported).0 {
            sink.report(report);
        }
        let tail::Progress { mut next, dirty } = self.tail.poll(now, may_read, &mut sink);
        self.hints.watch(self.tail.disk_mut().directories());
        self.tell_problems();
        if let Some(hint) = waiting_hint {
            next = next.min(hint);
        }
        Progress { next, dirty }
    }

    fn checkpoint(&mut self) -> Checkpoint {
        let tail::Checkpoint { frontiers, store, forget, looked_at } = self.tail.checkpoint();
        let store = store.iter().map(|p| (p.file(), p.encode())).collect();
        Checkpoint { frontiers, store, forget, looked_at }
    }

    fn committed(&mut self, _at: Timestamp) {
        self.tail.committed();
    }

    fn adopt(&mut self, now: Timestamp, frontiers: &[Frontier]) {
        self.tail.adopt(now, frontiers, &mut self.unreported);
    }

    fn epoch_changed(&mut self) {
        self.tail.epoch_changed();
    }

    fn lag_bytes(&self) -> u64 {
        self.tail.lag_bytes()
    }

    fn health(&self) -> Health {
        if let Some(corrupt) = self.tail.corrupt() {
            return Health::Failing(corrupt.to_string());
        }
        match first_problem(&self.tail) {
            Some(problem) => Health::Failing(problem),
            None if self.tail.is_waiting() => {
                Health::Waiting("the collector has to say how far files were read".to_owned())
            }
            None if self.tail.n_files() == 0 => {
                Health::Waiting(format!("no file matches {}", self.paths))
            }
            None => Health::Ok,
        }
    }
}

/// Where records and reports of one poll go.
struct Lines<'a> {
    name: &'a str,
    lines: &'a mut LineObserver,
    into: &'a mut Accumulator,
    now: Timestamp,
}

impl Sink for Lines<'_> {
    fn record(&mut self, record: Record<'_>) {
        match record {
            Record::Line(line) => self.lines.observe(line, self.now, self.into),
            Record::TooLong => self.lines.skip(SkipReason::TooLong, self.into),
            Record::Blank => self.lines.skip(SkipReason::Blank, self.into),
        }
    }

    fn report(&mut self, report: Report) {
        facts::reported(self.name, report);
        let tally = self.into.tally(self.lines.source());
        match report {
            Report::Read { bytes } => tally.bytes += bytes,
            Report::Truncated { bytes_unknown } => {
                tally.truncations += 1;
                tally.bytes_unknown += bytes_unknown;
            }
            Report::Unknown { bytes } | Report::Damaged { bytes_unknown: bytes } => {
                tally.bytes_unknown += bytes;
            }
            Report::Abandoned { bytes } => tally.bytes_abandoned += bytes,
            // A file and not a line: it is skipped, but it was not read.
            Report::Compressed => tally.skip(SkipReason::Compressed, 1),
        }
    }
}

/// Reports kept until there is somewhere to count them.
#[derive(Debug, Default)]
struct Reports(Vec<Report>);

impl Sink for Reports {
    fn record(&mut self, _: Record<'_>) {}

    fn report(&mut self, report: Report) {
        self.0.push(report);
    }
}
