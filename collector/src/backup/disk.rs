//! Files that must survive: written, hashed, synced, renamed.
//!
//! Owns what durable means for a file and for its name. Never decides what is written.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest as _, Sha256};

use super::error::BackupError;

const CHUNK_BYTES: usize = 1 << 20;

/// Size and SHA-256 of a file, until `is_over` says so.
pub(super) fn hash(path: &Path, is_over: &dyn Fn() -> bool) -> Result<(u64, String), BackupError> {
    pump(path, None, is_over)
}

/// Copies a file to one that does not exist yet, durably, and says what was copied.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(u64, String), BackupError> {
    let io = |error| BackupError::io(to, &error);
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut file = options.map_err(io)?;
    let copied = pump(from, Some((&mut file, to)), &|| false)?;
    file.sync_all().map_err(io)?;
    Ok(copied)
}

fn pump(
    from: &Path,
    mut to: Option<(&mut File, &Path)>,
    is_over: &dyn Fn() -> bool,
) -> Result<(u64, String), BackupError> {
    let mut file = File::open(from).map_err(|e| BackupError::io(from, &e))?;
    let (mut hash, mut n_bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        if is_over() {
            return Err(BackupError::Stopping);
        }
        let n = file.read(&mut chunk).map_err(|e| BackupError::io(from, &e))?;
        if n == 0 {
            let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((n_bytes, hex));
        }
        hash.update(&chunk[..n]);
        if let Some((file, path)) = &mut to {
            file.write_all(&chunk[..n]).map_err(|e| BackupError::io(path, &e))?;
        }
        n_bytes += n as u64;
    }
}

/// Writes a small file, durably.
pub(super) fn write(path: &Path, text: &str) -> Result<(), BackupError> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| BackupError::io(path, &e))
}

/// Makes names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| BackupError::io(dir, &e))
}

/// Gives something its name unless the name is taken.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<(), BackupError> {
    let exists = || BackupError::Exists { path: to.to_owned() };
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY) => Err(exists()),
        // Not every file system can promise it.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            if to.symlink_metadata().is_ok() {
                return Err(exists());
            }
            std::fs::rename(from, to).map_err(|e| BackupError::io(to, &e))
        }
        Err(error) => Err(BackupError::io(to, &error.into())),
    }
}

/// Gives files to whom their directory belongs: a restore made by root is to be opened by the collector's user.
pub(super) fn hand_over(paths: &[PathBuf], dir: &Path) -> Result<(), BackupError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(dir).map_err(|e| BackupError::io(dir, &e))?;
    for path in paths {
        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
            .map_err(|e| BackupError::io(path, &e))?;
    }
    Ok(())
}

/// Makes the content of a file durable.
pub(super) fn sync_file(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|e| BackupError::io(path, &e))
}
