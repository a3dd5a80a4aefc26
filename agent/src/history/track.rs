//! One file being read for its history.
//!
//! Owns how far it has come, by its own lines. Never reads more than a bounded piece at a time, and is opened only when
//! it is its turn: a hundred rotated files are no hundred open ones.

use std::io::Read;
use std::ops::Range;
use std::time::Duration;

use watchkeeper_agent_core::observe::{Accumulator, Outside, Past};
use watchkeeper_model::Timestamp;

use crate::sources::tail::{PastFile, Pipe, TailSource, TailSourceSettings};
use crate::sources::{Health, Source, Waker};

/// Longer than a source waits for the rest of a record, or for late writers of a file.
const FUTURE: Duration = Duration::from_secs(3_600);

/// Lines are taken to be late by at most this: what lies further behind the end of the time asked for is not read.
const LATE: Duration = Duration::from_secs(3_600);

/// A file that gives nothing so often has nothing more to give.
const MOST_IDLE: u32 = 1_000;

/// What stands where a path would.
const STDIN: &str = "standard input";

/// Where lines come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    File(PastFile),
    Stdin,
}

enum State {
    Waiting,
    Open(Box<dyn Source>),
    Done,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// Something was read.
    Read,
    /// Nothing is there yet.
    Idle,
    /// There is no more of the time asked for.
    Over,
}

/// A file on its way from its first line to its last.
pub(super) struct Track {
    /// Which source it belongs to.
    pub(super) source: usize,
    origin: Origin,
    state: State,
    /// When its first lines were written.
    first: Option<Timestamp>,
    n_idle: u32,
    /// Uncompressed.
    read_bytes: u64,
    /// Why nothing more of it can be read.
    problem: Option<String>,
}

impl Track {
    pub(super) fn new(source: usize, origin: Origin, first: Option<Timestamp>) -> Self {
        let (state, problem) = (State::Waiting, None);
        Self { source, origin, state, first, n_idle: 0, read_bytes: 0, problem }
    }

    /// Up to when everything it has to say is said; what is late excepted.
    pub(super) fn clock(&mut self) -> Timestamp {
        const UNKNOWN: Timestamp = Timestamp(i64::MIN);
        match &mut self.state {
            State::Waiting => self.first.unwrap_or(UNKNOWN),
            State::Open(source) => {
                source.past_mut().and_then(|past| past.latest()).unwrap_or(UNKNOWN)
            }
            State::Done => Timestamp::MAX,
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) const fn is_stdin(&self) -> bool {
        matches!(self.origin, Origin::Stdin)
    }

    /// Opens it, if that is still to be done. If it is standard input, a thread of its own feeds it until its end.
    fn open(
        &mut self,
        settings: &TailSourceSettings,
        span: &Range<Timestamp>,
        into: &mut Accumulator,
        waker: Waker,
    ) {
        if !matches!(self.state, State::Waiting) {
            return;
        }
        let mut source: Box<dyn Source> = match &self.origin {
            Origin::File(file) => Box::new(TailSource::of_file(settings.clone(), file, into)),
            Origin::Stdin => {
                let (source, pipe) = TailSource::of_stream(settings.clone(), STDIN, into, waker);
                std::thread::spawn(move || feed(&mut std::io::stdin().lock(), pipe));
                Box::new(source)
            }
        };
        source.read_as_past(span.clone());
        self.state = State::Open(source);
    }

    /// Reads a bounded piece.
    pub(super) fn read(
        &mut self,
        settings: &TailSourceSettings,
        span: &Range<Timestamp>,
        into: &mut Accumulator,
        (now, waker): (Timestamp, Waker),
    ) -> Looked {
        self.open(settings, span, into, waker);
        let State::Open(source) = &mut self.state else { return Looked::Over };
        // What would be looked at again after a while is looked at now: nothing is written meanwhile.
        let later = Duration::from_millis(200) * self.n_idle;
        source.poll(now + later, true, into);
        let id = into.source(&settings.lines.source, &settings.lines.service);
        let tally = into.tally(id);
        let is_read = tally.read > 0 || tally.bytes > 0;
        self.read_bytes += tally.bytes;
        self.n_idle = if is_read { 0 } else { self.n_idle + 1 };
        let is_over = match &self.origin {
            Origin::Stdin => !source.is_behind(),
            Origin::File(file) => {
                // A file that grows faster than it is read has no end: it is read as far as it was long.
                let is_long_enough = !file.is_gzip && self.read_bytes >= file.bytes;
                is_long_enough || !source.is_behind() && self.n_idle > 1 || self.n_idle > MOST_IDLE
            }
        };
        let is_behind_us = source
            .past_mut()
            .and_then(|past| past.latest())
            .is_some_and(|latest| latest > span.end + LATE);
        // A last look is taken from so far in the future that nothing is held any more until more comes.
        if is_over && !is_behind_us {
            source.poll(now + FUTURE, true, into);
        }
        if let Health::Failing(why) = source.health() {
            self.problem = Some(why);
        }
        match () {
            () if is_over || is_behind_us => Looked::Over,
            () if is_read => Looked::Read,
            () => Looked::Idle,
        }
    }

    /// Lets go of it: there is no more.
    pub(super) fn close(&mut self) {
        self.state = State::Done;
    }

    /// What was left out since this was asked last.
    pub(super) fn take_outside(&mut self) -> Outside {
        match &mut self.state {
            State::Open(source) => source.past_mut().map(Past::take_outside).unwrap_or_default(),
            _ => Outside::default(),
        }
    }

    /// What has been read of it, and what there is in all, as it lies on the disk.
    pub(super) fn bytes(&self) -> (u64, u64) {
        match &self.origin {
            Origin::Stdin => (0, 0),
            Origin::File(file) if self.is_done() => (file.bytes, file.bytes),
            Origin::File(file) if file.is_gzip => (0, file.bytes),
            Origin::File(file) => (self.read_bytes.min(file.bytes), file.bytes),
        }
    }

    /// Why nothing more of it can be read.
    pub(super) fn take_problem(&mut self) -> Option<String> {
        self.problem.take()
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
