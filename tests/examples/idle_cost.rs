//! What an agent costs: on files in which nothing happens, on busy ones, and on one it has to catch up with.
//!
//! `cargo build --release --workspace`, then
//! `WATCHKEEPER_BINARIES=target/release cargo run -p watchkeeper-tests --example idle_cost -- ARGUMENTS`:
//!
//! - `idle FILES [SECONDS]`: so many files that do not grow, in directories of 100
//! - `busy FILES LINES [SECONDS]`: so many files that each grow by so many lines a second
//! - `behind GB`: one file of that size, found at the start
//!
//! It prints the agent's processor time over SECONDS (default 60), its share of one core, and its resident memory, now and
//! at most. Counts are compared with what was written.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use watchkeeper_tests::harness::{Process, Site, eventually};

const USAGE: &str =
    "usage: idle_cost idle FILES [SECONDS] | busy FILES LINES [SECONDS] | behind GB";

/// How long a file has to be quiet before it is looked at as rarely as it ever is, with some room.
const SETTLING: Duration = Duration::from_secs(15);

/// Files to a directory.
const PER_DIRECTORY: u64 = 100;

fn line(into: &mut String, n: u64) {
    let (status, millis) = (if n.is_multiple_of(50) { 500 } else { 200 }, n % 977);
    let _ = writeln!(
        into,
        "{{\"level\":\"info\",\"method\":\"GET\",\"path\":\"/cart/{n}\",\"status\":{status},\"duration_ms\":{millis}.25,\
         \"request_id\":\"req-{n:016x}\",\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64)\",\"msg\":\"request done\"}}"
    );
}

fn paths(site: &Site, n: u64) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for i in 0..n {
        let directory = site.logs().join(format!("d{}", i / PER_DIRECTORY));
        std::fs::create_dir_all(&directory)?;
        paths.push(directory.join(format!("service-{i}.log")));
    }
    Ok(paths)
}

async fn start(pattern: &Path, site: &mut Site) -> anyhow::Result<()> {
    let sources = format!(
        "  - tail:\n      service: shop\n      paths: ['{}']\n      start_at: beginning\n      signals:\n\
         \x20       - {{name: requests, value: {{field: duration_ms, unit: ms}}, labels: {{status: status, method: method}}, bounds: [200ms]}}\n",
        pattern.display()
    );
    site.configure_sources(&sources)?;
    site.start_collector(&[]).await?;
    site.start_agent(&[])
}

async fn counted(site: &Site, n: u64, limit: Duration) {
    let all = || async {
        let n_counted: u64 = site.counted().await.ok()?.values().sum();
        assert!(n_counted <= n, "{n_counted} lines were counted, {n} were written");
        (n_counted == n).then_some(())
    };
    eventually("every line is counted", limit, all).await;
}

fn agent(site: &Site) -> anyhow::Result<&Process> {
    site.agent.as_ref().context("the agent runs")
}

fn show(site: &Site, what: &str, used: Duration, over: Duration) -> anyhow::Result<()> {
    let agent = agent(site)?;
    let mib = |bytes: Option<u64>| bytes.unwrap_or_default() as f64 / f64::from(1 << 20);
    println!(
        "{what}: {:.2} s of processor time over {:.0} s, {:.2} % of a core; {:.1} MiB resident, {:.1} MiB at most",
        used.as_secs_f64(),
        over.as_secs_f64(),
        100.0 * used.as_secs_f64() / over.as_secs_f64(),
        mib(agent.rss_bytes()),
        mib(agent.peak_rss_bytes()),
    );
    Ok(())
}

async fn idle(n: u64, over: Duration) -> anyhow::Result<()> {
    let mut site = Site::new("")?;
    let mut text = String::new();
    line(&mut text, 1);
    for path in paths(&site, n)? {
        std::fs::write(path, &text)?;
    }
    let began = Instant::now();
    start(&site.logs().join("**/*.log"), &mut site).await?;
    counted(&site, n, Duration::from_secs(120)).await;
    println!("{n} files found, read and counted {:.1?} after the start", began.elapsed());
    tokio::time::sleep(SETTLING).await;
    let before = agent(&site)?.cpu().unwrap_or_default();
    tokio::time::sleep(over).await;
    let used = agent(&site)?.cpu().unwrap_or_default() - before;
    show(&site, &format!("{n} idle files"), used, over)
}

/// Appends so many lines a second to each file, ten times a second.
fn write(files: &mut [File], lines: u64, lasting: Duration) -> anyhow::Result<u64> {
    let (began, mut n, mut text) = (Instant::now(), 0, String::new());
    while began.elapsed() < lasting {
        let due = (began.elapsed().as_secs_f64() * lines as f64) as u64;
        for file in &mut *files {
            text.clear();
            (n..due).for_each(|i| line(&mut text, i));
            file.write_all(text.as_bytes())?;
        }
        n = due;
        // The pace of writing.
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(n * files.len() as u64)
}

async fn busy(n: u64, lines: u64, over: Duration) -> anyhow::Result<()> {
    let mut site = Site::new("")?;
    let open = |path: PathBuf| File::options().create(true).append(true).open(path);
    let mut files = paths(&site, n)?.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    start(&site.logs().join("**/*.log"), &mut site).await?;
    let warming = tokio::task::spawn_blocking(move || {
        let written = write(&mut files, lines, Duration::from_secs(5));
        (written, files)
    });
    let (written, mut files) = warming.await?;
    let (before, began) = (agent(&site)?.cpu().unwrap_or_default(), Instant::now());
    let more = tokio::task::spawn_blocking(move || write(&mut files, lines, over)).await??;
    let (after, over) = (agent(&site)?.cpu().unwrap_or_default(), began.elapsed());
    counted(&site, written? + more, Duration::from_secs(60)).await;
    show(&site, &format!("{n} files with {lines} lines/s each"), after - before, over)
}

async fn behind(gigabytes: f64) -> anyhow::Result<()> {
    let mut site = Site::new("")?;
    let path = site.logs().join("large.log");
    let mut file = std::io::BufWriter::with_capacity(1 << 20, File::create(&path)?);
    let (mut n, mut written, mut text) = (0, 0, String::new());
    while (written as f64) < gigabytes * 1e9 {
        text.clear();
        line(&mut text, n);
        file.write_all(text.as_bytes())?;
        written += text.len();
        n += 1;
    }
    file.flush()?;
    drop(file);
    let began = Instant::now();
    start(&path, &mut site).await?;
    counted(&site, n, Duration::from_secs(600)).await;
    let (took, used) = (began.elapsed(), agent(&site)?.cpu().unwrap_or_default());
    println!("{n} lines, {:.0} MB/s", written as f64 / 1e6 / took.as_secs_f64());
    show(&site, &format!("catching up on {gigabytes} GB"), used, took)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).map(|a| a.parse::<f64>().context(USAGE)).transpose();
    let needed = |at: usize| number(at)?.context(USAGE);
    let lasting = |at: usize| anyhow::Ok(Duration::from_secs_f64(number(at)?.unwrap_or(60.0)));
    match arguments.first().map(String::as_str) {
        Some("idle") => idle(needed(1)? as u64, lasting(2)?).await,
        Some("busy") => busy(needed(1)? as u64, needed(2)? as u64, lasting(3)?).await,
        Some("behind") => behind(needed(1)?).await,
        _ => anyhow::bail!(USAGE),
    }
}
