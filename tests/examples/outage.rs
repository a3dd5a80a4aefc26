//! What an outage costs: a broker that is gone for long, and an agent that starts with a spool that is full.
//!
//! `cargo build --release --workspace`, then
//! `WATCHKEEPER_BINARIES=$PWD/target/release cargo run --release -p watchkeeper-tests --example outage -- ARGUMENTS`:
//!
//! - `broker SECONDS`: twenty services write a thousand lines a second in all; their RabbitMQ is killed for so long and
//!   started again. How long until a bad line of then is told, while the backlog is caught up, and how fast it is.
//! - `spool MIB`: an agent that could not send until its spool had this size is killed and started again beside a collector.
//!   How long until the first batch is counted.
//!
//! Both print the agent's memory and end with counts that are equal to what was written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use watchkeeper_tests::fakes::{Flavour, Receiver};
use watchkeeper_tests::harness::{Process, Rabbit, Site, eventually, get_text, uri};

const USAGE: &str = "usage: outage broker SECONDS | spool MIB";
const N_SERVICES: u64 = 20;
/// Lines of each service a second.
const RATE: u64 = 50;
/// How long the counts may take to become equal.
const CATCHING_UP: Duration = Duration::from_secs(600);

fn tails(logs: &Path) -> String {
    let mut sources = String::new();
    for n in 0..N_SERVICES {
        let log = logs.join(format!("s{n}.log"));
        let _ = writeln!(
            sources,
            "  - tail: {{service: s{n}, paths: ['{}'], start_at: beginning, format: json, signals: [\
             {{name: requests, value: {{field: ms, unit: ms}}, labels: {{status: status, run: run}}, bounds: [200ms]}}], \
             events: [{{name: error, where: 'status == 503', severity: error, message: text}}]}}",
            log.display()
        );
    }
    sources
}

/// Services that write until they are told to stop; how many lines they have written.
struct Writers {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Writers {
    fn start(logs: &Path) -> Result<Self> {
        let open =
            |n| File::options().create(true).append(true).open(logs.join(format!("s{n}.log")));
        let mut files = (0..N_SERVICES).map(open).collect::<std::io::Result<Vec<File>>>()?;
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, count) = (stop.clone(), written.clone());
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            for tick in 1_u32.. {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                for file in &mut files {
                    let line = format!("{{\"status\":200,\"ms\":{}}}\n", 10 + tick % 90);
                    file.write_all(line.as_bytes())?;
                }
                count.fetch_add(N_SERVICES, Ordering::Relaxed);
                let due = began + Duration::from_secs(1) * tick / RATE as u32;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            Ok(())
        });
        Ok(Self { stop, written, thread })
    }

    fn n_lines(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        Ok(self.written.load(Ordering::Relaxed))
    }
}

async fn metric(site: &Site, name: &str) -> Option<f64> {
    let (_, text) =
        get_text(&format!("http://127.0.0.1:{}/metrics", site.admin_port)).await.ok()?;
    let line =
        text.lines().find(|line| line.strip_prefix(name).is_some_and(|l| l.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn mib(bytes: Option<u64>) -> f64 {
    bytes.unwrap_or(0) as f64 / f64::from(1 << 20)
}

async fn n_counted(site: &Site, status: &str) -> u64 {
    let counted = site.counted().await.ok();
    counted.and_then(|counted| counted.get(status).copied()).unwrap_or(0)
}

/// Writes bad lines one after the other; after how many milliseconds the receiver was told of each.
async fn tell_bad_lines(site: &Site, receiver: &Receiver) -> Result<Vec<u128>> {
    let mut log = File::options().append(true).open(site.logs().join("s0.log"))?;
    let mut delays = Vec::new();
    for run in 1..=20 {
        let mark = format!("\"run\":\"{run}\"");
        let wrote = Instant::now();
        writeln!(log, "{{\"status\":500,\"ms\":1,{mark}}}")?;
        let told = |requests: &[watchkeeper_tests::fakes::Request]| {
            requests.iter().any(|r| r.text().contains(&mark))
        };
        let told = receiver.wait_for(told, Duration::from_secs(60)).await;
        ensure!(told.is_ok(), "run {run} reached no receiver");
        delays.push(wrote.elapsed().as_millis());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(delays)
}

/// When no more than the last two seconds' lines were not counted.
async fn catch_up(site: &Site, writers: &Writers) -> Instant {
    eventually("the backlog is counted", CATCHING_UP, || async {
        (n_counted(site, "200").await + 2 * N_SERVICES * RATE > writers.n_lines())
            .then(Instant::now)
    })
    .await
}

async fn broker_gone(seconds: u64) -> Result<()> {
    let receiver = Receiver::start(Flavour::Webhook).await?;
    let mut rabbit = Rabbit::own("").await.context("there is no RabbitMQ here")?;
    let uri = uri(rabbit.port);
    let mut site = Site::new(&format!(
        "intake: {{amqp: {{uri: '{uri}'}}}}\n\
         rules:\n  - {{name: BadLine, service: s0, signal: requests, where: 'int(status) == 500', stat: count, over: 1m, op: '>', value: 0, by: [run], labels: {{severity: critical}}}}\n\
         alerting:\n  route: {{receiver: hook, group_by: [alertname, run], group_wait: 0s}}\n  receivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]\n",
        receiver.url("/hook"),
    ))?;
    let agent = format!(
        "agent: {{id: web-1, data_dir: {}, admin: '127.0.0.1:{}'}}\ncollector: {{amqp: {{uri: '{uri}'}}}}\nsources:\n{}",
        site.path().join("agent").display(),
        site.admin_port,
        tails(&site.logs()),
    );
    std::fs::write(site.path().join("agent.yaml"), agent)?;
    let writers = Writers::start(&site.logs())?;
    site.start_collector(&[]).await?;
    site.start_agent(&[])?;
    eventually("lines are counted", CATCHING_UP, || async {
        (n_counted(&site, "200").await > 5 * N_SERVICES * RATE).then_some(())
    })
    .await;
    rabbit.kill();
    println!("the broker is gone");
    let before = writers.n_lines();
    let (mut rss, mut spool) = (0.0_f64, 0.0_f64);
    let gone = Instant::now();
    while gone.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rss = rss.max(mib(site.agent.as_ref().and_then(Process::rss_bytes)));
        spool = spool.max(metric(&site, "watchkeeper_spool_bytes").await.unwrap_or(0.0));
    }
    let backlog = writers.n_lines() - before;
    println!(
        "after {seconds} s: {backlog} lines wait; agent {rss:.1} MiB at most, spool {:.1} MiB",
        spool / f64::from(1 << 20)
    );
    rabbit.start_again().await?;
    let started = Instant::now();
    eventually("the agent is back", Duration::from_secs(120), || async {
        metric(&site, "watchkeeper_connected").await.filter(|is| *is > 0.0)
    })
    .await;
    println!("the agent is back {:.1} s after the broker", started.elapsed().as_secs_f64());
    let back = Instant::now();
    let (delays, caught_up) =
        tokio::join!(tell_bad_lines(&site, &receiver), catch_up(&site, &writers));
    let delays = delays?;
    println!("bad lines told after, in ms: {delays:?}");
    println!(
        "caught up {:.1} s after the agent was back: {:.1} times the live rate",
        (caught_up - back).as_secs_f64(),
        backlog as f64 / (caught_up - back).as_secs_f64() / (N_SERVICES * RATE) as f64
    );
    end(&site, [("200", writers.finish()?), ("500", delays.len() as u64)]).await
}

/// The counts are exact.
async fn end(site: &Site, written: [(&str, u64); 2]) -> Result<()> {
    let all: BTreeMap<String, u64> = written.map(|(status, n)| (status.to_owned(), n)).into();
    site.wait_counted(&all, CATCHING_UP).await;
    let peak = |p: &Option<Process>| mib(p.as_ref().and_then(Process::peak_rss_bytes));
    println!(
        "counted {all:?}, as written; at most resident: agent {:.1} MiB, collector {:.1} MiB",
        peak(&site.agent),
        peak(&site.collector)
    );
    Ok(())
}

/// Text that does not become much shorter.
fn noise(state: &mut u64, n: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut letter = || {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        char::from(LETTERS[(*state >> 40) as usize % 64])
    };
    (0..n).map(|_| letter()).collect()
}

async fn full_spool(mib_wanted: u64) -> Result<()> {
    let mut site = Site::new("")?;
    let agent = format!(
        "agent: {{id: web-1, data_dir: {}, admin: '127.0.0.1:{}', spool: {{max_bytes: 4GiB}}}}\n\
         collector: {{grpc: {{endpoint: 'http://127.0.0.1:{}'}}}}\nsources:\n{}",
        site.path().join("agent").display(),
        site.admin_port,
        site.port,
        tails(&site.logs()),
    );
    std::fs::write(site.path().join("agent.yaml"), agent)?;
    let writers = Writers::start(&site.logs())?;
    site.start_collector(&[]).await?;
    site.start_agent(&[])?;
    // An agent that knows nothing asks the collector how far its files were read.
    eventually("lines are counted", CATCHING_UP, || async {
        (n_counted(&site, "200").await > 0).then_some(())
    })
    .await;
    site.collector.as_mut().context("the collector")?.kill();
    let mut log = File::options().create(true).append(true).open(site.logs().join("s1.log"))?;
    let (mut state, mut n_errors) = (88_172_645_463_325_252, 0_u64);
    loop {
        let bytes = metric(&site, "watchkeeper_spool_bytes").await.unwrap_or(0.0);
        if bytes >= (mib_wanted << 20) as f64 {
            println!("the spool has {:.0} MiB, {n_errors} events", bytes / f64::from(1 << 20));
            break;
        }
        for _ in 0..200 {
            let line =
                format!("{{\"status\":503,\"ms\":1,\"text\":\"{}\"}}\n", noise(&mut state, 7_000));
            log.write_all(line.as_bytes())?;
            n_errors += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.start_collector(&[]).await?;
    site.agent.as_mut().context("the agent")?.kill();
    let n_before = site.counted().await.unwrap_or_default().values().sum::<u64>();
    let began = Instant::now();
    site.start_agent(&[])?;
    eventually("something is counted", Duration::from_secs(60), || async {
        let n: u64 = site.counted().await.ok()?.values().sum();
        (n > n_before).then_some(())
    })
    .await;
    println!(
        "started again: the first batch is counted after {:.0} ms",
        began.elapsed().as_secs_f64() * 1e3
    );
    eventually("the backlog is delivered", CATCHING_UP, || async {
        let pending = metric(&site, "watchkeeper_spool_pending_bytes").await?;
        (pending < f64::from(1 << 20)).then_some(())
    })
    .await;
    println!("all of it is delivered after {:.1} s", began.elapsed().as_secs_f64());
    end(&site, [("200", writers.finish()?), ("503", n_errors)]).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| arguments.get(n).and_then(|a| a.parse().ok()).context(USAGE);
    match arguments.first().map(String::as_str) {
        Some("broker") => broker_gone(number(1)?).await,
        Some("spool") => full_spool(number(1)?).await,
        _ => Err(anyhow::anyhow!(USAGE)),
    }
}
