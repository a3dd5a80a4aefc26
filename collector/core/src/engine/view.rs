//! What others see of the engine's state.
//!
//! Owns the domain form of answers. Never the state itself: a view is a copy.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_model::{AgentId, Labels, SkipReason, Timestamp};

use super::input::{AgentState, Road};
use crate::alert::{AlertState, Fingerprint};
use crate::slo::{Concerned, CorrectionRow, SloState, When};

/// Everything at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// Alerts by fingerprint; resolved ones for a while.
    pub alerts: Vec<AlertView>,
    /// SLOs by name.
    pub slos: Vec<SloView>,
    /// Agents by id.
    pub agents: Vec<AgentView>,
    /// Corrections: those of the file, then those added, the oldest first; ended ones among them.
    pub corrections: Vec<CorrectionView>,
}

/// A correction.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrectionView {
    /// `file-1` or its number.
    pub id: String,
    /// What it is called; "" if nothing.
    pub name: String,
    /// About which SLOs.
    pub concerned: Concerned,
    /// When.
    pub when: When,
    /// What it leaves out of which SLO, edges rounded outward; nothing for weekly ones.
    pub covers: Vec<(String, Timestamp, Timestamp)>,
    /// Whether some SLO leaves out what happens now because of it.
    pub in_force: bool,
    /// Why.
    pub reason: String,
    /// Who added it and who took it back; `None` if it is in the file.
    pub added: Option<CorrectionRow>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    /// Stable identity.
    pub fingerprint: Fingerprint,
    /// All labels.
    pub labels: Labels,
    /// For people.
    pub annotations: Labels,
    /// Where it stands.
    pub state: AlertState,
    /// Whether its data have stopped.
    pub stale: bool,
    /// Who has taken it on.
    pub acknowledged_by: Option<String>,
    /// Since when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Option<Timestamp>,
    /// The value its condition had last, in outside units.
    pub value: Option<f64>,
    /// In words, with numbers.
    pub reason: String,
    /// The receivers that hear of it.
    pub receivers: Vec<String>,
    /// What keeps it from being told. Empty until there are silences.
    pub suppressed_by: Vec<String>,
}

/// An SLO.
#[derive(Clone, Debug, PartialEq)]
pub struct SloView {
    /// Its name.
    pub name: String,
    /// Whose.
    pub service: String,
    /// Percent.
    pub objective: f64,
    /// As written: `30d`.
    pub window: String,
    /// Good in the window.
    pub good: u64,
    /// Judged in the window.
    pub total: u64,
    /// Not judged in the window.
    pub unjudged: u64,
    /// good ÷ total.
    pub sli: Option<f64>,
    /// Share of the error budget left; below 0 if overspent.
    pub budget_remaining: f64,
    /// Burn rate by window, the shortest first; `None` where there are no data.
    pub burn: Vec<(Duration, Option<f64>)>,
    /// When the budget is gone at this rate, if it is burning and not gone.
    pub exhausts_at: Option<Timestamp>,
    /// How it stands.
    pub state: SloState,
    /// The share of the judged that was estimated.
    pub approximate: f64,
    /// How much of the window so far corrections leave out, in seconds.
    pub corrected_seconds: f64,
    /// Why what happens now is left out; `None` if it is not.
    pub correction: Option<String>,
    /// Of a composite: its parts.
    pub composite: Vec<PartView>,
}

/// A part of a composite, over the composite's window.
#[derive(Clone, Debug, PartialEq)]
pub struct PartView {
    /// The SLO's name.
    pub slo: String,
    /// How much it weighs among the others.
    pub weight: f64,
    /// Good in the window.
    pub good: u64,
    /// Judged in the window.
    pub total: u64,
    /// good ÷ total.
    pub sli: Option<f64>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentView {
    /// Who.
    pub id: AgentId,
    /// Whether it is there.
    pub state: AgentState,
    /// Its last hello or beat, if there was one.
    pub last_beat: Option<Timestamp>,
    /// Its epoch, as text; "" if unknown.
    pub epoch: String,
    /// Its clock minus ours, as of its last beat.
    pub skew_seconds: f64,
    /// How much is in its spool.
    pub spool_bytes: u64,
    /// How much of its files it has still to read.
    pub lag_bytes: u64,
    /// How its last beat came; `None` if none has since the start.
    pub road: Option<Road>,
    /// Its version.
    pub version: String,
    /// Its sources by name.
    pub sources: Vec<SourceView>,
}

/// A source of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceView {
    /// Its name.
    pub name: String,
    /// `tail`, `probe`, …; "" until the agent has beaten.
    pub kind: String,
    /// `ok`, or what is wrong; "" until the agent has beaten.
    pub state: String,
    /// Lines, or other records, read since ever.
    pub read: u64,
    /// Skipped since ever, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Bytes given up unread since ever.
    pub bytes_abandoned: u64,
    /// Bytes whose fate is unknown, since ever.
    pub bytes_unknown: u64,
    /// Replacements made in its events before they left the host, since ever.
    pub redacted: u64,
    /// Its events whose bodies a limit held back, since ever.
    pub events_held_back: u64,
}
