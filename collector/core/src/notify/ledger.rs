//! The ledger: every incident and every delivery.
//!
//! Owns what is remembered of what receivers were told. An incident is in it before the request that opens it leaves,
//! and stays until its close is confirmed. Never decides.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use watchkeeper_model::Timestamp;

use super::message::{Action, Notification};
use crate::alert::{Fingerprint, Severity};

/// How long an unconfirmed close is tried again.
pub const CLOSE_FOR: Duration = Duration::from_secs(24 * 3600);

/// How long after the n-th failed close (from 1) the next one is tried: 30 s, doubling to an hour.
pub fn close_backoff(n_failed: u32) -> Duration {
    Duration::from_secs((30_u64 << n_failed.saturating_sub(1).min(7)).min(3600))
}

/// Hex SHA-256 over group key, receiver and incident number.
pub fn dedup_key(group_key: &str, receiver: &str, incident: u64) -> String {
    let mut hash = Sha256::new();
    for part in [group_key, receiver] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(incident.to_be_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where an incident stands at its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// Decided, not confirmed: it may or may not be open there.
    Opening,
    /// Confirmed open.
    Open,
    /// To be closed; not confirmed.
    Closing,
    /// Confirmed closed, or never opened, or ended without a word where `send_resolved` is false.
    Closed,
    /// Its close could not be delivered for [`CLOSE_FOR`]: it may be open there for ever.
    Abandoned,
}

/// What one integration of one receiver was told about one group, from opening to closing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentRow {
    /// Unique in the ledger, counted from 1.
    pub number: u64,
    /// Its group.
    pub group_key: String,
    /// Its receiver.
    pub receiver: String,
    /// Which integration of the receiver: `slack[0]`.
    pub integration: String,
    /// The kind of channel: `slack`.
    pub kind: String,
    /// Whether its end is told, as of its opening or the last time the integration was there.
    pub send_resolved: bool,
    /// The same for its whole life.
    pub dedup_key: String,
    /// Where it stands.
    pub state: IncidentState,
    /// When it was decided.
    pub opened_at: Timestamp,
    /// When it was closed, as far as we are concerned.
    pub closed_at: Option<Timestamp>,
    /// The delivery under way, if any: at most one at a time.
    pub in_flight: Option<u64>,
    /// When the last confirmed word was decided.
    pub told_at: Option<Timestamp>,
    /// The firing alerts in it, and how bad each was.
    pub told: BTreeMap<Fingerprint, Severity>,
    /// Whether an attempt may have reached the receiver although it was not confirmed.
    pub maybe_open: bool,
    /// When the first close was decided.
    pub closing_since: Option<Timestamp>,
    /// Failed closes.
    pub n_close_failures: u32,
    /// When to try again what failed.
    pub retry_at: Option<Timestamp>,
    /// What its channel wants remembered, see [`Notification::memory`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Who was the first to take on each of its alerts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub acknowledged: BTreeMap<Fingerprint, Acknowledgement>,
}

/// That somebody took an alert on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryOutcome {
    /// Under way.
    Pending,
    /// The receiver has it.
    Ok,
    /// An attempt failed; the worker tries again at `next_at`.
    Retry,
    /// Given up.
    Failed,
    /// It went out while the ledger could not be written.
    Unrecorded,
}

impl DeliveryOutcome {
    /// As in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Retry => "retry",
            Self::Failed => "failed",
            Self::Unrecorded => "unrecorded",
        }
    }
}

/// One delivery and its latest attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// Unique, counted from 1.
    pub id: u64,
    /// The incident's number.
    pub incident: u64,
    /// The receiver's name.
    pub receiver: String,
    /// Which integration of it: `slack[0]`.
    pub integration: String,
    /// The kind of channel: `slack`.
    pub kind: String,
    /// What it does.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// When it was decided.
    pub at: Timestamp,
    /// Attempts made.
    pub attempt: u32,
    /// How it stands.
    pub outcome: DeliveryOutcome,
    /// The receiver's status, if it gave one.
    pub status: Option<u16>,
    /// What went wrong, without secrets.
    pub error: Option<String>,
    /// When the worker tries again.
    pub next_at: Option<Timestamp>,
    /// Names of the alerts in it, the worst first.
    pub alerts: Vec<String>,
    /// Their fingerprints, in the same order.
    #[serde(default)]
    pub fingerprints: Vec<Fingerprint>,
    /// The firing alerts in it, and how bad each is.
    pub firing: BTreeMap<Fingerprint, Severity>,
    /// What is sent. Kept until the outcome is final, to be sent again after a crash.
    pub notification: Option<Box<Notification>>,
}

/// What a worker has to say about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The receiver has it. Final.
    Ok {
        /// Its status, if there is one.
        status: Option<u16>,
        /// What the channel wants remembered of the incident from now on; `None` leaves it as it is.
        memory: Option<String>,
        /// What it did not do all the same, for people.
        note: Option<String>,
    },
    /// The receiver has been told of it together with others, in one message, because there were too many for one each.
    /// Final.
    Digested {
        /// Its status, if there is one.
        status: Option<u16>,
        /// How many were told together.
        n: u32,
        /// As of [`Reply::Ok`].
        note: Option<String>,
    },
    /// This attempt failed and the worker tries again after a while. Not final.
    Retry {
        /// After how long.
        after: Duration,
        /// Its status, if there is one.
        status: Option<u16>,
        /// What went wrong, without secrets.
        error: String,
    },
    /// The worker has given up. Final.
    Failed {
        /// The receiver will never take it: trying the same again is of no use. Otherwise the retry budget is spent.
        permanent: bool,
        /// Its status, if there is one.
        status: Option<u16>,
        /// What went wrong, without secrets.
        error: String,
    },
    /// It went out and was taken, but the ledger could not be written before. Final.
    Unrecorded {
        /// Its status, if there is one.
        status: Option<u16>,
        /// As of [`Reply::Ok`].
        memory: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dedup_key_never_changes_between_versions() {
        let key = dedup_key("{}:{alertname=\"X\"}", "oncall", 1);
        assert_eq!(key, "1e63752cc88a9229efdc3430b4bb3b62b5b5ced3d7520ef246c5e185138dda00");
        assert_ne!(key, dedup_key("{}:{alertname=\"X\"}", "oncall", 2));
    }

    #[test]
    fn closes_back_off_to_an_hour() {
        let waits: Vec<_> = (1..=9).map(|n| close_backoff(n).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(close_backoff(u32::MAX).as_secs(), 3600);
    }
}
