//! What a receiver is told: a notification with everything a person needs to act.
//!
//! Owns the domain form that every channel renders from. Never knows how Slack, a webhook or a mail looks.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchkeeper_model::{Labels, Severity, Timestamp};

/// What a delivery does to an incident at its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The first word about it.
    Open,
    /// Something changed, or it is time for a reminder.
    Update,
    /// It has ended.
    Close,
}

/// One thing to tell one integration of one receiver about one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The receiver's name.
    pub receiver: String,
    /// `{route matchers}:{group labels}`, as Alertmanager writes it.
    pub group_key: String,
    /// Hex SHA-256 over group key, receiver and incident number: the same for the whole life of an incident.
    pub dedup_key: String,
    /// Which incident.
    pub incident: u64,
    /// What this does to it.
    pub action: Action,
    /// Why it is sent, as stored in the ledger; [`super::reason_in_words`] has it for people.
    pub reason: String,
    /// When it was decided.
    pub at: Timestamp,
    /// The labels the group is formed by.
    pub group_labels: Labels,
    /// Alerts of the group, the worst first; resolved ones since the last notification among them.
    pub alerts: Vec<NotifiedAlert>,
    /// Alerts left out of `alerts` because there are too many.
    pub n_truncated: u32,
    /// Where this collector is reached by people.
    pub external_url: String,
    /// What the channel wanted remembered of this incident when it was told of it last, in its own words: where its first
    /// message is, say. `None` at first, and for channels that remember nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
}

/// One alert of a notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotifiedAlert {
    /// Stable identity, hex.
    pub fingerprint: String,
    /// All labels.
    pub labels: Labels,
    /// Summary, description, runbook_url and what else the user wrote.
    pub annotations: Labels,
    /// Whether it is firing; resolved otherwise.
    pub firing: bool,
    /// Whether its data have stopped: it is held, not confirmed.
    pub stale: bool,
    /// Since when.
    pub starts_at: Timestamp,
    /// Until when, if resolved.
    pub ends_at: Option<Timestamp>,
    /// In words, with numbers: `burning 21.3x over 5m and 18.9x over 1h (limit 14.4x)`.
    pub reason: String,
    /// The value that met the condition, in outside units, if there is one.
    pub value: Option<f64>,
    /// Where to look at it.
    pub generator_url: String,
    /// For an alert of an SLO.
    pub slo: Option<SloFacts>,
    /// The latest events of its service, at most three, the newest first.
    pub events: Vec<SampleEvent>,
    /// Agents whose data are in it, worst first, at most ten.
    pub agents: Vec<String>,
}

impl Notification {
    /// The worst severity that fires in it; `None` if nothing does.
    pub fn worst_firing(&self) -> Option<Severity> {
        self.alerts.iter().filter(|alert| alert.firing).map(NotifiedAlert::severity).max()
    }

    /// The worst severity that fires in it, or of all its alerts if none does.
    pub fn severity(&self) -> Severity {
        let of_all = || self.alerts.iter().map(NotifiedAlert::severity).max();
        self.worst_firing().or_else(of_all).unwrap_or_default()
    }
}

impl NotifiedAlert {
    /// What its label `severity` stands for.
    pub fn severity(&self) -> Severity {
        Severity::rank_of(self.labels.get("severity"))
    }
}

/// An SLO at the moment of the notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloFacts {
    /// Percent.
    pub objective: f64,
    /// As written: `30d`.
    pub window: String,
    /// Burn rate by window, shortest first.
    pub burn: Vec<(Duration, f64)>,
    /// Share of the error budget left; below 0 if overspent.
    pub budget_remaining: f64,
    /// When the budget is gone at this rate, if it is burning.
    pub exhausts_at: Option<Timestamp>,
    /// Good events in the window.
    pub good: u64,
    /// Judged events in the window.
    pub total: u64,
}

/// An event shown with an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleEvent {
    /// When.
    pub at: Timestamp,
    /// Which agent saw it.
    pub agent: String,
    /// `error`, …
    pub name: String,
    /// Its message.
    pub message: String,
    /// The id of its request or the like; "" if none.
    pub correlation: String,
    /// The id of its trace; "" if none, as in rows of before there were any.
    #[serde(default)]
    pub trace: String,
}
