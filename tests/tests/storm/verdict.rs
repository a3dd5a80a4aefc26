//! What has to hold when the storm is over.
//!
//! Owns the bounds. Changes nothing but what ends: it writes good lines until all incidents are closed.

use std::path::PathBuf;
use std::time::Duration;

use watchkeeper_tests::harness::Process;

use super::host::SOON;
use super::stage::Stage;

/// Resident memory of a debug build after everything.
const MAX_AGENT_BYTES: u64 = 150 << 20;
const MAX_COLLECTOR_BYTES: u64 = 300 << 20;

/// An agent's spool: `keep` holds 64 MiB at most, and nothing waits.
const MAX_SPOOL_BYTES: u64 = 80 << 20;

/// What comes and goes with requests and blocking work.
const SLACK: usize = 12;

/// Descriptors, but for those of logs, and threads of the processes: the collector's first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level(Vec<(usize, usize)>);

impl Level {
    pub(crate) fn of(stage: &mut Stage) -> Self {
        let of = |process: &Process| {
            // A rotated log is held for 10 minutes, for writers that are late.
            let is_log = |to: &PathBuf| to.to_string_lossy().contains("/logs/");
            let n = process.descriptors().iter().filter(|to| !is_log(to)).count();
            (n, process.n_threads().unwrap_or(0))
        };
        let collector = stage.site.collector.as_ref().map(of);
        let agents = stage.hosts.iter_mut().map(|host| of(host.running()));
        Self(collector.into_iter().chain(agents).collect())
    }

    fn is_about(&self, before: &Self) -> bool {
        let mut both = self.0.iter().zip(&before.0);
        both.all(|(now, then)| now.0 <= then.0 + SLACK && now.1 <= then.1 + SLACK)
    }
}

impl Stage {
    /// All that is promised.
    pub(crate) async fn judge(&mut self, had_trouble: bool) {
        self.close_incidents(had_trouble).await;
        self.wait_counted(2 * SOON).await;
        // What is counted twice comes late: a second look after more than two flushes.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        self.wait_counted(SOON).await;
        self.receiver.assert_right(had_trouble);
        self.assert_nothing_lost().await;
        self.assert_bounded().await;
        let n_lines: u64 = self.written().values().sum();
        println!("{n_lines} lines counted once; incidents:\n{}", self.receiver.story());
    }

    /// The shop works: whatever was told ends.
    async fn close_incidents(&mut self, had_trouble: bool) {
        // What came and went is held for 5 minutes, and longer each time.
        let limit = if had_trouble { 12 * SOON } else { 2 * SOON };
        let deadline = tokio::time::Instant::now() + limit;
        while !self.receiver.open().is_empty() {
            if tokio::time::Instant::now() > deadline {
                panic!("still open after {limit:?}\n{}", self.report().await);
            }
            for host in &mut self.hosts {
                (0..20).for_each(|_| host.logs[0].line(200, 1.0).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Nobody reports a loss, and nothing was refused.
    async fn assert_nothing_lost(&self) {
        let agents = self.site.api("agents").await.unwrap();
        for agent in agents["agents"].as_array().unwrap() {
            for source in agent["sources"].as_array().unwrap() {
                for key in ["bytes_abandoned", "bytes_unknown"] {
                    assert_eq!(source[key].as_u64().unwrap_or(0), 0, "{key}: {agents}");
                }
            }
        }
        let letters = self.site.api("dead-letters").await.unwrap();
        assert_eq!(letters["dead_letters"].as_array().map_or(0, Vec::len), 0, "{letters}");
    }

    /// Memory, spools, descriptors and threads.
    async fn assert_bounded(&mut self) {
        let collector = self.site.collector.as_ref().and_then(Process::rss_bytes).unwrap();
        assert!(collector < MAX_COLLECTOR_BYTES, "the collector has {collector} B");
        for host in &mut self.hosts {
            let memory = host.running().rss_bytes().unwrap();
            assert!(memory < MAX_AGENT_BYTES, "{} has {memory} B", host.name);
            let spool = host.spool_bytes();
            assert!(spool < MAX_SPOOL_BYTES, "the spool of {} has {spool} B", host.name);
        }
        let before = self.level.clone();
        let deadline = tokio::time::Instant::now() + SOON;
        let mut now = Level::of(self);
        while !now.is_about(&before) {
            if tokio::time::Instant::now() > deadline {
                let collector = self.site.collector.as_ref().map(Process::descriptors);
                let agents = self.hosts.iter_mut().map(|host| host.running().descriptors());
                let all: Vec<_> = collector.into_iter().chain(agents).collect();
                panic!("descriptors and threads were {before:?}, are {now:?}: {all:#?}");
            }
            // Blocking threads go after 10 s without work.
            tokio::time::sleep(Duration::from_millis(200)).await;
            now = Level::of(self);
        }
        println!(
            "descriptors and threads before {before:?}, after {now:?}; the collector has {collector} B"
        );
    }
}
