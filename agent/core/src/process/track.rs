//! What died, started and was started again.
//!
//! Owns who is known. A process is known by its number and when it began: the same number with another beginning is another
//! process. Something was *started again* when none of the processes of before is there and others are. While one of them
//! is there, those that come and go beside it are its workers. Of more than can be known it is only known how many there are:
//! they have not started when they come into view.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchkeeper_model::Timestamp;

use super::exit::Exit;

/// So many processes are stored; if one of them is there, it is the same thing as before.
const MAX_STORED: usize = 64;

/// Which process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// When it began, in units of the system since a moment of the system: it is only compared.
    pub started: u64,
    /// Its number.
    pub pid: u32,
}

/// A process that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Which.
    pub id: Identity,
    /// When it began, by the wall clock.
    pub began: Timestamp,
}

/// Something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A process has ended.
    Died {
        /// Which.
        process: Process,
        /// How.
        exit: Exit,
        /// How many there still are.
        n_left: usize,
    },
    /// A process is there where there was none before, or beside others.
    Started {
        /// Which.
        process: Process,
        /// How many there are now.
        n_now: usize,
    },
    /// None of the processes of before is there, and this one is.
    Restarted {
        /// The last one that went.
        before: Process,
        /// The first one that came.
        after: Process,
        /// For how long there was none, as far as is known.
        down: Duration,
    },
}

/// Those that are there beside the ones that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// How many.
    pub n: usize,
    /// None of them began later, in the unit of [`Identity::started`].
    pub until: u64,
}

/// The processes of one thing that is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    known: BTreeMap<Identity, Process>,
    rest: Rest,
    /// The last one that went, when nothing is left, and when.
    gone: Option<(Process, Timestamp)>,
    /// It has been looked at least once, now or before a restart of the agent.
    has_looked: bool,
    is_dirty: bool,
}

/// The stored form. Fields may be added with a default; none is ever given another meaning.
#[derive(Serialize, Deserialize)]
struct Row {
    v: u32,
    /// What is watched.
    reads: String,
    /// Since when the machine runs, so that beginnings can be compared.
    boot: String,
    /// Beginning, number, and the former by the wall clock.
    processes: Vec<(u64, u32, i64)>,
    /// Those that are not among them.
    #[serde(default)]
    rest: Rest,
    /// The last one that went, and when.
    gone: Option<(u64, u32, i64, i64)>,
}

impl Track {
    /// Goes on from what was stored, if that was about the same on a machine that has not been started again since.
    pub fn restore(stored: &str, reads: &str, boot: &str) -> Self {
        let row = serde_json::from_str::<Row>(stored).ok();
        let Some(row) = row.filter(|row| (row.v, &*row.reads, &*row.boot) == (1, reads, boot))
        else {
            return Self::default();
        };
        let process = |started: u64, pid: u32, began: i64| Process {
            id: Identity { started, pid },
            began: Timestamp(began),
        };
        let known = row.processes.into_iter().map(|(started, pid, began)| {
            let process = process(started, pid, began);
            (process.id, process)
        });
        let gone =
            row.gone.map(|(started, pid, began, at)| (process(started, pid, began), Timestamp(at)));
        let rest = row.rest;
        Self { known: known.collect(), rest, gone, has_looked: true, is_dirty: false }
    }

    /// As it is stored.
    pub fn encode(&self, reads: &str, boot: &str) -> String {
        let n_left_out = self.known.len().saturating_sub(MAX_STORED);
        let newest = self.known.keys().next_back().map_or(0, |id| id.started);
        let until = if n_left_out > 0 { newest.max(self.rest.until) } else { self.rest.until };
        let row = Row {
            v: 1,
            reads: reads.to_owned(),
            boot: boot.to_owned(),
            processes: self
                .known
                .values()
                .take(MAX_STORED)
                .map(|p| (p.id.started, p.id.pid, p.began.nanos()))
                .collect(),
            rest: Rest { n: self.rest.n.saturating_add(n_left_out), until },
            gone: self.gone.map(|(p, at)| (p.id.started, p.id.pid, p.began.nanos(), at.nanos())),
        };
        serde_json::to_string(&row).expect("a struct of numbers and text is JSON")
    }

    /// Whether there is something that is not stored.
    pub fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// What it is now is stored.
    pub fn stored(&mut self) {
        self.is_dirty = false;
    }

    /// The processes that are there, as far as is known.
    pub fn known(&self) -> impl ExactSizeIterator<Item = &Process> {
        self.known.values()
    }

    /// How many there are, known or not.
    pub fn n(&self) -> usize {
        self.known.len().saturating_add(self.rest.n)
    }

    /// Those that are there beside the known ones.
    pub fn rest(&self) -> Rest {
        self.rest
    }

    /// Whether this one is known.
    pub fn knows(&self, id: Identity) -> bool {
        self.known.contains_key(&id)
    }

    /// Whether any process has ever been known.
    pub fn has_known(&self) -> bool {
        !self.known.is_empty() || self.gone.is_some()
    }

    /// One has ended; nothing if it was not known.
    pub fn died(&mut self, id: Identity, exit: Exit, now: Timestamp) -> Option<Change> {
        let process = self.known.remove(&id)?;
        self.is_dirty = true;
        let n_left = self.n();
        if n_left == 0 {
            self.gone = Some((process, now));
        }
        Some(Change::Died { process, exit, n_left })
    }

    /// These are there, and the rest, and no others.
    pub fn look(&mut self, seen: &[Process], rest: Rest, now: Timestamp) -> Vec<Change> {
        let seen: BTreeMap<Identity, Process> = seen.iter().map(|p| (p.id, *p)).collect();
        let before = std::mem::replace(&mut self.rest, rest);
        let unknown = seen.iter().filter(|(id, _)| !self.known.contains_key(id));
        let were_there = unknown.filter(|(id, _)| id.started <= before.until).take(before.n);
        let were_there: Vec<_> = were_there.map(|(id, process)| (*id, *process)).collect();
        self.known.extend(were_there);
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        self.is_dirty |= is_first;
        let ended: Vec<Identity> =
            self.known.keys().filter(|id| !seen.contains_key(id)).copied().collect();
        let mut changes: Vec<Change> =
            ended.into_iter().filter_map(|id| self.died(id, Exit::Unknown, now)).collect();
        let had_some = !self.known.is_empty();
        let new: Vec<Process> =
            seen.values().filter(|p| !self.known.contains_key(&p.id)).copied().collect();
        self.is_dirty |= !new.is_empty();
        self.known.extend(new.iter().map(|p| (p.id, *p)));
        let n_now = self.n();
        let started = |process: &Process| Change::Started { process: *process, n_now };
        match new.first() {
            None => {}
            Some(_) if is_first => {}
            Some(_) if had_some => changes.extend(new.iter().map(started)),
            Some(first) => changes.push(match self.gone.take() {
                Some((before, at)) => {
                    let down = now.since(at).min(first.began.since(at));
                    Change::Restarted { before, after: *first, down }
                }
                None => started(first),
            }),
        }
        changes
    }
}
