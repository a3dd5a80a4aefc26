//! How long to wait before trying again.
//!
//! Owns the curve. Never draws the random number it needs: that is an argument.

use std::time::Duration;

/// When to try again, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// The ceiling of the first wait.
    pub first: Duration,
    /// By how much each ceiling is higher than the one before.
    pub factor: f64,
    /// The highest ceiling.
    pub cap: Duration,
    /// How long a delivery is tried before it is given back to the engine, which decides anew with fresh facts.
    pub window: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            factor: 1.5,
            cap: Duration::from_secs(60),
            window: Duration::from_secs(300),
        }
    }
}

impl Retry {
    /// The wait after the `n_failed`th failure: anything up to a ceiling that grows, so that many who failed together
    /// don't come back together. `draw` is in 0..1.
    pub(super) fn wait(&self, n_failed: u32, draw: f64) -> Duration {
        const SHORTEST: Duration = Duration::from_millis(50);
        let exponent = i32::try_from(n_failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let ceiling = self.first.as_secs_f64() * self.factor.powi(exponent);
        let ceiling = ceiling.min(self.cap.as_secs_f64());
        Duration::from_secs_f64(ceiling * draw.clamp(0.0, 1.0)).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_half_up_to_the_cap_and_are_drawn_below_it() {
        let retry = Retry::default();
        for (n_failed, draw, ms) in [
            (1, 1.0, 500),
            (2, 1.0, 750),
            (3, 1.0, 1_125),
            (3, 0.5, 562),
            (13, 1.0, 60_000),
            (4_000_000_000, 1.0, 60_000),
            (1, 0.0, 50),
        ] {
            assert_eq!(retry.wait(n_failed, draw).as_millis(), ms, "{n_failed} failures, {draw}");
        }
    }
}
