//! One SQLite file: opening it, checking it, bringing its schema up to date, checkpoints.
//!
//! Owns what all three files have in common: the pragmas that make a commit durable, the `meta` table, numbered
//! migrations that only go forward, and the refusal of files that are damaged, foreign or newer. Never knows what is in
//! the tables, and never makes a new file where an unusable one lies.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction};

use super::error::{InFile, StoreError};

/// A whole check of a file up to this size costs well under a second; above it only the tables that everything hangs
/// on are checked at start.
const WHOLE_CHECK_BYTES: u64 = 256 << 20;

/// What distinguishes one of the files.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileKind {
    /// Its name without `.db`, as in messages and metrics.
    pub(super) name: &'static str,
    /// Each migration once, in order; the schema's version is how many were applied.
    pub(super) migrations: &'static [&'static str],
    /// Small tables without which the rest is worthless.
    pub(super) vital_tables: &'static [&'static str],
    /// What starting with an empty file costs, for the message to the person who has to decide.
    pub(super) loss: &'static str,
    /// Page cache of the writing connection.
    pub(super) cache_kib: u32,
}

/// The writing connection of one file.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) conn: Connection,
    pub(super) kind: FileKind,
    pub(super) path: PathBuf,
}

impl Database {
    /// Opens the file in `data_dir`, makes it if it is missing, and brings it up to date.
    pub(super) fn open(kind: FileKind, data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(format!("{}.db", kind.name));
        let is_new = !path.exists();
        let unusable = |error| unusable(kind, &path, &error);
        let conn = Connection::open(&path).map_err(unusable)?;
        configure(&conn, kind).map_err(unusable)?;
        let mut database = Self { conn, kind, path };
        if !is_new {
            database.check()?;
        }
        database.migrate()?;
        Ok(database)
    }

    /// Runs `work` in one transaction; nothing of it stays if it fails.
    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let file = self.kind.name;
        let tx = self
            .conn
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .in_file(file)?;
        let done = work(&tx)?;
        tx.commit().in_file(file)?;
        Ok(done)
    }

    /// What was stored under a key of the `meta` table.
    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.conn
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .in_file(self.kind.name)
    }

    /// Which file on which machine this is: a copy, a restored backup or a cloned disk reads otherwise.
    pub(super) fn binding(&self, machine_id: &str) -> Result<String, StoreError> {
        let meta = std::fs::metadata(&self.path).map_err(|e| StoreError::io(&self.path, &e))?;
        Ok(format!("{machine_id}:{}:{}", meta.dev(), meta.ino()))
    }

    /// Bytes in use, without pages that are free to be used again.
    pub(super) fn used_bytes(&self) -> Result<u64, StoreError> {
        let pragma = |name| self.conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages =
            || Ok((pragma("page_count")? - pragma("freelist_count")?, pragma("page_size")?));
        let (used, size) = pages().in_file(self.kind.name)?;
        Ok(u64::try_from(used.saturating_mul(size)).unwrap_or(0))
    }

    fn check(&self) -> Result<(), StoreError> {
        let one = |sql: &str| -> Result<(), StoreError> {
            let said: String = self
                .conn
                .query_row(sql, [], |row| row.get(0))
                .map_err(|error| unusable(self.kind, &self.path, &error))?;
            if said == "ok" { Ok(()) } else { Err(corrupt(self.kind, &self.path, said)) }
        };
        let bytes = std::fs::metadata(&self.path).map_or(0, |m| m.len());
        if bytes <= WHOLE_CHECK_BYTES {
            return one("PRAGMA quick_check(1)");
        }
        self.kind.vital_tables.iter().try_for_each(|t| one(&format!("PRAGMA quick_check('{t}')")))
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        let (kind, path) = (self.kind, self.path.clone());
        let known = u32::try_from(kind.migrations.len()).unwrap_or(u32::MAX);
        let found = schema_version(&self.conn, kind, &path)?;
        if found > known {
            return Err(StoreError::Newer { path, found, known });
        }
        for version in found..known {
            let sql = kind.migrations[version as usize];
            self.transact(|tx| {
                tx.execute_batch(sql).in_file(kind.name)?;
                put_meta(tx, "schema", &(version + 1).to_string()).in_file(kind.name)?;
                put_meta(tx, "file", kind.name).in_file(kind.name)
            })?;
        }
        Ok(())
    }
}

/// Remembers a value under a key of the `meta` table.
pub(super) fn put_meta(conn: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?
    .execute([key, value])
    .map(drop)
}

/// A connection that only reads.
pub(super) fn open_reading(path: &Path, file: &'static str) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).in_file(file)?;
    conn.busy_timeout(Duration::from_secs(5)).in_file(file)?;
    conn.pragma_update(None, "cache_size", -2_048).in_file(file)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Brings pages from the write-ahead log into the file, on a connection of its own so that no commit waits for it.
#[derive(Debug)]
pub(super) struct Checkpointer {
    conn: Connection,
    wal: PathBuf,
    file: &'static str,
}

/// From this size on the log is copied.
const WAL_WORTH_COPYING_BYTES: u64 = 4 << 20;
/// From this size on the writer has to wait while the last pages are copied, so that the log starts anew: under
/// steady load it would otherwise grow for ever.
const WAL_TOO_LONG_BYTES: u64 = 64 << 20;

impl Checkpointer {
    /// For the file at `path`.
    pub(super) fn open(path: &Path, kind: FileKind) -> Result<Self, StoreError> {
        let conn = Connection::open(path).in_file(kind.name)?;
        configure(&conn, kind).in_file(kind.name)?;
        conn.busy_timeout(Duration::from_millis(200)).in_file(kind.name)?;
        let wal = PathBuf::from(format!("{}-wal", path.display()));
        Ok(Self { conn, wal, file: kind.name })
    }

    /// Copies if it is worth it. While a view of before is open the log can't begin anew, and nobody is to wait for that.
    pub(super) fn run(&self, may_empty: bool) -> Result<(), StoreError> {
        let bytes = std::fs::metadata(&self.wal).map_or(0, |m| m.len());
        if bytes < WAL_WORTH_COPYING_BYTES {
            return Ok(());
        }
        self.checkpoint("PASSIVE")?;
        if may_empty && bytes > WAL_TOO_LONG_BYTES { self.checkpoint("TRUNCATE") } else { Ok(()) }
    }

    /// Copies all there is and empties the log.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        self.checkpoint("TRUNCATE")
    }

    fn checkpoint(&self, mode: &str) -> Result<(), StoreError> {
        self.conn
            .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
            .in_file(self.file)
    }
}

fn configure(conn: &Connection, kind: FileKind) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_secs(10))?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "cache_size", -i64::from(kind.cache_kib))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Elsewhere these do nothing; on macOS fsync alone does not reach the platter.
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn schema_version(conn: &Connection, kind: FileKind, path: &Path) -> Result<u32, StoreError> {
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| unusable(kind, path, &error))?;
    if tables == 0 {
        conn.execute_batch(
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        )
        .in_file(kind.name)?;
        return Ok(0);
    }
    let meta = |key: &str| -> Result<Option<String>, StoreError> {
        conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(|error| corrupt(kind, path, format!("not a file of this program: {error}")))
    };
    match meta("file")? {
        Some(name) if name != kind.name => {
            Err(corrupt(kind, path, format!("this is {name}.db under another name")))
        }
        _ => meta("schema")?.map_or(Ok(0), |text| {
            text.parse().map_err(|_| corrupt(kind, path, format!("schema version {text:?}")))
        }),
    }
}

fn corrupt(kind: FileKind, path: &Path, detail: String) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), detail, loss: kind.loss }
}

/// Only what SQLite calls damaged is: a full or failing disk is no reason to move a file away.
fn unusable(kind: FileKind, path: &Path, error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => corrupt(kind, path, error.to_string()),
        _ => StoreError::of(kind.name, error),
    }
}
