//! Putting a backup in place of a collector's data.
//!
//! Owns the order: copy, compare, look through, only then move what is there aside and the copies in. As long as that is
//! not done a mark lies in the directory, and no collector opens it. The data get a new incarnation at the next start, so that
//! agents offer again what is missing; numbers go on where none was given out. Never overwrites and never deletes data.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use watchkeeper_model::Timestamp;

use super::error::BackupError;
use super::manifest::Manifest;
use super::numbers::{self, Orphan, Replaced};
use super::{aside, disk, verify};
use crate::store::{DirLock, RESTORING};

/// Where copies lie until they are in place.
const STAGE: &str = ".restoring-files";

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What was restored.
    pub manifest: Manifest,
    /// Where the data from before lie, if there were any.
    pub set_aside: Option<PathBuf>,
    /// Incidents from here on are new ones.
    pub next_incident: u64,
    /// Whether the ledger from before could be asked for incidents that are open and not known any more.
    pub asked_replaced: bool,
    /// Those it told of.
    pub orphans: Vec<Orphan>,
}

/// Restores the backup in `from` to `to`, the `data_dir` of a collector that is stopped. Data that are there are put aside
/// if `force`.
///
/// # Errors
/// If the backup is not whole, a collector runs there, or there are data and not `force`: nothing was changed then. Later
/// errors leave the mark, and what was put aside where it is: restoring again goes on.
pub fn restore(
    from: &Path,
    to: &Path,
    force: bool,
    now: Timestamp,
) -> Result<Restored, BackupError> {
    let manifest = Manifest::read(from)?;
    let _lock = DirLock::take(to)?;
    let is_resumed = to.join(RESTORING).exists();
    let data = aside::data_in(to);
    if !data.is_empty() && !force {
        return Err(BackupError::NotEmpty { path: to.to_owned() });
    }
    let stage = to.join(STAGE);
    clear(&stage)?;
    let staged = copy(from, &stage, &manifest);
    if staged.is_err() {
        // Half a copy is of no use, and may be what fills the disk.
        let _ = clear(&stage);
    }
    let staged = staged?;
    if !is_resumed {
        let text = "a restore is under way or was interrupted: `watchkeeper restore` finishes it\n";
        disk::write(&to.join(RESTORING), text)?;
        disk::sync_dir(to)?;
    }
    let set_aside = if data.is_empty() { None } else { Some(aside::put_aside(to, &data, now)?) };
    let ledger = set_aside.as_ref().map(|dir| dir.join("ledger.db"));
    let replaced = ledger.and_then(|ledger| numbers::replaced(&ledger, &manifest));
    let asked_replaced = replaced.is_some();
    let Replaced { last_incident, last_delivery, orphans } = replaced.unwrap_or_default();
    let incident = numbers::jump(manifest.last_incident, manifest.made_at, now).max(last_incident);
    let delivery = numbers::jump(manifest.last_delivery, manifest.made_at, now).max(last_delivery);
    numbers::go_on_behind(&stage.join("ledger.db"), incident, delivery)?;
    begin_anew(&stage.join("intake.db"))?;
    disk::hand_over(&staged, to)?;
    for path in &staged {
        disk::sync_file(path)?;
        let name = path.file_name().unwrap_or_default();
        disk::rename_new(path, &to.join(name))?;
    }
    std::fs::remove_dir(&stage).map_err(|e| BackupError::io(&stage, &e))?;
    disk::hand_over(&[to.join("lock")], to)?;
    disk::sync_dir(to)?;
    let mark = to.join(RESTORING);
    std::fs::remove_file(&mark).map_err(|e| BackupError::io(&mark, &e))?;
    disk::sync_dir(to)?;
    let next_incident = incident.saturating_add(1);
    Ok(Restored { manifest, set_aside, next_incident, asked_replaced, orphans })
}

/// Copies all files and looks through the copies.
fn copy(from: &Path, stage: &Path, manifest: &Manifest) -> Result<Vec<PathBuf>, BackupError> {
    std::fs::create_dir(stage).map_err(|e| BackupError::io(stage, &e))?;
    let copied = manifest.files.iter().map(|file| {
        let (source, target) = (from.join(&file.name), stage.join(&file.name));
        verify::compare(file, &source, disk::copy(&source, &target)?)?;
        verify::sound(manifest, &file.name, &target)?;
        Ok(target)
    });
    copied.collect()
}

/// What an attempt before this one left.
fn clear(stage: &Path) -> Result<(), BackupError> {
    match std::fs::remove_dir_all(stage) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BackupError::io(stage, &error))
        }
        _ => Ok(()),
    }
}

/// Without what binds them to a file, data are those of a new incarnation.
fn begin_anew(intake: &Path) -> Result<(), BackupError> {
    let write = || -> rusqlite::Result<()> {
        let conn = Connection::open(intake)?;
        conn.execute("DELETE FROM meta WHERE key IN ('incarnation', 'bound_to')", [])?;
        conn.close().map_err(|(_, error)| error)
    };
    let failed =
        |e: rusqlite::Error| BackupError::Io { path: intake.to_owned(), detail: e.to_string() };
    write().map_err(failed)
}
