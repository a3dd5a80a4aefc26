//! Links to logs that lie elsewhere, as the kubelet makes them, on real files and through restarts.
//!
//! Owns rotation behind a link, links that move on, chains, and links to nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use glob::Pattern;
use watchkeeper_agent_core::tail::Disk;
use watchkeeper_model::SkipReason;

use super::disk::{Places, RealDisk};
use super::tests::Worker;
use crate::sources::Health;

const LOG: &str = "pods/shop_web_uid/web/0.log";
const LINK: &str = "containers/web.log";

/// A link to a container's log, as the kubelet makes it, and an agent that has read three lines of it.
fn container(more: &str) -> Worker {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("pods/shop_web_uid/web")).unwrap();
    fs::create_dir(dir.path().join("containers")).unwrap();
    symlink(dir.path().join(LOG), dir.path().join(LINK)).unwrap();
    let mut w = before(Worker::in_dir(dir, "containers/*.log", more));
    w.lines(LOG, 0..3);
    assert_eq!(w.settle(), 3);
    w
}

/// Its clock runs ahead of the file system's with every look. Begins earlier, so that what is made between two looks is
/// new to it.
fn before(mut w: Worker) -> Worker {
    w.now = w.now.shifted(-3_600 * 1_000_000_000);
    w
}

fn rotate(w: &Worker, time: &str) {
    fs::rename(w.path(LOG), w.path(&format!("{LOG}.20260101-{time}"))).unwrap();
}

/// Points a link elsewhere.
fn point(w: &Worker, link: &str, target: &str) {
    fs::remove_file(w.path(link)).unwrap();
    symlink(w.path(target), w.path(link)).unwrap();
}

/// Nothing is lost, nothing told of, and it stays so.
fn counts(w: &mut Worker, n: u64, why: &str) {
    assert_eq!(w.settle(), n, "{why}");
    w.restart();
    assert_eq!(w.settle(), n, "{why}: again after a restart");
    w.now = w.now + Duration::from_secs(120);
    assert_eq!(w.settle(), n, "{why}: and later");
    assert_eq!((w.tally.bytes_abandoned, w.tally.bytes_unknown), (0, 0), "{why}");
    assert_eq!(w.source.health(), Health::Ok, "{why}");
}

#[test]
fn what_is_rotated_behind_a_link_while_the_agent_is_down_is_read() {
    let mut w = container("");
    w.lines(LOG, 3..5);
    rotate(&w, "120000");
    w.lines(LOG, 5..6);
    rotate(&w, "130000");
    w.lines(LOG, 6..7);
    w.restart();
    counts(&mut w, 7, "two rotations");
    w.lines(LOG, 7..8);
    rotate(&w, "140000");
    w.restart();
    counts(&mut w, 8, "between the renaming and the new file the link leads nowhere");
    w.lines(LOG, 8..9);
    counts(&mut w, 9, "the new file");
}

#[test]
fn what_is_renamed_behind_a_link_before_it_was_read_is_found_after_a_restart() {
    let mut w = container("");
    w.lines(LOG, 3..6);
    rotate(&w, "120000");
    w.lines(LOG, 6..7);
    // Seen, but not allowed to read on.
    w.now = w.now + Duration::from_secs(11);
    w.source.poll(w.now, false, &mut w.acc);
    w.seal();
    w.restart();
    counts(&mut w, 7, "renamed while it ran");
    let rotated = format!("{LOG}.20260101-120000");
    w.lines(&rotated, 7..8);
    counts(&mut w, 8, "a late writer");
    w.lines(&rotated, 8..9);
    fs::rename(w.path(&rotated), w.path(&format!("{LOG}.20260101-120001"))).unwrap();
    w.restart();
    counts(&mut w, 9, "a late writer, and renamed again");
}

#[test]
fn a_copy_behind_a_link_is_not_read_again() {
    let cut =
        |w: &Worker| fs::File::options().write(true).open(w.path(LOG)).unwrap().set_len(0).unwrap();
    for down in [false, true] {
        let mut w = container("");
        w.lines(LOG, 3..5);
        assert_eq!(w.settle(), 5);
        // Not read before the copy is made, if nobody looks.
        w.lines(LOG, 5..6);
        let copy = w.path(&format!("{LOG}.1"));
        fs::copy(w.path(LOG), &copy).unwrap();
        cut(&w);
        w.lines(LOG, 6..7);
        if down {
            w.restart();
        }
        assert_eq!(w.settle(), 7, "down: {down}");
        w.lines(LOG, 7..8);
        w.settle();
        fs::rename(&copy, w.path(&format!("{LOG}.2"))).unwrap();
        fs::copy(w.path(LOG), &copy).unwrap();
        w.settle();
        cut(&w);
        w.lines(LOG, 8..9);
        counts(&mut w, 9, "the second copy");
    }
}

#[test]
fn a_link_that_is_pointed_elsewhere_leaves_nothing_behind() {
    let next = "pods/shop_web_uid/web/1.log";
    for (down, rotated) in [(false, false), (true, false), (false, true), (true, true)] {
        let why = format!("down: {down}, rotated: {rotated}");
        let mut w = container("");
        w.lines(LOG, 3..5);
        if rotated {
            rotate(&w, "120000");
            w.lines(LOG, 5..6);
        }
        w.lines(next, 6..9);
        point(&w, LINK, next);
        if down {
            w.restart();
        }
        let n = if rotated { 9 } else { 8 };
        counts(&mut w, n, &why);
        w.lines(LOG, 9..10);
        counts(&mut w, n + 1, &format!("{why}: a late writer"));
        point(&w, LINK, LOG);
        w.lines(LOG, 10..11);
        w.lines(next, 11..12);
        w.restart();
        counts(&mut w, n + 3, &format!("{why}: and back"));
        fs::remove_dir_all(w.path("pods")).unwrap();
        w.settle();
        assert_eq!(w.tally.bytes_abandoned, 0, "{why}");
    }
}

#[test]
fn a_link_that_goes_leaves_its_log_to_be_read() {
    let mut w = container("");
    w.lines(LOG, 3..5);
    // A restarted container gets another link.
    w.lines("pods/shop_web_uid/web/1.log", 5..7);
    symlink(w.path("pods/shop_web_uid/web/1.log"), w.path("containers/web-2.log")).unwrap();
    fs::remove_file(w.path(LINK)).unwrap();
    w.restart();
    counts(&mut w, 7, "down");
    fs::remove_dir_all(w.path("pods")).unwrap();
    fs::remove_file(w.path("containers/web-2.log")).unwrap();
    w.restart();
    w.settle();
    assert_eq!((w.tally.bytes_abandoned, w.tally.bytes_unknown), (0, 0));
}

#[test]
fn chains_and_several_links_to_one_log_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let all = ["containers", "pods", "docker", "relative"];
    all.iter().for_each(|name| fs::create_dir(dir.path().join(name)).unwrap());
    symlink("../docker/a-json.log", dir.path().join("pods/0.log")).unwrap();
    symlink(dir.path().join("pods/0.log"), dir.path().join("containers/a.log")).unwrap();
    symlink("../pods/0.log", dir.path().join("containers/b.log")).unwrap();
    symlink("docker", dir.path().join("other")).unwrap();
    symlink("../other/a-json.log", dir.path().join("containers/c.log")).unwrap();
    // The log itself matches too.
    let mut w = before(Worker::in_dir(dir, "[cd]o*/*.log", ""));
    w.lines("docker/a-json.log", 0..3);
    assert_eq!(w.settle(), 3);
    for (i, n) in (3_u32..7).enumerate() {
        w.lines("docker/a-json.log", n..n + 1);
        let rotated = w.path(&format!("docker/a-json.log.{i}"));
        fs::rename(w.path("docker/a-json.log"), rotated).unwrap();
        if i == 1 {
            fs::remove_file(w.path("containers/a.log")).unwrap();
        }
        w.restart();
        counts(&mut w, u64::from(n) + 1, "rotated");
    }
}

#[test]
fn a_log_of_another_name_in_the_same_directory_is_followed_through_its_rotation() {
    let mut w = Worker::in_dir(tempfile::tempdir().unwrap(), "current.log", "");
    symlink("app", w.path("current.log")).unwrap();
    w.lines("app", 0..3);
    assert_eq!(w.settle(), 3);
    w.lines("app", 3..4);
    fs::rename(w.path("app"), w.path("app.1")).unwrap();
    w.lines("app", 4..5);
    w.restart();
    counts(&mut w, 5, "down");
}

#[test]
fn lines_behind_a_link_are_those_of_the_link() {
    let more = ", path_fields: '/containers/(?<app>[a-z]+)\\.log$'";
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("pods/shop_web_uid/web")).unwrap();
    fs::create_dir(dir.path().join("containers")).unwrap();
    symlink(dir.path().join(LOG), dir.path().join(LINK)).unwrap();
    let signals = "{name: requests, labels: {app: _file.app, file: _file.name}}";
    let mut w = before(Worker::counting("beginning", dir, "containers/*.log", signals, more));
    w.lines(LOG, 0..3);
    assert_eq!(w.settle(), 3);
    w.lines(LOG, 3..5);
    rotate(&w, "120000");
    w.lines(LOG, 5..6);
    rotate(&w, "130000");
    w.lines(LOG, 6..7);
    w.restart();
    counts(&mut w, 7, "rotated");
    let all: Vec<_> = w.by_labels.into_iter().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].0.contains("web.log") && all[0].1 == 7, "{all:?}");
}

#[test]
fn what_lay_behind_a_link_before_the_first_start_or_is_excluded_is_not_read() {
    for (start_at, n) in [("beginning", 3), ("end", 0)] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("pods/shop_web_uid/web")).unwrap();
        fs::create_dir(dir.path().join("containers")).unwrap();
        symlink(dir.path().join(LOG), dir.path().join(LINK)).unwrap();
        let exclude = format!(", exclude: [{:?}]", dir.path().join("**/*-130000"));
        let mut w = Worker::starting_at(start_at, dir, "containers/*.log", &exclude);
        w.lines(LOG, 0..2);
        rotate(&w, "110000");
        w.lines(LOG, 2..5);
        counts(&mut w, n, start_at);
        w.lines(LOG, 5..6);
        rotate(&w, "120000");
        w.lines(LOG, 6..8);
        counts(&mut w, n + 3, start_at);
        w.restart();
        w.lines(LOG, 8..9);
        rotate(&w, "130000");
        w.restart();
        w.settle();
        assert_eq!(w.counted, n + 3, "excluded by its own name");
    }
}

#[test]
fn a_compressed_file_behind_a_link_is_told_if_it_was_not_read_before() {
    for down in [false, true] {
        let mut w = container("");
        w.lines(LOG, 3..5);
        rotate(&w, "120000");
        w.lines(LOG, 5..6);
        assert_eq!(w.settle(), 6);
        fs::remove_file(w.path(&format!("{LOG}.20260101-120000"))).unwrap();
        fs::write(w.path(&format!("{LOG}.20260101-120000.gz")), "x").unwrap();
        if down {
            w.restart();
        }
        w.settle();
        let skipped = if down { &[(SkipReason::Compressed, 1)][..] } else { &[] };
        assert_eq!((w.settle(), &w.tally.skipped[..]), (6, skipped), "down: {down}");
        assert_eq!(w.source.health(), Health::Ok);
    }
}

#[test]
fn links_to_nothing_to_themselves_and_to_directories_harm_no_other() {
    let mut w = container("");
    symlink(w.path("nowhere/0.log"), w.path("containers/gone.log")).unwrap();
    assert_eq!(w.settle(), 3);
    assert_eq!(w.source.health(), Health::Ok, "it may come");
    symlink("b.log", w.path("containers/a.log")).unwrap();
    symlink("a.log", w.path("containers/b.log")).unwrap();
    symlink(w.path("pods"), w.path("containers/c.log")).unwrap();
    w.lines(LOG, 3..4);
    rotate(&w, "120000");
    w.lines(LOG, 4..5);
    w.restart();
    assert_eq!(w.settle(), 5);
    let health = w.source.health().to_string();
    assert!(
        health.ends_with("Too many levels of symbolic links (os error 40) (and 2 more)"),
        "{health}"
    );
    for link in ["a", "b", "c"] {
        fs::remove_file(w.path(&format!("containers/{link}.log"))).unwrap();
    }
    fs::create_dir(w.path("nowhere")).unwrap();
    w.lines("nowhere/0.log", 0..2);
    counts(&mut w, 7, "it came");
    point(&w, "containers/gone.log", LOG);
    fs::rename(w.path("nowhere/0.log"), w.path(&format!("{LOG}.1"))).unwrap();
    w.lines(LOG, 5..6);
    counts(&mut w, 8, "what it led to lies elsewhere, where it leads now");
}

#[test]
fn a_directory_behind_a_link_that_may_not_be_listed_is_told() {
    super::disk_tests::as_nobody(|| {
        let mut w = container("");
        let directory = w.path("pods/shop_web_uid/web");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o300)).unwrap();
        w.lines(LOG, 3..4);
        assert_eq!(w.settle(), 4);
        let health = w.source.health().to_string();
        assert!(health.ends_with("/web: Permission denied (os error 13)"), "{health}");
        rotate(&w, "120000");
        w.restart();
        w.settle();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        w.lines(&format!("{LOG}.20260101-120000"), 4..5);
        counts(&mut w, 5, "allowed again");
    });
}

#[test]
fn paths_that_are_edited_away_and_back_keep_what_lies_behind_links() {
    let mut w = container("");
    w.lines(LOG, 3..5);
    rotate(&w, "120000");
    w.lines(LOG, 5..6);
    w.now = w.now + Duration::from_secs(11);
    w.source.poll(w.now, false, &mut w.acc);
    w.seal();
    let SettingsPair { here, elsewhere } = settings_of(&w);
    assert!(w.source.reconfigure(&here, &mut w.acc));
    assert_eq!(w.settle(), 6, "nothing was let go");
    w.lines(&format!("{LOG}.20260101-120000"), 6..8);
    assert!(w.source.reconfigure(&elsewhere, &mut w.acc));
    assert_eq!(w.settle(), 6);
    assert!(w.source.reconfigure(&here, &mut w.acc));
    counts(&mut w, 8, "and back");
}

struct SettingsPair {
    here: crate::sources::SourceSettings,
    elsewhere: crate::sources::SourceSettings,
}

fn settings_of(w: &Worker) -> SettingsPair {
    let yaml = |pattern: &str| {
        let path = w.path(pattern);
        format!(
            "tail: {{name: s, service: shop, paths: [{path:?}], signals: [{{name: requests}}]}}"
        )
    };
    let read = |pattern: &str| super::tests::settings(&yaml(pattern)).unwrap();
    SettingsPair { here: read("containers/w*.log"), elsewhere: read("nothing/*.log") }
}

#[test]
fn what_else_is_written_where_files_lie_is_no_reason_to_look() {
    let w = container("");
    let pattern = Pattern::new(w.path("containers/*.log").to_str().unwrap()).unwrap();
    let mut disk = RealDisk::new(vec![pattern], Vec::new());
    disk.list(&BTreeSet::new());
    for (name, matters) in [
        (LINK, true),
        ("containers", true),
        ("containers/web.log.1", true),
        ("containers/other", false),
        (LOG, true),
        ("pods/shop_web_uid/web", true),
        ("pods/shop_web_uid/web/0.log.20260101-120000", true),
        ("pods/shop_web_uid/web/other.log", false),
        ("pods/0.log", false),
    ] {
        assert_eq!(disk.matters(&w.path(name)), matters, "{name}");
    }
}

#[test]
fn a_line_behind_a_link_is_heard_of() {
    let mut w = container("");
    w.now = w.now + Duration::from_millis(500);
    w.source.poll(w.now, true, &mut w.acc);
    while w.wakes.wait(Duration::from_millis(200)) {
        w.now = w.now + Duration::from_millis(50);
        w.source.poll(w.now, true, &mut w.acc);
    }
    w.lines(LOG, 3..4);
    assert!(w.wakes.wait(Duration::from_secs(10)), "where inotify is, it is heard");
    w.now = w.now + Duration::from_millis(20);
    w.source.poll(w.now, true, &mut w.acc);
    w.seal();
    assert_eq!(w.counted, 4);
}
