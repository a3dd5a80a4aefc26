//! How often one thing may be evaluated: ten times a second, and ten times at once after a quiet second.
//!
//! Owns the budget of evaluations, so that the input that carries the news is nearly always the one that tells it.

use std::time::Duration;

use watchkeeper_model::Timestamp;

const MOST: u32 = 10;
const EACH: Duration = Duration::from_millis(100);

/// Evaluations that may still be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    left: u32,
    since: Timestamp,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { left: MOST, since: Timestamp(0) }
    }

    /// Takes one evaluation; where none is left, the time at which there is one again.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if now < self.since {
            *self = Self::new();
        }
        let earned = now.since(self.since).as_nanos() / EACH.as_nanos();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if self.left.saturating_add(earned) >= MOST {
            (self.left, self.since) = (MOST, now);
        } else {
            self.left += earned;
            self.since = self.since + EACH * earned;
        }
        if self.left == 0 {
            return Err(self.since + EACH);
        }
        self.left -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_at_once_and_then_ten_a_second() {
        let mut pace = Pace::new();
        let at = |ms: i64| Timestamp(1_000_000_000_000 + ms * 1_000_000);
        let taken = |pace: &mut Pace, ms| pace.take(at(ms)).is_ok();
        assert_eq!((0..20).filter(|_| taken(&mut pace, 0)).count(), 10);
        assert_eq!(pace.take(at(50)), Err(at(100)));
        let in_a_second = (51..1051).filter(|ms| taken(&mut pace, *ms)).count();
        assert_eq!(in_a_second, 10);
        assert!(taken(&mut pace, -5000), "a clock set back does not stop it");
    }
}
