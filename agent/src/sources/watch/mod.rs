//! The `watch` source: files as such, not what is in them.
//!
//! In reading order: `config` reads what the user wrote, `patterns` which paths are meant, name by name; `walk` looks at
//! them beside the worker, `hash` reads their content if asked to; `ear` listens for changes as a reason to look sooner;
//! `source` drives, `facts` tells. What changed, and whether all is as expected, is decided in the agent's core.

mod config;
mod ear;
mod facts;
mod hash;
mod patterns;
mod source;
#[cfg(test)]
mod tests;
mod walk;

pub use config::WatchSourceSettings;
pub use source::WatchSource;
