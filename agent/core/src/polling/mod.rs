//! What sources that look again and again have in common.
//!
//! In reading order: `rhythm` says when to look, and when nobody has looked for longer than that; `growth` makes increases
//! of counters that only grow.

mod growth;
mod rhythm;

pub use growth::Growth;
pub use rhythm::{Gap, GapCause, Rhythm, Turn};
