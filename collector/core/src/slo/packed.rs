//! Counts in a bucket of a ring, in five eighths of their memory: an SLO over 30 days keeps nearly ten thousand of them.
//!
//! Owns the form: 40 bits a number, which is 3.6 billion observations in every second of a bucket of five minutes. What is
//! beyond is held at the greatest number; it can only come from an agent that makes its counts up.

use super::counts::Counts;
use crate::series::Part;

const MOST: u64 = (1 << 40) - 1;

/// [`Counts`] of 40 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    low: [u32; 4],
    high: [u8; 4],
}

impl Packed {
    /// The counts.
    pub(super) fn counts(self) -> Counts {
        let number = |at: usize| u64::from(self.low[at]) | u64::from(self.high[at]) << 32;
        Counts { good: number(0), total: number(1), unjudged: number(2), estimated: number(3) }
    }
}

impl From<Counts> for Packed {
    fn from(counts: Counts) -> Self {
        let Counts { good, total, unjudged, estimated } = counts;
        let numbers = [good, total, unjudged, estimated].map(|n| n.min(MOST).to_le_bytes());
        Self {
            low: numbers.map(|[a, b, c, d, ..]| u32::from_le_bytes([a, b, c, d])),
            high: numbers.map(|bytes| bytes[4]),
        }
    }
}

impl Part for Packed {
    fn add(&mut self, other: &Self) {
        let mut sum = self.counts();
        sum.add(&other.counts());
        *self = sum.into();
    }

    fn is_empty(&self) -> bool {
        self.counts().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again_up_to_forty_bits() {
        let counts = |good, total, unjudged, estimated| Counts { good, total, unjudged, estimated };
        for (given, kept) in [
            (counts(0, 0, 0, 0), counts(0, 0, 0, 0)),
            (counts(1, 2, 3, 4), counts(1, 2, 3, 4)),
            (
                counts(1 << 32, (1 << 33) + 5, 7, 1 << 39),
                counts(1 << 32, (1 << 33) + 5, 7, 1 << 39),
            ),
            (counts(MOST, MOST + 1, u64::MAX, 0), counts(MOST, MOST, MOST, 0)),
        ] {
            assert_eq!(Packed::from(given).counts(), kept);
        }
        assert_eq!(size_of::<Packed>(), 20);
    }

    #[test]
    fn adding_packed_is_adding() {
        let one = Counts { good: 3_000_000_000, total: 4_000_000_000, unjudged: 1, estimated: 2 };
        let (mut packed, mut plain) = (Packed::default(), Counts::default());
        assert!(packed.is_empty());
        for _ in 0..10 {
            packed.add(&one.into());
            plain.add(&one);
        }
        assert_eq!(packed.counts(), plain);
        assert!(!packed.is_empty());
    }
}
