//! What a scenario consists of.
//!
//! Owns the words between its file and those who play and judge it. All times are nanoseconds since its start.

use std::sync::Arc;

use watchkeeper_collector::config::Judging;
use watchkeeper_config::Located;
use watchkeeper_model::{AgentId, Dimension, Labels, Service, Timestamp};

use super::moment::Span;

/// A story and what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// What it is about.
    pub(super) name: String,
    pub(super) start: Timestamp,
    pub(super) judging: Arc<Judging>,
    pub(super) traffic: Vec<Traffic>,
    pub(super) events: Vec<Event>,
    pub(super) expect: Vec<Located<Expect>>,
}

/// A stretch of traffic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traffic {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) agent: AgentId,
    pub(super) service: Service,
    pub(super) signal: String,
    /// Observations in 1e-6, in so many nanoseconds.
    pub(super) rate: (u64, u64),
    pub(super) usual: Kind,
    pub(super) bad: Option<Bad>,
    /// The width of the windows in which it is counted.
    pub(super) window_secs: u32,
}

/// What observations are like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kind {
    pub(super) labels: Labels,
    /// In base units.
    pub(super) value: Option<(i64, Dimension)>,
}

/// Some of the observations are otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bad {
    /// How many, in 1e-9.
    pub(super) share_nano: u64,
    pub(super) kind: Kind,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) at: i64,
    pub(super) what: Happens,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Happens {
    AgentStops(AgentId),
    AgentFallsSilent(AgentId),
    AgentReturns(AgentId),
    Acknowledged {
        alert: String,
        by: String,
    },
    ReceiverFails(String),
    ReceiverWorks(String),
    /// By so many nanoseconds.
    ClockJumps(i64),
}

/// Which alert is meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Which {
    /// `None` for any but the one that is always on.
    pub(super) alert: Option<String>,
    /// Only with these labels.
    pub(super) labels: Labels,
    /// At least so bad.
    pub(super) severity: Option<String>,
}

/// What is expected.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expect {
    /// It stands there at some time of the span.
    Stands { which: Which, state: State, stale: Option<bool>, when: Span },
    /// It begins to fire.
    Fires { which: Which, when: Span },
    /// It stops firing.
    Clears { which: Which, when: Span },
    /// It does not fire.
    Quiet { which: Which, when: Span },
    /// A receiver is told.
    Told { receiver: String, verb: &'static str, alert: Option<String>, when: Span },
    /// A receiver is not told anything.
    NotTold { receiver: String, when: Span },
    /// A tier of an SLO begins to burn, or stops.
    Burns { slo: String, severity: &'static str, begins: bool, when: Span },
    /// How an SLO stands.
    Slo { slo: String, at: i64, told: String, numbers: Vec<Number>, state: Option<&'static str> },
}

/// How an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Firing,
    Resolved,
    /// Neither pending nor firing.
    Quiet,
}

/// A number of an SLO.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) value: f64,
    pub(super) tolerance: f64,
}
