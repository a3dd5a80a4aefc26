//! Whether files are as expected.
//!
//! Owns the results and their reasons, which come from a fixed set: the variable that the first failed condition names, or
//! what could not be seen. What could not be seen is not judged: unknown is neither good nor bad.

use watchkeeper_expr::{Condition, Verdict};

use super::figures::{Figures, VARIABLES};
use super::listing::Blindness;

/// What has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    condition: Condition,
    /// The variables it names, by position.
    slots: Vec<usize>,
}

/// How a look is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that is expected holds.
    Ok,
    /// Something does not.
    Failed,
    /// Not everything could be seen.
    Unknown,
}

/// How a look is judged, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) outcome: Outcome,
    /// In one word; "" if it is as expected.
    pub(super) reason: String,
}

/// A condition that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unmet {
    /// As it is written.
    pub(super) text: String,
    /// The variables that it names, and what they were, for a person.
    pub(super) seen: Vec<(&'static str, String)>,
}

/// The whole judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) turn: Turn,
    /// What does not hold, or has no answer.
    pub(super) unmet: Vec<Unmet>,
}

impl Expectation {
    /// That this condition over [`VARIABLES`] holds.
    pub fn new(mut condition: Condition) -> Self {
        let slot = |field: &str| VARIABLES.iter().position(|(name, _)| *name == field);
        let slots = condition.fields().iter().filter_map(|field| slot(field)).collect();
        condition.bind(|field| slot(field).unwrap_or(usize::MAX));
        Self { condition, slots }
    }

    fn unmet(&self, figures: &Figures) -> Unmet {
        let seen = self.slots.iter().map(|&slot| (Figures::name(slot), figures.shown(slot)));
        Unmet { text: self.condition.text().to_owned(), seen: seen.collect() }
    }

    fn reason(&self) -> &'static str {
        self.slots.first().map_or("expect", |&slot| Figures::name(slot))
    }
}

impl Outcome {
    /// In one word, for a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn from_str(text: &str) -> Option<Self> {
        [Self::Ok, Self::Failed, Self::Unknown].into_iter().find(|known| known.as_str() == text)
    }
}

impl Turn {
    pub(super) fn new(outcome: Outcome, reason: &str) -> Self {
        Self { outcome, reason: reason.to_owned() }
    }
}

/// Judges what was seen.
pub(super) fn judge(expected: &[Expectation], figures: &Figures) -> Judgement {
    let (mut failed, mut unjudged) = (Vec::new(), Vec::new());
    for expectation in expected {
        match expectation.condition.evaluate(figures) {
            Verdict::Match => {}
            Verdict::NoMatch => failed.push(expectation),
            Verdict::Unjudged => unjudged.push(expectation),
        }
    }
    let turn = match (failed.first(), unjudged.is_empty()) {
        (Some(first), _) => Turn::new(Outcome::Failed, first.reason()),
        (None, false) => Turn::new(Outcome::Unknown, "unjudged"),
        (None, true) => Turn::new(Outcome::Ok, ""),
    };
    let unmet = failed.into_iter().chain(unjudged).map(|e| e.unmet(figures)).collect();
    Judgement { turn, unmet }
}

/// What is said of a look that could not see everything.
pub(super) fn blind(why: Blindness) -> Judgement {
    Judgement { turn: Turn::new(Outcome::Unknown, why.as_str()), unmet: Vec::new() }
}

/// What is said of a look that does not end.
pub(super) fn no_answer() -> Judgement {
    Judgement { turn: Turn::new(Outcome::Unknown, "no_answer"), unmet: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use watchkeeper_expr::Scope;

    use super::*;

    fn expect(texts: &[&str]) -> Vec<Expectation> {
        let compile = |text: &&str| Condition::compile(text, Scope::Known(&VARIABLES)).unwrap();
        texts.iter().map(compile).map(Expectation::new).collect()
    }

    #[test]
    fn a_look_is_judged_by_all_conditions_and_the_first_that_fails_gives_the_reason() {
        let hour = Duration::from_secs(3_600);
        let figures = Figures {
            count: 120,
            oldest: 2 * hour,
            newest: hour / 60,
            bytes: 3 << 20,
            changes: Some([1, 0, 0, 2]),
            free_bytes: Some(5 << 30),
            ..Figures::default()
        };
        for (texts, result, reason) in [
            (&[][..], "ok", ""),
            (&["count <= 200", "oldest < duration(\"3h\")"], "ok", ""),
            (&["oldest < duration(\"1h\")", "count <= 100"], "failed", "oldest"),
            (&["count <= 100 || newest < duration(\"5m\")", "bytes < 1024"], "failed", "bytes"),
            (&["free_bytes > 1024", "changed == 0"], "failed", "changed"),
            (&["free_inodes > 10"], "unknown", "unjudged"),
            (&["free_inodes > 10", "count == 0"], "failed", "count"),
            (&["writing == 0"], "unknown", "unjudged"),
            (&["false"], "failed", "expect"),
        ] {
            let judgement = judge(&expect(texts), &figures);
            let Turn { outcome, reason: told } = judgement.turn;
            assert_eq!((outcome.as_str(), told.as_str()), (result, reason), "{texts:?}");
        }
        let judgement = judge(&expect(&["oldest < duration('1h') && count < 9"]), &figures);
        let seen = [("oldest", "2h".to_owned()), ("count", "120".to_owned())];
        assert_eq!(judgement.unmet[0].seen, seen);
    }

    #[test]
    fn a_variable_that_does_not_exist_is_told_where_it_is_written() {
        let problems = Condition::compile("oldst < duration('1h')", Scope::Known(&VARIABLES));
        assert!(problems.unwrap_err()[0].help.contains("oldest"));
    }
}
