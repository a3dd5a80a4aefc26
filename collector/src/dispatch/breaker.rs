//! Leaves a receiver alone that fails again and again, and asks with one delivery whether it is back.
//!
//! Owns three states: closed, open until a time, half open with one attempt under way. Never sends.

use std::time::Duration;

use watchkeeper_model::Timestamp;

/// When to leave a receiver alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub n_failures: u32,
    /// How long it stays open the first time; twice as long each time the question fails.
    pub first_rest: Duration,
    /// The longest rest: how much later than necessary a page may be after the receiver has come back.
    pub longest_rest: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            n_failures: 5,
            first_rest: Duration::from_secs(5),
            longest_rest: Duration::from_secs(30),
        }
    }
}

/// A breaker for one receiver.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { n_failed: u32 },
    Open { until: Timestamp, rest: Duration },
    HalfOpen { rest: Duration },
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Not before then.
    ClosedUntil(Timestamp),
    /// Not before the one under way has ended.
    Asking,
}

impl Breaker {
    pub(super) const fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { n_failed: 0 } }
    }

    pub(super) fn gate(&self, now: Timestamp) -> Gate {
        match self.state {
            State::Open { until, .. } if until > now => Gate::ClosedUntil(until),
            State::HalfOpen { .. } => Gate::Asking,
            State::Open { .. } | State::Closed { .. } => Gate::Open,
        }
    }

    /// An attempt leaves; the gate was open.
    pub(super) fn sent(&mut self) {
        if let State::Open { rest, .. } = self.state {
            self.state = State::HalfOpen { rest };
        }
    }

    /// The receiver answered, if only to refuse: it is there.
    pub(super) fn answered(&mut self) {
        self.state = State::Closed { n_failed: 0 };
    }

    /// It did not, or is in trouble.
    pub(super) fn failed(&mut self, now: Timestamp) {
        let opened = |rest| State::Open { until: now + rest, rest };
        self.state = match self.state {
            State::Closed { n_failed } if n_failed + 1 < self.settings.n_failures => {
                State::Closed { n_failed: n_failed + 1 }
            }
            State::Closed { .. } => opened(self.settings.first_rest),
            State::HalfOpen { rest } => opened((rest * 2).min(self.settings.longest_rest)),
            // Attempts that left before it opened say nothing new.
            open @ State::Open { .. } => open,
        };
    }

    /// Told to wait instead: neither proof nor failure. What was being asked may be asked again.
    pub(super) fn postponed(&mut self, now: Timestamp) {
        if let State::HalfOpen { rest } = self.state {
            self.state = State::Open { until: now, rest };
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerSettings::default());
        for _ in 0..5 {
            assert_eq!(breaker.gate(at(0)), Gate::Open);
            breaker.sent();
            breaker.failed(at(0));
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row() {
        assert_eq!(opened().gate(at(4)), Gate::ClosedUntil(at(5)));
    }

    #[test]
    fn an_answer_between_failures_starts_the_count_again() {
        let mut breaker = Breaker::new(BreakerSettings::default());
        for _ in 0..20 {
            (0..4).for_each(|_| breaker.failed(at(0)));
            breaker.answered();
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn it_asks_with_one_attempt_and_rests_longer_each_time() {
        let mut breaker = opened();
        let mut now = at(5);
        for rest in [10, 20, 30, 30] {
            assert_eq!(breaker.gate(now), Gate::Open);
            breaker.sent();
            assert_eq!(breaker.gate(now), Gate::Asking);
            breaker.failed(now);
            let until = now + Duration::from_secs(rest);
            assert_eq!(breaker.gate(now), Gate::ClosedUntil(until));
            now = until;
        }
        breaker.sent();
        breaker.answered();
        assert_eq!(breaker.gate(now), Gate::Open);
        assert!(breaker.is_closed());
    }

    #[test]
    fn late_failures_do_not_prolong_its_rest() {
        let mut breaker = opened();
        breaker.failed(at(3));
        assert_eq!(breaker.gate(at(4)), Gate::ClosedUntil(at(5)));
    }

    #[test]
    fn being_told_to_wait_does_not_leave_it_asking() {
        let mut breaker = opened();
        breaker.sent();
        breaker.postponed(at(5));
        assert_eq!(breaker.gate(at(5)), Gate::Open);
    }
}
