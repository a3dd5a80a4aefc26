//! Why a probe is not as it should be: a closed list of words for labels, and a sentence for people.
//!
//! Owns the words and whose fault each is. Never finds out which holds.

use std::fmt;

use super::expect::Broken;

/// Why a result is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// All is as expected.
    Ok,
    /// It answers as expected again, and not often enough yet to be believed.
    Unconfirmed,
    /// Its name does not resolve.
    Dns,
    /// No connection: refused, or nobody there.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection was broken off.
    Reset,
    /// TLS could not be agreed on.
    Tls,
    /// Its certificate is not trusted, not valid now, or another's; or a condition on it does not hold.
    Certificate,
    /// It let nobody in: a password or token was refused.
    Auth,
    /// The answer is not of the protocol, or beyond its bounds.
    Protocol,
    /// The answer is longer than is read, and a condition wants all of it.
    TooLarge,
    /// It answered with a status that is not expected.
    Status,
    /// It answered too late for a condition.
    Latency,
    /// Another condition does not hold.
    Expect,
    /// The agent has no room: too many files open, too many attempts at once.
    Resources,
    /// The agent can't ask at all: there is no such program, or it lacks a permission.
    Unable,
    /// This machine is not in a network that leads there.
    Network,
    /// The machine slept in the middle of it.
    Slept,
    /// The agent did not get its turn in the middle of it.
    Stalled,
    /// Our code failed.
    Bug,
}

impl Reason {
    /// Every one, in the order in which they are documented.
    pub const ALL: [Self; 20] = [
        Self::Ok,
        Self::Unconfirmed,
        Self::Dns,
        Self::Connect,
        Self::Timeout,
        Self::Reset,
        Self::Tls,
        Self::Certificate,
        Self::Auth,
        Self::Protocol,
        Self::TooLarge,
        Self::Status,
        Self::Latency,
        Self::Expect,
        Self::Resources,
        Self::Unable,
        Self::Network,
        Self::Slept,
        Self::Stalled,
        Self::Bug,
    ];

    /// In one word, for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unconfirmed => "unconfirmed",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Auth => "auth",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Status => "status",
            Self::Latency => "latency",
            Self::Expect => "expect",
            Self::Resources => "resources",
            Self::Unable => "unable",
            Self::Network => "network",
            Self::Slept => "slept",
            Self::Stalled => "stalled",
            Self::Bug => "bug",
        }
    }

    /// Whether it is the agent that failed, or its machine, so that nothing is known of whom it asked.
    pub const fn is_own_fault(self) -> bool {
        matches!(
            self,
            Self::Resources
                | Self::Unable
                | Self::Network
                | Self::Slept
                | Self::Stalled
                | Self::Bug
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an attempt came to no answer that could be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In one word.
    pub reason: Reason,
    /// In a sentence; subject first, lower case, no full stop, no secret.
    pub what: String,
    /// The condition that ended it, and what it saw: that of a step of a journey.
    pub condition: Option<(String, String)>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(reason: Reason, what: impl Into<String>) -> Self {
        Self { reason, what: what.into(), condition: None }
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        let Broken { condition, saw, reason, what } = broken;
        Self { reason, what, condition: Some((condition, saw)) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
