//! Dry runs over real files, and what their reports say.
//!
//! Owns the sentences about a whole run. What single words and lines look like is tested beside them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchkeeper_config::{Reader, load_str};
use watchkeeper_model::Timestamp;

use super::layout::Look;
use super::options::DryRunOptions;
use super::report::{FileReport, Report};
use super::run::report_of;
use super::show::{Detail, fitted, table};
use crate::sources::SourceSettings;

/// The sources of a file whose list this is.
pub(super) fn settings(sources: &str) -> Vec<SourceSettings> {
    let mut reader = Reader::new(&|_: &str| None);
    let yaml = format!("sources:\n{sources}");
    let settings = load_str("agent.yaml", &yaml, &mut reader)
        .and_then(|document| crate::config::read(&document, &mut reader, false));
    match reader.finish(settings) {
        Ok((settings, _)) => settings.sources,
        Err(problems) => panic!("{}", problems.render()),
    }
}

const LINES: &str = r#"{"time":"2026-11-22T18:07:09Z","status":200,"ms":10,"user":"a"}
{"time":"2026-11-22T18:07:10Z","status":200,"ms":"fast","user":"b"}
{"time":"2026-11-22T18:07:11Z","status":200,"user":"c"}
level=info msg="no json"
{"time":"2026-11-22T18:07:12Z","status":502,"ms":900,"user":"d","level":"error","msg":"gateway \u001b[31mrefused"}

{"time":"2026-11-22T18:07:13Z","ms":5,"user":"e"}
{"time":"2026-11-22T18:07:13Z","stat":200}
{"time":"2026-11-22T18:07:14Z","status":200,"ms":30,"user":"f"}
"#;

const SIGNALS: &str = r#"signals: [
    {name: requests, value: {field: ms, unit: ms}, labels: {status: status}, where: 'status >= 200', bounds: [20ms, 1s]},
    {name: users, labels: {user: user}, max_series: 2, where: 'has(fields.user)'},
    {name: checkouts, where: 'path == "/checkout"'}],
  events: [
    {name: error, where: 'level == "error"', severity: error, message: msg},
    {name: fatal, where: 'statuss > 900', severity: critical}]"#;

fn with_log(name: &str, text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), text).unwrap();
    dir
}

fn sources(dir: &Path, more: &str) -> Vec<SourceSettings> {
    let paths = dir.join("*.log");
    settings(&format!("- tail: {{name: shop-log, service: shop, paths: [{paths:?}], {more}}}\n"))
}

fn run(sources: Vec<SourceSettings>, options: &DryRunOptions) -> (Report, u8) {
    report_of(sources, options).unwrap()
}

fn files(names: &[&Path]) -> DryRunOptions {
    let files = names.iter().map(|name| name.to_path_buf()).collect();
    DryRunOptions { files, ..DryRunOptions::default() }
}

/// What differs from run to run, replaced.
fn steady(mut report: Report, dir: &Path) -> Report {
    let dir = format!("{}/", dir.display());
    for source in &mut report.sources {
        source.seconds = 0.05;
        let paths =
            source.paths.iter_mut().chain(&mut source.problems).chain(&mut source.compressed);
        let paths = paths.chain(source.files.iter_mut().map(|f: &mut FileReport| &mut f.path));
        paths.for_each(|path| *path = path.replace(&dir, "/l/"));
    }
    report
}

fn json(report: &Report) -> Value {
    serde_json::to_value(&report.sources[0]).unwrap()
}

#[test]
fn a_report_says_what_became_of_every_line() {
    let dir = with_log("a.log", LINES);
    let (report, code) = run(sources(dir.path(), SIGNALS), &DryRunOptions::default());
    let json = json(&steady(report, dir.path()));
    assert_eq!(code, 0);
    for (name, wanted) in [
        ("name", json!("shop-log")),
        ("service", json!("shop")),
        ("paths", json!(["/l/*.log"])),
        ("files", json!([{"path": "/l/a.log", "read_bytes": LINES.len(), "left_bytes": 0}])),
        ("complete", json!(true)),
        ("lines", json!(9)),
        ("matched", json!(6)),
        ("fields", json!(["level", "ms", "msg", "stat", "status", "time", "user"])),
    ] {
        assert_eq!(json[name], wanted, "{name}");
    }
    assert_eq!(json["unmatched"]["n"], 1);
    assert_eq!(json["unmatched"]["first"]["number"], 8);
    let skipped = json["skipped"].as_array().unwrap();
    let skipped: Vec<_> =
        skipped.iter().map(|s| (s["reason"].as_str().unwrap(), &s["n"])).collect();
    assert_eq!(skipped, [("no_value", &json!(2)), ("unparsable", &json!(1)), ("blank", &json!(1))]);
    let unparsable = &json["skipped"][1]["first"];
    assert_eq!(
        (&unparsable["number"], &unparsable["line"]),
        (&json!(4), &json!("level=info msg=\"no json\""))
    );
}

#[test]
fn signals_and_events_say_what_they_made_of_the_lines() {
    let dir = with_log("a.log", LINES);
    let (report, _) = run(sources(dir.path(), SIGNALS), &DryRunOptions::default());
    let json = json(&report);
    let requests = &json["signals"][0];
    for (name, wanted) in [
        ("where", json!("status >= 200")),
        ("unit", json!("ms")),
        ("matched", json!(5)),
        ("observed", json!(3)),
        ("label_sets", json!(2)),
        (
            "top",
            json!([{"labels": {"status": "200"}, "n": 2}, {"labels": {"status": "502"}, "n": 1}]),
        ),
        ("bounds", json!([{"at": 0.02, "within": 1, "of": 3}, {"at": 1.0, "within": 3, "of": 3}])),
    ] {
        assert_eq!(requests[name], wanted, "{name}");
    }
    assert_eq!(requests["unjudged"]["n"], 2, "{requests}");
    assert_eq!(requests["unjudged"]["first"]["why"], "`status` is absent");
    assert_eq!(requests["without_value"]["n"], 2);
    let values = &requests["values"];
    assert_eq!(
        (&values["n"], &values["min"], &values["max"]),
        (&json!(3), &json!(0.01), &json!(0.9))
    );
    let p50 = values["p50"].as_f64().unwrap();
    assert!((0.03..0.0303).contains(&p50), "{p50}");

    let users = &json["signals"][1];
    assert_eq!(
        (&users["observed"], &users["label_sets"], &users["values"]),
        (&json!(6), &json!(3), &Value::Null)
    );
    assert_eq!(users["overflowed"][0]["label"], "user");
    assert_eq!(users["overflowed"][0]["n"], 4);
    let checkouts = &json["signals"][2];
    let why = "its condition could not be answered for 7 lines: `path` is absent in the first";
    assert_eq!((&checkouts["observed"], &checkouts["advice"]), (&json!(0), &json!(why)));

    let error = &json["events"][0];
    assert_eq!((&error["n"], &error["severity"]), (&json!(1), &json!("error")));
    assert_eq!(error["message"], "gateway \u{1b}[31mrefused");
    let why = "its condition could not be answered for 7 lines: `statuss` is absent in the first; \
               did you mean `status`?";
    assert_eq!(json["events"][1]["advice"], why);
}

#[test]
fn labels_that_are_always_empty_and_events_held_back_are_told() {
    let lines = "level=info text=a\n".to_owned() + &"level=error text=b status=502\n".repeat(5);
    let dir = with_log("a.log", &lines);
    let more = r#"format: logfmt,
      signals: [{name: all, labels: {level: levl, status: status, file: _file.name}}],
      events: [{name: error, where: 'level == "error"', limit: {events: 2, per: 1d}}]"#;
    let (report, _) = run(sources(dir.path(), more), &DryRunOptions::default());
    let json = json(&report);
    assert_eq!(
        json["fields"],
        json!(["level", "status", "text"]),
        "of all lines, not of the first"
    );
    let empty = json!([{"label": "level", "field": "levl", "advice": "did you mean `level`?"}]);
    assert_eq!(json["signals"][0]["empty_labels"], empty);
    let error = &json["events"][0];
    assert_eq!((&error["n"], &error["held_back"]), (&json!(2), &json!(3)));
    let shown = table(&report, look(99), Detail::FULL, Timestamp::EPOCH).join("\n");
    for said in [
        "label `level` is empty: no counted line has a value in `levl`",
        "3 more held back by its `limit`",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
}

#[test]
fn lines_of_docker_are_recognised_although_they_are_json() {
    let line = r#"{"log":"x\n","stream":"stdout","time":"2026-11-22T18:07:09Z"}"#;
    let dir = with_log("a.log", &format!("{line}\n"));
    let more = "signals: [{name: all, value: {field: ms}}, {name: bad, where: 'status > 499'}]";
    let (report, _) = run(sources(dir.path(), more), &DryRunOptions::default());
    let json = json(&report);
    let advice = "the lines look as Docker writes them: try `wrap: docker`";
    assert_eq!(json["signals"][0]["without_value"]["advice"], advice);
    let said = json["signals"][1]["advice"].as_str().unwrap();
    assert!(said.ends_with(advice), "{said}");
}

#[test]
fn lines_with_a_time_are_told_by_when_they_are() {
    let now = Timestamp::from_jiff(jiff::Timestamp::now());
    let at = |secs: i64| now.shifted(secs * 1_000_000_000).rfc3339();
    let line = |time: String| format!("{{\"time\":\"{time}\"}}\n");
    let lines = [line(at(-60)), line(at(-5)), line(at(3_600)), line("2001-09-09T01:46:40Z".into())];
    let dir = with_log("a.log", &(lines.concat() + "{\"time\":1793491199}\n"));
    let time = "time: {field: time}, signals: [{name: all}]";
    let (report, code) = run(sources(dir.path(), time), &DryRunOptions::default());
    let json = json(&report);
    assert_eq!((code, &json["matched"], &json["time"]["clamped"]), (0, &json!(3), &json!(1)));
    assert_eq!(json["time"]["earliest"], "2001-09-09T01:46:40Z");
    assert_eq!(json["time"]["latest"], at(3_600));
    let whys: Vec<_> =
        json["skipped"].as_array().unwrap().iter().map(|s| &s["first"]["why"]).collect();
    let said = "`time` is the number 1793491199, which is no rfc3339 time, but may be unix";
    assert!(whys.contains(&&json!(said)), "{whys:?}");
    assert!(whys.contains(&&json!("its time is 2001-09-09T01:46:40Z")), "{whys:?}");
}

#[test]
fn what_can_not_be_read_is_told_and_the_rest_is_read() {
    let dir = with_log("a.log", "{}\n{\"n\":1}\nno end");
    let path = |name: &str| dir.path().join(name);
    fs::write(path("empty"), "").unwrap();
    let made = std::process::Command::new("mkfifo").arg(path("p.log")).status().unwrap();
    assert!(made.success());
    let all = "signals: [{name: all}]";

    let (report, code) = run(sources(dir.path(), all), &DryRunOptions::default());
    let json_of = |report: &Report| json(&steady(report.clone(), dir.path()));
    let json = json_of(&report);
    assert_eq!((code, &json["problems"]), (1, &json!(["/l/p.log: is not a file"])));
    assert_eq!((&json["lines"], &json["left_bytes"]), (&json!(2), &json!(6)));

    let named = [path("empty"), path("none"), path("a.log")];
    let named: Vec<&Path> = named.iter().map(|p| p.as_path()).collect();
    let (report, code) = run(sources(dir.path(), all), &files(&named));
    let json = json_of(&report);
    assert_eq!((code, &json["n_files"], &json["lines"]), (1, &json!(2), &json!(2)));
    assert_eq!(json["problems"], json!(["/l/none: is not there"]));

    let (report, code) = run(sources(dir.path(), all), &files(&named[..1]));
    assert_eq!((code, report.sources[0].lines), (0, 0), "an empty file is no problem");
    let (_, code) = run(sources(&path("nowhere"), all), &DryRunOptions::default());
    assert_eq!(code, 1, "nothing could be read");
}

/// As gzip writes it.
fn gzip(path: &Path) {
    let done = std::process::Command::new("gzip").arg(path).status().unwrap();
    assert!(done.success());
}

#[test]
fn compressed_files_that_match_are_told_and_read_where_they_are_named() {
    let dir = with_log("a.log", "{\"n\":1}\n{\"n\":2}\n");
    let path = |name: &str| dir.path().join(name);
    fs::copy(path("a.log"), path("same.log")).unwrap();
    fs::write(path("b.log"), "{\"n\":3}\n").unwrap();
    gzip(&path("b.log"));
    gzip(&path("same.log"));
    fs::write(path("c.zst"), "").unwrap();
    let of = |pattern: &str| {
        let paths = path(pattern);
        settings(&format!(
            "- tail: {{service: shop, paths: [{paths:?}], signals: [{{name: all}}]}}\n"
        ))
    };
    let all = DryRunOptions::default();
    let shown = |report: &Report| {
        let report = steady(report.clone(), dir.path());
        table(&report, look(200), Detail::FULL, Timestamp::EPOCH).join("\n")
    };
    let (report, code) = run(of("*"), &all);
    assert_eq!((code, report.sources[0].lines, report.sources[0].n_compressed), (0, 2, 3));
    let text = shown(&report);
    assert!(
        text.contains("  skipped  /l/b.log.gz and 2 more files: compressed, and not read"),
        "{text}"
    );
    assert!(text.contains("with `compressed: read` gzip files are read"), "{text}");
    let (report, _) = run(of("*.zst"), &all);
    assert!(
        shown(&report).contains(
            "/l/c.zst: compressed, and not read\n           of compressed files only gzip"
        )
    );
    let with_gzip = settings(&format!(
        "- tail: {{service: shop, paths: [{:?}], compressed: read, signals: [{{name: all}}]}}\n",
        path("*")
    ));
    let (report, _) = run(with_gzip, &all);
    assert_eq!(
        (report.sources[0].lines, &*report.sources[0].compressed),
        (5, &[format!("{}", path("c.zst").display())][..])
    );
    let (report, code) = run(of("*.gz"), &all);
    assert_eq!(code, 1, "nothing is read");
    assert!(shown(&report).contains("none that is read, of /l/*.gz"), "{}", shown(&report));
    // A rotated sibling is not asked for.
    let (report, _) = run(of("a.log"), &all);
    assert_eq!(report.sources[0].n_compressed, 0);

    let (report, code) = run(of("*"), &files(&[&path("b.log.gz")]));
    assert_eq!((code, report.sources[0].lines), (0, 1), "{:?}", report.sources[0].problems);
    let (report, code) = run(of("*"), &files(&[&path("c.zst"), &path("b.log.gz")]));
    let problems = &steady(report, dir.path()).sources[0].problems;
    let told =
        "/l/c.zst: is compressed and not read: of compressed files only gzip files (.gz) are";
    assert_eq!((code, &problems[..]), (1, &[told.to_owned()][..]));
}

#[test]
fn a_line_in_no_wrapper_is_shown() {
    let dir = with_log("a.log", "{\"n\":1}\n2026-11-22T18:07:09.5Z stdout F {\"n\":2}\n");
    let (report, _) =
        run(sources(dir.path(), "wrap: cri, signals: [{name: all}]"), &DryRunOptions::default());
    let skipped = &json(&report)["skipped"][0];
    assert_eq!((&skipped["reason"], &skipped["n"]), (&json!("unparsable"), &json!(1)));
    assert_eq!(
        (&skipped["first"]["line"], &skipped["first"]["why"]),
        (&json!("{\"n\":1}"), &json!(""))
    );
    let text = table(&report, look(200), Detail::FULL, Timestamp::EPOCH).join("\n");
    assert!(text.contains("a.log, record 1  {\"n\":1}"), "{text}");
    assert!(text.contains("leave `wrap` out"), "{text}");
}

#[test]
fn a_field_of_several_types_is_told_beside_the_rules_that_ask_for_it() {
    let lines = "{\"status\":500}\n{\"level\":1}\n{\"status\":\"500\",\"level\":\"x\"}\n{\"status\":\"502\"}\n";
    let dir = with_log("a.log", lines);
    let more = "signals: [{name: failed, where: 'status >= 500'}, {name: both, where: 'int(status) >= 500'}], \
                events: [{name: error, where: 'status == 500', severity: error}]";
    let (report, _) = run(sources(dir.path(), more), &DryRunOptions::default());
    let json = json(&report);
    let failed = &json["signals"][0];
    assert_eq!((&failed["matched"], &failed["unjudged"]["n"]), (&json!(1), &json!(3)));
    assert_eq!(
        (&failed["mistyped"]["n"], &failed["mistyped"]["first"]["number"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(
        (&json["signals"][1]["matched"], &json["signals"][1]["mistyped"]["n"]),
        (&json!(3), &json!(0))
    );
    let text = table(&report, look(200), Detail::FULL, Timestamp::EPOCH).join("\n");
    let said = "unjudged: its condition could not be answered for 2 lines with all its fields";
    assert_eq!(text.matches(said).count(), 2, "{text}");
    let why = "→ `status` is the text \"500\"; `int(status)` takes numbers and texts of digits";
    assert_eq!(text.matches(why).count(), 2, "{text}");
}

#[test]
fn nothing_is_written_where_the_agent_keeps_its_data() {
    let dir = with_log("a.log", LINES);
    let before = fs::read_dir(dir.path()).unwrap().count();
    run(sources(dir.path(), SIGNALS), &DryRunOptions::default());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before);
    assert!(!Path::new("data/agent").exists());
}

#[test]
fn more_files_than_one_seal_covers_are_all_read() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..700 {
        fs::write(dir.path().join(format!("{i}.log")), format!("{{\"n\":{i}}}\n")).unwrap();
    }
    let all = "signals: [{name: all, labels: {n: n}}]";
    let (report, code) = run(sources(dir.path(), all), &DryRunOptions::default());
    let source = &report.sources[0];
    assert_eq!((code, source.n_files, source.lines, source.files.len()), (0, 700, 700, 100));
    assert_eq!((source.signals[0].label_sets, source.signals[0].top.len()), (700, 10));
}

#[test]
fn a_report_as_a_table() {
    let dir = with_log("a.log", LINES);
    let (report, _) = run(sources(dir.path(), SIGNALS), &DryRunOptions::default());
    let report = steady(report, dir.path());
    let shown = table(&report, look(79), Detail::FULL, Timestamp::EPOCH).join("\n");
    let wanted = include_str!("golden/table.txt");
    assert_eq!(format!("{shown}\n"), wanted, "\n{shown}\n");
}

fn look(width: usize) -> Look {
    Look { width: Some(width), has_colours: false }
}

#[test]
fn a_table_in_old_lines_says_so_once() {
    let lines = "{\"time\":\"2001-09-09T01:46:40Z\",\"ms\":1}\n".repeat(3);
    let dir = with_log("a.log", &lines);
    let more = "time: {field: time}, signals: [{name: all}, {name: slow, where: 'ms > 5'}]";
    let (report, _) = run(sources(dir.path(), more), &DryRunOptions::default());
    let report = steady(report, dir.path());
    let now = Timestamp::from_secs(1_795_370_829);
    let shown = table(&report, look(99), Detail::FULL, now).join("\n");
    let wanted = include_str!("golden/too_late.txt");
    assert_eq!(format!("{shown}\n"), wanted, "\n{shown}\n");
}

#[test]
fn a_frame_fits_every_screen() {
    let dir = with_log("a.log", LINES);
    let (report, _) = run(sources(dir.path(), SIGNALS), &DryRunOptions::default());
    let mut last = 0;
    for n_lines in 1..80 {
        for width in [39, 79, 139] {
            let lines = fitted(&report, look(width), n_lines, Timestamp::EPOCH);
            assert!(lines.len() <= n_lines, "{n_lines}: {lines:#?}");
            for line in &lines {
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
            if width == 139 {
                assert!(lines.len() + 12 >= last, "{n_lines} lines show less than fewer did");
                last = lines.len();
            }
        }
    }
}
