//! Opening the spool: its file, its lock, its version and its epoch.
//!
//! Owns the schema and the errors of the file. A missing file is made; a corrupt one is never replaced in silence.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use watchkeeper_model::{AgentId, Epoch, Timestamp};

use super::{Identity, Opened, Spool};

pub(super) const FILE: &str = "spool.db";
/// Each takes the file one version further; one that was released never changes.
const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/spool_0001.sql"),
    include_str!("migrations/spool_0002.sql"),
    include_str!("migrations/spool_0003.sql"),
];
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Limits of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// The most that may wait for receipts.
    pub max_bytes: u64,
    /// How long receipted batches are kept, in case the collector loses them.
    pub keep: Duration,
    /// The most that is kept of them.
    pub keep_bytes: u64,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, keep: Duration::from_secs(3600), keep_bytes: 64 << 20 }
    }
}

/// What can go wrong with the spool's file.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk is full; ends by itself when there is room again.
    #[error("spool {path}: the disk is full")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another agent uses it.
    #[error(
        "spool {path}: another agent is using it; stop that one, or give this one its own `data_dir`"
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It is no spool, or a damaged one.
    #[error(
        "spool {path}: {detail}. Nothing was changed. Set the file aside (mv {path} {path}.broken) to begin a new \
         spool: the collector then tells how far each file was read, and what waited in the broken one is reported as lost"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// It was made by a newer agent.
    #[error("spool {path}: made by a newer version (format {version}); install that version again")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: String,
    },
    /// Its dead letters are asked for by a command of another version.
    #[error(
        "spool {path}: of another version (format {version}); use the command of the version that the agent runs in, or start \
         the agent of this one once"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: String,
    },
    /// The file system refuses.
    #[error("spool {path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
    /// SQLite refuses for another reason.
    #[error("spool: {0}")]
    Sqlite(rusqlite::Error),
}

impl SpoolError {
    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// What SQLite's words mean for a person.
pub(super) fn explain(error: rusqlite::Error, path: &Path) -> SpoolError {
    let path = path.to_path_buf();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => SpoolError::Full { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            SpoolError::Corrupt { path, detail: error.to_string() }
        }
        // A write into the log beyond a full disk is an input/output error to SQLite.
        Some(ErrorCode::SystemIoFailure) if disk_is_full(&path) => SpoolError::Full { path },
        _ => SpoolError::Sqlite(error),
    }
}

fn disk_is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) < 1 << 20)
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

pub(super) fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic while a transaction was open rolled it back: the connection is as good as before.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn open(
    directory: &Path,
    agent: AgentId,
    settings: SpoolSettings,
    entropy: u64,
    now: Timestamp,
) -> Result<Opened, SpoolError> {
    let io = |error| SpoolError::Io { path: directory.to_path_buf(), error };
    std::fs::create_dir_all(directory).map_err(io)?;
    let path = directory.join(FILE);
    let lock = take_lock(directory, &path)?;
    let mut sealing = connect(&path, "FULL").map_err(|e| explain(e, &path))?;
    prepare(&mut sealing, &path)?;
    let (is_new, moved) = settle_epoch(&mut sealing, &path, entropy, now)?;
    if get(&sealing, "agent")?.as_deref() != Some(agent.as_str()) {
        put(&sealing, "agent", agent.as_str()).map_err(|e| explain(e, &path))?;
    }
    let serving = connect(&path, "NORMAL").map_err(|e| explain(e, &path))?;
    let (pending, kept) = sums(&serving)?;
    let spool = Spool {
        agent,
        settings,
        _lock: lock,
        sealing: Mutex::new(sealing),
        serving: Mutex::new(serving),
        pending_bytes: AtomicU64::new(pending),
        kept_bytes: AtomicU64::new(kept),
    };
    Ok(Opened { spool, is_new, moved })
}

fn connect(path: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -1024)?;
    Ok(connection)
}

/// One agent per spool: the lock lives as long as the open file.
fn take_lock(directory: &Path, spool: &Path) -> Result<File, SpoolError> {
    let path = directory.join("lock");
    let io = |error| SpoolError::Io { path: path.clone(), error };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| SpoolError::Locked { path: spool.to_path_buf() })?;
    Ok(file)
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), SpoolError> {
    let explain = |e| explain(e, path);
    let made: bool = connection
        .query_row("SELECT count(*) FROM sqlite_master WHERE name = 'meta'", [], |r| r.get(0))
        .map_err(explain)?;
    if !made {
        return migrate(connection, 0).map_err(explain);
    }
    let text = get(connection, "version").map_err(explain)?.unwrap_or_default();
    let version: Option<usize> = text.parse().ok().filter(|v| *v <= MIGRATIONS.len());
    let Some(version) = version else {
        return Err(SpoolError::Newer { path: path.to_path_buf(), version: text });
    };
    let check: String =
        connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0)).map_err(explain)?;
    if check != "ok" {
        return Err(SpoolError::Corrupt { path: path.to_path_buf(), detail: check });
    }
    migrate(connection, version).map_err(explain)
}

/// The version of files that this program writes.
pub(super) fn version() -> String {
    MIGRATIONS.len().to_string()
}

/// Takes the file from a version to the newest, or leaves it as it is.
fn migrate(connection: &mut Connection, from: usize) -> rusqlite::Result<()> {
    if from == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for sql in &MIGRATIONS[from..] {
        transaction.execute_batch(sql)?;
    }
    put(&transaction, "version", &version())?;
    transaction.commit()
}

/// The epoch is bound to machine and file; whether nobody has been welcomed under it, and whether it was moved.
fn settle_epoch(
    connection: &mut Connection,
    path: &Path,
    entropy: u64,
    now: Timestamp,
) -> Result<(bool, bool), SpoolError> {
    let io = |error| SpoolError::Io { path: path.to_path_buf(), error };
    let here = Identity::of(path).map_err(io)?.encode();
    let transaction = connection.transaction()?;
    let bound = get(&transaction, "identity")?;
    let moved = bound.as_ref().is_some_and(|b| *b != here);
    if bound.as_deref() != Some(&here) {
        put(&transaction, "identity", &here)?;
        begin_epoch(&transaction, entropy, now)?;
    }
    let is_new = get(&transaction, "welcomed")?.is_none();
    transaction.commit().map_err(|e| explain(e, path))?;
    Ok((is_new, moved))
}

/// A new epoch, later than the one before it whatever the clock says: the collector orders epochs by it.
pub(super) fn begin_epoch(
    connection: &Connection,
    entropy: u64,
    now: Timestamp,
) -> rusqlite::Result<Epoch> {
    let before: Option<Epoch> = get(connection, "epoch")?.and_then(|text| text.parse().ok());
    let created_at = before.map_or(now, |b| now.max(b.created_at.shifted(1)));
    let epoch = Epoch { created_at, random: entropy };
    put(connection, "epoch", &epoch.to_string())?;
    Ok(epoch)
}

pub(super) fn current_epoch(connection: &Connection) -> Result<Epoch, SpoolError> {
    let text = get(connection, "epoch")?.unwrap_or_default();
    text.parse().map_err(|()| SpoolError::Corrupt {
        path: connection.path().map(PathBuf::from).unwrap_or_default(),
        detail: format!("{text:?} is no epoch"),
    })
}

pub(super) fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |r| r.get(0)).optional()
}

pub(super) fn put(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute(params![key, value]).map(drop)
}

/// Bytes that wait, bytes that are kept.
pub(super) fn sums(connection: &Connection) -> Result<(u64, u64), SpoolError> {
    let sql = "SELECT coalesce(sum(n_bytes) FILTER (WHERE receipted_at IS NULL), 0), \
               coalesce(sum(n_bytes) FILTER (WHERE receipted_at IS NOT NULL), 0) FROM batch";
    let (pending, kept): (i64, i64) =
        connection.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok((pending.unsigned_abs(), kept.unsigned_abs()))
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}
