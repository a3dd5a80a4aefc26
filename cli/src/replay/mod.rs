//! `replay`: the engine asked of the past.
//!
//! The agent's own code reads the files of an agent's sources, the collector's own code judges what was counted, in
//! virtual time and as fast as it goes. In reading order: `faults` are known ones to compare with; `play` leads counts
//! to the rehearsal and `record` keeps what came of them, with `presence` of data; `against` compares; `report` is the
//! answer and `draw` shows it; `bar` tells how far it is, `stop` hears signals, and `run` is the loop around all of
//! them.
//!
//! Nothing here opens a socket or writes a file.

mod against;
mod bar;
mod draw;
mod faults;
mod play;
mod presence;
mod record;
mod report;
mod run;
mod stop;
#[cfg(test)]
mod tests;

pub(crate) use run::{Args, run};
