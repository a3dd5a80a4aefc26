//! What a backup says of itself: `manifest.json` beside its files.
//!
//! Owns the form, which later versions must read. A backup without a readable manifest is none: it is written last.

use std::path::Path;

use serde::{Deserialize, Serialize};
use watchkeeper_model::Timestamp;

use super::error::BackupError;

/// The manifest's file.
pub const MANIFEST: &str = "manifest.json";
/// The form of backups that this version writes, and the latest it reads.
pub(super) const FORMAT: u32 = 1;
/// A manifest is some hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its form.
    pub format: u32,
    /// The version that made it.
    pub version: String,
    /// When the views of the three files began; RFC 3339 in UTC.
    #[serde(with = "written")]
    pub made_at: Timestamp,
    /// The incarnation of the data, in hex.
    pub incarnation: String,
    /// The greatest number of an incident by then; 0 if there was none.
    pub last_incident: u64,
    /// The greatest number of a delivery by then; 0 if there was none.
    pub last_delivery: u64,
    /// Its files.
    pub files: Vec<BackedUpFile>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUpFile {
    /// `intake.db`
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of its content, in hex.
    pub sha256: String,
}

/// A time as people write it.
mod written {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use watchkeeper_model::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&at.rfc3339())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        let at = text.parse().map(Timestamp::from_jiff);
        at.map_err(|_| D::Error::custom(format!("{text:?} is no time")))
    }
}

impl Manifest {
    /// Reads that of the backup in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, BackupError> {
        let path = dir.join(MANIFEST);
        let no_backup = |detail: String| BackupError::NotABackup { path: dir.to_owned(), detail };
        let size = std::fs::metadata(&path).map_err(|e| no_backup(format!("{MANIFEST}: {e}")))?;
        if size.len() > MAX_BYTES {
            return Err(no_backup(format!("{MANIFEST} has {} bytes", size.len())));
        }
        let text = std::fs::read(&path).map_err(|e| BackupError::io(&path, &e))?;
        // A later form may have other keys: what it is comes first.
        #[derive(Deserialize)]
        struct Form {
            format: u32,
            version: String,
        }
        let form: Form =
            serde_json::from_slice(&text).map_err(|e| no_backup(format!("{MANIFEST}: {e}")))?;
        if form.format > FORMAT {
            let (path, version) = (dir.to_owned(), form.version);
            return Err(BackupError::Newer { path, version, ours: env!("CARGO_PKG_VERSION") });
        }
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|e| no_backup(format!("{MANIFEST}: {e}")))?;
        let mut names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        if names != ["events.db", "intake.db", "ledger.db"] {
            return Err(no_backup(format!("{MANIFEST} names the files {names:?}")));
        }
        Ok(manifest)
    }

    /// As it is written.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are always JSON") + "\n"
    }
}
