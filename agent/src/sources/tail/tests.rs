//! The `tail` source on real files, with a clock of the test's own.
//!
//! Owns what only a real file system can show: identity, links, pipes, permissions, patterns, notifications, and the
//! configuration. The rules themselves are tested in the core.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use watchkeeper_agent_core::observe::{Accumulator, EventLimit, Sealed};
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_agent_core::tail::Compressed;
use watchkeeper_agent_core::tail::join::{JoinSettings, Multiline, Wrap};
use watchkeeper_config::{Problems, Reader, load_str};
use watchkeeper_model::{
    AgentId, Body, FileRef, Frontier, Labels, Severity, SkipReason, SourceTally, Timestamp, Unit,
};

use crate::sources::{Beside, Health, Source, SourceSettings, Stored, Wakes, build, read};

pub(super) fn settings(yaml: &str) -> Result<SourceSettings, Problems> {
    let mut reader = Reader::new(&|_: &str| None);
    let settings = load_str("agent.yaml", yaml, &mut reader)
        .and_then(|document| read(document.root(), &mut reader));
    reader.finish(settings).map(|(config, _)| config.settings)
}

/// One agent's worker, its spool replaced by a list.
pub(super) struct Worker {
    pub(super) dir: TempDir,
    pub(super) settings: SourceSettings,
    pub(super) acc: Accumulator,
    pub(super) source: Box<dyn Source>,
    pub(super) wakes: Wakes,
    pub(super) now: Timestamp,
    pub(super) rows: BTreeMap<FileRef, String>,
    pub(super) looked_at: Option<Timestamp>,
    pub(super) counted: u64,
    /// By label set, as text.
    pub(super) by_labels: BTreeMap<String, u64>,
    pub(super) events: u64,
    pub(super) tally: SourceTally,
    pub(super) frontiers: Vec<Frontier>,
}

fn started(
    settings: &SourceSettings,
    stored: Stored,
    wakes: &Wakes,
) -> (Accumulator, Box<dyn Source>) {
    let mut acc = Accumulator::new(AgentId::new("web-1"), Labels::default());
    let source = build(settings.clone(), stored, &mut acc, &Beside::new(wakes.waker()));
    (acc, source)
}

impl Worker {
    pub(super) fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::in_dir(dir, "*.log", more)
    }

    pub(super) fn in_dir(dir: TempDir, pattern: &str, more: &str) -> Self {
        Self::starting_at("beginning", dir, pattern, more)
    }

    pub(super) fn starting_at(start_at: &str, dir: TempDir, pattern: &str, more: &str) -> Self {
        let signals = "{name: requests, labels: {n: n}}";
        let events = "events: [{name: error, where: 'level == \"error\"'}]";
        let more = format!(", {events}{more}");
        Self::counting(start_at, dir, pattern, signals, &more)
    }

    pub(super) fn counting(
        start_at: &str,
        dir: TempDir,
        pattern: &str,
        signals: &str,
        more: &str,
    ) -> Self {
        let path = dir.path().join(pattern);
        let settings = settings(&format!(
            "tail: {{name: s, service: shop, paths: [{path:?}], start_at: {start_at}, signals: [{signals}]{more}}}"
        ))
        .unwrap();
        let wakes = Wakes::new();
        let (acc, source) = started(&settings, Stored::default(), &wakes);
        let now = Timestamp::from_jiff(jiff::Timestamp::now());
        let tally = SourceTally::default();
        Self {
            dir,
            settings,
            acc,
            source,
            wakes,
            now,
            rows: BTreeMap::new(),
            looked_at: None,
            counted: 0,
            by_labels: BTreeMap::new(),
            events: 0,
            tally,
            frontiers: Vec::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn append(&self, name: &str, text: &str) {
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn lines(&self, name: &str, n: std::ops::Range<u32>) {
        n.for_each(|i| self.append(name, &format!("{{\"n\":{i}}}\n")));
    }

    /// Long enough for every file and directory to be due.
    pub(super) fn poll(&mut self) {
        for _ in 0..3 {
            self.now = self.now + Duration::from_secs(11);
            self.source.poll(self.now, true, &mut self.acc);
        }
    }

    pub(super) fn seal(&mut self) {
        let checkpoint = self.source.checkpoint();
        let frontiers = checkpoint.frontiers.iter();
        let frontiers = frontiers.map(|f| (self.source.service().clone(), f.clone())).collect();
        let sealed = self.acc.seal(self.now, &SealOrder::default(), frontiers);
        self.rows.retain(|key, _| !checkpoint.forget.contains(key));
        self.rows.extend(checkpoint.store);
        self.looked_at = checkpoint.looked_at.or(self.looked_at);
        self.source.committed(self.now);
        self.take(sealed);
    }

    pub(super) fn take(&mut self, sealed: Sealed) {
        for body in sealed.services.into_iter().flat_map(|s| s.bodies) {
            match body {
                Body::Windows { series, tallies, frontiers, continued, .. } => {
                    for series in &series {
                        let n: u64 = series.windows.iter().map(|w| w.distribution.count).sum();
                        self.counted += n;
                        *self.by_labels.entry(series.labels.to_string()).or_default() += n;
                    }
                    for tally in tallies {
                        self.tally.read += tally.read;
                        self.tally.bytes += tally.bytes;
                        self.tally.truncations += tally.truncations;
                        self.tally.bytes_unknown += tally.bytes_unknown;
                        self.tally.bytes_abandoned += tally.bytes_abandoned;
                        self.tally.events += tally.events;
                        tally.skipped.iter().for_each(|&(r, n)| self.tally.skip(r, n));
                    }
                    if !continued {
                        self.frontiers.extend(frontiers);
                    }
                }
                Body::Events { events, .. } => self.events += events.len() as u64,
            }
        }
    }

    pub(super) fn settle(&mut self) -> u64 {
        self.poll();
        self.seal();
        self.counted
    }

    /// Ends without sealing and starts again from what is durable.
    pub(super) fn restart(&mut self) {
        let rows = self.rows.values().cloned().collect();
        self.start_with(Stored { rows, looked_at: self.looked_at, wait: false });
    }

    pub(super) fn start_with(&mut self, stored: Stored) {
        (self.acc, self.source) = started(&self.settings, stored, &self.wakes);
    }
}

#[test]
fn lines_become_counts_events_tallies_and_frontiers() {
    let mut w = Worker::new("");
    w.append("a.log", "{\"n\":1,\"level\":\"error\"}\n{\"n\":2}\nbroken\n\n{\"n\":3");
    assert_eq!(w.settle(), 2);
    assert_eq!((w.events, w.tally.events), (1, 1));
    assert_eq!((w.tally.read, w.tally.bytes), (4, 40));
    assert_eq!(w.tally.skipped, [(SkipReason::Unparsable, 1), (SkipReason::Blank, 1)]);
    let frontier = &w.frontiers[0];
    assert_eq!((frontier.from, frontier.to, frontier.source.as_str()), (0, 40, "s"));
    assert_eq!(w.source.lag_bytes(), 6);
    assert_eq!(w.source.health(), Health::Ok);
    w.poll();
    assert!(w.acc.is_empty(), "an idle source counts nothing");
}

#[test]
fn lines_of_every_format_become_counts_and_events() {
    for (keys, text, event) in [
        (
            "format: logfmt",
            "n=1 level=error\r\nn=\"2\" level=info\nbroken\nn=3 level",
            r#"{"n":"1","level":"error"}"#,
        ),
        (
            r"format: regex, pattern: '^(?<n>\d+) (?:\[(?<x>.*)\] )?(?<level>\w+)$'",
            "1 error\r\n2 [é] info\nx y\n3 err",
            r#"{"n":"1","level":"error"}"#,
        ),
    ] {
        let mut w = Worker::new(&format!(", {keys}"));
        w.append("a.log", text);
        w.poll();
        let sealed = w.acc.seal(w.now, &SealOrder::default(), Vec::new());
        let bodies: Vec<Body> = sealed.services.iter().flat_map(|s| s.bodies.clone()).collect();
        let events = bodies.iter().filter_map(|body| match body {
            Body::Events { events, .. } => Some(&events[0].fields),
            Body::Windows { .. } => None,
        });
        assert_eq!(events.collect::<Vec<_>>(), [event], "{keys}");
        w.take(sealed);
        assert_eq!((w.counted, w.events, w.tally.read), (2, 1, 3), "{keys}");
        assert_eq!(w.tally.skipped, [(SkipReason::Unparsable, 1)], "{keys}");
    }
}

#[test]
fn real_rotation_is_followed_across_restarts() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..10);
    assert_eq!(w.settle(), 10);
    w.lines("a.log", 10..12);
    fs::rename(w.path("a.log"), w.path("a.log.1")).unwrap();
    w.lines("a.log", 12..15);
    assert_eq!(w.settle(), 15);
    w.restart();
    w.lines("a.log", 15..16);
    fs::remove_file(w.path("a.log.1")).unwrap();
    fs::rename(w.path("a.log"), w.path("a.log.1")).unwrap();
    w.lines("a.log", 16..20);
    assert_eq!(w.settle(), 20);
    w.lines("a.log", 20..22);
    fs::copy(w.path("a.log"), w.path("a.log.2")).unwrap();
    fs::File::options().write(true).open(w.path("a.log")).unwrap().set_len(0).unwrap();
    w.lines("a.log", 22..23);
    assert_eq!(w.settle(), 23);
    assert_eq!((w.tally.truncations, w.tally.bytes_unknown), (1, 0));
    w.lines("a.log", 23..25);
    w.poll();
    w.restart();
    assert_eq!(w.settle(), 25, "what was not sealed is counted after the crash");
    w.lines("a.log", 25..26);
    fs::remove_file(w.path("a.log")).unwrap();
    assert_eq!(w.settle(), 26, "through the open file");
}

#[test]
fn corrupt_positions_fail_closed() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..3);
    w.settle();
    let rows = vec!["{\"v\":1,\"inode\"".to_owned()];
    w.start_with(Stored { rows, looked_at: w.looked_at, wait: false });
    w.lines("a.log", 3..5);
    w.now = w.now + Duration::from_secs(11);
    let progress = w.source.poll(w.now, true, &mut w.acc);
    assert!(w.acc.is_empty() && !progress.dirty);
    let health = w.source.health().to_string();
    assert!(health.starts_with("failing: stored position is corrupt"), "{health}");
}

#[test]
fn pipes_directories_and_dangling_links_are_told_and_never_opened() {
    let mut w = Worker::new("");
    fs::create_dir(w.path("d.log")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(w.path("p.log")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink(w.path("nothing"), w.path("l.log")).unwrap();
    std::os::unix::fs::symlink("/dev/null", w.path("n.log")).unwrap();
    w.lines("a.log", 0..3);
    assert_eq!(w.settle(), 3);
    let health = w.source.health().to_string();
    assert!(health.ends_with("d.log: is a directory (and 2 more)"), "{health}");
    fs::remove_dir(w.path("d.log")).unwrap();
    fs::remove_file(w.path("p.log")).unwrap();
    fs::remove_file(w.path("n.log")).unwrap();
    w.poll();
    assert_eq!(w.source.health(), Health::Ok);
}

#[test]
fn a_link_that_moves_on_is_followed_and_one_file_under_two_names_is_one() {
    let mut w = Worker::new("");
    w.lines("first", 0..3);
    std::os::unix::fs::symlink("first", w.path("current.log")).unwrap();
    std::os::unix::fs::symlink("first", w.path("same.log")).unwrap();
    assert_eq!(w.settle(), 3);
    w.lines("first", 3..5);
    w.lines("second", 5..7);
    for link in ["current.log", "same.log"] {
        fs::remove_file(w.path(link)).unwrap();
        std::os::unix::fs::symlink("second", w.path(link)).unwrap();
    }
    assert_eq!(w.settle(), 7);
}

#[test]
fn patterns_reach_into_directories_and_leave_out_what_is_excluded() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["a", "a/b", "a/b/c", "x"] {
        fs::create_dir(dir.path().join(path)).unwrap();
    }
    let exclude = format!(", exclude: [{:?}]", dir.path().join("**/debug*"));
    let mut w = Worker::in_dir(dir, "a/**/*.log", &exclude);
    for (name, n) in [
        ("a/1.log", 1),
        ("a/b/2.log", 2),
        ("a/b/c/3.log", 3),
        ("x/4.log", 4),
        ("a/b/5.txt", 5),
        ("a/b/debug.log", 6),
        ("a/b/debug.log.1", 7),
    ] {
        w.lines(name, 0..n);
    }
    assert_eq!(w.settle(), 6);
    fs::create_dir(w.path("a/new")).unwrap();
    w.lines("a/new/8.log", 0..10);
    assert_eq!(w.settle(), 16);
}

#[test]
fn a_source_without_files_waits_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = Worker::in_dir(dir, "later/*.log", "");
    w.poll();
    assert!(w.source.health().to_string().starts_with("waiting: no file matches /"));
    fs::create_dir(w.path("later")).unwrap();
    w.lines("later/a.log", 0..2);
    assert_eq!(w.settle(), 2);
}

#[test]
fn a_lost_spool_goes_on_where_the_collector_says() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..10);
    w.settle();
    w.start_with(Stored { wait: true, ..Stored::default() });
    w.lines("a.log", 10..13);
    assert_eq!(w.settle(), 10);
    assert!(matches!(w.source.health(), Health::Waiting(_)));
    let frontiers = w.frontiers.clone();
    w.source.adopt(w.now, &frontiers);
    assert_eq!(w.settle(), 13);
    let frontier = w.frontiers.last().unwrap();
    assert_eq!((frontier.begin, frontier.from), (80, 80));
}

#[test]
fn a_notification_wakes_the_worker() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..1);
    w.settle();
    w.now = w.now + Duration::from_millis(500);
    w.source.poll(w.now, true, &mut w.acc);
    w.lines("a.log", 1..2);
    assert!(w.wakes.wait(Duration::from_secs(10)), "where inotify is, it is heard");
    w.now = w.now + Duration::from_millis(20);
    w.source.poll(w.now, true, &mut w.acc);
    w.seal();
    assert_eq!(w.counted, 2, "long before the file would have been looked at again");
}

fn cri(w: &Worker, stream: &str, tag: &str, text: &str) -> String {
    format!("{} {stream} {tag} {text}\n", w.now.rfc3339())
}

fn docker(stream: &str, text: &str) -> String {
    let log = serde_json::Value::from(text);
    format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"2026-11-22T18:07:09.512Z\"}}\n")
}

#[test]
fn lines_of_containers_are_counted_by_where_they_come_from() {
    let dir = tempfile::tempdir().unwrap();
    let pod = "var/log/pods/shop_web-1_0e9c/nginx";
    fs::create_dir_all(dir.path().join(pod)).unwrap();
    let signals = "{name: requests, where: '_wrap.stream == \"stdout\" && has(_file.pod)', \
                   labels: {pod: _file.pod, namespace: _file.namespace, container: _file.container, file: _file.name, n: n}}, \
                   {name: errors, where: '_wrap.stream == \"stderr\"', labels: {stream: _wrap.stream, n: n}}";
    let more = ", wrap: cri, path_fields: kubernetes, time: {field: _wrap.time}";
    let mut w = Worker::counting("beginning", dir, "var/log/pods/*/*/*.log", signals, more);
    let log = format!("{pod}/0.log");
    w.append(&log, &cri(&w, "stdout", "P", "{\"n\""));
    w.append(&log, &cri(&w, "stderr", "F", "{\"n\":1}"));
    w.append(&log, "{\"n\":5}\n");
    w.settle();
    w.restart();
    // As the kubelet does.
    fs::rename(w.path(&log), w.path(&format!("{log}.20261122-180710"))).unwrap();
    w.append(&format!("{log}.20261122-180710"), &cri(&w, "stdout", "F", ":2}"));
    w.append(&log, &cri(&w, "stdout", "F", "{\"n\":3}"));
    assert_eq!(w.settle(), 3);
    let labels = |n| {
        let pod = [("pod", "web-1"), ("namespace", "shop"), ("container", "nginx")];
        Labels::new(pod.into_iter().chain([("file", "0.log"), ("n", n)])).to_string()
    };
    let err = Labels::new([("stream", "stderr"), ("n", "1")]).to_string();
    assert_eq!(w.by_labels.keys().cloned().collect::<Vec<_>>(), [labels("2"), labels("3"), err]);
    assert_eq!(w.tally.skipped, [(SkipReason::Unparsable, 1)]);
    assert_eq!((w.tally.read, w.tally.clamped), (4, 0));
    let bytes = fs::metadata(w.path(&log)).unwrap().len()
        + fs::metadata(w.path(&format!("{log}.20261122-180710"))).unwrap().len();
    assert_eq!((w.tally.bytes, w.source.lag_bytes()), (bytes, 0));
}

#[test]
fn records_of_several_lines_in_containers_are_counted_once_through_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let more = ", wrap: docker, multiline: {start: '^\\{', timeout: 30s}, path_fields: '/(?<app>[a-z]+)-\\d+\\.log$'";
    let signals = "{name: records, labels: {n: n, app: _file.app, stream: _wrap.stream}}";
    let mut w = Worker::counting("beginning", dir, "*.log", signals, more);
    for (stream, text) in [
        ("stdout", "{\n"),
        ("stderr", "{\"n\":1,\n"),
        ("stdout", "\"n\":2"),
        ("stderr", "\"x\":0}\n"),
        ("stdout", "}\n"),
        ("stderr", "{\"n\":3}\n"),
        ("stdout", "{\"n\"\n"),
        ("stderr", "not JSON\n"),
        ("stdout", ":4}\n"),
    ] {
        w.append("shop-7.log", &docker(stream, text));
        w.now = w.now + Duration::from_secs(1);
        w.source.poll(w.now, true, &mut w.acc);
        w.seal();
        w.restart();
    }
    w.settle();
    w.poll();
    assert_eq!(w.settle(), 3);
    let labels =
        |n, stream| Labels::new([("app", "shop"), ("n", n), ("stream", stream)]).to_string();
    let wanted = [labels("1", "stderr"), labels("2", "stdout"), labels("4", "stdout")];
    assert_eq!(w.by_labels.keys().cloned().collect::<Vec<_>>(), wanted);
    assert_eq!((w.tally.read, &w.tally.skipped[..]), (4, &[(SkipReason::Unparsable, 1)][..]));
}

#[test]
fn sealed_bodies_fit_a_batch_as_they_are_encoded() {
    let mut w = Worker::new("");
    let wide = "x".repeat(900);
    let mut text = String::new();
    for i in 0..4_000 {
        let level = if i % 2 == 0 { "error" } else { "info" };
        text += &format!("{{\"n\":\"{wide}{}\",\"level\":\"{level}\"}}\n", i % 1_500);
    }
    w.append("a.log", &text);
    w.poll();
    let sealed = w.acc.seal(w.now, &SealOrder::default(), Vec::new());
    let bodies: Vec<Body> = sealed.services.into_iter().flat_map(|s| s.bodies).collect();
    let lengths: Vec<usize> = bodies
        .iter()
        .map(|body| crate::wire::seal_body(body, w.now).unwrap())
        .map(|sealed| zstd::decode_all(&*sealed.bytes).unwrap().len())
        .collect();
    assert!(lengths.len() >= 5, "{lengths:?}");
    assert!(lengths.iter().all(|n| *n <= 768 * 1024), "{lengths:?}");
    assert!(lengths[0] > 600 * 1024, "the estimate is not far off: {lengths:?}");
}

#[test]
fn a_full_section_becomes_settings() {
    let yaml = r#"
tail:
  service: shop
  paths: ["logs/*.log"]
  exclude: ["/logs/debug*"]
  start_at: beginning
  compressed: read
  format: json
  wrap: docker
  multiline: {start: '^\S', max_lines: 20, timeout: 100ms}
  path_fields: '/(?<app>[^/]+)\.log$'
  max_line: 64KiB
  time: {field: ts, format: unix_ms, zone: UTC}
  signals:
    - name: requests
      value: {field: duration_ms, unit: ms}
      labels: {status: status, method: http.method}
      where: 'path != "/health"'
      bounds: [500ms, 200ms, 0.2]
      max_series: 50
  events:
    - {name: error, where: 'level == "error"', severity: page, message: msg, correlation: id, trace: tid,
       limit: {events: 60, per: 1m}}
"#;
    let mut read = settings(yaml).unwrap();
    read.set_name("shop-2");
    let tail = read.into_tail().unwrap();
    assert_eq!((tail.tail.source.as_str(), tail.lines.source.as_str()), ("shop-2", "shop-2"));
    assert_eq!(tail.tail.max_line_bytes, 64 << 10);
    assert_eq!(tail.tail.compressed, Compressed::Read);
    assert!(Path::new(tail.paths[0].as_str()).is_absolute());
    let multiline = Multiline::new(r"^\S", 20, Duration::from_millis(100)).unwrap();
    let join = JoinSettings { wrap: Wrap::Docker, multiline: Some(multiline) };
    assert_eq!(tail.tail.join, join);
    assert_eq!(
        tail.lines.given,
        ["_file.path", "_file.name", "_wrap.stream", "_wrap.time", "_file.app"]
    );
    let signal = &tail.lines.signals[0];
    assert_eq!(signal.bounds, [200_000_000, 500_000_000]);
    assert_eq!(signal.value.as_ref().unwrap().unit, Unit::Ms);
    assert_eq!(signal.labels[1], ("method".to_owned(), "http.method".to_owned()));
    assert_eq!(signal.max_series, 50);
    let event = &tail.lines.events[0];
    assert_eq!((event.severity, event.trace.as_deref()), (Severity::Critical, Some("tid")));
    let limit = EventLimit { events: 60, per: Duration::from_secs(60) };
    assert_eq!(event.limit, Some(limit));
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    let tail = |rest: &str| format!("tail:\n  service: shop\n  paths: [/l/*.log]\n{rest}");
    for (yaml, told) in [
        (tail("  compressed: gzip"), "4:15: error"),
        (tail("  wrap: crio"), "4:9: error: `crio` is not one of the words valid here"),
        (tail("  multiline: {}"), "`start` is missing"),
        (tail("  multiline: '^a'"), "4:14: error: a map is needed"),
        (
            tail("  multiline: {start: '(a'}"),
            "4:22: error: \"(a\" is no regular expression: unclosed group",
        ),
        (tail("  multiline: {start: a, end: b}"), "unknown key `end`"),
        (tail("  multiline: {start: a, timeout: 9ms}"), "4:34: error: `9ms` is out of range"),
        (tail("  multiline: {start: a, timeout: 11m}"), "between 10ms and 10m"),
        (tail("  multiline: {start: a, max_lines: 0}"), "4:36: error: "),
        (tail("  multiline: {start: a, max_lines: 100001}"), "4:36: error: "),
        (
            tail("  path_fields: '(?<a>'"),
            "4:16: error: \"(?<a>\" is no regular expression: unclosed group",
        ),
        (tail("  path_fields: kubernets"), "\"kubernets\" has no named group"),
        (tail("  path_fields: '(?<path>a)'"), "`_file.path` is a field already"),
        (tail("  pathz: []"), "unknown key `pathz`"),
        (tail("  events: [{name: a, where: 'true', limit: {events: 0, per: 1m}}]"), "4:53: error"),
        (tail("  events: [{name: a, where: 'true', limit: {events: 1}}]"), "`per` is missing"),
        (tail("  events: [{name: a, where: 'true', limit: 60}]"), "a map is needed, not a number"),
        (tail("  signals: [{name: a-b}]"), "`a-b` is no name of a signal"),
        (tail("  signals: [{name: a, labels: {agent: x}}]"), "`agent` is reserved"),
        (tail("  signals: [{name: a, bounds: [1s]}]"), "bounds need a `value`"),
        (tail("  signals: [{name: a, value: {field: v, unit: ms}, bounds: [1KiB]}]"), "4:"),
        (
            tail("  signals: [{name: a}, {name: a}]"),
            "another signal of this source is called \"a\"",
        ),
        (tail("  events: [{name: a}]"), "`where` is missing"),
        (tail("  events: [{name: a, where: 'x =='}]"), "4:"),
        ("tail: {service: shop}".to_owned(), "`paths` is missing"),
        ("tail: {service: shop, paths: []}".to_owned(), "paths"),
        ("tail: {service: shop, paths: ['a/***']}".to_owned(), "is no pattern of paths"),
        ("tale: {name: home}".to_owned(), "unknown key `tale`"),
    ] {
        let problems = settings(&yaml).expect_err(&yaml).render();
        assert!(problems.contains(told), "{yaml}\n{problems}");
    }
}
