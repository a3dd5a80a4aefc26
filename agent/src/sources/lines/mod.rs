//! What every source of lines says about its lines: their format, their time, what is counted and what is kept.
//!
//! No source itself: `tail` and its like take these keys into their own sections, so that a line means the same wherever it
//! comes from. In reading order: `config` reads the keys, `format`, `time`, `signal` and `event` one each, `known` knows which
//! fields there are, `name` checks names.

mod config;
mod event;
mod format;
mod known;
mod name;
mod signal;
#[cfg(test)]
mod tests;
mod time;

pub use config::{KEYS, read};
pub(in crate::sources) use time::read_zone;
