//! Alerts that come and go: how long one is held that has come back too often.
//!
//! Owns the count of returns and the holding. Without it an alert that is met in every other ten seconds would open and
//! close an incident each time its group may speak; held, it is one incident that goes on until it has been calm for a
//! while.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::row::AlertRow;

/// It has come back if it begins again within so long of its end.
const WITHIN: Duration = Duration::from_secs(600);

/// Returns before it is held: somebody has heard of it three times by then.
const TOLERATED: u32 = 2;

/// How long it has to be calm the first time, twice as long each time it returns all the same, and at most.
const CALM: Duration = Duration::from_secs(300);
const CALM_AT_MOST: Duration = Duration::from_secs(1_800);

/// An alert begins: counts its return, or starts the count again.
pub(super) fn begun(row: &mut AlertRow, now: Timestamp) {
    let is_back = row.ends_at.is_some_and(|ended| now.since(ended) <= WITHIN);
    row.n_returns = if is_back { row.n_returns.saturating_add(1) } else { 0 };
}

/// How long it has to be calm before it is over; zero for one that does not flap.
pub fn calm_for(row: &AlertRow) -> Duration {
    let n_more = row.n_returns.checked_sub(TOLERATED);
    n_more.map_or(Duration::ZERO, |n| (CALM * (1 << n.min(8))).min(CALM_AT_MOST))
}
