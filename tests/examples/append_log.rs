//! Appends a JSON log of the past line by line, sped up and re-stamped, to a log that an agent tails, and compares counts.
//!
//! `cargo run --release -p watchkeeper-tests --example append_log -- FILE.jsonl [SPEED]`
//!
//! The file has one JSON object a line with an RFC 3339 `time`, a `service` and a `duration_ms`. Lines are written at
//! SPEED times their own pace (default 600), with the time at which they are written. It ends with a table: lines
//! written and counted by service, the share over one second as the collector and as the file say it, and the time from
//! the last line written until everything is counted.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use watchkeeper_tests::fakes::{Flavour, Receiver};
use watchkeeper_tests::harness::{Site, Totals, eventually};

fn agent_file(site: &Site) -> String {
    format!(
        "agent: {{id: shop-1, data_dir: {}, admin: '127.0.0.1:{}'}}\n\
         collector:\n  grpc: {{endpoint: 'http://127.0.0.1:{}'}}\n\
         sources:\n  - tail:\n      service: shop\n      paths: ['{}']\n      start_at: beginning\n      format: json\n\
         \x20     time: {{field: time, format: rfc3339}}\n\
         \x20     signals:\n        - {{name: spans, value: {{field: duration_ms, unit: ms}}, labels: {{component: service, pod: pod}}, bounds: [1s]}}\n",
        site.path().join("agent").display(),
        site.admin_port,
        site.port,
        site.logs().join("*.log").display(),
    )
}

fn nanos(line: &Value) -> Option<i128> {
    let text = line["time"].as_str()?;
    Some(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("usage: append_log FILE.jsonl [SPEED]")?;
    let speed: f64 = arguments.next().map_or(Ok(600.0), |a| a.parse())?;
    let lines: Vec<Value> = std::fs::read_to_string(&file)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| file.clone())?;
    let first = lines.iter().find_map(nanos).context("no line has a time")?;
    let receiver = Receiver::start(Flavour::Webhook).await?;
    let sections = format!(
        "slos:\n  - {{name: shop-latency, service: shop, signal: spans, below: 1s, objective: 80, window: 1h}}\n\
         alerting:\n  route: {{receiver: hook, group_wait: 0s, group_interval: 1s}}\n  receivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]\n",
        receiver.url("/hook"),
    );
    let mut site = Site::new(&sections)?;
    std::fs::write(site.path().join("agent.yaml"), agent_file(&site))?;
    site.start_collector(&[]).await?;
    site.start_agent(&[])?;
    let mut log =
        std::fs::File::options().create(true).append(true).open(site.logs().join("shop.log"))?;
    let (mut written, mut slow) = (Totals::new(), BTreeMap::<String, u64>::new());
    let began = Instant::now();
    for mut line in lines {
        let at = nanos(&line).context("a line without a time")?;
        let due = Duration::from_nanos(u64::try_from(at - first).unwrap_or(0)).div_f64(speed);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        line["time"] = jiff::Timestamp::now().to_string().into();
        let component = line["service"].as_str().unwrap_or_default().to_owned();
        if line["duration_ms"].as_f64().unwrap_or(0.0) > 1000.0 {
            *slow.entry(component.clone()).or_default() += 1;
        }
        *written.entry(component).or_default() += 1;
        writeln!(log, "{line}")?;
    }
    let done = Instant::now();
    let writing = done - began;
    let counted = eventually("everything is counted", Duration::from_secs(60), || async {
        site.counted_by("spans", "component").await.ok().filter(|c| *c == written)
    })
    .await;
    println!("{:<28}{:>9}{:>9}", "component", "written", "counted");
    for (component, n) in &written {
        println!("{component:<28}{n:>9}{:>9}", counted[component]);
    }
    let all: u64 = written.values().sum();
    let n_slow: u64 = slow.values().sum();
    let slo = site.api("slos/shop-latency").await?;
    let slo = &slo["slos"][0];
    println!("all {all}, over 1 s {n_slow}; the SLO says good {} of {}", slo["good"], slo["total"]);
    println!("written in {writing:.1?}, all counted {:.0?} after the last line", done.elapsed());
    for request in receiver.requests() {
        let told = request.json();
        let alert = &told["alerts"][0];
        println!("told: {} {} {}", told["status"], alert["labels"], alert["annotations"]);
    }
    anyhow::ensure!(slo["total"] == all && slo["good"] == all - n_slow, "the SLO differs: {slo}");
    Ok(())
}
