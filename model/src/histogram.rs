//! A sparse histogram in HDR's bucket layout at two significant digits.
//!
//! Owns the mapping of values to bucket indices and the merging of counts. The layout is HdrHistogram's
//! (`hdrhistogram` with 2 significant digits and a lowest discernible value of 1): buckets below 256 hold one value
//! each, and above that every power of two is cut into 128 equal parts, so a bucket is at most 1/128 of its value wide.
//! Negative values sit in a mirrored half. Never rounds a count: merging is exact, associative and commutative.

use std::sync::LazyLock;

/// Buckets that one power of two is cut into.
const HALF: i64 = 128;

/// The reference layout, asked for the edges of buckets.
static LAYOUT: LazyLock<hdrhistogram::Histogram<u64>> = LazyLock::new(|| {
    hdrhistogram::Histogram::new_with_bounds(1, i64::MAX as u64, 2)
        .expect("2 digits and these bounds are valid")
});

/// Counts by bucket, only where there are any, sorted by index; indices of negative values are negative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<(i16, u64)>,
}

/// The index of the bucket that holds `value`.
pub const fn index_of(value: i64) -> i16 {
    let magnitude = value.unsigned_abs();
    let bucket = 56 - (magnitude | 0xff).leading_zeros() as i64;
    let index = (bucket * HALF) + (magnitude >> bucket) as i64;
    if value < 0 { -(index as i16) - 1 } else { index as i16 }
}

/// The value of the bucket that is furthest from zero: what HdrHistogram calls the highest equivalent value.
pub fn value_of(index: i16) -> i64 {
    let positive = i64::from(if index < 0 { -(index + 1) } else { index });
    let bucket = (positive / HALF - 1).max(0);
    let lowest = (positive - bucket * HALF) << bucket;
    let highest =
        i64::try_from(LAYOUT.highest_equivalent(lowest.unsigned_abs())).unwrap_or(i64::MAX);
    if index < 0 { -highest } else { highest }
}

impl Histogram {
    /// A histogram of these buckets in any order; counts of one index add up.
    pub fn from_buckets(mut buckets: Vec<(i16, u64)>) -> Self {
        buckets.sort_unstable_by_key(|b| b.0);
        buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        buckets.retain(|b| b.1 > 0);
        Self { buckets }
    }

    /// The buckets that hold anything: index and count, by index.
    pub fn buckets(&self) -> &[(i16, u64)] {
        &self.buckets
    }

    /// Adds `count` observations of `value`.
    pub fn record(&mut self, value: i64, count: u64) {
        let index = index_of(value);
        match self.buckets.binary_search_by_key(&index, |b| b.0) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (index, count)),
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.buckets.len() <= 4 {
            for &(index, count) in &other.buckets {
                match self.buckets.binary_search_by_key(&index, |b| b.0) {
                    Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
                    Err(at) => self.buckets.insert(at, (index, count)),
                }
            }
            return;
        }
        let mut merged = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        merged.extend_from_slice(&self.buckets);
        merged.extend_from_slice(&other.buckets);
        *self = Self::from_buckets(merged);
    }

    /// How many observations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, b| sum.saturating_add(b.1))
    }

    /// How many observations are at or below `value`, to the bucket's width.
    pub fn count_at_or_below(&self, value: i64) -> u64 {
        let index = index_of(value);
        self.buckets.iter().take_while(|b| b.0 <= index).fold(0, |sum, b| sum.saturating_add(b.1))
    }

    /// The value below or at which the share `q` (0 to 1) of the observations lies, at most 1/128 off; `None` if empty.
    pub fn quantile(&self, q: f64) -> Option<i64> {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0_u64;
        self.buckets.iter().find_map(|&(index, n)| {
            seen = seen.saturating_add(n);
            (seen >= rank).then(|| value_of(index))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_of_the_layout_hold_their_values() {
        for value in [
            0,
            1,
            127,
            128,
            255,
            256,
            257,
            511,
            512,
            1 << 40,
            i64::MAX,
            -1,
            -300,
            i64::MIN + 1,
            i64::MIN,
        ] {
            let edge = value_of(index_of(value));
            let off = (i128::from(edge) - i128::from(value)).unsigned_abs();
            assert!(off <= u128::from(value.unsigned_abs()) / 128 + 1, "{value} became {edge}");
            assert_eq!(edge.signum(), value.signum(), "{value} became {edge}");
        }
    }

    #[test]
    fn the_rank_of_a_quantile_is_exact() {
        let mut h = Histogram::default();
        for value in 1..=100 {
            h.record(value, 1);
        }
        for (q, value) in [(0.0, 1), (0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)] {
            assert_eq!(h.quantile(q), Some(value));
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn negatives_come_before_positives() {
        let mut h = Histogram::default();
        for value in [-3, -2, -1, 0, 1] {
            h.record(value, 1);
        }
        assert_eq!(
            (h.quantile(0.2), h.quantile(0.4), h.quantile(1.0)),
            (Some(-3), Some(-2), Some(1))
        );
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_the_hdrhistogram_crate(value in 0..i64::MAX) {
            let reference = hdrhistogram::Histogram::<u64>::new_with_bounds(1, i64::MAX as u64, 2).unwrap();
            let highest = reference.highest_equivalent(value as u64);
            prop_assert_eq!(value_of(index_of(value)) as u64, highest);
            let lowest = reference.lowest_equivalent(value as u64) as i64;
            prop_assert_eq!(index_of(lowest), index_of(value));
            prop_assert!(lowest == 0 || index_of(lowest - 1) != index_of(value));
        }

        #[test]
        fn merging_is_commutative_and_associative(a in sample(), b in sample(), c in sample()) {
            let merged = |x: &Histogram, y: &Histogram| { let mut x = x.clone(); x.merge(y); x };
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        }
    }

    fn sample() -> impl Strategy<Value = Histogram> {
        proptest::collection::vec((any::<i64>(), 1..1000_u64), 0..12).prop_map(|values| {
            let mut h = Histogram::default();
            for (value, count) in values {
                h.record(value, count);
            }
            h
        })
    }
}
