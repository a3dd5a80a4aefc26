//! The `process` source: whether a process runs, what it takes, and how it ends.
//!
//! In reading order: `config` reads what the user wrote; `table` is what the system tells of its processes, in the words of `seen`; `whom` says which
//! are meant, by a `pidfile`, a match (`matching`) or a supervisor (`unit`), which is asked through `ask`; `death` waits
//! for ends; `source` drives, `facts` tells. What is decided is decided in the agent's core.

mod ask;
mod config;
mod death;
mod facts;
mod matching;
mod pidfile;
mod seen;
mod source;
#[cfg_attr(not(target_os = "linux"), path = "table_elsewhere.rs")]
mod table;
#[cfg(test)]
mod tests;
mod unit;
mod whom;

pub use config::{ProcessSourceSettings, Target};
pub use source::ProcessSource;
