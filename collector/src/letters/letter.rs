//! A dead letter as people see it, whoever keeps it.
//!
//! Owns its identity: the name of its place and its number there. Never says how it is kept.

use serde::{Deserialize, Serialize};
use watchkeeper_model::{BatchKey, Digest, StreamKey, Timestamp};
use watchkeeper_proto::v1::Outcome;

/// A batch that could not be counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// `windows-3`: the part before the dash names what keeps it, the rest is its number there.
    pub id: String,
    /// Who keeps it: `collector`, `agent`, `broker`.
    pub place: String,
    /// Whose batch it is; "" if that can't be read.
    pub agent: String,
    /// Of which spool, as [`watchkeeper_model::Epoch`] is written; "" if that can't be read.
    pub epoch: String,
    /// Of which service; "" if that can't be read.
    pub service: String,
    /// `windows` or `events`; "" if that can't be read.
    pub kind: String,
    /// Its number in its stream; 0 if that can't be read.
    pub seq: u64,
    /// Of its sealed content, in hex.
    pub digest: String,
    /// Why it was not counted.
    pub reason: String,
    /// Since when it is a dead letter: RFC 3339 in UTC. Of what others left at a broker that may not be known.
    pub at: Option<String>,
    /// Size of its sealed content.
    pub bytes: u64,
    /// How often it is there: a broker may have the same message more than once, and they share one fate.
    pub copies: u64,
    /// Whether a retry could change anything.
    pub retryable: bool,
}

impl Letter {
    /// The letter of a batch that is known by its key.
    pub fn of(id: String, place: &str, key: &BatchKey, digest: Digest, at: Timestamp) -> Self {
        let StreamKey { agent, epoch, service, kind } = &key.stream;
        Self {
            id,
            place: place.to_owned(),
            agent: agent.to_string(),
            epoch: epoch.to_string(),
            service: service.to_string(),
            kind: kind.as_str().to_owned(),
            seq: key.seq,
            digest: digest.to_string(),
            reason: String::new(),
            at: Some(at.rfc3339()),
            bytes: 0,
            copies: 1,
            retryable: true,
        }
    }
}

/// A dead letter with its sealed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it is.
    pub letter: Letter,
    /// As it was sealed, or as it came.
    pub sealed: Vec<u8>,
}

/// What a retry came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retried {
    /// In one word.
    pub outcome: RetryOutcome,
    /// Why; "" if it counts now.
    pub reason: String,
}

/// What became of a letter that was led through the intake again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It counts, now or since before, and is no dead letter any more.
    Counted,
    /// It can't be counted, and stays.
    Refused,
    /// Its number belongs to another batch; it stays.
    Forked,
    /// Its content is not what was sealed; it stays.
    Damaged,
    /// It could not be tried at present; it stays.
    NotYet,
}

impl RetryOutcome {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Counted, Self::Refused, Self::Forked, Self::Damaged, Self::NotYet];

    /// What an answer of the intake says of a letter.
    pub const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Durable => Self::Counted,
            Outcome::Forked => Self::Forked,
            Outcome::Damaged => Self::Damaged,
            Outcome::NotYet => Self::NotYet,
            Outcome::Refused | Outcome::Unspecified => Self::Refused,
        }
    }

    /// As in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Refused => "refused",
            Self::Forked => "forked",
            Self::Damaged => "damaged",
            Self::NotYet => "not_yet",
        }
    }
}
