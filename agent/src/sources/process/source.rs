//! The driver of one `process` source.
//!
//! Owns when it looks: every so often; at once when a process has ended or another is said to be meant; and twice a second
//! for a while after an end, to see it come back. What takes long is done beside the worker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchkeeper_agent_core::observe::{Accumulator, InUse};
use watchkeeper_agent_core::polling::{Rhythm, Turn};
use watchkeeper_agent_core::process::{
    Change, Exit, Identity, Process, ProcessObserver, Rest, Restarts, Sample, Total, Track,
};
use watchkeeper_daemon::{clock, machine};
use watchkeeper_model::{FileRef, Service, Timestamp};

use super::config::{ProcessSourceSettings, Target};
use super::matching::ByMatch;
use super::pidfile::ByPidFile;
use super::table::{Kept, Moment, Table};
use super::unit::{ByUnit, Supervisor};
use super::whom::{Knower, Whom};
use super::{death, facts};
use crate::sources::{
    Beside, Checkpoint, Errand, Health, Kind as _, Progress, Source, SourceSettings, Stored,
};

/// So many processes are heard of at once when they end, each by a descriptor. The others are missed at the next look.
const MAX_WAITED_FOR: usize = 128;

/// After an end it is looked so often, for so long, for what comes back.
const WATCHFUL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// So long is waited for whoever knows how a process ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// What stands for the process where others name a file.
const ROW: FileRef = FileRef { inode: 0, born: Timestamp(0) };

/// Observes a process, or several that are one thing.
#[derive(Debug)]
pub struct ProcessSource {
    settings: ProcessSourceSettings,
    rhythm: Rhythm,
    table: Table,
    kept: Kept,
    boot: String,
    knower: Box<dyn Knower>,
    track: Track,
    restarts: Restarts,
    observer: ProcessObserver,
    beside: Beside,
    /// Whoever is waited for to end.
    deaths: BTreeMap<Identity, Errand<Exit>>,
    /// Ended, and it may still be said how; since when.
    ended: BTreeMap<Identity, Duration>,
    /// A look was due before anybody knew whom to look at.
    owed: bool,
    /// When to look for what comes back, and until when.
    watchful: Option<(Duration, Duration)>,
    health: Health,
    /// What was told last.
    problem: Option<String>,
}

/// What one look has seen.
#[derive(Debug)]
struct Look {
    total: Total,
    samples: Vec<Sample>,
    /// Those that were there before and can't be looked at now: an agent without a descriptor left raises no alarm.
    unseen: Vec<Process>,
    /// Those that are too many to look at.
    rest: Rest,
    /// If nobody is there, whether that is known.
    is_certain: bool,
    health: Health,
}

impl Look {
    fn at_nobody(is_up: bool, health: Health) -> Self {
        let total = Total { is_up, n: 0 };
        let (samples, unseen, rest) = (Vec::new(), Vec::new(), Rest::default());
        Self { total, samples, unseen, rest, is_certain: true, health }
    }
}

impl ProcessSource {
    /// A source of these settings that goes on from what was stored.
    pub fn new(
        settings: ProcessSourceSettings,
        stored: &Stored,
        into: &mut Accumulator,
        beside: Beside,
    ) -> Self {
        let table = Table::new();
        let knower: Box<dyn Knower> = match settings.target.clone() {
            Target::Systemd(unit) => Box::new(ByUnit::new(Supervisor::systemd(&unit))),
            Target::Launchd(label) => Box::new(ByUnit::new(Supervisor::launchd(&label))),
            Target::PidFile(path) => Box::new(ByPidFile::new(path)),
            Target::Match(regex) => Box::new(ByMatch::new(regex, table.clone())),
        };
        Self::on(settings, stored, (table, knower), into, beside)
    }

    pub(super) fn on(
        settings: ProcessSourceSettings,
        stored: &Stored,
        (table, knower): (Table, Box<dyn Knower>),
        into: &mut Accumulator,
        beside: Beside,
    ) -> Self {
        let boot = machine::boot();
        let row = stored.rows.first().map_or("", String::as_str);
        Self {
            rhythm: Rhythm::new(settings.head.every),
            track: Track::restore(row, &settings.reads(), &boot),
            observer: ProcessObserver::new(&settings.head.name, &settings.head.service, into),
            settings,
            table,
            kept: Kept::default(),
            boot,
            knower,
            restarts: Restarts::default(),
            beside,
            deaths: BTreeMap::new(),
            ended: BTreeMap::new(),
            owed: false,
            watchful: None,
            health: Health::Ok,
            problem: None,
        }
    }

    /// What a poll does, `running` after the agent began.
    pub(super) fn poll_at(
        &mut self,
        now: Timestamp,
        running: Duration,
        into: &mut Accumulator,
    ) -> Timestamp {
        self.hear_of_ends(now, running, into);
        let mut shall_look = self.knower.take();
        let turn = self.rhythm.turn(now, running);
        let mut since_last = None;
        if let Turn::Look { since_last: since, gap } = turn {
            if let Some(gap) = gap {
                facts::gap(&self.settings.head.name, &gap);
                self.observer.gap(&gap, now, into);
            }
            since_last = since;
            self.owed = true;
            self.knower.ask(&self.beside, running);
        }
        if self.is_watchful(running) {
            shall_look = true;
            self.knower.ask(&self.beside, running);
        }
        self.tell_ends(now, running, into);
        if (self.owed || shall_look) && self.ended.is_empty() {
            self.look(now, since_last, running, into);
        }
        self.tell();
        let mut next = now + self.rhythm.next().saturating_sub(running);
        if let Some((at, _)) = self.watchful {
            next = next.min(now + at.saturating_sub(running));
        }
        if self.ended.is_empty() { next } else { next.min(now + WATCHFUL.0) }
    }

    /// Takes note of those that have ended since.
    fn hear_of_ends(&mut self, now: Timestamp, running: Duration, into: &mut Accumulator) {
        let mut ended = Vec::new();
        self.deaths.retain(|id, errand| match errand.take() {
            None => true,
            Some(exit) => {
                ended.push((*id, exit.unwrap_or_default()));
                false
            }
        });
        ended.retain(|(id, _)| self.track.knows(*id));
        for (id, exit) in ended {
            self.knower.died(id.pid);
            self.knower.ask(&self.beside, running);
            self.watchful = Some((running + WATCHFUL.0, running + WATCHFUL.1));
            if exit == Exit::Unknown {
                self.ended.insert(id, running);
                // That it is down is said at once, how it ended when that is known.
                let n = self.track.n().saturating_sub(self.ended.len());
                self.observer.up(Total { is_up: n > 0, n: n as u64 }, now, into);
            } else {
                self.died(id, exit, now, into);
            }
        }
    }

    /// Tells of those that have ended as soon as it is known how, or nobody is waited for any longer.
    fn tell_ends(&mut self, now: Timestamp, running: Duration, into: &mut Accumulator) {
        let mut told = Vec::new();
        let knower = &self.knower;
        self.ended.retain(|id, since| {
            let exit = knower.exit(id.pid);
            let exit = exit.or((running > *since + PATIENCE).then_some(Exit::Unknown));
            told.extend(exit.map(|exit| (*id, exit)));
            exit.is_none()
        });
        for (id, exit) in told {
            self.died(id, exit, now, into);
        }
    }

    fn died(&mut self, id: Identity, exit: Exit, now: Timestamp, into: &mut Accumulator) {
        if let Some(change) = self.track.died(id, exit, now) {
            let n = self.track.n();
            self.observer.up(Total { is_up: n > 0, n: n as u64 }, now, into);
            self.observer.tell(&change, now, into);
        }
    }

    fn is_watchful(&mut self, running: Duration) -> bool {
        let Some((at, until)) = self.watchful else { return false };
        if running < at {
            return false;
        }
        self.watchful = (running < until).then_some((running + WATCHFUL.0, until));
        true
    }

    fn look(
        &mut self,
        now: Timestamp,
        since_last: Option<Duration>,
        running: Duration,
        into: &mut Accumulator,
    ) {
        let whom = self.knower.whom();
        if whom == Whom::NotYet {
            return;
        }
        let look = self.look_at(whom, self.table.moment(now));
        self.health = look.health;
        if !look.is_certain && !look.total.is_up {
            self.owed = false;
            return;
        }
        let seen: Vec<_> = look.samples.iter().map(|sample| sample.process).collect();
        let mut seen = [seen, look.unseen].concat();
        // Who is not meant any more, as while a pidfile is away, has not ended.
        let met: BTreeSet<Identity> = seen.iter().map(|process| process.id).collect();
        let known = self.track.known().filter(|known| !met.contains(&known.id));
        let strays: Vec<_> = known.filter(|known| self.table.is_there(known.id)).collect();
        seen.extend(strays);
        let changes = self.track.look(&seen, look.rest, now);
        changes.iter().for_each(|change| self.observer.tell(change, now, into));
        self.count_restarts(&changes, now, into);
        if std::mem::take(&mut self.owed) {
            self.observer.look(look.total, &look.samples, since_last, now, into);
        } else if !changes.is_empty() {
            self.observer.up(look.total, now, into);
        }
        if changes.iter().any(|change| matches!(change, Change::Died { n_left: 0, .. })) {
            self.watchful = Some((running + WATCHFUL.0, running + WATCHFUL.1));
        }
        self.wait_for_ends();
    }

    /// Looks at those who are meant; where that is not known, at those who were.
    fn look_at(&mut self, whom: Whom, moment: Moment) -> Look {
        match whom {
            Whom::These { pids, n_more } => self.look_at_these(&pids, n_more, moment),
            Whom::Unclear(problem) => {
                let known: Vec<u32> = self.track.known().map(|process| process.id.pid).collect();
                let look = self.look_at_these(&known, 0, moment);
                // That nobody is there is known only of those that were.
                let is_certain = look.is_certain && self.track.has_known();
                let Total { is_up, n } = look.total;
                // Nothing new is known of the others either.
                let rest = if is_up { self.track.rest() } else { Rest::default() };
                let total = Total { is_up, n: n + rest.n as u64 };
                Look { health: Health::Failing(problem), is_certain, total, rest, ..look }
            }
            Whom::Nobody(why) => Look::at_nobody(false, Health::Waiting(why)),
            Whom::NoProcess => Look::at_nobody(true, Health::Ok),
            Whom::NotYet => Look::at_nobody(false, Health::Ok),
        }
    }

    fn look_at_these(&mut self, pids: &[u32], n_more: usize, moment: Moment) -> Look {
        let mut look = Look::at_nobody(false, Health::Ok);
        let mut problems = Vec::new();
        if n_more > 0 {
            let n = pids.len();
            let all = n + n_more;
            problems.push(Health::Failing(format!(
                "{all} processes match, of which {n} are looked at: let the expression match fewer"
            )));
        }
        self.kept.only(pids);
        for &pid in pids {
            match self.table.look(pid, moment, &mut self.kept) {
                Ok(Some(seen)) => match self.knower.accepts(&seen.sample.process, moment) {
                    Ok(()) => {
                        look.samples.push(seen.sample);
                        problems.extend(seen.closed.map(|error| {
                            Health::Failing(format!(
                                "the files that process {pid} has open can't be counted: {error}"
                            ))
                        }));
                    }
                    Err(why) => problems.push(Health::Waiting(why)),
                },
                Ok(None) if pids.len() == 1 => {
                    problems.push(Health::Waiting(format!("process {pid} does not run")));
                }
                Ok(None) => {}
                Err(error) => {
                    let known = self.track.known().find(|known| known.id.pid == pid);
                    look.is_certain &= known.is_some();
                    look.unseen.extend(known);
                    let why = format!("process {pid} can't be looked at: {error}");
                    problems.push(Health::Failing(why));
                }
            }
        }
        let n = (look.samples.len() + look.unseen.len() + n_more) as u64;
        look.total = Total { is_up: n > 0, n };
        look.rest = Rest { n: n_more, until: moment.started };
        look.health = problems.into_iter().next().unwrap_or(Health::Ok);
        look
    }

    fn count_restarts(&mut self, changes: &[Change], now: Timestamp, into: &mut Accumulator) {
        let seen = changes.iter().filter(|c| matches!(c, Change::Restarted { .. })).count();
        let said = self.knower.n_restarts();
        let n = self.restarts.notice(seen as u64, said);
        if n > 0 {
            self.observer.restarts(n, now, into);
        } else if self.watchful.is_none() {
            self.restarts.settle();
        }
    }

    /// Waits for those that are known, and for no others.
    fn wait_for_ends(&mut self) {
        let track = &self.track;
        self.deaths.retain(|id, _| track.knows(*id));
        for process in self.track.known() {
            if self.deaths.len() >= MAX_WAITED_FOR {
                break;
            }
            let wait = || death::wait(&self.beside, &self.table, process.id);
            self.deaths.entry(process.id).or_insert_with(wait);
        }
    }

    fn tell(&mut self) {
        let problem = match &self.health {
            Health::Failing(problem) => Some(problem.clone()),
            Health::Ok | Health::Waiting(_) => None,
        };
        if problem != self.problem {
            match &problem {
                Some(problem) => facts::problem(&self.settings.head.name, problem),
                None => facts::observed_again(&self.settings.head.name),
            }
            self.problem = problem;
        }
    }
}

impl Source for ProcessSource {
    fn name(&self) -> &str {
        &self.settings.head.name
    }

    fn kind(&self) -> &'static str {
        "process"
    }

    fn service(&self) -> &Service {
        &self.settings.head.service
    }

    fn poll(&mut self, now: Timestamp, _may_read: bool, into: &mut Accumulator) -> Progress {
        let next = self.poll_at(now, clock::running(), into);
        Progress { next, dirty: self.track.is_dirty() }
    }

    fn checkpoint(&mut self) -> Checkpoint {
        let row = || (ROW, self.track.encode(&self.settings.reads(), &self.boot));
        let store = self.track.is_dirty().then(row).into_iter().collect();
        Checkpoint { store, ..Checkpoint::default() }
    }

    fn committed(&mut self, _at: Timestamp) {
        self.track.stored();
    }

    fn reconfigure(&mut self, settings: &SourceSettings, into: &mut Accumulator) -> bool {
        let Some(settings) = settings.as_kind::<ProcessSourceSettings>() else { return false };
        if settings.target != self.settings.target {
            // What is known is of another process.
            return false;
        }
        self.settings = settings.clone();
        let head = &settings.head;
        self.rhythm.set_every(head.every);
        self.observer.rename(&head.name, &head.service, into);
        true
    }

    fn in_use(&self) -> Option<InUse> {
        Some(self.observer.in_use())
    }

    fn health(&self) -> Health {
        if self.owed && self.health == Health::Ok {
            return Health::Waiting("it is not known yet which process is meant".to_owned());
        }
        self.health.clone()
    }
}
