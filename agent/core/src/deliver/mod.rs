//! Delivery: what to send, what to send again, when to give up on a connection.
//!
//! Owns the agent's half of the protocol of `watchkeeper.v1.Intake`, on whichever road. Never opens a connection, reads
//! the spool or draws a random number: those are effects and inputs.

mod backoff;
mod lane;
mod present;
mod sender;

pub use backoff::Backoff;
pub use sender::{
    Effect, Farewell, Input, Lane, Offer, Outcome, RowId, Sender, Settled, StreamAnswer,
};
