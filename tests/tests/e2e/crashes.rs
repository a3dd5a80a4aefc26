//! `kill -9` at random and at named points: every line is counted once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use watchkeeper_tests::harness::{
    AgentOptions, LogWriter, Road, Site, Totals, eventually, get_text,
};

/// A repeatable source of chance: the seed is printed when a test fails.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        // Xorshift64 (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn written(logs: &[LogWriter]) -> Totals {
    let mut all = Totals::new();
    for (status, n) in logs.iter().flat_map(|l| &l.written) {
        *all.entry(status.clone()).or_default() += n;
    }
    all
}

/// Everything read so far of a file is sealed: its frontier has reached the file's size. Only then may copytruncate
/// destroy it without loss that nobody could prevent.
async fn read_whole(site: &Site) {
    eventually("the agent has read everything", Duration::from_secs(60), || async {
        let url = format!("http://127.0.0.1:{}/metrics", site.admin_port);
        let (_, text) = get_text(&url).await.ok()?;
        let lag = text.lines().filter(|l| l.starts_with("watchkeeper_source_lag_bytes{"));
        let lags: Vec<f64> = lag.filter_map(|l| l.rsplit(' ').next()?.parse().ok()).collect();
        (!lags.is_empty() && lags.iter().all(|l| *l == 0.0)).then_some(())
    })
    .await;
}

fn out_of_the_glob(path: &Path) -> PathBuf {
    path.with_file_name(format!(
        "archived-{}",
        path.file_name().unwrap_or_default().to_string_lossy()
    ))
}

#[tokio::test]
async fn counts_are_exact_through_random_kills_while_three_files_rotate() {
    random_kills(Road::Grpc).await;
}

#[tokio::test]
async fn counts_are_exact_through_random_kills_while_three_files_rotate_by_rabbitmq() {
    random_kills(Road::Amqp).await;
}

async fn random_kills(road: Road) {
    let seed = std::env::var("STORM_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x5eed_0001);
    let n_rounds = std::env::var("STORM_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(40);
    println!("STORM_SEED={seed} STORM_ROUNDS={n_rounds}");
    let mut chance = Chance(seed);
    let Some(mut site) = Site::running_on(road, "").await.unwrap() else { return };
    let open = |name: &str| LogWriter::open(&site.logs().join(name)).unwrap();
    let mut logs = [open("a.log"), open("b.log"), open("c.log")];
    // An agent that never sealed anything knows of no rotation: the storm begins when all three files are known.
    for log in &mut logs {
        log.line(200, 1.0).unwrap();
    }
    site.wait_counted_once(&written(&logs), Duration::from_secs(20)).await;
    for _ in 0..n_rounds {
        for log in &mut logs {
            for _ in 0..chance.below(200) {
                let status = [200, 200, 200, 404, 500][chance.below(5) as usize];
                log.line(status, chance.below(500) as f64).unwrap();
            }
        }
        match chance.below(8) {
            0 => drop(logs[0].rotate_by_rename().unwrap()),
            1 => {
                // Out of the glob, to a name that no rotation gives: only a file the agent knows can be found again.
                // So it is known, has lines that nobody has read yet, and goes while the agent may die.
                site.wait_counted_once(&written(&logs), Duration::from_secs(60)).await;
                for _ in 0..chance.below(50) {
                    logs[1].line(200, 1.0).unwrap();
                }
                let rotated = logs[1].rotate_by_rename().unwrap();
                std::fs::rename(&rotated, out_of_the_glob(&rotated)).unwrap();
                if chance.below(2) == 0 {
                    site.agent.as_mut().unwrap().kill();
                    site.start_agent(&[]).unwrap();
                }
            }
            2 => {
                read_whole(&site).await;
                logs[2].rotate_by_copytruncate().unwrap();
            }
            3 | 4 => {
                site.agent.as_mut().unwrap().kill();
                if chance.below(2) == 0 {
                    logs[0].line(404, 1.0).unwrap();
                    logs[0].rotate_by_rename().unwrap();
                    logs[0].line(404, 1.0).unwrap();
                }
                site.start_agent(&[]).unwrap();
            }
            5 | 6 => {
                site.collector.as_mut().unwrap().kill();
                site.start_collector(&[]).await.unwrap();
            }
            _ => {}
        }
    }
    site.wait_counted(&written(&logs), Duration::from_secs(90)).await;
    let agents = site.api("agents").await.unwrap();
    let source = &agents["agents"][0]["sources"][0];
    assert_eq!(source["read"].as_u64(), Some(written(&logs).values().sum()), "{agents}");
}

/// Files that are to be compressed, and the `gzip` at work.
#[derive(Default)]
struct Compression {
    plain: Vec<PathBuf>,
    running: Option<Child>,
}

impl Compression {
    fn start(&mut self) {
        self.finish();
        if !self.plain.is_empty() {
            let path = self.plain.remove(0);
            self.running = Some(Command::new("gzip").arg(path).spawn().unwrap());
        }
    }

    fn finish(&mut self) {
        if let Some(mut running) = self.running.take() {
            assert!(running.wait().unwrap().success());
        }
    }
}

#[tokio::test]
async fn counts_are_exact_through_random_kills_while_rotated_files_are_compressed() {
    let seed = std::env::var("STORM_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x5eed_0002);
    let n_rounds = std::env::var("STORM_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(40);
    println!("STORM_SEED={seed} STORM_ROUNDS={n_rounds}");
    let mut chance = Chance(seed);
    let mut site = Site::new("").unwrap();
    let paths = vec![site.logs().join("*").display().to_string()];
    let tail = "      compressed: read\n".to_owned();
    site.configure_agent(&AgentOptions { paths, tail, ..AgentOptions::default() }).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let open = |name: &str| LogWriter::open(&site.logs().join(name)).unwrap();
    let mut logs = [open("a.log"), open("b.log")];
    let mut compression = Compression::default();
    for log in &mut logs {
        log.line(200, 1.0).unwrap();
    }
    site.wait_counted_once(&written(&logs), Duration::from_secs(20)).await;
    for _ in 0..n_rounds {
        for log in &mut logs {
            for _ in 0..[0, 1, 50, 3_000][chance.below(4) as usize] {
                log.line([200, 404, 500][chance.below(3) as usize], 1.0).unwrap();
            }
        }
        match chance.below(9) {
            0 | 1 => compression.plain.push(logs[0].rotate_by_rename().unwrap()),
            2 => {
                // Rotated and compressed at once.
                compression.plain.push(logs[0].rotate_by_rename().unwrap());
                compression.start();
                compression.finish();
            }
            3 => {
                read_whole(&site).await;
                compression.plain.push(logs[1].rotate_by_copytruncate().unwrap());
                if chance.below(2) == 0 {
                    compression.start();
                }
            }
            4 | 5 => compression.start(),
            6 | 7 => {
                site.agent.as_mut().unwrap().kill();
                if chance.below(2) == 0 {
                    compression.plain.push(logs[0].rotate_by_rename().unwrap());
                    compression.start();
                }
                site.start_agent(&[]).unwrap();
            }
            _ => {
                site.collector.as_mut().unwrap().kill();
                site.start_collector(&[]).await.unwrap();
            }
        }
    }
    while compression.running.is_some() || !compression.plain.is_empty() {
        compression.start();
    }
    site.wait_counted(&written(&logs), Duration::from_secs(90)).await;
    let agents = site.api("agents").await.unwrap();
    let source = &agents["agents"][0]["sources"][0];
    assert_eq!(source["read"].as_u64(), Some(written(&logs).values().sum()), "{agents}");
}

#[tokio::test]
async fn counts_are_exact_when_a_process_dies_at_each_named_point() {
    named_points(Road::Grpc).await;
}

#[tokio::test]
async fn counts_are_exact_when_a_process_dies_at_each_named_point_by_rabbitmq() {
    named_points(Road::Amqp).await;
}

async fn named_points(road: Road) {
    let agent_points = [
        "agent.before_seal",
        "spool.before_commit",
        "spool.after_commit",
        "agent.after_seal",
        "agent.before_send",
        "agent.after_send",
        "agent.before_receipt_stored",
        "agent.after_receipt_stored",
    ];
    let collector_points = [
        "collector.before_commit",
        "collector.after_commit",
        "collector.before_events_commit",
        "collector.after_events_commit",
        "collector.before_receipt",
    ];
    let Some(mut site) = Site::running_on(road, "").await.unwrap() else { return };
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&log.written, Duration::from_secs(20)).await;
    for point in agent_points {
        site.agent.as_mut().unwrap().kill();
        site.start_agent(&["--crash-at", point]).unwrap();
        log.line(500, 2.0).unwrap();
        log.line(200, 3.0).unwrap();
        let status = site.agent.as_mut().unwrap().wait(Duration::from_secs(30));
        assert!(!status.unwrap().success(), "the agent passed {point} alive");
        site.start_agent(&[]).unwrap();
        site.wait_counted(&log.written, Duration::from_secs(30)).await;
    }
    for point in collector_points {
        site.collector.as_mut().unwrap().kill();
        site.start_collector(&["--crash-at", point]).await.unwrap();
        log.line(500, 2.0).unwrap();
        log.line(200, 3.0).unwrap();
        let status = site.collector.as_mut().unwrap().wait(Duration::from_secs(60));
        assert!(!status.unwrap().success(), "the collector passed {point} alive");
        site.start_collector(&[]).await.unwrap();
        site.wait_counted(&log.written, Duration::from_secs(60)).await;
    }
    let correlations = async || {
        let events = site.api("events?limit=1000").await.ok()?;
        let all = events["events"].as_array()?.iter();
        Some(all.filter_map(|e| Some(e["correlation"].as_str()?.to_owned())).collect::<Vec<_>>())
    };
    // Bodies come behind their counts.
    let limit = Duration::from_secs(30);
    let mut ids = eventually("each error line is an event", limit, || async {
        correlations().await.filter(|ids| ids.len() as u64 >= log.written["500"])
    })
    .await;
    let n = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((n as u64, ids.len()), (log.written["500"], n), "each error line is one event");
}
