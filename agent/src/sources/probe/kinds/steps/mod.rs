//! Probing by a journey: several requests, one after the other, that carry on what they were told.
//!
//! In reading order: `config` reads the steps, `prober` goes them.

mod config;
mod prober;

pub(super) use config::StepsProbe;
