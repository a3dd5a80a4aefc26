//! Files and processes that are not what they should be.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use regex::Regex;
use watchkeeper_agent_core::process::MAX_PROCESSES;

use super::scene::{Scene, sleeper};
use crate::sources::process::matching::ByMatch;
use crate::sources::process::pidfile::ByPidFile;
use crate::sources::process::table::Table;

/// Beyond what the system gives out: what is done to a process of such a number is done to none.
pub(in crate::sources::process) const FIRST: u32 = 4_000_000;

/// A `/proc` in which a process of this number began so many seconds after the machine did, an hour ago.
pub(in crate::sources::process) fn process(proc: &Path, pid: u32, began: u64, command: &str) {
    let place = proc.join(pid.to_string());
    std::fs::create_dir_all(place.join("fd")).unwrap();
    let zeros = "0 ".repeat(28);
    let stat = format!(
        "{pid} (x) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 7 0 {} 0 366 {zeros}",
        began * 100
    );
    std::fs::write(place.join("stat"), stat).unwrap();
    std::fs::write(place.join("cmdline"), command.replace(' ', "\0") + "\0").unwrap();
}

pub(in crate::sources::process) fn hour() -> Duration {
    Duration::from_secs(3_600)
}

fn by_file(proc: &Path, path: &Path) -> Scene {
    let table = Table::at(proc.to_owned(), hour);
    Scene::by("every: 1s, pidfile: /x", table, Box::new(ByPidFile::new(path.to_owned())))
}

#[test]
fn a_pidfile_that_names_nobody_is_told_apart_from_one_that_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it.pid");
    let mut child = sleeper();
    for (content, health, is_up) in [
        ("", "failing: PATH is empty", None),
        ("nginx\n", "failing: PATH holds \"nginx\", which is no process id", None),
        ("4194304", "waiting: process 4194304 does not run", Some(false)),
    ] {
        std::fs::write(&path, content).unwrap();
        let mut scene = Scene::new(&format!("every: 1s, pidfile: {}", path.display()));
        let wanted = health.replace("PATH", &path.display().to_string());
        scene.until(&wanted, |s| s.health() == wanted);
        assert_eq!(scene.is_up(), is_up, "{wanted}: nobody knows whether it runs");
    }
    std::fs::remove_file(&path).unwrap();
    let mut scene = Scene::new(&format!("every: 1s, pidfile: {}", path.display()));
    let none = format!("waiting: there is no {}", path.display());
    scene.until("no file is no process", |s| s.health() == none && s.is_up() == Some(false));
    std::fs::write(&path, child.id().to_string()).unwrap();
    scene.until("then it runs", |s| s.is_up() == Some(true));
    assert_eq!(scene.told(), ["started"]);
    // Somebody writes nonsense into it: it still is seen that the process dies, and that it is down.
    std::fs::write(&path, "nonsense").unwrap();
    scene.until("the file is not understood", |s| s.health().contains("nonsense"));
    assert_eq!(scene.is_up(), Some(true));
    child.kill().unwrap();
    scene.until("its death is told", |s| s.told() == ["started", "died"]);
    child.wait().unwrap();
    scene.last.clear();
    scene.until("it is down", |s| s.is_up() == Some(false));

    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let mut scene = Scene::new(&format!("every: 1s, pidfile: {}", pipe.display()));
    scene.until("a pipe is no file", |s| s.health().ends_with("is no file"));
}

#[test]
fn a_pidfile_that_goes_away_or_names_another_ends_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let (path, aside) = (dir.path().join("it.pid"), dir.path().join("aside"));
    let (mut first, mut second) = (sleeper(), sleeper());
    std::fs::write(&path, first.id().to_string()).unwrap();
    let mut scene = Scene::new(&format!("every: 1s, pidfile: {}", path.display()));
    scene.until("it runs", |s| s.is_up() == Some(true));
    std::fs::rename(&path, &aside).unwrap();
    scene.until("nobody is meant", |s| s.is_up() == Some(false));
    std::fs::rename(&aside, &path).unwrap();
    scene.until("it is there again", |s| s.is_up() == Some(true));
    assert_eq!((scene.told().len(), scene.last["process_restarts"]), (0, 0.0));
    std::fs::write(&path, second.id().to_string()).unwrap();
    scene.until("another one is meant", |s| s.told() == ["started"]);
    first.kill().unwrap();
    scene.until("the first one ends", |s| s.told() == ["started", "died"]);
    first.wait().unwrap();
    scene.last.clear();
    scene.until("the other one runs on", |s| s.is_up() == Some(true));
    second.kill().unwrap();
    scene.until("it ends too", |s| s.told() == ["started", "died", "died"]);
    second.wait().unwrap();
}

#[test]
fn a_number_that_another_process_has_by_now_is_not_followed() {
    let proc = tempfile::tempdir().unwrap();
    let path = proc.path().join("it.pid");
    std::fs::write(&path, FIRST.to_string()).unwrap();
    // It began an hour less ten seconds ago, and its file was written then.
    process(proc.path(), FIRST, 10, "shop");
    let written = SystemTime::now() - Duration::from_secs(3_580);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    let mut scene = by_file(proc.path(), &path);
    scene.until("it runs", |s| s.is_up() == Some(true));
    assert_eq!(
        (scene.last["process_memory"], scene.last["process_threads"]),
        (366.0 * 4096.0, 7.0)
    );
    process(proc.path(), FIRST, 11, "another one");
    scene.until("it has died", |s| s.told() == ["died"] && s.is_up() == Some(false));
    let why = format!(
        "waiting: {} names process {FIRST}, and another one has that number by now",
        path.display()
    );
    scene.until("that is said", |s| s.health() == why);
    process(proc.path(), FIRST, 1_800, "a third one");
    let mut scene = by_file(proc.path(), &path);
    scene.until("it is known without having seen the first", |s| s.is_up() == Some(false));
    std::fs::write(&path, FIRST.to_string()).unwrap();
    scene.until("unless the file is written anew", |s| s.is_up() == Some(true));
}

#[test]
fn files_that_may_not_be_counted_are_told_and_the_rest_observed() {
    let proc = tempfile::tempdir().unwrap();
    let path = proc.path().join("it.pid");
    std::fs::write(&path, FIRST.to_string()).unwrap();
    process(proc.path(), FIRST, 3_590, "shop");
    let fds = proc.path().join(FIRST.to_string()).join("fd");
    std::fs::remove_dir(&fds).unwrap();
    std::fs::write(&fds, "").unwrap();
    let mut scene = by_file(proc.path(), &path);
    scene.until("it runs", |s| s.is_up() == Some(true));
    assert!(scene.last.contains_key("process_memory") && !scene.last.contains_key("process_fds"));
    assert!(
        scene
            .health()
            .starts_with("failing: the files that process 4000000 has open can't be counted"),
        "{}",
        scene.health()
    );
}

#[test]
fn what_can_not_be_looked_at_for_a_while_has_not_died() {
    let proc = tempfile::tempdir().unwrap();
    let path = proc.path().join("it.pid");
    std::fs::write(&path, FIRST.to_string()).unwrap();
    process(proc.path(), FIRST, 3_590, "shop");
    let mut scene = by_file(proc.path(), &path);
    scene.until("it runs", |s| s.is_up() == Some(true));
    // As it would be if no descriptor were left, an error that says nothing about the process.
    let stat = proc.path().join(FIRST.to_string()).join("stat");
    std::fs::write(proc.path().join("new"), "nonsense").unwrap();
    std::fs::rename(proc.path().join("new"), &stat).unwrap();
    scene.last.clear();
    scene.until("it is told", |s| s.health().contains("process 4000000 can't be looked at"));
    assert_eq!((scene.is_up(), scene.told()), (Some(true), vec![]));
    let table = Table::at(proc.path().to_owned(), hour);
    let knower = ByMatch::new(Regex::new("^shop").unwrap(), table.clone());
    let mut scene = Scene::by("every: 1s, match: x", table, Box::new(knower));
    scene.until("whether it runs is not known", |s| {
        s.health().starts_with("failing: command lines can't be read, 1 of them")
    });
    assert_eq!(scene.is_up(), None);
    process(proc.path(), FIRST, 3_590, "shop");
    scene.until("then it is found", |s| s.is_up() == Some(true));
}

#[test]
fn an_expression_that_matches_hundreds_is_bounded_and_told() {
    let proc = tempfile::tempdir().unwrap();
    let n = MAX_PROCESSES as u32 + 88;
    (0..n).for_each(|i| process(proc.path(), FIRST + i, 10, "worker --of shop"));
    (0..50).for_each(|i| process(proc.path(), 3_000_000 + i, 10, "another"));
    let table = Table::at(proc.path().to_owned(), hour);
    let knower = ByMatch::new(Regex::new("^worker .*shop$").unwrap(), table.clone());
    let mut scene = Scene::by("every: 1s, match: x", table, Box::new(knower));
    let started = Instant::now();
    scene.until("all are counted", |s| s.last.get("process_count") == Some(&f64::from(n)));
    assert_eq!(scene.last["process_threads"], 7.0 * MAX_PROCESSES as f64);
    let why =
        "failing: 600 processes match, of which 512 are looked at: let the expression match fewer";
    assert_eq!(scene.health(), why);
    // Nothing of this waits for anything: seconds would be another thing than slow.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    (40..n)
        .for_each(|i| std::fs::remove_dir_all(proc.path().join((FIRST + i).to_string())).unwrap());
    scene.until("most of them are gone", |s| s.last.get("process_count") == Some(&40.0));
    assert_eq!((scene.is_up(), scene.health()), (Some(true), "ok".to_owned()));
    assert!(scene.told().len() <= 60, "{}", scene.told().len());
    assert!(scene.acc.held_back()[0].n > 300);
}

#[test]
fn who_comes_into_view_when_another_dies_has_not_started() {
    let proc = tempfile::tempdir().unwrap();
    let n = MAX_PROCESSES as u32 + 88;
    (0..n).for_each(|i| process(proc.path(), FIRST + i, 10, "worker --of shop"));
    let table = Table::at(proc.path().to_owned(), hour);
    let knower = ByMatch::new(Regex::new("^worker .*shop$").unwrap(), table.clone());
    let mut scene = Scene::by("every: 1s, match: x", table, Box::new(knower));
    scene.until("all are counted", |s| s.last.get("process_count") == Some(&f64::from(n)));
    std::fs::remove_dir_all(proc.path().join(FIRST.to_string())).unwrap();
    let is_counted = |s: &Scene| s.last["process_count"] >= f64::from(n - 1);
    scene.until("its death is told", |s| {
        assert!(is_counted(s), "it dips: {:?}", s.last);
        s.told() == ["died"]
    });
    assert!(scene.events[0].message.ends_with(", 599 left"), "{}", scene.events[0].message);
    scene.events.clear();
    // New ones take nobody's place, whatever their number, and are counted.
    process(proc.path(), FIRST - 1, 3_599, "worker --of shop");
    process(proc.path(), FIRST + n, 3_599, "worker --of shop");
    scene.until("more are there", |s| s.last["process_count"] == f64::from(n + 1));
    assert_eq!(scene.told(), [""; 0]);
}

#[test]
fn a_process_that_was_made_this_moment_is_not_what_its_parent_is() {
    let proc = tempfile::tempdir().unwrap();
    process(proc.path(), FIRST, 10, "shop --serve");
    // Its parent is the first one, and it has not become what it shall be yet.
    process(proc.path(), FIRST + 1, 3_600, "shop --serve");
    let stat = proc.path().join((FIRST + 1).to_string()).join("stat");
    let text = std::fs::read_to_string(&stat).unwrap();
    std::fs::write(&stat, text.replace(" S 1 ", &format!(" S {FIRST} "))).unwrap();
    let table = Table::at(proc.path().to_owned(), hour);
    let knower = ByMatch::new(Regex::new("^shop").unwrap(), table.clone());
    let mut scene = Scene::by("every: 1s, match: x", table, Box::new(knower));
    scene.until("only the first is counted", |s| s.last.contains_key("process_cpu"));
    assert_eq!((scene.last["process_count"], scene.told()), (1.0, vec![]));
    // An older one is a worker.
    let text = std::fs::read_to_string(&stat).unwrap();
    std::fs::write(&stat, text.replace(" 360000 ", " 359800 ")).unwrap();
    scene.until("both are counted", |s| s.last["process_count"] == 2.0);
    assert_eq!(scene.told(), ["started"]);
}

#[test]
fn a_process_that_puts_on_another_name_is_found() {
    let proc = tempfile::tempdir().unwrap();
    process(proc.path(), FIRST, 10, "sh start.sh");
    let table = Table::at(proc.path().to_owned(), hour);
    let knower = ByMatch::new(Regex::new("^shop").unwrap(), table.clone());
    let mut scene = Scene::by("every: 1s, match: x", table, Box::new(knower));
    scene.until("nobody matches", |s| s.is_up() == Some(false));
    process(proc.path(), FIRST, 10, "shop --serve");
    scene.until("it has become the one that is meant", |s| s.is_up() == Some(true));
}
