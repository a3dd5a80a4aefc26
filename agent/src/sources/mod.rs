//! Where the agent observes: one folder for each kind of source, registered in `registry`; `lines` is what those that
//! read lines have in common.
//!
//! A source does bounded work when it is polled, counts into the accumulator it is given, and says what to store with
//! the seal that covers it. Sources know neither the spool nor the collector.

pub mod journal;
pub mod lines;
mod registry;
mod source;
pub mod tail;
mod wake;

pub use registry::{SourceConfig, SourceSettings, build, read};
pub use source::{Checkpoint, Health, Inspection, Progress, Source, Stored};
pub use wake::{Waker, Wakes};
