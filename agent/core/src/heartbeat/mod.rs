//! Whether jobs run when they should, and how they end, by what they say themselves.
//!
//! In reading order: `schedule` says when a run is due; `beat` is what a job says; `book` decides what became of each run, and
//! that one which was due did not come; `row` stores what must survive a restart; `observer` counts and tells. Nothing here
//! reads a clock.

mod beat;
mod book;
mod observer;
mod row;
mod schedule;
#[cfg(test)]
mod tests;

pub use beat::{Beat, MAX_OUTPUT_BYTES, Word, is_run_id, tail_of};
pub use book::{Absence, Book, Change, JobResult, Plan};
pub use observer::HeartbeatObserver;
pub use schedule::{NoSchedule, Schedule};
