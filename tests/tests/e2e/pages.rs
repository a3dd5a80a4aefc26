//! From the first bad line to the request at the receiver, and back to closed.

use std::time::Duration;

use watchkeeper_tests::fakes::{Flavour, Receiver};
use watchkeeper_tests::harness::{AgentOptions, LogWriter, Road, Site, Totals, eventually};

/// A collector's sections: a rule that one bad line meets, and an SLO over ten minutes; two receivers.
fn sections(slack: &Receiver, webhook: &Receiver) -> String {
    format!(
        "slos:\n  - name: shop-availability\n    service: shop\n    signal: requests\n    good: 'int(status) < 500'\n\
         \x20   objective: 99\n    window: 10m\n    annotations: {{summary: the shop is failing, runbook_url: 'https://runbooks.example/shop'}}\n\
         rules:\n  - {{name: ShopErrors, service: shop, signal: requests, where: 'int(status) >= 500', stat: count, over: 5s, op: '>', value: 0, labels: {{severity: critical}}}}\n\
         alerting:\n  route: {{receiver: chat, group_by: [service, alertname], group_wait: 0s, group_interval: 1s}}\n\
         \x20 receivers:\n    - name: chat\n      slack_configs: [{{api_url: '{}'}}]\n      webhook_configs: [{{url: '{}'}}]\n",
        slack.url("/services/T0/B0/secret"),
        webhook.url("/hook"),
    )
}

#[tokio::test]
async fn a_bad_line_becomes_a_page_and_the_incident_is_closed_when_it_ends() {
    page_and_close(Road::Grpc).await;
}

#[tokio::test]
async fn a_bad_line_becomes_a_page_and_the_incident_is_closed_when_it_ends_by_rabbitmq() {
    page_and_close(Road::Amqp).await;
}

async fn page_and_close(road: Road) {
    let slack = Receiver::start(Flavour::Slack).await.unwrap();
    let webhook = Receiver::start(Flavour::Webhook).await.unwrap();
    let sections = sections(&slack, &webhook);
    let Some(site) = Site::running_on(road, &sections).await.unwrap() else { return };
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    for _ in 0..50 {
        log.line(200, 12.5).unwrap();
    }
    site.wait_counted(&Totals::from([("200".into(), 50)]), Duration::from_secs(20)).await;
    for _ in 0..20 {
        log.line(500, 900.0).unwrap();
    }
    let opened = |name: &'static str| {
        move |requests: &[watchkeeper_tests::fakes::Request]| {
            requests.iter().any(|r| r.json()["status"] == "firing" && r.text().contains(name))
        }
    };
    for alert in ["ShopErrors", "shop-availability"] {
        let limit = Duration::from_secs(10);
        webhook
            .wait_for(opened(alert), limit)
            .await
            .unwrap_or_else(|_| panic!("{alert} reached no webhook"));
    }
    let told = slack.wait_for(|r| r.len() >= 2, Duration::from_secs(10)).await.unwrap();
    let page =
        told.iter().find(|r| r.text().contains("shop-availability")).expect("the SLO is told");
    for part in ["runbooks.example/shop", "shop.log-", "web-1"] {
        assert!(page.text().contains(part), "{part} is missing in {}", page.text());
    }
    // It ends by itself when there are good lines again.
    let closed = eventually("both incidents are closed", Duration::from_secs(60), || async {
        let requests = webhook.requests();
        let closed = |name: &str| {
            requests.iter().any(|r| r.json()["status"] == "resolved" && r.text().contains(name))
        };
        (closed("ShopErrors") && closed("shop-availability")).then_some(())
    });
    let feed = async {
        loop {
            log.line(200, 12.5).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = closed => {}
        () = feed => unreachable!("feeding has no end"),
    }
    // The receiver answers before the ledger has it: its rows follow.
    eventually(
        "four incidents are opened once and closed once",
        Duration::from_secs(10),
        || async {
            let answer = site.api("deliveries?limit=1000").await.ok()?;
            let deliveries = answer["deliveries"].as_array()?;
            let count = |action: &str| {
                deliveries.iter().filter(|d| d["action"] == action && d["outcome"] == "ok").count()
            };
            assert!(count("open") <= 4 && count("close") <= 4, "told twice: {deliveries:?}");
            (count("open") == 4 && count("close") == 4).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn a_restart_in_the_middle_repeats_no_page_and_forgets_no_close() {
    let slack = Receiver::start(Flavour::Slack).await.unwrap();
    let webhook = Receiver::start(Flavour::Webhook).await.unwrap();
    let mut site = Site::running(&sections(&slack, &webhook)).await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    log.line(500, 1.0).unwrap();
    let rule = |requests: &[watchkeeper_tests::fakes::Request], status: &str| {
        requests
            .iter()
            .filter(|r| r.json()["status"] == status && r.text().contains("ShopErrors"))
            .count()
    };
    webhook.wait_for(|r| rule(r, "firing") == 1, Duration::from_secs(20)).await.unwrap();
    let settled = || async {
        let open = site.api("deliveries?limit=100").await.ok()?;
        let ok = open["deliveries"].as_array()?.iter().filter(|d| d["outcome"] == "ok").count();
        (ok >= 2).then_some(())
    };
    eventually("both integrations have answered", Duration::from_secs(10), settled).await;
    site.collector.as_mut().unwrap().kill();
    site.start_collector(&[]).await.unwrap();
    // Five seconds after the bad line nothing is bad any more; the close is owed by the restarted collector.
    let requests =
        webhook.wait_for(|r| rule(r, "resolved") == 1, Duration::from_secs(60)).await.unwrap();
    assert_eq!(rule(&requests, "firing"), 1, "the page was sent again");
}

#[tokio::test]
async fn a_reload_takes_over_new_settings_keeps_incidents_and_ignores_a_bad_file() {
    let slack = Receiver::start(Flavour::Slack).await.unwrap();
    let webhook = Receiver::start(Flavour::Webhook).await.unwrap();
    // An alert that stays for the length of the test.
    let sections = sections(&slack, &webhook).replace("over: 5s", "over: 10m");
    let site = Site::running(&sections).await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    log.line(200, 1.0).unwrap();
    log.line(500, 900.0).unwrap();
    webhook.wait_for(|r| r.len() == 1, Duration::from_secs(20)).await.unwrap();
    slack.wait_for(|r| r.len() == 1, Duration::from_secs(20)).await.unwrap();
    let file = site.path().join("collector.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    let hang_up = rustix::process::Signal::HUP;

    std::fs::write(&file, good.replace("objective: 99", "objective: 199")).unwrap();
    site.collector.as_ref().unwrap().signal(hang_up);
    let refused =
        || async { site.collector.as_ref()?.log().contains("no objective").then_some(()) };
    eventually("the bad file is refused", Duration::from_secs(10), refused).await;

    let latency = "slos:\n  - {name: shop-latency, service: shop, signal: requests, below: 200ms, objective: 95, window: 1h}\n";
    std::fs::write(&file, good.replace("slos:\n", latency)).unwrap();
    site.collector.as_ref().unwrap().signal(hang_up);
    let slo = eventually("the new SLO is there", Duration::from_secs(10), || async {
        site.api("slos/shop-latency").await.ok()
    })
    .await;
    let slo = &slo["slos"][0];
    assert_eq!(
        (slo["total"].as_u64(), slo["good"].as_u64()),
        (Some(2), Some(1)),
        "it knows what came before: {slo}"
    );
    log.line(200, 1.0).unwrap();
    eventually("it counts on", Duration::from_secs(10), || async {
        let slo = site.api("slos/shop-latency").await.ok()?;
        (slo["slos"][0]["total"] == 3).then_some(())
    })
    .await;
    assert_eq!(
        (webhook.requests().len(), slack.requests().len()),
        (1, 1),
        "a reload repeats nothing"
    );

    // Without the rule there is no problem any more: its incident is closed at once.
    let without = good
        .lines()
        .filter(|l| !l.contains("ShopErrors") && *l != "rules:")
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(&file, without).unwrap();
    site.collector.as_ref().unwrap().signal(hang_up);
    let closed = |requests: &[watchkeeper_tests::fakes::Request]| {
        requests.iter().any(|r| r.json()["status"] == "resolved")
    };
    webhook.wait_for(closed, Duration::from_secs(20)).await.expect("the incident is closed");
}

#[tokio::test]
async fn a_collector_that_dies_around_its_ledger_tells_each_receiver_once() {
    for point in [
        "collector.before_ledger_commit",
        "collector.after_ledger_commit",
        "collector.before_deliver",
    ] {
        let slack = Receiver::start(Flavour::Slack).await.unwrap();
        let webhook = Receiver::start(Flavour::Webhook).await.unwrap();
        let mut site =
            Site::new(&sections(&slack, &webhook).replace("over: 5s", "over: 10m")).unwrap();
        site.configure_agent(&AgentOptions::default()).unwrap();
        // The rows of its start are the first it writes; the page's rows come after.
        site.start_collector(&[]).await.unwrap();
        site.start_agent(&[]).unwrap();
        let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
        log.line(200, 1.0).unwrap();
        site.wait_counted(&log.written, Duration::from_secs(20)).await;
        site.collector.as_mut().unwrap().kill();
        log.line(500, 1.0).unwrap();
        let mut deaths = 0;
        for passage in ["", ":2"] {
            site.start_collector(&["--crash-at", &format!("{point}{passage}")]).await.unwrap();
            let collector = site.collector.as_mut().unwrap();
            deaths += u32::from(collector.wait(Duration::from_secs(5)).is_ok_and(|s| !s.success()));
        }
        assert!(deaths > 0, "the collector passed {point} alive");
        site.start_collector(&[]).await.unwrap();
        let limit = Duration::from_secs(60);
        webhook
            .wait_for(|r| !r.is_empty(), limit)
            .await
            .unwrap_or_else(|_| panic!("{point}: no page"));
        slack
            .wait_for(|r| !r.is_empty(), limit)
            .await
            .unwrap_or_else(|_| panic!("{point}: no message"));
        let settled = || async {
            let answer = site.api("deliveries?limit=100").await.ok()?;
            let ok =
                answer["deliveries"].as_array()?.iter().filter(|d| d["outcome"] == "ok").count();
            (ok == 2).then_some(())
        };
        eventually("both deliveries are in the ledger", Duration::from_secs(20), settled).await;
        let keys: std::collections::BTreeSet<String> = webhook
            .requests()
            .iter()
            .map(|r| r.header("x-watchkeeper-incident-key").to_owned())
            .collect();
        assert_eq!(keys.len(), 1, "{point}: one problem, one incident");
    }
}
