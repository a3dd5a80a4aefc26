//! What the observations of one series in one window add up to.
//!
//! Owns merging: associative and commutative, so the order in which parts of a window arrive never matters. Never
//! knows which series or window it belongs to.

use crate::batch::AgentId;
use crate::histogram::Histogram;
use crate::time::Timestamp;

/// An exact count and, where the signal declares a value, exact sums, bounds and a histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// How many observations, with or without a value.
    pub count: u64,
    /// What their values add up to; absent if the signal has none.
    pub values: Option<Box<Values>>,
}

/// The values of observations, in base units of the signal's dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// How many observations had a value.
    pub count: u64,
    /// Exact sum.
    pub sum: i128,
    /// Least.
    pub min: i64,
    /// Greatest.
    pub max: i64,
    /// The last one by time, then agent, sequence number and position in the batch.
    pub last: Last,
    /// Exact counts at declared bounds, sorted by bound, each bound once.
    pub bounds: Vec<Bound>,
    /// The rest, to 1 %.
    pub histogram: Histogram,
}

/// An observation's value with its place in the order of all observations.
///
/// The derived order is the order of time; the value breaks a tie between parts of one series merged twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Last {
    /// When it was observed.
    pub at: Timestamp,
    /// By whom.
    pub agent: AgentId,
    /// In which batch.
    pub seq: u64,
    /// The how manieth observation of its seal.
    pub index: u64,
    /// Its value in base units.
    pub value: i64,
}

/// The exact count of values at or below a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bound {
    /// The bound, in base units.
    pub at: i64,
    /// Values ≤ the bound, among the covered ones.
    pub within: u64,
    /// Values that were compared with this bound; fewer than `count` if it was declared later.
    pub covered: u64,
}

impl Distribution {
    /// `count` observations without a value.
    pub fn counted(count: u64) -> Self {
        Self { count, values: None }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        match (&mut self.values, &other.values) {
            (_, None) => {}
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (Some(mine), Some(theirs)) => mine.merge(theirs),
        }
    }

    /// How many values are at or below `limit`, and how many of those counts are estimated from the histogram
    /// because no bound at `limit` covered them. Observations without a value are in neither.
    pub fn within(&self, limit: i64) -> Within {
        let Some(values) = &self.values else {
            return Within::default();
        };
        let bound =
            values.bounds.binary_search_by_key(&limit, |b| b.at).ok().map(|i| values.bounds[i]);
        let (exact, covered) = bound.map_or((0, 0), |b| (b.within, b.covered));
        let uncovered = values.count.saturating_sub(covered);
        if uncovered == 0 {
            return Within { within: exact, total: values.count, estimated: 0 };
        }
        let estimate = if values.max <= limit {
            values.count
        } else if values.min > limit {
            0
        } else {
            values.histogram.count_at_or_below(limit)
        };
        // The covered part is known exactly; the estimate speaks only for the rest.
        let rest = estimate.saturating_sub(exact).min(uncovered);
        let certain = values.max <= limit || values.min > limit;
        Within {
            within: exact + rest,
            total: values.count,
            estimated: if certain { 0 } else { uncovered },
        }
    }
}

/// The answer to "how many are at or below this?".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// At or below.
    pub within: u64,
    /// All observations with a value.
    pub total: u64,
    /// How many of them were judged by the histogram and not by an exact bound.
    pub estimated: u64,
}

impl Values {
    /// One observation.
    pub fn of(last: Last) -> Self {
        let mut histogram = Histogram::default();
        histogram.record(last.value, 1);
        let value = last.value;
        Self {
            count: 1,
            sum: i128::from(value),
            min: value,
            max: value,
            last,
            bounds: Vec::new(),
            histogram,
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.last > self.last {
            self.last = other.last.clone();
        }
        merge_bounds(&mut self.bounds, &other.bounds);
        self.histogram.merge(&other.histogram);
    }
}

fn merge_bounds(mine: &mut Vec<Bound>, theirs: &[Bound]) {
    for bound in theirs {
        match mine.binary_search_by_key(&bound.at, |b| b.at) {
            Ok(i) => {
                mine[i].within = mine[i].within.saturating_add(bound.within);
                mine[i].covered = mine[i].covered.saturating_add(bound.covered);
            }
            Err(i) => mine.insert(i, *bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(value: i64, at: i64, bounds: &[i64]) -> Distribution {
        let last =
            Last { at: Timestamp(at), agent: AgentId::new("web-1"), seq: 1, index: 0, value };
        let mut values = Values::of(last);
        values.bounds = bounds
            .iter()
            .map(|&b| Bound { at: b, within: u64::from(value <= b), covered: 1 })
            .collect();
        Distribution { count: 1, values: Some(Box::new(values)) }
    }

    fn all(parts: &[Distribution]) -> Distribution {
        parts.iter().fold(Distribution::default(), |mut sum, part| {
            sum.merge(part);
            sum
        })
    }

    #[test]
    fn a_covered_bound_is_exact() {
        let d = all(&[one(199_999_999, 1, &[200_000_000]), one(200_000_001, 2, &[200_000_000])]);
        assert_eq!(d.within(200_000_000), Within { within: 1, total: 2, estimated: 0 });
    }

    #[test]
    fn values_before_the_bound_was_declared_are_estimated() {
        let d = all(&[one(100, 1, &[]), one(1_000, 2, &[]), one(100, 3, &[500])]);
        assert_eq!(d.within(500), Within { within: 2, total: 3, estimated: 2 });
    }

    #[test]
    fn nothing_is_estimated_where_all_lie_on_one_side() {
        let d = all(&[one(100, 1, &[]), one(300, 2, &[])]);
        assert_eq!(d.within(300), Within { within: 2, total: 2, estimated: 0 });
        assert_eq!(d.within(99), Within { within: 0, total: 2, estimated: 0 });
    }

    #[test]
    fn last_is_the_latest_by_time_whatever_the_order() {
        let (a, b) = (one(1, 5, &[]), one(2, 4, &[]));
        for parts in [[a.clone(), b.clone()], [b, a]] {
            assert_eq!(all(&parts).values.unwrap().last.value, 1);
        }
    }

    proptest! {
        #[test]
        fn merging_is_commutative_and_associative(parts in proptest::collection::vec(sample(), 1..6)) {
            let forward = all(&parts);
            let mut reversed = parts.clone();
            reversed.reverse();
            prop_assert_eq!(&forward, &all(&reversed));
            let (left, right) = parts.split_at(parts.len() / 2);
            prop_assert_eq!(&forward, &all(&[all(left), all(right)]));
        }
    }

    fn sample() -> impl Strategy<Value = Distribution> {
        (any::<i64>(), 0..5_i64, proptest::collection::vec(any::<i64>(), 0..3)).prop_map(
            |(value, at, mut bounds)| {
                bounds.sort_unstable();
                bounds.dedup();
                one(value, at, &bounds)
            },
        )
    }
}
