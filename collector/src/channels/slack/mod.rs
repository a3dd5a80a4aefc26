//! Slack by incoming webhook.
//!
//! Owns what a person sees there, within Slack's limits, and the meaning of its answers. A webhook returns no message
//! id, so messages are neither changed nor threaded: an update is a new message.

mod facts;
mod markup;

mod alert;
mod listing;
mod payload;
mod preview;

mod client;
mod config;

pub use client::Slack;
pub use config::{SlackConfig, SlackSettings};
pub use preview::preview;
