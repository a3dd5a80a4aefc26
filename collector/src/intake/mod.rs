//! Intake: from a message to durable counts and a receipt.
//!
//! Owns the way of a batch: decode, decide (core), judge, commit (store), then tell the engine and give the receipt.
//! Never gives a receipt before the commit. Each road is one file or folder beside this one; what all of them mean by an
//! agent's messages is in `session`.

mod agents;
pub mod amqp;
pub(crate) mod count;
#[cfg(test)]
mod flips;
pub mod grpc;
pub(crate) mod known;
mod receive;
#[cfg(test)]
pub(crate) mod restoring;
mod session;

pub(crate) use receive::base_values;
pub use receive::{Intake, IntakeSettings, Reply, Welcome};
