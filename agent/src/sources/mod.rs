//! Where the agent observes: one folder for each kind of source, registered in `registry`; `lines` is what those that
//! read lines have in common, `head` what those say that
//! look again and again, and `beside` where a source does what may take long.
//!
//! A source does bounded work when it is polled, counts into the accumulator it is given, and says what to store with
//! the seal that covers it. Sources know neither the spool nor the collector.

mod beside;
mod head;
pub mod heartbeat;
pub mod host;
pub mod journal;
pub mod lines;
pub mod probe;
pub mod process;
mod registry;
mod soon;
mod source;
pub mod tail;
mod wake;
pub mod watch;

pub use beside::{Beside, Errand, Lost};
pub use registry::{Kind, SourceConfig, SourceSettings, build, read};
pub use soon::Soon;
pub use source::{Checkpoint, Health, Inspection, Progress, Source, Stored};
pub use wake::{Waker, Wakes};
