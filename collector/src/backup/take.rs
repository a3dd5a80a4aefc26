//! Making a backup of a store that is in use.
//!
//! Owns the directory: everything is written beside its final name, synced, and renamed as the last step; whatever fails,
//! nothing is left under that name, and what a crash left is thrown away by the next attempt. One backup at a time.
//! Never overwrites.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rustix::fs::{FlockOperation, flock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use watchkeeper_model::Timestamp;

use super::disk;
use super::error::BackupError;
use super::manifest::{BackedUpFile, FORMAT, MANIFEST, Manifest};
use crate::store::{Store, StoreError};

/// Room that is left where the backup lies.
const SPARE_BYTES: u64 = 64 << 20;

/// Makes backups of one store.
pub struct Backups {
    store: Store,
    stop: CancellationToken,
    turn: Arc<Semaphore>,
    /// When the last one was made since the start, in Unix seconds; 0 before.
    last_at: Arc<AtomicI64>,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Where it lies.
    pub directory: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Backups {
    /// Of `store`; one under way ends with `stop`.
    pub fn new(store: Store, stop: CancellationToken) -> Self {
        let (turn, last_at) = (Arc::new(Semaphore::new(1)), Arc::default());
        Self { store, stop, turn, last_at }
    }

    /// When the last one was made since the start, in Unix seconds; 0 before.
    pub fn last_at(&self) -> Arc<AtomicI64> {
        self.last_at.clone()
    }

    /// Makes one in `to`, which must not exist, in a directory that does. Goes on if the caller does not wait.
    ///
    /// # Errors
    /// Whatever [`BackupError`] names; nothing is left then.
    pub async fn take(&self, to: PathBuf, now: Timestamp) -> Result<Taken, BackupError> {
        let turn = self.turn.clone().try_acquire_owned();
        let turn = turn.map_err(|_| BackupError::Busy { path: to.clone() })?;
        let (store, stop, last_at) = (self.store.clone(), self.stop.clone(), self.last_at.clone());
        let taking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let taken = take(&store, &to, now, &|| stop.is_cancelled())?;
            last_at.store(now.secs(), Ordering::Relaxed);
            Ok(taken)
        });
        taking.await.map_err(|_| StoreError::Closed { file: "backup" })?
    }
}

/// The directory under its first name, held while it is written.
struct Partial {
    path: PathBuf,
    _lock: File,
}

impl Partial {
    fn make(path: PathBuf) -> Result<Self, BackupError> {
        let io = |error| BackupError::io(&path, &error);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(io(error));
            }
            _ => {}
        }
        let lock = File::open(&path).map_err(io)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(BackupError::Busy { path });
        }
        let partial = Self { path, _lock: lock };
        // Left by a process that was killed: nobody holds it.
        partial.empty();
        Ok(partial)
    }

    /// Takes our own files away, and nothing else.
    fn empty(&self) {
        for name in ["ledger.db", "events.db", "intake.db", MANIFEST] {
            let _ = std::fs::remove_file(self.path.join(name));
            let _ = std::fs::remove_file(self.path.join(format!("{name}-journal")));
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the renaming there is nothing here any more.
        if self.path.exists() {
            self.empty();
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn take(
    store: &Store,
    to: &Path,
    now: Timestamp,
    is_over: &dyn Fn() -> bool,
) -> Result<Taken, BackupError> {
    let (parent, name) = place(store, to)?;
    let partial = Partial::make(parent.join(format!(".{name}.partial")))?;
    let snapshot = store.snapshot()?;
    check_room(&parent, snapshot.n_bytes()?)?;
    let copies = snapshot.copy_to(&partial.path, is_over);
    let copies = copies.map_err(|failed| BackupError::of_copy(failed, to))?;
    let (last_incident, last_delivery) = snapshot.last_numbers()?;
    // Logs may be emptied again.
    drop(snapshot);
    let files = copies.iter().map(|path| {
        let (bytes, sha256) = disk::hash(path, is_over)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(BackedUpFile { name, bytes, sha256 })
    });
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now,
        incarnation: format!("{:016x}", store.incarnation()),
        last_incident,
        last_delivery,
        files: files.collect::<Result<_, BackupError>>()?,
    };
    disk::write(&partial.path.join(MANIFEST), &manifest.to_text())?;
    disk::sync_dir(&partial.path)?;
    disk::rename_new(&partial.path, to)?;
    disk::sync_dir(&parent)?;
    Ok(Taken { directory: to.to_owned(), manifest })
}

/// Where it is to be: a directory that is there, and a name in it that is not.
fn place(store: &Store, to: &Path) -> Result<(PathBuf, String), BackupError> {
    let path = to.to_owned();
    if !to.is_absolute() {
        return Err(BackupError::Relative { path });
    }
    let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(BackupError::Exists { path });
    };
    let name = name.to_string_lossy().into_owned();
    let Ok(parent) = parent.canonicalize().and_then(|p| match p.is_dir() {
        true => Ok(p),
        false => Err(std::io::ErrorKind::NotADirectory.into()),
    }) else {
        return Err(BackupError::NoParent { path: parent.to_owned(), name });
    };
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path });
    }
    if store.data_dir().canonicalize().is_ok_and(|data_dir| parent.starts_with(data_dir)) {
        return Err(BackupError::InDataDir { path });
    }
    Ok((parent, name))
}

/// Refuses at once what would fill the disk, which may be the one the collector works on.
fn check_room(parent: &Path, needed_bytes: u64) -> Result<(), BackupError> {
    let Ok(disk) = rustix::fs::statvfs(parent) else { return Ok(()) };
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free_bytes < needed_bytes.saturating_add(SPARE_BYTES) {
        return Err(BackupError::NoRoom { path: parent.to_owned(), needed_bytes, free_bytes });
    }
    Ok(())
}
