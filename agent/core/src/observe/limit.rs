//! How many event bodies of one definition are kept in a stretch of time.
//!
//! Owns the token bucket: full at first, refilled evenly. It goes by the time a line was read. Held in memory only: a
//! restart fills it. Never limits counts.

use std::time::Duration;

use watchkeeper_model::Timestamp;

/// So many events per so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLimit {
    /// How many may come at once, and in each stretch of `per`; at least 1.
    pub events: u32,
    /// The time in which that many are refilled.
    pub per: Duration,
}

/// What may still come of one definition.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    limit: EventLimit,
    /// Room in it, in nanoseconds times events, so that nothing is ever rounded: an event takes `per`, and in each
    /// nanosecond `events` are refilled.
    level: u128,
    at: Option<Timestamp>,
}

impl Bucket {
    pub(crate) fn full(limit: EventLimit) -> Self {
        Self { limit, level: capacity(limit), at: None }
    }

    /// Whether one more may come.
    pub(crate) fn take(&mut self, now: Timestamp) -> bool {
        // A clock that jumped back refills nothing, and goes on from where it is.
        let passed = self.at.map_or(Duration::ZERO, |at| now.since(at));
        self.at = Some(now);
        let refilled = passed.as_nanos().saturating_mul(u128::from(self.limit.events));
        self.level = self.level.saturating_add(refilled).min(capacity(self.limit));
        match self.level.checked_sub(self.limit.per.as_nanos()) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

fn capacity(limit: EventLimit) -> u128 {
    limit.per.as_nanos().saturating_mul(u128::from(limit.events))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In milliseconds, and whether it may come.
    fn check(sentence: &str, events: u32, per_ms: u64, steps: &[(i64, bool)]) {
        let mut bucket = Bucket::full(EventLimit { events, per: Duration::from_millis(per_ms) });
        for (n, &(ms, expected)) in steps.iter().enumerate() {
            let now = Timestamp(ms * 1_000_000);
            assert_eq!(bucket.take(now), expected, "{sentence}: step {n} at {ms} ms");
        }
    }

    #[test]
    fn the_bucket_empties_at_once_and_fills_evenly() {
        check("full at first", 3, 3_000, &[(0, true), (0, true), (0, true), (0, false)]);
        check(
            "one comes back after a third of the time",
            3,
            3_000,
            &[
                (0, true),
                (0, true),
                (0, true),
                (999, false),
                (1_000, true),
                (1_001, false),
                (2_000, true),
            ],
        );
        check(
            "a long pause fills it, and no more than that",
            2,
            1_000,
            &[(0, true), (0, true), (90_000, true), (90_000, true), (90_000, false)],
        );
        check(
            "what is refused costs nothing",
            1,
            1_000,
            &[(0, true), (300, false), (600, false), (999, false), (1_000, true)],
        );
        check(
            "a third of a second is not rounded",
            3,
            1_000,
            &[
                (0, true),
                (0, true),
                (0, true),
                (333, false),
                (334, true),
                (667, true),
                (1_000, true),
                (1_333, false),
            ],
        );
    }

    #[test]
    fn a_clock_that_jumps_does_no_harm() {
        check(
            "back: nothing is refilled, and it goes on at its pace",
            1,
            1_000,
            &[(10_000, true), (5_000, false), (5_999, false), (6_000, true), (6_001, false)],
        );
        check(
            "far back and forth",
            1,
            1_000,
            &[(i64::MAX / 1_000_000, true), (-1, false), (0, false)],
        );
        let mut bucket = Bucket::full(EventLimit { events: u32::MAX, per: Duration::MAX });
        assert!(bucket.take(Timestamp(i64::MIN)) && bucket.take(Timestamp(i64::MAX)));
    }

    #[test]
    fn over_a_long_time_exactly_as_many_come_as_are_allowed() {
        let mut bucket = Bucket::full(EventLimit { events: 7, per: Duration::from_secs(1) });
        let taken = (0..100_000).filter(|ms| bucket.take(Timestamp(ms * 1_000_000))).count();
        assert_eq!(taken, 7 + 7 * 99_999 / 1_000);
    }
}
