//! Numbers and times in words.
//!
//! Owns how much of a number is worth reading. Never rounds so that trouble hides: a share below 100 % is never shown as
//! that.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::period::Period;
use crate::slo::Zone;

/// What stands where there is nothing to say.
pub(super) const NOTHING: &str = "–";

/// `1,234,567`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 incidents`, `1 incident`.
pub(super) fn things(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A share rounded down: `99.953 %`.
pub(super) fn percent(share: f64, n_decimals: usize) -> String {
    let scale = 10_f64.powi(i32::try_from(n_decimals).unwrap_or(0));
    // A little more, so that 0.999 stays 99.9 although it is no binary fraction.
    let percent = (share * 100.0 * scale + 1e-6).floor() / scale;
    format!("{percent:.n_decimals$} %")
}

/// An SLI with enough decimals to be compared with its objective in percent.
pub(super) fn sli(share: Option<f64>, objective: f64) -> String {
    let written = objective.to_string();
    let n_decimals = written.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    share.map_or_else(|| NOTHING.to_owned(), |share| percent(share, (n_decimals + 1).clamp(2, 8)))
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
            let text = format!("{:.2}", (value * 100.0 + 1e-6).floor() / 100.0);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

/// A span in its two largest units: `12s`, `3m 12s`, `2d 4h`.
pub(super) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let first = units.iter().position(|(_, length)| secs >= *length).unwrap_or(3);
    let (name, length) = units[first];
    let (whole, rest) = (secs / length, secs % length);
    match units.get(first + 1).map(|(next, length)| (next, rest / length)) {
        Some((next, n)) if n > 0 => format!("{whole}{name} {n}{next}"),
        _ => format!("{whole}{name}"),
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
    if zone.day(first).0 != period.from || zone.day(last).1 != period.to {
        return format!("{} to {}", moment(period.from, zone), moment(period.to, zone));
    }
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_what_counts_and_hide_no_trouble() {
        assert_eq!((count(999), count(1_234_567)), ("999".to_owned(), "1,234,567".to_owned()));
        assert_eq!((things(1, "day"), things(2, "day")), ("1 day".into(), "2 days".into()));
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
        for (secs, text) in [(0, "0s"), (192, "3m 12s"), (7_259, "2h"), (187_200, "2d 4h")] {
            assert_eq!(span(Duration::from_secs(secs)), text);
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
