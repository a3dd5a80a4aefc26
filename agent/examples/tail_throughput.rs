//! How many megabytes of log one CPU second takes from file to sealed distributions, format by format.
//!
//! Owns a benchmark that checks what it counts: every line must be in the sealed distributions, by label set and at the
//! bound. Beside it, in the same run, runs the least a typed program could do with JSON: `serde_json` into a struct of
//! the four fields that matter, without counting anything; and `zcat | wc -l` beside a gzip file. Run it as
//! `cargo run --release -p watchkeeper-agent --example tail_throughput -- 1000 json regex` (megabytes, and formats; all
//! if none is named).

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeeper_agent::sources::{Beside, SourceSettings, Stored, Wakes, build, read};
use watchkeeper_agent_core::observe::{Accumulator, Sealed};
use watchkeeper_agent_core::seal::SealPolicy;
use watchkeeper_config::{Reader, load_str};
use watchkeeper_model::{AgentId, Body, Labels, Timestamp};

const LINE_BYTES: usize = 290;
const BOUND_MICROS: u64 = 200_000;

/// Counts by method and status: all lines, and those at or below the bound.
type Counts = BTreeMap<(String, String), (u64, u64)>;

/// A way to write requests, and how a source is told of it.
struct Shape {
    name: &'static str,
    /// Keys of the source.
    keys: &'static str,
    /// The field of the duration, and its unit.
    value: &'static str,
    /// A request up to where filling goes, and what stands behind it.
    line: fn(&Request) -> (String, String),
}

const SHAPES: [Shape; 5] = [
    Shape {
        name: "json",
        keys: "time: {field: time}",
        value: "{field: duration_ms, unit: ms}",
        line: json,
    },
    Shape {
        name: "logfmt",
        keys: "format: logfmt, time: {field: time}",
        value: "{field: duration_ms, unit: ms}",
        line: logfmt,
    },
    Shape {
        name: "regex",
        keys: r#"format: regex, time: {field: time, format: '%d/%b/%Y:%H:%M:%S %z'},
            pattern: '^(?P<remote>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>\S+) (?P<protocol>[^"]+)" (?P<status>\d+) (?P<bytes>\d+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)" (?P<request_time>[0-9.]+)$'"#,
        value: "{field: request_time, unit: s}",
        line: combined,
    },
    Shape {
        name: "cri",
        keys: "wrap: cri, time: {field: time}",
        value: "{field: duration_ms, unit: ms}",
        line: cri,
    },
    Shape {
        name: "gzip",
        keys: "time: {field: time}",
        value: "{field: duration_ms, unit: ms}",
        line: json,
    },
];

/// What a line tells.
struct Request {
    at: Timestamp,
    random: u64,
    id: u64,
    method: &'static str,
    status: &'static str,
    micros: u64,
}

fn json(r: &Request) -> (String, String) {
    let head = format!(
        r#"{{"time":"{}","level":"info","method":"{}","path":"/api/v1/products/{}","status":{},"duration_ms":{}.{:03},"bytes":{},"remote":"10.0.{}.{}","request_id":"{:016x}","agent":""#,
        r.at.rfc3339(),
        r.method,
        r.random % 10_000,
        r.status,
        r.micros / 1_000,
        r.micros % 1_000,
        r.random % 90_000,
        r.random % 256,
        (r.random >> 5) % 256,
        r.id,
    );
    (head, "\"}".to_owned())
}

/// As Kubernetes keeps it.
fn cri(r: &Request) -> (String, String) {
    let (head, end) = json(r);
    (format!("{} stdout F {head}", r.at.rfc3339()), end)
}

fn logfmt(r: &Request) -> (String, String) {
    let head = format!(
        r#"time={} level=info method={} path=/api/v1/products/{} status={} duration_ms={}.{:03} bytes={} remote=10.0.{}.{} request_id={:016x} cached agent=""#,
        r.at.rfc3339(),
        r.method,
        r.random % 10_000,
        r.status,
        r.micros / 1_000,
        r.micros % 1_000,
        r.random % 90_000,
        r.random % 256,
        (r.random >> 5) % 256,
        r.id,
    );
    (head, "\"".to_owned())
}

/// The combined log of nginx, with the time a request took behind it.
fn combined(r: &Request) -> (String, String) {
    let head = format!(
        r#"10.0.{}.{} - - [{}] "{} /api/v1/products/{} HTTP/1.1" {} {} "https://shop.example/{:016x}" ""#,
        r.random % 256,
        (r.random >> 5) % 256,
        r.at.to_jiff().strftime("%d/%b/%Y:%H:%M:%S +0000"),
        r.method,
        r.random % 10_000,
        r.status,
        r.random % 90_000,
        r.id,
    );
    (head, format!("\" {}.{:06}", r.micros / 1_000_000, r.micros % 1_000_000))
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let megabytes: usize = args.next().map_or(Ok(500), |n| n.parse())?;
    let named: Vec<String> = args.collect();
    let unknown = named.iter().find(|n| SHAPES.iter().all(|shape| shape.name != **n));
    ensure!(unknown.is_none(), "no format is called {unknown:?}");
    let dir = std::env::temp_dir().join(format!("tail-throughput-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let outcome = run(&dir.join("access.log"), megabytes * 1_000_000 / LINE_BYTES, &named);
    std::fs::remove_dir_all(&dir)?;
    outcome
}

fn run(file: &Path, n_lines: usize, named: &[String]) -> Result<()> {
    println!("{n_lines} lines of {LINE_BYTES} bytes; MB per CPU second:");
    let rate = |spent: Duration| (n_lines * LINE_BYTES) as f64 / 1e6 / spent.as_secs_f64();
    for shape in &SHAPES {
        let is_wanted = named.is_empty() || named.iter().any(|n| n == shape.name);
        if is_wanted {
            let wanted = write_lines(file, shape, n_lines)?;
            let zipped = (shape.name == "gzip").then(|| zip(file)).transpose()?;
            let before = cpu()?;
            let (counts, n_seals, n_parts) = tail(zipped.as_deref().unwrap_or(file), shape)?;
            let spent = cpu()? - before;
            ensure!(counts == wanted, "counted {counts:?}, written {wanted:?}");
            println!(
                "{:>6.0}  {} to sealed distributions ({n_seals} seals, {n_parts} window parts, all exact)",
                rate(spent),
                shape.name
            );
            if let Some(zipped) = zipped {
                println!("{:>6.0}  zcat | wc -l", rate(count_unzipped(&zipped, n_lines)?));
            }
        }
    }
    write_lines(file, &SHAPES[0], n_lines)?;
    let content = std::fs::read(file)?;
    let before = cpu()?;
    let n_parsed = parse(&content)?;
    let spent = cpu()? - before;
    ensure!(n_parsed == n_lines, "parsed {n_parsed} lines of {n_lines}");
    println!("{:>6.0}  typed serde_json, nothing counted", rate(spent));
    Ok(())
}

fn zip(file: &Path) -> Result<PathBuf> {
    let zipped = file.with_extension("log.gz");
    let out = std::fs::File::create(&zipped)?;
    ensure!(Command::new("gzip").arg("-c").arg(file).stdout(out).status()?.success(), "gzip");
    Ok(zipped)
}

/// How long others take to count the lines of a gzip file.
fn count_unzipped(zipped: &Path, n_lines: usize) -> Result<Duration> {
    let before = cpu_of_children()?;
    let count = format!("zcat {zipped:?} | wc -l");
    let counted = String::from_utf8(Command::new("sh").args(["-c", &count]).output()?.stdout)?;
    ensure!(counted.trim() == n_lines.to_string(), "zcat has counted otherwise");
    Ok(cpu_of_children()? - before)
}

/// Requests in lines of one length, a thousand for each second up to now.
fn write_lines(file: &Path, shape: &Shape, n_lines: usize) -> Result<Counts> {
    let mut out = BufWriter::new(std::fs::File::create(file)?);
    let mut counts = Counts::new();
    let start = now().nanos() - n_lines as i64 * 1_000_000;
    let mut state = 1_u64;
    for i in 0..n_lines {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 33;
        let request = Request {
            at: Timestamp(start + i as i64 * 1_000_000),
            random,
            id: state,
            method: ["GET", "GET", "GET", "POST", "PUT"][random as usize % 5],
            status: ["200", "200", "200", "200", "304", "404", "500"][(random >> 8) as usize % 7],
            micros: 1_000 + random % 400_000,
        };
        let (mut line, tail) = (shape.line)(&request);
        while line.len() + tail.len() < LINE_BYTES - 1 {
            line.push(char::from(b'a' + (line.len() % 26) as u8));
        }
        line.push_str(&tail);
        line.push('\n');
        ensure!(line.len() == LINE_BYTES, "a line of {} bytes", line.len());
        out.write_all(line.as_bytes())?;
        let key = (request.method.to_owned(), request.status.to_owned());
        let count = counts.entry(key).or_default();
        count.0 += 1;
        count.1 += u64::from(request.micros <= BOUND_MICROS);
    }
    out.flush()?;
    Ok(counts)
}

fn settings(file: &Path, shape: &Shape) -> Result<SourceSettings> {
    let Shape { keys, value, .. } = shape;
    let yaml = format!(
        "tail: {{name: bench, service: shop, paths: [{file:?}], start_at: beginning, compressed: read, {keys}, \
         signals: [{{name: requests, value: {value}, \
         labels: {{status: status, method: method}}, bounds: [{}ms]}}]}}",
        BOUND_MICROS / 1_000
    );
    let mut reader = Reader::new(&|_: &str| None);
    let settings = load_str("bench", &yaml, &mut reader).and_then(|d| read(d.root(), &mut reader));
    let (settings, _) = reader.finish(settings).map_err(|p| anyhow::anyhow!(p.render()))?;
    Ok(settings.settings)
}

/// What the agent's worker does, with seals that go nowhere.
fn tail(file: &Path, shape: &Shape) -> Result<(Counts, usize, usize)> {
    let mut counted = Accumulator::new(AgentId::new("bench"), Labels::new([("env", "bench")]));
    let wakes = Wakes::new();
    let beside = Beside::new(wakes.waker());
    let mut source = build(settings(file, shape)?, Stored::default(), &mut counted, &beside);
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
