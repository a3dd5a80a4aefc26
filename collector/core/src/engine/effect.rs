//! What the engine asks for.
//!
//! Owns the closed set of effects and facts. Never does any of it: the driver persists all rows of one `handle` in one
//! transaction, and only then lets its deliveries go and its facts be told.

use std::fmt;

use serde::Serialize;
use watchkeeper_model::{AgentId, Labels, Timestamp};

use super::input::{AgentRow, AgentState};
use crate::alert::{AlertRow, AlertState, Fingerprint};
use crate::notify::{
    Decision, DeliveryOutcome, DeliveryRow, GroupId, GroupRow, IncidentRow, Notification,
};
use crate::slo::CorrectionRow;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Store an alert under its fingerprint.
    SaveAlert(Box<AlertRow>),
    /// Forget an alert.
    ForgetAlert(Fingerprint),
    /// Store a group and its timers under its id.
    SaveGroup(Box<GroupRow>),
    /// Forget a group.
    ForgetGroup(GroupId),
    /// Store an incident under its number.
    SaveIncident(Box<IncidentRow>),
    /// Store a delivery under its id.
    SaveDelivery(Box<DeliveryRow>),
    /// Store an agent under its id.
    SaveAgent(Box<AgentRow>),
    /// Store a correction under its number.
    SaveCorrection(Box<CorrectionRow>),
    /// Forget a correction.
    ForgetCorrection(u64),
    /// Send a notification, again and again if need be, and report every attempt. Always after the rows above.
    Deliver(Box<Delivery>),
    /// Tell the log and the metrics.
    Fact(Fact),
}

/// A notification for one integration.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Under which attempts are reported.
    pub id: u64,
    /// Which integration of the receiver: `slack[0]`.
    pub integration: String,
    /// The kind of channel: `slack`.
    pub kind: String,
    /// What to send.
    pub notification: Notification,
}

/// Something that was decided or noticed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// An alert moved, or its severity changed.
    AlertMoved {
        /// When.
        at: Timestamp,
        /// Which.
        fingerprint: Fingerprint,
        /// Its `alertname`.
        alert: String,
        /// Its labels, after.
        labels: Labels,
        /// Where it stood; `None` where there was no alert.
        from: Option<AlertState>,
        /// Where it stands; `None` where it was pending and is forgotten.
        to: Option<AlertState>,
        /// Whether its data have stopped.
        stale: bool,
        /// In words, with numbers.
        reason: String,
    },
    /// Somebody took on an alert.
    AlertAcknowledged {
        /// When.
        at: Timestamp,
        /// Which.
        fingerprint: Fingerprint,
        /// Who.
        by: String,
        /// What they said.
        comment: String,
    },
    /// Somebody took planned maintenance out of budgets.
    CorrectionAdded {
        /// When.
        at: Timestamp,
        /// Which.
        id: u64,
        /// Who.
        by: String,
    },
    /// Somebody took a correction back.
    CorrectionEnded {
        /// When.
        at: Timestamp,
        /// Which.
        id: u64,
        /// Who.
        by: String,
    },
    /// A group was looked at for one integration.
    NotificationDecided {
        /// When.
        at: Timestamp,
        /// Which group.
        group: GroupId,
        /// Which integration.
        integration: String,
        /// With what result.
        decision: Decision,
    },
    /// An attempt was reported.
    DeliveryReported {
        /// When.
        at: Timestamp,
        /// Which delivery.
        delivery: u64,
        /// To whom.
        receiver: String,
        /// Which integration.
        integration: String,
        /// How it went.
        outcome: DeliveryOutcome,
        /// The receiver's status.
        status: Option<u16>,
        /// What went wrong, without secrets.
        error: Option<String>,
    },
    /// A worker reported a delivery that is not under way.
    UnknownDelivery {
        /// When.
        at: Timestamp,
        /// Which.
        delivery: u64,
    },
    /// An incident could not be closed for a day and is given up.
    IncidentAbandoned {
        /// When.
        at: Timestamp,
        /// Which.
        incident: u64,
        /// At whom.
        receiver: String,
    },
    /// An agent came, went silent or said bye.
    AgentMoved {
        /// When.
        at: Timestamp,
        /// Who.
        agent: AgentId,
        /// Where it stands now.
        to: AgentState,
    },
    /// A rule has more groups than it may have; their windows are not looked at.
    GroupsOverflowed {
        /// When.
        at: Timestamp,
        /// Which rule.
        rule: String,
        /// How many windows so far.
        n_windows: u64,
    },
    /// A tier of an SLO can never fire.
    TierLeftOut {
        /// Which SLO.
        slo: String,
        /// Which tier and why.
        why: String,
    },
    /// An annotation's expression could not be worked out: it was told as it is written.
    WordingFailed {
        /// When.
        at: Timestamp,
        /// Of which alert.
        alert: String,
        /// Which annotation.
        annotation: String,
        /// Why.
        error: String,
    },
    /// A rule's value and its signal measure different things.
    DimensionMismatch {
        /// When.
        at: Timestamp,
        /// Which rule.
        rule: String,
    },
    /// The clock was set back by more than a minute: timers that lay ahead were brought back.
    ClockSetBack {
        /// To when.
        at: Timestamp,
        /// From when.
        from: Timestamp,
    },
    /// The collector was called much later than it had asked to be: what was silent meanwhile is given time.
    Overslept {
        /// When.
        at: Timestamp,
        /// Since when.
        since: Timestamp,
    },
}

/// As the log has it.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |state: &Option<AlertState>| match state {
            Some(state) => state.as_str().to_uppercase(),
            None => "INACTIVE".to_owned(),
        };
        match self {
            Self::AlertMoved { alert, from, to, reason, .. } => {
                write!(f, "alert {alert:?}: {} => {}: {reason}", name(from), name(to))
            }
            Self::CorrectionAdded { id, by, .. } => write!(f, "correction {id} added by {by}"),
            Self::CorrectionEnded { id, by, .. } => write!(f, "correction {id} ended by {by}"),
            Self::AlertAcknowledged { fingerprint, by, .. } => {
                write!(f, "alert {fingerprint}: acknowledged by {by}")
            }
            Self::NotificationDecided { group, integration, decision, .. } => {
                write!(f, "receiver {:?}: {integration}: {decision}", group.receiver)
            }
            Self::DeliveryReported { delivery, receiver, outcome, .. } => {
                write!(f, "receiver {receiver:?}: delivery {delivery}: {}", outcome.as_str())
            }
            Self::UnknownDelivery { delivery, .. } => {
                write!(f, "delivery {delivery}: reported, but not under way")
            }
            Self::IncidentAbandoned { incident, receiver, .. } => {
                write!(
                    f,
                    "receiver {receiver:?}: incident {incident} could not be closed for a day"
                )
            }
            Self::AgentMoved { agent, to, .. } => write!(f, "agent {agent}: {to:?}"),
            Self::GroupsOverflowed { rule, .. } => write!(f, "rule {rule:?}: too many groups"),
            Self::TierLeftOut { slo, why } => write!(f, "slo {slo:?}: {why}"),
            Self::WordingFailed { alert, annotation, error, .. } => {
                write!(f, "alert {alert:?}: annotation {annotation:?} as it is written: {error}")
            }
            Self::DimensionMismatch { rule, .. } => {
                write!(f, "rule {rule:?}: its value has another dimension than the signal")
            }
            Self::ClockSetBack { at, from } => write!(f, "clock: set back from {from} to {at}"),
            Self::Overslept { at, since } => write!(f, "clock: called at {at}, due at {since}"),
        }
    }
}
