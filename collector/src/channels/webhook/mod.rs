//! A receiver of any make: Alertmanager's webhook, version 4.
//!
//! Owns that body, its headers and which answers are worth a retry. Never signs bodies yet.

mod client;
mod config;
mod facts;
mod payload;

pub use client::Webhook;
pub use config::{WebhookConfig, WebhookSettings};
