//! What happened in a scenario, to be asked.
//!
//! Owns how alerts stood at any time. All times are nanoseconds since the scenario's start.

use std::collections::BTreeMap;

use watchkeeper_collector::rehearsal::{Moved, SloView, Told};

use super::settings::{State, Which};

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// The end of the scenario.
    pub(super) end: i64,
    pub(super) moved: Vec<(i64, Moved)>,
    pub(super) told: Vec<(i64, Told)>,
    /// Looks at SLOs.
    pub(super) slos: BTreeMap<i64, Vec<SloView>>,
    /// By SLO and severity: since when a tier burns, or not.
    pub(super) burning: BTreeMap<(String, &'static str), Vec<(i64, bool)>>,
}

/// How one alert stood since some time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stood<'t> {
    pub(super) since: i64,
    pub(super) last: &'t Moved,
}

impl Timeline {
    /// How the alerts that are meant stood at a time, whatever their severity.
    pub(super) fn stood(&self, which: &Which, at: i64) -> Vec<Stood<'_>> {
        let mut all: BTreeMap<String, Stood<'_>> = BTreeMap::new();
        let until = self.moved.iter().take_while(|(moved_at, _)| *moved_at <= at);
        for (since, moved) in until.filter(|(_, moved)| which.is(moved)) {
            all.insert(identity(moved), Stood { since: *since, last: moved });
        }
        all.into_values().collect()
    }

    /// When any of the alerts that are meant began or stopped to fire at least so bad, with what moved it.
    pub(super) fn turns(&self, which: &Which) -> Vec<(i64, bool, &Moved)> {
        let mut firing: BTreeMap<String, bool> = BTreeMap::new();
        let mut turns: Vec<(i64, bool, &Moved)> = Vec::new();
        for (at, moved) in self.moved.iter().filter(|(_, moved)| which.is(moved)) {
            firing.insert(identity(moved), which.fires(moved));
            let is_any = firing.values().any(|is| *is);
            if is_any != turns.last().is_some_and(|(_, was, _)| *was) {
                turns.push((*at, is_any, moved));
            }
        }
        turns
    }

    /// When an alert that is meant changed, in a span.
    pub(super) fn changes(&self, which: &Which, from: i64, to: i64) -> Vec<i64> {
        let within = self.moved.iter().filter(|(at, _)| (from..=to).contains(at));
        within.filter(|(_, moved)| which.is(moved)).map(|(at, _)| *at).collect()
    }
}

impl Which {
    /// Whether it is an alert that is meant, however bad.
    pub(super) fn is(&self, moved: &Moved) -> bool {
        let is_named = match &self.alert {
            Some(name) => *name == moved.alert,
            None => !moved.is_watchdog(),
        };
        is_named && self.labels.iter().all(|(name, value)| moved.labels.get(name) == value)
    }

    /// Whether it fires, and at least as bad as is meant.
    fn fires(&self, moved: &Moved) -> bool {
        let wanted = self.severity.as_deref().map_or(0, rank);
        moved.is() == Some("firing") && rank(moved.severity()) >= wanted
    }

    /// As it is told: `alert "shop" as page`.
    pub(super) fn words(&self) -> String {
        let alert = self.alert.as_ref().map_or("any alert".to_owned(), |a| format!("alert {a:?}"));
        let labels = if self.labels.is_empty() { String::new() } else { self.labels.to_string() };
        let severity = self.severity.as_ref().map_or(String::new(), |s| format!(" as {s}"));
        format!("{alert}{labels}{severity}")
    }
}

impl State {
    /// Whether an alert stands so.
    pub(super) fn is(self, stood: &Stood<'_>) -> bool {
        match self {
            Self::Pending => stood.last.is() == Some("pending"),
            Self::Firing => stood.last.is() == Some("firing"),
            Self::Resolved => stood.last.is() == Some("resolved"),
            Self::Quiet => !matches!(stood.last.is(), Some("firing" | "pending")),
        }
    }

    /// As it is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Quiet => "quiet",
        }
    }
}

/// What tells an alert from others: everything but how bad it is.
fn identity(moved: &Moved) -> String {
    let labels = moved.labels.iter().filter(|(name, _)| *name != "severity");
    labels.map(|(name, value)| format!("{name}={value:?},")).collect()
}

/// page = critical > error > ticket = warning > info.
pub(super) fn rank(severity: &str) -> u8 {
    match severity {
        "page" | "critical" => 4,
        "error" => 3,
        "ticket" | "warning" => 2,
        "info" => 1,
        _ => 0,
    }
}
