//! The `journal` source: entries of systemd's journal.
//!
//! In reading order: `config` reads what the user wrote, `command` words the call of `journalctl`, `queue` is what waits
//! between its output and the worker, `reader` is one `journalctl` as a process, `access` looks at what of the journal
//! may be read, `source` drives, `facts` tells. What is decided is decided in the agent's core.
//!
//! The journal is read by `journalctl` and not by its library: that would need unsafe code and a C library, and a
//! damaged journal could take the agent down with it.

mod access;
mod command;
mod config;
mod facts;
mod queue;
mod reader;
mod source;
#[cfg(test)]
mod tests;

pub use config::JournalSourceSettings;
pub use source::JournalSource;
