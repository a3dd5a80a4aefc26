//! Agents: who is there, who is silent, who said bye, and what their beats say.
//!
//! Owns the difference between those. Never takes data for a sign of life: beats are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchkeeper_model::{AgentId, Epoch, Labels, Service, SourceTally, Timestamp};

use super::Engine;
use super::effect::{Effect, Fact};
use super::input::{AgentRow, AgentState, Beat, ByeReason, Committed, Hello, Road, SourceHealth};
use super::view::{AgentView, SourceView};
use crate::alert::{Builtin, Condition};

/// Three beats.
const SILENT_AFTER: Duration = Duration::from_secs(30);

/// An agent with less than this waiting has told all that it knows.
const BACKLOG_BYTES: u64 = 256 * 1024;

/// How long after our own start or sleep silence does not count yet.
const RETURN: Duration = Duration::from_secs(60);

/// A clock off by more than this is told; within the second it is not any more.
const SKEW: Duration = Duration::from_secs(2);
const SKEW_OVER: Duration = Duration::from_millis(1500);

/// How many agents are watched, and of how many services events are shown.
const MOST: usize = 10_000;

/// How long an earlier life of an agent counts as one that may still be there.
const LIFE: Duration = Duration::from_secs(60);

/// What is known of one agent.
#[derive(Clone, Debug)]
pub(super) struct AgentWatch {
    row: AgentRow,
    has_beaten: bool,
    /// The last sign of life, or since when there could have been one.
    heard_at: Timestamp,
    /// Whether there was one since we were started.
    was_heard: bool,
    skew_nanos: i64,
    spool_bytes: u64,
    lag_bytes: u64,
    road: Option<Road>,
    health: Vec<SourceHealth>,
    totals: BTreeMap<String, SourceTally>,
    n_lost: u64,
    /// The process that beat last, and the one before it.
    life: Option<(Epoch, u64)>,
    life_before: Option<((Epoch, u64), Timestamp)>,
}

impl AgentWatch {
    fn new(id: &AgentId, now: Timestamp) -> Self {
        let row = AgentRow {
            id: id.clone(),
            state: AgentState::Live,
            last_beat: None,
            epoch: String::new(),
            version: String::new(),
            services: BTreeSet::new(),
            bye: None,
        };
        Self::restored(row, now)
    }

    pub(super) fn restored(row: AgentRow, now: Timestamp) -> Self {
        Self {
            has_beaten: row.last_beat.is_some(),
            row,
            heard_at: now,
            was_heard: false,
            skew_nanos: 0,
            spool_bytes: 0,
            lag_bytes: 0,
            road: None,
            health: Vec::new(),
            totals: BTreeMap::new(),
            n_lost: 0,
            life: None,
            life_before: None,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.row.state == AgentState::Live
    }

    /// Whether it has shown lately that it lives.
    fn speaks(&self, now: Timestamp) -> bool {
        self.is_live() && self.was_heard && now.since(self.heard_at) < SILENT_AFTER
    }

    /// Whether it has beaten since we know it, with next to nothing waiting in its spool or unread in its files.
    fn has_kept_nothing(&self) -> bool {
        self.life.is_some() && self.spool_bytes.max(self.lag_bytes) < BACKLOG_BYTES
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.row.state == AgentState::Stopped
    }

    pub(super) fn serves(&self, service: &Service) -> bool {
        self.row.services.contains(service)
    }

    pub(super) fn set_back(&mut self, now: Timestamp) {
        self.heard_at = self.heard_at.min(now);
    }

    pub(super) fn add_tally(&mut self, tally: &SourceTally) {
        let total = self.totals.entry(tally.source.clone()).or_default();
        total.source.clone_from(&tally.source);
        total.add(tally);
    }

    /// Notes which process beats. Whether an earlier one is back: two of them live under one name.
    fn lives(&mut self, life: (Epoch, u64), now: Timestamp) -> bool {
        let Some(before) = self.life.replace(life).filter(|before| *before != life) else {
            return false;
        };
        let returned =
            self.life_before.is_some_and(|(earlier, at)| earlier == life && now.since(at) <= LIFE);
        self.life_before = Some((before, now));
        returned
    }

    fn sources(&self) -> Vec<SourceView> {
        let mut views: BTreeMap<&str, SourceView> = BTreeMap::new();
        for (name, total) in &self.totals {
            let view = views.entry(name).or_default();
            view.read = total.read;
            view.skipped = total.skipped.iter().copied().collect();
            view.bytes_abandoned = total.bytes_abandoned;
            view.bytes_unknown = total.bytes_unknown;
            view.redacted = total.redacted;
            view.events_held_back = total.events_held_back;
        }
        for health in &self.health {
            let view = views.entry(&health.name).or_default();
            view.kind.clone_from(&health.kind);
            view.state.clone_from(&health.state);
        }
        views.into_iter().map(|(name, view)| SourceView { name: name.to_owned(), ..view }).collect()
    }
}

impl Engine {
    /// An agent has connected.
    pub(super) fn hello(&mut self, hello: &Hello, now: Timestamp) {
        self.heard(&hello.agent, &hello.epoch.to_string(), &hello.version, now);
    }

    /// An agent is alive.
    pub(super) fn beat(&mut self, beat: Beat, now: Timestamp) {
        self.heard(&beat.agent, &beat.epoch.to_string(), &beat.version, now);
        let skew = beat.sent_at.nanos().saturating_sub(now.nanos());
        let Some(agent) = self.agents.get_mut(&beat.agent) else {
            return;
        };
        let twice = agent.lives((beat.epoch, beat.instance), now);
        agent.skew_nanos = skew;
        agent.spool_bytes = beat.spool_bytes;
        agent.lag_bytes = beat.lag_bytes;
        agent.road = Some(beat.road);
        agent.health = beat.sources;
        if twice {
            self.forked(&beat.agent, "two agents beat under this name", now);
        }
        self.check_skew(&beat.agent, skew, now);
        self.check_spool(&beat.agent, beat.spool_bytes, beat.spool_max_bytes, now);
    }

    /// An agent goes away on purpose: that is no silence.
    pub(super) fn bye(&mut self, id: &AgentId, reason: ByeReason, now: Timestamp) {
        let Some(agent) = self.agent(id, now) else {
            return;
        };
        agent.row.bye = Some(reason);
        agent.heard_at = now;
        agent.was_heard = true;
        self.agent_moved(id, AgentState::Stopped, now);
        // An SLO's silence may be planned from now on.
        self.clock.wake_at(now);
        self.own(Builtin::AgentSilent, by_agent(id), Condition::Unmet, None, "it said bye", now);
        self.own(Builtin::ClockSkew, by_agent(id), Condition::Unmet, None, "it said bye", now);
        let spool = Builtin::SpoolNearlyFull;
        self.own(spool, by_agent(id), Condition::Unknown, None, "held: it said bye", now);
    }

    /// One identity, two lives.
    pub(super) fn forked(&mut self, id: &AgentId, detail: &str, now: Timestamp) {
        let reason = format!("agent id used twice: {detail}");
        self.own(Builtin::Forked, by_agent(id), Condition::Met, None, &reason, now);
    }

    /// A batch is on disk.
    pub(super) fn committed(&mut self, batch: &Committed, now: Timestamp) {
        self.delivered_for(batch, now);
        self.count_tallies(batch, now);
        let has_room = self.samples.len() < MOST || self.samples.contains_key(&batch.service);
        if has_room && !batch.events.is_empty() {
            let samples = self.samples.entry(batch.service.clone()).or_default();
            for event in &batch.events {
                samples.add(&batch.agent, event);
            }
        }
        self.judged(&batch.judged, now);
        self.observed(&batch.observed, now);
    }

    /// Notes for which service an agent delivers: whose silence is whose.
    fn delivered_for(&mut self, batch: &Committed, now: Timestamp) {
        let id = &batch.agent;
        let is_new = !self.agents.contains_key(id);
        let Some(agent) = self.agent(id, now) else {
            return;
        };
        if agent.row.services.insert(batch.service.clone()) || is_new {
            let row = agent.row.clone();
            self.effects.push(Effect::SaveAgent(Box::new(row)));
        }
        if is_new {
            self.clock.wake_at(now + SILENT_AFTER);
        }
    }

    fn count_tallies(&mut self, batch: &Committed, now: Timestamp) {
        let id = &batch.agent;
        let Some(agent) = self.agents.get_mut(id) else {
            return;
        };
        agent.n_lost += batch.n_lost;
        let (mut bytes, mut overflowed) = (0, Vec::new());
        for tally in &batch.tallies {
            agent.add_tally(tally);
            bytes += tally.bytes_abandoned + tally.bytes_unknown;
            if tally.overflowed > 0 {
                overflowed.push(tally.source.clone());
            }
        }
        if bytes > 0 || batch.n_lost > 0 {
            let all: u64 = agent.totals.values().map(|t| t.bytes_abandoned + t.bytes_unknown).sum();
            let reason = format!(
                "{} batches and {bytes} bytes of files just now, {} batches since start and {all} bytes in all",
                batch.n_lost, agent.n_lost
            );
            self.own(Builtin::DataLost, by_agent(id), Condition::Met, None, &reason, now);
        }
        if !overflowed.is_empty() {
            let reason = format!("too many label values in {}", overflowed.join(", "));
            self.own(Builtin::LabelOverflow, by_agent(id), Condition::Met, None, &reason, now);
        }
    }

    /// An agent, known or new. Beyond [`MOST`] new ones are not watched; their data count all the same.
    fn agent(&mut self, id: &AgentId, now: Timestamp) -> Option<&mut AgentWatch> {
        if !self.agents.contains_key(id) {
            if self.agents.len() >= MOST {
                return None;
            }
            self.agents.insert(id.clone(), AgentWatch::new(id, now));
        }
        self.agents.get_mut(id)
    }

    /// An agent gave a sign of life.
    fn heard(&mut self, id: &AgentId, epoch: &str, version: &str, now: Timestamp) {
        let is_new = !self.agents.contains_key(id);
        let Some(agent) = self.agent(id, now) else {
            return;
        };
        let changed = is_new || agent.row.epoch != epoch || agent.row.version != version;
        let returned = agent.row.state != AgentState::Live;
        agent.has_beaten = true;
        agent.heard_at = now;
        agent.was_heard = true;
        agent.row.last_beat = Some(now);
        agent.row.bye = None;
        epoch.clone_into(&mut agent.row.epoch);
        version.clone_into(&mut agent.row.version);
        let row = agent.row.clone();
        self.clock.wake_at(now + SILENT_AFTER);
        if returned {
            self.agent_moved(id, AgentState::Live, now);
            self.agent_returned(&row.services, now);
        } else if changed {
            self.effects.push(Effect::SaveAgent(Box::new(row)));
            if is_new {
                self.fact(Fact::AgentMoved { at: now, agent: id.clone(), to: AgentState::Live });
            }
        }
        self.own(Builtin::AgentSilent, by_agent(id), Condition::Unmet, None, "it beats again", now);
    }

    /// Finds those that have gone silent.
    pub(super) fn check_agents(&mut self, now: Timestamp) {
        let silent: Vec<AgentId> = self
            .agents
            .values()
            .filter(|agent| self.silent_at(agent).is_some_and(|at| at <= now))
            .map(|agent| agent.row.id.clone())
            .collect();
        for id in silent {
            self.agent_moved(&id, AgentState::Silent, now);
            if self.agents.get(&id).is_some_and(|agent| agent.has_beaten) {
                let reason = format!("no beat for {} s", SILENT_AFTER.as_secs());
                self.own(Builtin::AgentSilent, by_agent(&id), Condition::Met, None, &reason, now);
            }
            for builtin in [Builtin::SpoolNearlyFull, Builtin::ClockSkew] {
                let held = "held: the agent is silent";
                self.own(builtin, by_agent(&id), Condition::Unknown, None, held, now);
            }
        }
    }

    pub(super) fn agents_due(&self) -> Option<Timestamp> {
        self.agents.values().filter_map(|agent| self.silent_at(agent)).min()
    }

    /// Whether all agents of a service said bye; not if there is none.
    pub(super) fn all_stopped(&self, service: &Service) -> bool {
        let mut agents = self.agents.values().filter(|agent| agent.serves(service)).peekable();
        agents.peek().is_some() && agents.all(AgentWatch::is_stopped)
    }

    /// Whether all these agents beat, or those of the service where none is named; not if there is none at all.
    pub(super) fn all_live<'a>(
        &self,
        service: &Service,
        named: impl Iterator<Item = &'a AgentId>,
        now: Timestamp,
    ) -> bool {
        // Just awake, we have not heard yet who is there and what they have kept for us.
        let just_awake = now.since(self.clock.awake_since) < SILENT_AFTER;
        let mut named = named.map(|id| self.agents.get(id)).peekable();
        if named.peek().is_some() {
            let speaks =
                |agent: &AgentWatch| agent.speaks(now) && (!just_awake || agent.has_kept_nothing());
            return named.all(|agent| agent.is_some_and(speaks));
        }
        if just_awake {
            return false;
        }
        let mut agents = self.agents.values().filter(|agent| agent.serves(service)).peekable();
        agents.peek().is_some() && agents.all(|agent| agent.speaks(now))
    }

    /// Agents by id, for answers.
    pub fn agents(&self) -> Vec<AgentView> {
        let views = self.agents.values().map(|agent| AgentView {
            id: agent.row.id.clone(),
            state: agent.row.state,
            last_beat: agent.row.last_beat,
            epoch: agent.row.epoch.clone(),
            skew_seconds: agent.skew_nanos as f64 / 1e9,
            spool_bytes: agent.spool_bytes,
            lag_bytes: agent.lag_bytes,
            road: agent.road,
            version: agent.row.version.clone(),
            sources: agent.sources(),
        });
        views.collect()
    }

    fn silent_at(&self, agent: &AgentWatch) -> Option<Timestamp> {
        // After our own absence agents need a while to find the way back: their backoff goes up to 30 s.
        let awake = self.clock.awake_since;
        let is_back = agent.was_heard && agent.heard_at >= awake;
        let since = if is_back { agent.heard_at } else { awake + RETURN };
        agent.is_live().then(|| since + SILENT_AFTER)
    }

    fn agent_moved(&mut self, id: &AgentId, to: AgentState, now: Timestamp) {
        let Some(agent) = self.agents.get_mut(id) else {
            return;
        };
        agent.row.state = to;
        let row = agent.row.clone();
        self.effects.push(Effect::SaveAgent(Box::new(row)));
        self.fact(Fact::AgentMoved { at: now, agent: id.clone(), to });
    }

    fn check_skew(&mut self, id: &AgentId, skew_nanos: i64, now: Timestamp) {
        let off = Duration::from_nanos(skew_nanos.unsigned_abs());
        let condition = match off {
            off if off > SKEW => Condition::Met,
            off if off <= SKEW_OVER => Condition::Unmet,
            _ => return,
        };
        let seconds = skew_nanos as f64 / 1e9;
        let way = if skew_nanos > 0 { "ahead" } else { "behind" };
        let reason = format!("its clock is {:.1} s {way}", seconds.abs());
        self.own(Builtin::ClockSkew, by_agent(id), condition, Some(seconds), &reason, now);
    }

    fn check_spool(&mut self, id: &AgentId, bytes: u64, max_bytes: u64, now: Timestamp) {
        let fill = bytes as f64 / max_bytes.max(1) as f64;
        let condition = match fill {
            fill if fill > 0.8 => Condition::Met,
            fill if fill <= 0.7 => Condition::Unmet,
            _ => return,
        };
        let reason = format!("{:.0} % of its spool is full", fill * 100.0);
        self.own(Builtin::SpoolNearlyFull, by_agent(id), condition, Some(fill), &reason, now);
    }
}

fn by_agent(id: &AgentId) -> Labels {
    Labels::new([("agent", id.as_str())])
}
