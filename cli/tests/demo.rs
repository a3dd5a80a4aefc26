//! The demo, from its first line to its exit code.
//!
//! Owns the promise that one command shows the whole product. It takes as long as the story does.

use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn the_demo_pages_closes_and_counts_every_line_and_leaves_nothing_behind() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_watchkeeper"))
        .args(["demo", "--output", "json"])
        .env("TMPDIR", temp.path())
        .output()
        .expect("the command starts");
    let told = String::from_utf8_lossy(&output.stdout);
    let ending: serde_json::Value = serde_json::from_str(&told).expect("it ends with JSON");
    assert_eq!(ending["missing"], serde_json::json!([]), "{ending:#}");
    assert_eq!(ending["lines_written"], ending["lines_counted"], "{ending:#}");
    assert!(output.status.success(), "{ending:#}");
    assert!(began.elapsed() < Duration::from_secs(60));
    let left: Vec<_> = std::fs::read_dir(temp.path()).expect("it is there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
