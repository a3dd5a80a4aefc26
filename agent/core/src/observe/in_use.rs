//! Which sources and signals of an accumulator somebody still counts under.
//!
//! Owns forgetting the others, so that endless reloads do not let an agent grow. Never forgets what is not sealed.

use std::collections::BTreeSet;
use std::sync::Arc;

use watchkeeper_model::Labels;

use super::accumulator::{Accumulator, SignalId, SourceId};
use super::series::SeriesSet;

/// Ids that are in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Of sources.
    pub sources: BTreeSet<SourceId>,
    /// Of signals.
    pub signals: BTreeSet<SignalId>,
}

impl InUse {
    /// Those of another one too.
    pub fn extend(&mut self, other: Self) {
        self.sources.extend(other.sources);
        self.signals.extend(other.signals);
    }
}

impl Accumulator {
    /// Forgets every source and signal that is not in use, with its label sets; their ids are given out again. What
    /// holds something that is not sealed stays until it is asked the next time.
    pub fn forget_unused(&mut self, used: &InUse) {
        for (at, source) in self.sources.iter_mut().enumerate() {
            source.is_known = used.sources.contains(&SourceId(at)) || !source.tally.is_empty();
        }
        for (at, signal) in self.signals.iter_mut().enumerate() {
            let is_sealed = signal.set.all.iter().all(|series| series.cells.is_empty());
            signal.is_known = used.signals.contains(&SignalId(at)) || !is_sealed;
            if !signal.is_known {
                signal.set = SeriesSet::new(Vec::new(), Labels::default(), 1, Arc::default());
            }
        }
    }

    /// How many sources and signals there are places for, free ones among them.
    pub fn n_places(&self) -> (usize, usize) {
        (self.sources.len(), self.signals.len())
    }
}

/// Puts something new in the first free place, and says which.
pub(super) fn put<T>(places: &mut Vec<T>, new: T, is_taken: impl Fn(&T) -> bool) -> usize {
    match places.iter().position(|place| !is_taken(place)) {
        Some(free) => {
            places[free] = new;
            free
        }
        None => {
            places.push(new);
            places.len() - 1
        }
    }
}
