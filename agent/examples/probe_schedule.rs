//! How punctually many HTTP probes are asked, and what that costs.
//!
//! Owns a benchmark over the sources as the worker has them: so many probes, each once a second, of a server in a process of its
//! own, which notes when each request came in. A probe's slots are a second apart; what a request is later than
//! the earliest of its probe, modulo a second, is its error. That holds the way to the server too. Run it as
//! `taskset -c 0 cargo run --release -p watchkeeper-agent --example probe_schedule -- 500 30` (probes, seconds).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use watchkeeper_agent::sources::{Beside, Source, Stored, Wakes, build, read};
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealPolicy;
use watchkeeper_config::{Reader, load_str};
use watchkeeper_daemon::clock;
use watchkeeper_model::{AgentId, Body, Labels};

/// From one attempt of a probe to the next.
const EVERY_MICROS: u128 = 1_000_000;

/// The first attempt of a probe lies outside of its slots, and so may the second of its errors.
const SKIPPED: usize = 2;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "serve") {
        return serve();
    }
    let number = |at: usize, usual: u64| arguments.get(at).map_or(Ok(usual), |text| text.parse());
    let (n_probes, seconds) = (number(0, 500)?, number(1, 30)?);
    let mut server = Server::start()?;
    let mut acc = Accumulator::new(AgentId::new("bench"), Labels::default());
    let wakes = Wakes::new();
    let beside = Beside::new(wakes.waker());
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for n in 0..n_probes {
        let port = server.port;
        let text = format!(
            "probe: {{name: probe-{n}, service: shop, every: 1s, http: {{url: 'http://127.0.0.1:{port}/{n}'}}}}"
        );
        let mut reader = Reader::new(&|_: &str| None);
        let config =
            load_str("bench", &text, &mut reader).and_then(|d| read(d.root(), &mut reader));
        let (config, _) = reader.finish(config).map_err(|p| anyhow::anyhow!(p.render()))?;
        sources.push(build(config.settings, Stored::default(), &mut acc, &beside));
    }
    let serving = server.child.id().to_string();
    let (before, served_before) = (cpu("self")?, cpu(&serving)?);
    let counted = work(&mut sources, &mut acc, &wakes, Duration::from_secs(seconds));
    let (spent, served) = (cpu("self")? - before, cpu(&serving)? - served_before);
    drop(sources);
    drop(beside);
    let errors = server.errors()?;
    ensure!(!errors.is_empty(), "nobody was asked");
    let at = |share: f64| errors[((errors.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    let share = |spent: Duration| spent.as_secs_f64() / seconds as f64 * 100.0;
    println!("{n_probes} probes a second for {seconds} s: {counted:?} attempts counted");
    println!(
        "late at the server: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, most {:.2} ms of {}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        errors.len()
    );
    println!(
        "agent: {:.1} % of a core, {:.0} µs an attempt; the server took {:.1} % of one",
        share(spent),
        spent.as_micros() as f64 / errors.len() as f64,
        share(served)
    );
    Ok(())
}

/// Polls and seals as the worker does; attempts by result.
fn work(
    sources: &mut [Box<dyn Source>],
    acc: &mut Accumulator,
    wakes: &Wakes,
    length: Duration,
) -> BTreeMap<String, u64> {
    let policy = SealPolicy::new(Duration::from_millis(250));
    let (until, mut sealed) = (Instant::now() + length, Instant::now());
    let mut counted = BTreeMap::new();
    while Instant::now() < until {
        wakes.wait(Duration::from_millis(250));
        let now = clock::now();
        sources.iter_mut().for_each(|source| _ = source.poll(now, true, acc));
        if sealed.elapsed() < Duration::from_millis(250) {
            continue;
        }
        sealed = Instant::now();
        let bodies = acc.seal(now, &policy.order(), Vec::new()).services.into_iter();
        for body in bodies.flat_map(|service| service.bodies) {
            let Body::Windows { series, .. } = body else { continue };
            for series in series.iter().filter(|series| series.signal == "probe") {
                let n: u64 = series.windows.iter().map(|window| window.distribution.count).sum();
                *counted.entry(series.labels.get("result").to_owned()).or_default() += n;
            }
        }
    }
    counted
}

/// The server, in a process of its own.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Result<Self> {
        let own = std::env::current_exe()?;
        let mut child =
            Command::new(own).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("it was piped")?;
        let mut lines = BufReader::new(output);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        child.stdout = Some(lines.into_inner());
        Ok(Self { port: line.trim().parse()?, child })
    }

    /// How late each request was, in microseconds, sorted.
    fn errors(&mut self) -> Result<Vec<u64>> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.child.stdout.take().context("it was piped")?.read_to_string(&mut text)?;
        self.child.wait()?;
        let mut by_probe: BTreeMap<&str, Vec<u128>> = BTreeMap::new();
        for line in text.lines() {
            let (probe, at) = line.split_once(' ').context("a probe and a time")?;
            by_probe.entry(probe).or_default().push(at.parse()?);
        }
        let mut errors = Vec::new();
        for times in by_probe.values().filter(|times| times.len() > SKIPPED) {
            let times = &times[SKIPPED..];
            // Modulo a period, seen from the first: half a period earlier is earlier, and not later.
            let from = |at: &u128| {
                let ahead = (at + EVERY_MICROS / 2).wrapping_sub(times[0]) % EVERY_MICROS;
                ahead as i128 - (EVERY_MICROS / 2) as i128
            };
            let earliest = times.iter().map(from).min().unwrap_or_default();
            errors.extend(times.iter().map(|at| u64::try_from(from(at) - earliest).unwrap_or(0)));
        }
        errors.sort_unstable();
        Ok(errors)
    }
}

/// Answers until its input ends; then says what was asked when.
fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    let begun = Instant::now();
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let at = begun.elapsed().as_micros();
            if let Some(path) = answered(stream) {
                let _ = sender.send((path, at));
            }
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    let mut output = std::io::stdout().lock();
    for (path, at) in asked.try_iter() {
        writeln!(output, "{path} {at}")?;
    }
    Ok(output.flush()?)
}

fn answered(mut stream: TcpStream) -> Option<String> {
    let mut buffer = [0; 1024];
    let n = stream.read(&mut buffer).ok()?;
    let request = String::from_utf8_lossy(&buffer[..n]);
    let path = request.split(' ').nth(1)?.to_owned();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .ok()?;
    Some(path)
}

/// What a process, by its id or `self`, has had of processors.
fn cpu(process: &str) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> =
        text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // USER_HZ, proc(5): 100 on every Linux there is.
    Ok(Duration::from_millis(ticks * 10))
}
