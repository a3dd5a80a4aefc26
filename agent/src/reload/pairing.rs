//! Which source goes on as which.
//!
//! Owns one decision, made for a reload and for a start alike: a name stays the same source as long as it reads something
//! of what it read; what a source read whose name is gone, or reads something else altogether, belongs to whoever reads
//! exactly that now. So positions follow what is read: a source that was taken out long ago can come back under another
//! name, and a name that the agent made up (`shop`, `shop-2`) can pass to another source, without a line being counted
//! again. Never looks at anything but names and what they read.

use std::collections::BTreeSet;

use glob::{MatchOptions, Pattern};

use crate::sources::SourceSettings;
use crate::spool::{Known, Move, Reading};

/// For each source there shall be, which of the sources before it is, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing(pub Vec<Option<usize>>);

impl Pairing {
    /// Pairs the sources there were with those there shall be. Of several that read the same, one that is `alike` (by
    /// place in `was`, by place in `now`) comes first, then the one that stands first.
    pub fn of(was: &[Reading], now: &[Reading], alike: impl Fn(usize, usize) -> bool) -> Self {
        let mut pairs: Vec<Option<usize>> = vec![None; now.len()];
        let mut free: BTreeSet<usize> = (0..was.len()).collect();
        let rules: [&dyn Fn(usize, usize) -> bool; 4] = [
            &|w, n| was[w].name == now[n].name && goes_on(&was[w].reads, &now[n].reads),
            &|w, n| was[w].reads == now[n].reads && alike(w, n),
            &|w, n| was[w].reads == now[n].reads,
            &|w, n| was[w].name == now[n].name,
        ];
        for rule in rules {
            for (n, pair) in pairs.iter_mut().enumerate().filter(|(_, pair)| pair.is_none()) {
                *pair = free.iter().copied().find(|&w| rule(w, n));
                if let Some(w) = pair {
                    free.remove(w);
                }
            }
        }
        Self(pairs)
    }

    /// The sources before that are none of those there shall be.
    pub fn gone(&self, n_before: usize) -> impl Iterator<Item = usize> {
        (0..n_before).filter(|w| !self.0.contains(&Some(*w)))
    }

    /// Those that go on under another name.
    pub fn moves(&self, was: &[Reading], now: &[Reading]) -> Vec<Move> {
        let named = |(n, w): (usize, &Option<usize>)| Some((&was[(*w)?].name, &now[n].name));
        let moved = self.0.iter().enumerate().filter_map(named).filter(|(from, to)| from != to);
        moved.map(|(from, to)| Move { from: from.clone(), to: to.clone() }).collect()
    }
}

/// Sources and what they read.
pub fn readings(sources: &[SourceSettings]) -> Vec<Reading> {
    let reading = |s: &SourceSettings| Reading { name: s.name().to_owned(), reads: s.reads() };
    sources.iter().map(reading).collect()
}

/// The moves from what the spool knows to what is configured now.
pub fn moves(known: Known, now: &[Reading]) -> Vec<Move> {
    let was = [known.configured, known.gone].concat();
    Pairing::of(&was, now, |_, _| true).moves(&was, now)
}

/// Whether something is read that was read before, as far as patterns can tell.
fn goes_on(was: &str, now: &str) -> bool {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    let holds = |pattern: &str, text: &str| {
        Pattern::new(pattern).is_ok_and(|p| p.matches_with(text, options))
    };
    let same = |a: &str, b: &str| a == b || holds(a, b) || holds(b, a);
    was == now || was.lines().skip(1).any(|part| now.lines().skip(1).any(|p| same(part, p)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<Reading> {
        let one = |source: &str| {
            let (name, paths) = source.split_once(':').unwrap();
            let reads = format!("tail\n{}", paths.replace('+', "\n"));
            Reading { name: name.to_owned(), reads }
        };
        text.split_whitespace().map(one).collect()
    }

    #[test]
    fn a_source_is_known_by_its_name_and_by_what_it_reads() {
        for (sentence, was, now, moves) in [
            ("nothing changes", "a:P b:Q", "a:P b:Q", ""),
            ("order means nothing", "a:P b:Q", "b:Q a:P", ""),
            ("a name that is gone goes on under the new one", "a:P b:Q", "c:P b:Q", "a>c"),
            ("two change names at once", "a:P b:Q", "c:Q d:P", "a>d b>c"),
            ("other paths are an edit", "a:P", "a:Q", ""),
            ("other paths and another name are another source", "a:P", "b:Q", ""),
            ("more paths under another name too", "a:P", "b:P+Q", ""),
            ("a name goes on that reads something of it", "a:P", "a:P+Q b:P", ""),
            ("even if another reads exactly that", "a:P b:P+Q", "b:P", ""),
            ("a pattern that holds what was read reads it too", "a:/l/P", "a:/l/* b:/l/P", ""),
            ("and one that is held by it", "a:/l/*", "a:/l/P b:/l/*", ""),
            ("a name that passes to another does not keep its places", "a:P", "a:Q b:P", "a>b"),
            ("names move up", "s:P s-2:Q", "s:R s-2:P s-3:Q", "s-2>s-3 s>s-2"),
            ("names move down", "s:P s-2:Q s-3:R", "s:Q s-2:R", "s-2>s s-3>s-2"),
            ("names are swapped", "a:P b:Q", "a:Q b:P", "a>b b>a"),
            ("two that read the same are taken in order", "a:P b:P", "c:P d:P", "a>c b>d"),
            ("one of two that read the same is renamed", "a:P b:P", "b:P c:P", "a>c"),
            ("what nobody has said is known by name only", "a: b:", "b:Q c:P", ""),
            ("it comes back", "|a:P", "a:P", ""),
            ("it comes back under another name", "|a:P", "b:P", "a>b"),
            ("what went last comes back first", "|b:P a:P", "c:P", "b>c"),
            ("what is there goes on before what is gone", "a:P|b:P", "c:P", "a>c"),
            ("a name comes back for what another read", "a:P|b:Q", "a:Q", "b>a"),
            ("even if it had places of its own once", "|a:P b:Q", "a:Q", "b>a"),
            ("but not if it still reads something of it", "|a:P+Q b:Q", "a:Q", ""),
            ("everything goes", "a:P", "", ""),
            ("everything comes", "", "a:P", ""),
        ] {
            // What is gone stands behind a bar.
            let (configured, gone) = was.split_once('|').unwrap_or((was, ""));
            let known = Known { configured: readings(configured), gone: readings(gone) };
            let now = readings(now);
            let mut told: Vec<String> =
                super::moves(known, &now).iter().map(|m| format!("{}>{}", m.from, m.to)).collect();
            told.sort();
            assert_eq!(told.join(" "), moves, "{sentence}");
        }
    }

    #[test]
    fn of_several_that_read_the_same_the_one_that_is_alike_goes_on() {
        let (was, now) = (readings("a:P b:P"), readings("c:P d:P"));
        let pairing = Pairing::of(&was, &now, |w, n| w != n);
        assert_eq!(pairing, Pairing(vec![Some(1), Some(0)]));
        let pairing = Pairing::of(&was, &now[..1], |w, _| w == 1);
        assert_eq!(pairing.gone(2).collect::<Vec<_>>(), [0]);
    }
}
