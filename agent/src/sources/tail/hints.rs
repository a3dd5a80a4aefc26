//! Listening for changes in directories.
//!
//! Owns the watches. What is heard is a hint to look sooner and nothing else: it may be missed, doubled or wrong, and
//! where there is no notification at all polling finds the same, only later.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::disk::DirectoryId;
use super::facts;
use crate::sources::Waker;

/// More different paths than this between two looks are a reason to look at everything.
const MAX_PATHS: usize = 256;

/// More directories than this are only polled.
pub(super) const MAX_DIRECTORIES: usize = 1_000;

/// After this much listening without a pause the ear rests.
const BURST: Duration = Duration::from_millis(1);

/// How long it rests.
const REST: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) paths: BTreeSet<PathBuf>,
    /// Something was made, renamed or removed: a name that is known may be another file's by now.
    pub(super) names_changed: bool,
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
                self.names_changed |= matches!(
                    event.kind,
                    EventKind::Create(_)
                        | EventKind::Remove(_)
                        | EventKind::Modify(ModifyKind::Name(_))
                );
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

/// Keeps many busy writers from costing a wake of this thread with every line: what happens during a rest waits in the
/// kernel, where the same event twice in a row is one, and is then heard at once. If too much waits, the kernel says so and
/// everything is looked at.
#[derive(Debug)]
struct Listening {
    since: Instant,
}

impl Listening {
    fn rest(&mut self) {
        let listened = self.since.elapsed();
        // After a quiet moment the first word is passed on at once, and those behind it a rest later.
        if listened >= BURST {
            std::thread::sleep(REST);
            self.since = Instant::now();
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
        let mut listening = Listening { since: Instant::now() };
        let watcher = notify::recommended_watcher(move |event| {
            let mut heard = ear.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = heard.is_empty();
            heard.note(event);
            // Whoever is awake already will look by itself.
            if was_empty && !heard.is_empty() {
                waker.wake();
            }
            drop(heard);
            listening.rest();
        });
        let watcher = watcher.inspect_err(|error| facts::no_notifications(source, error)).ok();
        Self { heard, watcher, watched: BTreeMap::new() }
    }

    /// Hears nothing: what is read only lies there, or tells by itself.
    pub(super) fn none() -> Self {
        Self { heard: Arc::default(), watcher: None, watched: BTreeMap::new() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, RenameMode};

    #[test]
    fn writing_changes_no_names_and_everything_else_does() {
        for (kind, names_changed) in [
            (EventKind::Modify(ModifyKind::Data(DataChange::Any)), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), false),
            (EventKind::Create(CreateKind::File), true),
            (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), true),
            (EventKind::Remove(notify::event::RemoveKind::File), true),
        ] {
            let mut heard = Heard::default();
            heard.note(Ok(Event::new(kind).add_path("/l/app.log".into())));
            assert_eq!((heard.names_changed, heard.paths.len()), (names_changed, 1), "{kind:?}");
        }
    }
}
