//! An inbox that nobody empties: the receiver is told, and told again when it is over.

use std::time::Duration;

use watchkeeper_tests::fakes::{Flavour, Receiver, Request};
use watchkeeper_tests::harness::{Site, eventually};

const LIMIT: Duration = Duration::from_secs(60);

fn sections(webhook: &Receiver) -> String {
    format!(
        "rules:\n  - {{name: InboxStuck, service: vtt, signal: watch, where: 'result == \"failed\"', stat: count, over: 5s, op: '>', value: 0, labels: {{severity: critical}}}}\n\
         alerting:\n  route: {{receiver: chat, group_by: [service, alertname], group_wait: 0s, group_interval: 1s}}\n\
         \x20 receivers:\n    - name: chat\n      webhook_configs: [{{url: '{}'}}]\n",
        webhook.url("/hook"),
    )
}

/// Messages of events by name, the oldest first.
async fn events(site: &Site, name: &str) -> Vec<String> {
    let answer = site.api(&format!("events?service=vtt&name={name}")).await.unwrap_or_default();
    let all = answer["events"].as_array().cloned().unwrap_or_default();
    all.iter().rev().filter_map(|event| event["message"].as_str().map(str::to_owned)).collect()
}

async fn told(site: &Site, name: &str, part: &str) {
    let what = format!("an event {name} with {part:?}");
    eventually(&what, LIMIT, || async {
        events(site, name).await.iter().any(|message| message.contains(part)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_inbox_that_gets_stuck_is_told_to_the_receiver_and_so_is_its_end() {
    let webhook = Receiver::start(Flavour::Webhook).await.unwrap();
    let mut site = Site::new(&sections(&webhook)).unwrap();
    let inbox = site.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    std::fs::write(inbox.join("0.vtt"), "WEBVTT\n").unwrap();
    let sources = format!(
        "  - watch: {{name: inbox, service: vtt, paths: ['{}/*.vtt'], every: 1s, settle: 1s, expect: ['count <= 2']}}\n",
        inbox.display()
    );
    site.configure_sources(&sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    eventually("the inbox is looked at", LIMIT, || async {
        let counts = site.counted_by("watch", "result").await.ok()?;
        counts.contains_key("ok").then_some(())
    })
    .await;
    for n in 1..4 {
        std::fs::write(inbox.join(format!("{n}.vtt")), "WEBVTT\n").unwrap();
    }
    let is = |status: &'static str| {
        move |requests: &[Request]| {
            requests.iter().any(|r| r.json()["status"] == status && r.text().contains("InboxStuck"))
        }
    };
    webhook.wait_for(is("firing"), LIMIT).await.expect("the receiver is told");
    told(&site, "watch_failed", "inbox: count <= 2 does not hold: count is ").await;
    told(&site, "file_created", "3.vtt was created, 7 B").await;
    // Somebody empties it while the agent is down.
    site.agent.as_mut().unwrap().kill();
    for n in 1..4 {
        std::fs::remove_file(inbox.join(format!("{n}.vtt"))).unwrap();
    }
    site.start_agent(&[]).unwrap();
    told(&site, "file_deleted", "2.vtt was deleted while nobody looked").await;
    told(&site, "watch_ok", "inbox: as expected again").await;
    webhook.wait_for(is("resolved"), LIMIT).await.expect("the receiver is told of the end");
    let gone = events(&site, "file_deleted").await;
    assert_eq!(gone.len(), 3, "{gone:?}");
    let counts = site.stat_by("watch_changes", "sum", "change").await.unwrap();
    assert_eq!(counts.get("deleted"), Some(&3.0), "{counts:?}");
    assert_eq!(events(&site, "watch_failed").await.len(), 1);
}
