//! A set of sequence numbers, kept as a low water mark plus ranges.
//!
//! Owns the arithmetic of "which batches have we seen?". Its size grows with the gaps, not with the numbers.

/// Which numbers from 1 up are in: all up to `low_water`, and the ranges above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeqSet {
    low_water: u64,
    /// Inclusive, sorted, neither touching each other nor the low water mark.
    ranges: Vec<(u64, u64)>,
}

impl SeqSet {
    /// The set of 1 to `low_water` and these inclusive ranges, in any order. Number 0 and inverted ranges are ignored.
    pub fn from_parts(low_water: u64, ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut set = Self { low_water, ranges: Vec::new() };
        for (first, last) in ranges {
            set.insert_range(first, last);
        }
        set
    }

    /// All numbers up to this one are in.
    pub fn low_water(&self) -> u64 {
        self.low_water
    }

    /// The inclusive ranges above the low water mark.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// Whether `seq` is in.
    pub fn contains(&self, seq: u64) -> bool {
        seq <= self.low_water || self.position(seq).is_ok()
    }

    /// The greatest number in; 0 if there is none.
    pub fn max(&self) -> u64 {
        self.ranges.last().map_or(self.low_water, |r| r.1)
    }

    /// How many numbers are in, of those below `end`.
    pub fn count_below(&self, end: u64) -> u64 {
        let last = end.saturating_sub(1);
        let above: u64 =
            self.ranges.iter().take_while(|r| r.0 <= last).map(|r| r.1.min(last) - r.0 + 1).sum();
        self.low_water.min(last) + above
    }

    /// Puts one number in; whether it is new.
    pub fn insert(&mut self, seq: u64) -> bool {
        let new = seq > 0 && !self.contains(seq);
        if new {
            self.insert_range(seq, seq);
        }
        new
    }

    /// Puts all numbers from `first` to `last` in.
    pub fn insert_range(&mut self, first: u64, last: u64) {
        if first == 0 || first > last {
            return;
        }
        let (mut first, mut last) = (first, last);
        let from = self.ranges.partition_point(|r| r.1.saturating_add(1) < first);
        let mut to = from;
        while let Some(range) = self.ranges.get(to).filter(|r| r.0 <= last.saturating_add(1)) {
            first = first.min(range.0);
            last = last.max(range.1);
            to += 1;
        }
        self.ranges.splice(from..to, [(first, last)]);
        while let Some(range) =
            self.ranges.first().filter(|r| r.0 <= self.low_water.saturating_add(1))
        {
            self.low_water = self.low_water.max(range.1);
            self.ranges.remove(0);
        }
    }

    fn position(&self, seq: u64) -> Result<usize, usize> {
        let i = self.ranges.partition_point(|r| r.1 < seq);
        if self.ranges.get(i).is_some_and(|r| r.0 <= seq) { Ok(i) } else { Err(i) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_filled_gap_raises_the_low_water_mark() {
        let mut set = SeqSet::default();
        for seq in [1, 2, 5, 4, 7] {
            assert!(set.insert(seq));
        }
        assert_eq!((set.low_water(), set.ranges()), (2, &[(4, 5), (7, 7)][..]));
        assert!(set.insert(3));
        assert_eq!((set.low_water(), set.ranges()), (5, &[(7, 7)][..]));
        assert!(!set.insert(4));
    }

    proptest! {
        #[test]
        fn it_is_the_set_it_stands_for(inserts in proptest::collection::vec((1..60_u64, 0..6_u64), 0..40)) {
            let (mut set, mut model) = (SeqSet::default(), BTreeSet::new());
            for (first, n) in inserts {
                if n == 0 {
                    prop_assert_eq!(set.insert(first), model.insert(first));
                } else {
                    set.insert_range(first, first + n);
                    model.extend(first..=first + n);
                }
            }
            for seq in 1..80 {
                prop_assert_eq!(set.contains(seq), model.contains(&seq));
                prop_assert_eq!(set.count_below(seq), model.range(..seq).count() as u64);
            }
            prop_assert_eq!(set.max(), model.last().copied().unwrap_or(0));
            let again = SeqSet::from_parts(set.low_water(), set.ranges().iter().copied());
            prop_assert_eq!(&again, &set);
            prop_assert!(set.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0), "ranges touch");
        }
    }
}
