//! Slack, by incoming webhook or as an app.
//!
//! Owns what a person sees there, within Slack's limits, and the meaning of its answers. A webhook returns no message
//! id, so its messages are neither changed nor threaded: an update is a new message. An app keeps one message for each
//! incident up to date, and tells in its thread what has changed.

mod facts;
mod markup;

mod alert;
mod listing;
mod payload;
mod preview;

mod memory;

mod change;

mod answer;
mod app;
mod client;
mod config;

pub use client::Slack;
pub use config::{SlackConfig, SlackSettings};
pub use preview::preview;

#[cfg(test)]
mod tests;
