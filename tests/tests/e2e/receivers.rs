//! Several receivers at once: none delays another, a flood is told together, and each can be tried out.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use watchkeeper_tests::fakes::{Answer, Flavour, PagerDuty, Receiver, Request};
use watchkeeper_tests::harness::{LogWriter, Site, Totals, binary, eventually};

const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
const LIMIT: Duration = Duration::from_secs(30);

/// Incidents in each run.
const INCIDENTS: std::ops::Range<u16> = 501..510;

/// A rule that gives an incident of its own to each status of an error.
const RULES: &str = "rules:\n  - {name: Errors, service: shop, signal: requests, where: 'int(status) >= 500', stat: count, \
                     over: 10m, op: '>', value: 0, by: [status], labels: {severity: ticket}}\n";

/// A collector's sections for webhooks.
type Sections = fn(&[&Receiver]) -> String;

async fn hook() -> Receiver {
    Receiver::start(Flavour::Webhook).await.unwrap()
}

/// A site whose agent has delivered a first line.
async fn site(sections: &str) -> (Site, LogWriter) {
    let site = Site::running(sections).await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&Totals::from([("200".into(), 1)]), LIMIT).await;
    (site, log)
}

fn is_about(request: &Request, status: u16) -> bool {
    request.json()["groupLabels"]["status"].as_str() == Some(&status.to_string())
}

/// How long each incident takes from its line to the receiver, in order of length.
async fn latencies(good: &Receiver, log: &mut LogWriter) -> Vec<Duration> {
    let mut found = Vec::new();
    for status in INCIDENTS {
        let written = Instant::now();
        log.line(status, 1.0).unwrap();
        let told = |requests: &[Request]| requests.iter().any(|r| is_about(r, status));
        let requests = good.wait_for(told, LIMIT).await.expect("the good receiver is told");
        let request = requests.iter().find(|r| is_about(r, status)).unwrap();
        found.push(request.at - written);
    }
    found.sort_unstable();
    found
}

fn one_receiver(hooks: &[&Receiver]) -> String {
    let hooks: Vec<String> =
        hooks.iter().map(|hook| format!("{{url: '{}', timeout: 2s}}", hook.url("/hook"))).collect();
    format!(
        "{RULES}alerting:\n  route: {{receiver: all, group_by: [alertname, status], group_wait: 0s, group_interval: 1s}}\n\
         \x20 receivers:\n    - {{name: all, webhook_configs: [{}]}}\n",
        hooks.join(", ")
    )
}

fn a_route_each(hooks: &[&Receiver]) -> String {
    let names = || (0..hooks.len()).map(|i| format!("r{i}"));
    let routes: Vec<String> =
        names().map(|name| format!("{{receiver: {name}, continue: true}}")).collect();
    let receivers: Vec<String> = names()
        .zip(hooks)
        .map(|(name, hook)| {
            let url = hook.url("/hook");
            format!("{{name: {name}, webhook_configs: [{{url: '{url}', timeout: 2s}}]}}")
        })
        .collect();
    format!(
        "{RULES}alerting:\n  route: {{receiver: r0, group_by: [alertname, status], group_wait: 0s, group_interval: 1s, routes: [{}]}}\n\
         \x20 receivers: [{}]\n",
        routes.join(", "),
        receivers.join(", ")
    )
}

#[tokio::test]
async fn a_receiver_that_works_is_told_as_fast_beside_three_that_do_not() {
    let alone = {
        let good = hook().await;
        let (_site, mut log) = site(&one_receiver(&[&good])).await;
        latencies(&good, &mut log).await
    };
    let layouts: [(&str, Sections); 2] =
        [("one receiver", one_receiver), ("a route each", a_route_each)];
    for (name, sections) in layouts {
        let (good, hanging, failing, limited) =
            (hook().await, hook().await, hook().await, hook().await);
        hanging.always(Answer::Hang);
        failing.always(Answer::Status(500, "broken".into()));
        limited.script([Answer::RetryAfter(429, "2".into())]);
        let (_site, mut log) = site(&sections(&[&good, &hanging, &failing, &limited])).await;
        let beside = latencies(&good, &mut log).await;
        let middle = alone.len() / 2;
        let (alone, beside) = (alone[middle], beside[middle]);
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        let again = |requests: &[Request]| {
            let first = requests.first().map(|r| r.header("idempotency-key").to_owned());
            requests
                .iter()
                .filter(|r| Some(r.header("idempotency-key")) == first.as_deref())
                .count()
                > 1
        };
        let requests = limited.wait_for(again, LIMIT).await.expect("the limited one is told");
        let key = requests[0].header("idempotency-key").to_owned();
        let second = requests.iter().skip(1).find(|r| r.header("idempotency-key") == key).unwrap();
        let limited_after = second.at - requests[0].at;
        println!(
            "{name}: median {beside:?} beside three that fail, {alone:?} alone, ratio {ratio:.2}; \
             the limited one after {limited_after:?}"
        );
        // Loaded machines: 100 ms more are nothing that a receiver that hangs for 2 s would cause.
        assert!(beside < alone.mul_f64(1.2) + Duration::from_millis(100), "{name}: {ratio:.2}");
        let within = Duration::from_millis(1_950)..Duration::from_millis(3_500);
        assert!(within.contains(&limited_after), "{name}: {limited_after:?}");
        assert!(!hanging.requests().is_empty() && !failing.requests().is_empty());
    }
}

#[tokio::test]
async fn a_flood_reaches_slack_within_seconds_pages_first_and_each_is_in_the_ledger() {
    let slack = Receiver::start(Flavour::Slack).await.unwrap();
    let page = "  - {name: Page, service: shop, signal: requests, where: 'status == \"500\"', stat: count, over: 10m, op: '>', \
                value: 0, by: [status], labels: {severity: page}}\n";
    let sections = format!(
        "{RULES}{page}alerting:\n  route: {{receiver: chat, group_by: [alertname, status], group_wait: 2s, group_interval: 1s}}\n\
         \x20 receivers:\n    - {{name: chat, slack_configs: [{{api_url: '{}'}}]}}\n",
        slack.url("/services/T0/B0/x")
    );
    let (site, mut log) = site(&sections).await;
    let written = Instant::now();
    for status in 500..600 {
        log.line(status, 1.0).unwrap();
    }
    let all = eventually("all of it is told", LIMIT, || async {
        let answer = site.api("deliveries?limit=1000").await.ok()?;
        let rows = answer["deliveries"].as_array()?.clone();
        let about_lines = |d: &&Value| d["alerts"][0] == "Errors" || d["alerts"][0] == "Page";
        let rows: Vec<Value> = rows.iter().filter(about_lines).cloned().collect();
        (rows.len() >= 101 && rows.iter().all(|d| d["outcome"] == "ok")).then_some(rows)
    })
    .await;
    let (took, requests) = (written.elapsed(), slack.requests());
    let is_digest = |d: &&Value| d["reason"].as_str().is_some_and(|r| r.contains("in a digest of"));
    let n_together = all.iter().filter(is_digest).count();
    println!("{} incidents in {} messages after {took:?}", all.len(), requests.len());
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(requests.len() < 30, "{} messages", requests.len());
    assert_eq!(all.len(), 101, "each once");
    assert!(n_together > 80, "{n_together} were told together");
    // Slack takes a burst of five at first; those under way together arrive in any order.
    let is_page = |request: &Request| request.text().contains("PAGE");
    let place = requests.iter().position(is_page);
    assert!(place.is_some_and(|place| place < 5), "the page is among the first: {place:?}");
    let pages = all.iter().filter(|d| d["alerts"][0] == "Page");
    assert!(pages.into_iter().all(|d| !is_digest(&d)), "a page was told among others");
}

async fn send_test(site: &Site, more: &[&str]) -> (Output, Value) {
    let mut command = Command::new(binary("watchkeeper"));
    command.args(["send-test", "--output", "json"]).args(more);
    command.env("WATCHKEEPER_URL", format!("http://127.0.0.1:{}", site.port));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, json)
}

#[tokio::test]
async fn a_test_tells_what_works_what_does_not_and_leaves_nothing_open() {
    let (pagerduty, good, hanging) =
        (PagerDuty::start(&[ROUTING_KEY]).await.unwrap(), hook().await, hook().await);
    hanging.always(Answer::Hang);
    let sections = format!(
        "alerting:\n  global: {{pagerduty_url: '{}'}}\n  route: {{receiver: good}}\n  receivers:\n\
         \x20   - {{name: good, webhook_configs: [{{url: '{}'}}], pagerduty_configs: [{{routing_key: {ROUTING_KEY}}}]}}\n\
         \x20   - {{name: bad, webhook_configs: [{{url: '{}', timeout: 1s}}, {{url: '{}'}}]}}\n",
        pagerduty.receiver.url("/v2/enqueue"),
        good.url("/hook"),
        hanging.url("/secret"),
        good.url("/hook"),
    );
    let mut site = Site::new(&sections).unwrap();
    site.start_collector(&[]).await.unwrap();
    let file = site.path().join("collector.yaml").display().to_string();
    for more in [&["good"][..], &["good", "--config", &file]] {
        let before = pagerduty.incidents().len();
        let (output, json) = send_test(&site, more).await;
        assert!(output.status.success(), "{more:?}: {output:?}");
        assert_eq!(
            (&json["ok"], json["integrations"].as_array().unwrap().len()),
            (&true.into(), 2)
        );
        let incidents = pagerduty.incidents();
        assert_eq!(incidents.len(), before + 1);
        let says = incidents[before].says["payload"]["summary"].to_string();
        assert!(incidents[before].is_resolved && says.contains("Test"), "{says}");
    }
    let (output, json) = send_test(&site, &["bad", "--severity", "page"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let hung = &json["integrations"][0]["steps"][0];
    assert!(hung["error"].as_str().unwrap().contains("no answer within 1s"), "{json}");
    assert_eq!(json["integrations"][1]["ok"], true, "{json}");
    assert!(!json.to_string().contains("secret"), "{json}");
    let (output, _) = send_test(&site, &["bad", "--integration", "webhook[1]"]).await;
    assert!(output.status.success(), "{output:?}");
    let (output, _) = send_test(&site, &["nobody"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("there is no receiver"), "{said}");

    eventually("the tests are in the ledger", LIMIT, || async {
        let answer = site.api("deliveries?receiver=bad").await.ok()?;
        let rows = answer["deliveries"].as_array()?.clone();
        assert!(rows.iter().all(|d| d["reason"] == "test" && d["incident"] == 0), "{rows:?}");
        (rows.len() == 6).then_some(())
    })
    .await;
    let receivers = site.api("receivers").await.unwrap();
    let last = &receivers["receivers"][0]["integrations"][0]["last"];
    assert_eq!(
        (&receivers["receivers"][0]["name"], &last["outcome"]),
        (&"bad".into(), &"failed".into())
    );
    let alerts = site.api("alerts").await.unwrap();
    assert!(!alerts.to_string().contains("WatchkeeperTest"), "{alerts}");
}
