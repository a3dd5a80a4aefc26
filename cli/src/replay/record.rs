//! What came of a replay, kept for the answer.
//!
//! Owns what belongs to it: what happened before the time asked for does not, and the alert that is always on says
//! nothing of the past. Episodes are the stretches in which an alert fired, whatever its severity was.

use std::collections::{BTreeMap, BTreeSet};

use watchkeeper_collector::rehearsal::{Happened, Moved, Told};
use watchkeeper_model::Timestamp;

/// Everything that happened, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) moved: Vec<Moved>,
    pub(super) told: Vec<Told>,
    pub(super) episodes: Vec<Episode>,
    /// The names of SLOs and rules.
    watched: BTreeSet<String>,
    /// Open ones, by name and labels without severity.
    open: BTreeMap<(String, String), usize>,
}

/// An alert from its first firing to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Episode {
    pub(super) alert: String,
    /// Its service; "" if it has none.
    pub(super) service: String,
    pub(super) start: Timestamp,
    /// `None` while it fires.
    pub(super) end: Option<Timestamp>,
    /// The severity it began with, and the worst it had.
    pub(super) severity: String,
    pub(super) worst: String,
    /// When it became a page after having been less.
    pub(super) paged_at: Option<Timestamp>,
    /// It is an SLO's or a rule's, and none of our own.
    pub(super) is_watched: bool,
    pub(super) reason: String,
}

impl Record {
    /// Nothing yet, of SLOs and rules of these names.
    pub(super) fn new(watched: BTreeSet<String>) -> Self {
        Self { watched, ..Self::default() }
    }

    /// Takes in what happened. What happened before `from` is remembered only for what fires then.
    pub(super) fn add(&mut self, happened: Happened, from: Timestamp) {
        match happened {
            Happened::Moved(moved) if moved.is_watchdog() => {}
            Happened::Moved(moved) => {
                self.note(&moved);
                if moved.at >= from {
                    self.moved.push(moved);
                }
            }
            Happened::Told(told) if told.at >= from => self.told.push(told),
            Happened::Told(_) => {}
        }
    }

    /// Those that fire at this time.
    pub(super) fn firing_at(&self, at: Timestamp) -> impl Iterator<Item = &Episode> {
        let fires = move |e: &&Episode| e.start < at && e.end.is_none_or(|end| end > at);
        self.episodes.iter().filter(fires)
    }

    fn note(&mut self, moved: &Moved) {
        let names: Vec<String> = moved
            .labels
            .iter()
            .filter(|(name, _)| *name != "severity")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let key = (moved.alert.clone(), names.join(","));
        let is_firing = moved.is() == Some("firing");
        match (self.open.get(&key).copied(), is_firing) {
            (None, true) => {
                self.open.insert(key, self.episodes.len());
                self.episodes.push(Episode {
                    alert: moved.alert.clone(),
                    service: moved.labels.get("service").to_owned(),
                    start: moved.at,
                    end: None,
                    severity: moved.severity().to_owned(),
                    worst: moved.severity().to_owned(),
                    paged_at: None,
                    is_watched: self.watched.contains(&moved.alert),
                    reason: moved.reason.clone(),
                });
            }
            (Some(i), true) => {
                let episode = &mut self.episodes[i];
                if rank(moved.severity()) > rank(&episode.worst) {
                    episode.paged_at = (moved.severity() == "page").then_some(moved.at);
                    moved.severity().clone_into(&mut episode.worst);
                }
            }
            (Some(i), false) => {
                self.open.remove(&key);
                self.episodes[i].end = Some(moved.at);
            }
            (None, false) => {}
        }
    }
}

/// Severities in their order: page = critical > error > ticket = warning > info.
fn rank(severity: &str) -> u8 {
    match severity {
        "page" | "critical" => 3,
        "error" => 2,
        "ticket" | "warning" => 1,
        _ => 0,
    }
}
