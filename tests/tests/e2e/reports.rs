//! Reports of the real programs: what they count is what queries count, through corrections and kills.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use watchkeeper_tests::fakes::{Flavour, Receiver};
use watchkeeper_tests::harness::{LogWriter, Site, Totals, binary, eventually};

const SOON: Duration = Duration::from_secs(30);

fn sections(webhook: &Receiver) -> String {
    let usual = "service: shop, signal: requests, good: 'int(status) < 500'";
    format!(
        "slos:\n  - {{name: shop-availability, {usual}, objective: 99.9, window: 30d}}\n\
         \x20 - {{name: sliced, {usual}, objective: 90, window: 2d, method: timeslices, slice: 10s, slice_objective: 50}}\n\
         \x20 - {{name: both, service: all, objective: 95, window: 1d, composite: [{{slo: shop-availability}}, {{slo: sliced}}]}}\n\
         alerting:\n  route: {{receiver: oncall, group_by: [service, alertname], group_wait: 0s}}\n\
         \x20 receivers:\n    - name: oncall\n      webhook_configs: [{{url: '{}'}}]\n",
        webhook.url("/hook"),
    )
}

fn watchkeeper(site: &Site, arguments: &[&str]) -> Output {
    Command::new(binary("watchkeeper"))
        .args(arguments)
        .env("WATCHKEEPER_URL", format!("http://127.0.0.1:{}", site.port))
        .output()
        .unwrap()
}

fn said(site: &Site, arguments: &[&str]) -> String {
    let done = watchkeeper(site, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

/// One SLO of a report of the last day.
fn reported(site: &Site, slo: &str) -> Value {
    let text = said(site, &["report", "--slo", slo, "--from", "-1d", "--output", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    report["services"][0]["slos"][0].clone()
}

fn counts(slo: &Value) -> (u64, u64) {
    (slo["good"].as_u64().unwrap(), slo["total"].as_u64().unwrap())
}

#[tokio::test]
async fn a_report_counts_what_queries_count_and_says_who_was_told() {
    let webhook = Receiver::start(Flavour::Webhook).await.unwrap();
    let mut site = Site::running(&sections(&webhook)).await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    for n in 0..300 {
        log.line(if n % 50 == 0 { 500 } else { 200 }, 10.0).unwrap();
    }
    let all = Totals::from([("200".into(), 294), ("500".into(), 6)]);
    site.wait_counted(&all, SOON).await;
    let slo = reported(&site, "shop-availability");
    assert_eq!((counts(&slo), &slo["result"]), ((294, 300), &json!("missed")), "{slo}");
    let budget = &slo["budget"];
    assert_eq!(
        (&budget["words"], &budget["exhausted"]),
        (&json!("spent 20 times over"), &json!(true))
    );
    let rows = slo["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["total"].as_u64().unwrap()).sum::<u64>(), 300);
    let sliced = counts(&reported(&site, "sliced"));
    assert!(sliced.1 >= 1, "{sliced:?}");
    assert_eq!(counts(&reported(&site, "both")), (294 + sliced.0, 300 + sliced.1));

    let told = eventually("the page is in the report", SOON, || async {
        let incident = reported(&site, "shop-availability")["incidents"][0].clone();
        (incident["told"][0]["delivered"].as_u64()? > 0).then_some(incident)
    })
    .await;
    assert_eq!((&told["severity"], &told["closed_at"]), (&json!("page"), &Value::Null), "{told}");
    let text = said(&site, &["report", "--slo", "shop-availability", "--from", "-1d"]);
    for part in
        ["# Error budget of shop-availability, ", "294 good, 6 bad of 300", "oncall webhook[0]"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }

    let hours = ["--from", "-1h", "--for", "2h", "--slo", "shop-availability"];
    let why = ["--reason", "the database moves", "--by", "ann"];
    said(&site, &[["corrections", "add"].as_slice(), &hours, &why].concat());
    let corrected = reported(&site, "shop-availability");
    assert_eq!((counts(&corrected), &corrected["result"]), ((0, 0), &json!("no_data")));
    assert_eq!(counts(&corrected["without_corrections"]), (294, 300));
    assert_eq!(corrected["corrections"][0]["by"], "ann");
    // What is reported is what is stored, and the same after a kill.
    site.collector.as_mut().unwrap().kill();
    site.start_collector(&[]).await.unwrap();
    assert_eq!(counts(&reported(&site, "shop-availability")["without_corrections"]), (294, 300));
    said(&site, &["corrections", "end", "1", "--by", "bob"]);
    assert_eq!(counts(&reported(&site, "shop-availability")), (294, 300));

    let page = said(&site, &["report", "--service", "shop", "--format", "html"]);
    assert!(page.starts_with("<!doctype html>") && page.contains("sliced"), "{page}");
    let refused = watchkeeper(&site, &["report", "--slo", "shop-availabilty"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("did you mean shop-availability?"));
}
