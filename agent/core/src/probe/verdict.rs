//! What one attempt is worth.
//!
//! Owns the order of questions: was it us, was there an answer, is it what is expected, is it good. Never remembers
//! anything: whether it is a turn is decided in `confirm`.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::expect::{Broken, Expectations, Lacking};
use super::reason::{Failure, Reason};
use super::seen::Seen;

/// A machine that lost so much of an attempt to sleep has not waited for the answer.
const SLEPT: Duration = Duration::from_secs(1);

/// An attempt that was ended so much later than it should have been was not awaited by anybody.
const STALLED: Duration = Duration::from_millis(500);

/// What an attempt says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Answered as expected.
    Good,
    /// Answered as expected, and degraded.
    Weak,
    /// Not answered, or not as expected.
    Bad,
    /// Nothing is known.
    Unknown,
}

/// What an attempt is worth, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What it says.
    pub class: Class,
    /// In one word.
    pub reason: Reason,
    /// For people.
    pub why: String,
    /// The condition that made the difference, and what it saw.
    pub condition: Option<(String, String)>,
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the wall clock.
    pub at: Timestamp,
    /// For how long the agent has been awake.
    pub running: Duration,
}

/// What an attempt between two moments is worth that had this long. What failed, or was slow, while this machine slept or the
/// agent did not run is not the fault of whom it asked.
pub fn judge(
    came: Result<(), Failure>,
    seen: &Seen,
    all: &Expectations,
    moments: (Moment, Moment),
    timeout: Duration,
) -> Judged {
    let judged = match came.and_then(|()| met(seen, all)) {
        Err(failure) => Judged::of_failure(failure),
        Ok(()) => all.weak(seen).map_or_else(Judged::good, Judged::weak),
    };
    let judged = Judged { why: seen.masks.apply(&judged.why), ..judged };
    match judged.class {
        Class::Bad | Class::Weak => excuse(moments, timeout).map_or(judged, Judged::of_failure),
        Class::Good | Class::Unknown => judged,
    }
}

/// Whether what was seen is what is expected.
pub fn met(seen: &Seen, all: &Expectations) -> Result<(), Failure> {
    if all.lacks(seen) == Lacking::Rest {
        let what = "the answer is longer than is read, and a condition wants all of it";
        return Err(Failure::new(Reason::TooLarge, what));
    }
    all.broken(seen).map_or(Ok(()), |broken| Err(broken.into()))
}

/// Why an attempt says nothing.
fn excuse((begun, ended): (Moment, Moment), timeout: Duration) -> Option<Failure> {
    let awake = ended.running.saturating_sub(begun.running);
    let slept = ended.at.since(begun.at).saturating_sub(awake);
    if slept > SLEPT {
        let seconds = slept.as_secs();
        let what = format!("this machine slept for {seconds} s in the middle of it");
        return Some(Failure::new(Reason::Slept, what));
    }
    let is_late = awake > timeout + STALLED.max(timeout / 2);
    is_late.then(|| {
        let seconds = awake.as_secs_f64();
        let what = format!("the agent did not get its turn: it took {seconds:.1} s to notice");
        Failure::new(Reason::Stalled, what)
    })
}

impl Judged {
    fn good() -> Self {
        let why = "it answers as expected".to_owned();
        Self { class: Class::Good, reason: Reason::Ok, why, condition: None }
    }

    fn of_failure(Failure { reason, what, condition }: Failure) -> Self {
        let class = if reason.is_own_fault() { Class::Unknown } else { Class::Bad };
        Self { class, reason, why: what, condition }
    }

    fn weak(Broken { condition, saw, reason, .. }: Broken) -> Self {
        let why = format!("`{condition}` holds: {saw}");
        Self { class: Class::Weak, reason, why, condition: Some((condition, saw)) }
    }
}

#[cfg(test)]
mod tests {
    use watchkeeper_expr::{Condition, Scope, Type};

    use super::super::seen::Said;
    use super::*;

    fn all(expect: &str, degraded: &str) -> Expectations {
        let names = Scope::Known(&[("status", Type::Int), ("body", Type::String)]);
        let compile = |text: &str| vec![Condition::compile(text, names).unwrap()];
        let degraded = if degraded.is_empty() { vec![] } else { compile(degraded) };
        Expectations { expect: compile(expect), degraded, ..Expectations::default() }
    }

    fn moment(at_secs: i64, running_secs: u64) -> Moment {
        Moment { at: Timestamp::from_secs(at_secs), running: Duration::from_secs(running_secs) }
    }

    const SOON: fn() -> (Moment, Moment) = || (moment(0, 0), moment(1, 1));

    #[test]
    fn conditions_decide_what_came() {
        for (sentence, status, expect, degraded, class, why) in [
            ("good", 200, "status == 200", "", Class::Good, "it answers as expected"),
            (
                "bad",
                500,
                "status == 200",
                "status > 1",
                Class::Bad,
                "`status == 200` does not hold: status = 500",
            ),
            (
                "weak",
                207,
                "status < 300",
                "status == 207",
                Class::Weak,
                "`status == 207` holds: status = 207",
            ),
        ] {
            let mut seen = Seen::default();
            seen.say("status", Said::Int(status));
            let two = Duration::from_secs(2);
            let judged = judge(Ok(()), &seen, &all(expect, degraded), SOON(), two);
            assert_eq!((judged.class, judged.why.as_str()), (class, why), "{sentence}");
        }
    }

    #[test]
    fn what_is_the_agents_own_fault_is_unknown() {
        let timeout = || Failure::new(Reason::Timeout, "no answer");
        for (sentence, failure, moments, reason, class) in [
            ("no answer is bad", timeout(), SOON(), Reason::Timeout, Class::Bad),
            (
                "unless the machine slept",
                timeout(),
                (moment(0, 0), moment(4000, 2)),
                Reason::Slept,
                Class::Unknown,
            ),
            (
                "or the agent was stopped",
                timeout(),
                (moment(0, 0), moment(9, 9)),
                Reason::Stalled,
                Class::Unknown,
            ),
            (
                "a clock that was set back says nothing",
                timeout(),
                (moment(5000, 0), moment(2, 2)),
                Reason::Timeout,
                Class::Bad,
            ),
            (
                "no descriptor",
                Failure::new(Reason::Resources, "too many open files"),
                SOON(),
                Reason::Resources,
                Class::Unknown,
            ),
        ] {
            let two = Duration::from_secs(2);
            let judged = judge(Err(failure), &Seen::default(), &all("", ""), moments, two);
            assert_eq!((judged.reason, judged.class), (reason, class), "{sentence}");
        }
    }

    #[test]
    fn an_answer_that_was_late_because_we_were_is_unknown_and_a_good_one_is_good() {
        let names = Scope::Known(&[("latency", Type::Duration)]);
        let quick = Condition::compile("latency < duration('1s')", names).unwrap();
        let all = Expectations { expect: vec![quick], ..Expectations::default() };
        let slept = (moment(0, 0), moment(4000, 1));
        for (nanos, moments, class, reason) in [
            (5_000_000_000, (moment(0, 0), moment(5, 5)), Class::Unknown, Reason::Stalled),
            (1_500_000_000, (moment(0, 0), moment(1, 1)), Class::Bad, Reason::Latency),
            (1_500_000_000, slept, Class::Unknown, Reason::Slept),
            (900_000_000, slept, Class::Good, Reason::Ok),
        ] {
            let mut seen = Seen::default();
            seen.say("latency", Said::Span(nanos));
            let judged = judge(Ok(()), &seen, &all, moments, Duration::from_secs(2));
            assert_eq!((judged.class, judged.reason), (class, reason), "{nanos} {moments:?}");
        }
    }

    #[test]
    fn an_answer_cut_off_is_not_judged_by_its_beginning() {
        let mut seen = Seen::default();
        seen.cut = vec!["body"];
        let two = Duration::from_secs(2);
        let judged = judge(Ok(()), &seen, &all("!body.contains('error')", ""), SOON(), two);
        assert_eq!((judged.reason, judged.class), (Reason::TooLarge, Class::Bad));
    }
}
