//! What a whole agent takes that looks at its host and at many processes every second.
//!
//! Owns a benchmark: an agent as it always runs (spool, seals, admin endpoint; no collector, so that batches wait on disk),
//! with one `host` source and one `process` source for each of so many processes that do nothing. It says how many CPU
//! seconds the agent took, those of its kernel calls among them, and not those of the processes. Run it as
//! `cargo run --release -p watchkeeper-agent --example idle_polling -- 300 60` (processes, seconds); with `match` behind it
//! one source finds them all by their command line.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio_util::sync::CancellationToken;
use watchkeeper_agent::app::App;
use watchkeeper_agent::config::read;
use watchkeeper_config::{Reader, load_str};

/// Before anything is measured: the first look of every source.
const WARMING_UP: Duration = Duration::from_secs(3);

/// A process that is ended with the value.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        // One that has ended by itself is no matter.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let n: u32 = arguments.next().context("how many processes?")?.parse()?;
    let seconds: u64 = arguments.next().context("how many seconds?")?.parse()?;
    let by_match = arguments.next().as_deref() == Some("match");
    let dir = tempfile::tempdir()?;
    let sleepers: Vec<Sleeper> = (0..n).map(|_| sleeper()).collect::<Result<_>>()?;
    let yaml = settings(dir.path(), &sleepers, by_match)?;
    let before_start = cpu()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Nobody else in this process has set one up.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut reader = Reader::new(&|_: &str| None);
        let settings = load_str("agent.yaml", &yaml, &mut reader)
            .and_then(|document| read(&document, &mut reader, false));
        let (settings, _) =
            reader.finish(settings).map_err(|problems| anyhow::anyhow!(problems.render()))?;
        let stop = CancellationToken::new();
        let running = tokio::spawn(App::build(settings)?.run(stop.clone()));
        tokio::time::sleep(WARMING_UP).await;
        let starting = cpu()? - before_start;
        let before = cpu()?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let took = cpu()? - before;
        let share = 100.0 * took / seconds as f64;
        println!("{n} processes, {seconds} s: {took:.2} CPU-s, {share:.2} % of a core ({starting:.2} CPU-s to start)");
        ensure!(!running.is_finished(), "the agent ended by itself");
        // What waits for a collector is no part of this.
        running.abort();
        Ok(())
    })
}

fn sleeper() -> Result<Sleeper> {
    let mut command = Command::new("sleep");
    Ok(Sleeper(command.arg("100000").stdin(Stdio::null()).spawn()?))
}

fn settings(dir: &Path, sleepers: &[Sleeper], by_match: bool) -> Result<String> {
    let mut yaml = format!(
        "agent: {{id: idle, data_dir: {}, admin: '127.0.0.1:0'}}\n\
         collector: {{grpc: {{endpoint: 'http://127.0.0.1:1'}}}}\n\
         sources:\n  - host: {{service: bench, every: 1s}}\n",
        dir.join("agent").display()
    );
    if by_match {
        yaml += "  - process: {service: bench, every: 1s, match: '^sleep 100000$'}\n";
        return Ok(yaml);
    }
    for (n, Sleeper(child)) in sleepers.iter().enumerate() {
        let path = dir.join(format!("{n}.pid"));
        std::fs::write(&path, child.id().to_string())?;
        let path = path.display();
        yaml +=
            &format!("  - process: {{name: p{n}, service: bench, every: 1s, pidfile: {path}}}\n");
    }
    Ok(yaml)
}

/// CPU seconds of this process so far, all its threads together (proc_pid_stat(5), fields 14 and 15).
fn cpu() -> Result<f64> {
    let mut text = String::new();
    std::fs::File::open("/proc/self/stat")?.read_to_string(&mut text)?;
    let (_, rest) = text.rsplit_once(')').context("stat is not understood")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
