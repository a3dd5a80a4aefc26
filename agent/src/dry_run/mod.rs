//! The dry run: what a configuration would make of logs, shown and neither sent nor stored.
//!
//! In reading order: `options` is what may be typed, `plan` decides which sources read what, `reading` is one source
//! being read by the very code of the live agent, `gather` adds up what it seals, `assemble` makes a `report` of that
//! and of what its lines showed, and `advice` says what could be done about it. `layout`, `words`, `sheet` and `show` make a
//! table of a report, `screen` draws it while it grows, and `run` is the loop around all of them.
//!
//! Knows no spool, no delivery and no admin endpoint: nothing here can write to disk or open a socket.

mod advice;
mod assemble;
mod gather;
mod layout;
mod options;
mod plan;
mod reading;
#[cfg(test)]
mod recipes;
mod report;
mod run;
mod screen;
mod sheet;
mod show;
#[cfg(test)]
mod tests;
mod words;

pub use options::DryRunOptions;
pub use run::run;
