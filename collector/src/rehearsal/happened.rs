//! What came of a rehearsal: alerts that moved and receivers that were told.
//!
//! Owns plain copies of what the engine decided, in the order in which it did. Never decides or words anything itself.

use watchkeeper_collector_core::alert::{AlertState, Builtin};
use watchkeeper_collector_core::engine::{Delivery, Fact};
use watchkeeper_collector_core::notify::{Action, NotifiedAlert, reason_in_words};
use watchkeeper_model::{Labels, Timestamp};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// An alert moved, changed its severity, or lost or found its data.
    Moved(Moved),
    /// A receiver was told, and took it.
    Told(Told),
}

impl Happened {
    /// When.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Moved(moved) => moved.at,
            Self::Told(told) => told.at,
        }
    }
}

/// An alert moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// When.
    pub at: Timestamp,
    /// Its `alertname`.
    pub alert: String,
    /// All its labels, after; `severity` among them.
    pub labels: Labels,
    /// Where it stood; `None` where there was no alert.
    pub from: Option<AlertState>,
    /// Where it stands; `None` where it was pending and is forgotten.
    pub to: Option<AlertState>,
    /// Whether its data have stopped: it is held, not confirmed.
    pub stale: bool,
    /// In words, with numbers.
    pub reason: String,
}

impl Moved {
    /// Where it stood, as in answers.
    pub fn was(&self) -> Option<&'static str> {
        self.from.map(AlertState::as_str)
    }

    /// Where it stands, as in answers.
    pub fn is(&self) -> Option<&'static str> {
        self.to.map(AlertState::as_str)
    }

    /// How bad it is: `page`, `warning`, …
    pub fn severity(&self) -> &str {
        self.labels.get("severity")
    }

    /// Whether it is the alert that is always on and says nothing of what happened.
    pub fn is_watchdog(&self) -> bool {
        self.alert == Builtin::Watchdog.as_str() && self.labels.get("service").is_empty()
    }

    /// An alert's move; `None` for any other fact.
    pub(super) fn of(fact: Fact) -> Option<Self> {
        match fact {
            Fact::AlertMoved { at, alert, labels, from, to, stale, reason, fingerprint: _ } => {
                Some(Self { at, alert, labels, from, to, stale, reason })
            }
            _ => None,
        }
    }
}

/// One integration of a receiver was told something.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When it was taken.
    pub at: Timestamp,
    /// Who was told.
    pub receiver: String,
    /// By which integration: `slack[0]`.
    pub integration: String,
    /// What it did to the incident there.
    pub action: Action,
    /// Why, as the ledger has it; [`Self::why`] has it for people.
    pub reason: String,
    /// The alerts it speaks of, the worst first, at most a hundred.
    pub alerts: Vec<ToldAlert>,
}

/// One alert of which a receiver was told.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldAlert {
    /// Its `alertname`.
    pub name: String,
    /// All its labels.
    pub labels: Labels,
    /// Whether it is firing; resolved otherwise.
    pub firing: bool,
    /// The annotation `summary`; "" without one.
    pub summary: String,
    /// Why it fires, in words with numbers.
    pub reason: String,
}

impl Told {
    pub(super) fn of(delivery: &Delivery, at: Timestamp) -> Self {
        let Delivery { integration, notification, .. } = delivery;
        Self {
            at,
            receiver: notification.receiver.clone(),
            integration: integration.clone(),
            action: notification.action,
            reason: notification.reason.clone(),
            alerts: notification.alerts.iter().map(ToldAlert::of).collect(),
        }
    }

    /// What was done to the incident: `open`, `update` or `close`.
    pub const fn verb(&self) -> &'static str {
        match self.action {
            Action::Open => "open",
            Action::Update => "update",
            Action::Close => "close",
        }
    }

    /// Why it was told, for people.
    pub fn why(&self) -> &str {
        reason_in_words(&self.reason)
    }
}

impl ToldAlert {
    fn of(alert: &NotifiedAlert) -> Self {
        Self {
            name: alert.labels.get("alertname").to_owned(),
            labels: alert.labels.clone(),
            firing: alert.firing,
            summary: alert.annotations.get("summary").to_owned(),
            reason: alert.reason.clone(),
        }
    }
}
