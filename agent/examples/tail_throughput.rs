//! How many megabytes of log one CPU second takes from file to sealed distributions.
//!
//! Owns a benchmark that checks what it counts: every line must be in the sealed distributions, by label set and at the
//! bound. Beside it, in the same run, runs the least a typed program could do: `serde_json` into a struct of the
//! four fields that matter, without counting anything. Then the same lines out of a gzip file, beside `zcat | wc -l`. Run it
//! as
//! `cargo run --release -p watchkeeper-agent --example tail_throughput -- 1000` (megabytes).

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeeper_agent::sources::{SourceSettings, Stored, Wakes, build, read};
use watchkeeper_agent_core::observe::{Accumulator, Sealed};
use watchkeeper_agent_core::seal::SealPolicy;
use watchkeeper_config::{Reader, load_str};
use watchkeeper_model::{AgentId, Body, Labels, Timestamp};

const LINE_BYTES: usize = 290;
const BOUND_MS: f64 = 200.0;

/// Counts by method and status: all lines, and those at or below the bound.
type Counts = BTreeMap<(String, String), (u64, u64)>;

fn main() -> Result<()> {
    let megabytes: usize = std::env::args().nth(1).map_or(Ok(500), |n| n.parse())?;
    let dir = std::env::temp_dir().join(format!("tail-throughput-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let file = dir.join("access.log");
    let outcome = run(&file, megabytes);
    std::fs::remove_dir_all(&dir)?;
    outcome
}

fn run(file: &Path, megabytes: usize) -> Result<()> {
    let n_lines = megabytes * 1_000_000 / LINE_BYTES;
    let wanted = write_lines(file, n_lines)?;
    let bytes = std::fs::metadata(file)?.len();
    println!("{n_lines} lines, {} MB", bytes / 1_000_000);

    let before = cpu()?;
    let (counts, n_seals, n_parts) = tail(file)?;
    let spent = cpu()? - before;
    ensure!(counts == wanted, "counted {counts:?}, written {wanted:?}");
    let rate = |spent: Duration| bytes as f64 / 1e6 / spent.as_secs_f64();
    println!(
        "tail to sealed distributions: {:.0} MB per CPU second ({n_seals} seals, {n_parts} window parts, all exact)",
        rate(spent)
    );

    let content = std::fs::read(file)?;
    let before = cpu()?;
    let n_parsed = parse(&content)?;
    let spent = cpu()? - before;
    ensure!(n_parsed == n_lines, "parsed {n_parsed} lines of {n_lines}");
    println!("typed serde_json, nothing counted: {:.0} MB per CPU second", rate(spent));

    let zipped = file.with_extension("log.gz");
    let out = std::fs::File::create(&zipped)?;
    ensure!(Command::new("gzip").arg("-c").arg(file).stdout(out).status()?.success(), "gzip");
    let before = cpu()?;
    let (counts, n_seals, _) = tail(&zipped)?;
    let spent = cpu()? - before;
    ensure!(counts == wanted, "counted {counts:?}, written {wanted:?}");
    println!(
        "out of a gzip file: {:.0} MB per CPU second ({n_seals} seals, all exact)",
        rate(spent)
    );
    let before = cpu_of_children()?;
    let count = format!("zcat {zipped:?} | wc -l");
    let counted = Command::new("sh").args(["-c", &count]).output()?.stdout;
    ensure!(
        String::from_utf8(counted)?.trim() == n_lines.to_string(),
        "zcat has counted otherwise"
    );
    println!("zcat | wc -l: {:.0} MB per CPU second", rate(cpu_of_children()? - before));
    Ok(())
}

/// Access lines of one length, a thousand for each second up to now.
fn write_lines(file: &Path, n_lines: usize) -> Result<Counts> {
    let mut out = BufWriter::new(std::fs::File::create(file)?);
    let mut counts = Counts::new();
    let start = now().nanos() - n_lines as i64 * 1_000_000;
    let mut state = 1_u64;
    for i in 0..n_lines {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 33;
        let method = ["GET", "GET", "GET", "POST", "PUT"][random as usize % 5];
        let status = ["200", "200", "200", "200", "304", "404", "500"][(random >> 8) as usize % 7];
        let micros = 1_000 + random % 400_000;
        let mut line = format!(
            r#"{{"time":"{}","level":"info","method":"{method}","path":"/api/v1/products/{}","status":{status},"duration_ms":{}.{:03},"bytes":{},"remote":"10.0.{}.{}","request_id":"{state:016x}","agent":""#,
            Timestamp(start + i as i64 * 1_000_000).rfc3339(),
            random % 10_000,
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
        ensure!(line.len() == LINE_BYTES, "a line of {} bytes", line.len());
        out.write_all(line.as_bytes())?;
        let count = counts.entry((method.to_owned(), status.to_owned())).or_default();
        count.0 += 1;
        count.1 += u64::from(micros as f64 / 1_000.0 <= BOUND_MS);
    }
    out.flush()?;
    Ok(counts)
}

fn settings(file: &Path) -> Result<SourceSettings> {
    let yaml = format!(
        "tail: {{name: bench, service: shop, paths: [{file:?}], start_at: beginning, compressed: read, time: {{field: time}}, \
         signals: [{{name: requests, value: {{field: duration_ms, unit: ms}}, \
         labels: {{status: status, method: method}}, bounds: [{BOUND_MS}ms]}}]}}"
    );
    let mut reader = Reader::new(&|_: &str| None);
    let settings = load_str("bench", &yaml, &mut reader).and_then(|d| read(d.root(), &mut reader));
    let (settings, _) = reader.finish(settings).map_err(|p| anyhow::anyhow!(p.render()))?;
    Ok(settings.settings)
}

/// What the agent's worker does, with seals that go nowhere.
fn tail(file: &Path) -> Result<(Counts, usize, usize)> {
    let mut counted = Accumulator::new(AgentId::new("bench"), Labels::new([("env", "bench")]));
    let wakes = Wakes::new();
    let mut source = build(settings(file)?, Stored::default(), &mut counted, wakes.waker());
    let mut policy = SealPolicy::new(Duration::from_millis(250));
    let (mut counts, mut n_seals, mut n_parts) = (Counts::new(), 0, 0);
    loop {
        let progress = source.poll(now(), policy.may_read(), &mut counted);
        let done = progress.next > now();
        let something = progress.dirty || !counted.is_empty();
        let deadline = policy.next_deadline(now(), counted.held_bytes(), something);
        if done || deadline.is_some_and(|at| at <= now()) {
            let checkpoint = source.checkpoint();
            let frontiers = checkpoint.frontiers.into_iter();
            let frontiers = frontiers.map(|f| (source.service().clone(), f)).collect();
            let sealed = counted.seal(now(), &policy.order(), frontiers);
            source.committed(now());
            policy.sealed(now());
            n_seals += 1;
            n_parts += add_up(sealed, &mut counts)?;
        }
        if done && source.lag_bytes() == 0 {
            return Ok((counts, n_seals, n_parts));
        }
    }
}

fn add_up(sealed: Sealed, counts: &mut Counts) -> Result<usize> {
    let mut n_parts = 0;
    for body in sealed.services.into_iter().flat_map(|s| s.bodies) {
        let Body::Windows { series, .. } = body else { continue };
        for series in series {
            let key =
                (series.labels.get("method").to_owned(), series.labels.get("status").to_owned());
            let count = counts.entry(key).or_default();
            for part in series.windows {
                let values = part.distribution.values.context("a distribution without values")?;
                ensure!(values.bounds[0].covered == part.distribution.count, "a bound not covered");
                count.0 += part.distribution.count;
                count.1 += values.bounds[0].within;
                n_parts += 1;
            }
        }
    }
    Ok(n_parts)
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    time: &'a str,
    method: &'a str,
    status: u16,
    duration_ms: f64,
}

fn parse(content: &[u8]) -> Result<usize> {
    let mut n_lines = 0;
    for line in content.split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
        let line: Line<'_> = serde_json::from_slice(line)?;
        std::hint::black_box((line.time, line.method, line.status, line.duration_ms));
        n_lines += 1;
    }
    Ok(n_lines)
}

fn now() -> Timestamp {
    Timestamp::from_jiff(jiff::Timestamp::now())
}

/// CPU time of this process so far, all threads.
fn cpu() -> Result<Duration> {
    ticks(11)
}

/// CPU time of the processes that it started and that have ended.
fn cpu_of_children() -> Result<Duration> {
    ticks(13)
}

/// In user and system mode, in the kernel's ticks of 10 ms.
fn ticks(at: usize) -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("no process name")?.1;
    let ticks = after_name.split_whitespace().skip(at).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
