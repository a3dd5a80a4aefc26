//! Times in formats of directives: what the calendar library writes is read as what it was, in every zone and with a year
//! or without; arbitrary formats and texts are read or refused with a reason.
#![no_main]

use std::time::Duration;

use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use watchkeeper_agent_core::observe::{Field, Strftime, TimeFormat, Zone};
use watchkeeper_fuzz::Feed;
use watchkeeper_model::Timestamp;

const SECOND: i64 = 1_000_000_000;

const DAY: Duration = Duration::from_secs(86_400);

/// Those in use, by number; behind the last is one from the input.
const FORMATS: [&str; 16] = [
    "%d/%b/%Y:%H:%M:%S %z",
    "%b %e %H:%M:%S",
    "%Y-%m-%d %H:%M:%S,%3f",
    "%FT%T%.f%:z",
    "%m/%d/%y %I:%M:%S %p",
    "%a %b %d %T %Y",
    "%G-W%V-%u %H:%M",
    "%s.%9f",
    "%Y%m%d%H%M%S",
    "%j %T",
    "%d.%m. %H:%M",
    "%A, %d %B %Y",
    "%Y/%U/%w %k:%M",
    "%C%y%j %l%P",
    "%a %-d %b %R",
    "%D %T %%",
];

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Auckland",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Apia",
];

/// A moment from 1970 to 2068, of which two digits of a year say the century, and nanoseconds.
fn moment(feed: &mut Feed<'_>) -> jiff::Timestamp {
    let n = (0..8).fold(0_u64, |n, _| n << 8 | u64::from(feed.byte()));
    let span = 98 * 365 * 86_400 * SECOND;
    jiff::Timestamp::from_nanosecond(i128::from(n % span.unsigned_abs())).expect("in range")
}

fn written(format: &str, at: Timestamp, zone: &TimeZone) -> String {
    let there = at.to_jiff().to_zoned(zone.clone());
    jiff::fmt::strtime::format(format, &there).expect("a checked format")
}

/// A format of one directive for each byte, with something behind it: digits beside digits can't be told apart.
fn composed(bytes: &[u8]) -> String {
    let letters = b"aAbBdeFGHIjklmMpPRsSTuUVwWyYDCzf";
    let of = |b: &u8| {
        let behind = " /,_T".chars().nth(usize::from(*b) / letters.len()).unwrap_or(';');
        format!("%{}{behind}", char::from(letters[usize::from(*b) % letters.len()]))
    };
    bytes.iter().take(12).map(of).collect()
}

// The format and the zone in the first two bytes, eight of a moment, one of months until it is read, then a line with a
// format, for the last choices of it, and a text.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let (n_format, zone) = (feed.choice(FORMATS.len() + 8), ZONES[feed.choice(ZONES.len())]);
    let (at, months) = (Timestamp::from_jiff(moment(&mut feed)), feed.choice(11));
    let own = feed.line();
    let (pattern, is_sound) = match FORMATS.get(n_format) {
        Some(known) => ((*known).to_owned(), true),
        None if n_format == FORMATS.len() => (String::from_utf8_lossy(own).into_owned(), false),
        None => (composed(own), true),
    };
    let (has_hour, format) = match Strftime::new(&pattern, Zone::named(zone).expect("a zone")) {
        Ok(format) => (format.has_hour(), TimeFormat::Strftime(format)),
        Err(flaw) => {
            assert!(!flaw.message.is_empty() && pattern.get(flaw.span).is_some(), "{pattern:?}");
            return assert!(FORMATS.get(n_format).is_none(), "{pattern:?}: {}", flaw.message);
        }
    };
    let zone = TimeZone::get(zone).expect("a zone");
    let now = at + DAY * 30 * months as u32;
    let text = written(&pattern, at, &zone);
    match format.read(Field::Text(&text), now) {
        _ if !is_sound => {}
        None => panic!("{pattern:?} {text:?}: {at} was not read"),
        Some(read) => {
            // Hours alone are cut down to the hour, and of an hour that came twice the first is read.
            let most = if has_hour { DAY / 8 } else { 3 * DAY };
            assert!(
                read <= at && at < read + most,
                "{pattern:?} {text:?}: {at} was read as {read}"
            );
            // The beginning of a day or an hour may have another offset than what is written of the rest of it.
            let is_exact = ["%M", "%R", "%T", "%s"].iter().any(|d| pattern.contains(d));
            let again = written(&pattern, read, &zone);
            assert!(!is_exact || again == text, "{pattern:?}: {text:?} became {again:?}");
        }
    }

    let Ok(text) = std::str::from_utf8(feed.rest()) else { return };
    let Some(read) = format.read(Field::Text(text), now) else { return };
    match format.read(Field::Text(text), now + 400 * DAY) {
        // It has a year, or there was no other day of this name.
        Some(later) if later == read => {}
        Some(later) => {
            let is_latest = read <= now + DAY && later > read && later <= now + 401 * DAY;
            assert!(is_latest, "{pattern:?} {text:?}: {read} and then {later}");
        }
        // The next year with that day of the week may be far.
        None => {
            let has_weekday = ["%a", "%A", "%u", "%w"].iter().any(|d| pattern.contains(d));
            assert!(has_weekday || !is_sound, "{pattern:?} {text:?}: once and not again");
        }
    }
});
