//! Which machine and file a spool was made on.
//!
//! Owns the binding of an epoch: a copy of the file elsewhere must not number its batches like the original.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Machine and file of a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `/etc/machine-id`, or "" where there is none.
    pub machine: String,
    /// Device and inode of the spool's file.
    pub file: (u64, u64),
}

impl Identity {
    /// The identity of the file at `path` on this machine.
    ///
    /// # Errors
    /// If the file cannot be examined.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let file = std::fs::metadata(path)?;
        Ok(Self { machine: watchkeeper_daemon::machine::id(), file: (file.dev(), file.ino()) })
    }

    pub(super) fn encode(&self) -> String {
        format!("{} {} {}", self.file.0, self.file.1, self.machine)
    }
}
