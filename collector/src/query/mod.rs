//! Questions to the counts: which series, which statistic, by which labels, over which stretch of time.
//!
//! In reading order: `ask` is the question, checked, `tally` what one statistic needs of many rows, `answer` what comes out
//! of running it over the store. Never knows HTTP or SQL.

mod answer;
mod ask;
mod tally;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Point, QueryError, Series, run};
pub use ask::{Ask, BadAsk, MAX_POINTS};
