//! Calendar periods: weeks, months, quarters and years where people live.
//!
//! Owns when a period begins and ends. Never reads a clock.

use std::fmt;
use std::time::Duration;

use jiff::ToSpan as _;
use jiff::civil::Date;
use watchkeeper_model::{Timestamp, Zone};

use super::zone::midnight;

const DAY: u64 = 86_400;

/// What a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarUnit {
    /// From Monday on, as ISO 8601 has it.
    Week,
    /// From the first of a month on.
    Month,
    /// From the first of January, April, July or October on.
    Quarter,
    /// From the first of January on.
    Year,
}

impl CalendarUnit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

/// One period after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// What a period is.
    pub unit: CalendarUnit,
    /// Whose midnight it begins at.
    pub zone: Zone,
}

impl Calendar {
    /// Where the period of `at` begins, and where the next one does. Both are local midnights, so a period with a change
    /// of clocks is an hour shorter or longer.
    pub fn period(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let (first, next) = self.days(self.zone.date(at));
        (midnight(&self.zone, first), midnight(&self.zone, next))
    }

    /// No period is longer.
    pub const fn longest(&self) -> Duration {
        // An hour more than the days where clocks go back; a day more is simple.
        let days = match self.unit {
            CalendarUnit::Week => 8,
            CalendarUnit::Month => 32,
            CalendarUnit::Quarter => 93,
            CalendarUnit::Year => 367,
        };
        Duration::from_secs(days * DAY)
    }

    fn days(&self, day: Date) -> (Date, Date) {
        let month = match self.unit {
            CalendarUnit::Week => {
                let first = day.saturating_sub(day.weekday().to_monday_zero_offset().days());
                return (first, first.saturating_add(1.week()));
            }
            CalendarUnit::Month => day.month(),
            CalendarUnit::Quarter => (day.month() - 1) / 3 * 3 + 1,
            CalendarUnit::Year => 1,
        };
        let first = Date::new(day.year(), month, 1).unwrap_or(day);
        let span = match self.unit {
            CalendarUnit::Month => 1.month(),
            CalendarUnit::Quarter => 3.months(),
            CalendarUnit::Week | CalendarUnit::Year => 1.year(),
        };
        (first, first.saturating_add(span))
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.unit.as_str(), self.zone.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_jiff(text.parse().unwrap())
    }

    #[test]
    fn periods_begin_at_local_midnights_whatever_clocks_do() {
        for (unit, zone, now, start, end) in [
            (
                CalendarUnit::Month,
                "UTC",
                "2026-11-30T23:59:59Z",
                "2026-11-01T00:00:00Z",
                "2026-12-01T00:00:00Z",
            ),
            (
                CalendarUnit::Month,
                "UTC",
                "2026-12-01T00:00:00Z",
                "2026-12-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                CalendarUnit::Month,
                "UTC",
                "2028-02-15T12:00:00Z",
                "2028-02-01T00:00:00Z",
                "2028-03-01T00:00:00Z",
            ),
            // Clocks go forward: 30 days and 23 hours.
            (
                CalendarUnit::Month,
                "Europe/Berlin",
                "2026-03-15T00:00:00Z",
                "2026-02-28T23:00:00Z",
                "2026-03-31T22:00:00Z",
            ),
            // Clocks go back: 31 days and an hour.
            (
                CalendarUnit::Month,
                "Europe/Berlin",
                "2026-10-31T22:59:59Z",
                "2026-09-30T22:00:00Z",
                "2026-10-31T23:00:00Z",
            ),
            // The 1st of November in Berlin is still the 31st of October in New York.
            (
                CalendarUnit::Month,
                "America/New_York",
                "2026-11-01T03:59:59Z",
                "2026-10-01T04:00:00Z",
                "2026-11-01T04:00:00Z",
            ),
            // A Sunday belongs to the week before; the week clocks change in has 167 hours.
            (
                CalendarUnit::Week,
                "Europe/Berlin",
                "2026-03-29T21:59:59Z",
                "2026-03-22T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                CalendarUnit::Week,
                "UTC",
                "2027-01-01T00:00:00Z",
                "2026-12-28T00:00:00Z",
                "2027-01-04T00:00:00Z",
            ),
            (
                CalendarUnit::Quarter,
                "UTC",
                "2026-12-31T23:00:00Z",
                "2026-10-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                CalendarUnit::Quarter,
                "Asia/Kolkata",
                "2026-05-02T00:00:00Z",
                "2026-03-31T18:30:00Z",
                "2026-06-30T18:30:00Z",
            ),
            (
                CalendarUnit::Year,
                "UTC",
                "2028-06-01T00:00:00Z",
                "2028-01-01T00:00:00Z",
                "2029-01-01T00:00:00Z",
            ),
        ] {
            let calendar = Calendar { unit, zone: Zone::named(zone).unwrap() };
            let found = calendar.period(at(now));
            assert_eq!(found, (at(start), at(end)), "{calendar} at {now}");
            assert!(found.1.since(found.0) <= calendar.longest(), "{calendar}");
        }
    }

    #[test]
    fn each_moment_of_ten_years_lies_in_its_period_and_periods_meet() {
        for zone in ["Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe"] {
            for unit in CalendarUnit::ALL {
                let calendar = Calendar { unit, zone: Zone::named(zone).unwrap() };
                let mut now = at("2015-01-01T00:00:00Z");
                let last = at("2025-01-01T00:00:00Z");
                let (_, mut meets) = calendar.period(now);
                while now < last {
                    let (start, end) = calendar.period(now);
                    assert!(start <= now && now < end, "{calendar} {now}");
                    assert!(end == meets || start == meets, "{calendar} {now}");
                    (meets, now) = (end, now + Duration::from_secs(17 * 3600));
                }
            }
        }
    }

    #[test]
    fn it_is_shown_with_its_zone() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(
            Calendar { unit: CalendarUnit::Month, zone }.to_string(),
            "month (Europe/Berlin)"
        );
    }
}
