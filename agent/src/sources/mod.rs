//! Where the agent observes: one folder for each kind of source, registered in `registry`.
//!
//! A source does bounded work when it is polled, counts into the accumulator it is given, and says what to store with
//! the seal that covers it. Sources know neither the spool nor the collector.

mod registry;
mod source;
pub mod tail;
mod wake;

pub use registry::{SourceSettings, build, read};
pub use source::{Checkpoint, Health, Position, Progress, Source, Stored};
pub use wake::{Waker, Wakes};
