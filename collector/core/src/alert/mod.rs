//! Alerts: who they are, what states they go through, and the rules and built-in conditions that raise them.
//!
//! In reading order: `identity` names an alert, `row` is its state as stored, `step` moves it, `rule` watches a signal,
//! `builtin` names what Watchkeeper watches about itself.

mod builtin;
mod flap;
mod identity;
mod row;
mod rule;
mod step;

pub use builtin::{Builtin, BuiltinSettings};
pub use flap::calm_for;
pub use identity::{AlertKey, AlertKind, Fingerprint};
pub use row::{AlertRow, AlertState};
pub use rule::{Finding, Group, MAX_GROUPS, Rule, RuleSettings};
pub use step::{Condition, Hold, Severity, Step, severity_of, step};
