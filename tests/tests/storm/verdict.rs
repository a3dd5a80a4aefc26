//! What has to hold when the storm is over.
//!
//! Owns the bounds. Changes nothing but what ends: it writes good lines until all incidents are closed.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;
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
        self.close_incidents().await;
        self.wait_counted(2 * SOON).await;
        // What is counted twice comes late: a second look after more than two flushes.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        self.wait_counted(SOON).await;
        self.receiver.assert_right(had_trouble);
        self.assert_nothing_lost().await;
        self.assert_parked_is_flipped();
        self.assert_bounded().await;
        self.measure();
        self.tally.n_lines = self.written().values().sum();
        println!("incidents:\n{}\n{}", self.receiver.story(), self.tally);
    }

    /// The shop works: whatever was told ends. What came and went is held until it has been calm, which the collector
    /// says; nothing else is waited for.
    async fn close_incidents(&mut self) {
        let began = Instant::now();
        let mut deadline = began + 2 * SOON;
        while !self.receiver.open().is_empty() {
            if let Some((what, minutes)) = self.longest_hold().await {
                let until = began + Duration::from_secs(60 * minutes) + 2 * SOON;
                if until > deadline {
                    println!("waiting for what is held until it is calm for {minutes}m: {what}");
                    deadline = until;
                }
                self.tally.held_s = began.elapsed().as_secs();
            }
            if Instant::now() > deadline {
                panic!("still open after {:?}\n{}", began.elapsed(), self.report().await);
            }
            for host in &mut self.hosts {
                (0..20).for_each(|_| host.logs[0].line(200, 1.0).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The alert that has to be calm for longest, and for how many minutes.
    async fn longest_hold(&self) -> Option<(String, u64)> {
        let alerts = self.site.api("alerts").await.ok()?;
        let held = alerts["alerts"].as_array()?.iter().filter_map(|alert| {
            let (_, calm) = alert["reason"].as_str()?.split_once("held until it is calm for ")?;
            let minutes = calm.split_once('m')?.0.parse().ok()?;
            (alert["state"] == "firing").then(|| (alert["labels"].to_string(), minutes))
        });
        held.max_by_key(|(_, minutes)| *minutes)
    }

    /// Only what was broken on its way is no message of ours. One may come twice, if whoever parks it dies meanwhile.
    fn assert_parked_is_flipped(&self) {
        let (n_parked, n_flips) = (self.tally.n_parked, self.tally.n_faults("flip"));
        assert!(n_parked <= 2 * n_flips, "{n_parked} messages parked, {n_flips} bits flipped");
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
