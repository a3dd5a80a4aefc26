//! From what an agent has counted to what its collector would have done.
//!
//! Owns the way between the two, which know nothing about each other, and virtual time on it: a second is taken in when
//! it is over, as a flush would have brought it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use watchkeeper_agent::history::{History, Second};
use watchkeeper_collector::config::CollectorSettings;
use watchkeeper_collector::rehearsal::{Counted, Rehearsal};
use watchkeeper_model::{AgentId, Timestamp};

use super::presence::Presence;
use super::record::Record;

const SECOND: Duration = Duration::from_secs(1);

/// A collector that hears of the past.
pub(super) struct Play {
    settings: CollectorSettings,
    agent: AgentId,
    /// Begins with the first second.
    rehearsal: Option<Rehearsal>,
    /// The time asked for.
    span: Range<Timestamp>,
    pub(super) record: Record,
    pub(super) presence: Presence,
    /// When data begin.
    pub(super) first: Option<Timestamp>,
}

impl Play {
    /// A collector of these settings that has not started yet.
    pub(super) fn new(settings: CollectorSettings, agent: AgentId, span: Range<Timestamp>) -> Self {
        let slos = settings.engine.slos.iter().map(|slo| slo.name.clone());
        let rules = settings.engine.rules.iter().map(|rule| rule.name.clone());
        let record = Record::new(slos.chain(rules).collect());
        let presence = Presence::default();
        Self { settings, agent, rehearsal: None, span, record, presence, first: None }
    }

    /// How long before the time asked for data still matter: as far as the longest window reaches.
    pub(super) fn look_back(settings: &CollectorSettings) -> Duration {
        let slos = settings.engine.slos.iter().map(|slo| slo.window.over().reach());
        slos.chain([settings.engine.look_back()]).max().unwrap_or_default()
    }

    /// Has a history count exactly where this collector's SLOs need it.
    pub(super) fn ask_for_bounds(settings: &CollectorSettings, history: &mut History) {
        let nobody = Rehearsal::begin(Arc::clone(&settings.engine), Timestamp::EPOCH);
        for (service, signal, bounds) in nobody.wanted_bounds() {
            history.want_bounds(&service, &signal, &bounds);
        }
    }

    /// A second is over.
    pub(super) fn second(&mut self, second: Second) {
        let rehearsal = match &mut self.rehearsal {
            Some(rehearsal) => rehearsal,
            none => none.insert(begun(&self.settings, &self.agent, second.at - SECOND)),
        };
        self.first = self.first.or(Some(second.at - SECOND));
        rehearsal.advance(second.at);
        for (service, series) in second.services {
            for window in series.iter().flat_map(|one| &one.windows) {
                self.presence.note(service.as_str(), window.window.start);
            }
            rehearsal.take_in(Counted {
                agent: self.agent.clone(),
                service,
                series,
                events: Vec::new(),
                tallies: Vec::new(),
            });
        }
        for happened in rehearsal.happened() {
            self.record.add(happened, self.span.start);
        }
    }

    /// There is nothing more to hear. Time goes on up to the end of the time asked for, if that has come.
    pub(super) fn end(mut self, now: Timestamp) -> Ended {
        let start = self.span.start.max(Timestamp::EPOCH);
        let mut rehearsal =
            self.rehearsal.unwrap_or_else(|| begun(&self.settings, &self.agent, start));
        if self.span.end <= now {
            rehearsal.advance(self.span.end);
        }
        for happened in rehearsal.happened() {
            self.record.add(happened, self.span.start);
        }
        Ended {
            record: self.record,
            presence: self.presence,
            first: self.first,
            end: rehearsal.now(),
            rehearsal,
        }
    }
}

/// A collector that starts, with an agent that is there all the time: that nothing was written means that nothing
/// happened.
fn begun(settings: &CollectorSettings, agent: &AgentId, at: Timestamp) -> Rehearsal {
    let mut rehearsal = Rehearsal::begin(Arc::clone(&settings.engine), at);
    // Only rules ask for it, and without its beats long silence passes sooner.
    if !settings.engine.rules.is_empty() {
        rehearsal.agent_arrives(agent);
    }
    rehearsal
}

/// What a replay has come to.
pub(super) struct Ended {
    pub(super) record: Record,
    pub(super) presence: Presence,
    pub(super) first: Option<Timestamp>,
    pub(super) end: Timestamp,
    pub(super) rehearsal: Rehearsal,
}
