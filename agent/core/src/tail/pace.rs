//! When to look at a file again.
//!
//! Owns the back-off per file: 100 ms while it grows, up to 10 s while it is idle. Never reads a clock.

use std::time::Duration;

use watchkeeper_model::Timestamp;

/// How soon a growing file is looked at again.
pub(super) const ACTIVE: Duration = Duration::from_millis(100);

/// How late an idle one is.
pub(super) const IDLE: Duration = Duration::from_secs(10);

/// When one file is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    next: Timestamp,
    step: Duration,
}

impl Pace {
    /// Due at once.
    pub(super) fn new() -> Self {
        Self { next: Timestamp(i64::MIN), step: ACTIVE }
    }

    /// It has grown.
    pub(super) fn grown(&mut self, now: Timestamp) {
        *self = Self { next: now + ACTIVE, step: ACTIVE };
    }

    /// There is more to read at once.
    pub(super) fn more(&mut self) {
        *self = Self::new();
    }

    /// It was looked at in vain.
    pub(super) fn idle(&mut self, now: Timestamp) {
        *self = Self { next: now + self.step, step: (self.step * 2).min(IDLE) };
    }

    /// Whether it is time. A clock that was set back does not make a file wait for it to catch up.
    pub(super) fn is_due(self, now: Timestamp) -> bool {
        now >= self.next || self.next > now + IDLE
    }

    /// When to look again.
    pub(super) fn next(self) -> Timestamp {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_file_is_looked_at_less_and_less() {
        let (mut pace, mut now, mut waits) = (Pace::new(), Timestamp(0), Vec::new());
        assert!(pace.is_due(now));
        for _ in 0..9 {
            pace.idle(now);
            waits.push(pace.next().since(now).as_millis());
            now = pace.next();
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        pace.grown(now);
        assert_eq!(pace.next().since(now).as_millis(), 100);
        assert!(!pace.is_due(now));
        assert!(pace.is_due(now - Duration::from_secs(3_600)), "the clock was set back");
    }
}
