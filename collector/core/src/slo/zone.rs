//! Local days and hours, for calendar periods and weekly hours.
//!
//! Owns which moment a local day or hour begins where our time has no such moment: at its ends. What zones there are is
//! told by the model.

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use watchkeeper_model::{Timestamp, Zone};

/// When it was this time in a zone.
pub(super) fn instant(zone: &Zone, local: DateTime) -> Timestamp {
    // Only years that 64 bits of nanoseconds don't reach have none.
    zone.instant(local).map_or(Timestamp::MAX, Timestamp::from_jiff)
}

/// When a day begins in a zone.
pub(super) fn midnight(zone: &Zone, day: Date) -> Timestamp {
    instant(zone, day.at(0, 0, 0, 0))
}

/// A day in a zone: its midnight and the next one.
pub(crate) fn day_in(zone: &Zone, day: Date) -> (Timestamp, Timestamp) {
    (midnight(zone, day), midnight(zone, day.saturating_add(1.day())))
}
