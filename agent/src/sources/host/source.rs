//! The driver of one `host` source.
//!
//! Owns the order of a turn: a glance at once, file systems and sensors when they have answered. Never waits for them.

use std::time::Duration;

use watchkeeper_agent_core::host::HostObserver;
use watchkeeper_agent_core::observe::{Accumulator, InUse};
use watchkeeper_agent_core::polling::{Rhythm, Turn};
use watchkeeper_daemon::clock;
use watchkeeper_model::{Service, Timestamp};

use super::config::HostSourceSettings;
use super::disks::Disks;
use super::facts;
use super::machine::Machine;
use super::sensors::Sensors;
use crate::sources::{Beside, Health, Progress, Source, SourceSettings};

/// Observes the host.
#[derive(Debug)]
pub struct HostSource {
    settings: HostSourceSettings,
    rhythm: Rhythm,
    machine: Machine,
    disks: Disks,
    sensors: Sensors,
    observer: HostObserver,
    beside: Beside,
    /// What the last glance could not see.
    unseen: Vec<String>,
    /// What was told last.
    problem: Option<String>,
}

impl HostSource {
    /// A source of these settings.
    pub fn new(settings: HostSourceSettings, into: &mut Accumulator, beside: Beside) -> Self {
        Self::on(settings, Machine::new(), into, beside)
    }

    pub(super) fn on(
        settings: HostSourceSettings,
        machine: Machine,
        into: &mut Accumulator,
        beside: Beside,
    ) -> Self {
        Self {
            rhythm: Rhythm::new(settings.head.every),
            observer: HostObserver::new(&settings.head.name, &settings.head.service, into),
            settings,
            machine,
            disks: Disks::default(),
            sensors: Sensors::default(),
            beside,
            unseen: Vec::new(),
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
        if let Turn::Look { since_last, gap } = self.rhythm.turn(now, running) {
            if let Some(gap) = gap {
                facts::gap(&self.settings.head.name, &gap);
                self.observer.gap(&gap, now, into);
            }
            let (glance, unseen) = self.machine.glance();
            self.unseen = unseen;
            self.observer.glance(&glance, since_last, now, into);
            self.disks.ask(&self.beside);
            self.sensors.ask(&self.beside);
        }
        let space = self.disks.take(&self.beside);
        self.observer.space(&space, now, into);
        self.observer.sensors(&self.sensors.take(), now, into);
        self.tell();
        now + self.rhythm.next().saturating_sub(running)
    }

    fn tell(&mut self) {
        let problem = self.problems();
        if problem != self.problem {
            match &problem {
                Some(problem) => facts::problem(&self.settings.head.name, problem),
                None => facts::all_is_seen(&self.settings.head.name),
            }
            self.problem = problem;
        }
    }

    fn problems(&self) -> Option<String> {
        let all = self.unseen.iter().cloned().chain(self.disks.problems());
        let all: Vec<String> = all.chain(self.sensors.problem()).collect();
        let n_more = all.len().saturating_sub(1);
        let first = all.into_iter().next()?;
        Some(if n_more == 0 { first } else { format!("{first}; and {n_more} more") })
    }
}

impl Source for HostSource {
    fn name(&self) -> &str {
        &self.settings.head.name
    }

    fn kind(&self) -> &'static str {
        "host"
    }

    fn service(&self) -> &Service {
        &self.settings.head.service
    }

    fn poll(&mut self, now: Timestamp, _may_read: bool, into: &mut Accumulator) -> Progress {
        let next = self.poll_at(now, clock::running(), into);
        Progress { next, dirty: false }
    }

    fn reconfigure(&mut self, settings: &SourceSettings, into: &mut Accumulator) -> bool {
        let Some(settings) = settings.as_kind::<HostSourceSettings>() else { return false };
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
        self.problem.clone().map_or(Health::Ok, Health::Failing)
    }
}
