//! The `process` source on real processes, on a `/proc` made by hand, and on supervisors that are played.
//!
//! systemd and launchd do not run where tests do. What they would say is in the forms of their manuals, given out by scripts
//! in the place of their programs.

mod config;
mod lives;
mod scene;
pub(super) mod strange;
mod supervisors;
