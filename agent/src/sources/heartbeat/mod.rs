//! The `heartbeat` source: whether jobs run when they should, by what they say themselves.
//!
//! In reading order: `config` reads what the user wrote; `beats` is where the admin endpoint leaves what jobs say; `source`
//! takes it there and answers when it is durable; `facts` tells. What becomes of a run is decided in the agent's core.

mod beats;
mod config;
mod facts;
mod source;
#[cfg(test)]
mod tests;

pub use beats::{Beats, Heard, Unheard};
pub use config::HeartbeatSourceSettings;
pub use source::HeartbeatSource;
