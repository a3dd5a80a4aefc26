//! Playing a scenario on a rehearsal.
//!
//! Owns the order of things at one time: what happens, then the traffic whose windows are over, then a look at what is
//! asked about. What an agent counts while it is away it brings when it returns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeeper_collector::rehearsal::{Counted, Happened, Mood, Rehearsal, SloView};
use watchkeeper_model::{AgentId, Timestamp};

use super::given::Bounds;
use super::settings::{Event, Expect, Happens, Scenario};
use super::timeline::Timeline;

const MINUTE: i64 = 60_000_000_000;

/// Plays it to its end.
pub(super) fn play(scenario: &Scenario) -> Timeline {
    Playing::begin(scenario).run()
}

struct Playing<'s> {
    scenario: &'s Scenario,
    rehearsal: Rehearsal,
    bounds: Bounds,
    /// Since the start, by a clock that never jumps.
    t: i64,
    /// How far the collector's clock has jumped.
    jumped: i64,
    /// Agents that are away, with what they bring.
    away: BTreeMap<AgentId, Vec<Counted>>,
    timeline: Timeline,
}

/// What is asked about.
#[derive(Default)]
struct Looks {
    /// Times at which SLOs are looked at.
    at: BTreeSet<i64>,
    /// Tiers looked at every minute, by SLO and severity.
    tiers: BTreeSet<(String, &'static str)>,
    end: i64,
}

impl Looks {
    fn of(scenario: &Scenario) -> Self {
        let mut looks = Self::default();
        let ends =
            scenario.traffic.iter().map(|t| t.to).chain(scenario.events.iter().map(|e| e.at));
        looks.end = ends.max().unwrap_or(0);
        for expect in &scenario.expect {
            let until = match &expect.value {
                Expect::Stands { when, .. }
                | Expect::Fires { when, .. }
                | Expect::Clears { when, .. }
                | Expect::Quiet { when, .. }
                | Expect::Told { when, .. }
                | Expect::NotTold { when, .. } => when.to,
                Expect::Burns { slo, severity, when, .. } => {
                    looks.tiers.insert((slo.clone(), severity));
                    when.to
                }
                Expect::Slo { at, .. } => {
                    looks.at.insert(*at);
                    *at
                }
            };
            looks.end = looks.end.max(until);
        }
        looks
    }
}

impl<'s> Playing<'s> {
    fn begin(scenario: &'s Scenario) -> Self {
        let engine = Arc::new(scenario.judging.engine.clone());
        let mut rehearsal = Rehearsal::begin(engine, scenario.start);
        // Where nobody asks whether agents are there, time passes sooner without their beats.
        let is_asked = !scenario.judging.engine.rules.is_empty() || !scenario.events.is_empty();
        let agents: BTreeSet<&AgentId> = scenario.traffic.iter().map(|t| &t.agent).collect();
        for agent in agents.into_iter().filter(|_| is_asked) {
            rehearsal.agent_arrives(agent);
        }
        let bounds = rehearsal.wanted_bounds();
        let (away, timeline) = (BTreeMap::new(), Timeline::default());
        Self { scenario, rehearsal, bounds, t: 0, jumped: 0, away, timeline }
    }

    fn run(mut self) -> Timeline {
        let looks = Looks::of(self.scenario);
        let mut events = self.scenario.events.iter().peekable();
        self.look(&looks);
        while self.t < looks.end {
            let next = self.next(&looks, events.peek().map(|event| event.at));
            self.advance(next);
            while let Some(event) = events.next_if(|event| event.at <= self.t) {
                self.happens(event);
            }
            self.take_in();
            self.note();
            self.look(&looks);
        }
        self.timeline.end = self.t;
        self.timeline
    }

    /// When the next thing is to be done.
    fn next(&self, looks: &Looks, event: Option<i64>) -> i64 {
        let traffic = self.scenario.traffic.iter().filter_map(|t| t.next_end(self.t));
        let minute = (!looks.tiers.is_empty()).then(|| (self.t / MINUTE + 1) * MINUTE);
        let look = looks.at.range(self.t + 1..).next().copied();
        let others = [event, minute, look, Some(looks.end)];
        let next = traffic.chain(others.into_iter().flatten()).filter(|at| *at > self.t).min();
        next.unwrap_or(looks.end).min(looks.end)
    }

    fn advance(&mut self, to: i64) {
        self.t = to;
        let now = self.scenario.start.shifted(to + self.jumped);
        self.rehearsal.advance(now);
        self.note();
    }

    fn happens(&mut self, event: &Event) {
        match &event.what {
            Happens::AgentStops(agent) => {
                self.rehearsal.agent_stops(agent);
                self.away.entry(agent.clone()).or_default();
            }
            Happens::AgentFallsSilent(agent) => {
                self.rehearsal.agent_falls_silent(agent);
                self.away.entry(agent.clone()).or_default();
            }
            Happens::AgentReturns(agent) => {
                self.rehearsal.agent_arrives(agent);
                let kept = self.away.remove(agent).unwrap_or_default();
                kept.into_iter().for_each(|counted| self.rehearsal.take_in(counted));
            }
            Happens::Acknowledged { alert, by } => {
                let all = self.rehearsal.alerts();
                let meant = all.iter().filter(|a| a.labels.get("alertname") == alert);
                let on: Vec<_> = meant.filter(|a| a.ends_at.is_none()).collect();
                on.iter().for_each(|a| self.rehearsal.acknowledge(a.fingerprint, by));
            }
            Happens::ReceiverFails(name) => self.rehearsal.receiver_is(name, Mood::Fails),
            Happens::ReceiverWorks(name) => self.rehearsal.receiver_is(name, Mood::Works),
            Happens::ClockJumps(nanos) => {
                self.jumped += nanos;
                self.rehearsal.clock_jumps(*nanos);
            }
        }
    }

    /// Windows that are over are delivered, if their agent is there.
    fn take_in(&mut self) {
        let scenario = self.scenario;
        for traffic in &scenario.traffic {
            let is_over = traffic.from < self.t
                && self.t <= traffic.to
                && traffic.next_end(self.t - 1) == Some(self.t);
            let counted = is_over.then(|| traffic.counted(self.t, scenario.start, &self.bounds));
            let Some(counted) = counted.flatten() else { continue };
            match self.away.get_mut(&traffic.agent) {
                Some(kept) => kept.push(counted),
                None => self.rehearsal.take_in(counted),
            }
        }
    }

    /// Notes what has happened.
    fn note(&mut self) {
        let since = |at: Timestamp| at.nanos() - self.scenario.start.nanos() - self.jumped;
        for happened in self.rehearsal.happened() {
            let at = since(happened.at());
            match happened {
                Happened::Moved(moved) => self.timeline.moved.push((at, moved)),
                Happened::Told(told) => self.timeline.told.push((at, told)),
            }
        }
    }

    fn look(&mut self, looks: &Looks) {
        if looks.at.contains(&self.t) {
            self.timeline.slos.insert(self.t, self.rehearsal.slos());
        }
        if self.t % MINUTE != 0 || looks.tiers.is_empty() {
            return;
        }
        let views = self.rehearsal.slos();
        for (name, severity) in &looks.tiers {
            let Some(view) = views.iter().find(|view| view.name == *name) else { continue };
            let burns = self.burns(view, severity);
            let seen = self.timeline.burning.entry((name.clone(), severity)).or_default();
            if seen.last().is_none_or(|(_, was)| *was != burns) {
                seen.push((self.t, burns));
            }
        }
    }

    /// Whether a tier of this severity burns: both its windows, faster than its limit.
    fn burns(&self, view: &SloView, severity: &str) -> bool {
        let slos = &self.scenario.judging.engine.slos;
        let Some(slo) = slos.iter().find(|slo| slo.name == view.name) else { return false };
        let rate = |over| {
            let burn = view.burn.iter().find(|(window, _)| *window == over);
            burn.and_then(|(_, rate)| *rate).unwrap_or(0.0)
        };
        let (tiers, _) = slo.tiers();
        let mut its = tiers.iter().filter(|tier| tier.severity.as_str() == severity);
        its.any(|tier| rate(tier.short) > tier.factor() && rate(tier.long) > tier.factor())
    }
}
