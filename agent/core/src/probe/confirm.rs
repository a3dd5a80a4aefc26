//! When something is more than a moment's weakness.
//!
//! Owns results and turns. A failed attempt counts as `degraded` until as many in a row as are asked for have failed; then it
//! is `down`, and stays so until as many in a row have come back. An attempt of which nothing is known counts as
//! `unknown`, and neither confirms anything nor breaks a row.

use super::reason::Reason;
use super::verdict::{Class, Judged};

/// How many attempts in a row make a turn; at least 1 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// Failed ones, to be down; weak or failed ones, to be degraded; ones nothing is known of, to be unknown.
    pub down: u32,
    /// Good ones, to be up again.
    pub up: u32,
}

impl Default for Confirm {
    fn default() -> Self {
        Self { down: 2, up: 2 }
    }
}

/// How a probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeResult {
    /// As expected.
    Up,
    /// Not quite.
    Degraded,
    /// Not at all.
    Down,
    /// Nobody can tell.
    Unknown,
}

impl ProbeResult {
    /// In one word, for labels and names of events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// What is made of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What it counts as.
    pub result: ProbeResult,
    /// Why.
    pub reason: Reason,
    /// What it was, if it is now something else; `None` inside if nothing was known.
    pub turned: Option<(Option<ProbeResult>, ProbeResult)>,
}

/// How a probe stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Up, degraded or down; `None` before anything is known.
    known: Option<ProbeResult>,
    is_unknown: bool,
    /// Attempts in a row, each counted as far as it goes.
    n_unknown: u32,
    n_bad: u32,
    n_not_good: u32,
    n_good: u32,
    n_not_bad: u32,
}

impl Standing {
    /// How it stands now; `None` before anything is known.
    pub fn now(&self) -> Option<ProbeResult> {
        if self.is_unknown { Some(ProbeResult::Unknown) } else { self.known }
    }

    /// Takes an attempt in.
    pub fn take(&mut self, judged: &Judged, confirm: Confirm) -> Taken {
        let before = self.now();
        if judged.class == Class::Unknown {
            self.n_unknown = self.n_unknown.saturating_add(1);
            self.is_unknown |= self.n_unknown >= confirm.down.max(1);
        } else {
            self.n_unknown = 0;
            self.count(judged.class);
            self.known = self.settled(judged.class, confirm);
            // A first failure does not say yet how it is.
            self.is_unknown &= self.known.is_none();
        }
        let after = self.now();
        let (result, reason) = self.counts_as(judged);
        let turned = after.filter(|_| after != before).map(|after| (before, after));
        Taken { result, reason, turned }
    }

    fn count(&mut self, class: Class) {
        let row = |n: &mut u32, goes_on: bool| *n = if goes_on { n.saturating_add(1) } else { 0 };
        row(&mut self.n_bad, class == Class::Bad);
        row(&mut self.n_not_bad, class != Class::Bad);
        row(&mut self.n_good, class == Class::Good);
        row(&mut self.n_not_good, class != Class::Good);
    }

    fn settled(&self, class: Class, confirm: Confirm) -> Option<ProbeResult> {
        let (down, up) = (confirm.down.max(1), confirm.up.max(1));
        let by_class = if class == Class::Good { ProbeResult::Up } else { ProbeResult::Degraded };
        match self.known {
            _ if self.n_bad >= down => Some(ProbeResult::Down),
            Some(ProbeResult::Down) if self.n_not_bad >= up => Some(by_class),
            Some(ProbeResult::Degraded) if self.n_good >= up => Some(ProbeResult::Up),
            Some(ProbeResult::Up) if self.n_not_good >= down => Some(ProbeResult::Degraded),
            // The first answer of all is believed.
            None if class != Class::Bad => Some(by_class),
            same => same,
        }
    }

    fn counts_as(&self, judged: &Judged) -> (ProbeResult, Reason) {
        let is_down = self.known == Some(ProbeResult::Down);
        match judged.class {
            Class::Unknown => (ProbeResult::Unknown, judged.reason),
            Class::Bad if is_down => (ProbeResult::Down, judged.reason),
            Class::Bad | Class::Weak => (ProbeResult::Degraded, judged.reason),
            Class::Good if is_down => (ProbeResult::Degraded, Reason::Unconfirmed),
            Class::Good => (ProbeResult::Up, judged.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class_of(letter: char) -> Class {
        match letter {
            'g' => Class::Good,
            'w' => Class::Weak,
            'b' => Class::Bad,
            _ => Class::Unknown,
        }
    }

    fn judged(class: Class) -> Judged {
        let reason = if class == Class::Good { Reason::Ok } else { Reason::Status };
        Judged { class, reason, why: String::new(), condition: None }
    }

    /// What each attempt counts as, by first letter; a turn is upper case.
    fn told(attempts: &str, confirm: Confirm) -> String {
        let mut standing = Standing::default();
        let take = |letter| {
            let taken = standing.take(&judged(class_of(letter)), confirm);
            let word = match taken.result {
                ProbeResult::Unknown => '?',
                result => result.as_str().as_bytes()[1] as char,
            };
            if taken.turned.is_some() { word.to_ascii_uppercase() } else { word }
        };
        // Second letters: p is up, e is degraded, o is down. A turn into unknown is told as `!`.
        attempts.chars().map(take).collect()
    }

    #[test]
    fn turns_take_as_many_attempts_as_are_asked_for() {
        let two = Confirm::default();
        for (sentence, confirm, attempts, counts) in [
            ("the first answer is believed", two, "gg", "Pp"),
            ("a single failure is no turn", two, "gbgbg", "Pepep"),
            ("two in a row are", two, "gbbb", "PeOo"),
            ("it comes back as slowly", two, "gbbgg", "PeOeP"),
            ("a failure in between begins anew", two, "gbbgbgg", "PeOeoeP"),
            ("down from the start", two, "bbgg", "eOeP"),
            ("at once, if asked so", Confirm { down: 1, up: 1 }, "bgbw", "OPOE"),
            ("slowly, if asked so", Confirm { down: 3, up: 1 }, "gbbgbbbg", "PeepeeOP"),
            ("weakness is confirmed too", two, "gwgww", "PepeE"),
            ("weak and failed alternating is weak", two, "gwbwg", "PeEep"),
            ("from degraded to down", two, "wbb", "EeO"),
            ("from degraded to up", two, "wgg", "EpP"),
            ("from down to degraded", two, "bbww", "eOeE"),
            ("one thing unknown changes nothing", two, "gb?b", "Pe?O"),
            ("a row of unknown is a turn, and so is its end", two, "g??g", "P??P"),
            ("unknown hides down and does not forget it", two, "bb??b", "eO??O"),
            ("unknown from the start", two, "??g", "??P"),
        ] {
            assert_eq!(told(attempts, confirm), counts, "{sentence}");
        }
    }

    #[test]
    fn a_turn_says_what_it_was_before() {
        let mut standing = Standing::default();
        let confirm = Confirm { down: 1, up: 1 };
        let mut turn = |letter| standing.take(&judged(class_of(letter)), confirm).turned;
        assert_eq!(turn('b'), Some((None, ProbeResult::Down)));
        assert_eq!(turn('?'), Some((Some(ProbeResult::Down), ProbeResult::Unknown)));
        assert_eq!(turn('?'), None);
        assert_eq!(turn('g'), Some((Some(ProbeResult::Unknown), ProbeResult::Up)));
    }

    proptest! {
        #[test]
        fn turns_tell_how_it_stands_and_down_is_never_one_failure(
            attempts in "[gwb?]{0,60}",
            down in 1..4_u32,
            up in 1..4_u32,
        ) {
            let confirm = Confirm { down, up };
            let (mut standing, mut known, mut n_bad) = (Standing::default(), None, 0);
            for letter in attempts.chars() {
                let class = class_of(letter);
                match class {
                    Class::Bad => n_bad += 1,
                    Class::Unknown => {}
                    Class::Good | Class::Weak => n_bad = 0,
                }
                let taken = standing.take(&judged(class), confirm);
                if let Some((before, after)) = taken.turned {
                    prop_assert_eq!(before, known);
                    known = Some(after);
                }
                prop_assert_eq!(standing.now(), known);
                prop_assert!(taken.result != ProbeResult::Down || class == Class::Bad);
                if let Some((before, ProbeResult::Down)) = taken.turned {
                    prop_assert!(n_bad >= down || before == Some(ProbeResult::Unknown));
                }
                prop_assert_eq!(taken.result == ProbeResult::Unknown, class == Class::Unknown);
            }
        }
    }
}
