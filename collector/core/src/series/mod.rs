//! Observed series: conditions over labels, thresholds, statistics and rolling windows.
//!
//! In reading order: `filter` asks about labels, `observed` is what the intake hands over, `threshold` is a value a
//! person wrote, `stat` turns a distribution into a number, `ring` keeps buckets of event time,
//! `involved` remembers who contributed.

mod filter;
mod involved;
mod observed;
mod ring;
mod stat;
mod threshold;

pub use filter::Filter;
pub use involved::Involved;
pub use observed::Observed;
pub use ring::{FUTURE, Part, Ring, granularity};
pub use stat::{Measure, Op, Stat};
pub use threshold::Threshold;
