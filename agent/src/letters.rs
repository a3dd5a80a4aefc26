//! Dead letters of the agent as others see them: over the admin endpoint, and by the operator's command.
//!
//! Owns the names of the fields, which are those of the collector's API. Never shows a body: whoever asks the admin endpoint
//! is not known.

use serde::Serialize;
use watchkeeper_model::StreamKey;

use crate::spool::SpooledLetter;

/// What ids of the agent's letters begin with.
pub const ID_PREFIX: &str = "agent-";

/// The answer to `GET /api/v1/dead-letters`.
#[derive(Clone, Debug, Serialize)]
pub struct LettersJson {
    /// All of them, the newest first.
    pub dead_letters: Vec<LetterJson>,
}

/// One letter.
#[derive(Clone, Debug, Serialize)]
pub struct LetterJson {
    /// `agent-3`.
    pub id: String,
    /// `agent`.
    pub place: &'static str,
    /// Whose it is.
    pub agent: String,
    /// Of which spool.
    pub epoch: String,
    /// Of which service.
    pub service: String,
    /// `windows` or `events`.
    pub kind: &'static str,
    /// Its number in its stream.
    pub seq: u64,
    /// Of what was sealed, in hex.
    pub digest: String,
    /// Why it is not counted.
    pub reason: String,
    /// Since when: RFC 3339 in UTC.
    pub at: String,
    /// Size of its body.
    pub bytes: u64,
    /// Whether it can be offered again.
    pub retryable: bool,
    /// Somebody asked to offer it again, and there is no answer yet.
    pub asked: bool,
}

impl From<&SpooledLetter> for LetterJson {
    fn from(letter: &SpooledLetter) -> Self {
        let StreamKey { agent, epoch, service, kind } = &letter.key.stream;
        Self {
            id: format!("{ID_PREFIX}{}", letter.id),
            place: "agent",
            agent: agent.to_string(),
            epoch: epoch.to_string(),
            service: service.to_string(),
            kind: kind.as_str(),
            seq: letter.key.seq,
            digest: letter.digest.to_string(),
            reason: letter.reason.clone(),
            at: letter.at.rfc3339(),
            bytes: letter.n_bytes,
            retryable: !letter.broken,
            asked: letter.asked,
        }
    }
}

impl LettersJson {
    /// Of letters in the order in which they came.
    pub fn of(letters: &[SpooledLetter]) -> Self {
        Self { dead_letters: letters.iter().rev().map(Into::into).collect() }
    }
}
