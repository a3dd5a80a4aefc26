//! Delivery workers: one for each integration of each receiver, so that none delays another.
//!
//! Owns when an attempt is made: order, retries, pace, breaker, drain. Decisions stand in `queue` and the modules before
//! it, which take `now` and touch nothing; `worker` and `receivers` carry them out. Never decides what is told or why:
//! the engine does, and hears of every attempt. A delivery that is not sent when the process ends is still in the
//! ledger and comes again.
//!
//! When many wait for a receiver that takes few, those of less than a page are told together in one message, if the channel
//! can: `queue` says when, `digest` what stands in it. Each of them has its own outcome all the same.
//!
//! A queue holds at most one opening, one waiting update and one closing of each incident: a newer update takes the
//! place of one still waiting, openings and closings are never dropped, so the number of open incidents bounds it.
//! [`IntegrationStatus::n_waiting`] reports its length.

mod backoff;
mod breaker;
mod delivery;
mod digest;
mod facts;
mod lanes;
mod meter;
mod queue;
mod receivers;
mod trial;
mod worker;

pub use backoff::Retry;
pub use breaker::BreakerSettings;
pub use delivery::{Delivery, Hold, Outcome};
pub use receivers::{Dispatch, DispatchSettings, IntegrationStatus};
pub use trial::{TRIAL_LIMIT, Trial, Tried, TriedStep, try_out};

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
