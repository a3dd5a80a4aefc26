//! The engine's time: when it is, when to be called again, and what to make of a clock that jumps.
//!
//! Owns the difference between silence out there and our own sleep. Never reads a clock.

use std::time::Duration;

use watchkeeper_model::Timestamp;

/// Steps back within this are ridden out by standing still; steps back beyond it, and calls later than this after they
/// were due, are noticed.
const SLACK: Duration = Duration::from_secs(60);

/// What became of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It went on.
    On,
    /// It was set back by more than [`SLACK`].
    SetBack { from: Timestamp },
    /// We were called more than [`SLACK`] after we were due: we slept, and with us all we know.
    Overslept { since: Timestamp },
}

/// The engine's time.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    now: Timestamp,
    /// When to be called; may be early, never late.
    pub(super) due: Option<Timestamp>,
    /// Since when we would have noticed what happens.
    pub(super) awake_since: Timestamp,
}

impl Clock {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, due: Some(now), awake_since: now }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Time has passed.
    pub(super) fn turn(&mut self, now: Timestamp) -> Turn {
        let before = self.now;
        if now < before {
            if before.since(now) <= SLACK {
                return Turn::On;
            }
            self.now = now;
            self.awake_since = now;
            self.due = Some(now);
            return Turn::SetBack { from: before };
        }
        self.now = now;
        match self.due.map(|due| due.max(before)).filter(|due| now.since(*due) > SLACK) {
            Some(since) => {
                self.awake_since = now;
                Turn::Overslept { since }
            }
            None => Turn::On,
        }
    }

    /// Whether there may be something to do.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Asks to be called at some time.
    pub(super) fn wake_at(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_of_the_clock_are_told_from_its_run() {
        let at = Timestamp::from_secs;
        for (sentence, due, now, turn, seen) in [
            ("time passes", Some(1010), 1010, Turn::On, 1010),
            ("a small step back is ridden out", None, 950, Turn::On, 1000),
            ("a large one is noticed", None, 900, Turn::SetBack { from: at(1000) }, 900),
            ("a late call is a sleep", Some(1010), 5000, Turn::Overslept { since: at(1010) }, 5000),
            (
                "a call long after the last one is none if nothing was due",
                Some(5000),
                5000,
                Turn::On,
                5000,
            ),
            ("what was due at once does not make a sleep", Some(0), 1010, Turn::On, 1010),
        ] {
            let mut clock = Clock::new(at(1000));
            clock.due = due.map(at);
            assert_eq!((clock.turn(at(now)), clock.now()), (turn, at(seen)), "{sentence}");
        }
    }
}
