//! Dead letters of the agent: batches that were refused for good, or are not what was sealed any more.
//!
//! Owns the table `dead_letter` and its bounds: 1 000 letters, 64 MiB, 90 days; what is over is dropped, the oldest first,
//! and counted. A refused batch is a copy beside the one that is kept for a collector that may be restored. Never offers
//! one by itself: somebody asks for it, in the file, which only its owner can write.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchkeeper_agent_core::deliver::RowId;
use watchkeeper_model::{AgentId, BatchKey, Digest, Kind, Service, StreamKey, Timestamp};

use super::schema::{get, lock, put};
use super::{Spool, SpoolError};

/// Kept at most.
const MAX_LETTERS: i64 = 1_000;
const MAX_BYTES: i64 = 64 << 20;
const MAX_AGE: Duration = Duration::from_secs(90 * 86_400);

/// Under this key `meta` counts what was dropped.
const DROPPED: &str = "dead_letters_dropped";

/// The reason of a batch that rotted in the spool.
pub(super) const BROKEN: &str =
    "its body is not what was sealed: the disk, or somebody, changed it";

/// A batch that nobody counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledLetter {
    /// Its number among the letters of this spool.
    pub id: u64,
    /// Which batch it is.
    pub key: BatchKey,
    /// Of what was sealed.
    pub digest: Digest,
    /// Its body is not what was sealed: it can't be offered again.
    pub broken: bool,
    /// Why it is not counted.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// Size of its body.
    pub n_bytes: u64,
    /// Somebody asked to offer it again, and the collector has not answered yet.
    pub asked: bool,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterCounts {
    /// Kept at present.
    pub n_kept: u64,
    /// Ever dropped because there were too many, too large or too old ones.
    pub n_dropped: u64,
}

impl Spool {
    /// Its dead letters, oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn dead_letters(&self) -> Result<Vec<SpooledLetter>, SpoolError> {
        letters(&lock(&self.serving), &self.agent)
    }

    /// How many dead letters there are, and were dropped.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn count_letters(&self) -> Result<LetterCounts, SpoolError> {
        count(&lock(&self.serving))
    }

    /// Puts what somebody asked to offer again back among the batches that wait, and drops letters that are too old; how
    /// many wait now.
    ///
    /// # Errors
    /// If the file cannot be written; it is done again then.
    pub fn offer_letters_again(&self, now: Timestamp) -> Result<u64, SpoolError> {
        let mut connection = lock(&self.serving);
        let before = (now - MAX_AGE).nanos();
        let due: (i64, i64) = connection
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE asked_at IS NOT NULL AND NOT offered AND NOT broken), \
                 count(*) FILTER (WHERE at < ?1) FROM dead_letter",
            )?
            .query_row([before], |r| Ok((r.get(0)?, r.get(1)?)))?;
        if due == (0, 0) {
            return Ok(0);
        }
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let n_old = transaction.execute("DELETE FROM dead_letter WHERE at < ?1", [before])?;
        count_dropped(&transaction, n_old)?;
        let n = offer_asked(&transaction)?;
        transaction.commit()?;
        self.count_again(&connection)?;
        Ok(n)
    }
}

/// All letters of a spool, oldest first.
pub(super) fn letters(
    connection: &Connection,
    agent: &AgentId,
) -> Result<Vec<SpooledLetter>, SpoolError> {
    let sql = "SELECT id, epoch, service, kind, seq, digest, broken, reason, at, length(body), asked_at IS NOT NULL \
               FROM dead_letter ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], Stored::read)?;
    rows.map(|row| row?.letter(agent)).collect()
}

/// A row as it is stored.
struct Stored {
    id: i64,
    epoch: String,
    service: String,
    kind: i64,
    seq: i64,
    digest: [u8; 16],
    broken: bool,
    reason: String,
    at: i64,
    n_bytes: i64,
    asked: bool,
}

impl Stored {
    fn read(r: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: r.get(0)?,
            epoch: r.get(1)?,
            service: r.get(2)?,
            kind: r.get(3)?,
            seq: r.get(4)?,
            digest: r.get(5)?,
            broken: r.get(6)?,
            reason: r.get(7)?,
            at: r.get(8)?,
            n_bytes: r.get(9)?,
            asked: r.get(10)?,
        })
    }

    fn letter(self, agent: &AgentId) -> Result<SpooledLetter, SpoolError> {
        let broken = |detail: String| SpoolError::Corrupt { path: "spool.db".into(), detail };
        let Self { epoch, service, .. } = &self;
        let epoch = epoch.parse().map_err(|()| broken(format!("{epoch:?} is no epoch")))?;
        let service =
            Service::new(service).ok_or_else(|| broken(format!("{service:?} is no service")))?;
        let kind = if self.kind == 0 { Kind::Windows } else { Kind::Events };
        let stream = StreamKey { agent: agent.clone(), epoch, service, kind };
        Ok(SpooledLetter {
            id: self.id.unsigned_abs(),
            key: BatchKey { stream, seq: self.seq.unsigned_abs() },
            digest: Digest(self.digest),
            broken: self.broken,
            reason: self.reason,
            at: Timestamp(self.at),
            n_bytes: self.n_bytes.unsigned_abs(),
            asked: self.asked,
        })
    }
}

/// Keeps a copy of the batch in a row as a dead letter; one that it has already is told anew.
pub(super) fn keep(
    connection: &Connection,
    row: RowId,
    reason: &str,
    broken: bool,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO dead_letter (epoch, service, kind, seq, digest, broken, reason, at, body) \
               SELECT s.epoch, s.service, b.kind, b.seq, b.digest, ?2, ?3, ?4, b.body \
               FROM batch b JOIN stream s ON s.id = b.stream WHERE b.row = ?1 \
               ON CONFLICT (epoch, service, kind, seq) DO UPDATE SET broken = excluded.broken, \
                 reason = excluded.reason, at = excluded.at, asked_at = NULL, offered = 0";
    connection.prepare_cached(sql)?.execute(params![row, broken, reason, now.nanos()])?;
    shrink(connection, MAX_LETTERS, MAX_BYTES)
}

/// The batch in a row was counted: it is no dead letter, if it ever was one.
pub(super) fn forget(connection: &Connection, row: RowId) -> rusqlite::Result<()> {
    let sql = "DELETE FROM dead_letter WHERE (epoch, service, kind, seq) = \
               (SELECT s.epoch, s.service, b.kind, b.seq FROM batch b JOIN stream s ON s.id = b.stream WHERE b.row = ?1)";
    connection.prepare_cached(sql)?.execute([row]).map(drop)
}

/// The batch got the identity of an orphan, and so does its letter.
pub(super) fn rename(
    connection: &Connection,
    from: &BatchKey,
    orphan: &str,
) -> rusqlite::Result<()> {
    let StreamKey { epoch, service, kind, .. } = &from.stream;
    let seq = i64::try_from(from.seq).unwrap_or(i64::MAX);
    let sql = "UPDATE OR REPLACE dead_letter SET epoch = ?5, seq = 1 \
               WHERE epoch = ?1 AND service = ?2 AND kind = ?3 AND seq = ?4";
    connection
        .prepare_cached(sql)?
        .execute(params![epoch.to_string(), service.as_str(), *kind as i64, seq, orphan])
        .map(drop)
}

/// Drops the oldest beyond these bounds.
pub(super) fn shrink(
    connection: &Connection,
    max_letters: i64,
    max_bytes: i64,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM dead_letter WHERE id IN (SELECT id FROM ( \
                 SELECT id, row_number() OVER newest AS n, sum(length(body)) OVER newest AS n_bytes FROM dead_letter \
                 WINDOW newest AS (ORDER BY id DESC)) WHERE n > ?1 OR n_bytes > ?2)";
    let n = connection.prepare_cached(sql)?.execute([max_letters, max_bytes])?;
    count_dropped(connection, n)
}

fn count_dropped(connection: &Connection, n: usize) -> rusqlite::Result<()> {
    if n == 0 {
        return Ok(());
    }
    let total = n_dropped(connection)?.saturating_add(n as u64);
    put(connection, DROPPED, &total.to_string())
}

fn n_dropped(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(get(connection, DROPPED)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

pub(super) fn count(connection: &Connection) -> Result<LetterCounts, SpoolError> {
    let n: i64 = connection
        .prepare_cached("SELECT count(*) FROM dead_letter")?
        .query_row([], |r| r.get(0))?;
    Ok(LetterCounts { n_kept: n.unsigned_abs(), n_dropped: n_dropped(connection)? })
}

/// Makes batches of the letters somebody asked for, under the identity that they had.
fn offer_asked(connection: &Connection) -> Result<u64, SpoolError> {
    let sql = "SELECT id, epoch, service, kind, seq FROM dead_letter \
               WHERE asked_at IS NOT NULL AND NOT offered AND NOT broken ORDER BY id";
    type Asked = (i64, String, String, i64, i64);
    let asked: Vec<Asked> = connection
        .prepare_cached(sql)?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
        .collect::<Result<_, _>>()?;
    for (id, epoch, service, kind, seq) in &asked {
        let stream = stream_of(connection, epoch, service, *kind, *seq)?;
        // A row of its own behind all others: those before it, the sender has passed. One that waits is left as it is.
        connection
            .prepare_cached(
                "DELETE FROM batch WHERE stream = ?1 AND seq = ?2 AND receipted_at IS NOT NULL",
            )?
            .execute([stream, *seq])?;
        connection
            .prepare_cached(
                "INSERT INTO batch (stream, kind, seq, digest, body, n_bytes) \
                 SELECT ?2, kind, seq, digest, body, length(body) FROM dead_letter WHERE id = ?1 \
                 ON CONFLICT (stream, seq) DO NOTHING",
            )?
            .execute([*id, stream])?;
        connection
            .prepare_cached("UPDATE dead_letter SET offered = 1 WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(asked.len() as u64)
}

/// The stream of a letter, made again if it was forgotten with its last batch.
fn stream_of(
    connection: &Connection,
    epoch: &str,
    service: &str,
    kind: i64,
    seq: i64,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO stream (epoch, service, kind, next_seq) VALUES (?1, ?2, ?3, ?4 + 1) \
             ON CONFLICT (epoch, service, kind) DO UPDATE SET next_seq = max(next_seq, excluded.next_seq) RETURNING id",
        )?
        .query_row(params![epoch, service, kind, seq], |r| r.get(0))
}

/// Asks for a letter to be offered again: with the agent's next look, or at its next start.
pub(super) fn ask(connection: &Connection, id: u64, now: Timestamp) -> rusqlite::Result<bool> {
    let sql = "UPDATE dead_letter SET asked_at = ?2, offered = 0 WHERE id = ?1 AND NOT broken";
    Ok(connection.execute(sql, params![id.cast_signed(), now.nanos()])? > 0)
}

/// Takes a letter away; whether there was one.
pub(super) fn discard(connection: &Connection, id: u64) -> rusqlite::Result<bool> {
    Ok(connection.execute("DELETE FROM dead_letter WHERE id = ?1", [id.cast_signed()])? > 0)
}

/// The body of a letter.
pub(super) fn body(connection: &Connection, id: u64) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .query_row("SELECT body FROM dead_letter WHERE id = ?1", [id.cast_signed()], |r| r.get(0))
        .optional()
}
