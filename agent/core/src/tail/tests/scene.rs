//! The agent that the rules are tried with, and the lines it reads.
//!
//! Owns no rule.

use crate::tail::agent::Agent;

pub(super) fn lines(n: std::ops::Range<usize>) -> String {
    n.map(|i| format!("line {i}\n")).collect()
}

pub(super) fn wanted(n: std::ops::Range<usize>) -> Vec<String> {
    n.map(|i| format!("line {i}")).collect()
}

/// An agent that has read and sealed `/l/app.log` with these lines.
pub(super) fn following(n: usize) -> Agent {
    let mut agent = Agent::new();
    agent.world().append("/l/app.log", lines(0..n));
    agent.catch_up();
    agent.seal();
    assert_eq!(agent.sealed.lines, wanted(0..n));
    agent
}

/// Catches up, seals and says what is durable, in order of lines.
pub(super) fn settle(agent: &mut Agent) -> Vec<String> {
    agent.catch_up();
    agent.seal();
    let mut lines = agent.sealed.lines.clone();
    lines.sort_by_key(|l| (l.len(), l.clone()));
    lines
}
