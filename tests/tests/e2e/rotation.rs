//! A fast writer whose file is renamed again and again: every line is counted once, whatever the pace.
//!
//! The promise is 50 MB/s with one rename a second:
//! `ROTATION_SECONDS=20 ROTATION_MB=50 ROTATION_EVERY_MS=1000 WATCHKEEPER_BINARIES=target/release cargo test --release -p
//! watchkeeper-tests --test e2e rotation -- --nocapture`. Without these variables it is short, for a debug build.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use watchkeeper_tests::harness::{LogWriter, Site, Totals, eventually};

/// Lines of one value of the label `block`.
const BLOCK: u64 = 100_000;

/// What a write gives to the kernel: a logger's buffer, which ends anywhere in a line.
const BUFFER_BYTES: usize = 64 << 10;

/// What lines say, of various length.
const PAD: &str = "request done, as every request before it was, and as every request after it will be, one hopes; \
                   what else should a shop do with a request but to do it?";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

/// The program that writes: it numbers its lines from 1.
struct Writer {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    next: u64,
    n_bytes: u64,
    n_rotations: u32,
    /// Rotated files that are kept; older ones are deleted.
    keep: u32,
}

impl Writer {
    fn open(path: &Path, keep: u32) -> Self {
        Self {
            path: path.to_path_buf(),
            file: append(path),
            buffer: Vec::new(),
            next: 1,
            n_bytes: 0,
            n_rotations: 0,
            keep,
        }
    }

    /// Writes at least `bytes` more, at most a line more than that.
    fn write(&mut self, bytes: usize) {
        let mut written = 0;
        while written < bytes {
            let before = self.buffer.len();
            let (seq, block) = (self.next.to_string(), (self.next / BLOCK).to_string());
            let pad = &PAD[..40 + (self.next % 97) as usize];
            for part in [
                "{\"level\":\"info\",\"seq\":",
                &seq,
                ",\"block\":",
                &block,
                ",\"msg\":\"",
                pad,
                "\"}\n",
            ] {
                self.buffer.extend_from_slice(part.as_bytes());
            }
            self.next += 1;
            written += self.buffer.len() - before;
            if self.buffer.len() >= BUFFER_BYTES {
                self.file.write_all(&self.buffer[..BUFFER_BYTES]).unwrap();
                self.buffer.drain(..BUFFER_BYTES);
            }
        }
        self.n_bytes += written as u64;
    }

    fn flush(&mut self) {
        self.file.write_all(&self.buffer).unwrap();
        self.buffer.clear();
    }

    /// As logrotate does: `app.log` becomes `app.log.1`, that one `app.log.2`, and so on. Every other time the program
    /// notices late and goes on writing into the renamed file.
    fn rotate(&mut self, late_bytes: usize) {
        let numbered = |n: u32| PathBuf::from(format!("{}.{n}", self.path.display()));
        for n in (1..self.keep).rev().filter(|n| numbered(*n).exists()) {
            std::fs::rename(numbered(n), numbered(n + 1)).unwrap();
        }
        std::fs::rename(&self.path, numbered(1)).unwrap();
        self.n_rotations += 1;
        if self.n_rotations.is_multiple_of(2) {
            self.write(late_bytes);
        }
        self.flush();
        self.file = append(&self.path);
    }
}

fn append(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

/// Writes `mb_per_second` for so long.
fn write(path: &Path, mb_per_second: u64, lasting: Duration, every: Duration) -> Writer {
    let mut writer = Writer::open(path, setting("ROTATION_KEEP", 10) as u32);
    let per_second = mb_per_second as f64 * 1e6;
    let (began, mut due) = (Instant::now(), every);
    while began.elapsed() < lasting {
        let ahead = began.elapsed().as_secs_f64() * per_second - writer.n_bytes as f64;
        // Never so much that a rotation would have to wait for it.
        writer.write(ahead.clamp(0.0, per_second / 50.0) as usize);
        if began.elapsed() >= due {
            writer.rotate((per_second / 50.0) as usize);
            due += every;
        }
        if ahead < per_second / 100.0 {
            // The pace of writing.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    writer.flush();
    writer
}

/// What a block has to add up to.
fn expected(n: u64) -> BTreeMap<String, [u64; 4]> {
    let blocks = (0..=n / BLOCK).map(|block| {
        let (first, last) = ((block * BLOCK).max(1), ((block + 1) * BLOCK - 1).min(n));
        let count = last + 1 - first;
        (block.to_string(), [count, (first + last) * count / 2, first, last])
    });
    blocks.filter(|(_, [count, ..])| *count > 0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_writer_whose_file_is_renamed_again_and_again_loses_and_doubles_nothing() {
    let (mb, seconds) = (setting("ROTATION_MB", 4), setting("ROTATION_SECONDS", 3));
    let every = Duration::from_millis(setting("ROTATION_EVERY_MS", 300));
    let mut site = Site::new("").unwrap();
    let path = site.logs().join("app.log");
    let sources = format!(
        "  - tail:\n      service: app\n      paths: ['{}']\n      start_at: beginning\n      signals:\n\
         \x20       - {{name: lines, value: {{field: seq}}, labels: {{block: block}}}}\n",
        path.display()
    );
    site.configure_sources(&sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let lasting = Duration::from_secs(seconds);
    let writing = tokio::task::spawn_blocking(move || write(&path, mb, lasting, every));
    let written = writing.await.unwrap();
    let (done, n) = (Instant::now(), written.next - 1);
    let all = || async {
        let counted = site.counted_by("lines", "block").await.ok()?;
        (counted.values().sum::<u64>() >= n).then_some(counted)
    };
    let counted = eventually("every line is counted", Duration::from_secs(120), all).await;
    let (agent, caught_up) = (site.agent.as_ref().unwrap(), done.elapsed());
    println!(
        "{n} lines, {} MB in {seconds} s, {} rotations; all counted {caught_up:.1?} after the last one; the agent used \
         {:.1?} of processor time, at most {} MiB",
        written.n_bytes / 1_000_000,
        written.n_rotations,
        agent.cpu().unwrap_or_default(),
        agent.peak_rss_bytes().unwrap_or_default() >> 20,
    );
    let expected = expected(n);
    let counts: Totals =
        expected.iter().map(|(block, [count, ..])| (block.clone(), *count)).collect();
    assert_eq!(counted, counts);
    for (at, stat) in ["count", "sum", "min", "max"].into_iter().enumerate() {
        let stats = site.stat_by("lines", stat, "block").await.unwrap();
        for (block, wanted) in &expected {
            // Sums of modest numbers are whole in 64 bits of floating point, give or take their last bit.
            let told = stats[block].round() as u64;
            assert_eq!(told, wanted[at], "{stat} of block {block}");
        }
    }
    let source = site.source("app").await.unwrap();
    assert_eq!(
        (&source["read"], &source["bytes_abandoned"], &source["bytes_unknown"]),
        (&n.into(), &0.into(), &0.into())
    );
    assert_eq!(source["skipped"], serde_json::json!({}));
}

#[tokio::test]
async fn what_is_rotated_behind_a_link_while_the_agent_is_down_is_counted() {
    let mut site = Site::running("").await.unwrap();
    // As the kubelet does it.
    let directory = site.path().join("pods/shop_web_uid/web");
    std::fs::create_dir_all(&directory).unwrap();
    let mut log = LogWriter::open(&directory.join("0.log")).unwrap();
    std::os::unix::fs::symlink(log.path(), site.logs().join("web.log")).unwrap();
    for round in 0..3 {
        log.line(200, 1.0).unwrap();
        site.wait_counted_once(&log.written, Duration::from_secs(20)).await;
        // Perhaps not read any more, or not sealed.
        log.line(201, 1.0).unwrap();
        site.agent.as_mut().unwrap().kill();
        for _ in 0..2 {
            log.line(500, f64::from(round)).unwrap();
            log.rotate_by_rename().unwrap();
        }
        log.line(404, 1.0).unwrap();
        site.start_agent(&[]).unwrap();
    }
    site.wait_counted(&log.written, Duration::from_secs(30)).await;
    let source = site.source("shop-log").await.unwrap();
    assert_eq!((&source["bytes_abandoned"], &source["bytes_unknown"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn a_file_made_anew_is_read_at_once_however_often_it_was_renamed() {
    let site = Site::running("").await.unwrap();
    let path = site.logs().join("app.log");
    let numbered = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
    let (mut all, mut waits) = (Totals::new(), Vec::new());
    for round in 0..15 {
        // After a while every name is known: each is that of the file before it.
        for n in (1..3).rev().filter(|n| numbered(*n).exists()) {
            std::fs::rename(numbered(n), numbered(n + 1)).unwrap();
        }
        if round > 0 {
            std::fs::rename(&path, numbered(1)).unwrap();
        }
        LogWriter::open(&path).unwrap().line(200, 1.0).unwrap();
        *all.entry("200".to_owned()).or_default() += 1;
        let written = Instant::now();
        site.wait_counted_once(&all, Duration::from_secs(20)).await;
        waits.push(written.elapsed());
    }
    println!("{waits:?}");
    waits.sort_unstable();
    // Looking through the directory once a second would find it after half a second and more.
    let median = waits[waits.len() / 2];
    assert!(median < Duration::from_millis(500), "a new file is read after {median:?}");
}
