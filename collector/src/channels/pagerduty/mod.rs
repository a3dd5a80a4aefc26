//! PagerDuty by its Events API, version 2.
//!
//! Owns the event that opens an incident there and the one that resolves it, within PagerDuty's limits, and the meaning
//! of its answers. Never acknowledges: that is for people.

mod config;
mod facts;

mod details;
mod payload;

mod client;

pub use client::PagerDuty;
pub use config::{PagerDutyConfig, PagerDutySettings};

#[cfg(test)]
mod tests;
