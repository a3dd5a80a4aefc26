//! One scenario from its file to its verdict.
//!
//! Owns that nothing is played of what can't be read. Never prints.

use watchkeeper_config::{Document, Reader};

use super::config::read;
use super::expect::judge;
use super::play::play;

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// What it is about.
    pub(crate) name: String,
    /// How many expectations it has.
    pub(crate) n_expected: usize,
}

/// Reads, plays and judges it. Everything that is wrong, with the file or with what happened, is reported; `None` if it could
/// not be played.
pub(crate) fn try_out(document: &Document, reader: &mut Reader<'_>) -> Option<Tried> {
    let scenario = read(document, reader)?;
    if reader.problems().has_errors() {
        return None;
    }
    let timeline = play(&scenario);
    judge(&scenario, &timeline, reader);
    Some(Tried { n_expected: scenario.expect.len(), name: scenario.name })
}
