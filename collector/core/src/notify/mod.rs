//! Notifications: what to tell whom, when, and why or why not.
//!
//! In reading order: `message` is what is told, `ledger` what is remembered of it, `decide` the decision with its
//! reason, `group` the timers of one group, `wording` the expressions in annotations.

mod decide;
mod group;
mod ledger;
mod message;
mod wording;

pub use decide::{
    Decision, EndReason, SendReason, Situation, Told, WaitReason, decide, reason_in_words,
};
pub use group::{Cause, GroupId, GroupRow, Member, StoredTiming};
pub use ledger::{
    Acknowledgement, CLOSE_FOR, DeliveryOutcome, DeliveryRow, IncidentRow, IncidentState, Reply,
    close_backoff, dedup_key,
};
pub use message::{Action, Notification, NotifiedAlert, SampleEvent, SloFacts};
pub use wording::{Scene, WordingError, check_wording, fill_in, is_template};
