//! Sealing: batches and the positions they cover, in one durable transaction.
//!
//! Owns numbering. Either everything of a seal is on disk when [`Spool::seal`] returns, or nothing of it.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};
use watchkeeper_daemon::crash;
use watchkeeper_model::{FileRef, Kind, Service, Timestamp};

use super::schema::{current_epoch, explain, lock, put};
use super::{Spool, SpoolError};
use crate::wire::SealedBody;

/// What one seal writes.
#[derive(Debug, Default)]
pub struct SealRequest {
    /// Batches in order, each with its service and kind.
    pub batches: Vec<(Service, Kind, SealedBody)>,
    /// Where the sources stand.
    pub checkpoints: Vec<SourceCheckpoint>,
    /// A welcome has been taken in: from now on this spool knows how far files were read.
    pub welcomed: bool,
}

/// Where one source stands.
#[derive(Debug)]
pub struct SourceCheckpoint {
    /// The source, by name.
    pub source: String,
    /// Positions to store, by file, encoded.
    pub store: Vec<(FileRef, String)>,
    /// Files to forget.
    pub forget: Vec<FileRef>,
    /// Up to when its directories were looked through; `None` leaves what is stored. Not the time of sealing: a file
    /// made between the two, and rotated before the next start, would be taken for an old one.
    pub looked_at: Option<Timestamp>,
}

impl Spool {
    /// Makes the request durable, or changes nothing.
    ///
    /// # Errors
    /// [`SpoolError::Full`] if the disk is full; others if the file is broken.
    pub fn seal(&self, request: &SealRequest, now: Timestamp) -> Result<(), SpoolError> {
        let mut connection = lock(&self.sealing);
        let path = connection.path().unwrap_or_default().to_owned();
        let n_bytes = write(&mut connection, request, now).map_err(|e| match e {
            SpoolError::Sqlite(error) => explain(error, path.as_ref()),
            other => other,
        })?;
        self.pending_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        Ok(())
    }
}

fn write(
    connection: &mut Connection,
    request: &SealRequest,
    now: Timestamp,
) -> Result<u64, SpoolError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let epoch = current_epoch(&transaction)?.to_string();
    let mut n_bytes = 0;
    for (service, kind, body) in &request.batches {
        let (stream, seq) = next_seq(&transaction, &epoch, service, *kind)?;
        let sql = "INSERT INTO batch (stream, kind, seq, digest, body, n_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let size = i64::try_from(body.bytes.len()).unwrap_or(i64::MAX);
        transaction.prepare_cached(sql)?.execute(params![
            stream,
            *kind as i64,
            seq,
            body.digest.0,
            body.bytes,
            size
        ])?;
        n_bytes += body.bytes.len() as u64;
    }
    for checkpoint in &request.checkpoints {
        write_checkpoint(&transaction, checkpoint)?;
    }
    if request.welcomed {
        put(&transaction, "welcomed", &now.rfc3339())?;
    }
    crash::point("spool.before_commit");
    transaction.commit()?;
    crash::point("spool.after_commit");
    Ok(n_bytes)
}

fn next_seq(
    connection: &Connection,
    epoch: &str,
    service: &Service,
    kind: Kind,
) -> rusqlite::Result<(i64, i64)> {
    let sql = "INSERT INTO stream (epoch, service, kind, next_seq) VALUES (?1, ?2, ?3, 2) \
               ON CONFLICT (epoch, service, kind) DO UPDATE SET next_seq = next_seq + 1 \
               RETURNING id, next_seq - 1";
    connection
        .prepare_cached(sql)?
        .query_row(params![epoch, service.as_str(), kind as i64], |r| Ok((r.get(0)?, r.get(1)?)))
}

fn write_checkpoint(
    connection: &Connection,
    checkpoint: &SourceCheckpoint,
) -> rusqlite::Result<()> {
    let source = &checkpoint.source;
    if let Some(at) = checkpoint.looked_at {
        let sql = "INSERT INTO source (name, reads, looked_at) VALUES (?1, '', ?2) \
                   ON CONFLICT (name) DO UPDATE SET looked_at = excluded.looked_at";
        connection.prepare_cached(sql)?.execute(params![source, at.nanos()])?;
    }
    for (file, body) in &checkpoint.store {
        connection
            .prepare_cached(
                "INSERT INTO position VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (source, inode, born) DO UPDATE SET body = excluded.body",
            )?
            .execute(params![source, file.inode.cast_signed(), file.born.nanos(), body])?;
    }
    for file in &checkpoint.forget {
        connection
            .prepare_cached("DELETE FROM position WHERE source = ?1 AND inode = ?2 AND born = ?3")?
            .execute(params![source, file.inode.cast_signed(), file.born.nanos()])?;
    }
    Ok(())
}
