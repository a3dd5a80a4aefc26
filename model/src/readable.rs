//! Numbers, sizes and spans as people read them.
//!
//! Owns how digits are set apart, which units a size or a span is told in, and which way a share is rounded. Never
//! decides what of it is worth saying: each place that speaks to people has its own words around it.

use std::time::Duration;

/// `1,234,567`.
pub fn count(n: u64) -> String {
    grouped(&n.to_string())
}

/// Digits without a sign, thousands set apart: `1234567` is `1,234,567`.
pub fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 files`, `1 file`.
pub fn things(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `1.5 KiB`.
pub fn bytes(n: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let Some((name, shift)) = units.into_iter().find(|(_, shift)| n >> shift > 0) else {
        return format!("{n} B");
    };
    let value = n as f64 / (1_u64 << shift) as f64;
    format!("{value:.0$} {name}", usize::from(value < 99.95))
}

/// Whole seconds of a span in its two largest units: `0s`, `12s`, `3m 12s`, `2d 4h`.
pub fn span(span: Duration) -> String {
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

/// Rounded down to so many decimals, so that 99.99 is never shown as 100.
pub fn rounded_down(number: f64, n_decimals: usize) -> f64 {
    let scale = 10_f64.powi(i32::try_from(n_decimals).unwrap_or(0));
    // A little more, so that 0.999 stays 99.9 % although it is no binary fraction.
    (number * scale + 1e-6).floor() / scale
}

/// An SLI in percent, without the sign: rounded down, with one decimal more than its objective in percent has, so that
/// they can be compared, but two at least.
pub fn sli(share: f64, objective: f64, max_decimals: usize) -> String {
    let written = objective.to_string();
    let n_decimals = written.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let n_decimals = (n_decimals + 1).clamp(2, max_decimals.max(2));
    format!("{:.n_decimals$}", rounded_down(share * 100.0, n_decimals))
}

/// Characters that show nothing but change how a text reads: controls, and marks that have no width or turn its
/// direction.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        for (n, text) in [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1_000, "1,000 files")] {
            assert_eq!(things(n, "file"), text);
        }
    }

    #[test]
    fn sizes_are_short() {
        for (n, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_536, "1.5 KiB"),
            (200 << 20, "200 MiB"),
            (3 << 40, "3.0 TiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn spans_have_two_units_that_stand_beside_each_other() {
        for (ms, text) in [
            (0, "0s"),
            (999, "0s"),
            (12_900, "12s"),
            (192_000, "3m 12s"),
            (180_000, "3m"),
            (7_259_000, "2h"),
            (86_460_000, "1d"),
            (187_200_000, "2d 4h"),
            (2_592_000_000, "30d"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn rounding_down_hides_no_trouble() {
        for (number, n_decimals, rounded) in
            [(99.9, 1, 99.9), (99.999_9, 2, 99.99), (-12.34, 1, -12.4), (0.0, 1, 0.0)]
        {
            assert_eq!(rounded_down(number, n_decimals), rounded, "{number}");
        }
        for number in [0.0, -0.0, -1e-9, 1e-9] {
            assert!(rounded_down(number, 2).is_sign_positive(), "{number}");
        }
        for (share, objective, text) in [
            (0.999_53, 99.9, "99.95"),
            (0.999_996, 99.99, "99.999"),
            (0.95, 95.0, "95.00"),
            (1.0, 99.999_999, "100.000000"),
        ] {
            assert_eq!(sli(share, objective, 6), text);
        }
    }
}
