//! What delivery asks of the spool: pending batches, receipts, new identities, batches to be offered again.
//!
//! Owns everything about a batch after it was sealed. Nothing here needs to reach the disk at once: what is lost in a
//! crash is done again, and the collector recognises a repetition.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, params};
use watchkeeper_agent_core::deliver::{Lane, Offer, RowId, Settled, StreamAnswer};
use watchkeeper_model::{BatchKey, Digest, Epoch, Kind, Service, StreamKey, Timestamp};

use super::schema::{begin_epoch, current_epoch, lock, sums};
use super::{Spool, SpoolError, letters};

/// A batch on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Which one.
    pub key: BatchKey,
    /// Of `body`.
    pub digest: Digest,
    /// Batches of its stream below this number will not be offered again.
    pub settled_below: u64,
    /// As sealed.
    pub body: Vec<u8>,
}

impl Spool {
    /// Pending batches of a lane, in order, and whether these are all that lie in `rows`. Events only before the first
    /// pending batch of windows: a body must not be durable at the collector before its counts.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn pending(
        &self,
        lane: Lane,
        rows: RangeInclusive<RowId>,
        limit: usize,
    ) -> Result<(Vec<Offer>, bool), SpoolError> {
        let connection = lock(&self.serving);
        let sql = "SELECT b.row, s.epoch, s.service, b.seq, b.n_bytes FROM batch b JOIN stream s ON s.id = b.stream \
                   WHERE b.kind = ?1 AND b.receipted_at IS NULL AND b.row BETWEEN ?2 AND ?3 AND (?1 = 0 OR b.row < coalesce( \
                     (SELECT min(w.row) FROM batch w WHERE w.kind = 0 AND w.receipted_at IS NULL), b.row + 1)) \
                   ORDER BY b.row LIMIT ?4";
        let mut statement = connection.prepare_cached(sql)?;
        let limit_plus_one = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let wanted = params![lane as i64, rows.start(), rows.end(), limit_plus_one];
        let found = statement
            .query_map(wanted, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?;
        let mut offers = Vec::new();
        for row in found {
            let (row, epoch, service, seq, n_bytes): (i64, String, String, i64, i64) = row?;
            let key = self.key(&epoch, &service, lane, seq)?;
            offers.push(Offer { row, key, n_bytes: usize::try_from(n_bytes).unwrap_or(0) });
        }
        let complete = offers.len() <= limit;
        offers.truncate(limit);
        Ok((offers, complete))
    }

    /// The row of the batch that was sealed last, whatever became of it; 0 before the first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn newest_row(&self) -> Result<RowId, SpoolError> {
        // Not the largest row: that one may have been forgotten. SQLite keeps the number for AUTOINCREMENT.
        let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'batch'), 0)";
        Ok(lock(&self.serving).prepare_cached(sql)?.query_row([], |r| r.get(0))?)
    }

    /// The batch in a row, `None` if it is gone or if its body is not what was sealed; such a row becomes a dead letter,
    /// and the collector will find its number missing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn outgoing(&self, row: RowId, now: Timestamp) -> Result<Option<Outgoing>, SpoolError> {
        let mut connection = lock(&self.serving);
        let sql = "SELECT s.epoch, s.service, b.kind, b.seq, b.digest, b.body, coalesce( \
                     (SELECT min(o.seq) FROM batch o WHERE o.stream = b.stream), b.seq) \
                   FROM batch b JOIN stream s ON s.id = b.stream WHERE b.row = ?1";
        type Row = (String, String, i64, i64, [u8; 16], Vec<u8>, i64);
        let found: Option<Row> = connection
            .prepare_cached(sql)?
            .query_row([row], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?))
            })
            .optional()?;
        let Some((epoch, service, kind, seq, digest, body, settled_below)) = found else {
            return Ok(None);
        };
        let digest = Digest(digest);
        if Digest::of(&body) != digest {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            letters::keep(&transaction, row, letters::BROKEN, true, now)?;
            transaction.execute("DELETE FROM batch WHERE row = ?1", [row])?;
            transaction.commit()?;
            self.count_again(&connection)?;
            return Ok(None);
        }
        let kind = if kind == 0 { Kind::Windows } else { Kind::Events };
        let key = self.key(&epoch, &service, kind, seq)?;
        Ok(Some(Outgoing { key, digest, settled_below: settled_below.unsigned_abs(), body }))
    }

    /// Stores the end of a batch.
    ///
    /// # Errors
    /// If the file cannot be written; the batch is offered again then, and recognised.
    pub fn settle(&self, row: RowId, settled: &Settled, now: Timestamp) -> Result<(), SpoolError> {
        let mut connection = lock(&self.serving);
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let refused = match settled {
            Settled::Durable => {
                letters::forget(&transaction, row)?;
                None
            }
            Settled::Refused { reason } => {
                letters::keep(&transaction, row, reason, false, now)?;
                Some(reason)
            }
        };
        let sql = "UPDATE batch SET receipted_at = ?2, refused = ?3 WHERE row = ?1 AND receipted_at IS NULL \
                   RETURNING n_bytes";
        let n_bytes: Option<i64> = transaction
            .prepare_cached(sql)?
            .query_row(params![row, now.nanos(), refused], |r| r.get(0))
            .optional()?;
        transaction.commit()?;
        let n_bytes = n_bytes.unwrap_or(0).unsigned_abs();
        self.pending_bytes.fetch_sub(n_bytes.min(self.pending_bytes()), Ordering::Relaxed);
        self.kept_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Gives a batch whose number is taken the identity of an orphan, and begins a new epoch if its own is current;
    /// whether it was.
    ///
    /// # Errors
    /// If the file cannot be written; it is asked for again then.
    pub fn rekey(&self, row: RowId, entropy: u64, now: Timestamp) -> Result<bool, SpoolError> {
        let mut connection = lock(&self.sealing);
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let sql = "SELECT s.epoch, s.service, b.kind, b.seq, b.digest FROM batch b JOIN stream s ON s.id = b.stream \
                   WHERE b.row = ?1";
        let found: Option<(String, String, i64, i64, [u8; 16])> = transaction
            .query_row(sql, [row], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
            .optional()?;
        let Some((epoch, service, kind, seq, digest)) = found else { return Ok(false) };
        let lane = if kind == 0 { Kind::Windows } else { Kind::Events };
        let key = self.key(&epoch, &service, lane, seq)?;
        let orphan = Epoch::orphan_of(&key, Digest(digest)).to_string();
        letters::rename(&transaction, &key, &orphan)?;
        let stream: i64 = transaction.query_row(
            "INSERT INTO stream (epoch, service, kind, next_seq) VALUES (?1, ?2, ?3, 2) RETURNING id",
            params![orphan, service, kind],
            |r| r.get(0),
        )?;
        transaction.execute(
            "UPDATE batch SET stream = ?2, seq = 1 WHERE row = ?1",
            params![row, stream],
        )?;
        let was_current = current_epoch(&transaction)?.to_string() == epoch;
        if was_current {
            begin_epoch(&transaction, entropy, now)?;
        }
        transaction.commit()?;
        Ok(was_current)
    }

    /// Makes every kept batch pending again that the collector lacks; how many.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn reoffer(&self, streams: &[StreamAnswer]) -> Result<u64, SpoolError> {
        let mut connection = lock(&self.serving);
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut again = Vec::new();
        {
            let sql = "SELECT b.row, s.epoch, s.service, b.kind, b.seq FROM batch b JOIN stream s ON s.id = b.stream \
                       WHERE b.receipted_at IS NOT NULL";
            let mut statement = transaction.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while let Some(r) = rows.next()? {
                let (row, epoch, service, kind, seq): (i64, String, String, i64, i64) =
                    (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?);
                let lane = if kind == 0 { Kind::Windows } else { Kind::Events };
                let key = self.key(&epoch, &service, lane, seq)?;
                let answer = streams.iter().find(|s| s.stream == key.stream);
                if !answer.is_some_and(|s| s.answered.contains(key.seq)) {
                    again.push(row);
                }
            }
        }
        for row in &again {
            transaction
                .prepare_cached(
                    "UPDATE batch SET receipted_at = NULL, refused = NULL WHERE row = ?1",
                )?
                .execute([row])?;
        }
        transaction.commit()?;
        self.count_again(&connection)?;
        Ok(again.len() as u64)
    }

    /// Forgets receipted batches that are older, or more, than is kept; all of them while the spool is over its limit.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn forget_settled(&self, now: Timestamp) -> Result<(), SpoolError> {
        let connection = lock(&self.serving);
        let kept = self.kept_bytes.load(Ordering::Relaxed);
        let crowded = self.bytes() > self.settings.max_bytes;
        let too_much = kept > self.settings.keep_bytes || crowded;
        let before = (now - self.settings.keep).nanos();
        let n = connection.execute("DELETE FROM batch WHERE receipted_at < ?1", [before])?;
        if too_much {
            let excess = if crowded { kept } else { kept - self.settings.keep_bytes };
            let sql = "DELETE FROM batch WHERE row IN (SELECT row FROM ( \
                         SELECT row, sum(n_bytes) OVER (ORDER BY receipted_at, row) - n_bytes AS freed FROM batch \
                         WHERE receipted_at IS NOT NULL) WHERE freed < ?1)";
            connection.execute(sql, [i64::try_from(excess).unwrap_or(i64::MAX)])?;
        }
        // Orphans and past epochs leave nothing behind once their batches are gone.
        let sql = "DELETE FROM stream WHERE epoch <> (SELECT value FROM meta WHERE key = 'epoch') \
                   AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.stream = stream.id)";
        if n > 0 || too_much {
            connection.execute(sql, [])?;
            self.count_again(&connection)?;
        }
        Ok(())
    }

    /// Every epoch of which the spool holds a batch, and the current one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn held_epochs(&self) -> Result<Vec<Epoch>, SpoolError> {
        let connection = lock(&self.serving);
        let mut held = vec![current_epoch(&connection)?];
        let sql = "SELECT DISTINCT s.epoch FROM stream s WHERE EXISTS (SELECT 1 FROM batch b WHERE b.stream = s.id)";
        let mut statement = connection.prepare_cached(sql)?;
        for epoch in statement.query_map([], |r| r.get::<_, String>(0))? {
            held.extend(epoch?.parse::<Epoch>());
        }
        held.sort();
        held.dedup();
        Ok(held)
    }

    pub(super) fn count_again(&self, connection: &Connection) -> Result<(), SpoolError> {
        // No seal may add between the sum and its storing.
        let _sealing = lock(&self.sealing);
        let (pending, kept) = sums(connection)?;
        self.pending_bytes.store(pending, Ordering::Relaxed);
        self.kept_bytes.store(kept, Ordering::Relaxed);
        Ok(())
    }

    fn key(
        &self,
        epoch: &str,
        service: &str,
        kind: Kind,
        seq: i64,
    ) -> Result<BatchKey, SpoolError> {
        let broken = |detail: String| SpoolError::Corrupt { path: "spool.db".into(), detail };
        let epoch = epoch.parse().map_err(|()| broken(format!("{epoch:?} is no epoch")))?;
        let service =
            Service::new(service).ok_or_else(|| broken(format!("{service:?} is no service")))?;
        let stream = StreamKey { agent: self.agent.clone(), epoch, service, kind };
        Ok(BatchKey { stream, seq: seq.unsigned_abs() })
    }
}
