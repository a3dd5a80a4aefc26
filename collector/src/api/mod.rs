//! The HTTP API: what people and programs ask, and the few things they may do.
//!
//! In reading order: `error` and `params` are how every request is read and refused, `endpoints` is the list of what there is
//! (and the description served as OpenAPI), `state` what handlers may touch, `json` the shapes of answers, then one file for
//! each thing that can be asked, and `router`. Never reads SQL and never decides: the store and the engine answer.
//!
//! Bounds: a URL is at most 8 KiB, a body 64 KiB, a request takes at most 10 s (a receiver's test 42 s, one at a time), four questions read the store at a time and
//! 64 may wait; beyond that the answer is 503.

mod agents;
mod alerts;
mod backup;
mod corrections;
mod dead_letters;
mod deliveries;
mod endpoints;
mod error;
mod events;
mod json;
mod openapi;
mod pages;
mod params;
mod query;
mod receivers;
mod reports;
mod router;
mod slos;
mod state;
mod status;

#[cfg(test)]
mod tests;

pub use router::router;
pub use slos::as_answer;
pub use state::{Acknowledged, ApiParts, ApiState, Corrected, Engine, EngineGone, Readiness};
