//! The driver of one `watch` source.
//!
//! Owns when to look: every so often, sooner when something was heard or may be finished, and rarely enough that looking
//! takes a small part of a processor. The look itself is beside the worker; while one hangs no second one is begun.

use std::sync::Arc;
use std::time::Duration;

use watchkeeper_agent_core::observe::{Accumulator, InUse};
use watchkeeper_agent_core::polling::{Rhythm, Turn};
use watchkeeper_agent_core::watch::{
    Blindness, Listing, LookSpan, MAX_FILES, Moment, Stored, WatchObserver,
};
use watchkeeper_daemon::clock;
use watchkeeper_model::{Service, Timestamp, readable};

use super::config::WatchSourceSettings;
use super::ear::{Ear, Watches};
use super::facts;
use super::patterns::Patterns;
use super::walk::{BOUNDS, Sight, Walker};
use crate::sources::{
    Beside, Checkpoint, Errand, Health, Kind as _, Lost, Progress, Source, SourceSettings,
};

/// A look that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was heard is followed after so many times what a look takes, and regular looks after so many.
const HEARD_PER_LOOK: u32 = 100;
const REGULAR_PER_LOOK: u32 = 10;

/// What was heard is not followed more often than this.
const HEARD_EVERY: Duration = Duration::from_millis(200);

type Eyes = Box<dyn Sight>;

/// Watches files.
pub struct WatchSource {
    settings: WatchSourceSettings,
    rhythm: Rhythm,
    observer: WatchObserver,
    beside: Beside,
    ear: Ear,
    /// Who looks, while nobody does.
    eyes: Option<Eyes>,
    looking: Option<Errand<(Eyes, Listing)>>,
    /// When the last look began.
    began: Moment,
    /// The running time before which nothing that was heard is followed, and before which nobody looks at all.
    not_before: (Duration, Duration),
    health: Health,
    /// A look that takes longer than this hangs.
    pub(super) patience: Duration,
}

impl WatchSource {
    /// A source of these settings that goes on from what was stored.
    pub fn new(
        settings: WatchSourceSettings,
        stored: &[String],
        into: &mut Accumulator,
        beside: Beside,
    ) -> Self {
        let ear = Ear::default();
        let eyes = walker(&settings, &ear, &beside);
        Self::with(settings, stored, into, beside, (eyes, ear))
    }

    pub(super) fn with(
        settings: WatchSourceSettings,
        stored: &[String],
        into: &mut Accumulator,
        beside: Beside,
        (eyes, ear): (Eyes, Ear),
    ) -> Self {
        let mut stored = Stored::read(stored);
        if let Some(corrupt) = &stored.corrupt {
            facts::corrupt(&settings.head.name, corrupt);
        }
        let patterns = Patterns::new(&settings.paths, &settings.exclude);
        let forget = stored.retain(|name| patterns.judge(name.bytes()).0);
        let observer =
            WatchObserver::new(settings.watch(), &settings.reads(), stored, forget, into);
        Self {
            rhythm: Rhythm::new(settings.head.every),
            observer,
            settings,
            beside,
            ear,
            eyes: Some(eyes),
            looking: None,
            began: Moment { now: Timestamp(0), running: Duration::ZERO },
            not_before: (Duration::ZERO, Duration::ZERO),
            health: Health::Ok,
            patience: PATIENCE,
        }
    }

    /// What a poll does, `running` after the agent began; when to poll again.
    pub(super) fn poll_at(
        &mut self,
        now: Timestamp,
        running: Duration,
        into: &mut Accumulator,
    ) -> Timestamp {
        let at = Moment { now, running };
        self.take_look(at, into);
        let sooner = self.sooner();
        if sooner.is_some_and(|at| at <= running) {
            self.rhythm.hurry();
        }
        if let Turn::Look { gap, .. } = self.rhythm.turn(now, running) {
            if let Some(gap) = gap {
                facts::gap(&self.settings.head.name, &gap);
                self.observer.gap(&gap, now, into);
            }
            self.begin_look(at, into);
        }
        let next = self.rhythm.next();
        let next = self.sooner().map_or(next, |sooner| sooner.min(next));
        now + next.saturating_sub(running)
    }

    /// When to look before the next turn, by the running time. While somebody looks there is no reason to.
    fn sooner(&self) -> Option<Duration> {
        if self.looking.is_some() {
            return None;
        }
        let heard = self.ear.has_heard().then_some(Duration::ZERO);
        // Whoever began to look since has done what could be done about it.
        let settled = self.observer.next_settled().filter(|at| *at > self.began.running);
        let first = [heard, settled].into_iter().flatten().min()?;
        Some(first.max(self.not_before.0))
    }

    fn begin_look(&mut self, at: Moment, into: &mut Accumulator) {
        if let Some(looking) = &self.looking {
            let age = looking.age();
            if age > self.patience {
                self.observer.no_answer(age, at.now, into);
                let paths: Vec<_> = self.settings.paths.iter().map(|path| path.as_str()).collect();
                let paths = paths.join(", ");
                self.tell(Health::Failing(format!(
                    "looking at {paths} has not ended for over 10 s"
                )));
            }
            return;
        }
        if at.running < self.not_before.1 {
            return;
        }
        let eyes = self.eyes.take();
        // It went with a look that panicked.
        let mut eyes = eyes.unwrap_or_else(|| walker(&self.settings, &self.ear, &self.beside));
        self.ear.forget();
        self.began = at;
        self.looking = Some(self.beside.work(move || {
            let listing = eyes.look();
            (eyes, listing)
        }));
    }

    fn take_look(&mut self, at: Moment, into: &mut Accumulator) {
        let Some(answer) = self.looking.as_mut().and_then(Errand::take) else { return };
        self.looking = None;
        match answer {
            Ok((eyes, listing)) => {
                let since = clock::running();
                self.eyes = Some(eyes);
                let span = LookSpan { began: self.began, ended: at };
                self.observer.look(&listing, span, into);
                let cost = listing.took + clock::running().saturating_sub(since);
                let heard = (cost * HEARD_PER_LOOK).max(HEARD_EVERY);
                self.not_before = (at.running + heard, at.running + cost * REGULAR_PER_LOOK);
                self.tell(health(&listing));
            }
            Err(Lost) => {
                self.tell(Health::Failing("no thread can be started to look".to_owned()));
            }
        }
    }

    fn tell(&mut self, health: Health) {
        if health == self.health {
            return;
        }
        let source = &self.settings.head.name;
        match &health {
            Health::Ok => facts::all_is_seen(source),
            Health::Waiting(problem) | Health::Failing(problem) => facts::problem(source, problem),
        }
        self.health = health;
    }
}

fn walker(settings: &WatchSourceSettings, ear: &Ear, beside: &Beside) -> Eyes {
    let patterns = Arc::new(Patterns::new(&settings.paths, &settings.exclude));
    let name = &settings.head.name;
    let watches = Watches::new(name, Arc::clone(&patterns), ear, beside.waker());
    Box::new(Walker::new(patterns, settings.hash, watches, BOUNDS))
}

fn health(listing: &Listing) -> Health {
    let is_cut_off = listing.unseen.first().is_some_and(|u| u.why == Blindness::TooMany);
    if let Some(sums) = listing.too_many.filter(|_| !is_cut_off) {
        let n = readable::count(sums.n);
        let limit = readable::count(MAX_FILES as u64);
        return Health::Failing(format!(
            "{n} files match: they are added up, but changes of more than {limit} are not told; \
             name fewer in `paths`, or make several sources of them"
        ));
    }
    let Some(first) = listing.unseen.first() else { return Health::Ok };
    let n_more = listing.unseen.len() - 1;
    let more = if n_more == 0 { String::new() } else { format!(" (and {n_more} more)") };
    let all_missing = listing.unseen.iter().all(|unseen| unseen.why == Blindness::Missing);
    let text = format!("{first}{more}");
    if all_missing { Health::Waiting(text) } else { Health::Failing(text) }
}

impl Source for WatchSource {
    fn name(&self) -> &str {
        &self.settings.head.name
    }

    fn kind(&self) -> &'static str {
        "watch"
    }

    fn service(&self) -> &Service {
        &self.settings.head.service
    }

    fn poll(&mut self, now: Timestamp, _may_read: bool, into: &mut Accumulator) -> Progress {
        let next = self.poll_at(now, clock::running(), into);
        Progress { next, dirty: self.observer.has_unsaved() }
    }

    fn checkpoint(&mut self) -> Checkpoint {
        let (store, forget) = self.observer.checkpoint();
        Checkpoint { store, forget, ..Checkpoint::default() }
    }

    fn committed(&mut self, _at: Timestamp) {
        self.observer.committed();
    }

    fn reconfigure(&mut self, settings: &SourceSettings, into: &mut Accumulator) -> bool {
        let Some(settings) = settings.as_kind::<WatchSourceSettings>() else { return false };
        if !settings.looks_alike(&self.settings) {
            return false;
        }
        self.settings = settings.clone();
        self.rhythm.set_every(settings.head.every);
        self.observer.reconfigure(settings.watch(), into);
        true
    }

    fn in_use(&self) -> Option<InUse> {
        Some(self.observer.in_use())
    }

    fn health(&self) -> Health {
        self.health.clone()
    }
}

/// What is known one by one is not shown.
impl std::fmt::Debug for WatchSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchSource").field("settings", &self.settings).finish_non_exhaustive()
    }
}
