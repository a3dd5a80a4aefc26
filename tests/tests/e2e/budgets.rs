//! Budgets of every kind in the real programs: through kills, reloads and planned maintenance.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use watchkeeper_tests::harness::{LogWriter, Site, Totals, binary, eventually};

const SOON: Duration = Duration::from_secs(30);

/// A month, days of slices, and a composite of both over its own window.
fn sections(window: &str) -> String {
    let usual = "service: shop, signal: requests, good: 'int(status) < 500', objective: 99";
    format!(
        "slos:\n  - {{name: month, {usual}, calendar: {{unit: month, zone: Europe/Berlin}}}}\n\
         \x20 - {{name: sliced, {usual}, window: 2d, method: timeslices, slice: 10s, slice_objective: 50}}\n\
         \x20 - {{name: both, service: shop, objective: 95, window: {window}, composite: [{{slo: month, weight: 2}}, {{slo: sliced}}]}}\n"
    )
}

/// By SLO: good, total and the budget left.
async fn budgets(site: &Site) -> BTreeMap<String, (u64, u64, String)> {
    let answer = site.api("slos").await.unwrap();
    let slos = answer["slos"].as_array().unwrap().iter();
    let of = |slo: &Value| {
        let count = |key: &str| slo[key].as_u64().unwrap();
        let left = slo["budget_remaining"].to_string();
        (slo["name"].as_str().unwrap().to_owned(), (count("good"), count("total"), left))
    };
    slos.map(of).collect()
}

fn watchkeeper(site: &Site, arguments: &[&str]) -> String {
    let done = Command::new(binary("watchkeeper"))
        .args(arguments)
        .env("WATCHKEEPER_URL", format!("http://127.0.0.1:{}", site.port))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

async fn kill_and_start(site: &mut Site) {
    site.collector.as_mut().unwrap().kill();
    site.start_collector(&[]).await.unwrap();
}

#[tokio::test]
async fn budgets_survive_kills_reloads_and_maintenance_that_comes_and_goes() {
    let mut site = Site::running(&sections("1d")).await.unwrap();
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    for n in 0..300 {
        log.line(if n % 50 == 0 { 500 } else { 200 }, 10.0).unwrap();
    }
    let all = Totals::from([("200".into(), 294), ("500".into(), 6)]);
    site.wait_counted(&all, SOON).await;
    let before = budgets(&site).await;
    assert_eq!((before["month"].0, before["month"].1), (294, 300));
    assert!(before["sliced"].1 >= 1 && before["both"].1 == 300 + before["sliced"].1, "{before:?}");

    let said = watchkeeper(
        &site,
        &[
            "corrections",
            "add",
            "--from",
            "-1h",
            "--for",
            "2h",
            "--slo",
            "month",
            "--reason",
            "the database moves",
            "--by",
            "ann",
        ],
    );
    assert!(said.starts_with("correction 1: in force\n  month leaves out "), "{said}");
    // It is on disk once it is answered.
    kill_and_start(&mut site).await;
    let corrected = budgets(&site).await;
    assert_eq!(corrected["month"], (0, 0, "1".to_owned()));
    assert_eq!(corrected["sliced"], before["sliced"]);
    assert_eq!(corrected["both"].1, before["sliced"].1);
    let month = watchkeeper(&site, &["slo", "month"]);
    assert!(month.contains("left out, now: the database moves"), "{month}");

    let config = site.path().join("collector.yaml");
    let text = std::fs::read_to_string(&config).unwrap().replace("window: 1d", "window: 3d");
    std::fs::write(&config, text).unwrap();
    site.collector.as_ref().unwrap().signal(Signal::HUP);
    eventually("it goes by the new window", SOON, || async {
        let both = site.api("slos/both").await.ok()?;
        (both["slos"][0]["window"] == "3d").then_some(())
    })
    .await;
    assert_eq!(budgets(&site).await, corrected, "a longer window has what was known");

    let said = watchkeeper(&site, &["corrections", "end", "1", "--by", "bob"]);
    assert!(said.contains("as if it had never been there"), "{said}");
    assert_eq!(budgets(&site).await, before);
    kill_and_start(&mut site).await;
    assert_eq!(budgets(&site).await, before);
    let listed = watchkeeper(&site, &["corrections"]);
    assert!(listed.contains("ann, ended by bob"), "{listed}");
}
