//! Lines in, sealed distributions and events out.
//!
//! Owns the sentences about what is counted and what is skipped, and why.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_expr::{Condition, Scope};
use watchkeeper_model::{
    AgentId, Body, Distribution, Event, Labels, SeriesWindows, Service, Severity, SkipReason,
    SourceTally, TimeBasis, Timestamp, Unit,
};

use super::*;
use crate::seal::SealOrder;

pub(super) const NOW: Timestamp = Timestamp(1_793_491_200 * 1_000_000_000);

fn condition(text: &str) -> Condition {
    Condition::compile(text, Scope::Line).unwrap()
}

pub(super) fn settings() -> LineSettings {
    let labels = [("status", "status"), ("method", "http.method")];
    LineSettings {
        format: Format::Json,
        given: Vec::new(),
        source: "shop-log".into(),
        service: Service::new("shop").unwrap(),
        time: Some(TimeField { field: "time".into(), format: TimeFormat::Unix }),
        signals: vec![SignalSettings {
            name: "requests".into(),
            value: Some(ValueField { field: "ms".into(), unit: Unit::Ms }),
            labels: labels.map(|(l, f)| (l.to_owned(), f.to_owned())).to_vec(),
            filter: condition(r#"path != "/health""#),
            bounds: vec![200_000_000],
            max_series: 3,
        }],
        events: vec![EventSettings {
            name: "error".into(),
            filter: condition(r#"level == "error""#),
            severity: Severity::Error,
            message: Some("msg".into()),
            correlation: Some("id".into()),
            trace: None,
            limit: None,
        }],
    }
}

pub(super) struct Shop {
    pub(super) acc: Accumulator,
    pub(super) lines: LineObserver,
}

impl Shop {
    pub(super) fn new(settings: &LineSettings) -> Self {
        let labels = Labels::new([("env", "prod")]);
        let mut acc = Accumulator::new(AgentId::new("web-1"), labels);
        let lines = LineObserver::new(settings, &mut acc);
        Self { acc, lines }
    }

    pub(super) fn see(&mut self, line: impl AsRef<[u8]>) {
        self.lines.observe(line.as_ref(), NOW, &mut self.acc);
    }

    pub(super) fn seal(&mut self, width_secs: u32) -> Seen {
        let order = SealOrder { width_secs, ..SealOrder::default() };
        Seen::of(self.acc.seal(NOW, &order, Vec::new()))
    }
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) series: Vec<SeriesWindows>,
    pub(super) tallies: Vec<SourceTally>,
    pub(super) events: Vec<Event>,
}

impl Seen {
    fn of(sealed: Sealed) -> Self {
        let mut seen = Self::default();
        for body in sealed.services.into_iter().flat_map(|s| s.bodies) {
            match body {
                Body::Windows { series, tallies, .. } => {
                    seen.series.extend(series);
                    seen.tallies.extend(tallies);
                }
                Body::Events { events, .. } => seen.events.extend(events),
            }
        }
        seen
    }

    pub(super) fn skipped(&self) -> Vec<(SkipReason, u64)> {
        self.tallies.iter().flat_map(|t| t.skipped.clone()).collect()
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let count = |s: &SeriesWindows| s.windows.iter().map(|w| w.distribution.count).sum();
        self.series.iter().map(|s| (s.labels.to_string(), count(s))).collect()
    }
}

fn line(rest: &str) -> String {
    format!(r#"{{"time":1793491199.5,"path":"/",{rest}}}"#)
}

#[test]
fn each_line_is_skipped_once_for_the_first_reason() {
    for (what, reason) in [
        (r#"{"time":1793491199,"path":"/""#, SkipReason::Unparsable),
        ("plain text", SkipReason::Unparsable),
        ("[1]", SkipReason::Unparsable),
        ("", SkipReason::Blank),
        (" \t\r", SkipReason::Blank),
        (r#"{"path":"/","ms":1}"#, SkipReason::NoTime),
        (r#"{"time":"soon","path":"/","ms":1}"#, SkipReason::NoTime),
        (r#"{"time":1000000000,"path":"/","ms":1}"#, SkipReason::TooLate),
        (r#"{"time":1793491199,"path":"/"}"#, SkipReason::NoValue),
        (r#"{"time":1793491199,"path":"/","ms":null}"#, SkipReason::NoValue),
        (r#"{"time":1793491199,"path":"/","ms":true}"#, SkipReason::NoValue),
        (r#"{"time":1793491199,"path":"/","ms":"fast"}"#, SkipReason::NoValue),
        (r#"{"time":1793491199,"path":"/","ms":1e300}"#, SkipReason::NoValue),
    ] {
        let mut shop = Shop::new(&settings());
        shop.see(what);
        let seen = shop.seal(1);
        assert_eq!(seen.skipped(), [(reason, 1)], "{what}");
        assert_eq!(seen.tallies[0].read, 1);
        assert!(seen.series.is_empty());
    }
    let mut shop = Shop::new(&settings());
    shop.see(b"{\"a\":\"\xff\"}");
    assert_eq!(shop.seal(1).skipped(), [(SkipReason::InvalidUtf8, 1)]);
}

#[test]
fn lines_add_up_by_label_set_and_second() {
    let mut shop = Shop::new(&settings());
    shop.see(line(r#""ms":199.9999999,"status":200,"http":{"method":"GET"}"#));
    shop.see(line(r#""ms":"200","status":200,"http.method":"GET""#));
    shop.see(line(r#""ms":200.000001,"status":2e2,"http":null"#));
    shop.see(r#"{"time":1793491198,"path":"/","ms":-5,"status":200,"http":{"method":"GET"}}"#);
    shop.see(r#"{"time":1793491198,"path":"/health","ms":1}"#);
    shop.see(r#"{"time":1793491198,"ms":1}"#);
    let seen = shop.seal(1);
    assert_eq!(seen.tallies[0].read, 6);
    assert!(seen.tallies[0].skipped.is_empty(), "a line no signal wants is no skipped line");
    assert_eq!(seen.series.len(), 2);
    let get = &seen.series[0];
    assert_eq!(get.labels.to_string(), r#"{env="prod", method="GET", status="200"}"#);
    assert_eq!((get.unit, get.basis), (Unit::Ms, TimeBasis::Line));
    let windows: Vec<i64> = get.windows.iter().map(|w| w.window.start.secs()).collect();
    assert_eq!(windows, [1_793_491_198, 1_793_491_199]);
    let values = get.windows[1].distribution.values.as_ref().unwrap();
    assert_eq!((values.count, values.sum), (2, 400_000_000));
    let bound = values.bounds[0];
    assert_eq!((bound.at, bound.within, bound.covered), (200_000_000, 2, 2));
    assert_eq!((values.last.index, values.last.at.nanos() % 1_000_000_000), (1, 500_000_000));
    let early = get.windows[0].distribution.values.as_ref().unwrap();
    assert_eq!((early.min, early.max), (-5_000_000, -5_000_000));
    assert_eq!(seen.series[1].labels.get("status"), "2e2", "numbers stay as written");
    assert!(shop.acc.is_empty());
}

#[test]
fn a_time_ahead_becomes_the_time_it_was_read() {
    let mut shop = Shop::new(&settings());
    shop.see(r#"{"time":1793491260,"path":"/","ms":1}"#);
    shop.see(r#"{"time":1793491261,"path":"/","ms":1}"#);
    let seen = shop.seal(1);
    let windows: Vec<i64> = seen.series[0].windows.iter().map(|w| w.window.start.secs()).collect();
    assert_eq!(windows, [1_793_491_200, 1_793_491_260]);
    assert_eq!(seen.tallies[0].clamped, 1);
}

#[test]
fn without_a_time_field_lines_have_the_time_they_were_read() {
    let mut shop = Shop::new(&LineSettings { time: None, ..settings() });
    shop.see(r#"{"time":1,"path":"/","ms":1}"#);
    let seen = shop.seal(1);
    assert_eq!(seen.series[0].basis, TimeBasis::Agent);
    assert_eq!(seen.series[0].windows[0].window.start, NOW);
}

#[test]
fn an_event_keeps_the_line_and_a_line_without_message_speaks_for_itself() {
    let mut shop = Shop::new(&settings());
    let first = line(r#""level":"error","msg":"no\nluck","id":7,"ms":1"#);
    let second = line(r#""level":"error","ms":1"#);
    shop.see(&first);
    shop.see(&second);
    shop.see(line(r#""level":"info","msg":"x","ms":1"#));
    let seen = shop.seal(1);
    assert_eq!(seen.events.len(), 2);
    let event = &seen.events[0];
    assert_eq!((event.name.as_str(), event.severity), ("error", Severity::Error));
    assert_eq!((event.message.as_str(), event.correlation.as_str()), ("no\nluck", "7"));
    assert_eq!((&event.fields, event.source.as_str()), (&first, "shop-log"));
    assert_eq!(seen.events[1].message, second);
}

#[test]
fn an_event_without_named_ids_takes_the_usual_ones() {
    let with = |correlation: Option<&str>, trace: Option<&str>| {
        let mut settings = settings();
        settings.events[0].correlation = correlation.map(str::to_owned);
        settings.events[0].trace = trace.map(str::to_owned);
        let mut shop = Shop::new(&settings);
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        shop.see(line(&format!(
            r#""level":"error","ms":1,"id":7,"request_id":"r-1","trace_id":"t-1","tp":"00-{trace}-00f067aa0ba902b7-01""#
        )));
        let event = shop.seal(1).events.remove(0);
        (event.correlation, event.trace)
    };
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (correlation, trace, expected) in [
        (None, None, ("r-1", "t-1")),
        (Some("id"), None, ("7", "t-1")),
        (None, Some("tp"), ("r-1", trace)),
        (Some("none"), Some("none"), ("", "")),
    ] {
        let (c, t) = with(correlation, trace);
        assert_eq!((c.as_str(), t.as_str()), expected, "{correlation:?} {trace:?}");
    }
}

#[test]
fn nothing_that_is_sealed_holds_what_must_not_leave_the_host() {
    let mut shop = Shop::new(&settings());
    shop.see(line(r#""level":"error","ms":1,"msg":"bob@example.com","id":"4111 1111 1111 1111""#));
    shop.see(line(
        r#""level":"error","ms":1,"status":"bob@example.com","to":"bob\u0040example.com""#,
    ));
    let sealed = shop.acc.seal(NOW, &SealOrder::default(), Vec::new());
    let Body::Windows { samples, .. } = &sealed.services[0].bodies[0] else { panic!("windows") };
    assert!(samples.len() == 2 && !format!("{samples:?}").contains("bob"), "{samples:?}");
    let seen = Seen::of(sealed);
    let [first, second] = &seen.events[..] else { panic!("two events") };
    assert_eq!((first.message.as_str(), first.correlation.as_str()), ("[email]", "[card]"));
    assert!(first.fields.ends_with(r#""msg":"[email]","id":"[card]"}"#), "{}", first.fields);
    assert!(!format!("{second:?}").contains("example.com"), "{second:?}");
    assert_eq!(second.message, second.fields);
    assert_eq!(seen.tallies[0].redacted, 4 + 4);
    assert_eq!(seen.series[1].labels.get("status"), "bob@example.com", "labels stay unless asked");
}

#[test]
fn labels_that_become_one_add_up() {
    let mut shop = Shop::new(&LineSettings { events: Vec::new(), ..settings() });
    shop.see(line(r#""ms":1,"status":"bob@example.com""#));
    let labels = RedactSettings { labels: true, ..RedactSettings::default() };
    shop.acc.set_redactor(Redactor::new(&labels));
    shop.see(line(r#""ms":1,"status":"bob@example.com""#));
    shop.see(line(r#""ms":1,"status":"amy@example.com""#));
    let seen = shop.seal(1);
    let counts: Vec<(String, u64)> = seen.counts().into_iter().collect();
    let expected = [
        (r#"{env="prod", status="[email]"}"#.to_owned(), 2),
        (r#"{env="prod", status="bob@example.com"}"#.to_owned(), 1),
    ];
    assert_eq!(counts, expected, "what was counted before has the labels of before");
    assert_eq!(seen.tallies[0].redacted, 1);
}

#[test]
fn a_limit_holds_bodies_back_and_never_counts() {
    let mut limited = settings();
    limited.events[0].limit = Some(EventLimit { events: 3, per: Duration::from_secs(60) });
    let other = EventSettings { name: "other".into(), limit: None, ..limited.events[0].clone() };
    limited.events.push(other);
    let mut shop = Shop::new(&limited);
    let error = line(r#""level":"error","ms":1"#);
    (0..10).for_each(|_| shop.see(&error));
    let held = HeldBack { source: "shop-log".into(), event: "error".into(), n: 7 };
    assert_eq!(shop.acc.held_back(), std::slice::from_ref(&held));
    let seen = shop.seal(1);
    let kept = |name: &str| seen.events.iter().filter(|e| e.name == name).count();
    assert_eq!((kept("error"), kept("other")), (3, 10));
    assert_eq!((seen.tallies[0].events, seen.tallies[0].events_held_back), (13, 7));
    assert_eq!(seen.counts().values().sum::<u64>(), 10, "counts are never limited");
    shop.lines.observe(error.as_bytes(), NOW + Duration::from_secs(20), &mut shop.acc);
    assert_eq!(shop.acc.held_back(), [held], "one has come back");
    assert_eq!(shop.seal(1).tallies[0].events_held_back, 0);
}

#[test]
fn label_sets_beyond_the_limit_overflow_with_an_event_and_no_count_is_lost() {
    let mut shop = Shop::new(&settings());
    for status in 0..20 {
        shop.see(line(&format!(r#""ms":1,"status":{status},"http":{{"method":"GET"}}"#)));
    }
    assert_eq!(shop.acc.overflowed()[0].label, "status");
    let seen = shop.seal(1);
    let counts = seen.counts();
    assert_eq!(counts.len(), 4);
    assert_eq!(counts[r#"{env="prod", method="GET", status="__overflow__"}"#], 17);
    assert_eq!(seen.tallies[0].overflowed, 17);
    assert_eq!(seen.events.len(), 1, "one event names the label, not one per line");
    assert!(seen.events[0].message.contains("\"status\""));
}

#[test]
fn wanted_bounds_cover_only_what_comes_after_them() {
    let mut shop = Shop::new(&settings());
    let service = Service::new("shop").unwrap();
    shop.see(line(r#""ms":100"#));
    shop.acc.set_wanted_bounds(&service, "requests", &[50_000_000, 200_000_000]);
    shop.acc.set_wanted_bounds(&service, "other", &[1]);
    shop.see(line(r#""ms":10"#));
    let seen = shop.seal(1);
    let distribution = &seen.series[0].windows[0].distribution;
    let bounds = &distribution.values.as_ref().unwrap().bounds;
    let bounds: Vec<_> = bounds.iter().map(|b| (b.at, b.within, b.covered)).collect();
    assert_eq!(bounds, [(50_000_000, 1, 1), (200_000_000, 2, 2)]);
    assert_eq!(distribution.within(50_000_000).estimated, 1);
}

#[test]
fn a_seal_that_could_not_be_stored_adds_up_with_what_follows() {
    let mut whole = Shop::new(&settings());
    let mut failing = Shop::new(&settings());
    for i in 0..50 {
        let text = line(&format!(r#""ms":{i},"status":{},"level":"error""#, i % 3));
        whole.see(&text);
        failing.see(&text);
        if i % 7 == 0 {
            let sealed = failing.acc.seal(NOW, &SealOrder::default(), Vec::new());
            assert!(failing.acc.is_empty());
            failing.acc.restore(sealed);
            assert!(!failing.acc.is_empty());
        }
    }
    let (whole, failing) = (whole.seal(1), failing.seal(1));
    assert_eq!(whole.series, failing.series);
    assert_eq!(whole.tallies, failing.tallies);
    assert_eq!(whole.events, failing.events);
}

#[test]
fn under_pressure_windows_widen_and_counts_stay() {
    let mut shop = Shop::new(&settings());
    for second in 0..30 {
        shop.see(format!(r#"{{"time":{},"path":"/","ms":1}}"#, 1_793_491_170 + second));
    }
    let seen = shop.seal(10);
    let windows = |seen: &Seen| -> Vec<(i64, u32, u64)> {
        let of = |w: &watchkeeper_model::WindowPart| {
            (w.window.start.secs() % 1_000, w.window.width_secs, w.distribution.count)
        };
        seen.series[0].windows.iter().map(of).collect()
    };
    assert_eq!(windows(&seen), [(170, 10, 10), (180, 10, 10), (190, 10, 10)]);
    shop.see(line(r#""ms":1"#));
    assert_eq!(windows(&shop.seal(60)), [(140, 60, 1)]);
}

#[test]
fn event_bodies_go_by_severity_and_are_counted() {
    let mut shop = Shop::new(&settings());
    let source = shop.lines.source();
    for severity in [Severity::Info, Severity::Critical, Severity::Warning, Severity::Error] {
        let event = Event {
            at: NOW,
            source: String::new(),
            name: "e".into(),
            severity,
            message: "m".repeat(1_000),
            correlation: String::new(),
            trace: String::new(),
            fields: "{}".into(),
            truncated: false,
        };
        shop.acc.event(source, event);
    }
    let order = SealOrder {
        least_severity: Some(Severity::Warning),
        max_event_bytes: 2_800,
        ..SealOrder::default()
    };
    let seen = Seen::of(shop.acc.seal(NOW, &order, Vec::new()));
    let kept: Vec<Severity> = seen.events.iter().map(|e| e.severity).collect();
    assert_eq!(kept, [Severity::Critical, Severity::Error]);
    assert_eq!(seen.tallies[0].events_dropped, 2);
}

#[test]
fn a_signal_without_value_is_a_count() {
    let mut plain = settings();
    plain.signals[0].value = None;
    let mut shop = Shop::new(&plain);
    shop.see(line(r#""status":200"#));
    let seen = shop.seal(1);
    assert_eq!(seen.series[0].windows[0].distribution, Distribution::counted(1));
}

#[test]
fn two_sources_of_one_signal_share_its_series() {
    let mut shop = Shop::new(&settings());
    let other = LineSettings { source: "other".into(), ..settings() };
    let mut lines = LineObserver::new(&other, &mut shop.acc);
    shop.see(line(r#""ms":1"#));
    lines.observe(line(r#""ms":2"#).as_bytes(), NOW, &mut shop.acc);
    let seen = shop.seal(1);
    assert_eq!(seen.series.len(), 1);
    assert_eq!(seen.series[0].windows[0].distribution.count, 2);
    assert_eq!(seen.tallies.len(), 2);
}

#[test]
fn endless_reloads_with_new_names_take_no_more_room() {
    let mut shop = Shop::new(&settings());
    let mut unchanged = settings();
    unchanged.source = "unchanged".into();
    unchanged.signals[0].name = "kept".into();
    let mut kept = LineObserver::new(&unchanged, &mut shop.acc);
    let line = r#"{"time":1793491190,"path":"/","ms":1,"status":200}"#;
    for n in 0..1_000 {
        shop.see(line);
        kept.observe(line.as_bytes(), NOW, &mut shop.acc);
        // What is not sealed is not forgotten.
        shop.acc.forget_unused(&InUse::default());
        let seen = shop.seal(1);
        let names: Vec<&str> = seen.series.iter().map(|s| s.signal.as_str()).collect();
        let current = if n == 0 { "requests".to_owned() } else { format!("signal_{n}") };
        assert_eq!(names, ["kept", &current], "reload {n}");
        assert_eq!(seen.tallies.iter().map(|t| t.read).collect::<Vec<_>>(), [1, 1]);
        let mut edited = settings();
        edited.source = format!("source-{}", n + 1);
        edited.signals[0].name = format!("signal_{}", n + 1);
        shop.lines = LineObserver::new(&edited, &mut shop.acc);
        let mut used = shop.lines.in_use();
        used.extend(kept.in_use());
        shop.acc.forget_unused(&used);
        assert!(shop.acc.n_places() <= (3, 3), "{:?}", shop.acc.n_places());
    }
}

#[test]
fn a_signal_made_known_later_has_the_bounds_that_were_wanted_before() {
    let mut shop = Shop::new(&settings());
    let service = Service::new("shop").unwrap();
    shop.acc.set_wanted_bounds(&service, "latency", &[7_000_000]);
    let mut edited = settings();
    edited.signals[0].name = "latency".into();
    shop.lines = LineObserver::new(&edited, &mut shop.acc);
    shop.see(r#"{"time":1793491190,"path":"/","ms":1,"status":200}"#);
    let seen = shop.seal(1);
    let values = seen.series[0].windows[0].distribution.values.as_ref().unwrap();
    assert_eq!(values.bounds.iter().map(|b| b.at).collect::<Vec<_>>(), [7_000_000, 200_000_000]);
}
