//! The life of `journalctl`: started late, ended surely, never two.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::super::queue::MAX_WAITING_BYTES;
use super::worker::{Worker, is_running, kill};
use crate::sources::Source as _;

/// A program that stands in for `journalctl`.
fn script(w: &Worker, text: &str) -> PathBuf {
    let path = w.path("fake");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn with_script(text: &str) -> Option<Worker> {
    let mut w = Worker::new("")?;
    w.settings.command = script(&w, text);
    w.restart();
    Some(w)
}

#[test]
fn it_is_started_when_reading_may_begin_and_gone_when_the_source_is() {
    let Some(mut w) = Worker::new("") else { return };
    w.may_read = false;
    w.poll();
    assert_eq!(w.source.child_id(), None);
    w.may_read = true;
    w.poll();
    let id = w.source.child_id().unwrap();
    assert!(is_running(id));
    w.restart();
    assert!(!is_running(id), "killed and reaped");
}

#[test]
fn one_that_was_killed_is_followed_by_one_and_no_more() {
    let Some(mut w) = Worker::new("") else { return };
    w.plain(3);
    w.settle(3);
    let first = w.source.child_id().unwrap();
    kill(first);
    w.until("its end is told", |w| w.health().contains("signal: 9"));
    assert_eq!(w.source.child_id(), None, "it rests first");
    w.plain(3);
    w.settle(6);
    assert!(!is_running(first));
    assert_eq!(w.health(), "ok", "an entry makes it well again");
    let second = w.source.child_id().unwrap();
    for _ in 0..10 {
        w.poll();
    }
    assert_eq!(w.source.child_id(), Some(second));
}

#[test]
fn while_nothing_may_be_read_it_waits_and_memory_stays_bounded() {
    let Some(mut w) = Worker::new("") else { return };
    let long = vec![b'x'; 100_000];
    w.write("system.journal", 200, &[("MESSAGE", &long)]);
    w.poll();
    w.may_read = false;
    w.until("the queue is full", |w| w.source.lag_bytes() >= MAX_WAITING_BYTES);
    for _ in 0..5 {
        w.poll();
        w.wakes.wait(Duration::from_millis(20));
    }
    let lag = w.source.lag_bytes();
    assert!(lag < MAX_WAITING_BYTES + (1 << 20), "{lag} bytes wait");
    assert!(w.acc.is_empty() && is_running(w.source.child_id().unwrap()));
    w.may_read = true;
    w.settle(200);
    assert_eq!(w.source.lag_bytes(), 0);
}

#[test]
fn a_missing_program_is_told_with_what_to_do_and_tried_again() {
    let Some(mut w) = Worker::new("") else { return };
    w.plain(2);
    w.settings.command = w.path("nothing");
    w.restart();
    w.poll();
    let health = w.health();
    assert!(health.starts_with("failing: "), "{health}");
    assert!(health.ends_with("install systemd, or remove this source"), "{health}");
    std::os::unix::fs::symlink("/usr/bin/journalctl", w.path("nothing")).unwrap();
    w.settle(2);
    assert_eq!(w.health(), "ok");
}

#[test]
fn why_it_ended_is_told_with_its_own_words() {
    let cases = [
        (
            "echo Failed to open journal: Permission denied >&2; exit 1",
            "failing: ",
            "systemd-journal",
        ),
        ("echo one >&2; echo two >&2; exit 3", "(exit status: 3)", "one; two"),
        ("exit 0", "has ended (exit status: 0)", "ended"),
        (
            "echo '-- No entries --'; exec sleep 1000",
            "can't be read on: a line without __CURSOR",
            "No entries",
        ),
        ("exec >&-; exec sleep 1000", "closed its output", "fake"),
    ];
    for (text, first, second) in cases {
        let Some(mut w) = with_script(text) else { return };
        w.until("its end is told", |w| w.health().contains("fake "));
        let health = w.health();
        assert!(health.contains(first) && health.contains(second), "{text}: {health}");
        assert_eq!(w.source.child_id(), None, "{text}: nothing is left");
        let before = w.now;
        w.until("it is tried again", |w| w.source.child_id().is_some());
        assert!(w.now < before + Duration::from_secs(120));
    }
}

#[test]
fn what_it_started_itself_ends_with_it() {
    let Some(mut w) = with_script("sleep 1000 & echo $! > \"$0.pid\"; wait") else { return };
    w.until("it runs", |w| fs::read_to_string(w.path("fake.pid")).is_ok_and(|t| t.ends_with('\n')));
    let below: u32 = fs::read_to_string(w.path("fake.pid")).unwrap().trim().parse().unwrap();
    assert!(is_running(below));
    let id = w.source.child_id().unwrap();
    w.settings.command = "journalctl".into();
    w.restart();
    assert!(!is_running(id));
    w.until("what it started is gone", |_| !is_running(below));
}

#[test]
fn it_runs_in_an_environment_of_its_own() {
    let text = "cat /proc/$$/environ | tr '\\0' ' ' >&2; exit 1";
    let Some(mut w) = with_script(text) else { return };
    w.until("its end is told", |w| w.health().contains("fake "));
    let health = w.health();
    assert!(health.contains("LC_ALL=C") && health.contains("SYSTEMD_COLORS=0"), "{health}");
    assert!(!health.contains("CARGO"), "{health}");
}

#[test]
fn a_directory_without_a_journal_is_waited_for() {
    let Some(mut w) = Worker::new("") else { return };
    w.poll();
    assert!(w.health().starts_with("waiting: there is no journal in /"), "{}", w.health());
    w.plain(2);
    w.settle(2);
    assert_eq!(w.health(), "ok");
    let dir = w.path("later");
    w.settings.directory = Some(dir.clone());
    w.rows.clear();
    w.restart();
    w.until("it is told", |w| w.health().contains("No such file or directory"));
    fs::create_dir(dir).unwrap();
    w.write("later/system.journal", 2, &[("MESSAGE", b"hello")]);
    w.settle(4);
}
