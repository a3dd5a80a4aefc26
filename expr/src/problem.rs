//! What is wrong with a condition's text, and where in it.
//!
//! Owns offsets into the text. Never knows which file the text came from: configuration maps the offset.

use std::fmt;
use std::ops::Range;

/// What is wrong with a condition's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprProblem {
    /// Byte offset into the text.
    pub offset: usize,
    /// Bytes concerned; at least 1 where there is text.
    pub len: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right; "" if there is nothing to say.
    pub help: String,
}

impl ExprProblem {
    /// A problem with the bytes of `span`.
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            offset: span.start,
            len: span.end.saturating_sub(span.start).max(1),
            message: message.into(),
            help: String::new(),
        }
    }

    /// The same, saying what would be right.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl fmt::Display for ExprProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExprProblem {}
