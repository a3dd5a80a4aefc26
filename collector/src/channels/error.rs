//! How one attempt to tell a receiver ended.
//!
//! Owns what is worth retrying, by status. Never holds a secret: messages are made of kinds, hosts, statuses and
//! masked excerpts only.

use std::time::Duration;

/// The receiver has taken it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The status it answered with, where its protocol has one.
    pub status: Option<u16>,
    /// What the channel needs to know when this incident goes on, in its own words, up to 1 KiB; `None` leaves what it
    /// said before. It comes back in [`Notification::memory`], is stored in the ledger and holds no secret.
    ///
    /// [`Notification::memory`]: watchkeeper_collector_core::notify::Notification::memory
    pub memory: Option<String>,
    /// What it did not do all the same, for people and without secrets: recipients it refused, say.
    pub note: Option<String>,
}

impl Delivered {
    /// Taken with this status.
    pub fn with_status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }
}

/// Why an attempt failed: what metrics count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No connection, or it broke off.
    Unreachable,
    /// No answer within the deadline.
    TimedOut,
    /// Told to come back later.
    RateLimited,
    /// The other side is in trouble.
    ServerError,
    /// Refused for good: wrong address, credentials or content.
    Refused,
    /// An answer that makes no sense for this protocol.
    BadAnswer,
    /// Later, for some of those to be told with this; says nothing of the receiver as a whole.
    PutOff,
    /// A mistake of ours.
    Bug,
}

impl Cause {
    /// As in metrics and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Refused => "refused",
            Self::BadAnswer => "bad_answer",
            Self::PutOff => "put_off",
            Self::Bug => "bug",
        }
    }

    /// What a status that is no success says.
    pub const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::RateLimited,
            408 | 425 => Self::TimedOut,
            500..=599 => Self::ServerError,
            _ => Self::Refused,
        }
    }

    /// Whether the same request may succeed later.
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Refused)
    }
}

/// An attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeliveryError {
    /// The status it answered with, if it answered.
    pub status: Option<u16>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// How long the receiver asked to be left alone.
    pub retry_after: Option<Duration>,
    /// Why, for counting.
    pub cause: Cause,
    /// Why, for people: subject first, without secrets.
    pub message: String,
}

impl DeliveryError {
    /// A failure without an answer.
    pub fn new(cause: Cause, message: String) -> Self {
        Self { status: None, retryable: cause.is_retryable(), retry_after: None, cause, message }
    }

    /// Whether trying again makes sense.
    pub const fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// How long the receiver asked to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}
