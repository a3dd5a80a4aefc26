//! Numbers and times in words.
//!
//! Owns how much of a number is worth reading. Never rounds so that trouble hides: a share below 100 % is never shown as
//! that.

use watchkeeper_model::{Timestamp, readable};

use super::period::Period;
use crate::slo::{Zone, day_in};

pub(super) use watchkeeper_model::readable::{count, span, things};

/// What stands where there is nothing to say.
pub(super) const NOTHING: &str = "–";

/// An SLI rounded down, with enough decimals to be compared with its objective in percent: `99.953 %`.
pub(super) fn sli(share: Option<f64>, objective: f64) -> String {
    share.map_or_else(|| NOTHING.to_owned(), |share| readable::sli(share, objective, 8) + " %")
}

/// What of a budget was spent: `12.5 %`, `3.2 times`; what is little is not nothing.
pub(super) fn spent(share: Option<f64>) -> String {
    match share {
        None => NOTHING.to_owned(),
        Some(share) if share <= 0.0 => "0 %".to_owned(),
        Some(share) if share < 0.001 => "< 0.1 %".to_owned(),
        Some(share) if share < 9.995 => format!("{:.1} %", share * 100.0),
        Some(share) => format!("{share:.0} times"),
    }
}

/// A whole number, or one with so many digits that it is none: `100`, `0.43`.
pub(super) fn amount(value: f64) -> String {
    match value {
        value if value >= 100.0 => count(value.floor() as u64),
        value => {
            let text = format!("{:.2}", readable::rounded_down(value, 2));
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

/// A moment where the reader is: `2026-11-22 18:07`.
pub(super) fn moment(at: Timestamp, zone: &Zone) -> String {
    zone.zoned(at).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A period: `2026-10-01 to 2026-10-31` if it has whole days, the last one among them.
pub(super) fn period(period: &Period) -> String {
    let zone = &period.zone;
    let (first, last) = (zone.date(period.from), zone.date(period.to.shifted(-1)));
    if day_in(zone, first).0 != period.from || day_in(zone, last).1 != period.to {
        return format!("{} to {}", moment(period.from, zone), moment(period.to, zone));
    }
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_what_counts_and_hide_no_trouble() {
        for (share, objective, text) in [
            (Some(0.999_53), 99.9, "99.95 %"),
            (Some(0.999_999_9), 99.9, "99.99 %"),
            (Some(0.95), 95.0, "95.00 %"),
            (Some(1.0), 99.999, "100.0000 %"),
            (None, 99.9, "–"),
        ] {
            assert_eq!(sli(share, objective), text);
        }
        for (share, text) in [
            (0.0, "0 %"),
            (0.000_01, "< 0.1 %"),
            (0.125, "12.5 %"),
            (2.0, "200.0 %"),
            (110.0, "110 times"),
        ] {
            assert_eq!(spent(Some(share)), text);
        }
        for (value, text) in
            [(0.0, "0"), (0.43, "0.43"), (10.0, "10"), (99.999, "99.99"), (1_234.9, "1,234")]
        {
            assert_eq!(amount(value), text);
        }
    }

    #[test]
    fn a_period_of_whole_days_is_told_by_its_days() {
        let of = |from: &str, to: &str| {
            let at = |text: &str| Timestamp::from_jiff(text.parse().unwrap());
            let zone = Zone::named("Europe/Berlin").unwrap();
            period(&Period { from: at(from), to: at(to), name: None, zone })
        };
        for (from, to, text) in [
            ("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z", "2026-10-01 to 2026-10-31"),
            ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-25"),
            (
                "2026-10-24T22:00:00Z",
                "2026-10-25T22:00:00Z",
                "2026-10-25 00:00 to 2026-10-25 23:00",
            ),
        ] {
            assert_eq!(of(from, to), text);
        }
    }
}
