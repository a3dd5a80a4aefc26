//! What is wrong in files: collected, sorted, never more than a reader can use.
//!
//! Owns the list. Never draws it: `render` does, and hides what is secret.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::Serialize;

use crate::place::Place;

/// More are counted, not kept: a file of the wrong kind has a problem per line.
const MAX_PROBLEMS: usize = 100;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, and does not do what was probably meant.
    Warning,
}

impl Severity {
    /// As it stands before a message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What would be right; "" if there is nothing to say.
    pub help: String,
}

impl Problem {
    /// Says what would be right.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = help.into();
        self
    }
}

/// Everything that is wrong.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    n_dropped: usize,
    error_dropped: bool,
    /// Where secrets stand: never shown.
    pub(crate) secrets: Vec<Place>,
}

impl Problems {
    /// Adds one; the result takes a help.
    pub(crate) fn add(
        &mut self,
        severity: Severity,
        place: &Place,
        message: String,
    ) -> &mut Problem {
        if self.list.len() >= MAX_PROBLEMS {
            // The last one makes room, because the caller gets one to complete.
            self.n_dropped += 1;
            let dropped = self.list.pop();
            self.error_dropped |= dropped.is_some_and(|p| p.severity == Severity::Error);
        }
        self.list.push(Problem { severity, place: place.clone(), message, help: String::new() });
        self.list.last_mut().expect("one was just pushed")
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one is an error.
    pub fn has_errors(&self) -> bool {
        self.error_dropped || self.n_errors() > 0
    }

    /// How many are errors.
    pub fn n_errors(&self) -> usize {
        self.list.iter().filter(|p| p.severity == Severity::Error).count()
    }

    /// How many were found beyond those kept.
    pub fn n_dropped(&self) -> usize {
        self.n_dropped
    }

    /// Each problem, by file, line and column.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Adds those of another list.
    pub fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
        self.secrets.append(&mut other.secrets);
        self.n_dropped += other.n_dropped;
        self.error_dropped |= other.error_dropped;
        self.sort();
    }

    /// By file in the order met, then by position; the same problem told twice is told once.
    pub(crate) fn sort(&mut self) {
        let mut files: Vec<_> = Vec::new();
        for problem in &self.list {
            if !files.iter().any(|file| Arc::ptr_eq(file, &problem.place.source)) {
                files.push(Arc::clone(&problem.place.source));
            }
        }
        let rank = |p: &Problem| files.iter().position(|f| Arc::ptr_eq(f, &p.place.source));
        self.list.sort_by(|a, b| {
            rank(a).cmp(&rank(b)).then(a.place.span.start.cmp(&b.place.span.start)).then(
                match (a.severity, b.severity) {
                    (Severity::Error, Severity::Warning) => Ordering::Less,
                    (Severity::Warning, Severity::Error) => Ordering::Greater,
                    _ => Ordering::Equal,
                },
            )
        });
        self.list.dedup();
    }
}

impl std::error::Error for Problems {}
