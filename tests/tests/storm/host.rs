//! A machine of the storm: an agent with its spool, its logs, its disk and its ways to the collector.
//!
//! Owns the truth about its lines, and its process. Decides nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;
use watchkeeper_tests::harness::{
    LogWriter, Process, Proxy, SmallDisk, Totals, binary, eventually, free_port, get_text, uri,
};

use super::clock;
use super::kinds::Way;
use super::plan::Rotation;

const LOGS: [&str; 2] = ["a.log", "b.log"];

/// How long something healthy may take, on a busy machine and with debug builds.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// An agent and what it stands on.
#[derive(Debug)]
pub(crate) struct Host {
    /// The agent's id.
    pub(crate) id: String,
    /// The value of the label `host`: whose lines they are.
    pub(crate) name: String,
    directory: PathBuf,
    admin_port: u16,
    /// Between it and the collector, or the broker: the better way first.
    pub(crate) ways: Vec<(Way, Proxy)>,
    /// While it runs.
    pub(crate) process: Option<Process>,
    /// What writes its logs.
    pub(crate) logs: Vec<LogWriter>,
    /// What its data lie on.
    pub(crate) disk: Option<SmallDisk>,
    /// How many seconds its clock is ahead.
    pub(crate) clock_s: i64,
    /// Copies that were made of a log; every other one becomes a gzip file.
    n_copies: u64,
    /// Until the right clock has caught up with what the agent took for now.
    ahead_until: Option<Instant>,
    /// Which of its configurations holds.
    pub(crate) variant: u64,
    /// Whether it is held still.
    pub(crate) is_frozen: bool,
    /// Whether its disk is full.
    pub(crate) is_full: bool,
}

impl Host {
    /// One with this id, whose lines have this name, by ways to these ports; its files are in `directory`. Nothing runs yet.
    pub(crate) async fn new(id: &str, name: &str, directory: &Path, to: &[(Way, u16)]) -> Self {
        std::fs::create_dir_all(directory.join("logs")).unwrap();
        let open = |log: &str| LogWriter::open(&directory.join("logs").join(log)).unwrap();
        let mut ways = Vec::new();
        for (way, port) in to {
            ways.push((*way, Proxy::start(*port).await.unwrap()));
        }
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            directory: directory.to_path_buf(),
            admin_port: free_port(),
            ways,
            process: None,
            logs: LOGS.map(open).into(),
            disk: None,
            clock_s: 0,
            n_copies: 0,
            ahead_until: None,
            variant: 0,
            is_frozen: false,
            is_full: false,
        }
    }

    /// Where the spool lies.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("disk").join("data")
    }

    /// One of its ways.
    pub(crate) fn way(&self, way: Way) -> &Proxy {
        let (_, proxy) = self.ways.iter().find(|(known, _)| *known == way).expect("it has it");
        proxy
    }

    /// Gives it a disk of its own, if that can be.
    pub(crate) fn mount(&mut self) {
        self.disk = SmallDisk::mount(&self.directory.join("disk"), "96m");
    }

    /// Writes its configuration. All variants count the same.
    pub(crate) fn configure(&self) {
        let (flush, source, bounds) = [
            ("250ms", "shop-log", "[200ms]"),
            ("100ms", "shop-log", "[100ms, 200ms, 1s]"),
            ("500ms", "renamed", "[200ms]"),
        ][self.variant as usize];
        let to_collector = |(way, proxy): &(Way, Proxy)| match way {
            Way::Grpc => format!("  grpc: {{endpoint: 'http://127.0.0.1:{}'}}\n", proxy.port()),
            Way::Amqp => format!("  amqp: {{uri: '{}'}}\n", uri(proxy.port())),
        };
        let text = format!(
            "agent:\n  id: {}\n  data_dir: '{}'\n  admin: 127.0.0.1:{}\n  labels: {{host: {}}}\n  flush: {flush}\n\
             collector:\n{}sources:\n  - tail:\n      name: {source}\n      service: shop\n\
             \x20     paths: ['{logs}/*.log', '{logs}/*.log.*.gz']\n      compressed: read\n\
             \x20     start_at: beginning\n      format: json\n      signals:\n\
             \x20       - {{name: requests, value: {{field: duration_ms, unit: ms}}, labels: {{status: status}}, bounds: {bounds}}}\n\
             \x20     events:\n        - {{name: error, where: 'level == \"error\"', severity: error, message: msg}}\n",
            self.id,
            self.data().display(),
            self.admin_port,
            self.name,
            self.ways.iter().map(to_collector).collect::<String>(),
            logs = self.directory.join("logs").display(),
        );
        // Never half of it: the agent may read the file at any time.
        let new = self.directory.join("agent.yaml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.directory.join("agent.yaml")).unwrap();
    }

    /// Starts the agent with whatever clock it has.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(binary("watchkeeper-agent"));
        command.arg("--config").arg(self.directory.join("agent.yaml"));
        if self.clock_s != 0
            && let Some(library) = clock::library()
        {
            clock::set_wrong(&mut command, &library, self.clock_s);
        }
        let log = self.directory.join("agent.log");
        self.process = Some(Process::start_command(&mut command, &log).unwrap());
        self.is_frozen = false;
    }

    /// The agent is started anew with a clock that is so many seconds ahead.
    pub(crate) fn set_clock(&mut self, seconds: i64) {
        let ahead = u64::try_from(self.clock_s.max(seconds)).unwrap_or(0);
        let until = Instant::now() + Duration::from_secs(ahead);
        self.ahead_until = self.ahead_until.max(Some(until));
        self.clock_s = seconds;
        self.kill();
        self.start();
    }

    /// Whether a log may rotate at any moment. Not while the agent's last look lies in the future: what is made and
    /// rotated away before the next one is not found by an agent that is started in between (ARCHITECTURE.md, Known
    /// limits). Here it is not even by a running one: its clock is wrong alone, files have the time of the machine.
    pub(crate) fn may_rotate(&self) -> bool {
        self.ahead_until.is_none_or(|until| until < Instant::now())
    }

    /// Rotates a log, as logrotate does.
    pub(crate) async fn rotate(&mut self, rotation: Rotation) {
        if !self.may_rotate() {
            return;
        }
        match rotation {
            Rotation::No => {}
            Rotation::CopyTruncate if !self.is_frozen && !self.is_full => {
                // What is cut before it is read is lost, as everybody knows: logrotate's users wait and hope.
                self.read_whole().await;
                let copy = self.logs[0].rotate_by_copytruncate().unwrap();
                self.n_copies += 1;
                if self.n_copies.is_multiple_of(2) {
                    LogWriter::compress(&copy).unwrap();
                }
            }
            Rotation::Rename | Rotation::CopyTruncate => {
                self.logs[1].rotate_by_rename().unwrap();
            }
            Rotation::Compress => {
                let rotated = self.logs[1].rotate_by_rename().unwrap();
                LogWriter::compress(&rotated).unwrap();
            }
        }
    }

    /// More rotations than anybody can watch, with lines in each file; every third becomes a gzip file.
    pub(crate) fn rush(&mut self, n_rotations: u64, n_lines: u64) {
        for n_rotation in 0..n_rotations {
            for n in 0..n_lines {
                self.logs[1].line(200, n as f64).unwrap();
            }
            if !self.may_rotate() {
                continue;
            }
            let rotated = self.logs[1].rotate_by_rename().unwrap();
            if n_rotation % 3 == 0 {
                LogWriter::compress(&rotated).unwrap();
            }
        }
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.running().kill();
        self.is_frozen = false;
    }

    /// The agent, which runs.
    pub(crate) fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was started with the storm")
    }

    /// A service starts an agent again that has ended by itself. It may do so only for want of room.
    pub(crate) fn supervise(&mut self) {
        if !self.running().is_running() {
            let log = self.running().log();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            assert!(self.is_full, "{} ended by itself: {last:#?}", self.name);
            self.start();
        }
    }

    /// Lines that were written, by host and status.
    pub(crate) fn written(&self) -> Totals {
        let mut all = Totals::new();
        for (status, n) in self.logs.iter().flat_map(|log| &log.written) {
            *all.entry(format!("{} {status}", self.name)).or_default() += n;
        }
        all
    }

    /// Waits until everything written is read and sealed.
    pub(crate) async fn read_whole(&self) {
        eventually(&format!("{} has read everything", self.name), SOON, || async {
            let lags = self.metric("watchkeeper_source_lag_bytes{").await?;
            (!lags.is_empty() && lags.iter().all(|lag| *lag == 0.0)).then_some(())
        })
        .await;
    }

    /// The values of a metric.
    pub(crate) async fn metric(&self, begins: &str) -> Option<Vec<f64>> {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        let (_, text) = get_text(&url).await.ok()?;
        let lines = text.lines().filter(|line| line.starts_with(begins));
        Some(lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect())
    }

    /// Deletes rotated files, which are read.
    pub(crate) fn tidy_logs(&self) {
        for entry in std::fs::read_dir(self.directory.join("logs")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end != "log") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// Bytes that its spool has on disk.
    pub(crate) fn spool_bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.data()).unwrap().filter_map(Result::ok);
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    }
}
