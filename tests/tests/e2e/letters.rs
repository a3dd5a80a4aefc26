//! A batch that no collector takes: kept on both sides with its reason, looked at, tried again, dropped.

use std::io::Write as _;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use watchkeeper_tests::harness::{
    AgentOptions, Site, Totals, binary, eventually, get_json, get_text,
};

const SOON: Duration = Duration::from_secs(60);
/// One more than a collector takes.
const N_LABELS: usize = 65;

fn watchkeeper(site: &Site, arguments: &[&str]) -> Output {
    Command::new(binary("watchkeeper"))
        .arg("dead-letters")
        .args(arguments)
        .env("WATCHKEEPER_URL", format!("http://127.0.0.1:{}", site.port))
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn write(site: &Site, line: &str) {
    let path = site.logs().join("a.log");
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// Requests have a label for each of so many fields.
fn configure(site: &Site) {
    site.configure_agent(&AgentOptions::default()).unwrap();
    let path = site.path().join("agent.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let labels: Vec<String> = (0..N_LABELS).map(|n| format!("l{n}: f{n}")).collect();
    let labels = format!("labels: {{status: status, {}}}", labels.join(", "));
    std::fs::write(path, text.replace("labels: {status: status, method: method}", &labels))
        .unwrap();
}

#[tokio::test]
async fn a_refused_batch_is_kept_on_both_sides_until_somebody_drops_it() {
    let mut site = Site::new("").unwrap();
    configure(&site);
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut agent = site.agent.take().unwrap();
    write(&site, r#"{"status":200,"duration_ms":1}"#);
    let good = Totals::from([("200".to_owned(), 1)]);
    site.wait_counted(&good, SOON).await;
    let fields: Vec<String> = (0..N_LABELS).map(|n| format!("\"f{n}\":\"x\"")).collect();
    write(&site, &format!("{{\"status\":201,\"duration_ms\":1,{}}}", fields.join(",")));
    let listed =
        |more: &[&str]| json(&watchkeeper(&site, &[&["list", "--output", "json"], more].concat()));
    let letter = eventually("it is a dead letter", SOON, || async {
        listed(&[])["dead_letters"].get(0).cloned()
    })
    .await;
    let id = letter["id"].as_str().unwrap().to_owned();
    assert!(letter["reason"].as_str().unwrap().contains("more than 64 labels"), "{letter}");
    assert_eq!((&letter["agent"], &letter["place"]), (&"web-1".into(), &"collector".into()));
    let alerts = || async { site.api("alerts").await.ok() };
    let is_firing = |alerts: &Value| {
        let all = alerts["alerts"].as_array().into_iter().flatten();
        let mut all = all.filter(|a| a["state"] == "firing");
        all.any(|a| a["labels"]["alertname"] == "DeadLetters")
    };
    let fires = || async { alerts().await.filter(&is_firing) };
    eventually("somebody is told", SOON, fires).await;

    let shown = json(&watchkeeper(&site, &["show", &id, "--output", "json"]));
    assert_eq!(shown["content"]["counted"], 1, "{shown}");
    let labels = &shown["content"]["series"]["items"][0]["labels"];
    assert_eq!(labels["status"], "201", "{shown}");
    let retried = watchkeeper(&site, &["retry", &id, "--output", "json"]);
    assert_eq!(retried.status.code(), Some(1));
    assert_eq!(json(&retried)["retried"][0]["outcome"], "refused");

    // The agent has it too. Who asks its endpoint is not known: no content there, and nothing to change.
    let url = format!("http://127.0.0.1:{}/api/v1/dead-letters", site.admin_port);
    let kept = eventually("the agent keeps it", SOON, || async {
        get_json(&url).await.ok()?["dead_letters"].get(0).cloned()
    })
    .await;
    assert_eq!((&kept["digest"], &kept["seq"]), (&letter["digest"], &letter["seq"]));
    assert!(kept.get("content").is_none(), "{kept}");
    assert_eq!(get_text(&format!("{url}/agent-1")).await.unwrap().0, 404);
    let metrics = format!("http://127.0.0.1:{}/metrics", site.admin_port);
    assert!(get_text(&metrics).await.unwrap().1.contains("watchkeeper_dead_letters 1"));
    let data_dir = site.path().join("agent");
    let spool = ["--spool", data_dir.to_str().unwrap()];
    let of_spool = |arguments: &[&str]| watchkeeper(&site, &[arguments, &spool[..]].concat());
    let shown = json(&of_spool(&["show", "agent-1", "--output", "json"]));
    assert_eq!(shown["content"]["counted"], 1, "{shown}");
    // Beside the running agent: it is offered again, and refused again.
    let retried = of_spool(&["retry", "--all", "--output", "json"]);
    assert_eq!(json(&retried)["retried"][0]["outcome"], "refused", "{:?}", json(&retried));
    assert_eq!(retried.status.code(), Some(1));

    // Without the agent the same file answers, and what is asked of it waits.
    agent.stop(Duration::from_secs(15)).unwrap();
    assert_eq!(listed(&spool)["dead_letters"][0]["asked"], false);
    assert!(of_spool(&["drop", "agent-1"]).status.success());
    assert_eq!(of_spool(&["drop", "agent-1"]).status.code(), Some(1));
    assert_eq!(listed(&spool)["dead_letters"].as_array().map(Vec::len), Some(0));
    assert!(watchkeeper(&site, &["drop", "--all"]).status.success());
    assert_eq!(watchkeeper(&site, &["retry", &id]).status.code(), Some(1), "it is gone");
    assert!(watchkeeper(&site, &["retry", "--all"]).status.success(), "there is nothing to try");
    let calm = || async { alerts().await.filter(|all| !is_firing(all)) };
    eventually("the alert ends with the last letter", SOON, calm).await;
    site.start_agent(&[]).unwrap();
    site.wait_counted(&good, SOON).await;
}
