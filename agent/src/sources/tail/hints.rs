//! Listening for changes in directories.
//!
//! Owns the watches. What is heard is a hint to look sooner and nothing else: it may be missed, doubled or wrong, and
//! where there is no notification at all polling finds the same, only later.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::disk::DirectoryId;
use super::facts;
use crate::sources::Waker;

/// More different paths than this between two looks are a reason to look at everything.
const MAX_PATHS: usize = 256;

/// More directories than this are only polled.
const MAX_DIRECTORIES: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) paths: BTreeSet<PathBuf>,
    /// Too much, or something that names no path.
    pub(super) everything: bool,
}

impl Heard {
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.everything
    }

    fn note(&mut self, event: notify::Result<Event>) {
        match event {
            // What we do ourselves: opening and reading.
            Ok(Event { kind: EventKind::Access(kind), .. })
                if kind != AccessKind::Close(AccessMode::Write) => {}
            Ok(event) if !event.need_rescan() && !event.paths.is_empty() => {
                self.paths.extend(event.paths);
            }
            _ => self.everything = true,
        }
        if self.paths.len() > MAX_PATHS {
            self.paths.clear();
            self.everything = true;
        }
    }
}

/// Watches the directories of one source.
#[derive(Debug)]
pub(super) struct Hints {
    heard: Arc<Mutex<Heard>>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, DirectoryId>,
}

impl Hints {
    pub(super) fn new(source: &str, waker: Waker) -> Self {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ear = Arc::clone(&heard);
        let watcher = notify::recommended_watcher(move |event| {
            let mut heard = ear.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = heard.is_empty();
            heard.note(event);
            // Whoever is awake already will look by itself.
            if was_empty && !heard.is_empty() {
                waker.wake();
            }
        });
        let watcher = watcher.inspect_err(|error| facts::no_notifications(source, error)).ok();
        Self { heard, watcher, watched: BTreeMap::new() }
    }

    /// What was heard since the last time.
    pub(super) fn take(&self) -> Heard {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Watches these directories and no others. A directory that was made anew under its old path is watched anew; one
    /// that can't be watched is tried again with the next listing.
    pub(super) fn watch(&mut self, directories: &BTreeMap<PathBuf, DirectoryId>) {
        let Some(watcher) = &mut self.watcher else { return };
        if *directories == self.watched {
            return;
        }
        self.watched.retain(|directory, id| {
            let stays = directories.get(directory) == Some(id);
            if !stays {
                // It may be gone altogether, and its watch with it.
                let _ = watcher.unwatch(directory);
            }
            stays
        });
        for (directory, id) in directories {
            let has_room = self.watched.len() < MAX_DIRECTORIES;
            if has_room
                && !self.watched.contains_key(directory)
                && watcher.watch(directory, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched.insert(directory.clone(), *id);
            }
        }
    }
}
