//! How much the store takes: few commits by default, more by `STORE_COMMITS`; it measures the disk it runs on.

use std::time::Instant;

use super::parts::{NOW, open, row, stream, windows};
use watchkeeper_model::{AgentId, Kind};

/// `STORE_COMMITS=400 cargo test -p watchkeeper-collector --release -- --nocapture commits_of_64_producers`
#[test]
fn commits_of_64_producers_share_transactions_and_all_count() {
    const PRODUCERS: u64 = 64;
    const ROWS: usize = 20;
    let each = std::env::var("STORE_COMMITS").ok().and_then(|n| n.parse().ok()).unwrap_or(8_u64);
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let begun = Instant::now();
    let mut waits: Vec<u128> = runtime.block_on(async {
        let tasks: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut waits = Vec::new();
                    for seq in 1..=each {
                        let rows = (0..ROWS).map(|i| {
                            let mut row = row(&i.to_string(), NOW + seq as i64, 1);
                            row.series.labels =
                                row.series.labels.with_one("agent", &format!("web-{producer}"));
                            row
                        });
                        let mut commit = windows(seq, rows.collect());
                        commit.batches[0].stream = watchkeeper_model::StreamKey {
                            agent: AgentId::new(&format!("web-{producer}")),
                            ..stream(Kind::Windows)
                        };
                        let asked = Instant::now();
                        store.commit_windows(commit).await.unwrap();
                        waits.push(asked.elapsed().as_micros());
                    }
                    waits
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.unwrap());
        }
        all
    });
    let took = begun.elapsed();
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    let n = PRODUCERS * each;
    println!(
        "{n} batches of {ROWS} rows in {took:?}: {:.0} batches/s, {:.0} rows/s, wait p50 {} µs, p99 {} µs",
        n as f64 / took.as_secs_f64(),
        (n * ROWS as u64) as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
    let report = runtime.block_on(async {
        let begun = Instant::now();
        let mut n_rows = 0;
        loop {
            let report =
                store.maintain(watchkeeper_model::Timestamp::from_secs(NOW + 86_000)).await;
            n_rows += report.folded.n_rows;
            if !report.folded.more {
                break (n_rows, begun.elapsed(), report.used_bytes);
            }
        }
    });
    assert_eq!(report.0, n * ROWS as u64, "what was answered was there to be folded");
    println!("folded {} rows in {:?}; {} bytes in use", report.0, report.1, report.2);
}
