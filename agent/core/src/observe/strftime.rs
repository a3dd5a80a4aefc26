//! Times in a format of `strptime`, such as `%d/%b/%Y:%H:%M:%S %z`.
//!
//! Owns which formats say enough to be a time, which year a time without one is of, and what a directive that can't be
//! read back is called. The directives are those of the crate `jiff`, in English. Never reads a clock.

use std::ops::Range;
use std::time::Duration;

use jiff::civil::{DateTime, datetime};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};
use watchkeeper_model::{Timestamp, Zone};

use super::flaw::Flaw;

/// How far ahead of the clock a time without a year may be.
const DAY: Duration = Duration::from_secs(86_400);

/// From one 29 February to the next it is eight years at most, and the clock's own year may be behind by one.
const YEARS_BACK: i16 = 9;

/// What can be read back.
const READ: &str = "AaBbCDdeFfGgHhIjklMmNnPpRSsTtUuVWwYyz%";

/// What can't, and what to write instead.
const NOT_READ: [(char, &str); 6] = [
    ('c', "write it out, such as %a %b %e %H:%M:%S %Y"),
    ('r', "write it out, such as %I:%M:%S %p"),
    ('X', "write it out, such as %H:%M:%S"),
    ('x', "write it out, such as %m/%d/%y"),
    (
        'Z',
        "letters such as CET mean several zones: write them as they stand, and the zone in `zone`",
    ),
    ('Q', "write %z or %:z for an offset; a zone that is always the same stands in `zone`"),
];

/// A time format that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strftime {
    format: String,
    zone: Zone,
    says: Says,
}

/// What times in a format say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Says {
    year: bool,
    hour: bool,
    offset: bool,
}

impl Strftime {
    /// The format as it was written.
    pub fn as_str(&self) -> &str {
        &self.format
    }

    /// Checks a format; `zone` is that of times without an offset.
    pub fn new(format: &str, zone: Zone) -> Result<Self, Flaw> {
        for directive in Directives(format, 0) {
            readable(&directive)?;
        }
        let mut says = None;
        for sample in samples() {
            says = Some(reads_back(format, sample)?);
        }
        let says = says.expect("there are samples");
        Ok(Self { format: format.to_owned(), zone, says })
    }

    /// Whether it says the hour; if not, a time is the beginning of its day.
    pub fn has_hour(&self) -> bool {
        self.says.hour
    }

    /// Whether it says the offset, so that no zone matters.
    pub fn has_offset(&self) -> bool {
        self.says.offset
    }

    /// Whether the same text is the same time whenever it is read.
    pub(super) fn has_year(&self) -> bool {
        self.says.year
    }

    /// The time that a text says. Without a year it is the latest that is not more than a day ahead of `now`, and so
    /// the nearest: a line of 31 December read on 1 January is of the year before.
    pub(super) fn read(&self, text: &str, now: Timestamp) -> Option<Timestamp> {
        let mut parts = BrokenDownTime::parse(&self.format, text).ok()?;
        if self.says.year {
            return self.instant(&parts);
        }
        let latest = now + DAY;
        let year = Offset::UTC.to_datetime(latest.to_jiff()).year() + 1;
        (year - YEARS_BACK..=year).rev().find_map(|year| {
            parts.set_year(Some(year)).ok()?;
            self.instant(&parts).filter(|at| *at <= latest)
        })
    }

    fn instant(&self, parts: &BrokenDownTime) -> Option<Timestamp> {
        if let Some(at) = parts.timestamp() {
            let nanos = i64::from(parts.subsec_nanosecond().unwrap_or(0));
            return Timestamp::checked_from_jiff(at)?.nanos().checked_add(nanos).map(Timestamp);
        }
        let local = parts.to_datetime().ok()?;
        let at = match parts.offset() {
            Some(offset) => offset.to_timestamp(local).ok(),
            None => self.zone.instant(local),
        };
        Timestamp::checked_from_jiff(at?)
    }
}

/// Times that show what a format leaves out: of both centuries, after noon, in the last days of a year.
fn samples() -> [DateTime; 3] {
    [
        datetime(2026, 11, 22, 18, 7, 9, 0),
        datetime(1999, 2, 3, 4, 5, 6, 0),
        datetime(2031, 12, 29, 23, 59, 58, 0),
    ]
}

/// One `%…` of a format.
#[derive(Debug, PartialEq, Eq)]
struct Directive<'f> {
    at: usize,
    text: &'f str,
}

/// The directives of a format, from a byte on.
struct Directives<'f>(&'f str, usize);

impl<'f> Iterator for Directives<'f> {
    type Item = Directive<'f>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.1 + self.0[self.1..].find('%')?;
        let rest = &self.0[at + 1..];
        let extension = rest.find(|c: char| !(c.is_ascii_digit() || "_-0^#:.".contains(c)));
        let letter = extension
            .map_or(rest.len(), |n| n + rest[n..].chars().next().map_or(0, char::len_utf8));
        self.1 = at + 1 + letter;
        Some(Directive { at, text: &self.0[at..self.1] })
    }
}

impl Directive<'_> {
    fn span(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }
}

/// Whether a directive can be read back.
fn readable(directive: &Directive<'_>) -> Result<(), Flaw> {
    let text = directive.text;
    let letter = text.chars().next_back().unwrap_or('%');
    if let Some((_, help)) = NOT_READ.iter().find(|(known, _)| *known == letter) {
        return Err(Flaw::new(directive.span(), format!("`{text}` cannot be read back"), *help));
    }
    // A lone `%` at the end is one character long.
    if text.len() < 2 || !READ.contains(letter) {
        let help = "a format is written as %Y-%m-%dT%H:%M:%S%.f%z; %% is the character itself";
        return Err(Flaw::new(directive.span(), format!("`{text}` is no directive"), help));
    }
    Ok(())
}

/// Writes a time and reads it back; what the format says, or what it lacks.
fn reads_back(format: &str, sample: DateTime) -> Result<Says, Flaw> {
    let flaw = |message: String, help: &str| Flaw::new(0..format.len(), message, help);
    let broken =
        |error: jiff::Error| flaw(format!("times in this format cannot be read back: {error}"), "");
    let zone = TimeZone::fixed(Offset::constant(5));
    let moment = zone.to_zoned(sample).map_err(broken)?;
    let written = strtime::format(format, &moment).map_err(broken)?;
    let mut parts = BrokenDownTime::parse(format, &written).map_err(broken)?;
    let offset = parts.offset().is_some();
    if let Some(at) = parts.timestamp() {
        return match at == moment.timestamp() {
            true => Ok(Says { year: true, hour: true, offset: true }),
            false => Err(flaw(format!("{moment} is read back as {at}"), "")),
        };
    }
    let says_date = parts.to_date().is_ok();
    if !says_date && parts.year().is_none() {
        parts.set_year(Some(sample.year())).map_err(broken)?;
    }
    let date = parts.to_date().map_err(|_| {
        let help = "a time needs its day, as in %Y-%m-%d, %d/%b/%Y, %b %d or %Y-%j";
        flaw("the format says no day".to_owned(), help)
    })?;
    if date != sample.date() {
        let message =
            format!("the format says no whole date: {} is read back as {date}", sample.date());
        return Err(flaw(message, "write %Y for the year"));
    }
    time_reads_back(format, &parts, sample)?;
    Ok(Says { year: says_date, hour: parts.hour().is_some(), offset })
}

fn time_reads_back(format: &str, parts: &BrokenDownTime, sample: DateTime) -> Result<(), Flaw> {
    let flaw = |message: String, help| Err(Flaw::new(0..format.len(), message, help));
    let (hour, minute, second) = (parts.hour(), parts.minute(), parts.second());
    let smaller = [("hour", hour, "%H"), ("minute", minute, "%M"), ("second", second, "%S")];
    let smallest = match (minute, second, parts.subsec_nanosecond()) {
        (_, _, Some(_)) => 3,
        (_, Some(_), _) => 2,
        (Some(_), ..) => 1,
        _ => 0,
    };
    if let Some((name, _, write)) = smaller[..smallest].iter().find(|(_, part, _)| part.is_none()) {
        return flaw(
            format!("the format says no {name}, and something smaller"),
            format!("write {write}"),
        );
    }
    if hour.is_none() && parts.meridiem().is_some() {
        let help = "write %I for the hour, or leave %p out".to_owned();
        return flaw("the format says which half of the day, and no hour".to_owned(), help);
    }
    if hour.is_some_and(|hour| hour != sample.hour()) {
        let help = "write %p for AM and PM, or %H for hours up to 23".to_owned();
        return flaw(
            "the format says hours up to 12, and not which half of the day".to_owned(),
            help,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_793_491_200_000_000_000);

    fn at(text: &str) -> Timestamp {
        Timestamp::from_jiff(text.parse().unwrap())
    }

    #[test]
    fn times_are_read_by_their_directives() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for (format, text, wanted) in [
            ("%d/%b/%Y:%H:%M:%S %z", "22/Nov/2026:19:07:09 +0100", Some("2026-11-22T18:07:09Z")),
            ("%d/%b/%Y:%H:%M:%S %z", "22/nov/2026:19:07:09 -0330", Some("2026-11-22T22:37:09Z")),
            ("%d/%b/%Y:%H:%M:%S %z", "22/Nov/2026:19:07:09", None),
            ("%d/%b/%Y:%H:%M:%S %z", "22/Nov/2026:19:07:09 +0100 ", None),
            ("%Y-%m-%d %H:%M:%S,%f", "2026-11-22 19:07:09,250", Some("2026-11-22T18:07:09.25Z")),
            ("%Y-%m-%d %H:%M:%S%.f", "2026-11-22 19:07:09.25", Some("2026-11-22T18:07:09.25Z")),
            ("%Y-%m-%d %H:%M:%S%.f", "2026-11-22 19:07:09", Some("2026-11-22T18:07:09Z")),
            ("%Y%m%d%H%M%S%3f", "20260722190709250", Some("2026-07-22T17:07:09.25Z")),
            ("%FT%TZ", "2026-11-22T19:07:09Z", Some("2026-11-22T18:07:09Z")),
            ("%Y-%m-%dT%H:%M:%S%:z", "2026-11-22T19:07:09+05:30", Some("2026-11-22T13:37:09Z")),
            ("%m/%d/%y %I:%M %p", "11/22/26 07:07 PM", Some("2026-11-22T18:07:00Z")),
            ("%Y-%j %H:%M", "2026-326 19:07", Some("2026-11-22T18:07:00Z")),
            ("%G-W%V-%u %T", "2026-W47-7 19:07:09", Some("2026-11-22T18:07:09Z")),
            ("%A, %d %B %Y %T", "Sunday, 22 November 2026 19:07:09", Some("2026-11-22T18:07:09Z")),
            ("%A, %d %B %Y %T", "Monday, 22 November 2026 19:07:09", None),
            ("%s", "1793491200", Some("2026-11-01T00:00:00Z")),
            ("%s.%f", "1793491200.5", Some("2026-11-01T00:00:00.5Z")),
            ("%F", "2026-11-22", Some("2026-11-21T23:00:00Z")),
            ("100%% %F %T", "100% 2026-11-22 19:07:09", Some("2026-11-22T18:07:09Z")),
            ("%F %T", "2026-10-25 02:30:00", Some("2026-10-25T00:30:00Z")),
            ("%F %T", "2026-03-29 02:30:00", Some("2026-03-29T01:30:00Z")),
            ("%F %T", "2016-12-31 23:59:60", Some("2016-12-31T22:59:59Z")),
            ("%F %T", "1970-01-01 01:00:00", Some("1970-01-01T00:00:00Z")),
            ("%F %T", "2090-07-01 02:00:00", Some("2090-07-01T00:00:00Z")),
            ("%F %T", "9999-07-01 02:00:00", None),
            ("%F %T", "0001-01-01 00:00:00", None),
            ("%F %T", "2026-02-29 00:00:00", None),
            ("%F %T", "", None),
            ("%F %T", "é", None),
        ] {
            let read = Strftime::new(format, berlin.clone()).unwrap().read(text, NOW);
            assert_eq!(read, wanted.map(at), "{format} {text}");
        }
    }

    #[test]
    fn a_time_without_a_year_is_the_nearest_that_is_not_far_ahead() {
        for (now, text, wanted) in [
            ("2026-11-22T00:00:00Z", "Nov 21 23:00:00", "2026-11-21T23:00:00Z"),
            ("2026-11-22T00:00:00Z", "Nov 22 23:00:00", "2026-11-22T23:00:00Z"),
            ("2026-11-22T00:00:00Z", "Nov 23 00:00:00", "2026-11-23T00:00:00Z"),
            ("2026-11-22T00:00:00Z", "Nov 23 00:00:01", "2025-11-23T00:00:01Z"),
            ("2027-01-01T00:00:05Z", "Dec 31 23:59:59", "2026-12-31T23:59:59Z"),
            ("2026-12-31T23:59:59Z", "Jan  1 00:00:05", "2027-01-01T00:00:05Z"),
            ("2028-03-01T00:00:00Z", "Feb 29 12:00:00", "2028-02-29T12:00:00Z"),
            ("2028-02-28T12:00:00Z", "Feb 29 12:00:00", "2028-02-29T12:00:00Z"),
            ("2028-02-28T11:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"),
            ("2027-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"),
            ("2104-02-28T00:00:00Z", "Feb 29 12:00:00", "2096-02-29T12:00:00Z"),
            ("1970-01-01T00:00:00Z", "Jan  1 00:00:00", "1970-01-01T00:00:00Z"),
        ] {
            let format = Strftime::new("%b %d %H:%M:%S", Zone::UTC).unwrap();
            assert_eq!(format.read(text, at(now)), Some(at(wanted)), "{text} at {now}");
        }
        let auckland = Strftime::new("%b %e %T", Zone::named("Pacific/Auckland").unwrap()).unwrap();
        let read = auckland.read("Jan  1 00:00:05", at("2026-12-31T11:00:00Z"));
        assert_eq!(read, Some(at("2026-12-31T11:00:05Z")), "the year begins there first");
        let far = Strftime::new("%b %e %T", Zone::UTC).unwrap();
        assert_eq!(far.read("Feb 30 00:00:00", NOW), None);
        let _ = far.read("Jan 1 00:00:00", Timestamp(i64::MAX));
        let _ = far.read("Jan 1 00:00:00", Timestamp(i64::MIN));
    }

    #[test]
    fn a_format_that_says_too_little_is_refused() {
        for (format, told) in [
            ("%H:%M:%S", "0..8: the format says no day"),
            ("%Y", "0..2: the format says no day"),
            ("%Y-%m %T", "0..8: the format says no day"),
            ("%d %T", "0..5: the format says no day"),
            ("%Y %A", "0..5: the format says no day"),
            ("", "0..0: the format says no day"),
            ("time", "0..4: the format says no day"),
            (
                "%C-%m-%d",
                "0..8: the format says no whole date: 2026-11-22 is read back as 2000-11-22",
            ),
            ("%F %M:%S", "0..8: the format says no hour, and something smaller"),
            ("%F %H %S", "0..8: the format says no minute, and something smaller"),
            ("%F %H:%M.%f", "0..11: the format says no second, and something smaller"),
            ("%F %I:%M", "0..8: the format says hours up to 12, and not which half of the day"),
            ("%F %p", "0..5: the format says which half of the day, and no hour"),
            ("%F %T %Z", "6..8: `%Z` cannot be read back"),
            ("%c", "0..2: `%c` cannot be read back"),
            ("é %r", "3..5: `%r` cannot be read back"),
            ("%F %X", "3..5: `%X` cannot be read back"),
            ("%x %T", "0..2: `%x` cannot be read back"),
            ("%F %T %:Q", "6..9: `%:Q` cannot be read back"),
            ("%F %T %", "6..7: `%` is no directive"),
            ("%F %T %q", "6..8: `%q` is no directive"),
            ("%F %T%é", "5..8: `%é` is no directive"),
            ("%F %T%E", "5..7: `%E` is no directive"),
            ("%F %T%-", "5..7: `%-` is no directive"),
        ] {
            let flaw = Strftime::new(format, Zone::UTC).expect_err(format);
            assert_eq!(format!("{:?}: {}", flaw.span, flaw.message), told, "{format}");
            assert!(!flaw.help.is_empty(), "{format}");
        }
    }

    #[test]
    fn it_is_known_what_a_format_says() {
        for (format, hour, offset, year) in [
            ("%F", false, false, true),
            ("%b %d %H:%M", true, false, false),
            ("%j %H:%M", true, false, false),
            ("%F %T %z", true, true, true),
            ("%s", true, true, true),
        ] {
            let format = Strftime::new(format, Zone::UTC).unwrap();
            let says = (format.has_hour(), format.has_offset(), format.has_year());
            assert_eq!(says, (hour, offset, year), "{format:?}");
        }
    }

    #[test]
    fn every_directive_that_is_read_is_known_to_the_library() {
        let moment = TimeZone::fixed(Offset::constant(5)).to_zoned(samples()[0]).unwrap();
        for letter in READ.chars() {
            let written = strtime::format(format!("%{letter}"), &moment).unwrap();
            assert!(BrokenDownTime::parse(format!("%{letter}"), written).is_ok(), "%{letter}");
        }
        for (letter, _) in NOT_READ {
            assert!(BrokenDownTime::parse(format!("%{letter}"), "x").is_err() || letter == 'Q');
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(secs in -5_000_000_000..9_000_000_000_i64, nanos in 0..1_000_000_000_i64) {
            for (format, width) in [
                ("%d/%b/%Y:%H:%M:%S %z", 1_000_000_000),
                ("%Y-%m-%dT%H:%M:%S.%f%:z", 1),
                ("%A %d %B %Y %I:%M:%S.%3f %p", 1_000_000),
                ("%Y-%j %T", 1_000_000_000),
                ("%G-%V-%u %R", 60_000_000_000),
            ] {
                let at = Timestamp(secs * 1_000_000_000 + nanos);
                let text = strtime::format(format, &at.to_jiff().to_zoned(TimeZone::UTC)).unwrap();
                let read = Strftime::new(format, Zone::UTC).unwrap().read(&text, NOW).unwrap();
                prop_assert_eq!(read.nanos(), at.nanos().div_euclid(width) * width, "{}", text);
            }
        }

        #[test]
        fn any_format_and_any_text_are_read_or_refused_without_panic(
            format in "(%[_0^#:.-]{0,2}[0-9]{0,3}[A-Za-z%é]|[ /:é]){0,8}",
            any in ".{0,20}",
            text in "[0-9A-Za-z :/+.,-]{0,30}",
        ) {
            for format in [format, any] {
                if let Ok(format) = Strftime::new(&format, Zone::UTC) {
                    let _ = format.read(&text, NOW);
                }
            }
        }
    }
}
