//! Numbers, times and lines in words.
//!
//! Owns how much of them is worth reading. Never shows a control character.

use std::time::Duration;

use watchkeeper_model::readable::is_hidden;
use watchkeeper_model::{Labels, Timestamp, Unit};

pub(super) use watchkeeper_model::readable::{bytes, count, things};

/// How much of a line is shown.
const MAX_LINE_CHARS: usize = 120;

/// How much of a label's value is shown.
const MAX_VALUE_CHARS: usize = 60;

/// A part of a whole: `0.1%`. What is there never shows as nothing, and what is missing never as everything.
pub(super) fn share(part: u64, whole: u64) -> String {
    if part == 0 || part >= whole {
        return if part == 0 { "0%" } else { "100%" }.to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        p if p < 0.1 => "<0.1%".to_owned(),
        p if p > 99.9 => ">99.9%".to_owned(),
        p => format!("{p:.1}%"),
    }
}

/// How long something took: `0.04 s`, `12 s`.
pub(super) fn seconds(span: f64) -> String {
    match span {
        s if s < 9.95 => format!("{s:.2} s"),
        s => format!("{s:.0} s"),
    }
}

/// Megabytes a second; nothing if it was too short to tell.
pub(super) fn rate(bytes: u64, seconds: f64) -> Option<String> {
    let rate = bytes as f64 / 1e6 / seconds;
    (seconds >= 0.01 && rate >= 0.05).then(|| format!("{rate:.0$} MB/s", usize::from(rate < 9.95)))
}

/// A value in base units, as its signal writes it, with so many digits that count: `12.4 ms`.
pub(super) fn value(base: i64, unit: Unit, n_digits: i32) -> String {
    let number = significant(base as f64 / unit.base_factor() as f64, n_digits);
    match unit {
        Unit::None | Unit::Ratio => number,
        Unit::Percent => format!("{number}%"),
        unit => format!("{number} {unit}"),
    }
}

/// So many digits that count, more only before the point.
fn significant(value: f64, n_digits: i32) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    if !(1e-6..1e15).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let n_decimals = (n_digits - 1 - magnitude.log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{magnitude:.n_decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let rest = rest.trim_end_matches('0');
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), count);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{}{whole}{point}{rest}", if value < 0.0 { "-" } else { "" })
}

/// A time to the second, in UTC: `2022-08-22 03:52:19`.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// How long ago, or ahead: `3 h ago`, `in 2 min`.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let (ago, ahead) = (now.since(at), at.since(now));
    if ago.max(ahead) < Duration::from_secs(2) {
        return "now".to_owned();
    }
    let secs = ago.max(ahead).as_secs();
    let units = [("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let (unit, length) = units.into_iter().find(|(_, l)| secs >= 2 * l).unwrap_or(("s", 1));
    let span = format!("{} {unit}", count(secs / length));
    if ahead.is_zero() { format!("{span} ago") } else { format!("in {span}") }
}

/// A line on one line: what does not print is escaped, what is long is cut.
pub(super) fn line(text: &str, is_cut: bool) -> String {
    let (mut shown, mut n_shown) = (String::new(), 0);
    for c in text.chars() {
        let begin = shown.len();
        push(c, &mut shown);
        n_shown += shown[begin..].chars().count();
        if n_shown > MAX_LINE_CHARS {
            shown.truncate(begin);
            return shown + "…";
        }
    }
    if is_cut { shown + "…" } else { shown }
}

/// Escapes what does not print, and what would turn a text around.
fn push(c: char, into: &mut String) {
    if is_hidden(c) {
        into.extend(c.escape_default());
    } else {
        into.push(c);
    }
}

/// `status=200 method=GET`; a value is quoted where it would not be clear where it ends.
pub(super) fn labels(labels: &Labels) -> String {
    let one = |(name, value): (&str, &str)| {
        let cut = value.chars().count() > MAX_VALUE_CHARS;
        let mut shown = String::new();
        value.chars().take(MAX_VALUE_CHARS).for_each(|c| push(c, &mut shown));
        shown.push_str(if cut { "…" } else { "" });
        let is_clear = shown.chars().all(|c| !c.is_whitespace() && !"\"=".contains(c));
        if is_clear { format!("{name}={shown}") } else { format!("{name}={shown:?}") }
    };
    let all: Vec<String> = labels.iter().map(one).collect();
    if all.is_empty() { "no labels".to_owned() } else { all.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_what_counts() {
        for (part, whole, text) in [
            (0, 0, "0%"),
            (5, 5, "100%"),
            (1, 3, "33.3%"),
            (1, 1_000_000, "<0.1%"),
            (999_999, 1_000_000, ">99.9%"),
        ] {
            assert_eq!(share(part, whole), text);
        }
        assert_eq!([seconds(0.044), seconds(12.3)], ["0.04 s", "12 s"]);
        assert_eq!(rate(5_000_000, 0.5).as_deref(), Some("10 MB/s"));
        assert_eq!((rate(5, 0.0), rate(0, 1.0)), (None, None));
    }

    #[test]
    fn values_stand_in_the_unit_of_their_signal() {
        for (base, unit, text) in [
            (12_400_000, Unit::Ms, "12.4 ms"),
            (1_019_999_999, Unit::Ms, "1,020 ms"),
            (1_234_567_000_000, Unit::Ms, "1,234,567 ms"),
            (200_000_000, Unit::S, "0.2 s"),
            (123, Unit::Ms, "0.000123 ms"),
            (0, Unit::Ms, "0 ms"),
            (-1_500_000, Unit::None, "-1.5"),
            (10_000_000, Unit::Ratio, "0.01"),
            (10_000_000, Unit::Percent, "1%"),
            (3 << 30, Unit::MiB, "3,072 MiB"),
        ] {
            assert_eq!(value(base, unit, 4), text);
        }
        assert_eq!(value(30_015_487, Unit::Ms, 3), "30 ms");
    }

    #[test]
    fn times_say_how_long_ago_they_are() {
        let now = Timestamp::from_secs(1_795_370_829);
        for (secs, text) in [
            (0, "now"),
            (-90, "90 s ago"),
            (-7_200, "2 h ago"),
            (200, "in 3 min"),
            (-1_553 * 86_400, "1,553 days ago"),
        ] {
            assert_eq!(age(Timestamp::from_secs(now.secs() + secs), now), text);
        }
        assert_eq!(moment(now), "2026-11-22 18:07:09");
    }

    #[test]
    fn what_a_log_says_can_not_move_the_cursor() {
        assert_eq!(line("a\u{1b}[2J\tb\u{202e}é\n", false), "a\\u{1b}[2J\\tb\\u{202e}é\\n");
        assert_eq!(line(&"é".repeat(121), false), "é".repeat(120) + "…");
        assert_eq!(line(&"\u{1}".repeat(50), false), "\\u{1}".repeat(24) + "…");
        assert_eq!((line("a", true), line("", false)), ("a…".into(), String::new()));
        let labels_of = |value: &str| labels(&Labels::new([("a", value), ("b", "x")]));
        assert_eq!(labels_of("1"), "a=1 b=x");
        assert_eq!(labels_of("1 \"2\""), "a=\"1 \\\"2\\\"\" b=x");
        assert_eq!(labels_of("\u{1b}"), "a=\\u{1b} b=x");
        assert_eq!(labels(&Labels::default()), "no labels");
    }
}
