//! The rehearsal itself: settings, an engine, and a clock that somebody else turns.
//!
//! Owns the order in which things happen at one time: beats, attempts at receivers, what the engine had asked to be called
//! for, then what came in. Never reads a clock; the same inputs at the same times give the same happenings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use watchkeeper_collector_core::alert::Fingerprint;
use watchkeeper_collector_core::engine::{
    AlertView, ByeReason, Committed, Effect, Engine, Hello, Input, Restored, Settings, SloView,
};
use watchkeeper_collector_core::series::Threshold;
use watchkeeper_model::{AgentId, Event, SeriesWindows, Service, SourceTally, Timestamp};

use super::agents::{Agents, epoch};
use super::happened::{Happened, Moved, Told};
use super::receivers::{Mood, Receivers};
use crate::intake::base_values;
use crate::intake::count::{Keep, count_and_keep};
use crate::intake::known::{KnownSeries, SloIndex};

/// So often the engine may ask to be called at one and the same time; more would be a bug of ours that stops time.
const MOST_TICKS_AT_ONCE: u32 = 1_000;

/// What an agent has counted of one service: what a batch would have carried.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Who has counted.
    pub agent: AgentId,
    /// Whose.
    pub service: Service,
    /// Windows by series.
    pub series: Vec<SeriesWindows>,
    /// The latest events, for whoever is told.
    pub events: Vec<Event>,
    /// What its sources did.
    pub tallies: Vec<SourceTally>,
}

/// A collector in virtual time.
#[derive(Debug)]
pub struct Rehearsal {
    settings: Arc<Settings>,
    engine: Engine,
    now: Timestamp,
    agents: Agents,
    receivers: Receivers,
    happened: Vec<Happened>,
    index: Arc<SloIndex>,
    known: BTreeMap<AgentId, KnownSeries>,
}

impl Rehearsal {
    /// A collector that starts at `now` and knows nothing of before.
    pub fn begin(settings: Arc<Settings>, now: Timestamp) -> Self {
        let (engine, first) = Engine::new((*settings).clone(), Restored::default(), now);
        let mut rehearsal = Self {
            index: Arc::new(SloIndex::new(settings.clone())),
            known: BTreeMap::new(),
            settings,
            engine,
            now,
            agents: Agents::default(),
            receivers: Receivers::default(),
            happened: Vec::new(),
        };
        rehearsal.carry_out(first);
        rehearsal.settle();
        rehearsal
    }

    /// What time it is.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// What the collector goes by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// At which values agents should count each signal exactly, in base units: what a welcome would ask for.
    pub fn wanted_bounds(&self) -> Vec<(Service, String, Vec<i64>)> {
        let wanted = self.settings.bounds().into_iter();
        let all = |thresholds: Vec<Threshold>| thresholds.iter().flat_map(base_values).collect();
        wanted.map(|((service, signal), bounds)| (service, signal, all(bounds))).collect()
    }

    /// Lets time pass up to `to`, with everything that is due on the way. A time that has passed changes nothing.
    pub fn advance(&mut self, to: Timestamp) {
        while let Some(due) = self.due().filter(|due| *due <= to) {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = self.now.max(to);
    }

    /// Takes in what an agent has counted, now.
    pub fn take_in(&mut self, counted: Counted) {
        let Counted { agent, service, series, events, tallies } = counted;
        let known = self.known.entry(agent.clone()).or_default();
        let by = (&self.index, known);
        let windows = count_and_keep(Keep::Judged, by, (&agent, &service), series, (0, self.now));
        self.handle(Input::Committed(Box::new(Committed {
            agent,
            service,
            judged: windows.judged,
            observed: windows.observed,
            events,
            tallies,
            n_lost: 0,
        })));
        self.settle();
    }

    /// An agent is there from now on, and beats.
    pub fn agent_arrives(&mut self, agent: &AgentId) {
        if self.agents.is_there(agent) {
            return;
        }
        self.agents.beats_from(agent, self.now);
        let hello =
            Hello { agent: agent.clone(), epoch: epoch(), instance: 1, version: String::new() };
        self.handle(Input::Hello(hello));
        self.settle();
    }

    /// An agent is not heard of any more, and has not said why.
    pub fn agent_falls_silent(&mut self, agent: &AgentId) {
        self.agents.goes(agent);
        self.handle(Input::Disconnected { agent: agent.clone() });
        self.settle();
    }

    /// An agent goes away on purpose.
    pub fn agent_stops(&mut self, agent: &AgentId) {
        self.agents.goes(agent);
        self.handle(Input::Bye { agent: agent.clone(), reason: ByeReason::Stop });
        self.settle();
    }

    /// From now on a receiver behaves like this.
    pub fn receiver_is(&mut self, receiver: &str, mood: Mood) {
        self.receivers.set(receiver, mood, self.now);
        self.settle();
    }

    /// Somebody takes on an alert.
    pub fn acknowledge(&mut self, fingerprint: Fingerprint, by: &str) {
        let (by, comment) = (by.to_owned(), String::new());
        self.handle(Input::Acknowledge { fingerprint, by, comment });
        self.settle();
    }

    /// The clock jumps by so many nanoseconds, either way, as one that is set by hand.
    pub fn clock_jumps(&mut self, nanos: i64) {
        self.now = self.now.shifted(nanos);
        self.agents.clock_jumps(nanos);
        self.receivers.clock_jumps(nanos);
        self.handle(Input::Tick);
        self.settle();
    }

    /// What has happened since this was asked last, in order.
    pub fn happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// How each SLO stands, by name.
    pub fn slos(&self) -> Vec<SloView> {
        self.engine.slos(self.now)
    }

    /// All alerts that are on, and for a while those that were.
    pub fn alerts(&self) -> Vec<AlertView> {
        self.engine.alerts()
    }

    /// When something is due without anything coming in.
    fn due(&self) -> Option<Timestamp> {
        let due = [self.engine.next_deadline(), self.agents.due(), self.receivers.due()];
        due.into_iter().flatten().min()
    }

    /// Does everything that is due now.
    fn settle(&mut self) {
        let mut n_ticks = 0;
        loop {
            if let Some(beat) = self.agents.beat(self.now) {
                self.handle(Input::Beat(Box::new(beat)));
            } else if let Some(attempted) = self.receivers.attempt(self.now) {
                if attempted.is_taken {
                    let told = Told::of(&attempted.delivery, self.now);
                    self.happened.push(Happened::Told(told));
                }
                let (delivery, reply) = (attempted.delivery.id, attempted.reply);
                self.handle(Input::Delivered { delivery, reply });
            } else if self.engine.next_deadline().is_some_and(|due| due <= self.now) {
                n_ticks += 1;
                if n_ticks > MOST_TICKS_AT_ONCE {
                    self.now = self.now + Duration::from_millis(1);
                }
                self.handle(Input::Tick);
            } else {
                return;
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let effects = self.engine.handle(input, self.now);
        self.carry_out(effects);
    }

    /// Rows are nobody's business here.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Deliver(delivery) => self.receivers.submit(*delivery, self.now),
                Effect::Fact(fact) => {
                    self.happened.extend(Moved::of(fact).map(Happened::Moved));
                }
                _ => {}
            }
        }
    }
}
