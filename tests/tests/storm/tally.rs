//! Figures of a storm: what happened, and the worst that was seen of memory and spools.
//!
//! Owns the line at the end. Judges nothing.

use std::collections::BTreeMap;
use std::fmt;

use tokio::time::Instant;
use watchkeeper_tests::harness::Process;

use super::kinds::{Fault, Road, name};
use super::stage::Stage;

/// So far.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    seed: u64,
    road: Road,
    began: Instant,
    faults: BTreeMap<String, u64>,
    /// Resident memory at its worst.
    collector_bytes: u64,
    agent_bytes: u64,
    /// A spool at its largest.
    spool_bytes: u64,
    /// Messages that the broker had to park.
    pub(crate) n_parked: u64,
    /// Lines, at the end.
    pub(crate) n_lines: u64,
    /// How long the end had to wait for incidents that are held because they came and went.
    pub(crate) held_s: u64,
}

impl Tally {
    pub(crate) fn new(seed: u64, road: Road) -> Self {
        Self {
            seed,
            road,
            began: Instant::now(),
            faults: BTreeMap::new(),
            collector_bytes: 0,
            agent_bytes: 0,
            spool_bytes: 0,
            n_parked: 0,
            n_lines: 0,
            held_s: 0,
        }
    }

    /// A fault has happened.
    pub(crate) fn count(&mut self, fault: Fault) {
        *self.faults.entry(name(fault)).or_default() += 1;
    }

    /// How many faults there were whose names begin so.
    pub(crate) fn n_faults(&self, begins: &str) -> u64 {
        self.faults.iter().filter(|(name, _)| name.starts_with(begins)).map(|(_, n)| n).sum()
    }
}

impl Stage {
    /// Looks at memory and spools.
    pub(crate) fn measure(&mut self) {
        let of = |process: &Process| process.peak_rss_bytes().unwrap_or(0);
        let collector = self.site.collector.as_ref().map_or(0, of);
        let agents = self.hosts.iter_mut().map(|host| of(host.running())).max().unwrap_or(0);
        let spool = self.hosts.iter().map(super::host::Host::spool_bytes).max().unwrap_or(0);
        let tally = &mut self.tally;
        tally.collector_bytes = tally.collector_bytes.max(collector);
        tally.agent_bytes = tally.agent_bytes.max(agents);
        tally.spool_bytes = tally.spool_bytes.max(spool);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, road, n_lines, n_parked) = (self.seed, self.road, self.n_lines, self.n_parked);
        let n_faults = self.faults.values().sum::<u64>() - self.n_faults("calm");
        let s = self.began.elapsed().as_secs();
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        writeln!(
            f,
            "storm: seed {seed}, road {road:?}, {n_faults} faults, {n_lines} lines, {s} s ({} s for held incidents), \
             {n_parked} parked; at worst collector {:.0} MiB, agent {:.0} MiB, spool {:.1} MiB",
            self.held_s,
            mib(self.collector_bytes),
            mib(self.agent_bytes),
            mib(self.spool_bytes),
        )?;
        let faults: Vec<String> =
            self.faults.iter().map(|(name, n)| format!("{name} {n}")).collect();
        write!(f, "faults: {}", faults.join(", "))
    }
}
