//! Bad input: a clear error or a counted skip, and nothing else lost.

use std::process::Command;
use std::time::Duration;

use watchkeeper_tests::harness::{LogWriter, Site, binary, eventually, get_text};

#[tokio::test]
async fn garbage_between_good_lines_is_counted_as_skipped_by_reason() {
    let site = Site::running("").await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    log.raw(b"this is no JSON\n{\"status\": 200, \"duration_ms\": 1} trailing\n").unwrap();
    log.raw(b"{\"status\": 200, \"method\": \"\xff\xfe\", \"duration_ms\": 1}\n").unwrap();
    log.raw(b"\n   \n\0\0\0\0\n").unwrap();
    log.raw(b"{\"status\": 200, \"method\": \"GET\"}\n{\"status\": 200, \"duration_ms\": 1e400}\n")
        .unwrap();
    log.raw(format!("{}\n", "[".repeat(10_000)).as_bytes()).unwrap();
    // A line of 100 MB, written as such a line would be.
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        log.raw(&chunk).unwrap();
    }
    log.raw(b"\n").unwrap();
    log.line(200, 2.0).unwrap();
    site.wait_counted(&log.written, Duration::from_secs(60)).await;
    let skipped = eventually("every line is accounted for", Duration::from_secs(20), || async {
        let agents = site.api("agents").await.ok()?;
        let source = agents["agents"][0]["sources"][0].clone();
        (source["read"] == 12).then_some(source["skipped"].clone())
    })
    .await;
    let expected = serde_json::json!({
        "unparsable": 3, "invalid_utf8": 1, "blank": 3, "no_value": 2, "too_long": 1,
    });
    assert_eq!(skipped, expected);
    let metrics =
        get_text(&format!("http://127.0.0.1:{}/metrics", site.admin_port)).await.unwrap().1;
    for (name, label, value) in [
        ("watchkeeper_source_lines_total", "source=\"shop-log\"", " 12"),
        ("watchkeeper_source_skipped_lines_total", "reason=\"too_long\"", " 1"),
        ("watchkeeper_spool_stage", "stage=\"normal\"", " 1"),
    ] {
        let line = metrics.lines().find(|l| l.starts_with(name) && l.contains(label));
        assert!(line.is_some_and(|l| l.ends_with(value)), "{name} {label}: {line:?} in\n{metrics}");
    }
    let rss = site.agent.as_ref().unwrap().rss_bytes().unwrap();
    assert!(rss < 60 << 20, "a line of 100 MB took {} MiB", rss >> 20);
}

#[test]
fn a_bad_configuration_is_told_whole_with_places_and_remedies() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.yaml");
    let path = file.to_str().unwrap();
    let cases: [(&str, &str, &[&str]); 6] = [
        (
            "agent",
            "agent: {id: a b, flsh: 250ms}\nsources: []\n",
            &[":1:13: error", "flush", ":1:18: error"],
        ),
        (
            "agent",
            "sources:\n  - tail: {service: Shop, paths: x}\n",
            &[":2:21: error", "Shop", "a list is needed"],
        ),
        ("agent", "sources:\n\t- tail\n", &[":2:2: error", "tab"]),
        ("collector", "collector: {listen: 0.0.0.0:7700}\n", &[":1:21: error", "--insecure"]),
        (
            "collector",
            "slos:\n  - {name: a, service: shop, signal: requests, good: 'status < 500', objective: 100, window: 30d}\n",
            &["int(status)", "objective"],
        ),
        (
            "collector",
            "alerting:\n  route: {receiver: chta}\n  receivers: [{name: chat}]\n",
            &["did you mean \"chat\""],
        ),
    ];
    for (program, text, said) in cases {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(binary(&format!("watchkeeper-{program}")))
            .args(["--config", path, "--check"])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        for part in said {
            assert!(told.contains(part), "{part:?} is missing in:\n{told}");
        }
    }
    let missing = Command::new(binary("watchkeeper-agent"))
        .args(["--config", "/nowhere.yaml"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere.yaml"));
    let misused = Command::new(binary("watchkeeper-agent")).arg("--nonsense").output().unwrap();
    assert_eq!(misused.status.code(), Some(2));
}

#[tokio::test]
async fn a_broken_database_is_named_and_left_as_it_is() {
    let mut site = Site::running("").await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&log.written, Duration::from_secs(20)).await;
    site.agent.as_mut().unwrap().stop(Duration::from_secs(15)).unwrap();
    site.collector.as_mut().unwrap().stop(Duration::from_secs(15)).unwrap();
    for (file, program, config) in [
        ("collector/intake.db", "watchkeeper-collector", "collector.yaml"),
        ("collector/ledger.db", "watchkeeper-collector", "collector.yaml"),
        ("agent/spool.db", "watchkeeper-agent", "agent.yaml"),
    ] {
        let path = site.path().join(file);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[..100].fill(0x5a);
        std::fs::write(&path, &bad).unwrap();
        let config = site.path().join(config);
        let output = Command::new(binary(program)).arg("--config").arg(config).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {told}");
        assert!(
            told.contains(path.file_name().unwrap().to_str().unwrap()),
            "{file} is not named:\n{told}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bad, "{file} was changed");
        std::fs::write(&path, &good).unwrap();
    }
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&log.written, Duration::from_secs(30)).await;
}

#[tokio::test]
async fn a_lost_spool_begins_where_the_collector_was_told() {
    let mut site = Site::running("").await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    for n in 0..500 {
        log.line(200, f64::from(n)).unwrap();
    }
    site.wait_counted(&log.written, Duration::from_secs(20)).await;
    site.agent.as_mut().unwrap().kill();
    std::fs::remove_dir_all(site.path().join("agent")).unwrap();
    log.line(404, 1.0).unwrap();
    site.start_agent(&[]).unwrap();
    site.wait_counted(&log.written, Duration::from_secs(30)).await;
}

#[tokio::test]
async fn a_spool_restored_from_a_backup_counts_nothing_again() {
    for in_place in [false, true] {
        let mut site = Site::running("").await.unwrap();
        let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
        for n in 0..100 {
            log.line(200, f64::from(n)).unwrap();
        }
        site.wait_counted(&log.written, Duration::from_secs(20)).await;
        let limit = Duration::from_secs(15);
        site.agent.as_mut().unwrap().stop(limit).unwrap();
        let spool = site.path().join("agent/spool.db");
        let backup = std::fs::read(&spool).unwrap();
        site.start_agent(&[]).unwrap();
        for n in 0..100 {
            log.line(500, f64::from(n)).unwrap();
        }
        site.wait_counted(&log.written, Duration::from_secs(20)).await;
        site.agent.as_mut().unwrap().stop(limit).unwrap();
        for left_over in ["agent/spool.db-wal", "agent/spool.db-shm"] {
            let _ = std::fs::remove_file(site.path().join(left_over));
        }
        if !in_place {
            std::fs::remove_file(&spool).unwrap();
        }
        std::fs::write(&spool, &backup).unwrap();
        site.start_agent(&[]).unwrap();
        log.line(404, 1.0).unwrap();
        site.wait_counted(&log.written, Duration::from_secs(30)).await;
    }
}
