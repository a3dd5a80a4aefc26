//! What can go wrong in the store, and what its caller should do about it.
//!
//! Owns the difference between "no room at present" (to be asked again later), "this file is unusable" (a person must
//! act) and everything else. Never decides what an agent or a receiver is told.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// `SQLITE_IOERR_SHMSIZE`: the index of the log could not grow, which is a full disk by another name.
const NO_ROOM_FOR_SHM: i32 = 10 | (19 << 8);

/// A failed store operation. Nothing of it was applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no room on the disk, or the room left is held for the ledger.
    #[error("{file}: disk full: {detail}")]
    Full {
        /// Which file, `intake`.
        file: &'static str,
        /// What was tried.
        detail: String,
    },
    /// The file is no usable database. It is never replaced without being asked.
    #[error(
        "{path}: unusable database: {detail}; stop the collector, put a backup in its place, or move it away to start \
         empty (then {loss} is lost)"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
        /// What is lost without it.
        loss: &'static str,
    },
    /// The file was written by a newer version.
    #[error(
        "{path}: written by a newer version (schema {found}, this one knows {known}): run that version or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The latest schema this program knows.
        known: u32,
    },
    /// Another collector uses the directory.
    #[error("{path}: in use by another collector: stop it, or give this one its own data_dir")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A restore was interrupted: what lies there is not the whole of one backup.
    #[error("{path}: a restore was not finished: run `watchkeeper restore` again")]
    Restoring {
        /// The mark.
        path: PathBuf,
    },
    /// The writer has ended.
    #[error("{file}: store closed")]
    Closed {
        /// Which file.
        file: &'static str,
    },
    /// The read took longer than it may.
    #[error("{file}: read stopped at its time limit: ask for less")]
    Timeout {
        /// Which file.
        file: &'static str,
    },
    /// Anything else that SQLite said.
    #[error("{file}: {detail}")]
    Sqlite {
        /// Which file.
        file: &'static str,
        /// What it said.
        detail: String,
    },
    /// The file system said no.
    #[error("{path}: {detail}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        detail: String,
    },
}

impl StoreError {
    /// Whether there is just no room at present: the work is to be offered again later.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), detail: error.to_string() }
    }

    /// What an SQLite error about a file means.
    pub(super) fn of(file: &'static str, error: &rusqlite::Error) -> Self {
        let detail = error.to_string();
        match error.sqlite_error() {
            Some(e) if e.code == ErrorCode::DiskFull || e.extended_code == NO_ROOM_FOR_SHM => {
                Self::Full { file, detail }
            }
            Some(e) if e.code == ErrorCode::OperationInterrupted => Self::Timeout { file },
            _ => Self::Sqlite { file, detail },
        }
    }

    pub(super) fn bug(file: &'static str, detail: &str) -> Self {
        Self::Sqlite { file, detail: format!("bug: {detail}") }
    }
}

/// Says which file an SQLite error is about.
pub(super) trait InFile<T> {
    fn in_file(self, file: &'static str) -> Result<T, StoreError>;
}

impl<T> InFile<T> for rusqlite::Result<T> {
    fn in_file(self, file: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::of(file, &error))
    }
}
