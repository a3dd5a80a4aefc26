//! Whether a backup is whole: sizes and hashes as its manifest says, files that SQLite finds sound, of a version we know.
//!
//! Owns the looking. Never writes anything: a backup may lie where nobody can.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::disk;
use super::error::BackupError;
use super::manifest::{BackedUpFile, Manifest};
use crate::store::known_schema;

/// Looks through the backup in `dir`. Reads every byte of it.
///
/// # Errors
/// What is wrong with it.
pub fn verify(dir: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(dir)?;
    for file in &manifest.files {
        let path = dir.join(&file.name);
        compare(file, &path, disk::hash(&path, &|| false)?)?;
        sound(&manifest, &file.name, &path)?;
    }
    Ok(manifest)
}

/// Whether a file is what the manifest says.
pub(super) fn compare(
    file: &BackedUpFile,
    path: &Path,
    (bytes, sha256): (u64, String),
) -> Result<(), BackupError> {
    let detail = match () {
        () if bytes != file.bytes => format!("it has {bytes} bytes, and had {}", file.bytes),
        () if sha256 != file.sha256 => format!("its SHA-256 is {sha256}, and was {}", file.sha256),
        () => return Ok(()),
    };
    Err(BackupError::Damaged { path: path.to_owned(), detail })
}

/// Whether SQLite finds a file sound, and it is the file that its name says, of a version that we know.
pub(super) fn sound(manifest: &Manifest, name: &str, path: &Path) -> Result<(), BackupError> {
    let damaged = |detail: String| BackupError::Damaged { path: path.to_owned(), detail };
    let unreadable = |error: rusqlite::Error| damaged(error.to_string());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(unreadable)?;
    let said: String =
        conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unreadable)?;
    if said != "ok" {
        return Err(damaged(said));
    }
    let meta = |key: &str| -> Result<String, BackupError> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        conn.query_row(sql, [key], |row| row.get(0)).map_err(unreadable)
    };
    let (kind, schema) = (meta("file")?, meta("schema")?);
    if format!("{kind}.db") != name {
        return Err(damaged(format!("it is {kind}.db under another name")));
    }
    match (schema.parse::<usize>(), known_schema(&kind)) {
        (Ok(found), Some(known)) if found <= known => Ok(()),
        (Ok(_), Some(_)) => {
            let (path, version) = (path.to_owned(), manifest.version.clone());
            Err(BackupError::Newer { path, version, ours: env!("CARGO_PKG_VERSION") })
        }
        _ => Err(damaged(format!("schema {schema:?} of {kind:?}"))),
    }
}
