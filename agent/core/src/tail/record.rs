//! What tailing gives out.
//!
//! Owns the words. Never decides what becomes of a record: that is the sink's business.

/// What a file is made of. Each one is counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A line without its end, or several lines of a file joined with LF.
    Line(&'a [u8]),
    /// The same out of a wrapper.
    Wrapped(Wrapped<'a>),
    /// A line longer than allowed.
    TooLong,
    /// A run of NUL bytes.
    Blank,
    /// A line that is not of its wrapper's form.
    Unparsable(&'a [u8]),
}

/// What a container wrote, and what its wrapper says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrapped<'a> {
    /// What was written, put together again, without its end.
    pub text: &'a [u8],
    /// Where it was written.
    pub stream: Stream,
    /// When it, or the first part of it, was written: RFC 3339, by the wrapper's clock.
    pub time: &'a str,
}

/// Where a container's process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

impl Stream {
    /// The word for it, the same in all wrappers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Out of its word.
    pub fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}
