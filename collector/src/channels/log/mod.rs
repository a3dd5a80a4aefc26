//! The collector's own log, and a file of JSON lines: for trying things out, and for a record that needs no network.
//!
//! Owns how a notification reads as one line. Never opens a connection and never blocks a worker.

mod client;
mod config;
mod facts;
mod payload;

pub use client::Log;
pub use config::{LogConfig, LogSettings};

#[cfg(test)]
mod tests;
