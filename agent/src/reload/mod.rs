//! New settings for a running agent.
//!
//! In reading order: `pairing` says which source goes on as which, `restart` which keys only a start can change, `plan`
//! puts both together and into words, `apply` lets the worker go over to it, `reloader` is the way in from outside.
//!
//! The order of going over is always the same: everything counted is sealed; the spool moves places to new names in one
//! transaction; only then the sources change. A crash in between is a restart with the new file, which finds the same.

mod apply;
mod pairing;
mod plan;
mod reloader;
mod restart;
#[cfg(test)]
mod tests;

pub use apply::Pending;
pub use pairing::{Pairing, moves, readings};
pub use plan::{Fate, Plan};
pub use reloader::Reloader;
