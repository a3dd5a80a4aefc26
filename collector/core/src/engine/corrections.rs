//! Corrections: what budgets leave out.
//!
//! Owns the rows that people added, and which stretches of time each SLO leaves out because of them and of the
//! configuration. Bounded by [`MOST_CORRECTIONS`]; what no window can reach any more is forgotten. Counts are never changed,
//! so adding and ending one in any order gives the sums as if it had always, or never, been there.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::Engine;
use super::effect::{Effect, Fact};
use super::slos::SloWatch;
use super::view::CorrectionView;
use crate::slo::{Concerned, Correction, CorrectionRow, Ended, Excluded, Share, SloSettings, When};

/// Corrections that may be added and not ended at a time.
pub const MOST_CORRECTIONS: usize = 1_000;

/// No window reaches further back; records are kept as long.
const REMEMBERED: Duration = Duration::from_secs(400 * 86_400);

/// Weekly hours are worked out so far ahead, and again every so often.
const AHEAD: Duration = Duration::from_secs(14 * 86_400);
const AGAIN: Duration = Duration::from_secs(7 * 86_400);

/// What people added.
#[derive(Clone, Debug, Default)]
pub(super) struct Corrections {
    pub(super) rows: Vec<CorrectionRow>,
    pub(super) last_id: u64,
    /// When weekly hours have to be worked out further.
    pub(super) again_at: Option<Timestamp>,
}

impl Corrections {
    pub(super) fn restored(mut rows: Vec<CorrectionRow>) -> Self {
        rows.sort_by_key(|row| row.id);
        let last_id = rows.iter().map(|row| row.id).max().unwrap_or(0);
        Self { rows, last_id, again_at: None }
    }
}

impl Engine {
    /// Somebody adds a correction; it gets the next number.
    pub(super) fn add_correction(&mut self, mut row: CorrectionRow, now: Timestamp) {
        let n_live = self.corrections.rows.iter().filter(|row| row.ended.is_none()).count();
        if n_live >= MOST_CORRECTIONS || row.from >= row.to {
            return;
        }
        self.corrections.last_id += 1;
        (row.id, row.created_at, row.ended) = (self.corrections.last_id, now, None);
        self.effects.push(Effect::SaveCorrection(Box::new(row.clone())));
        self.fact(Fact::CorrectionAdded { at: now, id: row.id, by: row.by.clone() });
        self.corrections.rows.push(row);
        self.forget_corrections(now);
        self.apply_corrections(now);
    }

    /// Somebody takes one back: from now on it has never been there, and the record says who and when.
    pub(super) fn end_correction(&mut self, id: u64, by: String, now: Timestamp) {
        let live = |row: &&mut CorrectionRow| row.id == id && row.ended.is_none();
        let Some(row) = self.corrections.rows.iter_mut().find(live) else {
            return;
        };
        row.ended = Some(Ended { by: by.clone(), at: now });
        let saved = Effect::SaveCorrection(Box::new(row.clone()));
        self.effects.push(saved);
        self.fact(Fact::CorrectionEnded { at: now, id, by });
        self.apply_corrections(now);
    }

    fn forget_corrections(&mut self, now: Timestamp) {
        let before = now - REMEMBERED;
        let is_over = |row: &CorrectionRow| {
            row.to.max(row.ended.as_ref().map_or(row.to, |ended| ended.at)) < before
        };
        for row in self.corrections.rows.iter().filter(|row| is_over(row)) {
            self.effects.push(Effect::ForgetCorrection(row.id));
        }
        self.corrections.rows.retain(|row| !is_over(row));
    }

    /// Every SLO leaves out what it has to, and is looked at again where that changed something.
    pub(super) fn apply_corrections(&mut self, now: Timestamp) {
        let has_weekly =
            self.settings.corrections.iter().any(|c| matches!(c.when, When::Weekly(_)));
        self.corrections.again_at = has_weekly.then(|| now + AGAIN);
        let mut all: Vec<(String, String, Excluded)> = Vec::new();
        for slo in self.slos.values() {
            for of in slo.seen_by() {
                let excluded = self.excluded_from(&slo.settings, of, now);
                all.push((slo.settings.name.clone(), of.to_owned(), excluded));
            }
        }
        for (name, of, excluded) in all {
            let counted = self.slos.get_mut(&name);
            if counted.is_some_and(|slo| slo.exclude(&of, &excluded, now))
                && let Some(seen_by) = self.slos.get_mut(&of)
            {
                seen_by.again(now);
                self.put_on_agenda(&of);
                self.clock.wake_at(now);
            }
        }
    }

    /// Works weekly hours out further when it is time.
    pub(super) fn check_corrections(&mut self, now: Timestamp) {
        if self.corrections.again_at.is_some_and(|at| at <= now) {
            self.apply_corrections(now);
        }
    }

    /// What somebody leaves out of an SLO's counts: what concerns either.
    fn excluded_from(&self, slo: &SloSettings, of: &str, now: Timestamp) -> Excluded {
        let from = now - self.settings.look_back_of(slo);
        let of = self.slos.get(of).filter(|of| of.settings.name != slo.name);
        let concerning = of.into_iter().flat_map(|of| self.concerning(&of.settings));
        let stretches = self
            .concerning(slo)
            .chain(concerning)
            .flat_map(|(when, _)| when.stretches(from, now + AHEAD));
        Excluded::of(stretches, slo.method.bucket())
    }

    /// When each correction of an SLO covers time, and why.
    fn concerning<'a>(&'a self, slo: &'a SloSettings) -> impl Iterator<Item = (When, &'a str)> {
        let of_file = self.settings.corrections.iter().filter(|c| c.concerned.includes(slo));
        let of_people = self.corrections.rows.iter().filter(|row| row.concerned.includes(slo));
        let of_file = of_file.map(|c| (c.when.clone(), c.reason.as_str()));
        of_file.chain(of_people.filter_map(|row| Some((row.when()?, row.reason.as_str()))))
    }

    /// Why an SLO, or a part of it, leaves out what happens now; `None` if it does not.
    pub(super) fn correction_of(&self, slo: &SloWatch, now: Timestamp) -> Option<String> {
        let is_now = |share: &Share<'_>| {
            share.tally.excluded(share.view).is_some_and(|excluded| excluded.covers(now))
        };
        if !self.shares(slo).iter().any(is_now) {
            return None;
        }
        let parts = slo.settings.composite.iter().filter_map(|part| self.slos.get(&part.slo));
        let all: Vec<&SloSettings> =
            std::iter::once(&slo.settings).chain(parts.map(|part| &part.settings)).collect();
        let covers = |when: &When| all.iter().any(|slo| covers_now(when, slo, now));
        let reason = all.iter().flat_map(|slo| self.concerning(slo)).find(|(when, _)| covers(when));
        Some(reason.map_or_else(String::new, |(_, reason)| reason.to_owned()))
    }

    /// All corrections, for answers: those of the file first, then those added, the oldest first.
    pub fn corrections(&self, now: Timestamp) -> Vec<CorrectionView> {
        let of_file = self.settings.corrections.iter().enumerate().map(|(at, correction)| {
            let Correction { name, concerned, when, reason } = correction.clone();
            CorrectionView {
                id: format!("file-{}", at + 1),
                name,
                covers: self.covers(&concerned, &when),
                in_force: self.in_force(&concerned, &when, now),
                concerned,
                when,
                reason,
                added: None,
            }
        });
        let added = self.corrections.rows.iter().map(|row| {
            let when = When::Once { from: row.from, to: row.to };
            CorrectionView {
                id: row.id.to_string(),
                name: row.name.clone(),
                covers: self.covers(&row.concerned, &when),
                in_force: row.ended.is_none() && self.in_force(&row.concerned, &when, now),
                concerned: row.concerned.clone(),
                when,
                reason: row.reason.clone(),
                added: Some(row.clone()),
            }
        });
        of_file.chain(added).collect()
    }

    /// What one leaves out of each SLO, its edges rounded outward to the buckets in which counts are stored.
    fn covers(&self, concerned: &Concerned, when: &When) -> Vec<(String, Timestamp, Timestamp)> {
        let When::Once { from, to } = when else {
            return Vec::new();
        };
        let slos = self.slos.values().filter(|slo| concerned.includes(&slo.settings));
        let rounded = slos.filter_map(|slo| {
            let excluded = Excluded::of([(*from, *to)], slo.settings.method.bucket());
            let (from, to) = excluded.bounds()?;
            Some((slo.settings.name.clone(), from, to))
        });
        rounded.collect()
    }

    fn in_force(&self, concerned: &Concerned, when: &When, now: Timestamp) -> bool {
        let mut slos = self.slos.values().filter(|slo| concerned.includes(&slo.settings));
        slos.any(|slo| covers_now(when, &slo.settings, now))
    }
}

/// Whether it covers the bucket of now.
fn covers_now(when: &When, slo: &SloSettings, now: Timestamp) -> bool {
    let bucket = slo.method.bucket();
    let start = now.floor(bucket);
    Excluded::of(when.stretches(start, start + bucket), bucket).covers(now)
}
