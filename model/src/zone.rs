//! Time zones of the IANA database.
//!
//! Owns which zones there are, and which moment a local time is. Zones come from the table that is built in, never from
//! the machine, so that a line and a configuration mean the same everywhere.

use jiff::Zoned;
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::time::Timestamp;

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

    /// The names of all zones.
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|zone| zone.to_string()).collect()
    }

    /// Its name, `Europe/Berlin`.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// This moment as it is told here.
    pub fn zoned(&self, at: Timestamp) -> Zoned {
        at.to_jiff().to_zoned(self.0.clone())
    }

    /// The day that it is here at this moment.
    pub fn date(&self, at: Timestamp) -> Date {
        self.0.to_datetime(at.to_jiff()).date()
    }

    /// When it was this time here, in the calendar library's type; none where that ends. Of a time that came twice, as
    /// clocks went back, it is the first; one that was skipped, as they went forward, counts on from before: the rule
    /// "compatible" of RFC 5545.
    pub fn instant(&self, local: DateTime) -> Option<jiff::Timestamp> {
        self.0.to_ambiguous_timestamp(local).compatible().ok()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_name() {
        assert_eq!(Zone::named("UTC"), Some(Zone::UTC));
        assert_eq!(Zone::UTC.name(), "UTC");
        for name in ["Europe/Berlin", "America/Argentina/Buenos_Aires"] {
            assert_eq!(Zone::named(name).unwrap().name(), name);
            assert!(Zone::names().iter().any(|known| known == name), "{name}");
        }
        for wrong in ["Europe/Berln", "Mars/Olympus Mons", ""] {
            assert_eq!(Zone::named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn local_times_that_came_twice_or_not_at_all_are_decided() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for (local, utc) in [
            ("2026-07-01T12:00:00", "2026-07-01T10:00:00Z"),
            ("2026-12-01T12:00:00", "2026-12-01T11:00:00Z"),
            ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
            ("1970-01-01T01:00:00", "1970-01-01T00:00:00Z"),
            ("2090-07-01T12:00:00", "2090-07-01T10:00:00Z"),
        ] {
            let at = berlin.instant(local.parse().unwrap()).unwrap();
            assert_eq!(at.to_string(), utc, "{local}");
            assert_eq!(berlin.date(Timestamp::from_jiff(at)).to_string(), local[..10]);
        }
    }
}
