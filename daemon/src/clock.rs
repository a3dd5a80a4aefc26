//! The one place where the daemons read a clock.
//!
//! Owns the mapping between the model's time and tokio's. The cores are given `now`; everything else asks here.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use watchkeeper_model::Timestamp;

/// The longest that [`instant`] is ahead: a clock that was set back must not make a timer sleep for long.
const LONGEST: Duration = Duration::from_secs(3600);

/// The time by the system's clock.
pub fn now() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
        Err(before) => {
            Timestamp(i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n))
        }
    }
}

/// For how long this process has been asked, without the time in which the machine slept. Nobody can set it.
pub fn running() -> Duration {
    static SINCE: OnceLock<Instant> = OnceLock::new();
    SINCE.get_or_init(Instant::now).elapsed()
}

/// When `at` will be, for a timer: not before now, at most an hour ahead.
pub fn instant(at: Timestamp) -> tokio::time::Instant {
    tokio::time::Instant::now() + at.since(now()).min(LONGEST)
}
