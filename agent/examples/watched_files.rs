//! How much of a processor watching many files takes, and that all of them are seen.
//!
//! Owns a benchmark that checks what it counts: as many looks as there was time for, each with all files, and every change
//! that it makes itself. Run it as `cargo run --release -p watchkeeper-agent --example watched_files -- 10000 60` (files, and
//! seconds); a third argument is how many files are made, written and removed again in each second.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use watchkeeper_agent::sources::{Beside, SourceSettings, Stored, Wakes, build, read};
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_config::{Reader, load_str};
use watchkeeper_daemon::clock;
use watchkeeper_model::{AgentId, Body, Labels, Timestamp};

/// What was counted.
#[derive(Debug, Default)]
struct Seen {
    n_looks: u64,
    n_files: Vec<i64>,
    n_changes: i128,
    n_events: usize,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| -> Result<u64> {
        arguments.next().map_or(Ok(default), |text| Ok(text.parse()?))
    };
    let (n_files, seconds, n_churn) = (number(10_000)?, number(60)?, number(0)?);
    let dir = tempfile::tempdir()?;
    for n in 0..n_files {
        fs::write(file(dir.path(), n)?, "WEBVTT\n")?;
    }
    // Files are no news and finished.
    std::thread::sleep(Duration::from_secs(2));
    let paths = format!("{}/**/*.vtt", dir.path().display());
    let yaml = format!(
        "watch: {{name: inbox, service: vtt, paths: ['{paths}'], every: 5s, expect: ['oldest < duration(\"1h\")']}}"
    );
    let mut acc = Accumulator::new(AgentId::new("bench"), Labels::default());
    let wakes = Wakes::new();
    let beside = Beside::new(wakes.waker());
    let mut source = build(settings(&yaml)?, Stored::default(), &mut acc, &beside);
    let (began, before) = (Instant::now(), cpu()?);
    let mut seen = Seen::default();
    let mut n_made = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        while n_churn > 0 && n_made < began.elapsed().as_secs() * n_churn {
            fs::write(file(dir.path(), n_files + n_made)?, "WEBVTT\n")?;
            if n_made >= n_churn * 10 {
                fs::remove_file(file(dir.path(), n_files + n_made - n_churn * 10)?)?;
            }
            n_made += 1;
        }
        let progress = source.poll(clock::now(), true, &mut acc);
        let checkpoint = source.checkpoint();
        source.committed(clock::now());
        drop(checkpoint);
        take(&mut acc, &mut seen);
        let longest = if n_churn > 0 { Duration::from_millis(200) } else { Duration::from_secs(1) };
        wakes.wait(progress.next.since(clock::now()).min(longest));
    }
    let took = cpu()?.saturating_sub(before);
    let share = 100.0 * took.as_secs_f64() / began.elapsed().as_secs_f64();
    println!(
        "{n_files} files, {seconds} s: {} looks, {} changes, {} events, {:.3} CPU-seconds, {share:.2} % of a core",
        seen.n_looks,
        seen.n_changes,
        seen.n_events,
        took.as_secs_f64()
    );
    ensure!(seen.n_looks + 1 >= seconds / 5, "it looked {} times only", seen.n_looks);
    let all_seen = seen.n_files.iter().all(|&n| n >= i64::try_from(n_files).unwrap_or(0));
    ensure!(all_seen, "files were not seen: {:?}", seen.n_files);
    ensure!(n_churn > 0 || seen.n_changes == 0, "changes were made up");
    Ok(())
}

/// A hundred files to a folder.
fn file(dir: &Path, n: u64) -> Result<std::path::PathBuf> {
    let folder = dir.join((n / 100 % 100).to_string());
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("recording-of-some-length-{n:06}.vtt")))
}

fn settings(yaml: &str) -> Result<SourceSettings> {
    let mut reader = Reader::new(&|_: &str| None);
    let source = load_str("bench", yaml, &mut reader).and_then(|d| read(d.root(), &mut reader));
    let read = reader.finish(source).map_err(|problems| anyhow::anyhow!(problems.render()))?;
    let mut settings = Some(read.0.settings);
    settings.take().context("no source was read")
}

fn take(acc: &mut Accumulator, seen: &mut Seen) {
    for service in acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services {
        for body in service.bodies {
            match body {
                Body::Windows { series, tallies, .. } => {
                    seen.n_looks += tallies.iter().map(|tally| tally.read).sum::<u64>();
                    for one in &series {
                        let windows =
                            one.windows.iter().filter_map(|w| w.distribution.values.as_ref());
                        match one.signal.as_str() {
                            "watch_count" => {
                                seen.n_files.extend(windows.map(|v| v.last.value / 1_000_000));
                            }
                            "watch_changes" => {
                                seen.n_changes += windows.map(|v| v.sum / 1_000_000).sum::<i128>();
                            }
                            _ => {}
                        }
                    }
                }
                Body::Events { events, .. } => seen.n_events += events.len(),
            }
        }
    }
}

/// What this process has used of processors, in user and system mode, in the kernel's ticks of 10 ms.
fn cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("no process name")?.1;
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(Duration::from_millis(ticks.sum::<Result<u64, _>>()? * 10))
}
