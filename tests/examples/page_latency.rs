//! From the write of a bad line to the request at the receiver.
//!
//! `cargo build --release --workspace && cargo run --release -p watchkeeper-tests --example page_latency -- [RUNS] [amqp]`; with `amqp`
//! through a RabbitMQ that it starts
//!
//! Each run writes one line that meets a rule with `group_wait: 0s` in a group of its own, and waits for the request at a
//! recording receiver. The same run times `fdatasync` on the disk the data lie on: two of them are on the way of a page,
//! one at the agent and one at the collector, and a third before the request leaves.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use watchkeeper_tests::fakes::{Flavour, Receiver};
use watchkeeper_tests::harness::{Road, Site, eventually};

fn agent_file(site: &Site) -> String {
    format!(
        "agent: {{id: web-1, data_dir: {}, admin: '127.0.0.1:{}'}}\n\
         collector:\n{}sources:\n  - tail:\n      service: shop\n      paths: ['{}']\n      start_at: beginning\n      format: json\n\
         \x20     signals:\n        - {{name: requests, labels: {{status: status, run: run}}}}\n",
        site.path().join("agent").display(),
        site.admin_port,
        site.road(None),
        site.logs().join("*.log").display(),
    )
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1]
}

fn row(name: &str, mut all: Vec<Duration>) {
    all.sort_unstable();
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    println!(
        "{name:<28} p50 {:7.1} ms   p90 {:7.1} ms   p99 {:7.1} ms   max {:7.1} ms   n {}",
        ms(percentile(&all, 0.5)),
        ms(percentile(&all, 0.9)),
        ms(percentile(&all, 0.99)),
        ms(*all.last().expect("at least one run")),
        all.len()
    );
}

fn sync_once(directory: &Path, n: usize) -> std::io::Result<Duration> {
    let mut file = File::create(directory.join(format!("sync-{n}")))?;
    file.write_all(&[7; 4096])?;
    let began = Instant::now();
    file.sync_data()?;
    Ok(began.elapsed())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let n_runs: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(200);
    let receiver = Receiver::start(Flavour::Webhook).await?;
    let sections = format!(
        "rules:\n  - {{name: BadLine, service: shop, signal: requests, where: 'int(status) >= 500', stat: count, over: 1m, op: '>', value: 0, by: [run], labels: {{severity: critical}}}}\n\
         alerting:\n  route: {{receiver: hook, group_by: [alertname, run], group_wait: 0s}}\n  receivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]\n",
        receiver.url("/hook"),
    );
    let road = match std::env::args().nth(2).as_deref() {
        Some("amqp") => Road::Amqp,
        _ => Road::Grpc,
    };
    let site = Site::on(road, &sections).await?;
    let mut site = site.ok_or_else(|| anyhow::anyhow!("there is no RabbitMQ here"))?;
    std::fs::write(site.path().join("agent.yaml"), agent_file(&site))?;
    site.start_collector(&[]).await?;
    site.start_agent(&[])?;
    let mut log = File::options().create(true).append(true).open(site.logs().join("shop.log"))?;
    writeln!(log, "{{\"status\":200,\"run\":\"0\"}}")?;
    eventually("the first line is counted", Duration::from_secs(20), || async {
        site.counted().await.ok().filter(|c| !c.is_empty())
    })
    .await;
    let (mut latencies, mut syncs) = (Vec::new(), Vec::new());
    for run in 1..=n_runs {
        // Runs must not fall in step with the agent's flushes.
        tokio::time::sleep(Duration::from_millis(200 + (run as u64 * 137) % 300)).await;
        syncs.push(sync_once(site.path(), run)?);
        let mark = format!("\"run\":\"{run}\"");
        let began = Instant::now();
        writeln!(log, "{{\"status\":500,{mark}}}")?;
        let seen = receiver.wait_for(
            |requests| requests.iter().any(|r| r.text().contains(&mark)),
            Duration::from_secs(10),
        );
        let requests = seen.await.map_err(|_| anyhow::anyhow!("run {run} reached no receiver"))?;
        let request =
            requests.iter().find(|r| r.text().contains(&mark)).expect("it was just found");
        latencies.push(request.at.duration_since(began.into()));
    }
    row("bad line to receiver", latencies);
    row("fdatasync of 4 KiB", syncs);
    let rss = |p: &Option<watchkeeper_tests::harness::Process>| {
        p.as_ref().and_then(watchkeeper_tests::harness::Process::rss_bytes).unwrap_or(0) as f64
            / f64::from(1 << 20)
    };
    println!(
        "resident: agent {:.1} MiB, collector {:.1} MiB",
        rss(&site.agent),
        rss(&site.collector)
    );
    Ok(())
}
