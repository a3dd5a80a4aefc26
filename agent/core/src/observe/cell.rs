//! What the observations of one series in one window add up to while they come in.
//!
//! Owns the cheap form of a distribution. Never knows its series; turns into a [`Distribution`] when it is sealed.

use watchkeeper_model::histogram::index_of;
use watchkeeper_model::{AgentId, Bound, Distribution, Histogram, Last, Timestamp, Values, Window};

/// One part of a window in the making.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) window: Window,
    count: u64,
    n_values: u64,
    sum: i128,
    min: i64,
    max: i64,
    last: (Timestamp, u64, i64),
    /// Values at or below each bound of the signal, in the bounds' order.
    within: Vec<u64>,
    /// By bucket index, sorted.
    buckets: Vec<(i16, u64)>,
}

impl Cell {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            count: 0,
            n_values: 0,
            sum: 0,
            min: i64::MAX,
            max: i64::MIN,
            last: (Timestamp(i64::MIN), 0, 0),
            within: Vec::new(),
            buckets: Vec::new(),
        }
    }

    /// An observation without a value.
    pub(super) fn count(&mut self) {
        self.count += 1;
    }

    /// An observation with a value, the `index`th of its seal.
    pub(super) fn record(&mut self, value: i64, at: Timestamp, index: u64, bounds: &[i64]) {
        self.count += 1;
        self.n_values += 1;
        self.sum += i128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if at >= self.last.0 {
            self.last = (at, index, value);
        }
        if self.within.len() < bounds.len() {
            self.within.resize(bounds.len(), 0);
        }
        for (within, bound) in self.within.iter_mut().zip(bounds) {
            *within += u64::from(value <= *bound);
        }
        let bucket = index_of(value);
        match self.buckets.binary_search_by_key(&bucket, |b| b.0) {
            Ok(at) => self.buckets[at].1 += 1,
            Err(at) => self.buckets.insert(at, (bucket, 1)),
        }
    }

    /// About how much memory it takes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.within.len() * 8 + self.buckets.len() * 16
    }

    /// The finished part; `bounds` are those it was recorded with.
    pub(super) fn into_distribution(self, bounds: &[i64], agent: &AgentId) -> Distribution {
        if self.n_values == 0 {
            return Distribution::counted(self.count);
        }
        let (at, index, value) = self.last;
        let bounds = bounds.iter().zip(&self.within);
        let values = Values {
            count: self.n_values,
            sum: self.sum,
            min: self.min,
            max: self.max,
            // The number of the batch is known only to the spool; the collector fills it in.
            last: Last { at, agent: agent.clone(), seq: 0, index, value },
            bounds: bounds
                .map(|(&at, &within)| Bound { at, within, covered: self.n_values })
                .collect(),
            histogram: Histogram::from_buckets(self.buckets),
        };
        Distribution { count: self.count, values: Some(Box::new(values)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn adds_up_to_what_merging_single_values_gives(
            values in proptest::collection::vec((-1_000_i64..1_000_000, 0..4_i64), 1..40),
        ) {
            let bounds = [0, 500, 70_000];
            let agent = AgentId::new("a");
            let window = Window::holding(Timestamp(0), 1);
            let mut cell = Cell::new(window);
            let mut wanted = Distribution::default();
            for (index, &(value, at)) in (0..).zip(&values) {
                cell.record(value, Timestamp(at), index, &bounds);
                let last = Last { at: Timestamp(at), agent: agent.clone(), seq: 0, index, value };
                let mut one = Values::of(last);
                one.bounds = bounds
                    .map(|at| Bound { at, within: u64::from(value <= at), covered: 1 })
                    .to_vec();
                wanted.merge(&Distribution { count: 1, values: Some(Box::new(one)) });
            }
            prop_assert_eq!(cell.into_distribution(&bounds, &agent), wanted);
        }
    }
}
