//! Read connections of one file.
//!
//! Owns how many there are (whoever asks for one more waits) and how long a read may take. Never writes.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::database::open_reading;
use super::error::{InFile, StoreError};

/// SQLite asks every this many steps whether time is up: some tenths of a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// Connections that only read.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    file: &'static str,
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Pool {
    /// Opens `n` connections to an existing file.
    pub(super) fn open(path: PathBuf, file: &'static str, n: usize) -> Result<Self, StoreError> {
        let idle = (0..n).map(|_| open_reading(&path, file)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { path, file, idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Reads on one of them, for at most `limit`. Blocks until one is free.
    pub(super) fn read<T>(
        &self,
        limit: Option<Duration>,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut conn = Lent { pool: self, conn: Some(self.take()) };
        let conn = conn.conn.as_mut().ok_or_else(|| StoreError::bug(self.file, "no connection"))?;
        let deadline = limit.map(|limit| Instant::now() + limit);
        let look = deadline.map(|deadline| move || Instant::now() >= deadline);
        conn.progress_handler(STEPS_BETWEEN_LOOKS, look).in_file(self.file)?;
        work(conn)
    }

    fn take(&self) -> Connection {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(conn) = idle.pop() {
                return conn;
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, conn: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        self.returned.notify_one();
    }

    /// The file read from.
    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }
}

/// Given back also when the work panics.
struct Lent<'a> {
    pool: &'a Pool,
    conn: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.give_back(conn);
        }
    }
}
