//! The engine: everything the collector decides, in one place and one thread.
//!
//! Owns all alert, group and incident state; others see snapshots. Never does anything: [`Engine::handle`] takes one
//! input at one time and returns what follows from it, and [`Engine::next_deadline`] says when to call again.
//!
//! In reading order: `input`, `effect` and `view` are its edge; `clock` and `pace` keep time; `alerts` moves alerts;
//! `agents`, `own`, `slos` (by their `agenda`), `data`, `rules` and `samples` watch; `corrections` say what budgets leave out; `routing` puts
//! alerts into groups (`index` finds them there), `flush` decides what is told, `compose` words it (`wording` its
//! annotations), `delivered` hears what became of it; `reload` changes the settings under all of it.

mod agenda;
mod agents;
mod alerts;
mod clock;
mod compose;
mod corrections;
mod data;
mod delivered;
mod effect;
mod flush;
mod index;
mod input;
mod own;
mod pace;
mod reload;
mod routing;
mod rules;
mod samples;
mod slos;
mod view;
mod wording;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeeper_model::{AgentId, Service, Timestamp};

pub use corrections::MOST_CORRECTIONS;
pub use effect::{Delivery, Effect, Fact};
pub use input::{
    AgentRow, AgentState, Beat, ByeReason, Committed, Hello, Input, IntegrationSettings,
    ReceiverSettings, Restored, RestoredSlo, Road, Settings, SourceHealth,
};
pub use view::{AgentView, AlertView, CorrectionView, PartView, SloView, Snapshot, SourceView};

use crate::alert::{AlertRow, Fingerprint};
use crate::notify::{DeliveryRow, GroupId, GroupRow, IncidentRow};
use agenda::Agenda;
use agents::AgentWatch;
use clock::{Clock, Turn};
use corrections::Corrections;
use index::Index;
use own::Failing;
use rules::RuleWatch;
use samples::Samples;
use slos::SloWatch;

/// Decides what follows from what.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Arc<Settings>,
    clock: Clock,
    slos: BTreeMap<String, SloWatch>,
    /// When each of them is to be looked at.
    agenda: Agenda,
    corrections: Corrections,
    rules: BTreeMap<String, RuleWatch>,
    agents: BTreeMap<AgentId, AgentWatch>,
    samples: BTreeMap<Service, Samples>,
    alerts: BTreeMap<Fingerprint, AlertRow>,
    groups: BTreeMap<GroupId, GroupRow>,
    /// Those that are not closed or abandoned.
    incidents: BTreeMap<u64, IncidentRow>,
    /// Those under way.
    deliveries: BTreeMap<u64, DeliveryRow>,
    index: Index,
    /// Integrations whose last attempt failed, by receiver and integration.
    failing: BTreeMap<(String, String), Failing>,
    last_incident: u64,
    last_delivery: u64,
    effects: Vec<Effect>,
    /// Groups to be stored, or forgotten where they are no longer there: once per call, however often they changed.
    changed_groups: BTreeSet<GroupId>,
    /// Deliveries of this call: they come after all rows.
    outbox: Vec<Delivery>,
}

impl Engine {
    /// An engine that goes on where the stored rows left off. The effects send again what was under way, and settle
    /// what the settings have changed meanwhile.
    pub fn new(settings: Settings, restored: Restored, now: Timestamp) -> (Self, Vec<Effect>) {
        let mut engine = Self {
            settings: Arc::new(settings),
            clock: Clock::new(now),
            slos: BTreeMap::new(),
            agenda: Agenda::default(),
            corrections: Corrections::default(),
            rules: BTreeMap::new(),
            agents: BTreeMap::new(),
            samples: BTreeMap::new(),
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            incidents: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            index: Index::default(),
            failing: BTreeMap::new(),
            last_incident: restored.last_incident,
            last_delivery: restored.last_delivery,
            effects: Vec::new(),
            changed_groups: BTreeSet::new(),
            outbox: Vec::new(),
        };
        engine.restore(restored, now);
        engine.settle(now);
        let effects = engine.take_effects();
        (engine, effects)
    }

    /// Takes one input at one time, and says what to do. Rows first, deliveries last.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let now = self.turn_clock(now);
        match input {
            Input::Committed(batch) => self.committed(&batch, now),
            Input::Hello(hello) => self.hello(&hello, now),
            Input::Beat(beat) => self.beat(*beat, now),
            Input::Bye { agent, reason } => self.bye(&agent, reason, now),
            // A connection may come back before the next beat is due; only beats tell.
            Input::Disconnected { .. } | Input::Tick => {}
            Input::Forked { agent, detail } => self.forked(&agent, &detail, now),
            Input::StorageUsed { bytes, max_bytes } => self.storage_used(bytes, max_bytes, now),
            Input::DeadLetters { collector, broker } => {
                self.dead_letters(collector, broker, now);
            }
            Input::Delivered { delivery, reply } => self.delivered(delivery, reply, now),
            Input::Acknowledge { fingerprint, by, comment } => {
                self.acknowledge(fingerprint, by, comment, now);
            }
            Input::Tested(rows) => self.tested(rows),
            Input::AddCorrection(row) => self.add_correction(*row, now),
            Input::EndCorrection { id, by } => self.end_correction(id, by, now),
            Input::Reload { settings, restored } => self.reload(*settings, restored, now),
        }
        self.settle(now);
        self.take_effects()
    }

    /// When to call [`Self::handle`] with [`Input::Tick`] if nothing else happens before. Never too late; where it is
    /// too early nothing follows. A call more than a minute later than this is taken for a sleep of the machine.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.clock.due
    }

    /// The present settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Receivers and integrations with something open or under way: their clients are needed although a reload may have
    /// taken them out of the configuration.
    pub fn receivers_in_use(&self) -> BTreeSet<(String, String)> {
        self.incidents.values().map(|i| (i.receiver.clone(), i.integration.clone())).collect()
    }

    /// Everything, for answers.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let mut alerts = self.alerts();
        self.word(&mut alerts, now);
        Snapshot {
            at: now,
            alerts,
            slos: self.slos(now),
            agents: self.agents(),
            corrections: self.corrections(now),
        }
    }

    fn turn_clock(&mut self, now: Timestamp) -> Timestamp {
        match self.clock.turn(now) {
            Turn::On => {}
            Turn::SetBack { from } => {
                self.fact(Fact::ClockSetBack { at: now, from });
                self.set_back(now);
            }
            Turn::Overslept { since } => {
                self.fact(Fact::Overslept { at: now, since });
                // Nobody was silent while we slept.
                self.make_agenda();
            }
        }
        self.clock.now()
    }

    /// Does everything that is due, if anything is, and what follows from it.
    fn settle(&mut self, now: Timestamp) {
        if self.clock.is_due(now) {
            self.check_agents(now);
            self.check_corrections(now);
            self.check_slos(now);
            self.check_rules(now);
            self.check_receivers(now);
            self.check_alerts(now);
            self.flush_due(now);
            self.clock.due = self.earliest();
        }
    }

    /// The earliest of all deadlines.
    fn earliest(&self) -> Option<Timestamp> {
        [
            self.agents_due(),
            self.slos_due(),
            self.rules_due(),
            self.receivers_due(),
            self.alerts_due(),
            self.groups_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Timers that lie ahead of a clock that was set back would never come; they are brought back.
    fn set_back(&mut self, now: Timestamp) {
        let bring = |at: &mut Timestamp| *at = (*at).min(now);
        for alert in self.alerts.values_mut() {
            bring(&mut alert.pending_since);
            alert.unmet_since.as_mut().map(bring);
            alert.held_until.as_mut().map(bring);
            alert.ends_at.as_mut().map(bring);
        }
        for group in self.groups.values_mut() {
            group.last_sent.as_mut().map(bring);
            group.next_flush.as_mut().map(bring);
        }
        for incident in self.incidents.values_mut() {
            incident.told_at.as_mut().map(bring);
            incident.closing_since.as_mut().map(bring);
            incident.retry_at.as_mut().map(bring);
        }
        for failing in self.failing.values_mut() {
            bring(&mut failing.since);
        }
        self.agents.values_mut().for_each(|agent| agent.set_back(now));
        self.slos.values_mut().for_each(|slo| slo.set_back(now));
        self.make_agenda();
        self.rules.values_mut().for_each(|rule| rule.set_back(now));
    }

    fn fact(&mut self, fact: Fact) {
        self.effects.push(Effect::Fact(fact));
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        for id in std::mem::take(&mut self.changed_groups) {
            effects.push(match self.groups.get(&id) {
                Some(group) => Effect::SaveGroup(Box::new(group.clone())),
                None => Effect::ForgetGroup(id),
            });
        }
        // Of what leaves at once pages are first: to a receiver that takes one a second it is who is told in time. What ends
        // is last, so that where an alert changes groups the new one still speaks first.
        self.outbox.sort_by_key(|delivery| Reverse(delivery.notification.worst_firing()));
        effects.extend(self.outbox.drain(..).map(|delivery| Effect::Deliver(Box::new(delivery))));
        effects
    }
}
