//! Numbers and times in words.
//!
//! Owns how much of a number is worth reading. Never rounds in a way that hides trouble: a share below 100 % is never
//! shown as 100 %, and a budget that is gone never as one that is left.

use std::time::Duration;

use jiff::tz::TimeZone;
use watchkeeper_config::format;
use watchkeeper_model::{Timestamp, readable};

use super::screen::Screen;

pub(crate) use watchkeeper_model::readable::{bytes, count};

/// What stands where there is nothing to say.
pub(crate) const NOTHING: &str = "-";

/// `3 alerts`, `1 alert`.
pub(crate) fn things(n: usize, noun: &str) -> String {
    readable::things(n as u64, noun)
}

/// A share as percent, rounded down: `99.953%`.
pub(crate) fn percent(share: f64, n_decimals: usize) -> String {
    format!("{:.n_decimals$}%", readable::rounded_down(share * 100.0, n_decimals))
}

/// An objective as written: `99.9%`.
pub(crate) fn objective(percent: f64) -> String {
    format!("{percent}%")
}

/// An SLI with enough decimals to be compared with its objective.
pub(crate) fn sli(share: f64, objective: f64) -> String {
    readable::sli(share, objective, 6) + "%"
}

/// A burn rate: `14.2x`.
pub(crate) fn burn(rate: f64) -> String {
    match rate {
        rate if rate >= 99.5 => format!("{rate:.0}x"),
        rate => format!("{rate:.1}x"),
    }
}

/// A span in its two largest units: `850ms`, `12s`, `3m 12s`, `2d 4h`.
pub(crate) fn span(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        return format!("{}ms", span.as_millis());
    }
    readable::span(span)
}

/// A span in seconds, either way: `+1.2s`, `-300ms`; nothing below what a network's delay explains.
pub(crate) fn skew(seconds: f64) -> String {
    let magnitude = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    if seconds.is_nan() || magnitude < Duration::from_millis(50) {
        return "0".to_owned();
    }
    let sign = if seconds < 0.0 { '-' } else { '+' };
    if magnitude < Duration::from_secs(10) && magnitude >= Duration::from_secs(1) {
        return format!("{sign}{:.1}s", magnitude.as_secs_f64());
    }
    format!("{sign}{}", span(magnitude))
}

/// How long ago, or in how long: `3m 12s ago`, `in 2h`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    match (now.since(at), at.since(now)) {
        (ago, ahead) if ago < Duration::from_secs(1) && ahead < Duration::from_secs(1) => {
            "now".to_owned()
        }
        (ago, Duration::ZERO) => format!("{} ago", span(ago)),
        (_, ahead) => format!("in {}", span(ahead)),
    }
}

/// A time of day where the reader is, with the date if it is another day: `18:07:09`, `Nov 21 18:07:09`.
pub(crate) fn clock(at: Timestamp, screen: &Screen) -> String {
    let zoned = |at: Timestamp, zone: &TimeZone| at.to_jiff().to_zoned(zone.clone());
    let (then, today) = (zoned(at, &screen.zone), zoned(screen.now, &screen.zone));
    let pattern = match () {
        () if then.date() == today.date() => "%H:%M:%S",
        () if then.year() == today.year() => "%b %d %H:%M:%S",
        () => "%Y-%m-%d %H:%M:%S",
    };
    then.strftime(pattern).to_string()
}

/// Both: `18:07:09 (3m 12s ago)`.
pub(crate) fn moment(at: Timestamp, screen: &Screen) -> String {
    format!("{} ({})", clock(at, screen), relative(at, screen.now))
}

/// A number of which the unit is not known, in at most five digits that count.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e15 || (magnitude > 0.0 && magnitude < 1e-6) {
        return format!("{value:.3e}");
    }
    if value.fract() == 0.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", count(magnitude as u64));
    }
    let n_whole = if magnitude < 1.0 { 0 } else { magnitude.log10() as usize + 1 };
    // Digits after the point until five of them count, also behind leading zeros.
    let zeros = if magnitude < 1.0 { (-magnitude.log10()) as usize } else { 0 };
    let n_decimals = (5_usize.saturating_sub(n_whole)).max(1) + zeros;
    let text = format!("{value:.n_decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A duration as files have it: `10m`.
pub(crate) fn written(span: Duration) -> String {
    format::duration(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_down() {
        for (share, n_decimals, text) in [
            (1.0, 2, "100.00%"),
            (0.999_999, 2, "99.99%"),
            (0.999, 1, "99.9%"),
            (0.0, 1, "0.0%"),
            (-0.123, 1, "-12.3%"),
            (-0.0001, 1, "-0.1%"),
            (0.632, 1, "63.2%"),
        ] {
            assert_eq!(percent(share, n_decimals), text, "{share}");
        }
        assert_eq!(sli(0.999_53, 99.9), "99.95%");
        assert_eq!(sli(0.999_996, 99.99), "99.999%");
        assert_eq!(sli(0.95, 95.0), "95.00%");
    }

    #[test]
    fn spans_below_a_second_are_milliseconds() {
        for (ms, text) in [(0, "0ms"), (850, "850ms"), (1_000, "1s"), (192_000, "3m 12s")] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn times_are_told_from_where_the_reader_is() {
        let now = Timestamp::from_secs(1_795_370_829); // 2026-11-22T18:07:09Z, a Sunday
        let screen = Screen::plain(None, now);
        for (at, text) in [
            (now, "18:07:09 (now)"),
            (now - Duration::from_secs(192), "18:03:57 (3m 12s ago)"),
            (now - Duration::from_secs(86_400), "Nov 21 18:07:09 (1d ago)"),
            (now - Duration::from_secs(365 * 86_400), "2025-11-22 18:07:09 (365d ago)"),
            (now + Duration::from_secs(7_200), "20:07:09 (in 2h)"),
        ] {
            assert_eq!(moment(at, &screen), text);
        }
    }

    #[test]
    fn skews_are_short() {
        for (seconds, text) in
            [(0.01, "0"), (-0.3, "-300ms"), (2.34, "+2.3s"), (200.0, "+3m 20s"), (f64::NAN, "0")]
        {
            assert_eq!(skew(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn numbers_show_what_counts() {
        for (value, text) in [
            (0.0, "0"),
            (42.0, "42"),
            (-1_234_567.0, "-1,234,567"),
            (0.201_234_5, "0.20123"),
            (12.345_678, "12.346"),
            (123_456.78, "123456.8"),
            (0.000_123_456, "0.00012346"),
            (1e-9, "1.000e-9"),
            (1e20, "1.000e20"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }
}
