//! All three files as they were at one time, copied while work goes on.
//!
//! Owns the order in which the three views begin, which is what makes them fit together: the ledger first, then events, then
//! the intake. Counts are durable before their events are offered, and before the engine decides anything by them; so
//! whatever the ledger or the events of a backup know of, its intake holds. Such a state is one that a crash could have left,
//! and the start after it is the usual one. Nobody has to wait: each view is a read transaction, and commits go on
//! behind it. Meanwhile the logs grow by what is written. Never writes to the store.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::database::{FileKind, open_reading};
use super::error::{InFile, StoreError};
use super::{events, intake, ledger};

/// Pages copied between two looks whether to go on.
const STEP_PAGES: i32 = 1_024;
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// So many steps are written out together, so that commits don't wait long behind them.
const STEPS_PER_SYNC: u32 = 16;

/// The three views, held open until they are dropped.
pub struct Snapshot {
    files: Vec<(FileKind, Connection)>,
    _held: Held,
}

/// Counts those that hold a view: as long as there is one, logs can't be emptied.
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    pub(super) fn new(n: &Arc<AtomicUsize>) -> Self {
        n.fetch_add(1, Ordering::AcqRel);
        Self(n.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why a copy ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFailed {
    /// It was told to.
    Stopped,
    /// Reading or writing failed.
    Store(StoreError),
}

impl From<StoreError> for CopyFailed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Snapshot {
    /// Begins the views of the files in `data_dir`.
    pub(super) fn begin(data_dir: &Path, held: Held) -> Result<Self, StoreError> {
        let mut files = Vec::new();
        for kind in [ledger::KIND, events::KIND, intake::KIND] {
            let conn = open_reading(&data_dir.join(file_name(kind.name)), kind.name)?;
            // The view begins with the first read.
            conn.execute_batch("BEGIN; SELECT count(*) FROM meta;").in_file(kind.name)?;
            files.push((kind, conn));
        }
        Ok(Self { files, _held: held })
    }

    /// Bytes that copies will have.
    pub fn n_bytes(&self) -> Result<u64, StoreError> {
        let mut sum = 0;
        for (kind, conn) in &self.files {
            let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let pages = || Ok(pragma("page_count")?.saturating_mul(pragma("page_size")?));
            sum += pages().in_file(kind.name)?.unsigned_abs();
        }
        Ok(sum)
    }

    /// The greatest numbers given out to incidents and deliveries.
    pub fn last_numbers(&self) -> Result<(u64, u64), StoreError> {
        let Some((_, ledger)) = self.files.iter().find(|(kind, _)| kind.name == ledger::KIND.name)
        else {
            return Err(StoreError::bug("ledger", "a snapshot without it"));
        };
        let last = |sequence| ledger::last(ledger, sequence);
        Ok((last(ledger::Sequence::Incident)?, last(ledger::Sequence::Delivery)?))
    }

    /// Copies each file into `to`, durably, until `is_over` says so; the paths.
    pub fn copy_to(
        &self,
        to: &Path,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Vec<PathBuf>, CopyFailed> {
        self.files
            .iter()
            .map(|(kind, conn)| {
                let path = to.join(file_name(kind.name));
                copy(kind.name, conn, &path, is_over)?;
                Ok(path)
            })
            .collect()
    }
}

/// `intake.db`.
pub(crate) fn file_name(name: &str) -> String {
    format!("{name}.db")
}

fn copy(
    file: &'static str,
    from: &Connection,
    path: &Path,
    is_over: &dyn Fn() -> bool,
) -> Result<(), CopyFailed> {
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull => {
            StoreError::Full { file, detail: format!("{}: {error}", path.display()) }
        }
        _ => StoreError::io(path, &error),
    };
    // What is in it was nobody else's to read where it came from.
    let made =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    let mut to = Connection::open(path).in_file(file)?;
    // A copy that is not finished is thrown away: nothing in it has to be safe before the end.
    to.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(())).in_file(file)?;
    to.pragma_update(None, "synchronous", "OFF").in_file(file)?;
    {
        let backup = Backup::new(from, &mut to).in_file(file)?;
        let mut n_steps = 0;
        loop {
            match backup.step(STEP_PAGES).in_file(file)? {
                StepResult::Done => break,
                StepResult::More => {}
                // Somebody else holds the file for a moment.
                _ => std::thread::sleep(BUSY_PAUSE),
            }
            if is_over() {
                return Err(CopyFailed::Stopped);
            }
            n_steps += 1;
            if n_steps % STEPS_PER_SYNC == 0 {
                made.sync_data().map_err(io)?;
            }
        }
    }
    to.close().map_err(|(_, error)| StoreError::of(file, &error))?;
    // One file that can be read where nothing may be written, without a log beside it.
    let to = Connection::open(path).in_file(file)?;
    to.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).in_file(file)?;
    to.close().map_err(|(_, error)| StoreError::of(file, &error))?;
    File::open(path).and_then(|file| file.sync_all()).map_err(io)?;
    Ok(())
}
