//! Service level objectives: judging observations, error budgets and burn rates.
//!
//! In reading order: `counts` add up, `settings` judge, `tier` says which burn rates matter, `budget` keeps the counts
//! of one SLO and evaluates them, `hindsight` finds what burned in the past.

mod budget;
mod counts;
mod hindsight;
mod settings;
mod tier;

pub use budget::{Budget, Evaluation, SloState, TierState};
pub use counts::{Counts, Judged};
pub use hindsight::{Breach, Hindsight};
pub use settings::{BUCKET, Objective, SloSettings, SloWindow};
pub use tier::{LeftOut, Tier, TierSeverity};
