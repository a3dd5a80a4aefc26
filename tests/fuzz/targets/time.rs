//! Arbitrary text as a line's time, in every format: read or refused, and where the calendar library reads it, the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchkeeper_agent_core::observe::{
    Accumulator, Format, LineObserver, LineSettings, SignalSettings, TimeField, TimeFormat,
    ValueField, Zone,
};
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_expr::Condition;
use watchkeeper_fuzz::{Feed, NOW, time_formats};
use watchkeeper_model::{AgentId, Body, Labels, Service, SkipReason, Timestamp, Unit};

/// What a line was counted at, or why it was not; and how many had their time set to `now`.
type Read = (Result<Timestamp, SkipReason>, u64);

fn read(format: &TimeFormat, text: &str, now: Timestamp) -> Read {
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    let settings = LineSettings {
        source: "log".to_owned(),
        service: Service::new("shop").expect("a name of a service"),
        format: Format::Json,
        given: Vec::new(),
        time: Some(TimeField { field: "time".to_owned(), format: format.clone() }),
        signals: vec![SignalSettings {
            name: "lines".to_owned(),
            value: Some(ValueField { field: "one".to_owned(), unit: Unit::None }),
            labels: Vec::new(),
            filter: Condition::always(),
            bounds: Vec::new(),
            max_series: 1,
        }],
        events: Vec::new(),
    };
    let mut lines = LineObserver::new(&settings, &mut acc);
    let line = serde_json::json!({"time": text, "one": 1}).to_string();
    lines.observe(line.as_bytes(), now, &mut acc);
    let sealed = acc.seal(now, &SealOrder::default(), Vec::new());
    let (mut at, mut skipped, mut clamped) = (None, None, 0);
    for body in sealed.services.into_iter().flat_map(|s| s.bodies) {
        let Body::Windows { series, tallies, .. } = body else { continue };
        for part in series.into_iter().flat_map(|s| s.windows) {
            let values = part.distribution.values.expect("a line has a value");
            assert!(part.window.start <= values.last.at, "outside its window");
            assert!(at.replace(values.last.at).is_none(), "one line, counted twice");
        }
        for tally in tallies {
            assert_eq!(tally.read, 1);
            clamped += tally.clamped;
            skipped = skipped.or(tally.skipped.first().map(|(reason, _)| *reason));
        }
    }
    match (at, skipped) {
        (Some(at), None) => (Ok(at), clamped),
        (None, Some(reason)) => (Err(reason), clamped),
        both => panic!("neither counted nor skipped, or both: {both:?}"),
    }
}

/// What another library reads it as; `None` if it does not read it or it is beyond 64 bits of nanoseconds.
fn reference(format: &TimeFormat, text: &str) -> Option<Timestamp> {
    let per_second: i64 = match format {
        TimeFormat::Rfc3339(zone) => {
            let name = if *zone == Zone::UTC { "UTC" } else { "Europe/Berlin" };
            let at = text.parse::<jiff::Timestamp>().ok().or_else(|| {
                let local: jiff::civil::DateTime = text.parse().ok()?;
                Some(local.in_tz(name).ok()?.timestamp())
            });
            return i64::try_from(at?.as_nanosecond()).ok().map(Timestamp);
        }
        // It has a target of its own.
        TimeFormat::Strftime(_) => return None,
        TimeFormat::Unix => 1,
        TimeFormat::UnixMs => 1_000,
        TimeFormat::UnixUs => 1_000_000,
        TimeFormat::UnixNs => 1_000_000_000,
    };
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let number: i64 = if is_plain { text.parse().ok()? } else { return None };
    number.checked_mul(1_000_000_000 / per_second).map(Timestamp)
}

// The format in the first byte, then the text.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let formats = time_formats();
    let format = &formats[feed.choice(formats.len())];
    let Ok(text) = std::str::from_utf8(feed.rest()) else { return };
    let (at, clamped) = read(format, text, NOW);
    assert!(matches!(at, Ok(_) | Err(SkipReason::NoTime | SkipReason::TooLate)), "{at:?}");
    assert!(clamped == 0 || at == Ok(NOW));
    if let Some(wanted) = reference(format, text) {
        match read(format, text, wanted) {
            (Ok(at), 0) => assert_eq!(at, wanted, "{format:?} {text:?}"),
            // The other library reads more ways to write a time than we do; of plain numbers it does not.
            (Err(SkipReason::NoTime), 0) => {
                assert!(matches!(format, TimeFormat::Rfc3339(_)), "{text:?}")
            }
            other => panic!("{format:?} {text:?}: {other:?} and not {wanted:?}"),
        }
    }
});
