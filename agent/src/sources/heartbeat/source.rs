//! The driver of one `heartbeat` source.
//!
//! Owns when it is asked what time has done, that a time in which nobody listened is noticed, and that a job is answered only
//! when what it said is durable.

use std::time::Duration;

use tokio::sync::oneshot;
use watchkeeper_agent_core::heartbeat::{Absence, Book, Change, HeartbeatObserver};
use watchkeeper_agent_core::observe::{Accumulator, InUse};
use watchkeeper_agent_core::polling::{Rhythm, Turn};
use watchkeeper_daemon::{clock, machine};
use watchkeeper_model::{FileRef, Service, Timestamp};

use super::beats::{Beats, Ear, Heard, Waiting};
use super::config::HeartbeatSourceSettings;
use super::facts;
use crate::sources::{Checkpoint, Health, Progress, Source, SourceSettings, Stored};

/// So often it is counted whether all is well.
const UP_EVERY: Duration = Duration::from_secs(60);

/// The worker asks once a second: whoever is asked after a longer time than this was not there.
const AWAY: Duration = Duration::from_secs(15);

/// As long as all is well something is sealed every minute: when that was longer ago at a start, nobody was there.
const AWAY_AT_START: Duration = Duration::from_secs(150);

/// What stands for the job where others name a file.
const ROW: FileRef = FileRef { inode: 0, born: Timestamp(0) };

/// Hears one job.
#[derive(Debug)]
pub struct HeartbeatSource {
    settings: HeartbeatSourceSettings,
    book: Book,
    boot: String,
    observer: HeartbeatObserver,
    ear: Ear,
    rhythm: Rhythm,
    /// What became of its runs while the agent was away, until it can be counted.
    owed: (Vec<Change>, Option<Absence>),
    /// When it was asked last, by both clocks.
    last: Option<(Timestamp, Duration)>,
    /// Answers to those whose beats are not durable yet.
    answers: Vec<(oneshot::Sender<Heard>, Heard)>,
}

impl HeartbeatSource {
    /// A source of these settings that goes on from what was stored.
    pub fn new(
        settings: HeartbeatSourceSettings,
        stored: &Stored,
        into: &mut Accumulator,
        beats: &Beats,
    ) -> Self {
        Self::at(clock::now(), &machine::boot(), settings, stored, into, beats)
    }

    pub(super) fn at(
        now: Timestamp,
        boot: &str,
        settings: HeartbeatSourceSettings,
        stored: &Stored,
        into: &mut Accumulator,
        beats: &Beats,
    ) -> Self {
        let plan = settings.plan.clone();
        let (book, changes, absence) = match stored.rows.first() {
            None => (Book::new(plan, now), Vec::new(), None),
            Some(row) => {
                let (mut book, changes) = Book::restore(row, boot, plan, now);
                let from = stored.looked_at.unwrap_or(now).min(now);
                let is_long = now.since(from) > AWAY_AT_START;
                let absence = is_long.then(|| book.was_away(from, now, Duration::ZERO)).flatten();
                (book, changes, absence)
            }
        };
        Self {
            observer: HeartbeatObserver::new(&settings.name, &settings.service, into),
            ear: beats.listen(&settings.name),
            boot: boot.to_owned(),
            rhythm: Rhythm::new(UP_EVERY),
            owed: (changes, absence),
            last: None,
            answers: Vec::new(),
            settings,
            book,
        }
    }

    /// What a poll does, `running` after the agent began.
    pub(super) fn poll_at(
        &mut self,
        now: Timestamp,
        running: Duration,
        into: &mut Accumulator,
    ) -> Timestamp {
        let (changes, absence) = std::mem::take(&mut self.owed);
        self.tell(&changes, now, into);
        let absence = absence.or(self.absence(now, running));
        if let Some(absence) = absence {
            facts::absence(&self.settings.name, &absence);
            self.observer.absence(&absence, now, into);
        }
        let mut changes = self.book.pass(now);
        for Waiting { beat, answer } in self.ear.take() {
            let is_known = self.book.knows(&beat);
            let became = self.book.hear(&beat, now);
            let heard = became.last().map(|change| change.result.as_str());
            let otherwise = if is_known { "known" } else { "started" };
            self.answers.push((answer, heard.unwrap_or(otherwise)));
            changes.extend(became);
        }
        // Whoever has gone needs no answer, and while nothing can be stored others come.
        self.answers.retain(|(answer, _)| !answer.is_closed());
        self.tell(&changes, now, into);
        let is_turn = matches!(self.rhythm.turn(now, running), Turn::Look { .. });
        if let Some(is_good) = self.book.is_good().filter(|_| is_turn || !changes.is_empty()) {
            self.observer.up(is_good, now, into);
        }
        let next = now + self.rhythm.next().saturating_sub(running);
        self.book.next_deadline().map_or(next, |deadline| next.min(deadline))
    }

    /// How many wait for an answer.
    #[cfg(test)]
    pub(super) fn n_answers(&self) -> usize {
        self.answers.len()
    }

    /// Whether nobody listened since the last time.
    fn absence(&mut self, now: Timestamp, running: Duration) -> Option<Absence> {
        let (at, ran) = self.last.replace((now, running))?;
        if at.since(now) > AWAY {
            self.book.was_set_back(now);
            return None;
        }
        let length = now.since(at);
        let slept = length.saturating_sub(running.saturating_sub(ran));
        if length > AWAY { self.book.was_away(at, now, slept) } else { None }
    }

    fn tell(&mut self, changes: &[Change], now: Timestamp, into: &mut Accumulator) {
        for change in changes {
            facts::became(&self.settings.name, change);
            self.observer.tell(change, &self.settings.plan, now, into);
        }
    }
}

impl Source for HeartbeatSource {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn kind(&self) -> &'static str {
        "heartbeat"
    }

    fn service(&self) -> &Service {
        &self.settings.service
    }

    fn poll(&mut self, now: Timestamp, _may_read: bool, into: &mut Accumulator) -> Progress {
        let next = self.poll_at(now, clock::running(), into);
        Progress { next, dirty: self.book.is_dirty() || !self.answers.is_empty() }
    }

    fn is_awaited(&self) -> bool {
        !self.answers.is_empty()
    }

    fn checkpoint(&mut self) -> Checkpoint {
        let row = || (ROW, self.book.encode(&self.boot));
        let store = self.book.is_dirty().then(row).into_iter().collect();
        // How long nobody listened is known after a restart by the last seal of any source.
        Checkpoint { store, looked_at: self.last.map(|(at, _)| at), ..Checkpoint::default() }
    }

    fn committed(&mut self, _at: Timestamp) {
        self.book.stored();
        for (answer, heard) in self.answers.drain(..) {
            // Whoever asked may have gone.
            let _ = answer.send(heard);
        }
    }

    fn reconfigure(&mut self, settings: &SourceSettings, into: &mut Accumulator) -> bool {
        let Some(settings) = settings.as_kind::<HeartbeatSourceSettings>() else { return false };
        if settings.name != self.settings.name {
            return false;
        }
        if settings.service != self.settings.service {
            self.observer.rename(&settings.name, &settings.service, into);
        }
        self.settings = settings.clone();
        self.book.set_plan(settings.plan.clone(), clock::now());
        true
    }

    fn in_use(&self) -> Option<InUse> {
        Some(self.observer.in_use())
    }

    fn health(&self) -> Health {
        match (self.book.is_good(), self.book.due()) {
            (None, _) if self.book.is_running() => {
                Health::Waiting("its first run goes on".to_owned())
            }
            (None, Some(due)) => {
                let due = self.settings.plan.schedule.shown(due);
                Health::Waiting(format!("nothing was heard of it yet; it is due at {due}"))
            }
            _ => Health::Ok,
        }
    }
}
