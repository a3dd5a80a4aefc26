//! What a history promises: every line of the time asked for once, in the order of time, whichever file it lies in.

use std::io::Write as _;
use std::ops::Range;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use watchkeeper_config::{Reader, load_str};
use watchkeeper_model::{SkipReason, Timestamp};

use super::{Choice, History, Misuse, Second, Step};
use crate::config::{self, AgentSettings};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const T0: i64 = 1_700_000_000;
const ALWAYS: Range<Timestamp> = Timestamp(i64::MIN)..Timestamp::MAX;

fn settings(sources: &str) -> AgentSettings {
    let mut reader = Reader::new(&|_: &str| None);
    let text = format!("agent: {{id: web-1}}\nsources:\n{sources}");
    let settings = load_str("agent.yaml", &text, &mut reader)
        .and_then(|document| config::read(&document, &mut reader, false));
    reader.finish(settings).unwrap().0
}

/// A source of JSON lines in a directory.
fn shop(dir: &Path, more: &str) -> String {
    let paths = dir.join("*.log");
    format!(
        "  - tail: {{service: shop, paths: [{paths:?}], time: {{field: t, format: unix}}, \
         signals: [{{name: requests, labels: {{of: of}}}}], {more}}}\n"
    )
}

/// A line for each second.
fn lines(secs: impl IntoIterator<Item = i64>, of: &str) -> String {
    secs.into_iter().map(|s| format!("{{\"t\":{},\"of\":\"{of}\"}}\n", T0 + s)).collect()
}

fn open(settings: AgentSettings, choice: &Choice, span: Range<Timestamp>) -> History {
    History::open(settings, choice, span, (Path::new("/"), NOW)).unwrap()
}

/// Everything, as `at: start of: count` in seconds since T0.
fn told(history: &mut History) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..1_000_000 {
        match history.step(NOW) {
            Step::End => return told,
            Step::Working => {}
            Step::Second(Second { at, services }) => {
                let mut all: Vec<_> = services.into_values().flatten().collect();
                all.sort_by(|a, b| a.labels.cmp(&b.labels));
                for series in all {
                    let part = &series.windows[0];
                    told.push(format!(
                        "{}: {} {}: {}",
                        at.secs() - T0,
                        part.window.start.secs() - T0,
                        series.labels.get("of"),
                        part.distribution.count
                    ));
                }
            }
        }
    }
    panic!("it has no end");
}

fn gzip(path: &Path, text: &str) {
    let mut zipped = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::default());
    zipped.write_all(text.as_bytes()).unwrap();
    zipped.finish().unwrap();
}

#[test]
fn files_that_follow_each_other_and_files_side_by_side_come_in_order_of_time() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.log.2", lines(0..2, "a"));
    write("a.log.1", lines(2..4, "a"));
    write("a.log", lines(4..6, "a"));
    write("b.log", lines([0, 3, 5, 700], "b"));
    write("empty.log", String::new());
    let mut history = open(settings(&shop(dir.path(), "")), &Choice::default(), ALWAYS);
    let told = told(&mut history);
    assert_eq!(
        told,
        [
            "1: 0 a: 1",
            "1: 0 b: 1",
            "2: 1 a: 1",
            "3: 2 a: 1",
            "4: 3 a: 1",
            "4: 3 b: 1",
            "5: 4 a: 1",
            "6: 5 a: 1",
            "6: 5 b: 1",
            "701: 700 b: 1",
        ]
    );
    let source = &history.sources()[0];
    assert_eq!((source.tally.read, source.n_counted(), source.n_files), (10, 10, 5));
    assert_eq!(source.problems, [""; 0]);
    let progress = history.progress();
    assert_eq!((progress.done_bytes, progress.n_lines), (progress.total_bytes, 10));
}

#[test]
fn gzip_files_go_by_the_source_and_what_lies_there_twice_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let old = lines(0..100, "old");
    std::fs::write(dir.path().join("a.log.1"), &old).unwrap();
    gzip(&dir.path().join("a.log.1.gz"), &old);
    gzip(&dir.path().join("a.log.2.gz"), &lines(-100..0, "older"));
    std::fs::write(dir.path().join("a.log"), lines(100..101, "new")).unwrap();
    let mut history = open(settings(&shop(dir.path(), "")), &Choice::default(), ALWAYS);
    assert_eq!(told(&mut history).len(), 101);
    assert_eq!(history.sources()[0].not_read.len(), 2, "compressed ones are skipped by default");

    let all = dir.path().join("*");
    let reads = shop(dir.path(), "compressed: read")
        .replace(&format!("{:?}", dir.path().join("*.log")), &format!("{all:?}"));
    let mut history = open(settings(&reads), &Choice::default(), ALWAYS);
    let told = told(&mut history);
    assert_eq!((told.len(), told[0].as_str()), (201, "-99: -100 older: 1"));
    let not_read = &history.sources()[0].not_read;
    assert!(not_read.len() == 1 && not_read[0].ends_with("a.log.1 compressed"), "{not_read:?}");
}

#[test]
fn only_the_time_asked_for_counts_and_the_rest_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.log"), lines(0..100, "a")).unwrap();
    let span = Timestamp::from_secs(T0 + 10)..Timestamp::from_secs(T0 + 13);
    let mut history = open(settings(&shop(dir.path(), "")), &Choice::default(), span);
    assert_eq!(told(&mut history), ["11: 10 a: 1", "12: 11 a: 1", "13: 12 a: 1"]);
    let source = &history.sources()[0];
    let outside = (source.outside.n_before, source.outside.n_after);
    assert_eq!((source.tally.read, source.n_counted(), outside), (100, 3, (10, 87)));
}

#[test]
fn late_lines_of_another_file_come_late_and_what_is_wrong_is_skipped_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.log"), lines(0..20, "a")).unwrap();
    // Its first lines are of later than those that follow.
    let wrong = "no JSON\n{\"of\":\"no time\"}\n\n";
    std::fs::write(dir.path().join("b.log"), lines([10, 11, 12, 3, 13], "b") + wrong).unwrap();
    let mut history = open(settings(&shop(dir.path(), "")), &Choice::default(), ALWAYS);
    let told = told(&mut history);
    assert!(told.iter().any(|line| line.ends_with(": 3 b: 1")), "{told:?}");
    let source = &history.sources()[0];
    assert_eq!((source.tally.read, source.n_counted()), (28, 25));
    let mut skipped = source.tally.skipped.clone();
    skipped.sort();
    assert_eq!(
        skipped,
        [(SkipReason::Unparsable, 1), (SkipReason::Blank, 1), (SkipReason::NoTime, 1)]
    );
}

#[test]
fn what_has_no_history_is_left_out_and_what_is_not_there_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let untimed =
        "  - tail: {name: plain, service: shop, paths: [/x/*.log], signals: [{name: all}]}\n";
    let journal =
        "  - journal: {name: systemd, service: shop, units: [a.service], signals: [{name: all}]}\n";
    let sources = shop(dir.path(), "name: shop") + untimed + journal;
    let mut history = open(settings(&sources), &Choice::default(), ALWAYS);
    assert_eq!(told(&mut history), [""; 0]);
    let left_out: Vec<&str> = history.left_out().iter().map(|l| l.source.as_str()).collect();
    assert_eq!(left_out, ["plain", "systemd"]);
    assert!(history.sources()[0].problems[0].starts_with("no file matches "));
    let choice = Choice { source: Some("shp".into()), ..Choice::default() };
    let error = History::open(settings(&sources), &choice, ALWAYS, (dir.path(), NOW)).err();
    let said = "no source is called \"shp\"; there is shop";
    assert_eq!(error.map(|e: Misuse| e.to_string()).as_deref(), Some(said));
    let gone = Choice { files: vec!["gone.log".into()], ..Choice::default() };
    let mut history = open(settings(&sources), &gone, ALWAYS);
    told(&mut history);
    assert_eq!(history.sources()[0].problems, ["/gone.log: is no file"]);
}

#[test]
fn nothing_long_waits_and_a_slip_of_one_line_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = lines(0..50_000, "a");
    // More than a year ahead.
    let middle = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    text.insert_str(middle, &lines([40_000_000], "slip"));
    std::fs::write(dir.path().join("a.log"), text).unwrap();
    let mut history = open(settings(&shop(dir.path(), "")), &Choice::default(), ALWAYS);
    let told = told(&mut history);
    assert_eq!(told.len(), 50_001);
    let late = told.iter().filter(|line| {
        let (at, start) = line.split_once(": ").unwrap();
        let start = start.split(' ').next().unwrap().parse::<i64>().unwrap();
        at.parse::<i64>().unwrap() != start + 1
    });
    assert_eq!(late.count(), 0);
}

#[test]
fn files_that_only_begin_alike_are_all_read_and_a_last_line_without_end_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let banner = "no line of any time\n".repeat(100);
    for (name, at) in [("a.log.1", 0), ("a.log", 10)] {
        let text = banner.clone() + &lines(at..at + 5, "a") + "{\"t\":1700000005,";
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mut history = open(settings(&shop(dir.path(), "")), &Choice::default(), ALWAYS);
    assert_eq!(told(&mut history).len(), 10);
    let source = &history.sources()[0];
    assert_eq!((source.n_files, source.tally.read, source.n_counted()), (2, 210, 10));
}

#[test]
fn records_of_several_lines_and_wrapped_lines_are_put_together_as_in_a_live_run() {
    let dir = tempfile::tempdir().unwrap();
    let of_several = lines(0..3, "a").replace("}\n", ",\n \"more\":1}\n");
    std::fs::write(dir.path().join("a.log"), of_several).unwrap();
    let multiline = r#"multiline: {start: '^\{'}"#;
    let mut history = open(settings(&shop(dir.path(), multiline)), &Choice::default(), ALWAYS);
    assert_eq!(told(&mut history), ["1: 0 a: 1", "2: 1 a: 1", "3: 2 a: 1"]);
    let wrapped: String = lines(0..3, "a")
        .lines()
        .map(|line| format!("2023-11-14T22:13:20Z stdout F {line}\n"))
        .collect();
    std::fs::write(dir.path().join("a.log"), wrapped).unwrap();
    let mut history = open(settings(&shop(dir.path(), "wrap: cri")), &Choice::default(), ALWAYS);
    assert_eq!(told(&mut history).len(), 3);
}
