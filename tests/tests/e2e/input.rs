//! Bad input: a clear error or a counted skip, and nothing else lost.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use watchkeeper_tests::harness::{
    LogWriter, Site, Totals, binary, eventually, get_text, without_privileges,
};

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

#[tokio::test]
async fn of_odd_lines_each_is_counted_or_skipped_for_its_reason() {
    let mut site = Site::new("").unwrap();
    let path = site.logs().join("a.log");
    let sources = format!(
        "  - tail:\n      name: odd\n      service: shop\n      paths: ['{}']\n      start_at: beginning\n\
         \x20     time: {{field: t, format: unix}}\n      signals:\n\
         \x20       - {{name: requests, value: {{field: ms, unit: ms}}, labels: {{status: status}}}}\n",
        path.display()
    );
    site.configure_sources(&sources).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let line = |rest: &str| format!("{{\"t\":{now},{rest}}}").into_bytes();
    let deep =
        |n: usize| line(&format!("\"a\":{}{},\"status\":1,\"ms\":1", "[".repeat(n), "]".repeat(n)));
    let utf16: Vec<u8> =
        "\u{feff}{\"status\":9}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    // What is written, and as which status it is counted or why not.
    let cases: Vec<(Vec<u8>, Result<&str, &str>)> = vec![
        // A mark of UTF-8 at the file's very beginning is none of the line's.
        ([b"\xef\xbb\xbf".to_vec(), line(r#""status":"marked","ms":1"#)].concat(), Ok("marked")),
        ([b"\xef\xbb\xbf".to_vec(), line(r#""status":200,"ms":1"#)].concat(), Err("unparsable")),
        (line("\"status\":\"caf\u{e9}\",\"ms\":1"), Ok("caf\u{e9}")),
        ([line("\"status\":\"caf").as_slice(), b"\xe9\",\"ms\":1}"].concat(), Err("invalid_utf8")),
        (utf16, Err("invalid_utf8")),
        // What is left of the line end of UTF-16 is a NUL, and the next line begins behind it.
        ([b"\0".to_vec(), line(r#""status":"after","ms":1"#)].concat(), Ok("after")),
        (b"     ".to_vec(), Err("blank")),
        (b"\t \r".to_vec(), Err("blank")),
        (deep(10_000), Err("unparsable")),
        (deep(100), Ok("1")),
        (line(r#""status":1,"ms":1e400"#), Err("no_value")),
        (line(r#""status":1,"ms":-1e15"#), Err("no_value")),
        (line(r#""status":1,"ms":true,"status":2,"ms":7"#), Ok("2")),
        (br#"{"t":0,"status":200,"ms":1}"#.to_vec(), Err("too_late")),
        (br#"{"t":1e300,"status":200,"ms":1}"#.to_vec(), Err("no_time")),
        (br#"{"t":null,"status":200,"ms":1}"#.to_vec(), Err("no_time")),
        // The year 2090: a clock that is ahead, so it counts as of now.
        (br#"{"t":3800000000,"status":"2090","ms":1}"#.to_vec(), Ok("2090")),
        (b"\r".to_vec(), Err("blank")),
        (line(r#""status":"last","ms":1"#), Ok("last")),
    ];
    let (mut counted, mut skipped) = (Totals::new(), Totals::new());
    // The NUL is a record of its own.
    *skipped.entry("blank".to_owned()).or_default() += 1;
    let mut text = Vec::new();
    for (bytes, becomes) in &cases {
        text.extend_from_slice(bytes);
        text.push(b'\n');
        let (of, name) = match becomes {
            Ok(status) => (&mut counted, *status),
            Err(reason) => (&mut skipped, *reason),
        };
        *of.entry(name.to_owned()).or_default() += 1;
    }
    std::fs::write(&path, text).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    site.wait_counted(&counted, Duration::from_secs(30)).await;
    let n_lines = cases.len() as u64 + 1;
    let told = eventually("every line is accounted for", Duration::from_secs(20), || async {
        site.source("odd").await.filter(|source| source["read"] == n_lines)
    });
    assert_eq!(told.await["skipped"], serde_json::json!(skipped));
}

#[tokio::test]
async fn what_is_no_file_is_left_alone_and_the_files_beside_it_are_read() {
    let site = Site::new("").unwrap();
    let at = |name: &str| site.logs().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe.log")).status().unwrap().success());
    let _socket = UnixListener::bind(at("socket.log")).unwrap();
    std::fs::create_dir(at("directory.log")).unwrap();
    for (name, target) in [
        ("zero.log", Path::new("/dev/zero")),
        ("null.log", Path::new("/dev/null")),
        ("tty.log", Path::new("/dev/ptmx")),
        ("nothing.log", Path::new("/nowhere/at/all")),
        ("loop.log", &at("loop.log")),
    ] {
        symlink(target, at(name)).unwrap();
    }
    let mut site = site;
    site.configure_agent(&Default::default()).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&log.written, Duration::from_secs(20)).await;
    let state =
        eventually("the source says what it leaves alone", Duration::from_secs(30), || async {
            let source = site.source("shop-log").await?;
            let state = source["state"].as_str()?.to_owned();
            state.contains(".log").then_some(state)
        });
    println!("{}", state.await);
    // One of them becomes a file after all, and another a link to one.
    for name in ["pipe.log", "loop.log"] {
        std::fs::remove_file(site.logs().join(name)).unwrap();
    }
    let mut late = LogWriter::open(&site.logs().join("pipe.log")).unwrap();
    late.line(404, 1.0).unwrap();
    let elsewhere = site.path().join("elsewhere");
    let mut linked = LogWriter::open(&elsewhere).unwrap();
    linked.line(500, 1.0).unwrap();
    symlink(&elsewhere, site.logs().join("loop.log")).unwrap();
    log.line(200, 1.0).unwrap();
    let all = Totals::from([("200".into(), 2), ("404".into(), 1), ("500".into(), 1)]);
    site.wait_counted(&all, Duration::from_secs(40)).await;
    let rss = site.agent.as_ref().unwrap().rss_bytes().unwrap();
    assert!(rss < 60 << 20, "{} MiB: was a device read?", rss >> 20);
}

#[tokio::test]
async fn a_permission_that_is_withdrawn_and_given_back_costs_no_line() {
    let mut site = Site::new("").unwrap();
    site.configure_agent(&Default::default()).unwrap();
    site.start_collector(&[]).await.unwrap();
    let start = |site: &mut Site| {
        let mut command = without_privileges(&binary("watchkeeper-agent"));
        site.start_agent_by(&mut command).unwrap();
    };
    let permit =
        |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let limit = Duration::from_secs(40);
    start(&mut site);
    let mut a = LogWriter::open(&site.logs().join("a.log")).unwrap();
    a.line(200, 1.0).unwrap();
    site.wait_counted(&a.written, limit).await;

    // A file that may not be read when it is found.
    let (elsewhere, closed) = (site.path().join("b.log"), site.logs().join("b.log"));
    let mut b = LogWriter::open(&elsewhere).unwrap();
    permit(&elsewhere, 0o000);
    b.line(404, 1.0).unwrap();
    std::fs::rename(&elsewhere, &closed).unwrap();
    a.line(200, 1.0).unwrap();
    site.wait_counted(&a.written, limit).await;
    eventually("the source names the file", limit, || async {
        let state = site.source("shop-log").await?["state"].as_str()?.to_owned();
        (state.contains("b.log") && state.contains("denied")).then_some(())
    })
    .await;
    permit(&closed, 0o600);
    let both = |a: &LogWriter, b: &LogWriter| -> Totals {
        a.written.iter().chain(&b.written).map(|(status, n)| (status.clone(), *n)).collect()
    };
    site.wait_counted(&both(&a, &b), limit).await;

    // Files that were being read, over a restart.
    permit(a.path(), 0o000);
    site.agent.as_mut().unwrap().stop(limit).unwrap();
    a.line(200, 1.0).unwrap();
    start(&mut site);
    b.line(404, 1.0).unwrap();
    let mut expected = both(&a, &b);
    *expected.get_mut("200").unwrap() -= 1;
    site.wait_counted(&expected, limit).await;
    permit(a.path(), 0o600);
    site.wait_counted(&both(&a, &b), limit).await;

    // The directory itself.
    let logs = site.logs();
    permit(&logs, 0o000);
    site.agent.as_mut().unwrap().stop(limit).unwrap();
    permit(&logs, 0o700);
    a.line(200, 1.0).unwrap();
    let mut c = LogWriter::open(&logs.join("c.log")).unwrap();
    c.line(404, 1.0).unwrap();
    permit(&logs, 0o000);
    start(&mut site);
    eventually("the source names the directory", limit, || async {
        let state = site.source("shop-log").await?["state"].as_str()?.to_owned();
        state.contains("denied").then_some(())
    })
    .await;
    permit(&logs, 0o700);
    let mut all = both(&a, &b);
    *all.get_mut("404").unwrap() += 1;
    site.wait_counted(&all, limit).await;
}

#[tokio::test]
async fn a_log_directory_that_is_removed_and_made_again_loses_nothing() {
    let site = Site::running("").await.unwrap();
    let (logs, limit) = (site.logs(), Duration::from_secs(40));
    let mut all = Totals::new();
    for round in 0..3 {
        let mut log = LogWriter::open(&logs.join("a.log")).unwrap();
        log.line(200, 1.0).unwrap();
        *all.entry("200".to_owned()).or_default() += 1;
        site.wait_counted_once(&all, limit).await;
        // Written into a file that is open at the agent and gone at once.
        for _ in 0..500 {
            log.line(500, f64::from(round)).unwrap();
        }
        *all.entry("500".to_owned()).or_default() += 500;
        std::fs::remove_dir_all(&logs).unwrap();
        log.line(404, 1.0).unwrap();
        *all.entry("404".to_owned()).or_default() += 1;
        if round == 1 {
            // It stays away until that was noticed.
            site.wait_counted(&all, limit).await;
        }
        std::fs::create_dir(&logs).unwrap();
    }
    site.wait_counted(&all, limit).await;
    let source = site.source("shop-log").await.unwrap();
    assert_eq!((&source["bytes_abandoned"], &source["bytes_unknown"]), (&0.into(), &0.into()));
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
