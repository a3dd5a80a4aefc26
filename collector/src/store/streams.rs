//! Which batches of which stream are counted or buried: the half of exactly-once that lies on disk.
//!
//! Owns the tables `streams` and `digests`, which both delivery files have (with `letters`), so that each commits them
//! with its own data. A batch is written down as a difference, "this number joins the set", never as the whole set: so a
//! failed commit of one batch can't be covered by the success of the next. Refuses to count a number twice whatever
//! its caller believes. Never looks into a batch.

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchkeeper_model::{Digest, Kind, SeqSet, StreamKey, Timestamp};

use super::error::{InFile, StoreError};
use super::letters::Burial;
use super::numbers::{bits, int, unsigned};

/// How many digests a stream keeps, as [`watchkeeper_collector_core::dedupe::RECENT_DIGESTS`].
const RECENT_DIGESTS: u64 = watchkeeper_collector_core::dedupe::RECENT_DIGESTS;

/// A batch on its way into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchCommit<B> {
    /// Its stream.
    pub stream: StreamKey,
    /// Its number.
    pub seq: u64,
    /// Of its sealed content.
    pub digest: Digest,
    /// What its agent has settled.
    pub settled_below: u64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What is to become of it.
    pub fate: Fate<B>,
}

/// What is to become of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate<B> {
    /// Its content counts.
    Counted(B),
    /// It can't ever be counted: kept as a dead letter.
    Buried {
        /// Why.
        reason: String,
        /// Its sealed content, for a retry by hand.
        raw: Vec<u8>,
        /// What it counts was read again: no retry may ever count it.
        fenced: bool,
    },
    /// It was counted before; only what its agent has settled is noted.
    Repeated,
}

/// What the store found when it committed a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is counted now.
    Counted,
    /// It is a dead letter now.
    Buried,
    /// It had been counted or buried before: nothing of it was added.
    Repeated,
    /// Its number belongs to a batch with another digest: nothing of it was added.
    Forked,
}

/// One stream as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRow {
    /// Which.
    pub key: StreamKey,
    /// Numbers counted.
    pub seen: SeqSet,
    /// Numbers buried, counted later or not.
    pub dead: SeqSet,
    /// The latest digests, by number.
    pub digests: Vec<(u64, Digest)>,
    /// What the agent has settled.
    pub settled_below: u64,
}

struct Found {
    id: i64,
    seen: SeqSet,
    dead: SeqSet,
    settled_below: u64,
}

/// Which delivery tables: those of which file, for which kind of stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    pub(super) file: &'static str,
    pub(super) kind: Kind,
}

impl Streams {
    /// Notes the batch; whether its content is to be added in the same transaction.
    pub(super) fn note<B>(
        self,
        conn: &Connection,
        batch: &BatchCommit<B>,
    ) -> Result<Stored, StoreError> {
        if batch.stream.kind != self.kind || !(1..=i64::MAX as u64).contains(&batch.seq) {
            return Err(StoreError::bug(
                self.file,
                "a batch of another kind, or number out of range",
            ));
        }
        let mut found = self.find_or_add(conn, batch)?;
        let stored = self.judge(conn, &found, batch)?;
        match (&batch.fate, stored) {
            (Fate::Buried { reason, raw, fenced }, Stored::Buried) => {
                let BatchCommit { seq, digest, received_at, .. } = *batch;
                let (stream, fenced) = (found.id, *fenced);
                self.bury(conn, &Burial { stream, seq, digest, received_at, reason, fenced, raw })?;
                found.dead.insert(batch.seq);
            }
            (Fate::Counted(_), Stored::Counted) => {
                if found.dead.contains(batch.seq) {
                    self.unbury(conn, found.id, batch.seq)?;
                }
                found.seen.insert(batch.seq);
            }
            _ => {}
        }
        if matches!(stored, Stored::Counted | Stored::Buried) {
            self.remember(conn, &found, batch)?;
        }
        found.settled_below = found.settled_below.max(batch.settled_below);
        self.save(conn, &found, batch.received_at)?;
        Ok(stored)
    }

    fn judge<B>(
        self,
        conn: &Connection,
        found: &Found,
        batch: &BatchCommit<B>,
    ) -> Result<Stored, StoreError> {
        let (seen, dead) = (found.seen.contains(batch.seq), found.dead.contains(batch.seq));
        if (seen || dead) && self.is_other_digest(conn, found.id, batch)? {
            return Ok(Stored::Forked);
        }
        Ok(match &batch.fate {
            Fate::Counted(_) if !seen => Stored::Counted,
            Fate::Buried { .. } if !seen && !dead => Stored::Buried,
            _ => Stored::Repeated,
        })
    }

    fn is_other_digest<B>(
        self,
        conn: &Connection,
        id: i64,
        batch: &BatchCommit<B>,
    ) -> Result<bool, StoreError> {
        let known: Option<[u8; 16]> = conn
            .prepare_cached("SELECT digest FROM digests WHERE stream = ?1 AND seq = ?2")
            .and_then(|mut s| s.query_row(params![id, int(batch.seq)], |r| r.get(0)).optional())
            .in_file(self.file)?;
        Ok(known.is_some_and(|known| known != batch.digest.0))
    }

    fn find_or_add<B>(
        self,
        conn: &Connection,
        batch: &BatchCommit<B>,
    ) -> Result<Found, StoreError> {
        let StreamKey { agent, epoch, service, .. } = &batch.stream;
        let key =
            params![agent.as_str(), epoch.created_at.nanos(), bits(epoch.random), service.as_str()];
        let known = conn
            .prepare_cached(
                "SELECT id, seen, dead, settled_below FROM streams
                 WHERE agent = ?1 AND epoch_at = ?2 AND epoch_random = ?3 AND service = ?4",
            )
            .and_then(|mut s| s.query_row(key, found_in).optional())
            .in_file(self.file)?;
        if let Some(found) = known {
            return Ok(found);
        }
        conn.prepare_cached(
            "INSERT INTO streams (agent, epoch_at, epoch_random, service, seen, dead, settled_below, updated_at)
             VALUES (?1, ?2, ?3, ?4, '', '', 0, 0)",
        )
        .and_then(|mut s| s.insert(key))
        .in_file(self.file)
        .map(|id| Found { id, seen: SeqSet::default(), dead: SeqSet::default(), settled_below: 0 })
    }

    fn remember<B>(
        self,
        conn: &Connection,
        found: &Found,
        batch: &BatchCommit<B>,
    ) -> Result<(), StoreError> {
        conn.prepare_cached("INSERT OR REPLACE INTO digests VALUES (?1, ?2, ?3)")
            .and_then(|mut s| s.execute(params![found.id, int(batch.seq), batch.digest.0]))
            .in_file(self.file)?;
        let newest = found.seen.max().max(found.dead.max());
        let Some(past) = newest.checked_sub(RECENT_DIGESTS).filter(|p| *p > 0) else {
            return Ok(());
        };
        conn.prepare_cached("DELETE FROM digests WHERE stream = ?1 AND seq <= ?2")
            .and_then(|mut s| s.execute(params![found.id, int(past)]))
            .in_file(self.file)
            .map(drop)
    }

    fn save(self, conn: &Connection, found: &Found, at: Timestamp) -> Result<(), StoreError> {
        conn.prepare_cached(
            "UPDATE streams SET seen = ?2, dead = ?3, settled_below = ?4, updated_at = max(updated_at, ?5) WHERE id = ?1",
        )
        .and_then(|mut s| {
            s.execute(params![
                found.id,
                write_set(&found.seen),
                write_set(&found.dead),
                int(found.settled_below),
                at.nanos()
            ])
        })
        .in_file(self.file)
        .map(drop)
    }
}

fn found_in(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        id: row.get(0)?,
        seen: read_set(&row.get::<_, String>(1)?)?,
        dead: read_set(&row.get::<_, String>(2)?)?,
        settled_below: unsigned(row.get(3)?),
    })
}

fn write_set(set: &SeqSet) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let below = (set.low_water() > 0).then_some((1, set.low_water()));
    for (first, last) in below.into_iter().chain(set.ranges().iter().copied()) {
        let comma = if out.is_empty() { "" } else { "," };
        // Writing to a string can't fail.
        let _ = if first == last {
            write!(out, "{comma}{first}")
        } else {
            write!(out, "{comma}{first}-{last}")
        };
    }
    out
}

/// A number that can't be read must not be taken for one that was never counted: it is an error.
pub(super) fn read_set(text: &str) -> rusqlite::Result<SeqSet> {
    let unreadable = || {
        let problem = format!("set of numbers {text:?}").into();
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, problem)
    };
    let mut ranges = Vec::new();
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let number = |text: &str| text.parse().map_err(|_| unreadable());
        ranges.push((number(first)?, number(last)?));
    }
    Ok(SeqSet::from_parts(0, ranges))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_numbers_reads_as_it_is_written() {
        for text in ["", "1", "1-5", "1-5,8,10-12", "3"] {
            assert_eq!(write_set(&read_set(text).unwrap()), text);
        }
        assert!(read_set("1-5,x").is_err());
    }
}
