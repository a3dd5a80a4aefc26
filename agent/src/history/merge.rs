//! Everything that was written, a second after the other.
//!
//! Owns the order of time over all files: of those that may still have something to say, the one that is furthest behind
//! is read next, and a second is given out when all are past it. What is late comes with the second that is given out
//! next. One accumulator counts for all of them, as in the live agent.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchkeeper_agent_core::observe::{Accumulator, Outside, Redactor, Sealed};
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_model::{
    AgentId, Body, Guard, SeriesWindows, Service, SkipReason, SourceTally, Timestamp,
};

use super::choice::{LeftOut, Misuse, choose};
use super::track::{Looked, Origin, Track};
use crate::choice::{Choice, Chosen, From};
use crate::config::AgentSettings;
use crate::sources::Wakes;
use crate::sources::tail::{Beginning, PastFile, PastFiles, TailSourceSettings};

const SECOND: Duration = Duration::from_secs(1);

/// Nobody who wants to stop has to wait longer for standard input.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// What one step came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A second is over.
    Second(Second),
    /// Something was read, or waited for; there is more.
    Working,
    /// There is no more.
    End,
}

/// What was counted in one second.
#[derive(Clone, Debug, PartialEq)]
pub struct Second {
    /// When a collector would have heard of it: its end, or later if it was late.
    pub at: Timestamp,
    /// Its windows, by service. Parts of one window add up.
    pub services: BTreeMap<Service, Vec<SeriesWindows>>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of all files as they lie there, compressed or not; standard input not among them.
    pub done_bytes: u64,
    /// All there is of them.
    pub total_bytes: u64,
    /// Read, decoded.
    pub read_bytes: u64,
    /// Lines read.
    pub n_lines: u64,
}

/// What came of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceHistory {
    /// Its name.
    pub name: String,
    /// What was read, counted and skipped.
    pub tally: SourceTally,
    /// Lines that are not of the time asked for.
    pub outside: Outside,
    /// Files read.
    pub n_files: usize,
    /// Compressed files that are not read, with the reason.
    pub not_read: Vec<String>,
    /// What could not be read, with the reason.
    pub problems: Vec<String>,
}

impl SourceHistory {
    /// Lines that were counted.
    pub fn n_counted(&self) -> u64 {
        let Outside { n_before, n_after, n_in_future } = self.outside;
        // What has no value for a signal may be counted for another, and what was not read is no line of any.
        let of_lines = |reason| !matches!(reason, SkipReason::NoValue | SkipReason::Compressed);
        let skipped = self.tally.skipped.iter().filter(|(reason, _)| of_lines(*reason));
        let n_left = skipped.map(|(_, n)| n).sum::<u64>() + n_before + n_after + n_in_future;
        self.tally.read.saturating_sub(n_left)
    }
}

/// The past of an agent's sources.
pub struct History {
    /// Who has counted.
    agent: AgentId,
    span: Range<Timestamp>,
    counted: Accumulator,
    settings: Vec<TailSourceSettings>,
    sources: Vec<SourceHistory>,
    left_out: Vec<LeftOut>,
    tracks: Vec<Track>,
    pending: BTreeMap<Timestamp, BTreeMap<Service, Vec<SeriesWindows>>>,
    /// Everything before was given out; what comes of it is late.
    passed: Timestamp,
    /// All files are past this.
    horizon: Timestamp,
    wakes: Wakes,
}

impl History {
    /// Finds what there is to be read. Only lines written in `span` will count; relative files are meant from `here`.
    ///
    /// # Errors
    /// If what was chosen does not go with the settings.
    pub fn open(
        settings: AgentSettings,
        choice: &Choice,
        span: Range<Timestamp>,
        (here, now): (&Path, Timestamp),
    ) -> Result<Self, Misuse> {
        let (chosen, left_out) = choose(settings.sources, choice, here)?;
        let mut history = Self {
            counted: Accumulator::new(settings.id.clone(), settings.labels),
            agent: settings.id,
            span,
            settings: Vec::new(),
            sources: Vec::new(),
            left_out,
            tracks: Vec::new(),
            pending: BTreeMap::new(),
            passed: Timestamp(i64::MIN),
            horizon: Timestamp(i64::MIN),
            wakes: Wakes::new(),
        };
        history.counted.set_redactor(Redactor::new(&settings.redact));
        chosen.into_iter().for_each(|one| history.add(one, now));
        Ok(history)
    }

    /// Whose it is.
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Counts exactly at these values of a signal, in base units.
    pub fn want_bounds(&mut self, service: &Service, signal: &str, bounds: &[i64]) {
        self.counted.set_wanted_bounds(service, signal, bounds);
    }

    /// Goes on by a bounded piece of work.
    pub fn step(&mut self, now: Timestamp) -> Step {
        if let Some(second) = self.next_over() {
            return Step::Second(second);
        }
        let open = self.tracks.iter_mut().enumerate().filter(|(_, track)| !track.is_done());
        match open.map(|(i, track)| (track.clock(), i)).min() {
            Some((_, i)) => {
                self.read(i, now);
                Step::Working
            }
            None => Step::End,
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for (done, total) in self.tracks.iter().map(Track::bytes) {
            progress.done_bytes += done;
            progress.total_bytes += total;
        }
        for source in &self.sources {
            progress.read_bytes += source.tally.bytes;
            progress.n_lines += source.tally.read;
        }
        progress
    }

    /// What came of each source so far.
    pub fn sources(&self) -> &[SourceHistory] {
        &self.sources
    }

    /// Sources that have no history, and why.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn add(&mut self, Chosen { settings, from }: Chosen, now: Timestamp) {
        let source = self.sources.len();
        let name = settings.lines.source.clone();
        let mut of = SourceHistory { name, ..SourceHistory::default() };
        if from == From::Stdin {
            self.tracks.push(Track::new(source, Origin::Stdin, None));
        } else {
            let found = PastFiles::find(&settings);
            let problem = |(path, why): &(_, String)| format!("{}: {why}", shown(path));
            of.problems.extend(found.problems.iter().map(problem));
            let skipped = |path: &_| format!("{}: is compressed", shown(path));
            of.not_read.extend(found.skipped.iter().map(skipped));
            if let From::Files(named) = &from {
                let is_found = |path: &Path| found.files.iter().any(|file| file.path == path);
                let missing = named.iter().filter(|path| !is_found(path));
                of.problems.extend(missing.map(|path| format!("{}: is no file", shown(path))));
            } else if found.files.is_empty() && of.problems.is_empty() {
                let paths: Vec<&str> = settings.paths.iter().map(glob::Pattern::as_str).collect();
                of.problems.push(format!("no file matches {}", paths.join(", ")));
            }
            self.add_files(source, &settings, found.files, &mut of, now);
        }
        self.settings.push(settings);
        self.sources.push(of);
    }

    /// Each file gets a track, unless it is the compressed form of one that is still there: then both hold the same lines.
    fn add_files(
        &mut self,
        source: usize,
        settings: &TailSourceSettings,
        files: Vec<PastFile>,
        of: &mut SourceHistory,
        now: Timestamp,
    ) {
        let mut heads: BTreeMap<PathBuf, Guard> = BTreeMap::new();
        let (plain, compressed): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| !f.is_gzip);
        for file in plain.into_iter().chain(compressed) {
            let Beginning { first, head } = match file.beginning(settings, now, self.wakes.waker())
            {
                Ok(beginning) => beginning,
                Err(why) => {
                    of.problems.push(format!("{}: {why}", shown(&file.path)));
                    continue;
                }
            };
            let original = file.path.with_extension("");
            if file.is_gzip && head.is_some() && heads.get(&original) == head.as_ref() {
                of.not_read.push(format!(
                    "{}: is {} compressed",
                    shown(&file.path),
                    shown(&original)
                ));
                continue;
            }
            heads.extend(head.map(|head| (file.path.clone(), head)));
            of.n_files += 1;
            self.tracks.push(Track::new(source, Origin::File(file), first));
        }
    }

    /// The next second that all files are past.
    fn next_over(&mut self) -> Option<Second> {
        let start = *self.pending.first_key_value()?.0;
        let end = start + SECOND;
        if end > self.horizon {
            return None;
        }
        let (_, services) = self.pending.pop_first()?;
        self.passed = self.passed.max(end);
        Some(Second { at: self.passed, services })
    }

    fn read(&mut self, i: usize, now: Timestamp) {
        let Self { tracks, settings, span, counted, wakes, .. } = self;
        let track = &mut tracks[i];
        let source = track.source;
        let looked = track.read(&settings[source], span, counted, (now, wakes.waker()));
        let outside = track.take_outside();
        if let Some(problem) = track.take_problem() {
            self.sources[source].problems.push(problem);
        }
        self.sources[source].outside.add(outside);
        let at = track.clock();
        if looked == Looked::Over {
            track.close();
        }
        let at = if at == Timestamp(i64::MIN) { now } else { at.min(now) };
        let sealed = self.counted.seal(at, &SealOrder::default(), Vec::new());
        self.gather(sealed);
        let clocks = self.tracks.iter_mut().filter(|track| !track.is_done()).map(Track::clock);
        self.horizon = clocks.min().unwrap_or(Timestamp::MAX);
        if looked == Looked::Idle && self.tracks[i].is_stdin() {
            self.wakes.wait(LONGEST_WAIT);
        }
    }

    /// Lays what was counted beside what waits already.
    fn gather(&mut self, sealed: Sealed) {
        for of_service in sealed.services {
            for body in of_service.bodies {
                let Body::Windows { series, tallies, .. } = body else { continue };
                for tally in tallies {
                    let source = self.sources.iter_mut().find(|s| s.name == tally.source);
                    if let Some(source) = source {
                        source.tally.add(&tally);
                    }
                }
                for one in series {
                    self.gather_series(&of_service.service, one);
                }
            }
        }
    }

    fn gather_series(&mut self, service: &Service, series: SeriesWindows) {
        let SeriesWindows { signal, unit, labels, basis, windows } = series;
        for part in windows {
            let second = self.pending.entry(part.window.start).or_default();
            let parts = match second.get_mut(service) {
                Some(parts) => parts,
                None => second.entry(service.clone()).or_default(),
            };
            let (signal, labels) = (signal.clone(), labels.clone());
            parts.push(SeriesWindows { signal, unit, labels, basis, windows: vec![part] });
        }
    }
}

fn shown(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}
