//! The `probe` source: whether a service answers, and as expected.
//!
//! In reading order: `config` reads what the user wrote; `kinds` are the ways to ask, one folder or file each, over what they
//! share of the network in `net`; `run` asks at the right time beside the worker, `source` takes in what was found, `facts`
//! tells. What an answer is worth, and when to ask, is decided in the agent's core.

mod config;
mod facts;
mod kinds;
mod net;
mod run;
mod source;
#[cfg(test)]
mod tests;

pub use config::ProbeSourceSettings;
pub use kinds::{Asking, ProbeKind, Prober, Target};
pub use source::ProbeSource;
