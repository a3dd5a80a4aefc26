//! Reading what streams left behind, and forgetting what is too old.
//!
//! Owns the way from rows back to streams. A row that can't be read is an error: a stream taken for unknown
//! would be counted again. Never writes but to forget.

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchkeeper_model::{AgentId, Digest, Epoch, Service, StreamKey, Timestamp};

use super::error::{InFile, StoreError};
use super::numbers::{bits, from_bits, unsigned};
use super::streams::{StreamRow, Streams, read_set};

impl Streams {
    /// The streams of one agent.
    pub(super) fn of_agent(
        self,
        conn: &Connection,
        agent: &AgentId,
    ) -> Result<Vec<StreamRow>, StoreError> {
        let rows: Vec<(i64, StreamRow)> = conn
            .prepare_cached(
                "SELECT agent, epoch_at, epoch_random, service, id, seen, dead, settled_below FROM streams
                 WHERE agent = ?1 ORDER BY epoch_at, epoch_random, service",
            )
            .and_then(|mut s| s.query_map([agent.as_str()], |row| self.row_in(row))?.collect())
            .in_file(self.file)?;
        rows.into_iter().map(|(id, row)| self.with_digests(conn, id, row)).collect()
    }

    /// One stream.
    pub(super) fn load(
        self,
        conn: &Connection,
        key: &StreamKey,
    ) -> Result<Option<StreamRow>, StoreError> {
        let epoch = key.epoch;
        let row = conn
            .prepare_cached(
                "SELECT agent, epoch_at, epoch_random, service, id, seen, dead, settled_below FROM streams
                 WHERE agent = ?1 AND epoch_at = ?2 AND epoch_random = ?3 AND service = ?4",
            )
            .and_then(|mut s| {
                s.query_row(
                    params![
                        key.agent.as_str(),
                        epoch.created_at.nanos(),
                        bits(epoch.random),
                        key.service.as_str()
                    ],
                    |row| self.row_in(row),
                )
                .optional()
            })
            .in_file(self.file)?;
        row.map(|(id, row)| self.with_digests(conn, id, row)).transpose()
    }

    fn with_digests(
        self,
        conn: &Connection,
        id: i64,
        mut row: StreamRow,
    ) -> Result<StreamRow, StoreError> {
        row.digests = conn
            .prepare_cached("SELECT seq, digest FROM digests WHERE stream = ?1 ORDER BY seq")
            .and_then(|mut s| {
                s.query_map([id], |r| Ok((unsigned(r.get(0)?), Digest(r.get(1)?))))?.collect()
            })
            .in_file(self.file)?;
        Ok(row)
    }

    fn row_in(self, row: &Row<'_>) -> rusqlite::Result<(i64, StreamRow)> {
        Ok((
            row.get(4)?,
            StreamRow {
                key: self.key_in(row)?,
                seen: read_set(&row.get::<_, String>(5)?)?,
                dead: read_set(&row.get::<_, String>(6)?)?,
                digests: Vec::new(),
                settled_below: unsigned(row.get(7)?),
            },
        ))
    }

    pub(super) fn key_in(self, row: &Row<'_>) -> rusqlite::Result<StreamKey> {
        let service: String = row.get(3)?;
        Ok(StreamKey {
            agent: AgentId::new(&row.get::<_, String>(0)?),
            epoch: Epoch { created_at: Timestamp(row.get(1)?), random: from_bits(row.get(2)?) },
            service: Service::new(&service).ok_or_else(|| {
                let problem = format!("service {service:?}").into();
                rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, problem)
            })?,
            kind: self.kind,
        })
    }

    /// Forgets streams that had nothing new since `before`: their data are gone too.
    pub(super) fn forget(
        self,
        conn: &Connection,
        before: Timestamp,
        limit: u32,
    ) -> Result<usize, StoreError> {
        let ids: Vec<i64> = conn
            .prepare_cached(
                "SELECT id FROM streams WHERE updated_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.stream = streams.id) LIMIT ?2",
            )
            .and_then(|mut s| s.query_map(params![before.nanos(), limit], |r| r.get(0))?.collect())
            .in_file(self.file)?;
        for id in &ids {
            conn.execute("DELETE FROM digests WHERE stream = ?1", [id]).in_file(self.file)?;
            conn.execute("DELETE FROM streams WHERE id = ?1", [id]).in_file(self.file)?;
        }
        Ok(ids.len())
    }
}
