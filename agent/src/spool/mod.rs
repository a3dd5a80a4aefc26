//! The spool: batches and the positions of the sources they cover, in one transaction, until they are receipted.
//!
//! Owns the agent's SQLite file, dead letters among it. Never decides what to seal or send. One connection seals with full durability; another
//! does what may be lost and done again (receipts, forgetting), so that a receipt never waits for the disk.

mod identity;
mod letter_file;
mod letters;
#[cfg(test)]
mod letters_tests;
mod schema;
mod seal;
mod serve;
mod sources;
#[cfg(test)]
mod tests;

pub use identity::Identity;
pub use letter_file::LetterFile;
pub use letters::{LetterCounts, SpooledLetter};
pub use schema::{SpoolError, SpoolSettings};
pub use seal::{SealRequest, SourceCheckpoint};
pub use serve::Outgoing;
pub use sources::{Known, Move, Reading, StoredSource};

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use watchkeeper_model::{AgentId, Epoch, Timestamp};

/// The spool of one agent.
#[derive(Debug)]
pub struct Spool {
    agent: AgentId,
    settings: SpoolSettings,
    _lock: std::fs::File,
    sealing: Mutex<Connection>,
    serving: Mutex<Connection>,
    pending_bytes: AtomicU64,
    kept_bytes: AtomicU64,
}

/// A spool and what opening it found out.
#[derive(Debug)]
pub struct Opened {
    /// The spool.
    pub spool: Spool,
    /// No welcome has been taken in yet under this spool: nobody here knows how far files were read before.
    pub is_new: bool,
    /// The spool was made on another machine or in another file, and goes on under a new epoch.
    pub moved: bool,
}

impl Spool {
    /// Opens or makes the spool in `directory`.
    ///
    /// # Errors
    /// If the directory or file cannot be made, is in use by another agent, is corrupt, or is of a newer version.
    pub fn open(
        directory: &Path,
        agent: AgentId,
        settings: SpoolSettings,
        entropy: u64,
        now: Timestamp,
    ) -> Result<Opened, SpoolError> {
        schema::open(directory, agent, settings, entropy, now)
    }

    /// Bytes of batches that wait for their receipt.
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of all batches in the spool, receipted ones that are kept among them.
    pub fn bytes(&self) -> u64 {
        self.pending_bytes() + self.kept_bytes.load(Ordering::Relaxed)
    }

    /// The most that may wait.
    pub fn max_bytes(&self) -> u64 {
        self.settings.max_bytes
    }

    /// The share of `max_bytes` that waits for receipts.
    pub fn fill(&self) -> f64 {
        self.pending_bytes() as f64 / self.settings.max_bytes.max(1) as f64
    }

    /// Makes every write fail, or none any more.
    #[cfg(test)]
    pub(crate) fn refuse_writes(&self, refused: bool) {
        let sealing = schema::lock(&self.sealing);
        sealing.pragma_update(None, "query_only", refused).expect("a pragma can be set");
    }

    /// The epoch that new batches are sealed under.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn epoch(&self) -> Result<Epoch, SpoolError> {
        schema::current_epoch(&schema::lock(&self.serving))
    }
}
