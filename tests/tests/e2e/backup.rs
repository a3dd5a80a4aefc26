//! A collector that is backed up while agents deliver, killed, wiped and restored: counts are the truth again, and incidents
//! that the backup knows nothing of are told apart.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use watchkeeper_tests::fakes::PagerDuty;
use watchkeeper_tests::harness::{LogWriter, Site, Totals, binary, eventually};

const SOON: Duration = Duration::from_secs(60);
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

fn watchkeeper(site: &Site, arguments: &[&str]) -> Output {
    Command::new(binary("watchkeeper"))
        .args(arguments)
        .env("WATCHKEEPER_URL", format!("http://127.0.0.1:{}", site.port))
        .env_remove("WATCHKEEPER_TOKEN")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it printed; it must succeed.
fn done(site: &Site, arguments: &[&str]) -> String {
    let output = watchkeeper(site, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Events that the collector has.
async fn n_events(site: &Site) -> Option<usize> {
    Some(site.api("events?limit=1000").await.ok()?["events"].as_array()?.len())
}

#[tokio::test]
async fn every_count_is_there_again_after_a_collector_was_killed_wiped_and_restored() {
    let mut site = Site::running("").await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    let data = site.path().join("collector");
    let status = |n: usize| if n.is_multiple_of(11) { 500 } else { 200 };
    for round in 0..3 {
        let mut backups = Vec::new();
        for n in 0..600 {
            log.line(status(n), 12.5).unwrap();
            // While batches are on their way, and each time at another place among them.
            if n % 200 == 50 + 40 * round {
                let to = site.path().join(format!("backup-{round}-{n}"));
                assert!(done(&site, &["backup", "--to", shown(&to)]).contains("3 files"));
                backups.push(to);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if round == 1 {
            site.wait_counted_once(&log.written, SOON).await;
        }
        site.collector.as_mut().unwrap().kill();
        for n in 0..50 {
            log.line(status(n), 12.5).unwrap();
        }
        let backup = &backups[round];
        done(&site, &["backup", "verify", shown(backup)]);
        let mut arguments = vec!["restore", "--from", shown(backup), "--to", shown(&data)];
        if round == 2 {
            let refused = watchkeeper(&site, &arguments);
            assert!(text(&refused.stderr).contains("--force"), "{}", text(&refused.stderr));
            arguments.push("--force");
        } else {
            std::fs::remove_dir_all(&data).unwrap();
        }
        assert!(done(&site, &arguments).contains("restored as of"));
        site.start_collector(&[]).await.unwrap();
    }
    site.wait_counted(&log.written, SOON).await;
    let n_written = usize::try_from(log.written["500"]).unwrap();
    let all = || async { n_events(&site).await.filter(|n| *n == n_written) };
    eventually("every event is there once", SOON, all).await;
    assert!(site.agent.as_ref().unwrap().log().contains("offering them again"));
}

#[tokio::test]
async fn a_running_collector_is_not_restored_over_and_a_backup_is_never_overwritten() {
    let mut site = Site::running("").await.unwrap();
    let (backup, data) = (site.path().join("backup"), site.path().join("collector"));
    let take = ["backup", "--to", shown(&backup)];
    let json: Value =
        serde_json::from_str(&done(&site, &[&take[..], &["--output", "json"]].concat())).unwrap();
    assert_eq!((json["directory"].as_str(), &json["last_incident"]), (backup.to_str(), &0.into()));
    let restore = ["restore", "--from", shown(&backup), "--to", shown(&data), "--force"];
    for (arguments, says) in [
        (&take[..], "is there already"),
        (&restore[..], "in use by another collector"),
        (&["backup", "verify", shown(&data)], "is no backup"),
    ] {
        let output = watchkeeper(&site, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    // Its collector killed in the middle of a restore would be no collector: the mark says so.
    site.collector.as_mut().unwrap().kill();
    std::fs::write(data.join("restoring"), b"").unwrap();
    site.start_collector(&["--log-json"]).await.unwrap();
    let collector = site.collector.as_mut().unwrap();
    assert!(!collector.wait(Duration::from_secs(20)).unwrap().success());
    assert!(collector.log().contains("run `watchkeeper restore` again"), "{}", collector.log());
    done(&site, &restore);
    site.start_collector(&[]).await.unwrap();
}

#[tokio::test]
async fn only_an_admin_makes_backups() {
    let token = |name: &str| {
        let hash = Sha256::digest(format!("{name}-secret").as_bytes());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{{name: {name}, role: {name}, hash: {hash}}}")
    };
    let tokens = ["agent", "viewer", "operator", "admin"].map(token).join(", ");
    let mut site = Site::new(&format!("  tokens: [{tokens}]\n")).unwrap();
    site.start_collector(&[]).await.unwrap();
    for (role, may) in [("agent", false), ("viewer", false), ("operator", false), ("admin", true)] {
        let to = site.path().join(format!("backup-by-{role}"));
        let secret = format!("{role}-secret");
        let output = watchkeeper(&site, &["backup", "--to", shown(&to), "--token", &secret]);
        assert_eq!((output.status.success(), to.exists()), (may, may), "{role}");
    }
}

/// A collector that pages on a burning SLO.
fn sections(pagerduty: &PagerDuty) -> String {
    format!(
        "slos:\n  - name: shop-availability\n    service: shop\n    signal: requests\n    good: 'int(status) < 500'\n\
         \x20   objective: 99\n    window: 10m\n\
         alerting:\n  global: {{pagerduty_url: '{}'}}\n\
         \x20 route: {{receiver: oncall, group_by: [service, alertname], group_wait: 0s, group_interval: 1s}}\n\
         \x20 receivers:\n    - name: oncall\n      pagerduty_configs: [{{routing_key: {ROUTING_KEY}}}]\n",
        pagerduty.receiver.url("/v2/enqueue"),
    )
}

async fn write_until(log: &mut LogWriter, status: u16, what: &str, is_so: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "after {SOON:?} not yet: {what}");
        log.line(status, 12.5).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_incident_opened_after_the_backup_is_named_and_the_next_one_is_another() {
    let pagerduty = PagerDuty::start(&[ROUTING_KEY]).await.unwrap();
    let mut site = Site::running(&sections(&pagerduty)).await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    for _ in 0..50 {
        log.line(200, 12.5).unwrap();
    }
    site.wait_counted(&Totals::from([("200".into(), 50)]), SOON).await;
    let (backup, data) = (site.path().join("backup"), site.path().join("collector"));
    done(&site, &["backup", "--to", shown(&backup)]);
    write_until(&mut log, 500, "an incident", || !pagerduty.incidents().is_empty()).await;
    let told = || async {
        let deliveries = site.api("deliveries").await.ok()?;
        (deliveries["deliveries"][0]["outcome"] == "ok").then_some(())
    };
    eventually("the ledger knows that it was told", SOON, told).await;
    site.collector.as_mut().unwrap().kill();
    let arguments = ["restore", "--from", shown(&backup), "--to", shown(&data), "--force"];
    let json = done(&site, &[&arguments[..], &["--output", "json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    let first = pagerduty.incidents().remove(0);
    let orphans = json["orphans"].as_array().unwrap();
    assert_eq!((orphans.len(), &json["orphans_known"]), (1, &Value::Bool(true)), "{json}");
    assert_eq!(orphans[0]["dedup_key"], first.dedup_key.as_str());
    assert!(json["next_incident"].as_u64() > Some(1_000_000), "{json}");
    // The problem is still there: what agents offer again says so, and somebody is paged anew.
    site.start_collector(&[]).await.unwrap();
    write_until(&mut log, 500, "a page of its own", || pagerduty.incidents().len() == 2).await;
    let [orphan, second] = &pagerduty.incidents()[..] else { panic!("two incidents") };
    assert_ne!(orphan.dedup_key, second.dedup_key);
    assert!(!orphan.is_resolved && orphan.n_more == first.n_more, "nothing was added to it");
    write_until(&mut log, 200, "its end", || pagerduty.incidents()[1].is_resolved).await;
    site.wait_counted(&log.written, SOON).await;
    assert!(!pagerduty.incidents()[0].is_resolved, "closed by hand, as the restore has said");
    assert_eq!(pagerduty.incidents().len(), 2);
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_the_old_data_the_new_ones_or_a_mark() {
    const ROUNDS: u32 = 12;
    let mut site = Site::running("").await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    let mut lines = async |site: &Site| {
        for _ in 0..50 {
            log.line(200, 12.5).unwrap();
        }
        site.wait_counted_once(&log.written, SOON).await;
        log.written.clone()
    };
    let new = lines(&site).await;
    let (backup, data) = (site.path().join("backup"), site.path().join("collector"));
    done(&site, &["backup", "--to", shown(&backup)]);
    let old = lines(&site).await;
    site.agent.as_mut().unwrap().kill();
    site.collector.as_mut().unwrap().kill();
    let saved = site.path().join("saved");
    copy_directory(&data, &saved);
    let restore = ["restore", "--from", shown(&backup), "--to", shown(&data), "--force"];
    let began = std::time::Instant::now();
    done(&site, &restore);
    let took = began.elapsed();
    for round in 0..ROUNDS {
        std::fs::remove_dir_all(&data).unwrap();
        copy_directory(&saved, &data);
        let mut killed = Command::new(binary("watchkeeper")).args(restore).spawn().unwrap();
        // At another place each time, wherever that is.
        tokio::time::sleep(took * round / ROUNDS).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
        if data.join("restoring").exists() {
            site.start_collector(&["--log-json"]).await.unwrap();
            let ended = site.collector.as_mut().unwrap().wait(Duration::from_secs(20)).unwrap();
            assert!(!ended.success(), "round {round}: half a restore was opened");
        } else {
            site.start_collector(&[]).await.unwrap();
            let counted = site.counted().await.unwrap();
            assert!(counted == old || counted == new, "round {round}: {counted:?}");
            site.collector.as_mut().unwrap().kill();
        }
        done(&site, &restore);
    }
    site.start_collector(&[]).await.unwrap();
    assert_eq!(site.counted().await.unwrap(), new);
    // Its agent still has what the backup lacks.
    site.start_agent(&[]).unwrap();
    site.wait_counted(&old, SOON).await;
}
