//! Putting the data of a collector out of the way of a restore.
//!
//! Owns which files are its data. Moves them and deletes nothing: whoever restores may have been wrong.

use std::path::{Path, PathBuf};

use watchkeeper_model::Timestamp;

use super::disk;
use super::error::BackupError;

/// What belongs to a database besides it: a log that is left beside another file would ruin it.
const PARTS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The data there are in `dir`.
pub(super) fn data_in(dir: &Path) -> Vec<PathBuf> {
    let names = ["intake.db", "ledger.db", "events.db"];
    let parts = names.iter().flat_map(|name| PARTS.map(|part| dir.join(format!("{name}{part}"))));
    parts.filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// Moves these into a directory of their own in `dir`, durably; which.
pub(super) fn put_aside(
    dir: &Path,
    data: &[PathBuf],
    now: Timestamp,
) -> Result<PathBuf, BackupError> {
    let stamp: String = now.rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
    let mut aside = dir.join(format!("replaced-{stamp}"));
    let mut n = 1;
    loop {
        match std::fs::create_dir(&aside) {
            Ok(()) => break,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && n < 1_000 => {
                n += 1;
                aside = dir.join(format!("replaced-{stamp}-{n}"));
            }
            Err(error) => return Err(BackupError::io(&aside, &error)),
        }
    }
    disk::hand_over(std::slice::from_ref(&aside), dir)?;
    for path in data {
        let name = path.file_name().unwrap_or_default();
        std::fs::rename(path, aside.join(name)).map_err(|e| BackupError::io(path, &e))?;
    }
    disk::sync_dir(&aside)?;
    disk::sync_dir(dir)?;
    Ok(aside)
}
