//! Durations as people write them: sums of `ns us ms s m h d w`, `1h30m`.
//!
//! Owns the grammar, for `duration("…")` in conditions and for configuration, and the way back for messages. Never
//! knows months or years: those are calendars.

use std::fmt;

use watchkeeper_model::Decimal;

/// Units from long to short, with their nanoseconds.
const UNITS: [(&str, i64); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// There is nothing.
    Empty,
    /// A number without a unit.
    NoUnit,
    /// A unit that is none of ours.
    UnknownUnit,
    /// Anything else.
    NoNumber,
    /// More than 292 years.
    TooLong,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a duration is missing",
            Self::NoUnit => "a duration needs a unit",
            Self::UnknownUnit => "a duration's units are ms s m h d w",
            Self::NoNumber => "not a duration",
            Self::TooLong => "a duration has at most 292 years",
        })
    }
}

impl std::error::Error for DurationError {}

/// Nanoseconds of `1h30m`, `250ms`, `1.5s`. Each part is a number and a unit, added up; never negative; only
/// `0` needs no unit.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let (mut rest, mut sum) = (text, 0_i64);
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |b| !b.is_ascii_digit() && b != b'.');
        let (unit, next) = split_where(after, |b| b.is_ascii_digit() || b == b'.');
        if number.is_empty() {
            return Err(DurationError::NoNumber);
        }
        let number = Decimal::parse(number).ok_or(DurationError::NoNumber)?;
        sum = number
            .scale(nanos_of_unit(unit)?)
            .and_then(|part| sum.checked_add(part))
            .ok_or(DurationError::TooLong)?;
        rest = next;
    }
    Ok(sum)
}

fn split_where(text: &str, ends: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(ends).unwrap_or(text.len()))
}

fn nanos_of_unit(unit: &str) -> Result<i64, DurationError> {
    match unit {
        "" => Err(DurationError::NoUnit),
        "µs" | "μs" => Ok(1_000),
        _ => UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, nanos)| *nanos)
            .ok_or(DurationError::UnknownUnit),
    }
}

/// The way back: `1h30m`, `250ms`, `0s`. Days rather than weeks unless it is whole weeks.
pub fn format(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut rest = nanos.unsigned_abs();
    let week = UNITS[0].1.unsigned_abs();
    let mut text = String::from(if nanos < 0 { "-" } else { "" });
    for (name, unit) in UNITS {
        let unit = unit.unsigned_abs();
        if name == "w" && !rest.is_multiple_of(week) {
            continue;
        }
        if rest >= unit {
            text.push_str(&std::format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn sums_of_units_are_read() {
        for (text, nanos) in [
            ("1h30m", Ok(5_400 * S)),
            ("250ms", Ok(S / 4)),
            ("1.5s", Ok(S + S / 2)),
            ("0s", Ok(0)),
            ("0", Ok(0)),
            ("2w3d", Ok(17 * 86_400 * S)),
            ("15us", Ok(15_000)),
            ("15µs", Ok(15_000)),
            ("7ns", Ok(7)),
            ("", Err(DurationError::Empty)),
            ("5", Err(DurationError::NoUnit)),
            ("1h30", Err(DurationError::NoUnit)),
            ("5 s", Err(DurationError::UnknownUnit)),
            ("5min", Err(DurationError::UnknownUnit)),
            ("5y", Err(DurationError::UnknownUnit)),
            ("-5s", Err(DurationError::NoNumber)),
            ("s", Err(DurationError::NoNumber)),
            ("1.2.3s", Err(DurationError::NoNumber)),
            ("300000d", Err(DurationError::TooLong)),
        ] {
            assert_eq!(parse(text), nanos, "{text:?}");
        }
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        for (nanos, text) in [
            (5_400 * S, "1h30m"),
            (S / 4, "250ms"),
            (0, "0s"),
            (30 * 86_400 * S, "30d"),
            (14 * 86_400 * S, "2w"),
            (S + 1, "1s1ns"),
        ] {
            assert_eq!(format(nanos), text);
        }
    }

    proptest! {
        #[test]
        fn a_duration_reads_as_it_is_written(nanos in 0..i64::MAX) {
            prop_assert_eq!(parse(&format(nanos)), Ok(nanos));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = parse(&text);
        }
    }
}
