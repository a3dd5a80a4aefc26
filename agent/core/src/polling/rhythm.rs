//! When to look, and when nobody has looked for longer than that.
//!
//! Owns the turns. They go by the time the agent has been running, which nobody can set and which stands still while the
//! machine sleeps; the wall clock only says what happened in between. Sources with the same period have their turns
//! together, so that the worker wakes once for all of them, and agents have theirs apart. Turns that were missed are not
//! made up for.

use std::time::Duration;

use watchkeeper_model::{Severity, Timestamp};

use crate::observe::Happening;

/// So many periods without a look are a gap.
const PERIODS: u32 = 3;

/// And so long at least: a machine that is busy may be late.
const LEAST: Duration = Duration::from_secs(5);

/// When to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    every: Duration,
    last: Option<Look>,
    next: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    at: Timestamp,
    running: Duration,
}

/// Whether it is time to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Not before [`Rhythm::next`].
    Wait,
    /// Now.
    Look {
        /// For how long the machine has been awake since the last look; `None` if this is the first.
        since_last: Option<Duration>,
        /// Nobody looked for much longer than planned.
        gap: Option<Gap>,
    },
}

/// A time in which nobody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How long, by the wall clock; zero if that was set back.
    pub length: Duration,
    /// Why.
    pub cause: GapCause,
}

/// Why nobody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// The machine slept, or its clock was set forward: the two can't be told apart.
    Slept,
    /// The machine was awake and the agent did not get its turn.
    Stalled,
    /// The clock was set back.
    SetBack,
}

impl GapCause {
    /// In one word, for the fields of an event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slept => "slept",
            Self::Stalled => "stalled",
            Self::SetBack => "set_back",
        }
    }
}

impl Gap {
    /// What is told of it.
    pub fn happening(&self) -> Happening {
        let seconds = self.length.as_secs_f64();
        let none = format!("nothing was observed for {seconds:.0} s");
        let message = match self.cause {
            GapCause::Slept => format!("{none}: the machine slept, or its clock was set forward"),
            GapCause::Stalled => format!("{none}: the agent did not get its turn"),
            GapCause::SetBack => "the clock was set back".to_owned(),
        };
        Happening {
            name: "gap",
            severity: Severity::Info,
            message,
            fields: serde_json::json!({ "seconds": seconds, "cause": self.cause.as_str() }),
        }
    }
}

impl Rhythm {
    /// A look every so often, the first one at once.
    pub fn new(every: Duration) -> Self {
        Self { every: every.max(Duration::from_millis(1)), last: None, next: Duration::ZERO }
    }

    /// Another period, from the next look on.
    pub fn set_every(&mut self, every: Duration) {
        if self.every != every {
            *self = Self { last: self.last, ..Self::new(every) };
        }
    }

    /// Whether to look now; `running` is for how long the agent has been awake.
    pub fn turn(&mut self, now: Timestamp, running: Duration) -> Turn {
        if running < self.next {
            return Turn::Wait;
        }
        let last = self.last.replace(Look { at: now, running });
        let since_last = last.map(|last| running.saturating_sub(last.running));
        let gap = last.and_then(|last| self.gap(last, now, running));
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let every = nanos(self.every);
        let turns = (nanos(running) / every).saturating_add(1);
        self.next = Duration::from_nanos(every.saturating_mul(turns));
        Turn::Look { since_last, gap }
    }

    /// The next turn is now.
    pub fn hurry(&mut self) {
        self.next = Duration::ZERO;
    }

    /// When the next turn is, by the time the agent has been awake.
    pub fn next(&self) -> Duration {
        self.next
    }

    fn gap(&self, last: Look, now: Timestamp, running: Duration) -> Option<Gap> {
        let awake = running.saturating_sub(last.running);
        let length = now.since(last.at);
        let long = (self.every * PERIODS).max(LEAST);
        let cause = if length + long < awake || (now < last.at && last.at.since(now) > long) {
            GapCause::SetBack
        } else if length <= long {
            return None;
        } else if length.saturating_sub(awake) > long {
            GapCause::Slept
        } else {
            GapCause::Stalled
        };
        Some(Gap { length, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(wall: f64) -> Timestamp {
        Timestamp((wall * 1e9) as i64)
    }

    fn awake(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn sources_of_one_period_look_together_and_missed_turns_are_not_made_up_for() {
        let (mut a, mut b) = (Rhythm::new(10 * SECOND), Rhythm::new(10 * SECOND));
        let first = Turn::Look { since_last: None, gap: None };
        assert_eq!(a.turn(at(1000.3), awake(3.0)), first);
        assert_eq!(b.turn(at(1004.3), awake(7.0)), first);
        assert_eq!(a.turn(at(1004.3), awake(7.0)), Turn::Wait);
        assert_eq!((a.next(), b.next()), (awake(10.0), awake(10.0)));
        // Two turns late is no gap, and one look.
        let look = Turn::Look { since_last: Some(awake(22.0)), gap: None };
        assert_eq!(a.turn(at(1022.3), awake(25.0)), look);
        assert_eq!(a.turn(at(1022.3), awake(25.0)), Turn::Wait);
        assert_eq!(a.next(), awake(30.0));
    }

    #[test]
    fn a_look_can_be_had_at_once_and_the_rhythm_stays() {
        let mut rhythm = Rhythm::new(10 * SECOND);
        rhythm.turn(at(0.0), awake(0.0));
        rhythm.hurry();
        let look = Turn::Look { since_last: Some(awake(4.0)), gap: None };
        assert_eq!(rhythm.turn(at(4.0), awake(4.0)), look);
        assert_eq!((rhythm.turn(at(4.0), awake(4.0)), rhythm.next()), (Turn::Wait, awake(10.0)));
        rhythm.set_every(SECOND);
        let look = Turn::Look { since_last: Some(awake(0.5)), gap: None };
        assert_eq!(rhythm.turn(at(4.5), awake(4.5)), look);
        assert_eq!(rhythm.next(), awake(5.0));
    }

    #[test]
    fn what_happened_between_two_looks_is_told_by_both_clocks() {
        use GapCause::{SetBack, Slept, Stalled};
        for (sentence, every, wall, ran, gap) in [
            ("as planned", 10.0, 10.0, 10.0, None),
            ("a little late", 1.0, 4.0, 4.0, None),
            ("three periods are late, not a gap", 10.0, 30.0, 30.0, None),
            ("a lid was closed", 1.0, 3600.0, 1.0, Some((3600.0, Slept))),
            ("a lid was closed, with a long period", 60.0, 3600.0, 60.0, Some((3600.0, Slept))),
            ("a nap shorter than that does not matter", 60.0, 100.0, 60.0, None),
            ("the agent was stopped", 1.0, 30.0, 30.0, Some((30.0, Stalled))),
            ("the clock was set back", 1.0, -100.0, 1.0, Some((0.0, SetBack))),
            ("set back to a time after the last look", 10.0, 5.0, 60.0, Some((5.0, SetBack))),
            ("a clock that is put right by a second", 1.0, 0.0, 1.0, None),
            ("a clock that is put right by two", 1.0, -1.0, 1.0, None),
        ] {
            let mut rhythm = Rhythm::new(Duration::from_secs_f64(every));
            rhythm.turn(at(1e6), awake(1000.0));
            let turn = rhythm.turn(at(1e6 + wall), awake(1000.0 + ran));
            let gap = gap.map(|(length, cause)| Gap { length: awake(length), cause });
            assert_eq!(turn, Turn::Look { since_last: Some(awake(ran)), gap }, "{sentence}");
        }
    }
}
