//! The past asked of the real programs: a replay says what a live run did, and leaves nothing behind.

use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use watchkeeper_tests::harness::{AgentOptions, LogWriter, Site, binary, eventually};

const SECTIONS: &str = "slos:\n\
    \x20 - {name: shop, service: shop, signal: requests, good: 'int(status) < 500', objective: 99, window: 10m}\n\
    alerting:\n  route: {receiver: chat, group_wait: 0s}\n\
    \x20 receivers: [{name: chat, webhook_configs: [{url: 'http://127.0.0.1:9/hook'}]}]\n";

/// Good and bad requests in each second: a page, and a ticket that becomes a page. Each ends five seconds after its last bad
/// request; a third one would be held, for it comes and goes.
fn story() -> Vec<(u32, u32)> {
    let good = |n: usize| vec![(20, 0); n];
    [good(8), vec![(0, 20)], good(8), vec![(18, 2), (20, 0), (0, 20)], good(7)].concat()
}

/// When, how it stood, how bad it was.
type Stood = (f64, String, String);

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Writes one second of the story a moment after that second has begun, in one piece.
async fn tell(log: &mut LogWriter, (good, bad): (u32, u32)) {
    let into = Duration::from_nanos(u64::from(now().subsec_nanos()));
    // The pace of the writer, not a wait for something to happen by itself.
    tokio::time::sleep(Duration::from_millis(1_100).saturating_sub(into)).await;
    let at = now().as_secs();
    let line = |status: u32| {
        format!("{{\"time\":{at},\"status\":{status},\"method\":\"GET\",\"duration_ms\":5}}\n")
    };
    let lines = [line(200).repeat(good as usize), line(503).repeat(bad as usize)].concat();
    log.raw(lines.as_bytes()).unwrap();
}

/// Watches the SLO's alert until `done`.
async fn watch(site: &Site, done: &tokio::sync::Notify) -> Vec<Stood> {
    let mut seen: Vec<Stood> = Vec::new();
    loop {
        let answer = site.api("alerts").await.unwrap();
        let all = answer["alerts"].as_array().unwrap().iter();
        for alert in all.filter(|alert| alert["labels"]["alertname"] == "shop") {
            let (state, severity) = (text(&alert["state"]), text(&alert["labels"]["severity"]));
            let is_new = seen.last().is_none_or(|(_, s, v)| (s, v) != (&state, &severity));
            if is_new {
                seen.push((now().as_secs_f64(), state, severity));
            }
        }
        let pause = tokio::time::sleep(Duration::from_millis(50));
        tokio::select! {
            () = done.notified() => return seen,
            () = pause => {}
        }
    }
}

fn replay(dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(binary("watchkeeper"));
    command.arg("replay").arg("--agent").arg(dir.join("agent.yaml"));
    command.arg("--collector").arg(dir.join("collector.yaml")).args(more);
    command.current_dir(dir).stdin(Stdio::null());
    command
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said)
        .unwrap_or_else(|e| panic!("{e}: {said}{}", String::from_utf8_lossy(&output.stderr)))
}

fn timed(site: &Site) {
    let tail = "      time: {field: time, format: unix}\n".to_owned();
    site.configure_agent(&AgentOptions { tail, ..AgentOptions::default() }).unwrap();
}

#[tokio::test]
async fn a_replay_says_what_the_live_run_did() {
    let mut site = Site::new(SECTIONS).unwrap();
    timed(&site);
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    let done = tokio::sync::Notify::new();
    let writing = async {
        for second in story() {
            tell(&mut log, second).await;
        }
        let total: u32 = story().iter().map(|(good, bad)| good + bad).sum();
        let limit = Duration::from_secs(20);
        let slo = eventually("everything is counted", limit, || async {
            let slo = site.api("slos/shop").await.ok()?["slos"][0].clone();
            (slo["total"] == total).then_some(slo)
        });
        let slo = slo.await;
        done.notify_one();
        slo
    };
    let (slo, live) = tokio::join!(writing, watch(&site, &done));

    let output = replay(site.path(), &["--output", "json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let answer = json(&output);
    let all = answer["transitions"].as_array().unwrap().iter();
    let replayed: Vec<Stood> = all
        .filter(|one| one["alert"] == "shop")
        .map(|one| {
            let at: jiff::Timestamp = text(&one["time"]).parse().unwrap();
            let secs = at.as_millisecond() as f64 / 1e3;
            (secs, text(&one["to"]), text(&one["labels"]["severity"]))
        })
        .collect();
    let sequence = |all: &[Stood]| -> Vec<String> {
        all.iter().map(|(_, state, severity)| format!("{state} {severity}")).collect()
    };
    let expected =
        ["firing page", "resolved page", "firing ticket", "firing page", "resolved page"];
    assert_eq!(sequence(&live), expected, "live");
    assert_eq!(sequence(&replayed), expected, "replayed");
    for ((live, ..), (replayed, state, severity)) in live.iter().zip(&replayed) {
        // A second is over before a replay hears of it; a live run hears of it with the next flush.
        let off = replayed - live;
        assert!((-2.0..=2.0).contains(&off), "{state} {severity} is {off} s off");
    }
    let same = &answer["slos"][0];
    for key in ["good", "total", "unjudged"] {
        assert_eq!(same[key], slo[key], "{key}");
    }
}

/// Sockets of a process that reach beyond it: of any address, or of a path.
fn sockets(pid: u32) -> Vec<String> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open: Vec<String> = links
        .filter_map(|link| std::fs::read_link(link.ok()?.path()).ok())
        .filter_map(|to| {
            Some(to.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        let its = |line: &&str| line.split_whitespace().any(|word| open.iter().any(|i| i == word));
        found.extend(text.lines().filter(its).map(str::to_owned));
    }
    let unix = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap_or_default();
    let named = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.len() > 7 && open.iter().any(|inode| *inode == words[6])
    };
    found.extend(unix.lines().filter(named).map(str::to_owned));
    found
}

fn listed(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        names.push(entry.path().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            names.extend(listed(&entry.path()));
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn a_replay_opens_no_socket_writes_no_file_and_ends_with_its_signal() {
    let site = Site::new(SECTIONS).unwrap();
    timed(&site);
    let before = listed(site.path());
    let mut child = replay(site.path(), &["--output", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for second in 0..100 {
        let line = format!("{{\"time\":{},\"status\":200}}\n", 1_700_000_000 + second);
        stdin.write_all(line.as_bytes()).unwrap();
    }
    stdin.flush().unwrap();
    let pid = child.id();
    eventually("it reads standard input", Duration::from_secs(20), || async {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.count();
        (threads >= 3).then_some(())
    })
    .await;
    assert_eq!(sockets(pid), [""; 0]);
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(json(&output)["complete"], false);
    assert_eq!(listed(site.path()), before);
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_misuse_is_told_as_such() {
    let site = Site::new(SECTIONS).unwrap();
    timed(&site);
    let line =
        |i: u32| format!("{{\"time\":{},\"status\":{}}}\n", 1_700_000_000 + i, 200 + i % 400);
    std::fs::write(site.logs().join("shop.log"), (0..5_000).map(line).collect::<String>()).unwrap();
    let mut child = replay(site.path(), &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut byte = [0];
    BufReader::with_capacity(1, child.stdout.take().unwrap()).read_exact(&mut byte).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for (options, code) in [
        (&["--from", "2024-01-01T00:00:00Z", "--to", "2023-01-01T00:00:00Z"][..], 2),
        (&["--source", "nope"], 2),
        (&["--nonsense"], 2),
        (&["gone.log"], 1),
        (&["--against", "gone.json"], 1),
    ] {
        let output = replay(site.path(), options).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{options:?}: {output:?}");
    }
}
