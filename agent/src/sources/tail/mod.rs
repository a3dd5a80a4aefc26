//! The `tail` source: lines of files, as JSON.
//!
//! In reading order: `config` reads what the user wrote, `disk` answers what tailing asks about the file system, `gzip`
//! is a compressed file as the bytes in it, `hints` listens for changes as a reason to look sooner, `source` drives, `facts` tells. What is decided is decided in
//! the agent's core.

#[cfg(test)]
mod compressed_tests;
mod config;
mod disk;
#[cfg(test)]
mod disk_tests;
mod facts;
mod gzip;
mod hints;
mod source;
#[cfg(test)]
mod tests;

pub use config::TailSourceSettings;
pub use source::TailSource;
