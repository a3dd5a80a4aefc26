//! How problems look: for people, and for programs.
//!
//! Owns the line `FILE:LINE:COLUMN: error: message`. Never shows a secret's value.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use crate::mask::mask;
use crate::place::Place;
use crate::problem::{Problem, Problems, Severity};

/// Bytes of a line that are shown at most.
const MAX_SHOWN: usize = 160;

/// A problem as programs read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportedProblem {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text, secrets hidden.
    pub text: String,
    /// What is wrong.
    pub message: String,
    /// What would be right; "" if there is nothing to say.
    pub help: String,
}

impl Problems {
    /// Each problem as programs read it.
    pub fn report(&self) -> Vec<ReportedProblem> {
        self.iter()
            .map(|problem| ReportedProblem {
                severity: problem.severity,
                file: problem.place.file().display().to_string(),
                line: problem.place.line(),
                column: problem.place.column(),
                text: self.shown(&problem.place).0,
                message: problem.message.clone(),
                help: problem.help.clone(),
            })
            .collect()
    }

    /// All problems as people read them, one after the other.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for problem in self.iter() {
            text.push_str(&self.render_one(problem));
            text.push('\n');
        }
        if self.n_dropped() > 0 {
            text.push_str(&format!("and {} more\n", self.n_dropped()));
        }
        text
    }

    fn render_one(&self, problem: &Problem) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let name = format!("{}: {}", problem.place, problem.severity.as_str());
        let (line, mark) = self.shown(&problem.place);
        let mut group =
            Group::with_title(level.with_name(name).primary_title(problem.message.as_str()));
        if !line.trim().is_empty() {
            group = group.element(
                Snippet::source(line)
                    .line_start(problem.place.line())
                    .annotation(AnnotationKind::Primary.span(mark)),
            );
        }
        if !problem.help.is_empty() {
            group = group.element(Level::HELP.message(problem.help.as_str()));
        }
        Renderer::plain().render(&[group])
    }

    /// The line of a place with secrets hidden, and where in it the place is.
    fn shown(&self, place: &Place) -> (String, Range<usize>) {
        let source = &place.source;
        let line = source.line_range(source.line_of(place.span.start));
        let hidden: Vec<Range<usize>> = self
            .secrets
            .iter()
            .filter(|secret| Arc::ptr_eq(&secret.source, source))
            .map(|secret| within(&secret.span, &line))
            .filter(|span| !span.is_empty())
            .collect();
        let text = mask(&source.text[line.clone()], &hidden);
        let text: String =
            text.chars().flat_map(|c| if c.is_control() { blank(c) } else { vec![c] }).collect();
        let mark = within(&place.span, &line);
        let mark = mark.start..mark.end.max((mark.start + 1).min(text.len()));
        shorten(text, mark)
    }
}

/// As many bytes of nothing as a control character has.
fn blank(c: char) -> Vec<char> {
    vec![' '; c.len_utf8()]
}

fn within(span: &Range<usize>, line: &Range<usize>) -> Range<usize> {
    let start = span.start.clamp(line.start, line.end);
    start - line.start..span.end.clamp(start, line.end) - line.start
}

/// A long line's part around the mark.
fn shorten(text: String, mark: Range<usize>) -> (String, Range<usize>) {
    let fits = |at: usize| text.floor_char_boundary(at.min(text.len()));
    if text.len() <= MAX_SHOWN {
        return (text.clone(), fits(mark.start)..fits(mark.end).max(fits(mark.start)));
    }
    let from = fits(mark.start.saturating_sub(MAX_SHOWN / 2));
    let to = fits(from + MAX_SHOWN);
    let start = fits(mark.start).clamp(from, to);
    let end = fits(mark.end).clamp(start, to);
    (text[from..to].to_owned(), start - from..end - from)
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}
