//! What can go wrong with a backup, and what would be right.
//!
//! Owns the wording. Whatever it says, nothing half is left under the name of a backup or of data.

use std::path::{Path, PathBuf};

use crate::store::{CopyFailed, StoreError};

/// A backup that was not made, or not restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Something lies where the backup is to be.
    #[error("{path}: is there already; a backup overwrites nothing: give a name that is not taken")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The directory that is to hold it is missing, or no directory.
    #[error(
        "{path}: no directory for the backup {name}: make it first, or mount what belongs there"
    )]
    NoParent {
        /// The directory.
        path: PathBuf,
        /// The backup's name in it.
        name: String,
    },
    /// A path without a beginning means something else to each process.
    #[error("{path}: is no absolute path")]
    Relative {
        /// What was given.
        path: PathBuf,
    },
    /// It would be lost with what it is a backup of.
    #[error("{path}: lies in the collector's data_dir: give a place on another disk")]
    InDataDir {
        /// Where it was to be.
        path: PathBuf,
    },
    /// One at a time.
    #[error("{path}: not begun: another backup is being made")]
    Busy {
        /// Where.
        path: PathBuf,
    },
    /// There is too little room.
    #[error("{path}: needs {needed_bytes} bytes and 64 MiB to spare, and {free_bytes} are free")]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// What the copies take.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
    /// The disk filled up on the way.
    #[error("{path}: the disk is full; nothing was left there")]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// The collector ends.
    #[error("the collector is stopping: no backup was made")]
    Stopping,
    /// It is no backup.
    #[error("{path}: is no backup: {detail}")]
    NotABackup {
        /// Where.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// It was made by a newer version.
    #[error(
        "{path}: made by version {version}, which this one ({ours}) can't read: restore it with that version or a newer one"
    )]
    Newer {
        /// Where.
        path: PathBuf,
        /// Its version.
        version: String,
        /// This one.
        ours: &'static str,
    },
    /// It is not what was written.
    #[error("{path}: damaged: {detail}; nothing was restored: take another backup")]
    Damaged {
        /// Which file of it.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// There are data already.
    #[error(
        "{path}: holds a collector's data: give an empty directory, or --force to put them aside first"
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system says no.
    #[error("{path}: {detail}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it says.
        detail: String,
    },
}

impl BackupError {
    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::Full { path: path.to_owned() }
            }
            _ => Self::Io { path: path.to_owned(), detail: error.to_string() },
        }
    }

    /// What a copy that failed means, on its way to `path`.
    pub(super) fn of_copy(failed: CopyFailed, path: &Path) -> Self {
        match failed {
            CopyFailed::Stopped => Self::Stopping,
            CopyFailed::Store(StoreError::Full { .. }) => Self::Full { path: path.to_owned() },
            CopyFailed::Store(error) => Self::Store(error),
        }
    }

    /// Whether whoever asked gave something that can't be used.
    pub fn is_askers(&self) -> bool {
        matches!(
            self,
            Self::Exists { .. }
                | Self::NoParent { .. }
                | Self::Relative { .. }
                | Self::InDataDir { .. }
        )
    }
}
