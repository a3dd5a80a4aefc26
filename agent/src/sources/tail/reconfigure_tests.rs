//! A `tail` source whose settings change while it follows real files.
//!
//! Owns what only real handles, links and directories can show. The rules themselves are tested in the core.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::tests::{Worker, settings};
use crate::sources::SourceSettings;

impl Worker {
    /// Goes on, in place, with settings that have `more` in their section, under this name, for this pattern.
    fn edit(&mut self, name: &str, pattern: &str, more: &str) {
        self.seal();
        let path = self.path(pattern);
        self.settings = settings(&format!(
            "tail: {{name: {name}, service: shop, paths: [{path:?}], start_at: end, \
             signals: [{{name: requests, labels: {{n: n}}}}]{more}}}"
        ))
        .unwrap();
        assert!(self.source.reconfigure(&self.settings, &mut self.acc));
    }

    /// How many files under its directory this process holds open.
    fn n_open(&self) -> usize {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        let open = links.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        open.filter(|path| path.starts_with(self.dir.path())).count()
    }
}

#[test]
fn handles_of_deleted_files_with_unread_lines_survive_an_edit_of_signals() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..5);
    assert_eq!(w.settle(), 5);
    w.lines("a.log", 5..9);
    fs::remove_file(w.path("a.log")).unwrap();
    w.now = w.now + Duration::from_secs(11);
    w.source.poll(w.now, false, &mut w.acc);
    assert_eq!((w.source.lag_bytes(), w.n_open()), (32, 1));
    w.edit("s", "*.log", ", events: [{name: any, where: 'n >= 0'}]");
    assert_eq!(w.n_open(), 1, "what it has left stands nowhere else");
    assert_eq!(w.settle(), 9);
    assert_eq!((w.events, w.tally.bytes_abandoned), (4, 0), "by the new settings");
}

#[test]
fn an_edit_counts_no_line_twice_and_a_line_in_the_making_once() {
    let mut w = Worker::new("");
    w.append("a.log", "{\"n\":1}\n{\"n\":");
    assert_eq!(w.settle(), 1);
    let edits = ["", ", max_line: 10B", ", time: {field: t, format: unix}", ""];
    for edit in edits {
        w.edit("s", "*.log", edit);
        assert_eq!(w.settle(), 1);
    }
    w.append("a.log", "2}\n");
    assert_eq!(w.settle(), 2);
    w.restart();
    assert_eq!(w.settle(), 2);
}

#[test]
fn other_paths_let_files_go_and_take_others_at_once() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..3);
    fs::create_dir(w.path("deep")).unwrap();
    w.lines("deep/b.txt", 0..4);
    w.lines("deep/b.txt.1", 0..100);
    assert_eq!(w.settle(), 3);
    w.lines("a.log", 3..5);
    w.edit("s", "deep/*.txt", "");
    assert_eq!((w.n_open(), w.source.lag_bytes()), (0, 0), "not ours any more");
    w.source.poll(w.now, true, &mut w.acc);
    assert_eq!(w.settle(), 7, "a file that is new to a source is read from its beginning");
    assert_eq!(w.n_open(), 1);
    w.lines("a.log", 5..6);
    while w.wakes.wait(Duration::ZERO) {}
    w.lines("deep/b.txt", 4..5);
    assert!(w.wakes.wait(Duration::from_secs(10)), "the new directory is listened to");
    assert_eq!(w.settle(), 8);
    w.restart();
    assert_eq!(w.settle(), 8);
    assert_eq!(w.tally.bytes_abandoned, 0);
    w.edit("s", "*.log", "");
    assert_eq!(w.settle(), 11, "and goes on where it was left, if it comes back");
    w.edit("s", "none*.log", "");
    w.poll();
    assert!(w.source.health().to_string().ends_with("none*.log"), "{}", w.source.health());
}

#[test]
fn rotation_goes_on_through_a_change_of_paths() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..3);
    assert_eq!(w.settle(), 3);
    w.lines("a.log", 3..5);
    fs::rename(w.path("a.log"), w.path("a.log.1")).unwrap();
    w.lines("a.log", 5..6);
    w.edit("s", "[a-b].log", "");
    assert_eq!(w.settle(), 6);
    w.lines("a.log.1", 6..7);
    fs::rename(w.path("a.log"), w.path("archived")).unwrap();
    w.lines("archived", 7..8);
    w.now = w.now + Duration::from_secs(11);
    w.source.poll(w.now, false, &mut w.acc);
    w.edit("s", "[a-c].log", "");
    assert_eq!(w.settle(), 8, "out of the paths, and still read to its end");
}

#[test]
fn a_link_to_the_same_file_under_other_paths_is_the_same_file() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..3);
    assert_eq!(w.settle(), 3);
    symlink("a.log", w.path("same.txt")).unwrap();
    w.lines("a.log", 3..4);
    w.edit("s", "*.txt", "");
    assert_eq!(w.settle(), 4);
}

#[test]
fn a_renamed_source_is_told_and_stored_under_its_new_name() {
    let mut w = Worker::new("");
    w.lines("a.log", 0..3);
    assert_eq!(w.settle(), 3);
    w.edit("t", "*.log", "");
    assert_eq!(w.source.name(), "t");
    w.frontiers.clear();
    w.lines("a.log", 3..5);
    assert_eq!(w.settle(), 5);
    let told: Vec<_> =
        w.frontiers.iter().map(|f| (f.source.as_str(), f.begin, f.from, f.to)).collect();
    assert_eq!(told, [("t", 24, 24, 24), ("t", 24, 24, 40)]);
    assert_eq!(w.rows.len(), 1, "the row of before is gone");
    w.restart();
    assert_eq!(w.settle(), 5);
}

#[test]
fn what_is_read_has_one_form_whatever_the_order() {
    let reads = |paths: &str| {
        let settings = settings(&format!("tail: {{service: shop, {paths}}}")).unwrap();
        SourceSettings::reads(&settings)
    };
    let text = reads("paths: [/l/b.log, /l/a.log, /l/b.log], exclude: [/l/d, /l/c]");
    assert_eq!(text, "tail without /l/c without /l/d\n/l/a.log\n/l/b.log");
    assert_eq!(text, reads("paths: [/l/a.log, /l/b.log], exclude: [/l/c, /l/d], max_line: 1KiB"));
    assert_ne!(text, reads("paths: [/l/a.log, /l/b.log], exclude: [/l/c]"));
    assert_eq!(reads(r#"paths: ["/l/a\n/b é"]"#), "tail\n/l/a\\n/b \\u{e9}");
}
