//! The time written in a line.
//!
//! Owns the formats a time field may have. Never reads a clock, never decides what is too late.

use jiff::tz::Offset;
use watchkeeper_model::time::SECOND;
use watchkeeper_model::{Timestamp, Zone};

use super::fields::Field;
use super::number::scaled;
use super::strftime::Strftime;

/// How a line writes its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// `2026-11-22T18:07:09.5Z`, any offset; without one it is of this zone.
    Rfc3339(Zone),
    /// Seconds since 1970, fractions allowed.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// Microseconds since 1970.
    UnixUs,
    /// Nanoseconds since 1970.
    UnixNs,
    /// As a format of directives says.
    Strftime(Strftime),
}

impl Default for TimeFormat {
    fn default() -> Self {
        Self::Rfc3339(Zone::UTC)
    }
}

impl TimeFormat {
    /// As it is written in files.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Rfc3339(_) => "rfc3339",
            Self::Unix => "unix",
            Self::UnixMs => "unix_ms",
            Self::UnixUs => "unix_us",
            Self::UnixNs => "unix_ns",
            Self::Strftime(format) => format.as_str(),
        }
    }

    /// The time a field says, if it says one; numbers may also stand in a string. `now` is for times without a year.
    pub fn read(&self, field: Field<'_>, now: Timestamp) -> Option<Timestamp> {
        let (Field::Text(text) | Field::Number(text)) = field else { return None };
        let factor = match self {
            Self::Rfc3339(zone) => return rfc3339(text.as_bytes(), zone),
            Self::Strftime(format) => return format.read(text, now),
            Self::Unix => SECOND,
            Self::UnixMs => 1_000_000,
            Self::UnixUs => 1_000,
            Self::UnixNs => 1,
        };
        scaled(text, factor).map(Timestamp)
    }
}

/// Reads the time of one line after another. It remembers the last: lines of one second often say the same.
#[derive(Debug)]
pub(super) struct TimeReader {
    format: TimeFormat,
    text: String,
    now: Timestamp,
    at: Option<Timestamp>,
}

impl TimeReader {
    /// A reader of times in this format.
    pub(super) fn new(format: TimeFormat) -> Self {
        Self { format, text: String::new(), now: Timestamp(i64::MIN), at: None }
    }

    /// The time a field says.
    pub(super) fn read(&mut self, field: Field<'_>, now: Timestamp) -> Option<Timestamp> {
        let (TimeFormat::Strftime(format), Field::Text(text)) = (&self.format, field) else {
            return self.format.read(field, now);
        };
        if text != self.text || !(format.has_year() || now == self.now) {
            self.at = format.read(text, now);
            self.now = now;
            self.text.clear();
            self.text.push_str(text);
        }
        self.at
    }
}

/// RFC 3339 with `T`, `t`, `_` or a space in the middle, with an offset or without; a leap second counts as the second
/// before it.
fn rfc3339(b: &[u8], zone: &Zone) -> Option<Timestamp> {
    let two = |at: usize| -> Option<i64> {
        let (tens, ones) = (b.get(at)?.wrapping_sub(b'0'), b.get(at + 1)?.wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    let byte = |at: usize, any: &[u8]| b.get(at).is_some_and(|x| any.contains(x)).then_some(());
    let (year, month, day) = (two(0)? * 100 + two(2)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    byte(4, b"-")?;
    byte(7, b"-")?;
    byte(10, b"Tt _")?;
    byte(13, b":")?;
    byte(16, b":")?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let (nanos, at) = fraction(b, 19)?;
    let days = days_since_1970(year, month, day);
    let secs = days * 86_400 + hour * 3_600 + minute * 60 + second.min(59);
    if at == b.len() && *zone != Zone::UTC {
        let local = Offset::UTC.to_datetime(jiff::Timestamp::from_second(secs).ok()?);
        let at = Timestamp::checked_from_jiff(zone.instant(local)?)?;
        return at.nanos().checked_add(nanos).map(Timestamp);
    }
    let offset = if at == b.len() { 0 } else { offset_secs(b, at, two)? };
    (secs - offset).checked_mul(SECOND)?.checked_add(nanos).map(Timestamp)
}

/// The fraction of a second that begins at `at`, in nanoseconds, and where it ends. Digits past the ninth are dropped.
fn fraction(b: &[u8], mut at: usize) -> Option<(i64, usize)> {
    if !matches!(b.get(at), Some(b'.' | b',')) {
        return Some((0, at));
    }
    at += 1;
    let (mut nanos, mut scale, start) = (0, SECOND, at);
    while let Some(digit @ b'0'..=b'9') = b.get(at) {
        scale /= 10;
        nanos += i64::from(digit - b'0') * scale;
        at += 1;
    }
    (at > start).then_some((nanos, at))
}

/// `Z`, `+01:00` or `+0100`, up to the end of the text.
fn offset_secs(b: &[u8], at: usize, two: impl Fn(usize) -> Option<i64>) -> Option<i64> {
    let sign = match b.get(at)? {
        b'Z' | b'z' if at + 1 == b.len() => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let minutes_at = if b.get(at + 3) == Some(&b':') { at + 4 } else { at + 3 };
    let (hours, minutes) = (two(at + 1)?, two(minutes_at)?);
    (minutes_at + 2 == b.len() && hours < 24 && minutes < 60)
        .then_some(sign * (hours * 3_600 + minutes * 60))
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days of the civil calendar, counted in eras of 400 years that begin on 1 March.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_793_491_200 * SECOND);

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    #[test]
    fn times_are_read_in_their_format() {
        let rfc3339 = TimeFormat::default();
        for (format, field, secs_and_nanos) in [
            (
                &rfc3339,
                Field::Text("2022-08-22T03:52:19.572328Z"),
                Some((1_661_140_339, 572_328_000)),
            ),
            (&rfc3339, Field::Text("2022-08-22 05:52:19+02:00"), Some((1_661_140_339, 0))),
            (
                &rfc3339,
                Field::Text("2022-08-21T22:52:19,5-0500"),
                Some((1_661_140_339, 500_000_000)),
            ),
            (&rfc3339, Field::Text("2016-12-31T23:59:60Z"), Some((1_483_228_799, 0))),
            (&rfc3339, Field::Text("2022-08-22T03:52:19"), Some((1_661_140_339, 0))),
            (&rfc3339, Field::Text("2022-08-22_03:52:19.25"), Some((1_661_140_339, 250_000_000))),
            (&rfc3339, Field::Text("1970-01-01T00:00:00Z"), Some((0, 0))),
            (&rfc3339, Field::Text("1969-12-31T23:59:59.5Z"), Some((-1, 500_000_000))),
            (&rfc3339, Field::Text("2090-01-01T00:00:00Z"), Some((3_786_912_000, 0))),
            (&rfc3339, Field::Text("2022-02-29T00:00:00Z"), None),
            (&rfc3339, Field::Text("2022-08-22T03:52:19.Z"), None),
            (&rfc3339, Field::Text("2022-08-22T03:52:19Zx"), None),
            (&rfc3339, Field::Text("2022-08-22T03:52:19 "), None),
            (&rfc3339, Field::Text("9999-08-22T03:52:19Z"), None),
            (&rfc3339, Field::Number("1661140339"), None),
            (&rfc3339, Field::Absent, None),
            (&TimeFormat::Unix, Field::Number("1661140339.5"), Some((1_661_140_339, 500_000_000))),
            (&TimeFormat::Unix, Field::Text("1661140339"), Some((1_661_140_339, 0))),
            (&TimeFormat::Unix, Field::Number("0"), Some((0, 0))),
            (&TimeFormat::Unix, Field::Number("-0.5"), Some((-1, 500_000_000))),
            (&TimeFormat::Unix, Field::Number("3786912000"), Some((3_786_912_000, 0))),
            (&TimeFormat::Unix, Field::Number("1e400"), None),
            (&TimeFormat::Unix, Field::Text(""), None),
            (
                &TimeFormat::UnixMs,
                Field::Number("1661140339572"),
                Some((1_661_140_339, 572_000_000)),
            ),
            (
                &TimeFormat::UnixUs,
                Field::Number("1661140339572328"),
                Some((1_661_140_339, 572_328_000)),
            ),
            (
                &TimeFormat::UnixNs,
                Field::Number("1661140339572328001"),
                Some((1_661_140_339, 572_328_001)),
            ),
            (&TimeFormat::Unix, Field::Text("now"), None),
            (&TimeFormat::Unix, Field::Bool(true), None),
            (
                &TimeFormat::Rfc3339(zone("Europe/Berlin")),
                Field::Text("2022-08-22T05:52:19.5"),
                Some((1_661_140_339, 500_000_000)),
            ),
            (
                &TimeFormat::Rfc3339(zone("Europe/Berlin")),
                Field::Text("2022-08-22T03:52:19Z"),
                Some((1_661_140_339, 0)),
            ),
            (
                &TimeFormat::Rfc3339(zone("Asia/Kolkata")),
                Field::Text("2090-01-01T05:30:00"),
                Some((3_786_912_000, 0)),
            ),
            (&TimeFormat::Rfc3339(zone("Asia/Kolkata")), Field::Text("9999-01-01T05:30:00"), None),
        ] {
            let wanted = secs_and_nanos.map(|(s, n): (i64, i64)| Timestamp(s * SECOND + n));
            assert_eq!(format.read(field, NOW), wanted, "{format:?} {field:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let december = |zone| TimeFormat::Strftime(Strftime::new("%b %d %H:%M:%S", zone).unwrap());
        let full = TimeFormat::Strftime(Strftime::new("%F %T", Zone::UTC).unwrap());
        let new_year = Timestamp(1_798_761_600 * SECOND);
        let times = [NOW, new_year, new_year + std::time::Duration::from_secs(86_400 * 200), NOW];
        for format in [december(Zone::UTC), december(zone("Asia/Tokyo")), full, TimeFormat::Unix] {
            let mut reader = TimeReader::new(format.clone());
            for now in times {
                for text in
                    ["Dec 31 23:00:00", "Dec 31 23:00:00", "x", "x", "", "2026-11-22 01:02:03"]
                {
                    for field in [Field::Text(text), Field::Absent, Field::Number(text)] {
                        let read = reader.read(field, now);
                        assert_eq!(read, format.read(field, now), "{format:?} {field:?} {now}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar_library(nanos in any::<i64>()) {
            let text = Timestamp(nanos).rfc3339();
            prop_assert_eq!(rfc3339(text.as_bytes(), &Zone::UTC), Some(Timestamp(nanos)));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "[0-9TZ:+. -]{0,40}") {
            let ours = rfc3339(text.as_bytes(), &Zone::UTC);
            if let (Some(ours), Ok(theirs)) = (ours, text.parse::<jiff::Timestamp>()) {
                prop_assert_eq!(ours, Timestamp::from_jiff(theirs));
            }
            let _ = rfc3339(text.as_bytes(), &Zone::named("Europe/Berlin").unwrap());
        }

        #[test]
        fn a_zone_is_what_a_local_time_says_it_is(secs in -2_000_000_000..4_000_000_000_i64) {
            let berlin = Zone::named("Europe/Berlin").unwrap();
            let at = jiff::Timestamp::from_second(secs).unwrap();
            let there = at.to_zoned(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
            let read = rfc3339(there.datetime().to_string().as_bytes(), &berlin).unwrap();
            // The second of two equal local times is taken for the first.
            prop_assert!([0, 3_600].contains(&(secs - read.secs())), "{there} {read}");
        }
    }
}
