//! What goes wrong with files and directories while they are followed, on real ones.
//!
//! Owns permissions, descriptors, directories that go and come, and what is no file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use glob::Pattern;
use watchkeeper_agent_core::tail::Disk;

use super::disk::RealDisk;
use super::tests::Worker;
use crate::sources::Health;

/// Runs as somebody whom permissions concern: they do not concern root.
#[cfg(target_os = "linux")]
pub(super) fn as_nobody(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
            }
            test();
        });
        thread.join().unwrap();
    });
}

#[cfg(not(target_os = "linux"))]
pub(super) fn as_nobody(test: impl FnOnce() + Send) {
    assert!(!rustix::process::geteuid().is_root(), "permissions do not concern root");
    test();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn permission_taken_away_is_a_problem_and_given_back_nothing_is_missed() {
    as_nobody(|| {
        let mut w = Worker::new("");
        w.lines("a.log", 0..3);
        set_mode(&w.path("a.log"), 0o000);
        assert_eq!(w.settle(), 0);
        let health = w.source.health().to_string();
        assert!(health.starts_with("failing: /"), "{health}");
        assert!(health.ends_with("a.log: Permission denied (os error 13)"), "{health}");
        set_mode(&w.path("a.log"), 0o600);
        assert_eq!(w.settle(), 3);
        assert_eq!(w.source.health(), Health::Ok);
        // Of the directory, while a file in it is followed and others appear.
        w.lines("b.log", 0..2);
        set_mode(w.dir.path(), 0o000);
        assert_eq!(w.settle(), 3);
        let health = w.source.health().to_string();
        assert!(health.ends_with(": Permission denied (os error 13)"), "{health}");
        set_mode(w.dir.path(), 0o700);
        w.lines("a.log", 3..4);
        assert_eq!(w.settle(), 6);
        assert_eq!(w.source.health(), Health::Ok);
        // Rotated while nobody could look.
        set_mode(w.dir.path(), 0o300);
        w.settle();
        w.lines("a.log", 4..5);
        fs::rename(w.path("a.log"), w.path("a.log.1")).unwrap();
        w.lines("a.log", 5..6);
        w.restart();
        w.settle();
        set_mode(w.dir.path(), 0o700);
        assert_eq!(w.settle(), 8);
        assert_eq!((w.tally.bytes_abandoned, w.tally.bytes_unknown), (0, 0));
        assert_eq!(w.source.health(), Health::Ok);
    });
}

#[test]
fn sockets_pipes_and_devices_are_told_and_never_opened() {
    let mut w = Worker::in_dir(tempfile::tempdir().unwrap(), "*", ", compressed: read");
    let _socket = UnixListener::bind(w.path("socket")).unwrap();
    for pipe in ["pipe", "pipe.gz"] {
        let made = std::process::Command::new("mkfifo").arg(w.path(pipe)).status().unwrap();
        assert!(made.success());
    }
    std::os::unix::fs::symlink("/dev/zero", w.path("device.log")).unwrap();
    w.lines("a.log", 0..3);
    assert_eq!(w.settle(), 3);
    let health = w.source.health().to_string();
    assert!(health.ends_with("device.log: is not a file (and 3 more)"), "{health}");
    // In the place of a file that was followed.
    fs::remove_file(w.path("a.log")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(w.path("a.log")).status().unwrap();
    assert!(made.success());
    w.settle();
    let health = w.source.health().to_string();
    assert!(health.ends_with("a.log: is not a file (and 4 more)"), "{health}");
    let mut disk = RealDisk::new(Vec::new(), Vec::new());
    for path in ["socket", "pipe", "device.log"] {
        assert_eq!(disk.open(&w.path(path)).unwrap_err(), "is not a regular file");
        assert_eq!(disk.open_compressed(&w.path(path)).unwrap_err(), "is not a regular file");
    }
}

#[test]
fn a_directory_that_is_made_again_is_watched_again() {
    let mut w = Worker::in_dir(tempfile::tempdir().unwrap(), "logs/*.log", "");
    for round in 0..4_u32 {
        fs::create_dir(w.path("logs")).unwrap();
        w.lines("logs/a.log", 0..2);
        assert_eq!(w.settle(), u64::from(3 * round + 2));
        // What was heard so far has been followed; now only a notification can wake it.
        w.now = w.now + Duration::from_millis(500);
        w.source.poll(w.now, true, &mut w.acc);
        while w.wakes.wait(Duration::from_millis(200)) {
            w.now = w.now + Duration::from_millis(50);
            w.source.poll(w.now, true, &mut w.acc);
        }
        w.lines("logs/a.log", 2..3);
        assert!(w.wakes.wait(Duration::from_secs(10)), "not heard in round {round}");
        w.now = w.now + Duration::from_millis(20);
        w.source.poll(w.now, true, &mut w.acc);
        w.seal();
        assert_eq!(w.counted, u64::from(3 * round + 3));
        // Made again before anybody looked, or after.
        if round == 1 {
            fs::rename(w.path("logs"), w.path("logs-before")).unwrap();
        } else {
            fs::remove_dir_all(w.path("logs")).unwrap();
        }
        if round == 2 {
            w.settle();
        }
    }
}

#[test]
fn files_beyond_the_descriptors_are_a_problem_that_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    fs::write(&path, "x\n").unwrap();
    fs::write(dir.path().join("a.gz"), "").unwrap();
    let pattern = Pattern::new(dir.path().join("*").to_str().unwrap()).unwrap();
    let mut disk = RealDisk::new(vec![pattern], Vec::new());
    disk.limit = || 0;
    let told = "too many open files: raise `LimitNOFILE`";
    assert!(disk.open(&path).unwrap_err().starts_with(told));
    assert!(disk.open_compressed(&dir.path().join("a.gz")).unwrap_err().starts_with(told));
    let listing = disk.list(&BTreeSet::new());
    assert_eq!((listing.entries.len(), listing.problems.len()), (2, 0), "it can still look");
    disk.limit = || 1 << 20;
    assert!(disk.open(&path).is_ok());
}
