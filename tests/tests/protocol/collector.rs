//! The collector of the model: the real deduplication over a disk that can be lost back to a backup.
//!
//! Owns what is durable, and the group of batches of the transaction under way.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use watchkeeper_agent_core::deliver::{Outcome, StreamAnswer};
use watchkeeper_collector_core::dedupe::{
    Arrival, Content as Readable, Coverage, Decision, Fence, StreamState,
};
use watchkeeper_model::{BatchKey, Digest, Epoch, Frontier, Kind, StreamKey};

use super::agent::{Content, CrashPoint, Line};

/// What is on the collector's disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub incarnation: u64,
    pub streams: BTreeMap<StreamKey, StreamState>,
    pub coverage: BTreeMap<Epoch, (Coverage, Frontier)>,
    pub lines: BTreeMap<Line, u32>,
    pub events: BTreeMap<Line, u32>,
    /// Event bodies that tallies say were sealed.
    pub n_events_sealed: u64,
    /// Around the epochs whose spool was lost.
    pub fences: Vec<Fence>,
    pub n_buried: u64,
}

impl Disk {
    fn count(&mut self, key: &BatchKey, content: &Content) {
        let counts = match key.stream.kind {
            Kind::Windows => &mut self.lines,
            Kind::Events => &mut self.events,
        };
        for line in &content.lines {
            *counts.entry(*line).or_default() += 1;
        }
        self.n_events_sealed += content.n_events;
        let frontier = &content.frontier;
        let fresh = match key.stream.kind {
            Kind::Windows => Coverage::of(frontier),
            Kind::Events => Coverage::reached(frontier),
        };
        match self.coverage.entry(key.stream.epoch) {
            Entry::Vacant(entry) => {
                entry.insert((fresh, frontier.clone()));
            }
            Entry::Occupied(mut entry) => {
                let (coverage, last) = entry.get_mut();
                match key.stream.kind {
                    Kind::Windows => coverage.add(frontier),
                    Kind::Events => coverage.reach(frontier),
                }
                if frontier.to >= last.to {
                    *last = frontier.clone();
                }
            }
        }
    }

    pub(crate) fn n_lost_batches(&self) -> u64 {
        self.streams.values().map(|s| s.n_lost().max(s.n_missing())).sum()
    }

    pub(crate) fn gap(&self) -> u64 {
        self.coverage.values().map(|(c, _)| c.gap_bytes()).sum()
    }
}

/// What the collector puts on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Downward {
    Welcome { incarnation: u64, streams: Vec<StreamAnswer>, frontiers: Vec<Frontier> },
    Receipt { incarnation: u64, key: BatchKey, outcome: Outcome },
}

/// Who is owed an answer: a machine and its connection.
pub(crate) type Address = (usize, u64);

pub(crate) struct Collector {
    pub disk: Disk,
    pub backup: Option<Disk>,
    pub n_forks: u64,
    /// The transaction under way, and the answers that wait for it.
    working: Option<Disk>,
    owed: Vec<(Address, Downward)>,
}

impl Collector {
    pub(crate) fn new() -> Self {
        Self {
            disk: Disk { incarnation: 1, ..Disk::default() },
            backup: None,
            n_forks: 0,
            working: None,
            owed: Vec::new(),
        }
    }

    /// The fence is durable, and the batches before it are, before the agent is told how far its files were read.
    pub(crate) fn hello(&mut self, to: Address, epoch: Epoch, held: &[Epoch], is_new: bool) {
        let disk = self.working.get_or_insert_with(|| self.disk.clone());
        let known: BTreeSet<Epoch> = disk.streams.keys().map(|s| s.epoch).collect();
        if is_new {
            let mut told = BTreeMap::new();
            for (coverage, frontier) in disk.coverage.values() {
                let to = told.entry((frontier.source.clone(), frontier.file)).or_default();
                *to = coverage.max_to.max(*to);
            }
            let lost = known.into_iter().filter(|e| !held.contains(e)).collect();
            if !disk.fences.iter().any(|f| f.since == epoch.created_at && f.held.contains(&epoch)) {
                disk.fences.push(Fence {
                    since: epoch.created_at,
                    held: held.to_vec(),
                    lost,
                    told,
                });
                disk.fences.sort_by_key(|f| f.since);
            }
        }
        let of_agent = disk.streams.iter().filter(|(key, _)| held.contains(&key.epoch));
        let streams = of_agent
            .map(|(stream, state)| StreamAnswer {
                stream: stream.clone(),
                answered: state.answered(),
            })
            .collect();
        let frontiers = disk.coverage.values().map(|(_, last)| last.clone()).collect();
        let welcome = Downward::Welcome { incarnation: disk.incarnation, streams, frontiers };
        self.owed.push((to, welcome));
    }

    pub(crate) fn batch(
        &mut self,
        to: Address,
        key: BatchKey,
        digest: Digest,
        settled_below: u64,
        content: &Content,
    ) {
        let disk = self.working.get_or_insert_with(|| self.disk.clone());
        let state = disk.streams.entry(key.stream.clone()).or_default();
        let decision = state.decide(&Arrival {
            seq: key.seq,
            digest,
            content: &Readable::Good,
            frontiers: std::slice::from_ref(&content.frontier),
            sealed_at: content.sealed_at,
            fence: disk.fences.iter().find(|f| f.is_around(key.stream.epoch)),
        });
        state.settle(settled_below);
        let outcome = match decision {
            Decision::Count => {
                state.counted(key.seq, digest);
                disk.count(&key, content);
                Outcome::Durable
            }
            Decision::Repeat => Outcome::Durable,
            Decision::Bury { .. } => {
                state.buried(key.seq, digest);
                disk.n_buried += 1;
                Outcome::Refused
            }
            Decision::Refused => Outcome::Refused,
            Decision::Forked => {
                self.n_forks += 1;
                Outcome::Forked
            }
            other => unreachable!("the model sends only good batches: {other:?}"),
        };
        let incarnation = disk.incarnation;
        self.owed.push((to, Downward::Receipt { incarnation, key, outcome }));
    }

    /// Commits the group; the receipts leave only if no crash comes after the commit.
    pub(crate) fn commit(&mut self, crash: Option<CrashPoint>) -> Vec<(Address, Downward)> {
        if crash == Some(CrashPoint::BeforeCommit) {
            self.crash();
            return Vec::new();
        }
        if let Some(working) = self.working.take() {
            self.disk = working;
        }
        let owed = std::mem::take(&mut self.owed);
        if crash == Some(CrashPoint::AfterCommit) { Vec::new() } else { owed }
    }

    pub(crate) fn crash(&mut self) {
        self.working = None;
        self.owed.clear();
    }

    pub(crate) fn restore(&mut self) {
        self.crash();
        if let Some(backup) = self.backup.clone() {
            let incarnation = self.disk.incarnation + 1;
            self.disk = Disk { incarnation, ..backup };
        }
    }
}
