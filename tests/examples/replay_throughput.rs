//! How many megabytes of log one CPU second of `watchkeeper replay` takes, by how many lines there are in a second.
//!
//! `cargo build --release -p watchkeeper && WATCHKEEPER_BINARIES=target/release cargo run --release -p watchkeeper-tests
//! --example replay_throughput -- [MEGABYTES [LINES_PER_SECOND…]]` (200; 1000 100 10 1)
//!
//! Writes JSON lines of 290 bytes, replays them against two SLOs, over 30 days and with a latency over 7, and checks that
//! every line counts, in both. The time is that of the whole command, reading the files of configuration and drawing the
//! answer included. What few lines in a second cost is the engine, which evaluates each SLO when that second is over.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use watchkeeper_tests::harness::binary;

const LINE_BYTES: usize = 290;
const START: i64 = 1_700_000_000;

const COLLECTOR: &str = "slos:\n\
    \x20 - {name: good, service: shop, signal: requests, good: 'int(status) < 500', objective: 80, window: 30d}\n\
    \x20 - {name: fast, service: shop, signal: requests, below: 200ms, objective: 40, window: 7d}\n";

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let megabytes: usize = args.next().map_or(Ok(200), |n| n.parse())?;
    let mut rates = args.map(|n| n.parse()).collect::<Result<Vec<i64>, _>>()?;
    if rates.is_empty() {
        rates = vec![1000, 100, 10, 1];
    }
    let n_lines = megabytes * 1_000_000 / LINE_BYTES;
    println!("{n_lines} lines of {LINE_BYTES} bytes; MB per CPU second of the whole command:");
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("shop.log");
    let agent = format!(
        "agent: {{id: web-1}}\nsources:\n  - tail: {{service: shop, paths: [{log:?}], time: {{field: time}}, \
         signals: [{{name: requests, value: {{field: duration_ms, unit: ms}}, labels: {{method: method, status: status}}}}]}}\n"
    );
    std::fs::write(dir.path().join("agent.yaml"), agent)?;
    std::fs::write(dir.path().join("collector.yaml"), COLLECTOR)?;
    for per_second in rates {
        write_lines(&log, n_lines, per_second)?;
        let before = cpu_of_children()?;
        let answer = replay(dir.path())?;
        let spent = cpu_of_children()? - before;
        let n = n_lines as u64;
        let lines = &answer["lines"];
        ensure!(lines["read"] == n && lines["counted"] == n, "{lines}");
        let in_window = |slo: &&Value| slo["total"].as_u64() == Some(n);
        let slos = answer["slos"].as_array().context("no SLOs")?;
        let days = n_lines as i64 / per_second / 86_400;
        ensure!(days >= 7 || slos.iter().filter(in_window).count() == 2, "{slos:?}");
        let rate = (n_lines * LINE_BYTES) as f64 / 1e6 / spent.as_secs_f64();
        println!("{rate:>6.0}  {per_second} lines a second");
    }
    Ok(())
}

fn replay(dir: &Path) -> Result<Value> {
    let mut command = Command::new(binary("watchkeeper"));
    command.args(["replay", "--output", "json", "--agent"]).arg(dir.join("agent.yaml"));
    let output = command.arg("--collector").arg(dir.join("collector.yaml")).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Requests in lines of one length, so many for each second.
fn write_lines(file: &Path, n_lines: usize, per_second: i64) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let mut state = 1_u64;
    for i in 0..n_lines as i64 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 33;
        let at = jiff::Timestamp::from_millisecond(START * 1_000 + i * 1_000 / per_second)?;
        let micros = 1_000 + random % 400_000;
        let mut line = format!(
            r#"{{"time":"{at:.3}","level":"info","method":"{}","path":"/api/v1/products/{}","status":{},"duration_ms":{}.{:03},"bytes":{},"remote":"10.0.{}.{}","request_id":"{state:016x}","agent":""#,
            ["GET", "GET", "GET", "POST", "PUT"][random as usize % 5],
            random % 10_000,
            [200, 200, 200, 200, 304, 404, 500][(random >> 8) as usize % 7],
            micros / 1_000,
            micros % 1_000,
            random % 90_000,
            random % 256,
            (random >> 5) % 256,
        );
        while line.len() < LINE_BYTES - 3 {
            line.push(char::from(b'a' + (line.len() % 26) as u8));
        }
        line.push_str("\"}\n");
        out.write_all(line.as_bytes())?;
    }
    Ok(out.flush()?)
}

/// CPU time of the processes that were started and have ended, in the kernel's ticks of 10 ms.
fn cpu_of_children() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("no process name")?.1;
    let ticks = after_name.split_whitespace().skip(13).take(2).map(str::parse::<u64>);
    Ok(Duration::from_millis(ticks.sum::<Result<u64, _>>()? * 10))
}
