//! The `tail` source: lines of files.
//!
//! In reading order: `config` reads what the user wrote, `given` gives the fields that do not come from the line, `disk`
//! answers what tailing asks about the file system, `links` finds where logs lie that are reached by links, `gzip` is a compressed file as the bytes in it, `past` finds files to be read for what they say of
//! the past, `pipe` is a stream as if it were a file, `hints` listens for changes as a reason to look sooner, `source` drives, `facts` tells. What is
//! decided is decided in
//! the agent's core.

#[cfg(test)]
mod compressed_tests;
mod config;
mod disk;
#[cfg(test)]
mod disk_tests;
mod facts;
mod given;
mod gzip;
mod hints;
#[cfg(test)]
mod link_tests;
mod links;
mod past;
mod pipe;
#[cfg(test)]
mod reconfigure_tests;
mod source;
#[cfg(test)]
mod tests;

pub use config::TailSourceSettings;
pub(in crate::sources) use config::pattern;
pub(crate) use past::{Beginning, PastFile, PastFiles};
pub(crate) use pipe::Pipe;
pub(crate) use source::TailSource;
