//! What is wrong with a pattern or a time format, and where in it.
//!
//! Owns offsets into what was written. Never knows which file it was written in: configuration maps the offsets.

use std::ops::Range;

/// What is wrong with something written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The bytes concerned; all of them, if it is wrong as a whole.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right; "" if there is nothing to say.
    pub help: String,
}

impl Flaw {
    /// A flaw of the bytes of `span`.
    pub(super) fn new(
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { span, message: message.into(), help: help.into() }
    }
}
