//! The operator's command: asks a collector, checks files, and shows the whole product in one process.
//!
//! Owns what people type and what they see. Never decides anything about alerts or counts, and never reads a
//! collector's files behind its back: everything shown comes over its HTTP API.
//!
//! In reading order: `args` is what may be typed and `context` what every command gets; `api` asks the collector and
//! knows its answers; `terminal` draws them; each command stands in `commands`; `beat` tells an agent of a job; `demo` runs agent and collector
//! together, `replay` asks both of the past, and `scenario` tries what
//! people expect.

mod api;
mod args;
mod beat;
mod commands;
mod context;
mod demo;
mod replay;
mod scenario;
mod terminal;

pub use args::run;
