//! From the death of a process to the request at the receiver, and back; and who took most of the processors.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use watchkeeper_tests::fakes::PagerDuty;
use watchkeeper_tests::harness::{Site, binary, eventually};

const KEY: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// From the kill to the first byte at the receiver. It is some 100 ms on an idle machine.
const SOON: Duration = Duration::from_secs(2);

const LIMIT: Duration = Duration::from_secs(30);

/// A daemon that writes its pidfile, and whose parent does not ask how it ended before the test does.
struct Daemon {
    child: Child,
}

impl Daemon {
    fn start(pidfile: &Path) -> Self {
        let child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
        let new = pidfile.with_extension("new");
        std::fs::write(&new, format!("{}\n", child.id())).unwrap();
        std::fs::rename(new, pidfile).unwrap();
        Self { child }
    }

    fn kill_9(&mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn site(pager: &PagerDuty, sources: &str) -> Site {
    let mut site = Site::new(&format!(
        "rules:\n  - {{name: Down, service: vtt, signal: process_up, stat: last, over: 1m, op: '<', value: 1, by: [process], labels: {{severity: critical}}}}\n\
         alerting:\n  route: {{receiver: oncall, group_by: [alertname], group_wait: 0s, group_interval: 1s}}\n\
         \x20 receivers:\n    - name: oncall\n      pagerduty_configs: [{{routing_key: {KEY}, url: '{}'}}]\n",
        pager.receiver.url("/v2/enqueue")
    ))
    .unwrap();
    site.configure_sources(sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    site
}

async fn events(site: &Site, name: &str) -> Vec<Value> {
    let answer = site.api(&format!("events?service=vtt&name={name}")).await.unwrap_or_default();
    answer["events"].as_array().cloned().unwrap_or_default()
}

/// Waits until it is known that it runs, or does not.
async fn wait_up(site: &Site, wanted: f64) {
    eventually(&format!("process_up is {wanted}"), LIMIT, || async {
        let up = site.stat_by("process_up", "last", "process").await.ok()?;
        (up.get("watcher") == Some(&wanted)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_process_pages_within_two_seconds_and_the_page_closes_when_it_runs_again() {
    let pager = PagerDuty::start(&[KEY]).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let pidfile = scratch.path().join("watcher.pid");
    let mut daemon = Daemon::start(&pidfile);
    // Ends are heard of, not looked for: it would be looked in an hour.
    let source = format!(
        "  - process: {{name: watcher, service: vtt, every: 1h, pidfile: {}}}\n",
        pidfile.display()
    );
    let site = site(&pager, &source).await;
    wait_up(&site, 1.0).await;

    let killed = Instant::now();
    daemon.kill_9();
    let requests = pager.receiver.wait_for(|r| !r.is_empty(), LIMIT).await.unwrap();
    let took = requests[0].at.into_std().duration_since(killed);
    println!("from kill -9 to the request at the receiver: {} ms", took.as_millis());
    assert!(took < SOON, "{took:?}");
    assert!(requests[0].text().contains("Down"), "{}", requests[0].text());

    let died = eventually("the death is an event", LIMIT, || async {
        events(&site, "died").await.first().cloned()
    })
    .await;
    assert_eq!(died["severity"], "error");
    let message = died["message"].as_str().unwrap();
    assert!(message.contains("was killed by SIGKILL"), "{message}");

    drop(daemon);
    let _again = Daemon::start(&pidfile);
    wait_up(&site, 1.0).await;
    eventually("the incident is closed", LIMIT, || async {
        let all = pager.incidents();
        (all.len() == 1 && all[0].is_resolved).then_some(())
    })
    .await;
    eventually("that it was started again is an event", LIMIT, || async {
        (events(&site, "restarted").await.len() == 1).then_some(())
    })
    .await;
    assert_eq!(events(&site, "died").await.len(), 1);
}

#[tokio::test]
async fn what_died_while_the_agent_was_away_is_told_when_it_is_back() {
    let pager = PagerDuty::start(&[KEY]).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let pidfile = scratch.path().join("watcher.pid");
    let mut daemon = Daemon::start(&pidfile);
    let source = format!(
        "  - process: {{name: watcher, service: vtt, every: 1s, pidfile: {}}}\n",
        pidfile.display()
    );
    let mut site = site(&pager, &source).await;
    wait_up(&site, 1.0).await;
    site.agent.as_mut().unwrap().kill();
    daemon.kill_9();
    drop(daemon);
    site.start_agent(&[]).unwrap();
    eventually("the death is told", LIMIT, || async {
        (events(&site, "died").await.len() == 1).then_some(())
    })
    .await;
    wait_up(&site, 0.0).await;
}

#[tokio::test]
async fn the_service_that_took_most_of_the_processors_is_one_question() {
    let pager = PagerDuty::start(&[KEY]).await.unwrap();
    let word = format!("busy-{}", std::process::id());
    let busy = |rest: &str| {
        let mut shell = Command::new("sh");
        Daemon { child: shell.args(["-c", rest, &word]).spawn().unwrap() }
    };
    let (_busy, _idle) = (busy("while :; do :; done"), busy("while sleep 1; do :; done"));
    let source = |service: &str, rest: &str| {
        format!(
            "  - process: {{name: {service}, service: {service}, every: 1s, match: '^sh -c {rest}.* {word}$'}}\n"
        )
    };
    let sources = source("spinner", "while :") + &source("sleeper", "while sleep");
    let site = site(&pager, &sources).await;
    eventually("both are measured", LIMIT, || async {
        let cpu = site.stat_by("process_cpu", "avg", "service").await.ok()?;
        (cpu.len() == 2 && cpu["spinner"] > cpu["sleeper"]).then_some(())
    })
    .await;
    let url = format!("http://127.0.0.1:{}", site.port);
    let program: PathBuf = binary("watchkeeper");
    let asked = Command::new(program)
        .args(["query", "process_cpu", "--stat", "avg", "--by", "service", "--url", &url])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&asked.stdout).into_owned();
    println!("{shown}");
    let (spinner, sleeper) = (shown.find("spinner"), shown.find("sleeper"));
    assert!(asked.status.success() && spinner.is_some() && sleeper.is_some(), "{shown}");
}
