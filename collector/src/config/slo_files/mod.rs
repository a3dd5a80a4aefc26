//! SLO files of others, read as they are: OpenSLO v1, and Sloth's `prometheus/v1`.
//!
//! Owns what each of their words means here: a document becomes entries of `slos` in our own words, each with the place
//! where it was said, and `slos` judges them like any other. Never asks other systems for metrics: an indicator that is not
//! ours is refused by name. docs/openslo.md says all of it to users.
//!
//! In reading order: `format` tells documents apart, `entry` is an SLO in our words and `meta` its labels and annotations,
//! `openslo` and `sloth` are the two languages.

mod entry;
mod format;
mod meta;
mod openslo;
mod sloth;

#[cfg(test)]
mod tests;

pub use format::{SloFile, SloFormat, check_slo_file};

pub(super) use format::{read, refuse_included};
