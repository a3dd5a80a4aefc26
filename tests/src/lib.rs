//! End-to-end tests: harness, fakes, and the commands that measure.
//!
//! Owns everything that starts the real programs. They run as processes, as a user starts them, on free ports of
//! loopback; whatever was started is stopped by its process id.

pub mod fakes;
pub mod harness;
