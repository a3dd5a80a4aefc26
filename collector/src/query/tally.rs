//! What one statistic needs of the rows of one bucket: no more is read or kept.
//!
//! Owns adding rows up and reading the statistic off. Never knows labels or time.

use std::time::Duration;

use watchkeeper_collector_core::series::Stat;
use watchkeeper_expr::Verdict;
use watchkeeper_model::{Dimension, Distribution};

use crate::store::{StoreError, StoredWindow};

/// A bucket under way.
#[derive(Clone, Debug)]
pub(super) enum Tally {
    /// For rate and count.
    Count(u64),
    /// For sum, avg, min and max.
    Totals(Totals),
    /// For `last` and quantiles.
    Whole(Box<Distribution>),
    /// For the share of bad ones.
    Judged { bad: u64, judged: u64 },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    count: u64,
    sum: i128,
    min: i64,
    max: i64,
}

impl Tally {
    pub(super) fn new(stat: Stat) -> Self {
        match stat {
            Stat::Rate | Stat::Count | Stat::Distinct | Stat::Absent => Self::Count(0),
            Stat::Sum | Stat::Avg | Stat::Min | Stat::Max => {
                Self::Totals(Totals { count: 0, sum: 0, min: i64::MAX, max: i64::MIN })
            }
            Stat::Last | Stat::Quantile(_) => Self::Whole(Box::default()),
            Stat::BadRatio => Self::Judged { bad: 0, judged: 0 },
        }
    }

    /// Adds a row of a series that was judged so.
    pub(super) fn add(
        &mut self,
        row: StoredWindow<'_>,
        verdict: Verdict,
    ) -> Result<(), StoreError> {
        match self {
            Self::Count(n) => *n = n.saturating_add(row.head()?.count),
            Self::Totals(totals) => {
                if let Some(values) = row.head()?.values {
                    totals.count = totals.count.saturating_add(values.count);
                    totals.sum = totals.sum.saturating_add(values.sum);
                    totals.min = totals.min.min(values.min);
                    totals.max = totals.max.max(values.max);
                }
            }
            Self::Whole(all) => all.merge(&row.distribution()?),
            Self::Judged { bad, judged } => {
                let count = row.head()?.count;
                match verdict {
                    Verdict::Match => *judged = judged.saturating_add(count),
                    Verdict::NoMatch => {
                        *judged = judged.saturating_add(count);
                        *bad = bad.saturating_add(count);
                    }
                    Verdict::Unjudged => {}
                }
            }
        }
        Ok(())
    }

    /// The statistic in outside units, over a bucket of which `asked` was asked for; `None` where it has no value.
    pub(super) fn value(&self, stat: Stat, dimension: Dimension, asked: Duration) -> Option<f64> {
        let outside = |base: f64| stat.dimension(dimension).to_outside(base);
        match self {
            Self::Count(n) if stat == Stat::Rate => Some(*n as f64 / asked.as_secs_f64()),
            Self::Count(n) => Some(*n as f64),
            Self::Totals(totals) => {
                let value = match stat {
                    Stat::Sum => totals.sum as f64,
                    _ if totals.count == 0 => return None,
                    Stat::Min => totals.min as f64,
                    Stat::Max => totals.max as f64,
                    _ => totals.sum as f64 / totals.count as f64,
                };
                Some(outside(value))
            }
            Self::Whole(all) => {
                stat.measure(all, asked).map(|m| m.outside(stat.dimension(dimension)))
            }
            Self::Judged { judged: 0, .. } => None,
            Self::Judged { bad, judged } => Some(*bad as f64 / *judged as f64),
        }
    }
}
