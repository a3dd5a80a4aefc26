//! Dead letters: batches that can't be counted, kept with their reason until somebody has looked.
//!
//! Owns the table `dead_letters` of both delivery files, and its bounds: number, bytes and age. What is over is dropped, the
//! oldest first, and counted in the file itself, so that the number survives a restart. Never takes a number back from
//! its stream: a batch that was dropped stays answered for, and is not counted.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchkeeper_model::{Digest, StreamKey, Timestamp};

use super::database::put_meta;
use super::error::{InFile, StoreError};
use super::numbers::{int, unsigned};
use super::streams::Streams;

/// How many of one file are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) n_letters: u64,
    pub(super) n_bytes: u64,
    pub(super) age: Duration,
}

/// What holds for each file.
pub(super) const BOUNDS: Bounds =
    Bounds { n_letters: 1_000, n_bytes: 128 << 20, age: Duration::from_secs(90 * 86_400) };

/// Under this key `meta` counts what was dropped.
const DROPPED: &str = "dead_letters_dropped";

const COLUMNS: &str = "agent, epoch_at, epoch_random, service, d.id, d.seq, d.digest, d.reason, d.received_at, \
                       length(d.body), d.fenced";

/// A batch that could not be counted, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number in the table; with its kind it names it.
    pub id: u64,
    /// Its stream.
    pub stream: StreamKey,
    /// Its number in the stream.
    pub seq: u64,
    /// Of its sealed content.
    pub digest: Digest,
    /// Why it could not be counted.
    pub reason: String,
    /// When it came.
    pub received_at: Timestamp,
    /// Size of its sealed content.
    pub n_bytes: u64,
    /// Its spool was lost, and what it counts was read again: it may never be counted.
    pub fenced: bool,
}

/// How many dead letters there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterCounts {
    /// Kept at present.
    pub n_kept: u64,
    /// Ever dropped because there were too many, too large or too old ones.
    pub n_dropped: u64,
}

/// What makes a letter of a batch.
pub(super) struct Burial<'a> {
    pub(super) stream: i64,
    pub(super) seq: u64,
    pub(super) digest: Digest,
    pub(super) received_at: Timestamp,
    pub(super) reason: &'a str,
    pub(super) fenced: bool,
    pub(super) raw: &'a [u8],
}

impl Streams {
    /// Keeps a batch as a dead letter, and makes room for it.
    pub(super) fn bury(self, conn: &Connection, burial: &Burial<'_>) -> Result<(), StoreError> {
        let Burial { stream, seq, digest, received_at, reason, fenced, raw } = burial;
        self.shrink(conn, BOUNDS, 1, raw.len() as u64)?;
        conn.prepare_cached(
            "INSERT INTO dead_letters (stream, seq, digest, reason, received_at, body, fenced)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut s| {
            s.execute(params![
                stream,
                int(*seq),
                digest.0,
                reason,
                received_at.nanos(),
                raw,
                fenced
            ])
        })
        .in_file(self.file)
        .map(drop)
    }

    /// The batch of this number is no dead letter any more: it is counted.
    pub(super) fn unbury(self, conn: &Connection, stream: i64, seq: u64) -> Result<(), StoreError> {
        conn.prepare_cached("DELETE FROM dead_letters WHERE stream = ?1 AND seq = ?2")
            .and_then(|mut s| s.execute(params![stream, int(seq)]))
            .in_file(self.file)
            .map(drop)
    }

    /// How many dead letters there are.
    pub(super) fn n_dead_letters(self, conn: &Connection) -> Result<u64, StoreError> {
        conn.prepare_cached("SELECT count(*) FROM dead_letters")
            .and_then(|mut s| s.query_row([], |row| row.get(0)))
            .in_file(self.file)
            .map(unsigned)
    }

    /// How many there are, and were dropped.
    pub(super) fn count_letters(self, conn: &Connection) -> Result<LetterCounts, StoreError> {
        let (n_kept, n_dropped) = (self.n_dead_letters(conn)?, self.n_letters_dropped(conn)?);
        Ok(LetterCounts { n_kept, n_dropped })
    }

    fn n_letters_dropped(self, conn: &Connection) -> Result<u64, StoreError> {
        let text: Option<String> = conn
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")
            .and_then(|mut s| s.query_row([DROPPED], |row| row.get(0)).optional())
            .in_file(self.file)?;
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// All dead letters, oldest first; their number is bounded.
    pub(super) fn dead_letters(self, conn: &Connection) -> Result<Vec<DeadLetter>, StoreError> {
        conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM dead_letters d JOIN streams s ON s.id = d.stream ORDER BY d.id"
        ))
        .and_then(|mut s| s.query_map([], |row| self.letter_in(row))?.collect())
        .in_file(self.file)
    }

    /// One dead letter and its sealed content.
    pub(super) fn dead_letter(
        self,
        conn: &Connection,
        id: u64,
    ) -> Result<Option<(DeadLetter, Vec<u8>)>, StoreError> {
        conn.prepare_cached(&format!(
            "SELECT {COLUMNS}, d.body FROM dead_letters d JOIN streams s ON s.id = d.stream WHERE d.id = ?1"
        ))
        .and_then(|mut s| {
            s.query_row([int(id)], |row| Ok((self.letter_in(row)?, row.get(11)?))).optional()
        })
        .in_file(self.file)
    }

    /// Takes a dead letter away without counting it; whether there was one.
    pub(super) fn discard(self, conn: &Connection, id: u64) -> Result<bool, StoreError> {
        conn.execute("DELETE FROM dead_letters WHERE id = ?1", [int(id)])
            .in_file(self.file)
            .map(|n| n > 0)
    }

    /// Drops what is too old.
    pub(super) fn age_letters(self, conn: &Connection, now: Timestamp) -> Result<(), StoreError> {
        let before = (now - BOUNDS.age).nanos();
        let n = conn
            .prepare_cached("DELETE FROM dead_letters WHERE received_at < ?1")
            .and_then(|mut s| s.execute([before]))
            .in_file(self.file)?;
        self.count_dropped(conn, n as u64)
    }

    /// Drops the oldest until so many more, of so many bytes, are within the bounds.
    pub(super) fn shrink(
        self,
        conn: &Connection,
        bounds: Bounds,
        n_more: u64,
        n_more_bytes: u64,
    ) -> Result<(), StoreError> {
        let (n, n_bytes): (i64, i64) = conn
            .prepare_cached("SELECT count(*), coalesce(sum(length(body)), 0) FROM dead_letters")
            .and_then(|mut s| s.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
            .in_file(self.file)?;
        let excess = (unsigned(n) + n_more).saturating_sub(bounds.n_letters);
        let excess_bytes = (unsigned(n_bytes) + n_more_bytes).saturating_sub(bounds.n_bytes);
        if excess == 0 && excess_bytes == 0 {
            return Ok(());
        }
        let n = conn
            .prepare_cached(
                "DELETE FROM dead_letters WHERE id IN (SELECT id FROM (
                   SELECT id, row_number() OVER (ORDER BY id) - 1 AS n_before,
                     sum(length(body)) OVER (ORDER BY id) - length(body) AS n_bytes_before FROM dead_letters)
                 WHERE n_before < ?1 OR n_bytes_before < ?2)",
            )
            .and_then(|mut s| s.execute([int(excess), int(excess_bytes)]))
            .in_file(self.file)?;
        self.count_dropped(conn, n as u64)
    }

    fn count_dropped(self, conn: &Connection, n: u64) -> Result<(), StoreError> {
        if n == 0 {
            return Ok(());
        }
        let total = self.n_letters_dropped(conn)?.saturating_add(n);
        put_meta(conn, DROPPED, &total.to_string()).in_file(self.file)
    }

    fn letter_in(self, row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
        Ok(DeadLetter {
            stream: self.key_in(row)?,
            id: unsigned(row.get(4)?),
            seq: unsigned(row.get(5)?),
            digest: Digest(row.get(6)?),
            reason: row.get(7)?,
            received_at: Timestamp(row.get(8)?),
            n_bytes: unsigned(row.get(9)?),
            fenced: row.get(10)?,
        })
    }
}
