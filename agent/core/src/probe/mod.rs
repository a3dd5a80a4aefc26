//! What is decided about probes: when to ask, what an answer is worth, and when that is more than a moment's weakness.
//!
//! In reading order: `reason` says why something is not as it should be; `seen` is what an attempt saw; `expect` holds
//! conditions against it; `verdict` makes one class and one reason of it; `confirm` turns classes into results and tells
//! turns; `schedule` says when to ask, `carried` what a journey carries
//! from step to step; `signals` names what is counted and `observer` counts it. Nothing here asks anybody.

mod carried;
mod confirm;
mod expect;
mod observer;
mod reason;
mod schedule;
mod seen;
mod signals;
mod verdict;

pub use carried::{Carried, Fill, UNIQUE, is_name as is_carried_name, wanted as wanted_of};
pub use confirm::{Confirm, ProbeResult, Standing, Taken};
pub use expect::{Broken, Expectations, Lacking};
pub use observer::{Finding, ProbeObserver};
pub use reason::{Failure, Reason};
pub use schedule::Schedule;
pub use seen::{Part, Said, Seen};
pub use verdict::{Class, Judged, Moment, judge, met};
