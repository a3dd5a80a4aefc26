//! A receiver of any make: Alertmanager's webhook, version 4.
//!
//! Owns that body, its headers and which answers are worth a retry. Signs bodies in
//! the way of Standard Webhooks where a secret is given. Never decides what is told.

mod client;
mod config;
mod facts;
mod payload;
mod signature;

pub use client::Webhook;
pub use config::{WebhookConfig, WebhookSettings};

#[cfg(test)]
mod tests;
