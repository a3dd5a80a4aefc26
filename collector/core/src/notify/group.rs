//! Groups: alerts that are told together, and when.
//!
//! Owns a group's timers. Never decides what is told, and never runs by itself: the engine asks for its deadline.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchkeeper_model::{Labels, Timestamp};

use crate::alert::Fingerprint;
use crate::route::Timing;

/// Which group: one per group key and receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId {
    /// `{}/{severity="page"}:{alertname="X"}`
    pub group_key: String,
    /// The receiver's name.
    pub receiver: String,
}

/// Why an alert came into a group, or why one in it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It began or ended: the group's timing holds.
    Usual,
    /// Its severity changed and with it its route: at once, and the group it left is closed after this one is open.
    Severity,
    /// The configuration changed or the thing it watches was deleted: at once.
    Config,
}

/// One group, as kept and as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupRow {
    /// Which.
    pub id: GroupId,
    /// The route's key.
    pub route_key: String,
    /// The labels it is formed by.
    pub labels: Labels,
    /// The route's timing, as of the last time the route was there.
    pub timing: StoredTiming,
    /// Its alerts: firing, or resolved and not yet told; with whether an alert is on its way to another group and
    /// stands here until it is told there.
    pub alerts: BTreeMap<Fingerprint, Member>,
    /// When to look at it next, because something changed.
    pub next_flush: Option<Timestamp>,
    /// When something was last sent.
    pub last_sent: Option<Timestamp>,
    /// Something changed while a word was under way: to be looked at when that has ended.
    pub blocked: bool,
    /// The last decision for each integration, in words.
    pub decisions: BTreeMap<String, String>,
}

/// How an alert is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Member {
    /// It belongs here.
    Here,
    /// It was routed elsewhere by its severity, and stands here until it is told there.
    Leaving,
    /// It was routed elsewhere: it is over as far as this group is concerned.
    Gone,
    /// What it watched was deleted.
    Deleted,
}

/// [`Timing`] in milliseconds, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTiming {
    group_wait_ms: u64,
    group_interval_ms: u64,
    repeat_interval_ms: u64,
}

impl From<Timing> for StoredTiming {
    fn from(timing: Timing) -> Self {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Self {
            group_wait_ms: ms(timing.group_wait),
            group_interval_ms: ms(timing.group_interval),
            repeat_interval_ms: ms(timing.repeat_interval),
        }
    }
}

impl From<StoredTiming> for Timing {
    fn from(stored: StoredTiming) -> Self {
        Self {
            group_wait: Duration::from_millis(stored.group_wait_ms),
            group_interval: Duration::from_millis(stored.group_interval_ms),
            repeat_interval: Duration::from_millis(stored.repeat_interval_ms),
        }
    }
}

impl GroupRow {
    /// An empty group.
    pub fn new(id: GroupId, route_key: &str, labels: Labels, timing: Timing) -> Self {
        Self {
            id,
            route_key: route_key.to_owned(),
            labels,
            timing: timing.into(),
            alerts: BTreeMap::new(),
            next_flush: None,
            last_sent: None,
            blocked: false,
            decisions: BTreeMap::new(),
        }
    }

    /// Its timing.
    pub fn timing(&self) -> Timing {
        self.timing.into()
    }

    /// Something changed: says when to look at it, never later than was said before. A group waits `group_wait`
    /// after the first change, and never less than `group_interval` after the last notification. Alertmanager flushes
    /// at fixed ticks instead; this is never later, and never more often.
    pub fn touch(&mut self, cause: Cause, now: Timestamp) {
        let timing = self.timing();
        let at = match cause {
            Cause::Severity | Cause::Config => now,
            Cause::Usual => {
                let waited = now + timing.group_wait;
                self.last_sent.map_or(waited, |sent| waited.max(sent + timing.group_interval))
            }
        };
        self.next_flush = Some(self.next_flush.map_or(at, |before| before.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_waits_as_its_timing_says() {
        let timing = Timing::default();
        for (sentence, last_sent, before, cause, expected) in [
            ("a new group waits group_wait", None, None, Cause::Usual, 1030),
            ("a second alert does not prolong the wait", None, Some(1010), Cause::Usual, 1010),
            ("after a notification group_interval holds", Some(900), None, Cause::Usual, 1200),
            ("a quiet group waits group_wait again", Some(0), None, Cause::Usual, 1030),
            ("severity does not wait", Some(999), Some(1200), Cause::Severity, 1000),
            ("deletion does not wait", Some(999), None, Cause::Config, 1000),
        ] {
            let id = GroupId { group_key: "{}:{}".to_owned(), receiver: "r".to_owned() };
            let mut group = GroupRow::new(id, "{}", Labels::default(), timing);
            group.last_sent = last_sent.map(Timestamp::from_secs);
            group.next_flush = before.map(Timestamp::from_secs);
            group.touch(cause, Timestamp::from_secs(1000));
            assert_eq!(group.next_flush, Some(Timestamp::from_secs(expected)), "{sentence}");
        }
    }
}
