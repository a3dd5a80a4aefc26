//! Which time a report is about: two moments, or a period by its name.
//!
//! Owns the names (`2026`, `2026-10`, `2026-Q3`, `2026-W45`, `2026-11-22`, `last-month`, `yesterday`), where they begin in a
//! zone, and what may be asked for. Never reads a clock.

use std::time::Duration;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::Timestamp;

use crate::slo::{BUCKET, Calendar, CalendarUnit, Zone, day_in};

/// No report is about more: counts are kept no longer by default.
pub const MAX_PERIOD: Duration = Duration::from_secs(400 * 86_400);

/// What is reported on if nobody says: so long until now.
const DEFAULT_PERIOD: Duration = Duration::from_secs(30 * 86_400);

/// What somebody asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedPeriod {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Until this one, not included.
    pub to: Option<Timestamp>,
    /// Or a period by its name.
    pub period: Option<String>,
    /// Where it is that day or hour; UTC if absent.
    pub zone: Option<String>,
}

/// Why there is no such period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodProblem {
    /// Which part of the question is wrong.
    pub parameter: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A stretch of time in whole buckets of five minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends, not included; may lie ahead.
    pub to: Timestamp,
    /// Its name, if it was asked for by that.
    pub name: Option<String>,
    /// Where people read the times in it.
    pub zone: Zone,
}

impl AskedPeriod {
    /// The period that is meant, its edges rounded outward to five minutes.
    ///
    /// # Errors
    /// If there is none, it has not begun, or is longer than [`MAX_PERIOD`].
    pub fn resolve(&self, now: Timestamp) -> Result<Period, PeriodProblem> {
        let zone = self.zone()?;
        let (from, to) = match &self.period {
            Some(name) => self.named(name, &zone, now)?,
            None => {
                let to = self.to.unwrap_or(now);
                (self.from.unwrap_or(to - DEFAULT_PERIOD), to)
            }
        };
        let parameter = if self.period.is_some() { "period" } else { "from" };
        if from >= to {
            return problem("to", "to is not after from");
        }
        if from > now {
            return problem(parameter, "this period has not begun: nothing is counted yet");
        }
        if to.since(from) > MAX_PERIOD {
            let days = MAX_PERIOD.as_secs() / 86_400;
            return problem(parameter, format!("longer than {days} days: ask for a part of it"));
        }
        let (from, end) = (from.floor(BUCKET), to.floor(BUCKET));
        let to = if end < to { end + BUCKET } else { end };
        Ok(Period { from, to, name: self.period.clone(), zone })
    }

    fn zone(&self) -> Result<Zone, PeriodProblem> {
        let Some(name) = &self.zone else { return Ok(Zone::UTC) };
        Zone::named(name).ok_or_else(|| {
            let names = Zone::names();
            let meant = closest(name, names.iter().map(String::as_str)).map_or_else(
                || "expected one of the IANA database, as Europe/Berlin".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            let problem = format!("no time zone is named {name:?}: {meant}");
            PeriodProblem { parameter: "zone", problem }
        })
    }

    fn named(
        &self,
        name: &str,
        zone: &Zone,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), PeriodProblem> {
        if self.from.is_some() || self.to.is_some() {
            return problem("period", "either period, or from and to");
        }
        calendar_period(name, zone)
            .or_else(|| relative_period(name, zone, now))
            .map_or_else(|| problem("period", unknown(name)), Ok)
    }
}

impl Period {
    /// Its end as far as it has come.
    pub fn end_by(&self, now: Timestamp) -> Timestamp {
        self.to.min(now).max(self.from)
    }
}

fn problem<T>(parameter: &'static str, problem: impl Into<String>) -> Result<T, PeriodProblem> {
    Err(PeriodProblem { parameter, problem: problem.into() })
}

fn unknown(name: &str) -> String {
    format!(
        "period is {name:?}: expected 2026, 2026-10, 2026-Q3, 2026-W45, 2026-11-22, today, yesterday, or this- or last- and \
         week, month, quarter or year"
    )
}

/// `2026`, `2026-10`, `2026-Q3`, `2026-W45`, `2026-11-22`.
fn calendar_period(name: &str, zone: &Zone) -> Option<(Timestamp, Timestamp)> {
    let (year, rest) = match name.split_once('-') {
        Some((year, rest)) => (year, Some(rest)),
        None => (name, None),
    };
    // Others can't be counted in 64 bits of nanoseconds.
    let year = i16::try_from(digits(year, 4)?).ok().filter(|year| (1970..2200).contains(year))?;
    let number = |text: &str, n| i8::try_from(digits(text, n)?).ok();
    let (unit, day) = match rest {
        None => (CalendarUnit::Year, Date::new(year, 1, 1).ok()?),
        Some(rest) => {
            match (rest.strip_prefix('Q'), rest.strip_prefix('W'), rest.split_once('-')) {
                (Some(quarter), _, _) => {
                    let first = number(quarter, 1).filter(|n| (1..=4).contains(n))? * 3 - 2;
                    (CalendarUnit::Quarter, Date::new(year, first, 1).ok()?)
                }
                (_, Some(week), _) => {
                    let monday = ISOWeekDate::new(year, number(week, 2)?, Weekday::Monday).ok()?;
                    (CalendarUnit::Week, monday.date())
                }
                (_, _, Some((month, day))) => {
                    let day = Date::new(year, number(month, 2)?, number(day, 2)?).ok()?;
                    return Some(day_in(zone, day));
                }
                _ => (CalendarUnit::Month, Date::new(year, number(rest, 2)?, 1).ok()?),
            }
        }
    };
    Some(Calendar { unit, zone: zone.clone() }.period(day_in(zone, day).0))
}

/// `today`, `yesterday`, `this-month`, `last-week`.
fn relative_period(name: &str, zone: &Zone, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let today = zone.date(now);
    match name {
        "today" => return Some(day_in(zone, today)),
        "yesterday" => return Some(day_in(zone, today.yesterday().ok()?)),
        _ => {}
    }
    let (which, unit) = name.split_once('-')?;
    let unit = CalendarUnit::ALL.into_iter().find(|known| known.as_str() == unit)?;
    let calendar = Calendar { unit, zone: zone.clone() };
    let this = calendar.period(now);
    match which {
        "this" => Some(this),
        "last" => Some(calendar.period(this.0.shifted(-1))),
        _ => None,
    }
}

/// Exactly so many digits.
fn digits(text: &str, n: usize) -> Option<u32> {
    let fits = text.len() == n && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_jiff(text.parse().unwrap())
    }

    fn asked(period: &str, zone: &str) -> AskedPeriod {
        let (period, zone) = (Some(period.to_owned()), Some(zone.to_owned()));
        AskedPeriod { period, zone, ..AskedPeriod::default() }
    }

    #[test]
    fn names_are_periods_where_people_live() {
        // A Monday; in New York it is still Sunday.
        let now = at("2026-11-23T04:30:00Z");
        for (name, zone, from, to) in [
            ("2025", "UTC", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            // Clocks go back in October and forward in March.
            ("2026-10", "Europe/Berlin", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
            ("2026-03", "Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"),
            ("2026-Q3", "UTC", "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z"),
            ("2026-Q4", "America/New_York", "2026-10-01T04:00:00Z", "2027-01-01T05:00:00Z"),
            ("2026-W45", "UTC", "2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z"),
            // The first week of a year may begin in the one before; in it clocks change.
            ("2026-W01", "UTC", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
            ("2026-W43", "Europe/Berlin", "2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z"),
            // 25 hours and 23.
            ("2026-10-25", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            // Midnight was skipped.
            ("2024-04-26", "Africa/Cairo", "2024-04-25T22:00:00Z", "2024-04-26T21:00:00Z"),
            ("2026-11-22", "Asia/Kathmandu", "2026-11-21T18:15:00Z", "2026-11-22T18:15:00Z"),
            ("today", "UTC", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"),
            ("today", "America/New_York", "2026-11-22T05:00:00Z", "2026-11-23T05:00:00Z"),
            ("yesterday", "UTC", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("this-week", "UTC", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("this-week", "America/New_York", "2026-11-16T05:00:00Z", "2026-11-23T05:00:00Z"),
            ("last-week", "UTC", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("last-month", "Europe/Berlin", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
            ("last-quarter", "UTC", "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z"),
            ("last-year", "UTC", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("this-year", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            let found = asked(name, zone).resolve(now).unwrap_or_else(|e| panic!("{name}: {e:?}"));
            assert_eq!((found.from, found.to), (at(from), at(to)), "{name} {zone}");
            assert_eq!(found.name.as_deref(), Some(name));
        }
    }

    #[test]
    fn moments_are_rounded_outward_and_have_a_default() {
        let now = at("2026-11-23T04:32:10Z");
        let moments = |from: Option<&str>, to: Option<&str>| AskedPeriod {
            from: from.map(at),
            to: to.map(at),
            ..AskedPeriod::default()
        };
        for (from, to, begins, ends) in [
            (None, None, "2026-10-24T04:30:00Z", "2026-11-23T04:35:00Z"),
            (Some("2026-11-23T04:00:01Z"), None, "2026-11-23T04:00:00Z", "2026-11-23T04:35:00Z"),
            (None, Some("2026-11-01T00:00:00Z"), "2026-10-02T00:00:00Z", "2026-11-01T00:00:00Z"),
            (
                Some("2026-11-22T00:04:59Z"),
                Some("2026-11-22T00:05:01Z"),
                "2026-11-22T00:00:00Z",
                "2026-11-22T00:10:00Z",
            ),
        ] {
            let found = moments(from, to).resolve(now).unwrap();
            assert_eq!((found.from, found.to), (at(begins), at(ends)), "{from:?} {to:?}");
        }
    }

    #[test]
    fn what_is_no_period_is_told_what_would_be() {
        let now = at("2026-11-23T04:30:00Z");
        for (asked, parameter, says) in [
            (asked("2026-13", "UTC"), "period", "2026-Q3"),
            (asked("2026-1", "UTC"), "period", "2026-10"),
            (asked("2026-Q5", "UTC"), "period", "2026-Q3"),
            (asked("2026-W54", "UTC"), "period", "2026-W45"),
            (asked("2025-W53", "UTC"), "period", "2026-W45"),
            (asked("2026-02-29", "UTC"), "period", "2026-11-22"),
            (asked("last-decade", "UTC"), "period", "week, month"),
            (asked("next-month", "UTC"), "period", "last-"),
            (asked("9999", "UTC"), "period", "2026"),
            (asked("", "UTC"), "period", "yesterday"),
            (asked("2027-01", "UTC"), "period", "not begun"),
            (asked("2026-10", "Europe/Berln"), "zone", "did you mean Europe/Berlin?"),
            (asked("2026-10", "Mars/Olympus"), "zone", "IANA"),
            (AskedPeriod { from: Some(now), ..asked("2026-10", "UTC") }, "period", "either"),
            (AskedPeriod { from: Some(now), ..AskedPeriod::default() }, "to", "not after"),
            (
                AskedPeriod {
                    from: Some(now + Duration::from_secs(60)),
                    to: Some(now + Duration::from_secs(90)),
                    ..AskedPeriod::default()
                },
                "from",
                "not begun",
            ),
            (
                AskedPeriod { from: Some(at("2025-10-19T00:00:00Z")), ..AskedPeriod::default() },
                "from",
                "400 days",
            ),
        ] {
            let problem = asked.resolve(now).unwrap_err();
            assert_eq!(problem.parameter, parameter, "{asked:?}: {problem:?}");
            assert!(problem.problem.contains(says), "{asked:?}: {problem:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_period_or_a_problem(text in "\\PC{0,12}|[0-9]{4}(-[QW]?[0-9]{1,2}){0,2}") {
            let now = at("2026-11-23T04:30:00Z");
            if let Ok(period) = asked(&text, "Europe/Berlin").resolve(now) {
                prop_assert!(period.from < period.to && period.from <= now);
                prop_assert!(period.to.since(period.from) <= MAX_PERIOD + BUCKET * 2);
            }
        }
    }
}
