//! Agents of a rehearsal: who beats, and when next.
//!
//! Owns the rhythm of beats. Never decides what silence means: the engine does.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_collector_core::engine::{Beat, Road};
use watchkeeper_model::{AgentId, Epoch, Timestamp};

/// As live agents do.
const BEAT_EVERY: Duration = Duration::from_secs(10);

/// The agents that are there.
#[derive(Debug, Default)]
pub(super) struct Agents {
    next: BTreeMap<AgentId, Timestamp>,
    /// How far the collector's clock has jumped ahead of theirs.
    jumped: i64,
}

impl Agents {
    pub(super) fn beats_from(&mut self, agent: &AgentId, now: Timestamp) {
        self.next.entry(agent.clone()).or_insert(now);
    }

    /// Their own clocks do not jump with the collector's.
    pub(super) fn clock_jumps(&mut self, nanos: i64) {
        self.jumped += nanos;
        self.next.values_mut().for_each(|next| *next = next.shifted(nanos));
    }

    pub(super) fn is_there(&self, agent: &AgentId) -> bool {
        self.next.contains_key(agent)
    }

    pub(super) fn goes(&mut self, agent: &AgentId) {
        self.next.remove(agent);
    }

    /// When the next beat is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.next.values().min().copied()
    }

    /// A beat that is due.
    pub(super) fn beat(&mut self, now: Timestamp) -> Option<Beat> {
        let (agent, next) = self.next.iter_mut().find(|(_, next)| **next <= now)?;
        *next = now + BEAT_EVERY;
        Some(Beat {
            agent: agent.clone(),
            epoch: epoch(),
            instance: 1,
            sent_at: now.shifted(-self.jumped),
            version: String::new(),
            spool_bytes: 0,
            spool_max_bytes: 1,
            lag_bytes: 0,
            road: Road::Grpc,
            sources: Vec::new(),
        })
    }
}

/// The one life of a rehearsed agent's spool.
pub(super) const fn epoch() -> Epoch {
    Epoch { created_at: Timestamp::EPOCH, random: 0 }
}
