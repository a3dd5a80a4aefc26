//! A discrete happening kept whole: an error line, a probe turning, a file changing.
//!
//! Owns severities and their order. Never decides which lines become events.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How bad something is, least first: `page` = `critical` > `error` > `ticket` = `warning` > `info`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// For the working day.
    Warning,
    /// Something failed.
    Error,
    /// Somebody must get up.
    Critical,
}

impl Severity {
    /// The severity a label's text stands for; text that is none of the known words ranks as [`Severity::Error`],
    /// so that an unknown word is never the reason for a page to go out late.
    pub fn rank_of(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Error)
    }

    /// The severity written so.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "info" => Self::Info,
            "warning" | "ticket" => Self::Warning,
            "error" => Self::Error,
            "critical" | "page" => Self::Critical,
            _ => return None,
        })
    }

    /// As written in files and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One discrete happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in event time.
    pub at: Timestamp,
    /// The source that saw it, by name.
    pub source: String,
    /// Which definition it is, `error`.
    pub name: String,
    /// How bad.
    pub severity: Severity,
    /// What a person reads first.
    pub message: String,
    /// The id that ties it to other events, such as that of a request; "" if none.
    pub correlation: String,
    /// The id of its trace; "" if none.
    pub trace: String,
    /// The whole, as JSON text; at most 256 KiB.
    pub fields: String,
    /// Whether `fields` or `message` was cut at its limit.
    pub truncated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_rank_in_the_order_of_the_design() {
        assert_eq!(Severity::rank_of("page"), Severity::rank_of("critical"));
        assert!(Severity::rank_of("page") > Severity::rank_of("error"));
        assert!(Severity::rank_of("error") > Severity::rank_of("ticket"));
        assert_eq!(Severity::rank_of("ticket"), Severity::rank_of("warning"));
        assert!(Severity::rank_of("warning") > Severity::rank_of("info"));
    }
}
