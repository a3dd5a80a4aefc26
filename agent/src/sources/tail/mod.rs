//! The `tail` source: lines of files.
//!
//! In reading order: `config` reads what the user wrote, `given` gives the fields that do not come from the line, `disk` answers what tailing asks about the file system,
//! `hints` listens for changes as a reason to look sooner, `source` drives, `facts` tells. What is decided is decided in
//! the agent's core.

mod config;
mod disk;
mod facts;
mod given;
mod hints;
mod source;
#[cfg(test)]
mod tests;

pub use config::TailSourceSettings;
pub use source::TailSource;
