//! The latest events of each service, to be shown with its alerts.
//!
//! Owns which few are kept: the errors first, then the rest. Bounded by [`KEPT`] of each; lost at a restart.

use std::collections::VecDeque;

use watchkeeper_model::{AgentId, Event, Severity};

use crate::notify::SampleEvent;

/// How many events of each sort are kept for a service.
const KEPT: usize = 10;

/// How much of a message is kept.
const MESSAGE_CHARS: usize = 500;

/// The latest events of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    errors: VecDeque<SampleEvent>,
    others: VecDeque<SampleEvent>,
}

impl Samples {
    pub(super) fn add(&mut self, agent: &AgentId, event: &Event) {
        let sort = match event.severity {
            Severity::Error | Severity::Critical => &mut self.errors,
            Severity::Info | Severity::Warning => &mut self.others,
        };
        let sample = SampleEvent {
            at: event.at,
            agent: agent.to_string(),
            name: event.name.clone(),
            message: event.message.chars().take(MESSAGE_CHARS).collect(),
            correlation: event.correlation.clone(),
            trace: event.trace.clone(),
        };
        // Parts arrive nearly in order: looking from the back finds the place at once.
        let place = sort.iter().rposition(|s| s.at <= sample.at).map_or(0, |i| i + 1);
        sort.insert(place, sample);
        if sort.len() > KEPT {
            sort.pop_front();
        }
    }

    /// At most three, errors preferred, the newest first.
    pub(super) fn latest(&self) -> Vec<SampleEvent> {
        let newest = self.errors.iter().rev().chain(self.others.iter().rev());
        let mut chosen: Vec<_> = newest.take(3).cloned().collect();
        chosen.sort_by_key(|sample| std::cmp::Reverse(sample.at));
        chosen
    }
    /// What was seen last, of either sort, the oldest first; at most [`KEPT`].
    pub(super) fn recent(&self) -> Vec<SampleEvent> {
        let mut all: Vec<_> = self.others.iter().chain(&self.errors).collect();
        // Stable: of the same moment an error comes last, behind what led to it.
        all.sort_by_key(|sample| sample.at);
        all.into_iter()
            .skip((self.others.len() + self.errors.len()).saturating_sub(KEPT))
            .cloned()
            .collect()
    }
}
