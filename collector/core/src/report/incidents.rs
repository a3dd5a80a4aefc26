//! What people were told of an SLO, out of the ledger's rows.
//!
//! Owns which incidents belong together: each receiver has its own, and those of one SLO that overlap are one problem. An
//! SLO has one alert, so no two of its problems are on at a time. Never tells anybody.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::period::Period;
use crate::alert::{AlertKey, Fingerprint, Severity};
use crate::notify::{Acknowledgement, IncidentRow, IncidentState};

/// An incident with all that was sent about it.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentFacts {
    /// As the ledger has it.
    pub row: IncidentRow,
    /// What was sent, the oldest first.
    pub words: Vec<Word>,
}

/// Something that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// When it was decided.
    pub at: Timestamp,
    /// How it stands: `ok`, `failed`, …
    pub outcome: String,
    /// What went wrong.
    pub error: Option<String>,
    /// Names of the alerts in it.
    pub alerts: Vec<String>,
    /// Their fingerprints; none for rows of old.
    pub fingerprints: Vec<String>,
}

/// One problem, from the first word about it to the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// When the first word about it was decided.
    pub opened: Timestamp,
    /// When it was over; `None` if it goes on.
    pub closed: Option<Timestamp>,
    /// How bad it was at worst, as far as somebody was told.
    pub severity: Severity,
    /// Who was told.
    pub tellings: Vec<Telling>,
    /// Who took it on first.
    pub acknowledged: Option<Acknowledgement>,
}

/// What one integration of a receiver was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The incident's number in the ledger.
    pub incident: u64,
    /// The receiver's name.
    pub receiver: String,
    /// Which integration of it.
    pub integration: String,
    /// How the incident stands there.
    pub state: IncidentState,
    /// What it was told.
    pub n_told: u64,
    /// What it could not be told.
    pub n_failed: u64,
    /// What went wrong last, if anything did.
    pub error: Option<String>,
}

impl Episode {
    /// How long it was on, up to `now` if it is.
    pub fn lasted(&self, now: Timestamp) -> Duration {
        self.closed.unwrap_or(now).since(self.opened)
    }

    /// How long it took until somebody took it on.
    pub fn acknowledged_after(&self) -> Option<Duration> {
        self.acknowledged.as_ref().map(|ack| ack.at.since(self.opened))
    }

    fn touches(&self, period: &Period) -> bool {
        self.opened < period.to && self.closed.is_none_or(|closed| closed > period.from)
    }

    fn absorb(&mut self, other: Self) {
        self.closed = self.closed.zip(other.closed).map(|(one, two)| one.max(two));
        self.severity = self.severity.max(other.severity);
        self.tellings.extend(other.tellings);
        let both = self.acknowledged.take().into_iter().chain(other.acknowledged);
        self.acknowledged = both.min_by_key(|ack| ack.at);
    }
}

/// The problems of an SLO that were on in a period, the oldest first.
pub fn episodes_of(slo: &str, incidents: &[IncidentFacts], period: &Period) -> Vec<Episode> {
    let print = AlertKey::slo(slo).fingerprint();
    let mut all: Vec<Episode> =
        incidents.iter().filter_map(|facts| episode(slo, print, facts)).collect();
    all.sort_by_key(|episode| (episode.opened, episode.tellings[0].incident));
    let mut merged: Vec<Episode> = Vec::new();
    for episode in all {
        let goes_on = |last: &&mut Episode| last.closed.is_none_or(|end| end >= episode.opened);
        match merged.last_mut().filter(goes_on) {
            Some(last) => last.absorb(episode),
            None => merged.push(episode),
        }
    }
    merged.retain(|episode| episode.touches(period));
    merged
}

/// How much of a period these take up, as far as it has come.
pub(super) fn firing(episodes: &[Episode], period: &Period, now: Timestamp) -> Duration {
    let end = period.end_by(now);
    let within = |episode: &Episode| {
        episode.closed.unwrap_or(now).min(end).since(episode.opened.max(period.from))
    };
    episodes.iter().map(within).sum()
}

fn episode(slo: &str, print: Fingerprint, facts: &IncidentFacts) -> Option<Episode> {
    let IncidentFacts { row, words } = facts;
    let hex = print.to_string();
    let is_about = |word: &&Word| match word.fingerprints.as_slice() {
        [] => word.alerts.iter().any(|name| name == slo),
        prints => prints.contains(&hex),
    };
    let told: Vec<&Word> = words.iter().filter(is_about).collect();
    let opened = told.first()?.at;
    let is_over = !matches!(row.state, IncidentState::Opening | IncidentState::Open);
    // From the first attempt to close it on it is over for us, however long its receiver takes.
    let closed = row.closing_since.or(row.closed_at).filter(|_| is_over);
    let has = |outcome: &str| told.iter().filter(|word| word.outcome == outcome).count() as u64;
    let error = told.iter().rev().find(|word| word.outcome == "failed");
    let telling = Telling {
        incident: row.number,
        receiver: row.receiver.clone(),
        integration: row.integration.clone(),
        state: row.state,
        n_told: has("ok") + has("unrecorded"),
        n_failed: has("failed"),
        error: error.and_then(|word| word.error.clone()),
    };
    Some(Episode {
        opened,
        closed,
        severity: row.told.get(&print).copied().unwrap_or(Severity::None),
        tellings: vec![telling],
        acknowledged: row.acknowledged.get(&print).cloned(),
    })
}
