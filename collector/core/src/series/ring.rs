//! Buckets of event time over a rolling window.
//!
//! Owns which bucket a time falls into and when it leaves. Bounded: at most as many buckets as fit the window and
//! [`FUTURE`]. What is older is not taken in; what is further ahead lands in the newest bucket allowed, so that one
//! wrong clock costs neither memory nor counts.

use std::collections::VecDeque;
use std::time::Duration;

use watchkeeper_model::Timestamp;
use watchkeeper_model::time::nanos_of;

/// How far ahead of the collector's clock event time may be: a minute of allowed skew, and a minute more.
pub const FUTURE: Duration = Duration::from_secs(120);

/// Something that adds up.
pub trait Part: Default + Clone {
    /// Adds all of `other`.
    fn add(&mut self, other: &Self);
    /// Whether it is the same as nothing.
    fn is_empty(&self) -> bool;
}

/// The width of buckets for a window of length `over`: a three hundredth, at least a second.
pub fn granularity(over: Duration) -> Duration {
    Duration::from_secs((over.as_secs() / 300).max(1))
}

/// Buckets of one width, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring<T> {
    over: i64,
    width: i64,
    /// The number of the first bucket, counted from the Unix epoch.
    first: i64,
    buckets: VecDeque<T>,
}

impl<T: Part> Ring<T> {
    /// No buckets yet, for a window of length `over` in buckets of `width`.
    pub fn new(over: Duration, width: Duration) -> Self {
        let width = nanos_of(width).max(1);
        Self { over: nanos_of(over).max(width), width, first: 0, buckets: VecDeque::new() }
    }

    /// How wide a bucket is.
    pub fn width(&self) -> Duration {
        Duration::from_nanos(self.width.unsigned_abs())
    }

    /// The number of the bucket that holds `at`.
    pub fn index(&self, at: Timestamp) -> i64 {
        at.nanos().div_euclid(self.width)
    }

    /// The number of the first bucket that belongs to the last `over` as of `now`: the bucket of `now` is among them,
    /// so that they cover at most `over` and at least a bucket less.
    pub fn first_within(&self, over: Duration, now: Timestamp) -> i64 {
        let n_buckets = (nanos_of(over) / self.width).max(1);
        self.index(now).saturating_sub(n_buckets - 1)
    }

    /// The bucket that takes in what happened `at`; `None` if that has left the window.
    pub fn bucket(&mut self, at: Timestamp, now: Timestamp) -> Option<(i64, &mut T)> {
        let oldest = self.first_within(self.window(), now);
        let index = self.index(at).min(self.index(now + FUTURE));
        if index < oldest {
            return None;
        }
        if self.first > self.index(now + FUTURE) {
            // The clock was set back: what was counted under the wrong one says nothing of now.
            self.buckets.clear();
        }
        if self.buckets.is_empty() {
            self.first = index;
        }
        while index < self.first {
            self.buckets.push_front(T::default());
            self.first -= 1;
        }
        // A gap longer than the window is not walked through.
        if index - self.first > self.n_most() {
            self.expire(now);
            if self.buckets.is_empty() {
                self.first = index;
            }
        }
        if index - self.first >= self.len() {
            self.grow(index - self.first + 1);
        }
        let slot = usize::try_from(index - self.first).ok()?;
        self.buckets.get_mut(slot).map(|bucket| (index, bucket))
    }

    /// Numbers and contents of buckets `from..to`, as far as there are any.
    pub fn range(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &T)> {
        let slot = |index: i64| {
            usize::try_from(index.saturating_sub(self.first).clamp(0, self.len())).unwrap_or(0)
        };
        let (from, to) = (slot(from), slot(to));
        let first = self.first.saturating_add(i64::try_from(from).unwrap_or(i64::MAX));
        (first..).zip(self.buckets.range(from..to.max(from)))
    }

    /// Makes it so many buckets long. Memory doubles as in any vector, but never beyond what the window needs.
    fn grow(&mut self, n_buckets: i64) {
        let of = |n: i64| usize::try_from(n).unwrap_or(0);
        let (len, needed) = (self.buckets.len(), of(n_buckets));
        if needed > self.buckets.capacity() {
            let wanted = needed.max((2 * len).min(of(self.n_most() + 1)));
            self.buckets.reserve_exact(wanted - len);
        }
        self.buckets.resize(needed, T::default());
    }

    /// Forgets what lies further ahead of `now` than event time may: the clock was set back.
    pub fn set_back(&mut self, now: Timestamp) {
        let newest = self.index(now + FUTURE);
        while self.first + self.len() - 1 > newest && self.buckets.pop_back().is_some() {}
    }

    /// Lets go of buckets that have left the window.
    pub fn expire(&mut self, now: Timestamp) {
        let oldest = self.first_within(self.window(), now);
        while self.first < oldest && self.buckets.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// What bucket number `index` holds.
    pub fn get(&self, index: i64) -> Option<&T> {
        self.buckets.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// Everything in the last `over` as of `now`; buckets ahead of `now` are in it.
    pub fn sum(&self, over: Duration, now: Timestamp) -> T {
        let skip = self.first_within(over, now).saturating_sub(self.first).max(0);
        let mut sum = T::default();
        for bucket in self.buckets.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)) {
            if !bucket.is_empty() {
                sum.add(bucket);
            }
        }
        sum
    }

    /// Whether no bucket holds anything.
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(Part::is_empty)
    }

    /// The end of the newest bucket that holds anything.
    pub fn newest_end(&self) -> Option<Timestamp> {
        let back = self.buckets.iter().rev().position(|b| !b.is_empty())?;
        let index = self.first + self.len() - i64::try_from(back).ok()?;
        Some(Timestamp(index.saturating_mul(self.width)))
    }

    /// Numbers and contents of all buckets, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &T)> {
        (self.first..).zip(&self.buckets)
    }

    /// How long a window it has room for.
    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.over.unsigned_abs())
    }

    fn len(&self) -> i64 {
        i64::try_from(self.buckets.len()).unwrap_or(i64::MAX)
    }

    fn n_most(&self) -> i64 {
        (self.over + nanos_of(FUTURE)) / self.width + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct N(u64);

    impl Part for N {
        fn add(&mut self, other: &Self) {
            self.0 += other.0;
        }
        fn is_empty(&self) -> bool {
            self.0 == 0
        }
    }

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn ring() -> Ring<N> {
        Ring::new(Duration::from_secs(10), Duration::from_secs(1))
    }

    fn add(ring: &mut Ring<N>, when: i64, now: i64) -> bool {
        ring.bucket(at(when), at(now)).is_some_and(|(_, n)| {
            n.0 += 1;
            true
        })
    }

    #[test]
    fn a_count_leaves_when_the_window_has_passed() {
        let mut ring = ring();
        assert!(add(&mut ring, 100, 100));
        for (now, sum) in [(100, 1), (109, 1), (110, 0)] {
            assert_eq!(ring.sum(Duration::from_secs(10), at(now)), N(sum), "at {now}");
        }
        ring.expire(at(110));
        assert_eq!(ring.newest_end(), None);
    }

    #[test]
    fn what_is_older_than_the_window_is_not_taken_in() {
        let mut ring = ring();
        assert!(!add(&mut ring, 90, 100));
        assert!(add(&mut ring, 91, 100));
    }

    #[test]
    fn an_earlier_time_than_the_first_finds_its_place() {
        let mut ring = ring();
        for when in [105, 101, 103] {
            assert!(add(&mut ring, when, 106));
        }
        assert_eq!(ring.sum(Duration::from_secs(10), at(106)), N(3));
        assert_eq!(ring.sum(Duration::from_secs(3), at(106)), N(1));
        assert_eq!(ring.newest_end(), Some(at(106)));
    }

    #[test]
    fn a_clock_far_ahead_costs_no_memory_and_no_counts() {
        let mut ring = ring();
        assert!(add(&mut ring, 100, 100));
        assert!(add(&mut ring, 1_000_000_000, 100));
        assert_eq!(ring.sum(Duration::from_secs(10), at(100)), N(2));
        assert!(ring.iter().count() < 200);
        assert!(add(&mut ring, 5_000_000_000, 5_000_000_000));
        assert!(ring.iter().count() < 200);
        assert!(!add(&mut ring, 100, 5_000_000_000));
        assert!(add(&mut ring, 100, 100), "the clock was set back");
    }
}
