//! The answer of a replay, as programs read it.
//!
//! Owns its keys. Numbers are the engine's and the sources'; nothing is computed here.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;
use watchkeeper_agent::history::SourceHistory;
use watchkeeper_collector::rehearsal::{Moved, Told};
use watchkeeper_model::{Labels, Timestamp};

use super::against::Against;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) transitions: Vec<Transition>,
    pub(super) notifications: Vec<Notified>,
    /// As `GET slos` has them.
    pub(super) slos: Value,
    pub(super) lines: Lines,
    /// Known faults beside what fired, if they were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) against: Option<Against>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<String>,
    /// Said where it is not so.
    #[serde(skip_serializing_if = "is_true")]
    pub(super) complete: bool,
}

/// An alert moved, or its severity changed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Transition {
    #[serde(serialize_with = "time")]
    pub(super) time: Timestamp,
    pub(super) alert: String,
    pub(super) labels: Labels,
    /// `null` where there was no alert.
    pub(super) from: Option<&'static str>,
    /// `null` where it was pending and is forgotten.
    pub(super) to: Option<&'static str>,
    pub(super) reason: String,
    /// Its data have stopped; said where it is so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) stale: bool,
}

/// A receiver was told.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Notified {
    #[serde(serialize_with = "time")]
    pub(super) time: Timestamp,
    pub(super) receiver: String,
    pub(super) integration: String,
    pub(super) action: &'static str,
    /// As the ledger has it.
    pub(super) reason: String,
    /// The names of the alerts in it, the worst first.
    pub(super) alerts: Vec<String>,
    /// What is said of each of them.
    pub(super) text: Vec<String>,
    #[serde(skip)]
    pub(super) why: String,
}

/// What became of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Lines {
    pub(super) read: u64,
    pub(super) counted: u64,
    pub(super) skipped: BTreeMap<&'static str, u64>,
}

impl From<Moved> for Transition {
    fn from(moved: Moved) -> Self {
        let (from, to) = (moved.was(), moved.is());
        let Moved { at: time, alert, labels, stale, reason, .. } = moved;
        Self { time, alert, labels, from, to, reason, stale }
    }
}

impl From<Told> for Notified {
    fn from(told: Told) -> Self {
        let text = told.alerts.iter().map(|alert| {
            let state = if alert.firing { "" } else { "resolved: " };
            let severity = alert.labels.get("severity");
            let said = if alert.summary.is_empty() { &alert.reason } else { &alert.summary };
            format!("{state}{} ({severity}): {said}", alert.name)
        });
        Self {
            time: told.at,
            text: text.collect(),
            alerts: told.alerts.iter().map(|alert| alert.name.clone()).collect(),
            action: told.verb(),
            why: told.why().to_owned(),
            receiver: told.receiver,
            integration: told.integration,
            reason: told.reason,
        }
    }
}

impl Lines {
    /// Of all sources together.
    pub(super) fn of(sources: &[SourceHistory]) -> Self {
        let mut lines = Self::default();
        for source in sources {
            lines.read += source.tally.read;
            lines.counted += source.n_counted();
            for (reason, n) in &source.tally.skipped {
                *lines.skipped.entry(reason.as_str()).or_default() += n;
            }
            let outside = source.outside;
            for (reason, n) in [
                ("before_from", outside.n_before),
                ("after_to", outside.n_after),
                ("in_future", outside.n_in_future),
            ] {
                if n > 0 {
                    *lines.skipped.entry(reason).or_default() += n;
                }
            }
        }
        lines
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_true(said: &bool) -> bool {
    *said
}

/// RFC 3339 in UTC.
pub(super) fn time<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}
