//! A source of lines with everything that can be said about lines, for any format.
//!
//! Owns the settings, and sums of what was sealed. A format that is new gets a row in [`formats`] or in
//! [`time_formats`].

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_agent_core::observe::{
    EventLimit, EventSettings, Format, LineSettings, Pattern, Sealed, SignalSettings, Strftime,
    TimeField, TimeFormat, ValueField, Zone,
};
use watchkeeper_expr::{Condition, Scope};
use watchkeeper_model::{Body, Service, Severity, SkipReason, SourceTally, Timestamp, Unit};

/// When lines are read: 2026-11-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp(1_793_491_200 * 1_000_000_000);

/// Has the fields that [`settings`] ask for, some of them in no line.
const PATTERN: &str = r#"^(?P<time>\S+) (?P<level>\w+) (?P<msg>[^|]*)(?:\|(?P<path>\S+) (?P<status>\d+) (?P<ms>\S+)(?: (?P<a>.+))?)?$"#;

/// Every format, with the scope of its conditions.
pub fn formats() -> Vec<(Format, Scope<'static>)> {
    let pattern = Pattern::new(PATTERN).expect("a pattern with groups");
    vec![
        (Format::Json, Scope::Line),
        (Format::Logfmt, Scope::TextLine),
        (Format::Regex(pattern), Scope::TextLine),
        (Format::Text, Scope::TextLine),
    ]
}

/// Every way to write a time.
pub fn time_formats() -> Vec<TimeFormat> {
    let zone = |name| Zone::named(name).expect("a zone");
    let strftime = |format, zone| {
        TimeFormat::Strftime(Strftime::new(format, zone).expect("a format that says enough"))
    };
    vec![
        TimeFormat::Rfc3339(Zone::UTC),
        TimeFormat::Unix,
        TimeFormat::UnixMs,
        TimeFormat::UnixUs,
        TimeFormat::UnixNs,
        TimeFormat::Rfc3339(zone("Europe/Berlin")),
        strftime("%d/%b/%Y:%H:%M:%S %z", Zone::UTC),
        strftime("%b %e %H:%M:%S", zone("America/New_York")),
    ]
}

/// A source whose signals and events use everything there is.
///
/// `all` counts every line that was understood, `some` those that meet a condition, `timed` and `sized` measure.
pub fn settings(format: Format, scope: Scope<'_>) -> LineSettings {
    let conditions: [&str; 3] = match scope {
        Scope::Line => [
            r#"path != "/health" && (status >= 500 || has(fields.retry)) || fields["a-b"].c == 1"#,
            r#"level in ["error", "fatal"] || msg.contains("panic") || msg.matches("^fail.*[0-9]{2}$")"#,
            r#"[a, b.c].exists(x, x == "x") || size(b) > 3 || duration(took) > duration("1s")"#,
        ],
        _ => [
            r#"path != "/health" && (int(status) >= 500 || has(fields.retry)) || fields["a-b"] == "1""#,
            r#"level in ["error", "fatal"] || msg.contains("panic") || msg.matches("^fail.*[0-9]{2}$")"#,
            r#"[a, b].exists(x, x == "x") || size(b) > 3 || duration(took) > duration("1s")"#,
        ],
    };
    let condition = |text| {
        Condition::compile(text, scope).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
    };
    let [some, error, odd] = conditions.map(condition);
    let labels = [("status", "status"), ("method", "http.method"), ("a", "a")];
    let signal =
        |name: &str, value: Option<(&str, Unit)>, filter: &Condition, max_series| SignalSettings {
            name: name.to_owned(),
            value: value.map(|(field, unit)| ValueField { field: field.to_owned(), unit }),
            labels: labels.map(|(label, field)| (label.to_owned(), field.to_owned())).to_vec(),
            filter: filter.clone(),
            bounds: if value.is_some() { vec![-1, 0, 200_000_000] } else { Vec::new() },
            max_series,
        };
    let always = Condition::always();
    LineSettings {
        source: "log".to_owned(),
        service: Service::new("shop").expect("a name of a service"),
        format,
        given: vec!["file.pod".to_owned()],
        time: None,
        signals: vec![
            signal("all", None, &always, 4),
            signal("some", None, &some, 2),
            signal("timed", Some(("ms", Unit::Ms)), &always, 3),
            signal("sized", Some(("b.size", Unit::KiB)), &odd, 100),
        ],
        events: vec![
            EventSettings {
                name: "error".to_owned(),
                filter: error,
                severity: Severity::Error,
                message: Some("msg".to_owned()),
                correlation: Some("id".to_owned()),
                trace: None,
                limit: None,
            },
            EventSettings {
                name: "odd".to_owned(),
                filter: odd,
                severity: Severity::Info,
                message: None,
                correlation: None,
                trace: Some("a".to_owned()),
                limit: Some(EventLimit { events: 2, per: Duration::from_secs(1) }),
            },
        ],
    }
}

/// The same with a time in the field `time`, or without.
pub fn with_time(settings: &LineSettings, format: Option<TimeFormat>) -> LineSettings {
    let time = format.map(|format| TimeField { field: "time".to_owned(), format });
    LineSettings { time, ..settings.clone() }
}

/// What was sealed, added up over any number of seals.
#[derive(Debug, Default)]
pub struct Seen {
    /// Observations by signal.
    pub counts: BTreeMap<String, u64>,
    /// Label sets by signal.
    pub n_series: BTreeMap<String, usize>,
    /// What the sources did.
    pub tally: SourceTally,
    /// Event bodies.
    pub n_events: u64,
}

impl Seen {
    /// Adds what a seal took, and checks what holds for every seal.
    pub fn add(&mut self, sealed: &Sealed) {
        for body in sealed.services.iter().flat_map(|s| &s.bodies) {
            match body {
                Body::Windows { series, tallies, .. } => {
                    for series in series {
                        *self.n_series.entry(series.signal.clone()).or_default() += 1;
                        for part in &series.windows {
                            let distribution = &part.distribution;
                            *self.counts.entry(series.signal.clone()).or_default() +=
                                distribution.count;
                            if let Some(values) = &distribution.values {
                                assert_eq!(values.count, values.histogram.count(), "{series:?}");
                                assert!(values.min <= values.max, "{series:?}");
                            }
                        }
                    }
                    tallies.iter().for_each(|tally| self.tally.add(tally));
                }
                Body::Events { events, .. } => self.n_events += events.len() as u64,
            }
        }
    }

    /// Observations of a signal.
    pub fn count(&self, signal: &str) -> u64 {
        self.counts.get(signal).copied().unwrap_or(0)
    }

    /// What was skipped for a reason.
    pub fn skipped(&self, reason: SkipReason) -> u64 {
        let of_reason = self.tally.skipped.iter().filter(|(r, _)| *r == reason);
        of_reason.map(|(_, n)| n).sum()
    }

    /// Lines that were skipped, each once.
    pub fn n_skipped_lines(&self) -> u64 {
        let reasons = SkipReason::ALL.into_iter().filter(|r| *r != SkipReason::NoValue);
        reasons.map(|reason| self.skipped(reason)).sum()
    }
}
