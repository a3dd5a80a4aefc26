//! The counts of one SLO over a period, and those of each part of a composite.
//!
//! Owns which bucket counts in which row, and what a correction leaves out of it. Counts come bucket by bucket as they are
//! stored; what a bucket is worth is worked out as a budget does it, so that both say the same.

use watchkeeper_model::Timestamp;

use super::division::Division;
use crate::series::Part as _;
use crate::slo::{Counts, Excluded, Method, SloSettings, Sum};

/// What the counts of one SLO are worth in a report: its own, or that of a composite which it is a part of.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeShare {
    /// Whose counts.
    pub slo: String,
    /// What it counts, see [`SloSettings::definition`].
    pub definition: u64,
    /// How much it weighs among the others.
    pub weight: f64,
    /// Since when there are counts at all, within the period or before it.
    pub kept_from: Option<Timestamp>,
    /// In the period it was also counted by another definition, which is not reported on.
    pub counted_otherwise: bool,
    method: Method,
    excluded: Excluded,
    rows: Vec<Counts>,
    /// Without any correction.
    observed: Counts,
}

/// Sums over the whole period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Counts of all shares.
    pub counts: Counts,
    /// Good ÷ total; of a composite the mean of its parts by weight.
    pub sli: Option<f64>,
    /// The share of the budget that is left; below 0 if overspent. `None` without data.
    pub left: Option<f64>,
    /// Whether no more is bad than the objective allows.
    pub is_met: bool,
}

impl TimeShare {
    pub(super) fn new(slo: &SloSettings, weight: f64, excluded: Excluded, n_rows: usize) -> Self {
        Self {
            slo: slo.name.clone(),
            definition: slo.definition(),
            weight,
            kept_from: None,
            counted_otherwise: false,
            method: slo.method,
            excluded,
            rows: vec![Counts::default(); n_rows],
            observed: Counts::default(),
        }
    }

    /// Adds a stored bucket of the period.
    pub fn add(&mut self, bucket: Timestamp, counts: &Counts, division: &Division) {
        let Some(row) = division.row_of(bucket) else { return };
        let worth = self.method.worth(counts);
        self.observed.add(&worth);
        if !self.excluded.covers(bucket) {
            self.rows[row].add(&worth);
        }
    }

    pub(super) const fn excluded(&self) -> &Excluded {
        &self.excluded
    }

    /// All that counts.
    pub(super) fn counted(&self) -> Counts {
        let mut sum = Counts::default();
        self.rows.iter().for_each(|row| sum.add(row));
        sum
    }

    pub(super) fn row(&self, at: usize) -> &Counts {
        &self.rows[at]
    }
}

impl Sums {
    /// What counts.
    pub(super) fn counted(slo: &SloSettings, shares: &[TimeShare]) -> Self {
        Self::of(slo, shares, TimeShare::counted)
    }

    /// What would count without corrections.
    pub(super) fn observed(slo: &SloSettings, shares: &[TimeShare]) -> Self {
        Self::of(slo, shares, |share| share.observed)
    }

    fn of(slo: &SloSettings, shares: &[TimeShare], of: impl Fn(&TimeShare) -> Counts) -> Self {
        let sum = Sum::of(shares.iter().map(|share| (share.weight, of(share))));
        Self {
            counts: *sum.counts(),
            sli: sum.good_ratio(),
            left: sum.bad_ratio().map(|bad| 1.0 - bad / slo.objective.allowed()),
            is_met: sum.meets(slo.objective),
        }
    }
}

/// What each row took of the budget of the whole period: the rows of all shares add up to what was spent.
pub(super) fn spent_by_row(slo: &SloSettings, shares: &[TimeShare], n_rows: usize) -> Vec<f64> {
    let totals: Vec<Counts> = shares.iter().map(TimeShare::counted).collect();
    let with_data = || shares.iter().zip(&totals).filter(|(_, total)| total.total > 0);
    let weights: f64 = with_data().map(|(share, _)| share.weight).sum();
    let spent = |row: usize| -> f64 {
        let bad = |(share, total): (&TimeShare, &Counts)| {
            share.weight * share.row(row).bad() as f64 / total.total as f64
        };
        with_data().map(bad).sum()
    };
    let whole = weights * slo.objective.allowed();
    (0..n_rows).map(|row| if whole > 0.0 { spent(row) / whole } else { 0.0 }).collect()
}

/// The SLI of one row.
pub(super) fn sli_of_row(shares: &[TimeShare], row: usize) -> (Counts, Option<f64>) {
    let sum = Sum::of(shares.iter().map(|share| (share.weight, *share.row(row))));
    (*sum.counts(), sum.good_ratio())
}
