//! How receivers are told: one folder per channel, one trait, one place where channels are registered.
//!
//! Owns the wire forms of notifications and the meaning of every answer. Never decides whether, when or how often
//! something is told: the engine decides the first, `dispatch` the rest. A channel knows nothing of queues, retries
//! or the ledger, and keeps no state between two calls but its connections and, in short, who of several people has been
//! told of a delivery that is not done.
//!
//! To add one: make its folder (`config.rs`, `client.rs`, `payload.rs`, `facts.rs`) and one line in `registry.rs`,
//! and a peer that can misbehave in `promises.rs` or, for HTTP, a row in `conformance.rs`.

mod error;
mod http;
mod http_config;
pub(crate) mod text;
mod tls;

pub mod channel;
pub mod email;
pub mod log;
pub mod pagerduty;
pub mod registry;
pub mod slack;
pub mod webhook;

pub use channel::{Channel, Pace};
pub use error::{Cause, Delivered, DeliveryError};
pub use registry::{
    ChannelDefaults, ChannelSettings, Integration, IntegrationKey, IntegrationSettings,
    ReceiverSettings,
};

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fakes;
#[cfg(test)]
mod promises;
#[cfg(test)]
pub(crate) mod samples;
