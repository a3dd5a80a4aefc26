//! From lines of a file to records: containers' wrappers taken off, partial lines put together, several lines made one.
//!
//! In reading order: `settings` say what is joined, `part` is what a wrapper says of one line, `cri` and `docker` read it,
//! `held` is what was read and not given out, and its stored form, and [`Joiner`] puts one file together.
//!
//! Decides and never does: no file, no clock. Every line that is taken in comes out in exactly one record, is part of
//! what is held, or belongs to the rest of a record that was cut.

mod cri;
mod docker;
mod held;
mod joiner;
mod part;
mod settings;
#[cfg(test)]
mod tests;

pub use cri::parse_cri;
pub use docker::DockerParser;
pub use held::{Held, HeldStream};
pub(super) use held::{HeldRow, Keep};
pub use joiner::{Joiner, Joining, Piece};
pub use part::Part;
pub use settings::{JoinSettings, Multiline, Wrap};
