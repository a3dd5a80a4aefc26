//! The driver of one `tail` source.
//!
//! Owns nothing but the wiring: hints to the tail, records to the observer, reports to the tally and the log.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glob::Pattern;
use watchkeeper_agent_core::observe::{Accumulator, InUse, LineObserver, LineSettings, Past};
use watchkeeper_agent_core::tail::{self, Disk, Record, Report, Sink, Tail, TailSettings};
use watchkeeper_model::{FileRef, Frontier, Service, SkipReason, Timestamp};

use super::config::TailSourceSettings;
use super::disk::{Places, RealDisk};
use super::facts;
use super::given::Given;
use super::hints::{Heard, Hints};
use super::pipe::{Pipe, PipeDisk, pipe};
use crate::sources::{
    Checkpoint, Health, Inspection, Progress, Source, SourceSettings, Stored, Waker,
};

/// A busy writer gives a hint with every line; so often they are followed at most.
const HINT_EVERY: Duration = Duration::from_millis(20);

/// Many busy writers are looked at more rarely, by so much for each: a look takes some 20 µs, so all of them together take
/// some hundredths of a core. Beyond the time after which a growing file is looked at anyway it would change nothing.
const HINT_EVERY_PER_FILE: Duration = Duration::from_millis(1);
const MAX_HINT_EVERY: Duration = Duration::from_millis(100);

/// Reads lines of files, or of a stream in their place.
pub(crate) struct TailSource<D: Disk = RealDisk> {
    name: String,
    service: Service,
    paths: String,
    tail: Tail<D>,
    lines: LineObserver,
    given: Given,
    hints: Hints,
    hinted_at: Timestamp,
    hint_every: Duration,
    /// Reported when there was no accumulator at hand.
    unreported: Reports,
    problem: Option<String>,
    /// The path that its only file is taken for; `None` where files stand for themselves.
    stands_for: Option<PathBuf>,
}

impl TailSource {
    /// A source of these settings that goes on from what was stored.
    pub(crate) fn new(
        settings: TailSourceSettings,
        stored: Stored,
        into: &mut Accumulator,
        waker: Waker,
    ) -> Self {
        let all = shown(&settings.paths);
        let TailSourceSettings { lines, tail, paths, exclude, given } = settings;
        let disk = RealDisk::new(paths, exclude);
        let hints = Hints::new(&lines.source, waker);
        Self::on((lines, tail, given), stored, disk, all, into, hints)
    }
}

impl TailSource<PipeDisk> {
    /// A source of these settings whose lines do not come from files but from a stream, and where to write it.
    pub(crate) fn of_stream(
        settings: TailSourceSettings,
        name: &str,
        into: &mut Accumulator,
        waker: Waker,
    ) -> (Self, Pipe) {
        let (pipe, disk) = pipe(name, settings.tail.max_line_bytes, waker);
        let settings = (settings.lines, settings.tail, settings.given);
        let name = name.to_owned();
        (Self::on(settings, Stored::default(), disk, name, into, Hints::none()), pipe)
    }
}

impl<D: Places> TailSource<D> {
    pub(super) fn on(
        (lines, tail, given): (LineSettings, TailSettings, Given),
        stored: Stored,
        disk: D,
        paths: String,
        into: &mut Accumulator,
        hints: Hints,
    ) -> Self {
        let name = lines.source.clone();
        let stored = tail::Stored::read(stored.looked_at, stored.rows, stored.wait);
        if let Some(corrupt) = &stored.corrupt {
            facts::corrupt(&name, corrupt);
        }
        let mut tail = Tail::new(tail, stored, disk);
        // The paths may have been others when it ran before.
        tail.keep_ours(D::is_ours);
        Self {
            paths,
            service: lines.service.clone(),
            lines: LineObserver::new(&lines, into),
            given,
            hints,
            tail,
            hinted_at: Timestamp(i64::MIN),
            hint_every: HINT_EVERY,
            unreported: Reports::default(),
            problem: None,
            stands_for: None,
            name,
        }
    }

    /// Takes its only file for the one of this path.
    pub(super) fn stands_for(&mut self, path: PathBuf) {
        self.stands_for = Some(path);
    }

    /// Follows hints, but not too often: those that wait are looked at when it says so.
    fn follow_hints(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.tail.disk_mut().has_news() {
            self.tail.hint(None);
        }
        if self.hints.is_empty() {
            return None;
        }
        let next = self.hinted_at + self.hint_every;
        if now < next && self.hinted_at <= now {
            return Some(next);
        }
        self.hinted_at = now;
        let heard = self.hints.take();
        self.hint_every = hint_every(&heard);
        if heard.everything {
            self.tail.hint(None);
        }
        if heard.names_changed {
            self.tail.names_changed();
        }
        for path in &heard.paths {
            // What else is written beside our files, perhaps all the time, is no reason to look.
            if heard.names_changed || self.tail.disk().matters(path) {
                self.tail.hint(Some(path));
            }
        }
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

/// How long to wait after these hints were followed.
fn hint_every(heard: &Heard) -> Duration {
    if heard.everything {
        return MAX_HINT_EVERY;
    }
    let n_files = u32::try_from(heard.paths.len()).unwrap_or(u32::MAX);
    HINT_EVERY_PER_FILE.saturating_mul(n_files).clamp(HINT_EVERY, MAX_HINT_EVERY)
}

fn shown(paths: &[Pattern]) -> String {
    let all: Vec<&str> = paths.iter().map(Pattern::as_str).collect();
    all.join(", ")
}

fn first_problem<D: Disk>(tail: &Tail<D>) -> Option<String> {
    let n = tail.problems().count();
    let (path, why) = tail.problems().next()?;
    let more = if n > 1 { format!(" (and {} more)", n - 1) } else { String::new() };
    Some(format!("{}: {why}{more}", path.display()))
}

impl<D: Places> Source for TailSource<D> {
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
        let Self { name, lines, given, stands_for, .. } = self;
        let (stands_for, path) = (stands_for.as_deref(), PathBuf::new());
        let mut sink = Lines { name, lines, given, into, now, path, stands_for };
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

    fn reconfigure(&mut self, settings: &SourceSettings, into: &mut Accumulator) -> bool {
        let Some(settings) = settings.as_kind::<TailSourceSettings>() else { return false };
        if self.tail.corrupt().is_some() {
            // Its positions may have been repaired.
            return false;
        }
        let TailSourceSettings { lines, tail, paths, exclude, given } = settings;
        self.name.clone_from(&lines.source);
        self.service = lines.service.clone();
        self.lines = LineObserver::new(lines, into);
        self.given.clone_from(given);
        if self.tail.disk_mut().look_for(paths, exclude) {
            self.paths = shown(paths);
            self.tail.keep_ours(D::is_ours);
        }
        self.tail.reconfigure(tail.clone());
        true
    }

    fn in_use(&self) -> Option<InUse> {
        Some(self.lines.in_use())
    }

    fn lag_bytes(&self) -> u64 {
        self.tail.lag_bytes()
    }

    fn keep_evidence(&mut self) {
        self.lines.keep_evidence();
    }

    fn inspect(&self) -> Option<Inspection<'_>> {
        let problem = |(path, why): (&Path, &str)| format!("{}: {why}", path.display());
        Some(Inspection {
            lines: self.lines.evidence()?,
            files: self.tail.files().collect(),
            skipped: self.tail.skipped().collect(),
            problems: self.tail.problems().map(problem).collect(),
        })
    }

    fn read_as_past(&mut self, span: Range<Timestamp>) {
        self.lines.read_as_past(Past::new(span));
    }

    fn past_mut(&mut self) -> Option<&mut Past> {
        self.lines.past_mut()
    }

    fn is_behind(&self) -> bool {
        self.tail.is_behind() || self.tail.disk().is_open()
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
    given: &'a Given,
    into: &'a mut Accumulator,
    now: Timestamp,
    /// The file that the records are of.
    path: PathBuf,
    /// The path it is taken for.
    stands_for: Option<&'a Path>,
}

impl Sink for Lines<'_> {
    fn reading(&mut self, file: FileRef, path: &Path, from: u64) {
        self.lines.reading(file, path, from);
    }

    fn file(&mut self, path: &Path) {
        let path = self.stands_for.unwrap_or(path);
        if path != self.path {
            self.given.file(path, self.lines);
            path.clone_into(&mut self.path);
        }
    }

    fn record(&mut self, record: Record<'_>) {
        match record {
            Record::Line(line) => {
                self.given.wrapped(None, self.lines);
                self.lines.observe(line, self.now, self.into);
            }
            Record::Wrapped(wrapped) => {
                self.given.wrapped(Some(&wrapped), self.lines);
                self.lines.observe(wrapped.text, self.now, self.into);
            }
            Record::Unparsable(line) => self.lines.skip_unwrapped(line, self.into),
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
    fn file(&mut self, _: &Path) {}

    fn record(&mut self, _: Record<'_>) {}

    fn report(&mut self, report: Report) {
        self.0.push(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_files_are_busy_the_more_rarely_they_are_looked_at() {
        for (n_files, everything, millis) in
            [(0, false, 20), (1, false, 20), (50, false, 50), (200, false, 100), (0, true, 100)]
        {
            let paths = (0..n_files).map(|i| PathBuf::from(i.to_string())).collect();
            let heard = Heard { paths, names_changed: false, everything };
            assert_eq!(hint_every(&heard), Duration::from_millis(millis), "{n_files} {everything}");
        }
    }
}
