//! What sources did, how far their files were read, and the counts of SLOs.
//!
//! Owns the tables that only add up: every write here is a difference, so the order of batches never matters. Never
//! decides anything from them.

use rusqlite::{Connection, Row, params};
use watchkeeper_collector_core::dedupe::Coverage;
use watchkeeper_collector_core::slo::Counts;
use watchkeeper_model::{
    AgentId, Epoch, FileRef, Frontier, Guard, SkipReason, SourceTally, StreamKey, Timestamp,
};

use super::error::{InFile, StoreError};
use super::numbers::{bits, from_bits, int, unsigned};

const FILE: &str = "intake";

/// What one SLO gained in one bucket: five minutes, or a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SloIncrement {
    /// The SLO's name.
    pub slo: String,
    /// A fingerprint of what it counted by: another definition counts apart.
    pub definition: u64,
    /// Start of the bucket.
    pub bucket: Timestamp,
    /// Good ones.
    pub good: u64,
    /// Judged ones.
    pub total: u64,
    /// Ones that could not be judged.
    pub unjudged: u64,
    /// Of the judged ones, those judged by the histogram.
    pub estimated: u64,
}

/// What a source did in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTotals {
    /// Whose source.
    pub agent: AgentId,
    /// Its sums, name included.
    pub tally: SourceTally,
}

/// How much of one file has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontierRow {
    /// Under which spool.
    pub epoch: Epoch,
    /// By which source.
    pub source: String,
    /// The path it was last seen under.
    pub path: String,
    /// Which file.
    pub file: FileRef,
    /// How much.
    pub coverage: Coverage,
    /// When it last grew.
    pub updated_at: Timestamp,
}

/// What the intake remembers of an agent between starts; the body is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRow {
    /// Which agent.
    pub id: AgentId,
    /// As of when.
    pub updated_at: Timestamp,
    /// JSON.
    pub body: String,
}

pub(super) fn put_agent(conn: &Connection, agent: &AgentRow) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO agents VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET updated_at = excluded.updated_at, body = excluded.body",
    )
    .and_then(|mut s| s.execute(params![agent.id.as_str(), agent.updated_at.nanos(), agent.body]))
    .in_file(FILE)
    .map(drop)
}

/// One agent, or all.
pub(super) fn agents(conn: &Connection, id: Option<&AgentId>) -> Result<Vec<AgentRow>, StoreError> {
    conn.prepare_cached(
        "SELECT id, updated_at, body FROM agents WHERE ?1 IS NULL OR id = ?1 ORDER BY id",
    )
    .and_then(|mut s| {
        s.query_map([id.map(AgentId::as_str)], |row| {
            Ok(AgentRow {
                id: AgentId::new(&row.get::<_, String>(0)?),
                updated_at: Timestamp(row.get(1)?),
                body: row.get(2)?,
            })
        })?
        .collect()
    })
    .in_file(FILE)
}

pub(super) fn add_slo(conn: &Connection, gain: &SloIncrement) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO slo_counts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET good = good + excluded.good, total = total + excluded.total,
         unjudged = unjudged + excluded.unjudged, estimated = estimated + excluded.estimated",
    )
    .and_then(|mut s| {
        s.execute(params![
            gain.slo,
            bits(gain.definition),
            gain.bucket.nanos(),
            int(gain.good),
            int(gain.total),
            int(gain.unjudged),
            int(gain.estimated)
        ])
    })
    .in_file(FILE)
    .map(drop)
}

/// Counts of one SLO under one definition by bucket, the oldest first.
pub(super) fn slo_counts(
    conn: &Connection,
    slo: &str,
    definition: u64,
    since: Timestamp,
) -> Result<Vec<(Timestamp, Counts)>, StoreError> {
    conn.prepare_cached(
        "SELECT bucket, good, total, unjudged, estimated FROM slo_counts
         WHERE slo = ?1 AND definition = ?2 AND bucket >= ?3 ORDER BY bucket",
    )
    .and_then(|mut s| {
        s.query_map(params![slo, bits(definition), since.nanos()], bucket_in)?.collect()
    })
    .in_file(FILE)
}

/// A bucket and its counts, in the order of the table.
pub(super) fn bucket_in(row: &Row<'_>) -> rusqlite::Result<(Timestamp, Counts)> {
    let counts = Counts {
        good: unsigned(row.get(1)?),
        total: unsigned(row.get(2)?),
        unjudged: unsigned(row.get(3)?),
        estimated: unsigned(row.get(4)?),
    };
    Ok((Timestamp(row.get(0)?), counts))
}

pub(super) fn add_tally(
    conn: &Connection,
    agent: &AgentId,
    tally: &SourceTally,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO source_totals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT DO UPDATE SET read = read + excluded.read, clamped = clamped + excluded.clamped,
         bytes = bytes + excluded.bytes, bytes_abandoned = bytes_abandoned + excluded.bytes_abandoned,
         bytes_unknown = bytes_unknown + excluded.bytes_unknown, truncations = truncations + excluded.truncations,
         events = events + excluded.events, events_dropped = events_dropped + excluded.events_dropped,
         overflowed = overflowed + excluded.overflowed, redacted = redacted + excluded.redacted,
         events_held_back = events_held_back + excluded.events_held_back",
    )
    .and_then(|mut s| {
        s.execute(params![
            agent.as_str(),
            tally.source,
            int(tally.read),
            int(tally.clamped),
            int(tally.bytes),
            int(tally.bytes_abandoned),
            int(tally.bytes_unknown),
            int(tally.truncations),
            int(tally.events),
            int(tally.events_dropped),
            int(tally.overflowed),
            int(tally.redacted),
            int(tally.events_held_back)
        ])
    })
    .in_file(FILE)?;
    for (reason, lines) in &tally.skipped {
        conn.prepare_cached(
            "INSERT INTO source_skipped VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET lines = lines + excluded.lines",
        )
        .and_then(|mut s| {
            s.execute(params![agent.as_str(), tally.source, reason.as_str(), int(*lines)])
        })
        .in_file(FILE)?;
    }
    Ok(())
}

pub(super) fn source_totals(conn: &Connection) -> Result<Vec<SourceTotals>, StoreError> {
    let mut totals: Vec<SourceTotals> = conn
        .prepare_cached("SELECT * FROM source_totals ORDER BY agent, source")
        .and_then(|mut s| s.query_map([], totals_in)?.collect())
        .in_file(FILE)?;
    let skipped: Vec<(String, String, String, i64)> = conn
        .prepare_cached("SELECT * FROM source_skipped ORDER BY agent, source, reason")
        .and_then(|mut s| {
            s.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?.collect()
        })
        .in_file(FILE)?;
    for (agent, source, reason, lines) in skipped {
        let of = totals.binary_search_by(|t| {
            (t.agent.as_str(), t.tally.source.as_str()).cmp(&(&agent, &source))
        });
        if let (Ok(at), Some(reason)) = (of, SkipReason::parse(&reason)) {
            totals[at].tally.skip(reason, unsigned(lines));
        }
    }
    Ok(totals)
}

fn totals_in(row: &Row<'_>) -> rusqlite::Result<SourceTotals> {
    let count = |at: usize| row.get(at).map(unsigned);
    Ok(SourceTotals {
        agent: AgentId::new(&row.get::<_, String>(0)?),
        tally: SourceTally {
            source: row.get(1)?,
            read: count(2)?,
            skipped: Vec::new(),
            clamped: count(3)?,
            bytes: count(4)?,
            bytes_abandoned: count(5)?,
            bytes_unknown: count(6)?,
            truncations: count(7)?,
            events: count(8)?,
            events_dropped: count(9)?,
            overflowed: count(10)?,
            redacted: count(11)?,
            events_held_back: count(12)?,
        },
    })
}

/// Whether a frontier's bytes arrived with it, or it only says how far reading went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// From where the seal began to where it ended.
    Covers,
    /// Nothing.
    Only,
}

/// The half of [`Coverage`] that lies on disk: the same sums, row by row.
pub(super) fn add_frontier(
    conn: &Connection,
    file: &'static str,
    stream: &StreamKey,
    frontier: &Frontier,
    (reach, now): (Reach, Timestamp),
) -> Result<(), StoreError> {
    let covered = match reach {
        Reach::Covers => frontier.to.saturating_sub(frontier.from),
        Reach::Only => 0,
    };
    conn.prepare_cached(
        "INSERT INTO frontiers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT DO UPDATE SET
         path = CASE WHEN excluded.max_to >= max_to THEN excluded.path ELSE path END,
         prefix_len = CASE WHEN excluded.max_to >= max_to THEN excluded.prefix_len ELSE prefix_len END,
         prefix_hash = CASE WHEN excluded.max_to >= max_to THEN excluded.prefix_hash ELSE prefix_hash END,
         guard_len = CASE WHEN excluded.max_to >= max_to THEN excluded.guard_len ELSE guard_len END,
         guard_hash = CASE WHEN excluded.max_to >= max_to THEN excluded.guard_hash ELSE guard_hash END,
         begin_at = min(begin_at, excluded.begin_at), max_to = max(max_to, excluded.max_to),
         covered = covered + excluded.covered, updated_at = max(updated_at, excluded.updated_at)",
    )
    .and_then(|mut s| {
        s.execute(params![
            stream.agent.as_str(),
            stream.epoch.created_at.nanos(),
            bits(stream.epoch.random),
            frontier.source,
            bits(frontier.file.inode),
            frontier.file.born.nanos(),
            frontier.path,
            int(frontier.begin),
            int(frontier.to),
            int(covered),
            frontier.prefix.len,
            bits(frontier.prefix.hash),
            frontier.guard.len,
            bits(frontier.guard.hash),
            now.nanos()
        ])
    })
    .in_file(file)
    .map(drop)
}

/// Frontiers of an agent in one of the files.
pub(super) fn frontiers_of(
    conn: &Connection,
    file: &'static str,
    agent: &AgentId,
) -> Result<Vec<FrontierRow>, StoreError> {
    conn.prepare_cached(
        "SELECT epoch_at, epoch_random, source, inode, born, path, begin_at, max_to, covered,
         prefix_len, prefix_hash, guard_len, guard_hash, updated_at
         FROM frontiers WHERE agent = ?1 ORDER BY epoch_at, epoch_random, source, born, inode",
    )
    .and_then(|mut s| s.query_map([agent.as_str()], frontier_in)?.collect())
    .in_file(file)
}

/// Lays what events say of files over what counts say of them.
pub(super) fn merge_frontiers(
    mut counts: Vec<FrontierRow>,
    events: Vec<FrontierRow>,
) -> Vec<FrontierRow> {
    for row in events {
        let same = |known: &&mut FrontierRow| {
            (known.epoch, &known.source, known.file) == (row.epoch, &row.source, row.file)
        };
        match counts.iter_mut().find(same) {
            Some(known) => reach(known, row),
            None => counts.push(row),
        }
    }
    counts
}

fn reach(known: &mut FrontierRow, other: FrontierRow) {
    known.updated_at = known.updated_at.max(other.updated_at);
    known.coverage.begin = known.coverage.begin.min(other.coverage.begin);
    if other.coverage.max_to > known.coverage.max_to {
        let Coverage { max_to, prefix, guard, .. } = other.coverage;
        known.coverage = Coverage { max_to, prefix, guard, ..known.coverage };
        known.path = other.path;
    }
}

fn frontier_in(row: &Row<'_>) -> rusqlite::Result<FrontierRow> {
    let guard = |at: usize| -> rusqlite::Result<Guard> {
        Ok(Guard { len: row.get(at)?, hash: from_bits(row.get(at + 1)?) })
    };
    Ok(FrontierRow {
        epoch: Epoch { created_at: Timestamp(row.get(0)?), random: from_bits(row.get(1)?) },
        source: row.get(2)?,
        file: FileRef { inode: from_bits(row.get(3)?), born: Timestamp(row.get(4)?) },
        path: row.get(5)?,
        coverage: Coverage {
            begin: unsigned(row.get(6)?),
            max_to: unsigned(row.get(7)?),
            covered: unsigned(row.get(8)?),
            prefix: guard(9)?,
            guard: guard(11)?,
        },
        updated_at: Timestamp(row.get(13)?),
    })
}

/// Forgets SLO counts of buckets before `before`, and agents that were not heard of since.
pub(super) fn forget(conn: &Connection, before: Timestamp, limit: u32) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM slo_counts WHERE (slo, definition, bucket) IN
         (SELECT slo, definition, bucket FROM slo_counts WHERE bucket < ?1 LIMIT ?2)",
        "DELETE FROM agents WHERE id IN (SELECT id FROM agents WHERE updated_at < ?1 LIMIT ?2)",
    ] {
        conn.prepare_cached(sql)
            .and_then(|mut s| s.execute(params![before.nanos(), limit]))
            .in_file(FILE)?;
    }
    Ok(())
}

/// Forgets files that were not heard of since `before`.
pub(super) fn forget_frontiers(
    conn: &Connection,
    file: &'static str,
    before: Timestamp,
    limit: u32,
) -> Result<(), StoreError> {
    conn.prepare_cached(
        "DELETE FROM frontiers WHERE (agent, epoch_at, epoch_random, source, inode, born) IN
         (SELECT agent, epoch_at, epoch_random, source, inode, born FROM frontiers WHERE updated_at < ?1 LIMIT ?2)",
    )
    .and_then(|mut s| s.execute(params![before.nanos(), limit]))
    .in_file(file)
    .map(drop)
}
