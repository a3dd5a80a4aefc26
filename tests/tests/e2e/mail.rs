//! E-mail through the real collector: to a mail server of others' making, and to one that says nothing.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpListener;
use watchkeeper_tests::fakes::{Flavour, Receiver, Request};
use watchkeeper_tests::harness::{
    AgentOptions, LogWriter, Process, Site, eventually, find_program, free_port,
};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fakes/mail_server.py");

/// Incidents that are told in a row to see how fast.
const N_PAGES: usize = 15;

/// A rule that one bad line meets, by method, and how it is told.
fn sections(over: &str, receiver: &str) -> String {
    format!(
        "rules:\n  - {{name: ShopErrors, service: shop, signal: requests, where: 'int(status) >= 500', stat: count, over: {over}, op: '>', value: 0, \
         by: [method], labels: {{severity: critical}}, annotations: {{summary: 'the shop fails: <b>now</b>', runbook_url: 'https://runbooks.example/shop'}}}}\n\
         alerting:\n  global: {{smtp_from: 'Watchkeeper <alerts@example.com>'}}\n\
         \x20 route: {{receiver: chat, group_by: [service, alertname, method], group_wait: 0s, group_interval: 1s}}\n\
         \x20 receivers:\n    - name: chat\n{receiver}"
    )
}

/// aiosmtpd with a certificate of its own; `None`, said aloud, where it is missing.
fn mail_server(site: &Site) -> Option<(Process, u16)> {
    find_program("aiosmtpd")?;
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", "/CN=mail.test", "-addext", "subjectAltName=DNS:mail.test"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "mail.key", "-out", "mail.pem"])
        .current_dir(site.path())
        .output();
    assert!(made.is_ok_and(|o| o.status.success()), "openssl is needed to make a certificate");
    let port = free_port();
    // Debian's own Python is the one that has Debian's aiosmtpd.
    let mut command = Command::new("/usr/bin/python3");
    command.arg(SERVER).arg(port.to_string()).args(["mail.pem", "mail.key", "alice", "hunter2"]);
    command.arg("mails.jsonl").current_dir(site.path());
    let process = Process::start_command(&mut command, &site.path().join("mail.log")).unwrap();
    Some((process, port))
}

fn mails(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path().join("mails.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn wait_mails(site: &Site, n: usize) -> Vec<Value> {
    let what = format!("{n} mails have come");
    eventually(&what, Duration::from_secs(60), || async {
        let mails = mails(site);
        (mails.len() >= n).then_some(mails)
    })
    .await
}

#[tokio::test]
async fn a_page_opens_and_closes_as_two_mails_of_one_thread() {
    let mut site = Site::new("").unwrap();
    let Some((_server, port)) = mail_server(&site) else { return };
    let receiver = format!(
        "      email_configs:\n        - to: [ops@example.com, 'Gone <gone@example.com>']\n          smarthost: 127.0.0.1:{port}\n\
         \x20         auth_username: alice\n          auth_password: hunter2\n\
         \x20         tls_config: {{ca_file: mail.pem, server_name: mail.test}}\n"
    );
    let file = site.path().join("collector.yaml");
    let head = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, head + &sections("8s", &receiver)).unwrap();
    site.configure_agent(&AgentOptions::default()).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    log.line(500, 900.0).unwrap();
    wait_mails(&site, 1).await;
    let settled = || async {
        let answer = site.api("deliveries?limit=10").await.ok()?;
        (answer["deliveries"][0]["outcome"] == "ok").then_some(())
    };
    eventually("the ledger knows of the mail", Duration::from_secs(10), settled).await;
    // What makes the thread outlives the process.
    site.collector.as_mut().unwrap().kill();
    site.start_collector(&[]).await.unwrap();
    let told = wait_mails(&site, 2).await;
    let (open, close) = (&told[0], &told[1]);
    assert_eq!(open["headers"]["subject"], "[FIRING] ShopErrors (shop, method=GET)");
    assert_eq!(close["headers"]["subject"], "[RESOLVED] ShopErrors (shop, method=GET)");
    let root = &open["headers"]["message-id"];
    assert!(root.as_str().is_some_and(|id| id.ends_with("@example.com>")), "{root}");
    assert_eq!((&close["headers"]["in-reply-to"], &close["headers"]["references"]), (root, root));
    assert_eq!(open["headers"]["references"], Value::Null);
    for mail in &told {
        assert_eq!(
            (&mail["tls"], &mail["authenticated"]),
            (&Value::Bool(true), &Value::Bool(true))
        );
        assert_eq!(mail["to"], serde_json::json!(["ops@example.com"]), "the other one is gone");
        assert_eq!(mail["defects"], serde_json::json!([]));
        let parts = mail["parts"].as_array().unwrap();
        assert_eq!(
            (&parts[0]["type"], &parts[1]["type"]),
            (&"text/plain".into(), &"text/html".into())
        );
        let text = parts[0]["text"].as_str().unwrap();
        assert!(text.contains("refused this mail for gone@example.com"), "{text}");
        assert!(text.contains("the shop fails: <b>now</b>"), "{text}");
        let html = parts[1]["text"].as_str().unwrap();
        assert!(html.contains("the shop fails: &lt;b&gt;now&lt;/b&gt;"), "{html}");
    }
    let collector_log = site.collector.as_ref().unwrap().log();
    assert!(collector_log.contains("550 5.1.1 no such user"), "who was refused is told");
    assert!(!collector_log.contains("hunter2"), "the password is in the log");
}

/// How long it takes from a bad line to the webhook, for one incident after the other: the median.
async fn time_to_webhook(site: &Site, webhook: &Receiver) -> Duration {
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    let mut took = Vec::new();
    for n in 0..N_PAGES {
        let line = format!(
            "{{\"level\":\"error\",\"method\":\"M{n}\",\"path\":\"/\",\"status\":500,\"duration_ms\":1,\"msg\":\"bad\"}}\n"
        );
        let started = Instant::now();
        log.raw(line.as_bytes()).unwrap();
        let name = format!("M{n}");
        let is_told = |requests: &[Request]| requests.iter().any(|r| r.text().contains(&name));
        webhook.wait_for(is_told, Duration::from_secs(20)).await.expect("the webhook is told");
        took.push(started.elapsed());
    }
    took.sort_unstable();
    took[N_PAGES / 2]
}

#[tokio::test]
async fn a_mail_server_that_says_nothing_does_not_delay_the_webhook_beside_it() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    let mut medians = Vec::new();
    for is_beside in [false, true] {
        let webhook = Receiver::start(Flavour::Webhook).await.unwrap();
        let mut receiver =
            format!("      webhook_configs: [{{url: '{}'}}]\n", webhook.url("/hook"));
        if is_beside {
            receiver +=
                &format!("      email_configs: [{{to: ops@example.com, smarthost: '{at}'}}]\n");
        }
        let mut site = Site::new(&sections("10m", &receiver)).unwrap();
        // So that what is measured is not how long the agent gathers.
        let extra = "  flush: 10ms\n".to_owned();
        site.configure_agent(&AgentOptions { extra, ..AgentOptions::default() }).unwrap();
        site.start_collector(&[]).await.unwrap();
        site.start_agent(&[]).unwrap();
        medians.push(time_to_webhook(&site, &webhook).await);
        let collector = site.collector.as_mut().unwrap();
        // It drains within its limit, whoever does not answer.
        collector.signal(Signal::TERM);
        collector.wait(Duration::from_secs(20)).unwrap();
    }
    let (alone, beside) = (medians[0], medians[1]);
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!(
        "median of {N_PAGES} pages: alone {alone:?}, beside a silent mail server {beside:?}: {ratio:.2}"
    );
    assert!(beside < alone * 3 + Duration::from_millis(250), "{alone:?} became {beside:?}");
    // The kernel took its connections: it was spoken to.
    tokio::time::timeout(Duration::from_secs(5), silent.accept()).await.unwrap().unwrap();
}
