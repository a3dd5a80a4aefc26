//! Service level objectives: judging observations, error budgets and burn rates.
//!
//! In reading order: `counts` add up, `zone` and `calendar` say when periods begin, `method` what is good or bad, `settings`
//! judge, `tier` says which burn rates matter; `correction` is what a budget does not pay for and `excluded` the time that is
//! left out for it, `tally` keeps the counts of one SLO (`packed`), `forecast` says how they go on, `words` how a budget reads, `budget`
//! evaluates them, and `hindsight` finds what burned in the past.

mod budget;
mod calendar;
mod correction;
mod counts;
mod excluded;
mod forecast;
mod hindsight;
mod method;
mod packed;
mod settings;
mod tally;
mod tier;
mod words;
mod zone;

#[cfg(test)]
mod tests;

pub(crate) use budget::Sum;
pub use budget::{Budget, Evaluation, Share, SloState, TierState};
pub use calendar::{Calendar, CalendarUnit};
pub use correction::{Concerned, Correction, CorrectionRow, Ended, Weekly, When};
pub use counts::{Counts, Judged};
pub use excluded::Excluded;
pub use hindsight::{Breach, Hindsight};
pub use method::{Method, SliceObjective, Slices};
pub use settings::{BUCKET, Component, Objective, SloSettings, SloWindow, Stance};
pub use tally::{Over, Tally, View};
pub use tier::{LeftOut, Tier, TierSeverity};
pub use watchkeeper_model::Zone;
pub use words::budget_words;
pub(crate) use zone::day_in;
