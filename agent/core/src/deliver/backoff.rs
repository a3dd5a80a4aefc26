//! Waiting longer after each failure, with full jitter.
//!
//! Owns the arithmetic. Never draws the random share: the caller does, so that a test repeats.

use std::time::Duration;

/// Exponential backoff with full jitter: a wait is a random share of `base × 2^n`, at most `cap`
/// (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    n_failures: u32,
}

impl Backoff {
    /// The first wait is at most `base`, none is longer than `cap`.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, n_failures: 0 }
    }

    /// The wait after one more failure; `share` is a random number from 0 to 1.
    pub fn failed(&mut self, share: f64) -> Duration {
        let ceiling = self.base.saturating_mul(1 << self.n_failures.min(20)).min(self.cap);
        self.n_failures = self.n_failures.saturating_add(1);
        ceiling.mul_f64(share.clamp(0.0, 1.0))
    }

    /// It worked: the next wait is a short one.
    pub fn succeeded(&mut self) {
        self.n_failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_again_after_success() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        let waits: Vec<u128> = (0..10).map(|_| backoff.failed(1.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        backoff.succeeded();
        assert_eq!(backoff.failed(0.5).as_millis(), 100);
    }
}
