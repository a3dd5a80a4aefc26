//! The driver of one `journal` source.
//!
//! Owns when a `journalctl` is started and ended, and the wiring: its entries to the observer, their cursors to the
//! bookkeeping. There is never more than one `journalctl`, and a new one begins at the last entry that was counted.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;

use watchkeeper_agent_core::deliver::Backoff;
use watchkeeper_agent_core::journal::{Begin, Entry, Journal, Stored as StoredPosition};
use watchkeeper_agent_core::observe::{Accumulator, InUse, LineObserver};
use watchkeeper_daemon::machine;
use watchkeeper_model::{Frontier, Service, SkipReason, Timestamp};

use super::access::{self, Access};
use super::config::JournalSourceSettings;
use super::facts;
use super::queue::{End, held_bytes};
use super::reader::Reader;
use crate::sources::{Checkpoint, Health, Progress, Source, Stored, Waker};

/// A busy journal wakes the worker with every entry; so often they are taken at most.
const TAKE_EVERY: Duration = Duration::from_millis(20);

/// How often it is looked whether there are new directories, or journals that may not be read.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A `journalctl` that has lived so long, or has given an entry, works.
const STEADY: Duration = Duration::from_secs(10);

/// How long one whose output has ended may take to end itself.
const ENDING: Duration = Duration::from_secs(2);

/// How long it is waited before the next one is started: at most a second at first.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Reads entries of systemd's journal.
#[derive(Debug)]
pub struct JournalSource {
    settings: JournalSourceSettings,
    journal: Journal,
    lines: LineObserver,
    waker: Waker,
    running: Option<Running>,
    /// Taken from `journalctl`, not counted yet: empty between polls, unless one of them panicked.
    taken: VecDeque<Entry>,
    access: Access,
    looked_at: Timestamp,
    backoff: Backoff,
    rest_until: Timestamp,
    problem: Option<String>,
    /// What a `journalctl` complained about last, this one or one before.
    complaint: Option<String>,
}

#[derive(Debug)]
struct Running {
    reader: Reader,
    since: Timestamp,
    /// It was told to begin at an entry, and has not given one yet.
    resumes: bool,
    /// It has given an entry that was not known.
    has_given: bool,
    is_steady: bool,
    taken_at: Timestamp,
    /// How many complaints had come when the last entry was taken.
    n_complaints: u64,
    ended_at: Option<Timestamp>,
    roots: Access,
}

impl JournalSource {
    /// A source of these settings that goes on from what was stored.
    pub fn new(
        settings: JournalSourceSettings,
        stored: Stored,
        into: &mut Accumulator,
        waker: Waker,
    ) -> Self {
        let name = &settings.lines.source;
        let stored = StoredPosition::read(&stored.rows, stored.wait);
        if let Some(corrupt) = &stored.corrupt {
            facts::corrupt(name, corrupt);
        }
        Self {
            journal: Journal::new(name, settings.start_at, stored),
            lines: LineObserver::new(&settings.lines, into),
            settings,
            waker,
            running: None,
            taken: VecDeque::new(),
            access: Access::default(),
            looked_at: Timestamp(i64::MIN),
            backoff: Backoff::new(REST.0, REST.1),
            rest_until: Timestamp(i64::MIN),
            problem: None,
            complaint: None,
        }
    }

    /// Counts what has come; when to take the next, if some of it is left for then.
    fn take(&mut self, now: Timestamp, into: &mut Accumulator) -> Timestamp {
        let Some(running) = &mut self.running else { return Timestamp::MAX };
        let next = running.taken_at + TAKE_EVERY;
        if now < next && running.taken_at <= now {
            return if running.reader.waiting_bytes() > 0 { next } else { Timestamp::MAX };
        }
        self.taken.append(&mut running.reader.take());
        if self.taken.is_empty() {
            return Timestamp::MAX;
        }
        running.taken_at = now;
        running.n_complaints = running.reader.complained().0;
        let resumes = std::mem::take(&mut running.resumes);
        let first_is_new = self.taken.front().is_some_and(|entry| !self.journal.knows(entry));
        if resumes && first_is_new {
            facts::place_gone(&self.settings.lines.source);
        }
        while let Some(entry) = self.taken.pop_front() {
            if self.journal.take(&entry) {
                running.has_given = true;
                into.tally(self.lines.source()).bytes += entry.n_bytes;
                match &entry.json {
                    Some(json) => self.lines.observe(json, now, into),
                    None => self.lines.skip(SkipReason::TooLong, into),
                }
            }
        }
        Timestamp::MAX
    }

    /// Starts a `journalctl`, or sees to the one there is; when to look again.
    fn mind(&mut self, now: Timestamp, may_read: bool) -> Timestamp {
        self.look(now);
        self.tell_complaint();
        match &self.running {
            Some(running) if running.reader.ended().is_some() && self.taken.is_empty() => {
                self.bury(now)
            }
            Some(running) if self.access.has_new_root(&running.roots) && self.taken.is_empty() => {
                facts::new_directory(&self.settings.lines.source);
                self.running = None;
                now
            }
            Some(_) => self.steady(now),
            None if !may_read || self.journal.begin().is_none() => Timestamp::MAX,
            // Rests that lie too far ahead are those of a clock that was set back.
            None if now < self.rest_until && self.rest_until <= now + REST.1 => self.rest_until,
            None => self.start(now),
        }
    }

    fn look(&mut self, now: Timestamp) {
        if now < self.looked_at + LOOK_EVERY && self.looked_at <= now {
            return;
        }
        self.looked_at = now;
        let found = access::look(self.settings.directory.as_deref(), &machine::id());
        if let Some(path) = found.closed.as_ref().filter(|_| found.closed != self.access.closed) {
            facts::closed(&self.settings.lines.source, path);
        }
        self.access = found;
    }

    fn start(&mut self, now: Timestamp) -> Timestamp {
        let Some(begin) = self.journal.begin() else { return Timestamp::MAX };
        let resumes = matches!(begin, Begin::At(_));
        match Reader::start(&self.settings, begin, self.waker.clone()) {
            Ok(reader) => {
                self.running = Some(Running {
                    reader,
                    since: now,
                    resumes,
                    has_given: false,
                    is_steady: false,
                    taken_at: Timestamp(i64::MIN),
                    n_complaints: 0,
                    ended_at: None,
                    roots: self.access.clone(),
                });
                now + STEADY
            }
            Err(error) => {
                let command = self.settings.command.display();
                let why = match error.kind() {
                    ErrorKind::NotFound => format!(
                        "{command} is not on this machine: install systemd, or remove this source"
                    ),
                    _ => format!("{command} can't be started: {error}"),
                };
                self.failed(now, why)
            }
        }
    }

    /// One that works makes what was wrong before past.
    fn steady(&mut self, now: Timestamp) -> Timestamp {
        let Some(running) = self.running.as_mut().filter(|r| !r.is_steady) else {
            return self.looked_at + LOOK_EVERY;
        };
        let by = running.since + STEADY;
        if !running.has_given && now < by && running.since <= now {
            return by;
        }
        running.is_steady = true;
        self.backoff.succeeded();
        if self.problem.take().is_some() {
            facts::reads_again(&self.settings.lines.source);
        }
        self.looked_at + LOOK_EVERY
    }

    /// Its output is over and counted: finds out why, and rests.
    fn bury(&mut self, now: Timestamp) -> Timestamp {
        self.steady(now);
        let Some(running) = &mut self.running else { return Timestamp::MAX };
        let since = *running.ended_at.get_or_insert(now);
        let is_late = now >= since + ENDING || since > now;
        let how = match running.reader.ended() {
            Some(End::Broken(why)) => {
                format!("can't be read on: {why}{}", running.reader.last_words())
            }
            _ => match running.reader.status() {
                Some(status) => format!("has ended {status}"),
                None if is_late => format!("closed its output{}", running.reader.last_words()),
                // Its end wakes us; the time is for one that never comes.
                None => return now + TAKE_EVERY,
            },
        };
        // Killed and reaped, if it is still there.
        self.running = None;
        let help = if how.to_lowercase().contains("permi") { ALLOW } else { "" };
        let command = self.settings.command.display();
        let problem = format!("{command} {how}{help}");
        self.failed(now, problem)
    }

    fn failed(&mut self, now: Timestamp, problem: String) -> Timestamp {
        if self.problem.as_ref() != Some(&problem) {
            facts::failed(&self.settings.lines.source, &problem);
            self.problem = Some(problem);
        }
        self.rest_until = now + self.backoff.failed(machine::share());
        self.rest_until
    }

    /// What it complains about, unless entries have come since.
    fn complaint(&self) -> Option<String> {
        let running = self.running.as_ref()?;
        let (n, last) = running.reader.complained();
        last.filter(|_| n > running.n_complaints)
    }

    /// Each complaint is told once, however often it is started.
    fn tell_complaint(&mut self) {
        let last = self.running.as_ref().and_then(|running| running.reader.complained().1);
        if let Some(last) = last.filter(|last| self.complaint.as_ref() != Some(last)) {
            facts::complained(&self.settings.lines.source, &last);
            self.complaint = Some(last);
        }
    }

    /// The process id of the `journalctl` that runs.
    #[cfg(test)]
    pub(super) fn child_id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.reader.id())
    }
}

/// What to do about permissions.
const ALLOW: &str = "; add the user this agent runs as to the group systemd-journal";

impl Source for JournalSource {
    fn name(&self) -> &str {
        &self.settings.lines.source
    }

    fn kind(&self) -> &'static str {
        "journal"
    }

    fn service(&self) -> &Service {
        &self.settings.lines.service
    }

    fn poll(&mut self, now: Timestamp, may_read: bool, into: &mut Accumulator) -> Progress {
        self.journal.look(now);
        let more = if may_read { self.take(now, into) } else { Timestamp::MAX };
        let next = more.min(self.mind(now, may_read));
        Progress { next, dirty: self.journal.is_dirty() }
    }

    fn checkpoint(&mut self) -> Checkpoint {
        let checkpoint = self.journal.checkpoint();
        Checkpoint {
            frontiers: checkpoint.frontier.into_iter().collect(),
            store: checkpoint.store.into_iter().map(|(key, p)| (key, p.encode())).collect(),
            ..Checkpoint::default()
        }
    }

    fn committed(&mut self, _at: Timestamp) {
        self.journal.committed();
    }

    fn adopt(&mut self, _now: Timestamp, frontiers: &[Frontier]) {
        self.journal.adopt(frontiers);
    }

    fn epoch_changed(&mut self) {
        self.journal.epoch_changed();
    }

    fn in_use(&self) -> Option<InUse> {
        Some(self.lines.in_use())
    }

    fn lag_bytes(&self) -> u64 {
        let taken: u64 = self.taken.iter().map(held_bytes).sum();
        taken + self.running.as_ref().map_or(0, |running| running.reader.waiting_bytes())
    }

    fn health(&self) -> Health {
        if let Some(corrupt) = self.journal.corrupt() {
            return Health::Failing(corrupt.to_string());
        }
        if self.journal.is_waiting() {
            let why = "the collector has to say how far the journal was read";
            return Health::Waiting(why.to_owned());
        }
        if let Some(problem) = &self.problem {
            return Health::Failing(problem.clone());
        }
        if let Some(path) = &self.access.closed {
            return Health::Failing(format!("{} may not be read{ALLOW}", path.display()));
        }
        if let Some(complaint) = self.complaint() {
            return Health::Failing(complaint);
        }
        if self.access.n_readable == 0 && !self.running.as_ref().is_some_and(|r| r.has_given) {
            let directory = self.settings.directory.as_ref();
            let place = directory.map_or(access::OWN.join(" or "), |d| d.display().to_string());
            return Health::Waiting(format!("there is no journal in {place} yet"));
        }
        Health::Ok
    }
}
