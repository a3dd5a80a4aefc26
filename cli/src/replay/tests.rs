//! What a replay promises, over real files: the same as a live run, told as the design says, and nothing left behind.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use serde_json::{Value, json};
use watchkeeper_model::Timestamp;

use super::draw;
use super::run::{Args, Refused, Replayed, replay};
use crate::context::Outcome;
use crate::terminal::Screen;

const T0: i64 = 1_700_000_000;

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    args: Args,
}

const AGENT: &str = "
agent: {id: web-1}
sources:
  - tail:
      name: shop
      service: shop
      paths: [LOGS]
      time: {field: t, format: unix}
      signals:
        - {name: requests, value: {field: ms, unit: ms}, labels: {status: status}}
";

const COLLECTOR: &str = "
slos:
  - {name: shop-good, service: shop, signal: requests, good: 'int(status) < 500', objective: 99, window: 1h,
     annotations: {summary: the shop is broken}}
  - {name: shop-fast, service: shop, signal: requests, below: 200ms, objective: 50, window: 1h}
builtin: {NoData: {off: true}}
alerting:
  route: {receiver: pager, group_by: [alertname], group_wait: 0s, group_interval: 1s}
  receivers:
    - name: pager
      webhook_configs: [{url: 'http://127.0.0.1:9/'}]
";

/// A directory with both files, and a log in which everything fails from 600 to 660 s.
fn shop() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("*.log");
    fs::write(dir.path().join("agent.yaml"), AGENT.replace("LOGS", &format!("{logs:?}"))).unwrap();
    fs::write(dir.path().join("collector.yaml"), COLLECTOR).unwrap();
    let line = |i: i64| {
        let status = if (600..660).contains(&(i / 10)) { 500 } else { 200 };
        format!("{{\"t\":{}.{},\"status\":{status},\"ms\":{}}}\n", T0 + i / 10, i % 10, i % 100)
    };
    fs::write(dir.path().join("a.log.1"), (0..6200).map(line).collect::<String>()).unwrap();
    fs::write(dir.path().join("a.log"), (6200..12_000).map(line).collect::<String>()).unwrap();
    dir
}

fn typed(dir: &Path, more: &[&str]) -> Args {
    let (agent, collector) = (dir.join("agent.yaml"), dir.join("collector.yaml"));
    let files = ["--agent".into(), agent, "--collector".into(), collector];
    let words = ["replay".into()].into_iter().chain(files).chain(more.iter().map(Into::into));
    Typed::try_parse_from(words.map(std::path::PathBuf::into_os_string)).unwrap().args
}

fn screen() -> Screen {
    Screen::plain(None, Timestamp::from_secs(1_800_000_000))
}

fn replayed(args: &Args) -> Result<Replayed, Refused> {
    replay(args, &screen(), &|_: &str| None, &AtomicBool::new(false)).unwrap()
}

fn ok(args: &Args) -> Replayed {
    replayed(args).map_err(|refused| refused.why).unwrap()
}

fn json_of(replayed: &Replayed) -> Value {
    serde_json::to_value(&replayed.report).unwrap()
}

/// `662 shop-good firing page`.
fn moves(answer: &Value) -> Vec<String> {
    let secs = |time: &Value| {
        let at: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
        at.as_second() - T0
    };
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let all = answer["transitions"].as_array().unwrap().iter().map(|one| {
        let severity = text(&one["labels"]["severity"]);
        format!("{} {} {} {severity}", secs(&one["time"]), text(&one["alert"]), text(&one["to"]))
    });
    all.collect()
}

#[test]
fn it_tells_what_would_have_happened_and_who_would_have_been_told() {
    let dir = shop();
    let replayed = ok(&typed(dir.path(), &[]));
    let answer = json_of(&replayed);
    let moves = moves(&answer);
    assert_eq!(moves[0], "604 shop-good firing page", "{moves:?}");
    assert!(moves.last().unwrap().contains("shop-good resolved"), "{moves:?}");
    let first = &answer["notifications"][0];
    assert_eq!(
        (&first["receiver"], &first["action"], &first["reason"], &first["alerts"]),
        (&json!("pager"), &json!("open"), &json!("first"), &json!(["shop-good"]))
    );
    assert_eq!(first["text"], json!(["shop-good (page): the shop is broken"]));
    let slos = answer["slos"].as_array().unwrap();
    assert_eq!(slos.len(), 2);
    let good = slos.iter().find(|slo| slo["name"] == "shop-good").unwrap();
    assert_eq!((&good["total"], &good["good"]), (&json!(12_000), &json!(11_400)));
    let fast = slos.iter().find(|slo| slo["name"] == "shop-fast").unwrap();
    assert_eq!(fast["approximate"], json!(0), "bounds of SLOs are counted exactly");
    assert_eq!(answer["lines"], json!({"read": 12_000, "counted": 12_000, "skipped": {}}));
    let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["lines", "notifications", "slos", "transitions"]);
    assert_eq!(replayed.outcome(), Outcome::Done);
    let shown = draw::all(&replayed.report, &replayed.shown, &screen());
    for said in ["shop-good", "pager webhook[0]", "12,000 lines of 2 files", "95.00%"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}

#[test]
fn from_and_to_cut_what_is_told_and_data_before_still_count() {
    let dir = shop();
    let at = |secs: i64| (T0 + secs).to_string();
    let (from, to) = (at(630), at(800));
    let replayed = ok(&typed(dir.path(), &["--from", &from, "--to", &to]));
    let answer = json_of(&replayed);
    assert!(moves(&answer).iter().all(|line| line.split(' ').next().unwrap() >= "630"));
    assert_eq!(replayed.shown.firing_already, ["shop-good"]);
    let good = answer["slos"].as_array().unwrap().iter().find(|slo| slo["name"] == "shop-good");
    assert_eq!(good.unwrap()["total"], json!(8_000), "the hour before is in its window");
    assert_eq!(answer["lines"]["skipped"]["after_to"], json!(4_000));
    let refused = replayed_err(&typed(dir.path(), &["--from", &to, "--to", &from]));
    assert_eq!(refused.outcome, Outcome::Misused);
}

fn replayed_err(args: &Args) -> Refused {
    replayed(args).err().expect("it is refused")
}

#[test]
fn known_faults_are_found_or_not_and_what_else_fired_is_told() {
    let dir = shop();
    let faults = json!([
        {"time": T0 + 595, "kind": "crash", "service": "shop", "duration": "1m"},
        {"time": T0 + 100, "kind": "quiet"},
        {"time": T0 - 5000, "kind": "before"},
        {"time": T0 + 598, "kind": "elsewhere", "service": "other", "duration": 30}
    ]);
    let file = dir.path().join("faults.json");
    fs::write(&file, faults.to_string()).unwrap();
    let against = ["--against", file.to_str().unwrap()];
    let answer = json_of(&ok(&typed(dir.path(), &against)));
    let all = answer["against"]["faults"].as_array().unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|f| (f["what"].as_str().unwrap(), f["data"].as_str().unwrap(), &f["found"]))
        .collect();
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(
        told,
        [
            ("before", "none", &no),
            ("quiet", "yes", &no),
            ("crash", "yes", &yes),
            ("elsewhere", "none", &no)
        ]
    );
    assert_eq!((&all[2]["delay_seconds"], &all[2]["severity"]), (&json!(9.0), &json!("page")));
    assert_eq!(answer["against"]["totals"]["others"], json!(0));
    fs::write(&file, "[]").unwrap();
    let answer = json_of(&ok(&typed(dir.path(), &against)));
    assert_eq!(answer["against"]["others"][0]["alert"], json!("shop-good"));
}

#[test]
fn what_is_wrong_with_both_files_is_told_together() {
    let dir = shop();
    fs::write(dir.path().join("agent.yaml"), "sources: [{tail: {service: shop}}]\n").unwrap();
    fs::write(dir.path().join("collector.yaml"), "slos: [{name: x}]\n").unwrap();
    let refused = replayed_err(&typed(dir.path(), &[]));
    assert_eq!(refused.outcome, Outcome::Failed);
    for file in ["agent.yaml:1:", "collector.yaml:1:"] {
        assert!(refused.why.contains(file), "{}", refused.why);
    }
}

#[test]
fn no_file_no_lines_and_no_slos_are_told_and_no_panic() {
    let dir = shop();
    for name in ["a.log", "a.log.1"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let empty = ok(&typed(dir.path(), &[]));
    assert_eq!((empty.outcome(), empty.report.lines.read), (Outcome::Done, 0));
    assert!(draw::all(&empty.report, &empty.shown, &screen()).contains("no alert moved"));
    fs::write(dir.path().join("collector.yaml"), "slos: []\n").unwrap();
    let without = ok(&typed(dir.path(), &[]));
    assert_eq!((without.outcome(), &without.report.slos), (Outcome::Done, &json!([])));
    for name in ["a.log", "a.log.1"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let gone = ok(&typed(dir.path(), &[]));
    assert_eq!(gone.outcome(), Outcome::Failed);
    assert!(gone.warnings.contains("no file matches"), "{}", gone.warnings);
}

#[test]
fn nothing_is_written() {
    let dir = shop();
    let listed = || {
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = listed();
    ok(&typed(dir.path(), &[]));
    assert_eq!(listed(), before);
}

#[test]
fn a_signal_ends_it_with_what_there_is() {
    let dir = shop();
    let stop = AtomicBool::new(true);
    let stopped = replay(&typed(dir.path(), &[]), &screen(), &|_: &str| None, &stop).unwrap();
    let stopped = stopped.map_err(|refused| refused.why).unwrap();
    assert_eq!(stopped.outcome(), Outcome::Stopped);
    assert_eq!(json_of(&stopped)["complete"], json!(false));
}
