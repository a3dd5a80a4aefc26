//! Time zones of the IANA database, for calendar periods and weekly hours.
//!
//! Owns which moment a local day or hour begins. Zones come from the table that is built in, never from the machine, so
//! that a configuration means the same everywhere.

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{ToSpan as _, Zoned};
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::Timestamp;

/// A time zone of the IANA database; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of this name, such as `Europe/Berlin`.
    pub fn named(name: &str) -> Option<Self> {
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    /// The name that was probably meant.
    pub fn closest(name: &str) -> Option<String> {
        let zones = TimeZoneDatabase::bundled();
        let names: Vec<String> = zones.available().map(|zone| zone.to_string()).collect();
        closest(name, names.iter().map(String::as_str)).map(str::to_owned)
    }

    /// Its name, `Europe/Berlin`.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// A day here: its midnight and the next one.
    pub(crate) fn day(&self, day: Date) -> (Timestamp, Timestamp) {
        let midnight = |day: Date| self.instant(day.at(0, 0, 0, 0));
        (midnight(day), midnight(day.saturating_add(1.day())))
    }

    /// This moment as it is told here.
    pub(crate) fn zoned(&self, at: Timestamp) -> Zoned {
        at.to_jiff().to_zoned(self.0.clone())
    }

    /// The day that it is here at this moment.
    pub(crate) fn date(&self, at: Timestamp) -> Date {
        self.0.to_datetime(at.to_jiff()).date()
    }

    /// When it was this time here. Of a time that came twice, as clocks went back, it is the first; one that was skipped,
    /// as they went forward, counts on from before: the rule "compatible" of RFC 5545.
    pub(super) fn instant(&self, local: DateTime) -> Timestamp {
        let found = self.0.to_ambiguous_timestamp(local).compatible();
        // Only years that 64 bits of nanoseconds don't reach have none.
        found.map_or(Timestamp::MAX, Timestamp::from_jiff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_name_and_slips_recognised() {
        assert_eq!(Zone::named("UTC").map(|zone| zone.name().to_owned()).as_deref(), Some("UTC"));
        assert_eq!(Zone::named("Europe/Berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::UTC.name(), "UTC");
        for (wrong, meant) in [("Europe/Berln", Some("Europe/Berlin")), ("Mars/Olympus", None)] {
            assert_eq!(Zone::named(wrong), None);
            assert_eq!(Zone::closest(wrong).as_deref(), meant);
        }
    }
}
