//! Scenarios: what people expect of their SLOs, rules and receivers, tried in virtual time.
//!
//! In reading order: `moment` is time as a scenario tells it, `settings` what one consists of, `config` reads one from
//! a file, `given` makes observations of its stretches of traffic, `timeline` is what happened, `play` runs it on a rehearsal, and
//! `expect` holds what happened against what was expected, with the place of each expectation;
//! `run` does all of it.

mod config;
mod expect;
mod given;
mod moment;
mod play;
mod run;
mod settings;
#[cfg(test)]
mod tests;
mod timeline;

pub(crate) use run::try_out;
