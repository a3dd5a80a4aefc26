//! What was found in a text, and what stands in its place.
//!
//! Owns the marks and how findings that overlap become one. Never finds anything.

use std::cmp::Reverse;
use std::ops::Range;

use super::own::OwnPattern;

/// What stands in place of a finding. The order is that of precedence, of two that overlap and neither holds the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// That of an own expression, by position.
    Own(usize),
    Password,
    Token,
    Card,
    Email,
}

impl Mark {
    /// The text, with these own expressions.
    pub(super) fn text(self, own: &[OwnPattern]) -> &str {
        match self {
            Self::Own(n) => own.get(n).map_or("[redacted]", OwnPattern::mark),
            Self::Password => "[password]",
            Self::Token => "[token]",
            Self::Card => "[card]",
            Self::Email => "[email]",
        }
    }
}

/// The marks of what is found without the user's doing.
const OURS: [Mark; 4] = [Mark::Password, Mark::Token, Mark::Card, Mark::Email];

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: Range<usize>,
    pub(super) mark: Mark,
}

/// Findings of one text, in any order.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) spans: Vec<Span>,
    own: &'a [OwnPattern],
}

impl<'a> Found<'a> {
    /// Nothing yet, in a text in which marks of these expressions may stand besides ours.
    pub(super) fn new(own: &'a [OwnPattern]) -> Self {
        Self { spans: Vec::new(), own }
    }

    pub(super) fn add(&mut self, at: Range<usize>, mark: Mark) {
        if !at.is_empty() {
            self.spans.push(Span { at, mark });
        }
    }

    /// As [`Found::add`], unless a mark stands there already.
    pub(super) fn add_in(&mut self, text: &str, at: Range<usize>, mark: Mark) {
        let said = text.get(at.clone());
        if !said.is_some_and(|said| self.marks().any(|mark| mark == said)) {
            self.add(at, mark);
        }
    }

    /// Whether a text begins with a mark.
    pub(super) fn is_mark(&self, text: &str) -> bool {
        self.marks().any(|mark| text.starts_with(mark))
    }

    fn marks(&self) -> impl Iterator<Item = &str> {
        OURS.iter().map(|mark| mark.text(&[])).chain(self.own.iter().map(OwnPattern::mark))
    }
}

/// The findings in the order of the text, those that overlap made one.
pub(super) fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable_by_key(|s| (s.at.start, Reverse(s.at.end), s.mark));
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.at.end <= last.at.end => {}
            Some(last) if span.at.start < last.at.end => {
                last.at.end = span.at.end;
                last.mark = last.mark.min(span.mark);
            }
            _ => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_that_overlap_become_one() {
        let span = |at, mark| Span { at, mark };
        let all = vec![
            span(8..12, Mark::Card),
            span(0..4, Mark::Email),
            span(2..6, Mark::Password),
            span(5..7, Mark::Email),
            span(7..8, Mark::Own(0)),
            span(9..11, Mark::Password),
            span(12..13, Mark::Email),
            span(12..13, Mark::Token),
        ];
        let expected = [
            span(0..7, Mark::Password),
            span(7..8, Mark::Own(0)),
            span(8..12, Mark::Card),
            span(12..13, Mark::Token),
        ];
        assert_eq!(merged(all), expected, "touching is not overlapping");
    }
}
