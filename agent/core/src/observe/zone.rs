//! The time zone of times that do not say one.
//!
//! Owns which moment a local time is. Zones come from the table that is built in, never from the machine, so that a line
//! means the same everywhere.

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
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

    /// When it was this time here, if 64 bits of nanoseconds reach there. Of a time that came twice, as clocks went
    /// back, it is the first; one that was skipped, as they went forward, counts on from before: the rule "compatible"
    /// of RFC 5545.
    pub(super) fn instant(&self, local: DateTime) -> Option<Timestamp> {
        instant(self.0.to_ambiguous_timestamp(local).compatible().ok()?)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

/// The same moment in our type.
pub(super) fn instant(at: jiff::Timestamp) -> Option<Timestamp> {
    i64::try_from(at.as_nanosecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_name_and_slips_recognised() {
        assert_eq!(Zone::named("UTC"), Some(Zone::UTC));
        assert!(Zone::named("Europe/Berlin").is_some());
        assert!(Zone::named("America/Argentina/Buenos_Aires").is_some());
        for (wrong, meant) in
            [("Europe/Berln", Some("Europe/Berlin")), ("Mars/Olympus Mons", None), ("", None)]
        {
            assert_eq!(Zone::named(wrong), None, "{wrong}");
            assert_eq!(Zone::closest(wrong).as_deref(), meant, "{wrong}");
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
            assert_eq!(at.rfc3339(), utc, "{local}");
        }
        assert_eq!(berlin.instant("9999-01-01T00:00:00".parse().unwrap()), None);
    }
}
