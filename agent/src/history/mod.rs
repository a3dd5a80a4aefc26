//! History: what the sources of an agent have to say of the past, in the order of time.
//!
//! In reading order: `choice` decides which sources can say it, `track` is one file being read by the
//! very code of the live agent, and `merge` puts all of them together, a second after the other, as seals would have
//! brought them. Bounded: of each file that is being read only what one read has counted waits for the others.
//!
//! Knows no spool, no delivery and no admin endpoint: nothing here can write to disk or open a socket.

mod choice;
mod merge;
#[cfg(test)]
mod tests;
mod track;

pub use crate::choice::Choice;
pub use choice::{LeftOut, Misuse};
pub use merge::{History, Progress, Second, SourceHistory, Step};
