//! Real processes that live, die and come again.

use std::path::Path;
use std::process::Command;

use super::scene::{Scene, Started, sleeper};

fn write(path: &Path, child: &Started) {
    // As daemons do it: never half of a number.
    let new = path.with_extension("new");
    std::fs::write(&new, format!("{}\n", child.id())).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn end(mut child: Started) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_death_and_a_new_life_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it.pid");
    let mut child = sleeper();
    write(&path, &child);
    // Ends are not found by looking: there is an hour between two looks.
    let mut scene = Scene::new(&format!("every: 1h, pidfile: {}", path.display()));
    scene.until("it runs", |s| s.is_up() == Some(true));
    assert_eq!((scene.told(), scene.health()), (vec![], "ok".to_owned()));
    assert!(scene.last["process_memory"] > 0.0 && scene.last["process_threads"] == 1.0);
    assert!(scene.last["process_fds"] > 0.0);

    child.kill().unwrap();
    scene.until("its death is told", |s| s.told() == ["died"]);
    assert_eq!(scene.is_up(), Some(false));
    let fields: serde_json::Value = serde_json::from_str(&scene.events[0].fields).unwrap();
    assert_eq!(fields["pid"], child.id());
    if cfg!(target_os = "linux") {
        // Nobody has asked how it ended yet.
        assert_eq!((&fields["signal"], scene.events[0].severity.as_str()), (&9.into(), "error"));
    }
    child.wait().unwrap();

    let again = sleeper();
    write(&path, &again);
    scene.until("it is told that it runs again", |s| s.told() == ["died", "restarted"]);
    assert_eq!(scene.is_up(), Some(true));
    assert_eq!(scene.sums["process_restarts"], 1.0);
    end(again);
}

#[test]
fn what_happened_while_the_agent_was_away_is_told_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it.pid");
    let yaml = format!("every: 1h, pidfile: {}", path.display());
    let child = sleeper();
    write(&path, &child);
    let mut scene = Scene::new(&yaml);
    scene.until("it runs", |s| s.is_up() == Some(true));
    let stored = scene.stored();

    let mut scene = Scene::after(&yaml, stored.clone());
    scene.until("it still runs", |s| s.is_up() == Some(true));
    assert_eq!(scene.told(), [""; 0], "nothing has happened");

    let again = sleeper();
    write(&path, &again);
    end(child);
    let mut scene = Scene::after(&yaml, stored);
    scene.until("another one runs", |s| s.is_up() == Some(true));
    assert_eq!(scene.told(), ["died", "restarted"]);
    let other = yaml.replace("it.pid", "other.pid");
    let stored = scene.stored();
    end(again);
    let mut scene = Scene::after(&other, stored);
    scene.until("another file names nobody", |s| s.is_up() == Some(false));
    assert_eq!(scene.told(), [""; 0], "what was stored is not of this file");
}

#[test]
fn all_processes_that_match_are_one_thing() {
    let word = format!("watched-{}", std::process::id());
    let line = ["-c", "while :; do sleep 1; done", &word];
    let worker = || Started::new(Command::new("sh").args(line));
    let (mut first, second) = (worker(), worker());
    let mut scene = Scene::new(&format!("every: 1s, match: 'done {word}$'"));
    scene.until("both run", |s| s.last.get("process_count") == Some(&2.0));
    scene.until("they are measured", |s| s.last.contains_key("process_cpu"));
    assert_eq!(scene.last["process_threads"], 2.0);
    let one = scene.last["process_memory"] / 2.0;
    first.kill().unwrap();
    scene.until("one is left", |s| s.told() == ["died"]);
    assert_eq!((scene.is_up(), scene.events[0].severity.as_str()), (Some(true), "info"));
    first.wait().unwrap();
    scene.until("and is measured alone", |s| s.last["process_memory"] < one * 1.5);
    let third = worker();
    scene.until("another is beside it", |s| s.told() == ["died", "started"]);
    assert_eq!(scene.sums["process_restarts"], 0.0, "workers that come and go are no restart");
    end(second);
    end(third);
    scene.until("none is left", |s| s.is_up() == Some(false));
    let why = format!("waiting: no process matches \"done {word}$\"");
    scene.until("that is said", |s| s.health() == why);
}

#[test]
fn the_agent_does_not_match_itself() {
    let me = std::env::current_exe().unwrap();
    let name = regex::escape(&me.display().to_string()).replace('\'', "");
    let mut scene = Scene::new(&format!("every: 1h, match: '{name}'"));
    scene.until("nobody is found", |s| s.is_up() == Some(false));
}
