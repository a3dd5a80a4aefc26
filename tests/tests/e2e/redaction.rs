//! What a service logs and nobody else should read: it leaves the host in no form, and how much that was is known.

use std::path::Path;
use std::time::Duration;

use watchkeeper_tests::fakes::{Flavour, Receiver};
use watchkeeper_tests::harness::{LogWriter, Site, eventually, get_text};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What is logged, what must be seen of it nowhere, and what stands there instead.
const SECRETS: [(&str, &str, &str); 9] = [
    ("no mail to bob.secret@example.com", "bob.secret", "no mail to [email]"),
    (r"no mail to amy.secret\u0040example.com", "amy.secret", "no mail to [email]"),
    ("refused 4111 1111 1111 1111 at once", "4111 1111", "refused [card] at once"),
    ("sent Bearer s3cr3t-bearer.x", "s3cr3t-bearer", "sent Bearer [token]"),
    ("Authorization: Basic c2VjcmV0YmFzaWM=", "c2VjcmV0YmFzaWM", "Authorization: Basic [token]"),
    ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZWNyZXQifQ.c2lnbmVk", "eyJzdWIi", "jwt [token]"),
    (
        r"lost postgres:\/\/shop:s3cr3t-url@db\/shop",
        "s3cr3t-url",
        "lost postgres://shop:[password]@db/shop",
    ),
    (
        "GET /reset?token=s3cr3t-parameter&x=1",
        "s3cr3t-parameter",
        "GET /reset?token=[password]&x=1",
    ),
    ("session sid=5ec12e7 is gone", "5ec12e7", "session [session] is gone"),
];

fn sections(slack: &Receiver, webhook: &Receiver) -> String {
    format!(
        "rules:\n  - {{name: ShopErrors, service: shop, signal: requests, where: 'user != \"\"', by: [user], stat: count, over: 10m, op: '>', value: 0, labels: {{severity: critical}}}}\n\
         alerting:\n  route: {{receiver: chat, group_wait: 0s, group_interval: 1s}}\n\
         \x20 receivers:\n    - name: chat\n      slack_configs: [{{api_url: '{}'}}]\n      webhook_configs: [{{url: '{}'}}]\n",
        slack.url("/services/T0/B0/x"),
        webhook.url("/hook"),
    )
}

fn agent_file(site: &Site) -> String {
    format!(
        "agent:\n  id: web-1\n  data_dir: {}\n  admin: 127.0.0.1:{}\n\
         \x20 redact: {{labels: true, also: [{{name: session, pattern: 'sid=[0-9a-f]+'}}]}}\n\
         collector:\n  grpc: {{endpoint: 'http://127.0.0.1:{}'}}\n\
         sources:\n  - tail:\n      name: shop-log\n      service: shop\n      paths: ['{}']\n      start_at: beginning\n\
         \x20     signals:\n        - {{name: requests, labels: {{user: user}}}}\n\
         \x20     events:\n        - {{name: error, where: 'level == \"error\"', severity: error, message: msg}}\n\
         \x20       - {{name: noise, where: 'level == \"warn\"', message: msg, limit: {{events: 2, per: 1d}}}}\n",
        site.path().join("agent").display(),
        site.admin_port,
        site.port,
        site.logs().join("*.log").display(),
    )
}

/// Every byte of every file below a directory.
fn all_bytes(directory: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        bytes.extend(if entry.is_dir() {
            all_bytes(&entry)
        } else {
            std::fs::read(&entry).unwrap()
        });
    }
    bytes
}

fn has(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

#[tokio::test]
async fn secrets_in_a_log_leave_the_host_in_no_form_and_are_counted() {
    let slack = Receiver::start(Flavour::Slack).await.unwrap();
    let webhook = Receiver::start(Flavour::Webhook).await.unwrap();
    let mut site = Site::new(&sections(&slack, &webhook)).unwrap();
    std::fs::write(site.path().join("agent.yaml"), agent_file(&site)).unwrap();
    site.start_collector(&[]).await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    for (n, (said, ..)) in SECRETS.iter().enumerate() {
        let line = format!(
            r#"{{"level":"error","msg":"{said}","request_id":"r-{n}","traceparent":"00-{TRACE}-00f067aa0ba902b7-01"}}"#
        );
        log.raw(format!("{line}\n").as_bytes()).unwrap();
    }
    for _ in 0..10 {
        log.raw(b"{\"level\":\"warn\",\"msg\":\"busy\"}\n").unwrap();
    }
    let users = "{\"user\":\"bob.secret@example.com\"}\n{\"user\":\"amy.secret@example.com\"}\n";
    log.raw(users.as_bytes()).unwrap();
    site.start_agent(&[]).unwrap();

    // Nine lines with one secret each, in message and fields; two values of a label.
    let source = eventually("the agent says what it did", Duration::from_secs(30), || async {
        let agents = site.api("agents").await.ok()?;
        let source = agents["agents"][0]["sources"][0].clone();
        (source["read"] == 21 && source["state"] == "ok").then_some(source)
    })
    .await;
    assert_eq!(
        (&source["redacted"], &source["events_held_back"]),
        (&(2 * 9 + 2).into(), &8.into())
    );
    let by_user = site.counted_by("requests", "user").await.unwrap();
    assert_eq!(by_user.get("[email]"), Some(&2), "two users became one, and add up: {by_user:?}");

    let found = format!("events?correlation={TRACE}&limit=100");
    let events = eventually("all events are there", Duration::from_secs(20), || async {
        let events = site.api(&found).await.ok()?["events"].as_array()?.clone();
        (events.len() == SECRETS.len()).then_some(events)
    })
    .await;
    for (n, (_, _, shown)) in SECRETS.iter().enumerate() {
        let id = format!("r-{n}");
        let event = events.iter().find(|e| e["correlation"] == *id).unwrap();
        assert_eq!((&event["message"], &event["trace"]), (&(*shown).into(), &TRACE.into()));
        assert!(event["fields"].is_object(), "what was JSON is JSON: {event}");
    }
    let noise = site.api("events?name=noise").await.unwrap();
    assert_eq!(noise["events"].as_array().unwrap().len(), 2, "{noise}");

    let metrics =
        get_text(&format!("http://127.0.0.1:{}/metrics", site.admin_port)).await.unwrap().1;
    for line in [
        "watchkeeper_source_redactions_total{source=\"shop-log\"} 20",
        "watchkeeper_source_held_back_events_total{event=\"noise\",source=\"shop-log\"} 8",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    let limit = Duration::from_secs(20);
    let paged = slack.wait_for(|r| r.iter().any(|r| r.text().contains(TRACE)), limit).await;
    let mut told = paged.expect("the page shows the latest events").to_vec();
    told.extend(webhook.wait_for(|r| !r.is_empty(), limit).await.expect("the webhook is told"));

    let mut seen: Vec<u8> = told.iter().flat_map(|request| request.text().into_bytes()).collect();
    for path in [&*found, "events?limit=1000", "alerts", "agents", "deliveries"] {
        seen.extend(site.api(path).await.unwrap().to_string().into_bytes());
    }
    seen.extend(metrics.into_bytes());
    site.agent.as_mut().unwrap().stop(Duration::from_secs(15)).unwrap();
    site.collector.as_mut().unwrap().stop(Duration::from_secs(15)).unwrap();
    for directory in ["agent", "collector"] {
        seen.extend(all_bytes(&site.path().join(directory)));
    }
    for file in ["agent.log", "collector.log"] {
        seen.extend(std::fs::read(site.path().join(file)).unwrap());
    }
    assert!(has(&seen, "[email]") && has(&seen, TRACE), "the files were read");
    for (_, secret, _) in SECRETS {
        assert!(!has(&seen, secret), "{secret} has left the host");
    }
}
