//! Listening for changes in folders.
//!
//! Owns the watches. What is heard is a hint to look sooner and nothing else: it may be missed or wrong, and where there is
//! no notification at all the next look finds the same. Watches are set beside the worker, for a file system that hangs
//! hangs there too. Writing is no hint, closing what was written is.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::facts;
use super::patterns::Patterns;
use crate::sources::Waker;

/// More folders than this are only looked at.
const MAX_FOLDERS: usize = 1_000;

/// After this much listening without a pause the ear rests, so long.
const BURST: Duration = Duration::from_millis(1);
const REST: Duration = Duration::from_millis(20);

/// Which folder a path led to: device and inode.
pub(super) type FolderId = (u64, u64);

/// The worker's end.
#[derive(Clone, Debug, Default)]
pub(super) struct Ear(Arc<AtomicBool>);

/// The watches.
#[derive(Debug)]
pub(super) struct Watches {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, FolderId>,
}

impl Ear {
    /// Whether something was heard that nobody has looked for yet.
    pub(super) fn has_heard(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Somebody looks.
    pub(super) fn forget(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Watches {
    /// Watches for what concerns these patterns.
    pub(super) fn new(source: &str, patterns: Arc<Patterns>, ear: &Ear, waker: Waker) -> Self {
        let heard = Arc::clone(&ear.0);
        let mut since = Instant::now();
        let watcher = notify::recommended_watcher(move |event| {
            // Whoever is awake already will look by itself.
            if concerns(&event, &patterns) && !heard.swap(true, Ordering::AcqRel) {
                waker.wake();
            }
            // What happens meanwhile waits in the kernel, where the same twice in a row is one.
            if since.elapsed() >= BURST {
                std::thread::sleep(REST);
                since = Instant::now();
            }
        });
        let watcher = watcher.inspect_err(|error| facts::no_notifications(source, error)).ok();
        Self { watcher, watched: BTreeMap::new() }
    }

    /// Watches these folders and no others. One that was made anew under its old path is watched anew; one that can't be
    /// watched is tried again with the next look.
    pub(super) fn watch(&mut self, folders: &BTreeMap<PathBuf, FolderId>) {
        let Some(watcher) = &mut self.watcher else { return };
        self.watched.retain(|folder, id| {
            let stays = folders.get(folder) == Some(id);
            if !stays {
                // It may be gone altogether, and its watch with it.
                let _ = watcher.unwatch(folder);
            }
            stays
        });
        for (folder, id) in folders {
            let has_room = self.watched.len() < MAX_FOLDERS;
            if has_room
                && !self.watched.contains_key(folder)
                && watcher.watch(folder, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched.insert(folder.clone(), *id);
            }
        }
    }
}

fn concerns(event: &notify::Result<Event>, patterns: &Patterns) -> bool {
    let Ok(event) = event else { return true };
    let matters = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(kind) => !matches!(kind, ModifyKind::Data(_)),
        _ => true,
    };
    let is_ours = |path: &PathBuf| {
        let (matches, leads) = patterns.judge(path.as_os_str().as_bytes());
        matches || leads
    };
    matters && (event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(is_ours))
}

#[cfg(test)]
mod tests {
    use glob::Pattern;
    use notify::event::{CreateKind, DataChange, MetadataKind, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn what_is_closed_made_renamed_or_removed_is_a_hint_and_writing_is_none() {
        let patterns = Patterns::new(&[Pattern::new("/in/*/a*").unwrap()], &[]);
        for (kind, hint) in [
            (EventKind::Modify(ModifyKind::Data(DataChange::Any)), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), true),
            (EventKind::Create(CreateKind::File), true),
            (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), true),
            (EventKind::Remove(RemoveKind::File), true),
        ] {
            for (path, ours) in [("/in/x/abc", true), ("/in/x/b", false), ("/in/x", true)] {
                let event = Ok(Event::new(kind).add_path(path.into()));
                assert_eq!(concerns(&event, &patterns), hint && ours, "{kind:?} {path}");
            }
        }
    }
}
