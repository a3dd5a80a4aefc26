//! A file that holds room for the ledger on a disk that fills up.
//!
//! Owns making it, letting go of it and knowing whether it is there. While it is gone, whoever could wait for room (the
//! intake) must wait, or the room set free would be theirs. Never touches a database.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is written where the file system cannot reserve room without writing.
const CHUNK: usize = 64 * 1024;

/// The room held back.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    bytes: u64,
    held: AtomicBool,
}

impl Ballast {
    /// The ballast at `path`; not held until [`Self::hold`] says so.
    pub(super) fn new(path: PathBuf, bytes: u64) -> Self {
        Self { path, bytes, held: AtomicBool::new(false) }
    }

    /// Whether the room is held.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Takes the room unless it is held; whether it is held now.
    pub(super) fn hold(&self) -> bool {
        if self.is_held() {
            return true;
        }
        let whole = fs::metadata(&self.path).is_ok_and(|m| m.len() >= self.bytes);
        let held = whole || self.make().is_ok();
        if !held {
            // Half a ballast only takes room that the ledger needs.
            let _ = fs::remove_file(&self.path);
        }
        self.held.store(held, Ordering::Release);
        held
    }

    /// Lets go of the room; whether there was any.
    pub(super) fn release(&self) -> bool {
        self.held.store(false, Ordering::Release);
        fs::remove_file(&self.path).is_ok()
    }

    fn make(&self) -> std::io::Result<()> {
        let mut file = File::create(&self.path)?;
        // Written and not only reserved: reserving is missing on some file systems, and sparse files hold nothing.
        let chunk: Vec<u8> =
            (0..CHUNK).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
        let mut left = self.bytes;
        while left > 0 {
            let n = left.min(CHUNK as u64);
            file.write_all(&chunk[..n as usize])?;
            left -= n;
        }
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_room_is_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(dir.path().join("ballast"), 100_000);
        assert!(ballast.hold() && ballast.is_held());
        assert_eq!(fs::metadata(dir.path().join("ballast")).unwrap().len(), 100_000);
        assert!(ballast.release() && !ballast.is_held());
        assert!(!ballast.release(), "there is nothing left to let go of");
        assert!(ballast.hold());
    }

    #[test]
    fn a_directory_without_room_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(dir.path().join("missing/ballast"), 10);
        assert!(!ballast.hold() && !ballast.is_held());
    }
}
