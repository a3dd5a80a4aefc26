//! The state of one alert.
//!
//! Owns what an alert is between two inputs. The state in memory and the row in the store are the same thing, so that
//! nothing can be known of an alert that does not survive a restart. Never derives a timer anew.

use serde::{Deserialize, Serialize};
use watchkeeper_model::{Labels, Timestamp};

use super::identity::{AlertKey, Fingerprint};

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its condition holds, but not yet long enough.
    Pending,
    /// It is on.
    Firing,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// As in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One alert, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRow {
    /// Stable identity.
    pub fingerprint: Fingerprint,
    /// What the identity is made of.
    pub key: AlertKey,
    /// All labels, `alertname` and `severity` among them.
    pub labels: Labels,
    /// For people.
    pub annotations: Labels,
    /// Where it stands.
    pub state: AlertState,
    /// Its data have stopped: it is held, not confirmed. Only while firing.
    pub stale: bool,
    /// Who has taken it on, if anybody; forgotten when it ends.
    pub acknowledged_by: Option<String>,
    /// Since when its condition has held without a break, for `for`.
    pub pending_since: Timestamp,
    /// Since when it has fired; while pending the same as `pending_since`.
    pub starts_at: Timestamp,
    /// Since when it is over.
    pub ends_at: Option<Timestamp>,
    /// Since when its condition no longer holds, for `keep_firing_for`. Only while firing.
    pub unmet_since: Option<Timestamp>,
    /// How often it has come back soon after its end, without a longer calm in between.
    #[serde(default)]
    pub n_returns: u32,
    /// Until when it is held although its condition no longer holds, because it comes and goes. Only while firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// When it ends by itself unless it happens again: for conditions that are a moment and not a state.
    pub expires_at: Option<Timestamp>,
    /// The value its condition had last, in outside units.
    pub value: Option<f64>,
    /// In words, with numbers.
    pub reason: String,
    /// For an SLO: the tiers that burn, by name.
    pub burning: Vec<String>,
}

impl AlertRow {
    /// The value of the `severity` label.
    pub fn severity(&self) -> super::Severity {
        super::severity_of(&self.labels)
    }

    /// Whether it is on.
    pub fn is_firing(&self) -> bool {
        self.state == AlertState::Firing
    }
}
