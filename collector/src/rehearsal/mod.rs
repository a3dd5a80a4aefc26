//! A rehearsal: the collector in virtual time, without a store, sockets, channels or a clock.
//!
//! What is counted is judged by the intake and decided by the engine, the very ones that run live; time passes only when
//! it is told to. In reading order: `happened` is what came of it, `receivers` how those behave who are told, `agents`
//! who beats, and `rehearsal` brings them together. Replays and scenarios run on it.

mod agents;
mod happened;
mod receivers;
mod stage;
#[cfg(test)]
mod tests;

pub use happened::{Happened, Moved, Told, ToldAlert};
pub use receivers::Mood;
pub use stage::{Counted, Rehearsal};
pub use watchkeeper_collector_core::engine::SloView;
