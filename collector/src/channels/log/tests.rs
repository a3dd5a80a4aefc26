//! The log as those who read its file find it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::Notification;

use super::payload::MAX_LINE_BYTES;
use crate::channels::registry::tests::receiver;
use crate::channels::{Cause, Channel, Delivered, DeliveryError, samples};

fn log(keys: &str) -> Arc<dyn Channel> {
    let settings = receiver(&format!("name: log\nlog_configs: [{{{keys}}}]\n"), Some(true));
    settings.integrations[0].build().unwrap().channel
}

async fn tell(channel: &dyn Channel, told: &Notification) -> Result<Delivered, DeliveryError> {
    channel.deliver(told, Instant::now() + Duration::from_secs(20)).await
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_word_is_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("told.jsonl");
    let channel = log(&format!("path: {}", path.display()));
    for told in [samples::slo_page(), samples::slo_close(), samples::hostile(1_000)] {
        tell(&*channel, &told).await.unwrap();
    }
    let lines = lines(&path);
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["action"], &lines[0]["incident"]), (&"open".into(), &12.into()));
    assert_eq!(lines[0]["alerts"][0]["labels"]["severity"], "page");
    assert_eq!(lines[1]["alerts"][0]["firing"], false);
    let n_told = lines[2]["alerts"].as_array().unwrap().len() as u64;
    assert_eq!(n_told + lines[2]["alerts_left_out"].as_u64().unwrap(), 1_000);
    assert!(lines[2].to_string().len() <= MAX_LINE_BYTES);
}

#[tokio::test]
async fn a_full_file_is_put_aside_once_and_no_line_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("told.jsonl");
    let channel = log(&format!("path: {}, max_bytes: 1MiB", path.display()));
    for _ in 0..20 {
        tell(&*channel, &samples::hostile(1_000)).await.unwrap();
    }
    let aside = directory.path().join("told.jsonl.1");
    let n_lines = lines(&path).len() + lines(&aside).len();
    assert!((5..20).contains(&n_lines), "{n_lines} lines are left");
    for file in [&path, &aside] {
        assert!(std::fs::metadata(file).unwrap().len() <= 1 << 20);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let error = tell(&*log(&format!("path: {}", path.display())), &samples::slo_page()).await;
    assert_eq!(error.unwrap_err().cause, Cause::Unreachable);
}
