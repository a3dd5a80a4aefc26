//! What the keys about lines become, and what is told where they are wrong.
//!
//! Owns sentences about configuration. How lines are read is tested in the core.

use watchkeeper_agent_core::observe::{Format, LineSettings, Strftime, TimeFormat, Zone};
use watchkeeper_config::{Problems, Reader, load_str};
use watchkeeper_model::Service;

use crate::sources::read;

fn read_with_warnings(rest: &str) -> Result<(LineSettings, Problems), Problems> {
    let yaml = format!("tail:\n  service: shop\n  paths: [/l/*.log]\n{rest}");
    let mut reader = Reader::new(&|_: &str| None);
    let settings = load_str("agent.yaml", &yaml, &mut reader)
        .and_then(|document| read(document.root(), &mut reader));
    let (config, warnings) = reader.finish(settings)?;
    let tail = config.settings.into_tail().unwrap();
    Ok((tail.lines, warnings))
}

fn lines(rest: &str) -> LineSettings {
    read_with_warnings(rest).unwrap_or_else(|problems| panic!("{rest}\n{}", problems.render())).0
}

#[test]
fn each_format_is_read() {
    assert_eq!(lines("").format, Format::Json);
    assert_eq!(lines("  format: json").format, Format::Json);
    assert_eq!(lines("  format: logfmt").format, Format::Logfmt);
    assert_eq!(lines("  format: text").format, Format::Text);
    for pattern in [
        r"  pattern: '^(?P<status>\d+)$'",
        r#"  pattern: "^(?P<status>\\d+)$""#,
        "  pattern: |\n    ^(?P<status>\\d+)$\n",
        "  pattern: >-\n    ^(?P<status>\\d+)$\n",
    ] {
        let Format::Regex(read) = lines(&format!("  format: regex\n{pattern}")).format else {
            panic!("{pattern}")
        };
        assert_eq!(
            (read.as_str(), read.fields()),
            (r"^(?P<status>\d+)$", &["status".to_owned()][..])
        );
    }
}

#[test]
fn each_time_format_is_read() {
    let berlin = || Zone::named("Europe/Berlin").unwrap();
    let strftime = |format, zone| TimeFormat::Strftime(Strftime::new(format, zone).unwrap());
    for (written, wanted) in [
        ("field: t", TimeFormat::Rfc3339(Zone::UTC)),
        ("field: t, zone: Europe/Berlin", TimeFormat::Rfc3339(berlin())),
        ("field: t, format: rfc3339, zone: UTC", TimeFormat::Rfc3339(Zone::UTC)),
        ("field: t, format: unix", TimeFormat::Unix),
        ("field: t, format: unix_ms, zone: UTC", TimeFormat::UnixMs),
        ("field: t, format: unix_us", TimeFormat::UnixUs),
        ("field: t, format: unix_ns", TimeFormat::UnixNs),
        ("field: t, format: '%F %T'", strftime("%F %T", Zone::UTC)),
        ("field: t, format: '%F %T', zone: Europe/Berlin", strftime("%F %T", berlin())),
        ("field: t, format: strftime, pattern: '%b %e %T'", strftime("%b %e %T", Zone::UTC)),
    ] {
        let time = lines(&format!("  time: {{{written}}}")).time.unwrap();
        assert_eq!((time.field.as_str(), time.format), ("t", wanted), "{written}");
    }
}

#[test]
fn a_format_that_knows_its_fields_takes_no_others() {
    let all = lines(
        "  format: regex\n  pattern: '(?P<t>\\S+) (?P<status>\\d+) (?P<took>\\S+) (?P<why>.*)'
  time: {field: t}
  signals: [{name: r, value: {field: took, unit: s}, labels: {s: status}, where: 'int(status) > 1'}]
  events: [{name: e, where: 'status == \"500\"', message: why, correlation: t}]",
    );
    assert_eq!(all.signals[0].labels[0].1, "status");
    lines(
        "  format: text\n  events: [{name: e, where: 'message.contains(\"x\") && line != \"\"'}]",
    );
    lines("  format: logfmt\n  events: [{name: e, where: 'anything == \"x\"', message: other}]");
}

#[test]
fn a_field_that_the_source_gives_is_known_too() {
    let given = || vec!["_file.path".to_owned(), "_wrap.stream".to_owned()];
    let read = |yaml: &str| {
        let mut reader = Reader::new(&|_: &str| None);
        let settings = load_str("agent.yaml", yaml, &mut reader).and_then(|document| {
            document.root().fields(&mut reader, &super::KEYS, |f| {
                super::read(f, "s", Service::new("shop"), given())
            })
        });
        reader.finish(settings).map(|(settings, _)| settings)
    };
    let yaml = |field: &str| {
        format!(
            "format: text\nsignals: [{{name: a, labels: {{f: {field}}}, where: '{field} != \"\"'}}]"
        )
    };
    assert_eq!(read(&yaml("_file.path")).unwrap().given, given());
    let problems = read(&yaml("_file.pth")).expect_err("no such field").render();
    assert_eq!(problems.matches("did you mean `_file.path`?").count(), 2, "{problems}");
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    let regex =
        |rest: &str| format!("  format: regex\n  pattern: '(?P<status>\\d+) (?P<took>.*)'\n{rest}");
    for (yaml, told) in [
        ("  format: grok".to_owned(), "4:11: error: `grok` is not one of the words valid here"),
        ("  format: logfmtt".to_owned(), "did you mean `logfmt`?"),
        ("  format: regex".to_owned(), "4:11: error: `pattern` is missing"),
        ("  format: regex\n  pattern:".to_owned(), "4:11: error: `pattern` is missing"),
        ("  pattern: '(?P<a>x)'".to_owned(), "4:12: error: only `format: regex` has a `pattern`"),
        ("  pattern: '(?P<a>x)'".to_owned(), "write format: regex beside it"),
        (
            "  format: text\n  pattern: x".to_owned(),
            "5:12: error: only `format: regex` has a `pattern`",
        ),
        ("  format: regex\n  pattern: '(?P<a>x'".to_owned(), "5:13: error: unclosed group"),
        (
            r"  format: regex
  pattern: '^(?P<a>\d+) (?P<b>\q)'"
                .to_owned(),
            "5:31: error: unrecognized escape sequence",
        ),
        (
            "  format: regex\n  pattern: |\n    (?x) (?P<a>x)\n    [y".to_owned(),
            "7:5: error: unclosed character class",
        ),
        (
            "  format: regex\n  pattern: '([0-9]+)'".to_owned(),
            "5:13: error: the pattern has no named group",
        ),
        ("  format: regex\n  pattern: '([0-9]+)'".to_owned(), "(?P<status>[0-9]+)"),
        (
            regex("  signals: [{name: a, labels: {s: staus}}]"),
            "6:35: error: lines have no field `staus`",
        ),
        (regex("  signals: [{name: a, labels: {s: staus}}]"), "did you mean `status`?"),
        (regex("  signals: [{name: a, value: {field: x}}]"), "known here: status, took"),
        (
            regex("  signals: [{name: a, where: 'stats == \"1\"'}]"),
            "6:31: error: lines have no field `stats`",
        ),
        (regex("  signals: [{name: a, where: 'status >= 500'}]"), "write int(status) >= 500"),
        (regex("  events: [{name: a, where: 'has(fields.x)'}]"), "lines have no field `x`"),
        (
            regex("  events: [{name: a, where: '', message: m}]"),
            "6:42: error: lines have no field `m`",
        ),
        (regex("  events: [{name: a, where: '', correlation: m}]"), "lines have no field `m`"),
        (regex("  time: {field: t}"), "6:17: error: lines have no field `t`"),
        ("  format: text\n  time: {field: mesage}".to_owned(), "did you mean `message`?"),
        (
            "  format: logfmt\n  signals: [{name: a, where: 'status > 1'}]".to_owned(),
            "write int(status) > 1",
        ),
        ("  time: {field: t, format: unx}".to_owned(), "4:28: error: \"unx\" is no time format"),
        ("  time: {field: t, format: unx}".to_owned(), "did you mean `unix`?"),
        ("  time: {field: t, format: '%Y %q'}".to_owned(), "4:32: error: `%q` is no directive"),
        (
            "  time: {field: t, format: '%F %T %Z'}".to_owned(),
            "4:35: error: `%Z` cannot be read back",
        ),
        ("  time: {field: t, format: '%H:%M'}".to_owned(), "4:29: error: the format says no day"),
        ("  time: {field: t, format: strftime}".to_owned(), "4:28: error: `pattern` is missing"),
        (
            "  time: {field: t, format: strftime, pattern: '%T'}".to_owned(),
            "4:48: error: the format says no day",
        ),
        (
            "  time: {field: t, format: '%F', pattern: '%T'}".to_owned(),
            "`format` is the pattern already",
        ),
        (
            "  time: {field: t, format: unix, pattern: '%T'}".to_owned(),
            "only `format: strftime` has a `pattern`",
        ),
        (
            "  time: {field: t, zone: Europe/Berln}".to_owned(),
            "4:26: error: there is no time zone \"Europe/Berln\"",
        ),
        ("  time: {field: t, zone: Europe/Berln}".to_owned(), "did you mean Europe/Berlin?"),
        ("  time: {field: t, zone: CET+1}".to_owned(), "write it as in the IANA database"),
        (
            "  time: {field: t, format: unix, zone: Europe/Berlin}".to_owned(),
            "unix counts from 1970 in UTC",
        ),
    ] {
        let problems = read_with_warnings(&yaml).expect_err(&yaml).render();
        assert!(problems.contains(told), "{yaml}\n{problems}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let problems = read_with_warnings(
        "  format: regex\n  pattern: '(?P<a>x)'\n  time: {field: b, format: '%q', zone: X}
  signals: [{name: s, value: {field: c}, labels: {l: d}, where: 'e == \"\"'}]
  events: [{name: v, where: 'f == \"\"', message: g, correlation: h}]",
    );
    assert_eq!(problems.expect_err("all wrong").n_errors(), 9);
}

#[test]
fn what_has_no_effect_or_little_is_warned_of() {
    for (written, told) in [
        ("format: '%F'", "4:28: warning: the format says no hour"),
        (
            "format: '%F %T %z', zone: Europe/Berlin",
            "4:46: warning: the format says the offset itself",
        ),
        ("format: '%F %T %z', zone: UTC", ""),
        ("format: '%F %T'", ""),
    ] {
        let yaml = format!("  time: {{field: t, {written}}}");
        let warnings = read_with_warnings(&yaml).expect(&yaml).1.render();
        assert!(warnings.contains(told) && warnings.is_empty() == told.is_empty(), "{warnings}");
    }
}

#[test]
fn fields_that_the_source_does_not_give_are_warned_of() {
    for (rest, told) in [
        ("  time: {field: _wrap.time}", "`_wrap.time` is a field only where `wrap` gives it"),
        (
            "  signals: [{name: a, labels: {pod: _file.pod}}]",
            "`_file.pod` is a field only where `path_fields` gives it",
        ),
        ("  wrap: cri\n  time: {field: _wrap.time}", ""),
        ("  signals: [{name: a, labels: {file: _file.name, line: _line}}]", ""),
        ("  path_fields: kubernetes\n  signals: [{name: a, labels: {pod: _file.pod}}]", ""),
    ] {
        let (_, warnings) = read_with_warnings(rest).unwrap();
        let said = warnings.render();
        assert_eq!(said.is_empty(), told.is_empty(), "{rest}\n{said}");
        assert!(said.contains(told), "{rest}\n{said}");
    }
}
