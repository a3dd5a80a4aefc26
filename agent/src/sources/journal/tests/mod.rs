//! The `journal` source on real journals, made by systemd-journal-remote and read by `journalctl`.
//!
//! In reading order: `worker` is an agent's worker in a test, `config` reads sections, `journals` reads entries through
//! restarts, kills and damage, `process` minds the life of `journalctl`. The bookkeeping itself is tested in the core.

mod config;
mod journals;
mod process;
mod worker;

pub(super) use worker::settings;
