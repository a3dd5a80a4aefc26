//! The rows in which a period is shown: as fine as fits on a page.
//!
//! Owns where rows begin. Days, weeks and months begin at midnight where the reader lives, whatever clocks do; the first and
//! the last row may be cut off by the period.

use jiff::Zoned;
use watchkeeper_model::Timestamp;
use watchkeeper_model::time::SECOND;

use super::period::Period;
use crate::slo::{BUCKET, Calendar, CalendarUnit, Zone, day_in};

/// Rows of a table at most.
const MAX_ROWS: usize = 40;

/// How much time a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Five minutes.
    Bucket,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// From Monday on.
    Week,
    /// From the first of a month on.
    Month,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends, not included.
    pub to: Timestamp,
}

/// A period in rows, one after the other without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// How long a row is.
    pub step: Step,
    /// The rows, the first one first.
    pub rows: Vec<Row>,
}

impl Step {
    const ALL: [Self; 5] = [Self::Bucket, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// In one word: `day`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "5 minutes",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Where the row of `at` ends.
    fn next(self, at: Timestamp, zone: &Zone) -> Timestamp {
        let next = match self {
            Self::Bucket => at.floor(BUCKET) + BUCKET,
            Self::Hour => {
                let local = zone.zoned(at);
                let past = i64::from(local.minute()) * 60 + i64::from(local.second());
                at.shifted((3_600 - past) * SECOND)
            }
            Self::Day => day_in(zone, zone.date(at)).1,
            Self::Week => Calendar { unit: CalendarUnit::Week, zone: zone.clone() }.period(at).1,
            Self::Month => Calendar { unit: CalendarUnit::Month, zone: zone.clone() }.period(at).1,
        };
        // Rows go forward also where a zone's rules are strange.
        next.max(at + BUCKET)
    }

    /// What a row is called where it begins: `2026-11-22 Sun`, `02:00 CEST`.
    pub(super) fn label(self, row: &Row, zone: &Zone) -> String {
        let local: Zoned = zone.zoned(row.from);
        let pattern = match self {
            Self::Bucket | Self::Hour => "%Y-%m-%d %H:%M %Z",
            Self::Day => "%Y-%m-%d %a",
            Self::Week => "%G-W%V",
            Self::Month => "%Y-%m",
        };
        local.strftime(pattern).to_string()
    }
}

impl Division {
    /// The rows of a period up to `now`: the finest that are few enough.
    pub fn of(period: &Period, now: Timestamp) -> Self {
        let whole = |step| edges(step, period, period.to);
        let fits = |step: &Step| whole(*step).is_some_and(|rows| rows.len() <= MAX_ROWS);
        let step = Step::ALL.into_iter().find(fits).unwrap_or(Step::Month);
        let rows = edges(step, period, period.end_by(now)).unwrap_or_default();
        Self { step, rows }
    }

    /// The row in which a moment lies.
    pub(super) fn row_of(&self, at: Timestamp) -> Option<usize> {
        let after = self.rows.partition_point(|row| row.from <= at);
        let found = after.checked_sub(1)?;
        // What is still to come is counted with the last row: clocks of agents differ.
        (at < self.rows[found].to || after == self.rows.len()).then_some(found)
    }
}

/// The rows of a step from the period's beginning to `end`; `None` once there are too many.
fn edges(step: Step, period: &Period, end: Timestamp) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    let mut at = period.from;
    while at < end {
        let to = step.next(at, &period.zone).min(period.to);
        rows.push(Row { from: at, to });
        if rows.len() > MAX_ROWS {
            return None;
        }
        at = to;
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::super::period::AskedPeriod;
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_jiff(text.parse().unwrap())
    }

    fn period(asked: &str, zone: &str) -> Period {
        let zone = Some(zone.to_owned());
        let asked = match asked.split_once('/') {
            Some((from, to)) => {
                AskedPeriod { from: Some(at(from)), to: Some(at(to)), zone, period: None }
            }
            None => AskedPeriod { period: Some(asked.to_owned()), zone, ..AskedPeriod::default() },
        };
        asked.resolve(at("2026-11-23T04:30:00Z")).unwrap()
    }

    #[test]
    fn rows_are_as_fine_as_fits() {
        for (asked, zone, step, n, first, last) in [
            (
                "2026-10-25T00:00:00Z/2026-10-25T00:20:00Z",
                "UTC",
                Step::Bucket,
                4,
                "2026-10-25 00:00 UTC",
                "2026-10-25 00:15 UTC",
            ),
            // An hour comes twice, and has another name the second time.
            (
                "2026-10-25",
                "Europe/Berlin",
                Step::Hour,
                25,
                "2026-10-25 00:00 CEST",
                "2026-10-25 23:00 CET",
            ),
            (
                "2026-03-29",
                "Europe/Berlin",
                Step::Hour,
                23,
                "2026-03-29 00:00 CET",
                "2026-03-29 23:00 CEST",
            ),
            (
                "2026-10-25T00:10:00Z/2026-10-25T06:00:00Z",
                "Asia/Kathmandu",
                Step::Hour,
                7,
                "2026-10-25 05:55 +0545",
                "2026-10-25 11:00 +0545",
            ),
            ("2026-10", "Europe/Berlin", Step::Day, 31, "2026-10-01 Thu", "2026-10-31 Sat"),
            ("2026-Q3", "UTC", Step::Week, 14, "2026-W27", "2026-W40"),
            ("2025", "UTC", Step::Month, 12, "2025-01", "2025-12"),
            ("this-month", "UTC", Step::Day, 23, "2026-11-01 Sun", "2026-11-23 Mon"),
        ] {
            let period = period(asked, zone);
            let found = Division::of(&period, at("2026-11-23T04:30:00Z"));
            assert_eq!((found.step, found.rows.len()), (step, n), "{asked} {zone}");
            assert_eq!(found.step.label(&found.rows[0], &period.zone), first);
            assert_eq!(found.step.label(&found.rows[n - 1], &period.zone), last);
            assert_eq!(found.rows[0].from, period.from);
            assert!(found.rows.windows(2).all(|pair| pair[0].to == pair[1].from), "{asked}");
        }
    }

    #[test]
    fn each_moment_lies_in_one_row_and_none_outside() {
        let now = at("2026-11-23T04:30:00Z");
        let period = period("2026-10", "Europe/Berlin");
        let found = Division::of(&period, now);
        assert_eq!(found.row_of(period.from), Some(0));
        assert_eq!(found.row_of(period.from.shifted(-1)), None);
        assert_eq!(found.row_of(at("2026-10-25T23:00:00Z")), Some(25));
        assert_eq!(found.row_of(at("2026-10-25T22:59:59Z")), Some(24));
    }
}
