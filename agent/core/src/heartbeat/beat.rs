//! What a job says of itself.
//!
//! Owns the words, and how much of its output is kept. Never knows how it was said.

use std::time::Duration;

use crate::process::Exit;

/// So much of the end of a job's output is kept.
pub const MAX_OUTPUT_BYTES: usize = 16 << 10;

/// The longest name of a run.
const MAX_RUN_BYTES: usize = 64;

/// One thing that a job says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Which of its runs; empty if it does not say.
    pub run: String,
    /// What.
    pub word: Word,
    /// The end of its output.
    pub output: String,
}

/// What a job says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It begins.
    Start,
    /// It has ended well.
    Success {
        /// For how long it ran, if it knows.
        duration: Option<Duration>,
    },
    /// It has ended, and not well.
    Failure {
        /// How.
        exit: Exit,
        /// For how long it ran, if it knows.
        duration: Option<Duration>,
    },
}

/// Whether this may be the name of a run: up to 64 letters, digits and `-_.:`.
pub fn is_run_id(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    (1..=MAX_RUN_BYTES).contains(&text.len()) && text.chars().all(fits)
}

/// The end of an output as text, from the beginning of a line if it is cut.
pub fn tail_of(output: &[u8]) -> String {
    let from = output.len().saturating_sub(MAX_OUTPUT_BYTES);
    let mut kept = &output[from..];
    if from > 0 {
        // The rest of a line that is not whole says little, unless it is all there is.
        let next_line = kept.iter().position(|b| *b == b'\n').map(|end| &kept[end + 1..]);
        kept = next_line.filter(|rest| !rest.is_empty()).unwrap_or(kept);
    }
    String::from_utf8_lossy(kept).trim_end().to_owned()
}
