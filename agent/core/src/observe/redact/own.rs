//! Expressions of the user's own.
//!
//! Owns what an expression may be and which part of a match is replaced. Bounded: an expression that matches a text
//! more than a thousand times takes the rest of it.

use regex::{Regex, RegexBuilder};

use super::span::{Found, Mark};

/// The group that is replaced instead of the whole match.
const SECRET: &str = "secret";

/// Compiled, an expression takes at most this.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// Matches in one text beyond which the rest goes unread: each may look at all of it.
const MAX_MATCHES: usize = 1_000;

/// A named expression; what it matches becomes `[name]`.
#[derive(Clone, Debug)]
pub struct OwnPattern {
    mark: String,
    regex: Regex,
    secret: Option<usize>,
}

/// Why an expression can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression, or too large.
    #[error("the expression cannot be read: {0}")]
    Syntax(String),
    /// It matches where there is nothing.
    #[error("the expression matches the empty text")]
    Empty,
}

impl OwnPattern {
    /// An expression in the syntax of the crate `regex`. If it has a group named `secret`, that is what is replaced.
    ///
    /// # Errors
    /// If it is none, too large, or matches the empty text.
    pub fn new(name: &str, pattern: &str) -> Result<Self, PatternError> {
        let regex = RegexBuilder::new(pattern)
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|error| PatternError::Syntax(in_one_line(&error)))?;
        if regex.is_match("") {
            return Err(PatternError::Empty);
        }
        let secret = regex.capture_names().position(|group| group == Some(SECRET));
        Ok(Self { mark: format!("[{name}]"), regex, secret })
    }

    /// What stands in place of its matches.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// It is the `n`th of its kind.
    pub(super) fn find(&self, text: &str, n: usize, found: &mut Found<'_>) {
        let mut n_matches = 0;
        let mut add = |whole_end: usize, secret: Option<regex::Match<'_>>| {
            n_matches += 1;
            if let Some(secret) = secret.filter(|s| s.as_str() != self.mark) {
                found.add(secret.range(), Mark::Own(n));
            }
            if n_matches == MAX_MATCHES {
                found.add(whole_end..text.len(), Mark::Own(n));
            }
            n_matches < MAX_MATCHES
        };
        match self.secret {
            None => self.regex.find_iter(text).all(|m| add(m.end(), Some(m))),
            Some(group) => {
                self.regex.captures_iter(text).all(|c| add(c.get_match().end(), c.get(group)))
            }
        };
    }
}

/// The last line of what the crate says is the reason; above it stands the expression with a mark below.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

impl PartialEq for OwnPattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.mark, self.regex.as_str()) == (&other.mark, other.regex.as_str())
    }
}

impl Eq for OwnPattern {}
