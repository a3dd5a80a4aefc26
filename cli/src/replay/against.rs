//! Known faults beside what fired.
//!
//! Owns what counts as found: an alert of an SLO or rule that began to fire, or became a page, while the fault was there or
//! within a grace after it, and before the next one. What fired already when it began found nothing, and is said. Alerts
//! of our own, such as NoData, find nothing either: they speak of the data.

use std::time::Duration;

use serde::Serialize;
use watchkeeper_model::Timestamp;

use super::faults::Fault;
use super::presence::Presence;
use super::record::{Episode, Record};
use super::report::time;

/// The comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Against {
    pub(super) faults: Vec<Compared>,
    pub(super) others: Vec<Other>,
    pub(super) totals: Totals,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Compared {
    #[serde(serialize_with = "time")]
    pub(super) start: Timestamp,
    #[serde(serialize_with = "time")]
    pub(super) end: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<String>,
    pub(super) what: String,
    /// `yes`, `gaps` or `none`.
    pub(super) data: &'static str,
    pub(super) data_covered_percent: u8,
    pub(super) longest_gap_seconds: u64,
    pub(super) found: bool,
    /// From its start to the first firing.
    pub(super) delay_seconds: Option<f64>,
    /// The alert that found it.
    pub(super) alert: Option<String>,
    pub(super) severity: Option<String>,
    /// Alerts that fired already when it began.
    pub(super) firing_already: Vec<String>,
}

/// An alert that fired without a fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Other {
    pub(super) alert: String,
    #[serde(serialize_with = "time")]
    pub(super) start: Timestamp,
    pub(super) seconds: Option<f64>,
    pub(super) severity: String,
    pub(super) reason: String,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Totals {
    pub(super) faults: usize,
    pub(super) with_data: usize,
    pub(super) found: usize,
    pub(super) firing_already: usize,
    pub(super) median_delay_seconds: Option<f64>,
    pub(super) others: usize,
}

/// Compares what fired with faults. `grace` is how long after a fault's end something may still be of it.
pub(super) fn compare(
    faults: &[Fault],
    record: &Record,
    presence: &Presence,
    grace: Duration,
) -> Against {
    let starts: Vec<Timestamp> = faults.iter().map(|fault| fault.start).collect();
    let compared: Vec<Compared> = faults
        .iter()
        .map(|fault| {
            // What begins after the next fault began is the next one's.
            let next = starts.iter().copied().filter(|start| *start > fault.start).min();
            let until = next.map_or(fault.end + grace, |next| next.min(fault.end + grace));
            one(fault, until.max(fault.end), record, presence)
        })
        .collect();
    let is_of_a_fault = |e: &Episode| {
        faults.iter().any(|f| concerns(f, e) && f.start <= e.start && e.start < f.end + grace)
    };
    let others: Vec<Other> =
        record.episodes.iter().filter(|e| !is_of_a_fault(e)).map(Other::of).collect();
    let mut delays: Vec<f64> = compared.iter().filter_map(|one| one.delay_seconds).collect();
    delays.sort_by(f64::total_cmp);
    let n = |is: fn(&&Compared) -> bool| compared.iter().filter(is).count();
    let totals = Totals {
        faults: compared.len(),
        with_data: n(|one| one.data != "none"),
        found: n(|one| one.found),
        firing_already: n(|one| !one.found && !one.firing_already.is_empty()),
        median_delay_seconds: delays.get(delays.len() / 2).copied(),
        others: others.len(),
    };
    Against { faults: compared, others, totals }
}

/// Whether an alert may be of this fault at all.
fn concerns(fault: &Fault, episode: &Episode) -> bool {
    fault.service.as_deref().is_none_or(|s| episode.service.is_empty() || episode.service == s)
}

/// Compares one fault with what began before `until`.
fn one(fault: &Fault, until: Timestamp, record: &Record, presence: &Presence) -> Compared {
    let data = presence.within(fault.service.as_deref(), fault.start, fault.end);
    let finds = |e: &&Episode| e.is_watched && concerns(fault, e);
    let began = record.episodes.iter().filter(finds).flat_map(|e| {
        let begun = (e.start, e.alert.as_str(), e.severity.as_str());
        [Some(begun), e.paged_at.map(|at| (at, e.alert.as_str(), "page"))]
    });
    let within = |at: Timestamp| fault.start <= at && at < until;
    let first = began.flatten().filter(|(at, ..)| within(*at)).min_by_key(|(at, ..)| *at);
    let already = record.firing_at(fault.start).filter(finds);
    Compared {
        start: fault.start,
        end: fault.end,
        service: fault.service.clone(),
        what: fault.what.clone(),
        data: match data.covered_percent {
            0 => "none",
            _ if data.longest_gap.as_secs() > 10 => "gaps",
            _ => "yes",
        },
        data_covered_percent: data.covered_percent,
        longest_gap_seconds: data.longest_gap.as_secs(),
        found: first.is_some(),
        delay_seconds: first.map(|(at, ..)| at.since(fault.start).as_secs_f64()),
        alert: first.map(|(_, alert, _)| alert.to_owned()),
        severity: first.map(|(.., severity)| severity.to_owned()),
        firing_already: already.map(|e| e.alert.clone()).collect(),
    }
}

impl Other {
    fn of(episode: &Episode) -> Self {
        Self {
            alert: episode.alert.clone(),
            start: episode.start,
            seconds: episode.end.map(|end| end.since(episode.start).as_secs_f64()),
            severity: episode.worst.clone(),
            reason: episode.reason.clone(),
        }
    }
}
