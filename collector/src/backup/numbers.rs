//! Numbers of incidents and deliveries after a restore: none is given out twice.
//!
//! A receiver knows an incident by a key made of its group, the receiver and its number. A restored ledger has forgotten the
//! numbers given out since its backup; if one came again for the same group, PagerDuty would take the new incident for the old
//! one, and page nobody. So numbers go on far behind the last that can have been given out. Owns how far, and finding
//! incidents that the restored ledger does not know. Never changes a row of an incident.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use watchkeeper_model::Timestamp;

use super::error::BackupError;
use super::manifest::Manifest;

/// Numbers passed over at least: also if a clock was set back.
const AT_LEAST: u64 = 1_000_000;
/// And for each second since the backup: no collector opens incidents so fast.
const PER_SECOND: u64 = 1_000;

/// An incident that is open at a receiver, and that a restored ledger knows nothing of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// Its number.
    pub number: u64,
    /// Who was told.
    pub receiver: String,
    /// By which integration.
    #[serde(default)]
    pub integration: String,
    /// What PagerDuty knows it by.
    #[serde(default)]
    pub dedup_key: String,
    /// Since when.
    pub opened_at: Timestamp,
}

/// What the ledger that was put aside tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) last_incident: u64,
    pub(super) last_delivery: u64,
    pub(super) orphans: Vec<Orphan>,
}

/// The last number that can have been given out since a backup.
pub(super) fn jump(last: u64, made_at: Timestamp, now: Timestamp) -> u64 {
    let since = now.since(made_at).as_secs().saturating_mul(PER_SECOND);
    last.saturating_add(AT_LEAST).saturating_add(since)
}

/// What can be read of a ledger that was replaced; `None` if that is nothing.
pub(super) fn replaced(ledger: &Path, manifest: &Manifest) -> Option<Replaced> {
    if !ledger.exists() {
        return None;
    }
    let read = || -> rusqlite::Result<Replaced> {
        // With its log, if it was killed: it is read as it would have been at a start.
        let conn = Connection::open(ledger)?;
        let last = |name: &str| {
            let sql = "SELECT last FROM sequences WHERE name = ?1";
            conn.query_row(sql, [name], |row| row.get::<_, i64>(0)).optional()
        };
        let mut statement =
            conn.prepare("SELECT body FROM state WHERE kind = 'incident' AND live ORDER BY key")?;
        let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut orphans = Vec::new();
        for body in bodies {
            orphans.extend(serde_json::from_str::<Orphan>(&body?));
        }
        orphans.retain(|orphan| orphan.number > manifest.last_incident);
        orphans.sort_by_key(|orphan| orphan.number);
        Ok(Replaced {
            last_incident: last("incident")?.unwrap_or(0).unsigned_abs(),
            last_delivery: last("delivery")?.unwrap_or(0).unsigned_abs(),
            orphans,
        })
    };
    read().ok()
}

/// Lets the numbers of a ledger go on behind these.
pub(super) fn go_on_behind(ledger: &Path, incident: u64, delivery: u64) -> Result<(), BackupError> {
    let write = || -> rusqlite::Result<()> {
        let conn = Connection::open(ledger)?;
        for (name, last) in [("incident", incident), ("delivery", delivery)] {
            let last = i64::try_from(last).unwrap_or(i64::MAX);
            conn.execute(
                "INSERT INTO sequences VALUES (?1, ?2) ON CONFLICT DO UPDATE SET last = max(last, excluded.last)",
                params![name, last],
            )?;
        }
        conn.close().map_err(|(_, error)| error)
    };
    let failed =
        |e: rusqlite::Error| BackupError::Io { path: ledger.to_owned(), detail: e.to_string() };
    write().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn numbers_after_a_restore_lie_behind_all_that_were_given_out() {
        let made_at = Timestamp::from_secs(1_800_000_000);
        let hour = Duration::from_secs(3_600);
        for (sentence, now, at_least) in [
            ("at once", made_at, 1_000_057),
            ("an hour later", made_at + hour, 4_600_057),
            ("by a clock that was set back", made_at - hour, 1_000_057),
        ] {
            assert_eq!(jump(57, made_at, now), at_least, "{sentence}");
        }
        let (first, second) =
            (jump(57, made_at, made_at + hour), jump(57, made_at, made_at + hour + hour));
        assert!(second > first + 3_600 * 999, "a second restore of the same backup goes further");
        assert_eq!(jump(u64::MAX - 5, made_at, made_at + hour), u64::MAX);
    }
}
