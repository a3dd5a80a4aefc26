//! How old something is, without the time in which the machine slept.
//!
//! Owns the times in which nobody looked. What lies in an inbox while a laptop sleeps is not stuck: those who should take
//! it were asleep as well. Only what happened while this agent ran is known.

use std::collections::VecDeque;
use std::time::Duration;

use watchkeeper_model::Timestamp;

use crate::polling::{Gap, GapCause};

/// The most sleeps that are remembered; those of longest ago are forgotten first.
const MAX_SLEEPS: usize = 256;

/// When the machine slept.
#[derive(Clone, Debug, Default)]
pub(super) struct Sleeps(VecDeque<(Timestamp, Timestamp)>);

impl Sleeps {
    /// Remembers a gap that ended now, if the machine slept in it.
    pub(super) fn add(&mut self, gap: &Gap, now: Timestamp) {
        if gap.cause != GapCause::Slept {
            return;
        }
        if self.0.len() == MAX_SLEEPS {
            self.0.pop_front();
        }
        self.0.push_back((now - gap.length, now));
    }

    /// How long ago a time is, awake; zero if it is ahead.
    pub(super) fn age(&self, at: Timestamp, now: Timestamp) -> Duration {
        let slept = |&(from, to): &(Timestamp, Timestamp)| to.min(now).since(from.max(at));
        let slept: Duration = self.0.iter().map(slept).sum();
        now.since(at).saturating_sub(slept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_asleep_makes_nothing_older() {
        let at = Timestamp::from_secs;
        let mut sleeps = Sleeps::default();
        for (from, to, cause) in [
            (100, 200, GapCause::Slept),
            (300, 350, GapCause::Stalled),
            (400, 500, GapCause::Slept),
        ] {
            sleeps.add(&Gap { length: Duration::from_secs(to - from), cause }, at(to as i64));
        }
        for (since, now, age) in [
            (50, 90, 40),
            (50, 200, 50),
            (150, 200, 0),
            (150, 210, 10),
            (200, 390, 190),
            (50, 600, 350),
            (600, 550, 0),
        ] {
            let told = sleeps.age(at(since), at(now));
            assert_eq!(told, Duration::from_secs(age), "{since} {now}");
        }
    }
}
