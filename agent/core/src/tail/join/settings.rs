//! What is joined.
//!
//! Owns the words between configuration and [`Joiner`](super::Joiner), and what of them held parts depend on. Never
//! holds state.

use std::time::Duration;

use regex::bytes::Regex;

/// What stands around each line that a container wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wrap {
    /// Nothing.
    #[default]
    None,
    /// The form of the Kubernetes container runtimes: `TIME STREAM TAGS TEXT`.
    Cri,
    /// Docker's `json-file`: `{"log":TEXT,"stream":STREAM,"time":TIME}`.
    Docker,
}

/// Records of several lines.
#[derive(Clone, Debug)]
pub struct Multiline {
    start: Regex,
    /// Further lines of a record are dropped from its text.
    pub max_lines: usize,
    /// A record is given out when nothing was added to it for so long.
    pub timeout: Duration,
}

impl Multiline {
    /// Records that begin with a line that matches `start`.
    ///
    /// # Errors
    /// If `start` is no regular expression, or one too large.
    pub fn new(start: &str, max_lines: usize, timeout: Duration) -> Result<Self, regex::Error> {
        Ok(Self { start: Regex::new(start)?, max_lines, timeout })
    }

    /// Whether a record begins with this line.
    pub fn is_start(&self, line: &[u8]) -> bool {
        self.start.is_match(line)
    }
}

impl PartialEq for Multiline {
    fn eq(&self, other: &Self) -> bool {
        let all = |m: &Self| (m.start.as_str().to_owned(), m.max_lines, m.timeout);
        all(self) == all(other)
    }
}

impl Eq for Multiline {}

/// How the lines of a file become records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinSettings {
    /// What is taken off each line.
    pub wrap: Wrap,
    /// How lines become records; without it each line is one.
    pub multiline: Option<Multiline>,
}

impl JoinSettings {
    /// Whether there is anything to do.
    pub fn joins(&self) -> bool {
        self.wrap != Wrap::None || self.multiline.is_some()
    }

    /// What held parts mean depends on this and on nothing else of the settings.
    pub fn key(&self) -> String {
        let wrap = match self.wrap {
            Wrap::None => "none",
            Wrap::Cri => "cri",
            Wrap::Docker => "docker",
        };
        match &self.multiline {
            Some(multiline) => format!("{wrap} {}", multiline.start.as_str()),
            None => wrap.to_owned(),
        }
    }
}
