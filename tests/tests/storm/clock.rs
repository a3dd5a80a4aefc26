//! A clock that is wrong for one process: libfaketime, which Debian's package `faketime` brings.
//!
//! Owns how it is asked for. Time that only passes (monotonic) stays right, as it does on a real machine.

use std::path::PathBuf;
use std::process::Command;

/// The library; `None` if it is missing, which fails where `CI` is set and is said elsewhere.
pub(crate) fn library() -> Option<PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut all = directories.map(|d| d.path().join("faketime/libfaketimeMT.so.1"));
    let found = all.find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "faketime is missing");
        println!("left out: faketime is missing");
    }
    found
}

/// Lets what this command starts see a clock that is so many seconds ahead, or behind.
pub(crate) fn set_wrong(command: &mut Command, library: &PathBuf, seconds: i64) {
    command.env("LD_PRELOAD", library).env("FAKETIME", format!("{seconds:+}"));
    // Two names: it was renamed between versions. Times of files stay right as well.
    command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env("NO_FAKE_STAT", "1");
}
