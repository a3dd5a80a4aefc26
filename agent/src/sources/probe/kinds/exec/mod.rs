//! Probing by running a program.
//!
//! In reading order: `config` reads what is run, `process` runs it and leaves nothing behind, `prober` says what came of it.

mod config;
mod prober;
mod process;

pub(super) use config::ExecProbe;
