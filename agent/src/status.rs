//! What the agent knows of itself, for beats, readiness and metrics.
//!
//! Owns one snapshot that the worker and the delivery task write and everybody reads. Never keeps history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use watchkeeper_agent_core::seal::Stage;
use watchkeeper_model::{SourceTally, Timestamp};

use crate::transports::RoadKind;

/// So many sources that are gone keep their totals.
const MAX_TOTALS_OF_GONE: usize = 1_000;

/// The state of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// `tail`, …
    pub kind: &'static str,
    /// `ok`, `waiting: …` or `failing: …`.
    pub state: String,
    /// Its service.
    pub service: String,
    /// Bytes written and not yet read.
    pub lag_bytes: u64,
}

/// What became of the last reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reload {
    /// There was none since the start.
    #[default]
    Never,
    /// The agent runs with the new settings.
    Succeeded {
        /// Since when.
        at: Timestamp,
    },
    /// The file is good, and the agent can't go over to it yet.
    Waiting {
        /// When it was asked.
        at: Timestamp,
        /// For what.
        why: String,
    },
    /// The file is bad; the settings before go on.
    Failed {
        /// When it was read.
        at: Timestamp,
        /// In short.
        why: String,
    },
}

impl Reload {
    /// Whether the agent runs with what the file said when it was read last.
    pub fn is_successful(&self) -> bool {
        matches!(self, Self::Never | Self::Succeeded { .. })
    }

    /// Takes note of what became of a reload asked for at `asked_at`, unless a later one has failed.
    pub(crate) fn replace(&mut self, outcome: Self, asked_at: Timestamp) {
        let failed_later = matches!(self, Self::Failed { at, .. } if *at > asked_at);
        if !failed_later {
            *self = outcome;
        }
    }
}

/// The agent at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Its sources.
    pub sources: Vec<SourceStatus>,
    /// Sum over the sources.
    pub lag_bytes: u64,
    /// Why there is no connection, if there is none.
    pub road: Option<String>,
    /// The road that is open.
    pub road_kind: Option<RoadKind>,
    /// Why nothing can be sealed, if nothing can.
    pub spool: Option<String>,
    /// How much pressure there is on the spool.
    pub stage: Stage,
    /// What each source did since the start and is sealed, by name.
    pub totals: BTreeMap<String, SourceTally>,
    /// What became of the last reload.
    pub reload: Reload,
    /// Label values that became `__overflow__` of late: signal, label, how many.
    pub overflowed: Vec<(String, String, u64)>,
    /// Event bodies that a limit held back since the start: source, definition, how many.
    pub held_back: Vec<(String, String, u64)>,
    /// It is starting, or draining.
    pub starting: bool,
    /// It is draining.
    pub draining: bool,
}

/// The shared snapshot.
#[derive(Debug)]
pub struct Status {
    now: Mutex<Snapshot>,
    /// How a source is has changed.
    health: Notify,
}

impl Default for Status {
    fn default() -> Self {
        let road = Some("not connected yet".to_owned());
        let now = Mutex::new(Snapshot { starting: true, road, ..Snapshot::default() });
        Self { now, health: Notify::new() }
    }
}

impl Status {
    /// A copy.
    pub fn get(&self) -> Snapshot {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut now);
    }

    /// Notes how the sources are.
    pub(crate) fn set_sources(&self, sources: Vec<SourceStatus>) {
        let mut changed = false;
        self.update(|now| {
            changed = now.sources.len() != sources.len()
                || now
                    .sources
                    .iter()
                    .zip(&sources)
                    .any(|(a, b)| (&a.name, &a.state) != (&b.name, &b.state));
            now.lag_bytes = sources.iter().map(|s| s.lag_bytes).sum();
            now.sources = sources;
        });
        if changed {
            self.health.notify_one();
        }
    }

    /// Waits until a source is otherwise than when this was asked last.
    pub(crate) async fn health_changed(&self) {
        self.health.notified().await;
    }

    /// Notes which road is open, or why none is.
    pub fn set_road(&self, road: Result<RoadKind, String>) {
        self.update(|s| {
            s.road_kind = road.as_ref().ok().copied();
            s.road = road.err();
        });
    }
}

impl Snapshot {
    /// Adds what a seal has made durable.
    pub fn add(&mut self, tally: &SourceTally) {
        let total = self.totals.entry(tally.source.clone()).or_default();
        total.source.clone_from(&tally.source);
        total.add(tally);
    }

    /// Forgets what sources did that are not among `names`, once there are too many of them.
    pub fn forget_totals(&mut self, names: &BTreeSet<String>) {
        let n_gone = self.totals.keys().filter(|name| !names.contains(*name)).count();
        if n_gone > MAX_TOTALS_OF_GONE {
            self.totals.retain(|name, _| names.contains(name));
        }
    }

    /// Why the agent is not ready, by component; empty if it is. A closed road does not make it unready: it spools.
    pub fn not_ready(&self) -> Vec<(&'static str, String)> {
        let mut reasons = Vec::new();
        if self.starting {
            reasons.push(("agent", "starting".to_owned()));
        }
        if self.draining {
            reasons.push(("agent", "draining".to_owned()));
        }
        if let Some(reason) = &self.spool {
            reasons.push(("spool", reason.clone()));
        }
        reasons
    }
}
