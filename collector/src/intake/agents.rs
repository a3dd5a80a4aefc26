//! What the intake remembers of each agent: streams, fences, series, skew.
//!
//! Owns the memory beside the store: it is filled from it and changed only after a commit. Bounded by forgetting streams
//! that can be read again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;
use watchkeeper_collector_core::dedupe::{Fence, StreamState};
use watchkeeper_model::{AgentId, Epoch, FileRef, StreamKey, Timestamp};

use super::known::KnownSeries;
use crate::store::{AgentRow, StoreError, StreamRow};

/// Streams kept in memory per agent; beyond it all are read again when asked for.
const MAX_STREAMS: usize = 4096;

/// One agent.
#[derive(Debug, Default)]
pub(super) struct AgentMemory {
    /// Batches are decided under a reading lock, a lost spool is fenced off under the writing one: so no batch of the
    /// old epoch commits between what the agent is told and the fence.
    pub(super) fences: RwLock<Vec<Fence>>,
    streams: Mutex<HashMap<StreamKey, StreamState>>,
    skew_ns: Mutex<i64>,
    known: Mutex<KnownSeries>,
    /// Batches found lost that the engine knows of, by stream.
    told_lost: Mutex<HashMap<StreamKey, u64>>,
}

impl AgentMemory {
    pub(super) fn restored(row: Option<&AgentRow>) -> Result<Self, serde_json::Error> {
        let fences = match row {
            None => Vec::new(),
            Some(row) => serde_json::from_str::<StoredAgent>(&row.body)?.into_fences(),
        };
        Ok(Self { fences: RwLock::new(fences), ..Self::default() })
    }

    /// Asks the state of a stream, reading it with `load` if it is not known.
    pub(super) fn with_stream<T>(
        &self,
        key: &StreamKey,
        load: impl FnOnce() -> Result<Option<StreamRow>, StoreError>,
        ask: impl FnOnce(&mut StreamState) -> T,
    ) -> Result<T, StoreError> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = streams.get_mut(key) {
            return Ok(ask(state));
        }
        if streams.len() >= MAX_STREAMS {
            streams.clear();
            self.told_lost.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let mut state = match load()? {
            Some(row) => StreamState::restore(row.seen, row.dead, row.digests, row.settled_below),
            None => StreamState::default(),
        };
        let answer = ask(&mut state);
        streams.insert(key.clone(), state);
        Ok(answer)
    }

    pub(super) fn forget_stream(&self, key: &StreamKey) {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// What was lost of a stream when this process first looked at it: told by the one before.
    pub(super) fn lost_before(&self, key: &StreamKey, n_lost: u64) {
        let mut told = self.told_lost.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains_key(key) {
            told.insert(key.clone(), n_lost);
        }
    }

    /// How many more are lost than were told; from now on they are told.
    pub(super) fn newly_lost(&self, key: &StreamKey, n_lost: u64) -> u64 {
        let mut told = self.told_lost.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.insert(key.clone(), n_lost).unwrap_or(n_lost);
        n_lost.saturating_sub(before)
    }

    /// What is known of its series; held while one batch is counted.
    pub(super) fn known(&self) -> MutexGuard<'_, KnownSeries> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn skew_ns(&self) -> i64 {
        *self.skew_ns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_skew_ns(&self, skew_ns: i64) {
        *self.skew_ns.lock().unwrap_or_else(PoisonError::into_inner) = skew_ns;
    }
}

/// The row's form: versioned by its field names, unknown ones are ignored.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredAgent {
    fences: Vec<StoredFence>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredFence {
    since: Timestamp,
    held: Vec<String>,
    lost: Vec<String>,
    /// Source, inode, born, told.
    told: Vec<(String, u64, Timestamp, u64)>,
}

impl StoredAgent {
    fn into_fences(self) -> Vec<Fence> {
        let epochs =
            |texts: Vec<String>| texts.iter().filter_map(|t| t.parse::<Epoch>().ok()).collect();
        self.fences
            .into_iter()
            .map(|f| Fence {
                since: f.since,
                held: epochs(f.held),
                lost: epochs(f.lost),
                told: f
                    .told
                    .into_iter()
                    .map(|(source, inode, born, told)| ((source, FileRef { inode, born }), told))
                    .collect(),
            })
            .collect()
    }
}

/// The row that keeps these fences.
pub(super) fn row(agent: &AgentId, fences: &[Fence], now: Timestamp) -> AgentRow {
    let epochs = |epochs: &[Epoch]| epochs.iter().map(Epoch::to_string).collect();
    let fences = fences
        .iter()
        .map(|f| StoredFence {
            since: f.since,
            held: epochs(&f.held),
            lost: epochs(&f.lost),
            told: f
                .told
                .iter()
                .map(|((s, file), to)| (s.clone(), file.inode, file.born, *to))
                .collect(),
        })
        .collect();
    let body = serde_json::to_string(&StoredAgent { fences }).unwrap_or_default();
    AgentRow { id: agent.clone(), updated_at: now, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_come_back_as_they_were_stored() {
        let epoch = Epoch { created_at: Timestamp(5), random: 6 };
        let file = FileRef { inode: u64::MAX, born: Timestamp(7) };
        let fence = Fence {
            since: Timestamp(9),
            held: vec![epoch],
            lost: vec![epoch],
            told: [(("log".to_owned(), file), 50)].into(),
        };
        let row = row(&AgentId::new("web-1"), std::slice::from_ref(&fence), Timestamp(1));
        let memory = AgentMemory::restored(Some(&row)).unwrap();
        assert_eq!(memory.fences.into_inner(), [fence]);
    }
}
