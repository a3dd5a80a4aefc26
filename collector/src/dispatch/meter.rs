//! How fast a receiver may be spoken to: a token bucket, kept as one point in time (GCRA).
//!
//! Owns the count of tokens. Never sends.

use watchkeeper_model::Timestamp;

use crate::channels::Pace;

/// A bucket of `burst` tokens, one more every `interval`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    pace: Pace,
    /// When the bucket will be full again.
    full_at: Timestamp,
}

impl Meter {
    pub(super) const fn new(pace: Pace) -> Self {
        Self { pace, full_at: Timestamp(i64::MIN) }
    }

    /// When there is a token; at most `now` if there is one.
    pub(super) fn ready_at(&self) -> Timestamp {
        self.full_at - self.pace.interval * self.pace.burst.saturating_sub(1)
    }

    /// Takes a token.
    pub(super) fn take(&mut self, now: Timestamp) {
        self.full_at = self.full_at.max(now) + self.pace.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_goes_at_once_and_then_one_every_interval() {
        let mut meter = Meter::new(Pace { interval: Duration::from_secs(1), burst: 3 });
        let mut sent_at = Vec::new();
        for ms in (0..5_000).step_by(100) {
            let now = Timestamp::EPOCH + Duration::from_millis(ms);
            while meter.ready_at() <= now {
                meter.take(now);
                sent_at.push(ms);
            }
        }
        assert_eq!(sent_at, [0, 0, 0, 1_000, 2_000, 3_000, 4_000]);
    }
}
