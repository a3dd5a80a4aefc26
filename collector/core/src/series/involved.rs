//! Who contributed how much to something of late.
//!
//! Owns a bounded count per agent over one to two spans of time: enough to name the worst, not enough to compute with.
//! Beyond [`MOST`] agents new ones are not taken in until old ones leave.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_model::{AgentId, Timestamp};

/// How many agents are remembered for one thing.
const MOST: usize = 1000;

/// Agents and how much each has contributed since at least one span and at most two.
#[derive(Clone, Debug)]
pub struct Involved {
    span: Duration,
    since: Timestamp,
    current: BTreeMap<AgentId, u64>,
    before: BTreeMap<AgentId, u64>,
}

impl Involved {
    /// Nobody yet.
    pub fn new(span: Duration) -> Self {
        let (current, before) = (BTreeMap::new(), BTreeMap::new());
        Self { span, since: Timestamp(0), current, before }
    }

    /// Adds to what an agent has contributed.
    pub fn add(&mut self, agent: &AgentId, n: u64, now: Timestamp) {
        self.turn(now);
        let n_agents = self.current.len();
        if let Some(sum) = self.current.get_mut(agent) {
            *sum = sum.saturating_add(n);
        } else if n_agents < MOST {
            self.current.insert(agent.clone(), n);
        }
    }

    /// The agents with the most, at most `limit`, the most first; without those that contributed nothing.
    pub fn worst(&self, limit: usize) -> Vec<String> {
        let mut sums = self.before.clone();
        for (agent, n) in &self.current {
            let sum = sums.entry(agent.clone()).or_default();
            *sum = sum.saturating_add(*n);
        }
        let mut sums: Vec<_> = sums.into_iter().filter(|(_, n)| *n > 0).collect();
        sums.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sums.into_iter().take(limit).map(|(agent, _)| agent.to_string()).collect()
    }

    /// Everybody remembered.
    pub fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.before.keys().chain(self.current.keys())
    }

    fn turn(&mut self, now: Timestamp) {
        let passed = now.since(self.since);
        if passed >= self.span * 2 {
            self.before.clear();
            self.current.clear();
        } else if passed >= self.span {
            self.before = std::mem::take(&mut self.current);
        }
        if passed >= self.span || now < self.since {
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_come_first_and_the_old_are_forgotten() {
        let mut involved = Involved::new(Duration::from_secs(60));
        let (a, b) = (AgentId::new("a"), AgentId::new("b"));
        let at = |secs: i64| Timestamp::from_secs(1000 + secs);
        involved.add(&a, 1, at(0));
        involved.add(&b, 5, at(1));
        involved.add(&AgentId::new("c"), 0, at(2));
        assert_eq!(involved.worst(10), ["b", "a"]);
        involved.add(&a, 7, at(61));
        assert_eq!(involved.worst(1), ["a"]);
        involved.add(&a, 1, at(500));
        assert_eq!(involved.worst(10), ["a"]);
    }
}
