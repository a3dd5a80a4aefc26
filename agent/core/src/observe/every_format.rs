//! Lines of every format through one observer.
//!
//! Owns the sentences about what formats have in common: each line is read, or skipped for a reason, and counted
//! once.

use proptest::prelude::*;
use watchkeeper_expr::{Condition, Scope};
use watchkeeper_model::SkipReason;

use super::tests::{NOW, Seen, Shop, settings};
use super::{
    EventSettings, Format, LineSettings, Pattern, SignalSettings, Strftime, TimeField, TimeFormat,
    Zone,
};

const COMBINED: &str = r#"^(?P<remote>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<path>[^"]*)" (?P<status>\d+)(?: (?P<ms>\S+))?$"#;

fn formats() -> Vec<Format> {
    let regex = |pattern| Format::Regex(Pattern::new(pattern).unwrap());
    vec![Format::Json, Format::Logfmt, Format::Text, regex(COMBINED), regex("(?P<path>.*)")]
}

/// The usual source in a format, with the fields this format has.
fn shop(format: &Format, time: Option<TimeFormat>) -> Shop {
    let usual = settings();
    let text = |text: &str| Condition::compile(text, Scope::TextLine).unwrap();
    Shop::new(&LineSettings {
        format: format.clone(),
        time: time.map(|format| TimeField { field: "time".into(), format }),
        signals: vec![SignalSettings {
            value: None,
            labels: vec![("status".into(), "status".into())],
            filter: Condition::always(),
            ..usual.signals[0].clone()
        }],
        events: vec![EventSettings {
            filter: match format.has_only_text() {
                true => text("has(fields.line) || int(status) >= 500"),
                false => usual.events[0].filter.clone(),
            },
            message: None,
            correlation: Some("remote".into()),
            ..usual.events[0].clone()
        }],
        ..usual
    })
}

#[test]
fn an_event_has_a_body_of_json_whatever_its_line_was() {
    for (format, line, body, message) in [
        (
            Format::Logfmt,
            "status=500 msg=\"a b\" late",
            r#"{"status":"500","msg":"a b","late":"true"}"#,
            "status=500 msg",
        ),
        (
            Format::Regex(Pattern::new(COMBINED).unwrap()),
            "::1 - - [x] \"GET /\" 500",
            r#"{"remote":"::1","time":"x","path":"GET /","status":"500"}"#,
            "::1 - - [x]",
        ),
        (Format::Text, "out of \"luck\"", r#"{"message":"out of \"luck\""}"#, "out of \"luck\""),
        (Format::Json, r#"{"level": "error"}"#, r#"{"level": "error"}"#, r#"{"level""#),
    ] {
        let mut shop = shop(&format, None);
        shop.see(line);
        let seen = shop.seal(1);
        assert_eq!((seen.events.len(), seen.events[0].fields.as_str()), (1, body), "{line}");
        assert!(seen.events[0].message.starts_with(message));
    }
}

#[test]
fn a_given_field_is_not_taken_from_a_line_of_any_format() {
    for (format, line) in [
        (Format::Json, r#"{"_file":{"path":"lie"},"_file.path":"lie","status":"lie"}"#),
        (Format::Logfmt, "_file.path=lie status=lie"),
        (Format::Regex(Pattern::new(r"(?P<_file.path>\S+) (?P<status>\S+)").unwrap()), "lie lie"),
        (Format::Text, "lie lie"),
    ] {
        let labels = [("path", "_file.path"), ("status", "status")];
        let mut given = settings();
        given.given = vec!["_file.path".to_owned(), "status".to_owned()];
        given.format = format;
        given.time = None;
        given.signals[0].value = None;
        given.signals[0].filter = Condition::always();
        given.signals[0].labels = labels.map(|(l, f)| (l.to_owned(), f.to_owned())).to_vec();
        let mut shop = Shop::new(&given);
        shop.lines.give(0, "/var/log/a");
        shop.see(line);
        let seen = shop.seal(1);
        assert_eq!(seen.series[0].labels.get("path"), "/var/log/a", "{line}");
        assert_eq!(seen.series[0].labels.get("status"), "", "given empty is absent: {line}");
    }
}

#[test]
fn times_of_text_formats_are_too_late_or_clamped_like_any() {
    let apache = || TimeFormat::Strftime(Strftime::new("%d/%b/%Y:%H:%M:%S %z", Zone::UTC).unwrap());
    for (time, skipped, clamped) in [
        ("01/Jan/1970:00:00:00 +0000", Some(SkipReason::TooLate), 0),
        ("01/Jan/1700:00:00:00 +0000", Some(SkipReason::TooLate), 0),
        ("01/Jan/2090:00:00:00 +0000", None, 1),
        ("01/Jan/9999:00:00:00 +0000", Some(SkipReason::NoTime), 0),
        ("31/Oct/2026:23:00:00 +0000", None, 0),
        ("32/Oct/2026:23:00:00 +0000", Some(SkipReason::NoTime), 0),
        ("now", Some(SkipReason::NoTime), 0),
    ] {
        for (format, line) in [
            (
                Format::Regex(Pattern::new(COMBINED).unwrap()),
                format!("::1 - - [{time}] \"GET /\" 200"),
            ),
            (Format::Logfmt, format!("time=\"{time}\" status=200")),
            (Format::Json, format!("{{\"time\":\"{time}\",\"status\":200}}")),
        ] {
            let mut shop = shop(&format, Some(apache()));
            shop.see(&line);
            let seen = shop.seal(1);
            assert_eq!(
                seen.skipped(),
                skipped.map(|r| (r, 1)).into_iter().collect::<Vec<_>>(),
                "{line}"
            );
            assert_eq!(seen.tallies[0].clamped, clamped, "{line}");
        }
    }
}

/// Lines of each kind, and some of none.
fn lines() -> Vec<String> {
    let mut lines: Vec<String> = [
        r#"{"time":1793491199,"path":"/","status":500,"level":"error"}"#,
        r#"{"status":1e400,"level":"error","a":"{\"status\":1}"}"#,
        r#"{"status":1,"status":2,"status":{"status":3}}"#,
        r#"time=2026-11-22T18:07:09Z status=500 status=200 path="/a b" flag"#,
        r#"status=1e400 msg="tab	and \"quotes\"\n""#,
        r#"10.0.0.1 - - [22/Nov/2026:18:07:09 +0000] "GET / HTTP/1.1" 500 0.1"#,
        r#"10.0.0.1 - é [] "" 500"#,
        "2026-11-22T18:07:09.123Z ERROR something went wrong: \"x\"",
        "Nov 22 18:07:09 web-1 sshd[1]: session opened",
        "2026-11-22T18:07:09.1Z stdout F {\"level\":\"error\"}",
        "  at com.example.Main(Main.java:1)",
        "",
        " ",
        "\t \r",
        "\0\0\0",
        "\u{feff}{\"status\":500}",
        "status=500\r",
        "{\"status\":500}\r",
        "é",
        "\u{2028}",
    ]
    .map(str::to_owned)
    .to_vec();
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("(", ")"), ("\\", "\""), ("\"", "=")] {
        lines.push(format!("{{\"a\":{}1{}}}", open.repeat(10_000), close.repeat(10_000)));
        lines.push(format!("a={}1{}", open.repeat(10_000), close.repeat(10_000)));
        lines.push(open.repeat(10_000));
    }
    lines
}

fn each_is_counted_once_or_skipped_once(lines: &[String]) {
    let times = [
        None,
        Some(TimeFormat::default()),
        Some(TimeFormat::Unix),
        Some(TimeFormat::Strftime(Strftime::new("%b %e %T", Zone::UTC).unwrap())),
    ];
    for format in formats() {
        for time in times.clone() {
            let mut shop = shop(&format, time);
            lines.iter().for_each(|line| shop.see(line));
            let seen = shop.seal(1);
            let skipped: u64 = seen.skipped().iter().map(|(_, n)| n).sum();
            let counted: u64 = seen.counts().values().sum();
            let blank =
                lines.iter().filter(|l| l.bytes().all(|b| b == 0 || b.is_ascii_whitespace()));
            let blank = blank.count() as u64;
            let told =
                seen.skipped().iter().find(|(r, _)| *r == SkipReason::Blank).map_or(0, |s| s.1);
            assert_eq!(skipped + counted, lines.len() as u64, "{format:?}");
            assert_eq!(told, blank, "{format:?}");
            for event in &seen.events {
                let is_json = serde_json::from_str::<serde_json::Value>(&event.fields);
                // JSON knows no number as large as 1e400, and serde_json none either.
                let is_ours = format == Format::Json || event.truncated;
                assert!(is_json.is_ok() || is_ours, "{}", event.fields);
            }
        }
    }
}

#[test]
fn every_format_counts_or_skips_the_lines_of_every_other() {
    each_is_counted_once_or_skipped_once(&lines());
}

#[test]
fn bytes_that_are_no_text_are_skipped_in_every_format() {
    for format in formats() {
        let mut shop = shop(&format, None);
        shop.see(b"status=500 \xff");
        assert_eq!(shop.seal(1).skipped(), [(SkipReason::InvalidUtf8, 1)]);
    }
}

#[test]
fn a_time_without_a_year_goes_with_the_clock() {
    let format = Format::Regex(Pattern::new("^(?P<time>.{15}) (?P<status>.*)").unwrap());
    let syslog = TimeFormat::Strftime(Strftime::new("%b %e %H:%M:%S", Zone::UTC).unwrap());
    let mut shop = shop(&format, Some(syslog));
    shop.see("Oct 31 23:59:59 x");
    shop.see("Nov  1 23:59:59 x");
    shop.see("Feb 29 00:00:00 x");
    let seen: Seen = shop.seal(1);
    let starts: Vec<_> = seen.series[0].windows.iter().map(|w| w.window.start).collect();
    assert_eq!(starts, [NOW - std::time::Duration::from_secs(1), NOW]);
    assert_eq!(seen.tallies[0].clamped, 1, "within a day ahead it is of this year, and clamped");
    assert_eq!(seen.skipped(), [(SkipReason::TooLate, 1)]);
}

proptest! {
    // Few cases of many lines: a pattern is compiled for each.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_lines_are_counted_or_skipped_in_every_format(
        lines in proptest::collection::vec(
            prop_oneof![
                ".{0,40}",
                "[{}\\[\\]\":,=\\\\ a-c0-9\\t\r\0é]{0,40}",
                "(status|time|path)=\"?[a0 \\\\\"]{0,8}\"?",
            ],
            0..300,
        ),
    ) {
        each_is_counted_once_or_skipped_once(&lines);
    }
}
