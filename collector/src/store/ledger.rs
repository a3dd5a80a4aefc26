//! `ledger.db`: what the engine knows and what receivers were told.
//!
//! Owns the transaction in which all rows of one engine step become durable before anything leaves, and the lists people
//! ask for. Never decides what is worth recording, and never changes a body.

use std::path::Path;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use watchkeeper_model::Timestamp;

use super::ballast::Ballast;
use super::database::{Database, FileKind};
use super::error::{InFile, StoreError};
use super::numbers::{int, unsigned};
use super::page::{Page, Paged, page_out};
use super::writer::Committer;

pub(super) const KIND: FileKind = FileKind {
    name: "ledger",
    migrations: &[include_str!("migrations/ledger_0001.sql")],
    vital_tables: &["meta", "state", "deliveries", "sequences"],
    loss: "the state of every alert and what receivers were told: open incidents stay open there",
    cache_kib: 2 * 1024,
};

/// Kinds of rows the engine keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// Alerts by fingerprint.
    Alert,
    /// Groups with their timers.
    Group,
    /// Incidents by number; closed ones are history.
    Incident,
    /// Agents by id.
    Agent,
    /// Corrections by number; ended ones stay, with who ended them and when.
    Correction,
}

impl StateKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Group => "group",
            Self::Incident => "incident",
            Self::Agent => "agent",
            Self::Correction => "correction",
        }
    }
}

/// One row to write.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerWrite {
    /// Stores a row under its key.
    Save {
        /// What it is.
        kind: StateKind,
        /// Which.
        key: String,
        /// JSON.
        body: String,
        /// Whether it is to be found again at start; otherwise it is history.
        live: bool,
    },
    /// Forgets a row.
    Forget {
        /// What it is.
        kind: StateKind,
        /// Which.
        key: String,
    },
    /// Notes that a number was given out.
    Number {
        /// Of which sequence.
        sequence: Sequence,
        /// Which number.
        number: u64,
    },
    /// Stores a delivery under its id, and its latest attempt.
    Delivery(Box<StoredDelivery>),
}

/// Numbers that are given out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Of incidents.
    Incident,
    /// Of deliveries.
    Delivery,
}

impl Sequence {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Delivery => "delivery",
        }
    }
}

/// A delivery as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDelivery {
    /// Its number.
    pub id: u64,
    /// Its incident.
    pub incident: u64,
    /// To whom.
    pub receiver: String,
    /// By which integration.
    pub integration: String,
    /// Over which kind of channel.
    pub kind: String,
    /// `open`, `update`, `close`.
    pub action: String,
    /// Why.
    pub reason: String,
    /// When it was decided.
    pub at: Timestamp,
    /// Attempts made.
    pub attempt: u32,
    /// How it stands.
    pub outcome: String,
    /// The receiver's status.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// Names of its alerts.
    pub alerts: Vec<String>,
    /// Their fingerprints, as far as they are known; none keeps those stored before.
    pub fingerprints: Vec<String>,
    /// The whole as JSON, as long as it may have to be sent again. Not read back by lists.
    pub body: Option<String>,
}

/// Which deliveries are asked for; empty fields don't restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this receiver.
    pub receiver: Option<String>,
    /// With an alert of this name or fingerprint.
    pub alert: Option<String>,
}

/// One engine step: all of it, or nothing.
pub(super) struct LedgerCommit {
    pub(super) writes: Vec<LedgerWrite>,
    pub(super) now: Timestamp,
}

/// The writing side of `ledger.db`.
#[derive(Debug)]
pub(super) struct LedgerDb {
    pub(super) database: Database,
    ballast: Arc<Ballast>,
}

impl LedgerDb {
    pub(super) fn open(data_dir: &Path, ballast: Arc<Ballast>) -> Result<Self, StoreError> {
        Ok(Self { database: Database::open(KIND, data_dir)?, ballast })
    }

    fn write_all(&mut self, jobs: &[LedgerCommit]) -> Result<(), StoreError> {
        self.database.transact(|tx| {
            jobs.iter()
                .try_for_each(|job| job.writes.iter().try_for_each(|w| write(tx, w, job.now)))
        })
    }
}

impl Committer for LedgerDb {
    type Job = LedgerCommit;
    type Done = ();

    fn file(&self) -> &'static str {
        KIND.name
    }

    fn commit_all(&mut self, jobs: &[LedgerCommit]) -> Result<Vec<()>, StoreError> {
        match self.write_all(jobs) {
            // The room held back is for this moment.
            Err(StoreError::Full { .. }) if self.ballast.release() => self.write_all(jobs)?,
            done => done?,
        }
        Ok(vec![(); jobs.len()])
    }
}

fn write(conn: &Connection, write: &LedgerWrite, now: Timestamp) -> Result<(), StoreError> {
    let done = match write {
        LedgerWrite::Save { kind, key, body, live } => conn
            .prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut s| s.execute(params![kind.as_str(), key, body, live, now.nanos()])),
        LedgerWrite::Forget { kind, key } => conn
            .prepare_cached("DELETE FROM state WHERE kind = ?1 AND key = ?2")
            .and_then(|mut s| s.execute([kind.as_str(), key])),
        LedgerWrite::Number { sequence, number } => note_number(conn, *sequence, *number),
        LedgerWrite::Delivery(delivery) => put_delivery(conn, delivery, now),
    };
    done.in_file(KIND.name).map(drop)
}

fn note_number(conn: &Connection, sequence: Sequence, number: u64) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "INSERT INTO sequences VALUES (?1, ?2) ON CONFLICT DO UPDATE SET last = max(last, excluded.last)",
    )?
    .execute(params![sequence.as_str(), int(number)])
}

fn put_delivery(
    conn: &Connection,
    delivery: &StoredDelivery,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let d = delivery;
    conn.prepare_cached(
        "INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT DO UPDATE SET attempt = excluded.attempt, outcome = excluded.outcome, status = excluded.status,
         error = excluded.error, next_at = excluded.next_at, body = excluded.body, alerts = excluded.alerts,
         reason = excluded.reason,
         fingerprints = CASE excluded.fingerprints WHEN '[]' THEN fingerprints ELSE excluded.fingerprints END",
    )?
    .execute(params![
        int(d.id),
        int(d.incident),
        d.receiver,
        d.integration,
        d.kind,
        d.action,
        d.reason,
        d.at.nanos(),
        d.attempt,
        d.outcome,
        d.status,
        d.error,
        d.next_at.map(Timestamp::nanos),
        json_list(&d.alerts),
        json_list(&d.fingerprints),
        d.body
    ])?;
    if d.attempt > 0 {
        conn.prepare_cached("INSERT OR IGNORE INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![int(d.id), d.attempt, now.nanos(), d.outcome, d.status, d.error])?;
    }
    note_number(conn, Sequence::Delivery, d.id)
}

fn json_list(texts: &[String]) -> String {
    serde_json::to_string(texts).expect("a list of strings is always JSON")
}

/// Live rows of a kind: key and body.
pub(super) fn live(
    conn: &Connection,
    kind: StateKind,
) -> Result<Vec<(String, String)>, StoreError> {
    conn.prepare_cached("SELECT key, body FROM state WHERE kind = ?1 AND live ORDER BY key")
        .and_then(|mut s| {
            s.query_map([kind.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .in_file(KIND.name)
}

/// Bodies of deliveries that may have to be sent again, by id.
pub(super) fn under_way(conn: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    conn.prepare_cached("SELECT id, body FROM deliveries WHERE body IS NOT NULL ORDER BY id")
        .and_then(|mut s| {
            s.query_map([], |row| Ok((row.get::<_, i64>(0)?.to_string(), row.get(1)?)))?.collect()
        })
        .in_file(KIND.name)
}

/// The greatest number ever given out; 0 if none.
pub(super) fn last(conn: &Connection, sequence: Sequence) -> Result<u64, StoreError> {
    conn.query_row("SELECT last FROM sequences WHERE name = ?1", [sequence.as_str()], |r| r.get(0))
        .optional()
        .in_file(KIND.name)
        .map(|last| last.map_or(0, unsigned))
}

/// Deliveries that match, newest first.
pub(super) fn deliveries(
    conn: &Connection,
    filter: &DeliveryFilter,
    page: &Page,
) -> Result<Paged<StoredDelivery>, StoreError> {
    let mut wanted = "1".to_owned();
    let mut values: Vec<Value> = Vec::new();
    if let Some(receiver) = &filter.receiver {
        wanted += " AND receiver = ?";
        values.push(receiver.clone().into());
    }
    if let Some(alert) = &filter.alert {
        wanted += " AND (EXISTS (SELECT 1 FROM json_each(alerts) WHERE value = ?)
                    OR EXISTS (SELECT 1 FROM json_each(fingerprints) WHERE value = ?))";
        values.extend([Value::from(alert.clone()), Value::from(alert.clone())]);
    }
    if let Some((at, id)) = page.after {
        wanted += " AND (at, id) < (?, ?)";
        values.extend([Value::from(at), Value::from(id)]);
    }
    values.push(i64::from(page.limit + 1).into());
    let rows = conn
        .prepare_cached(&format!(
            "SELECT at, id, incident, receiver, integration, kind, action, reason, attempt, outcome, status, error,
             next_at, alerts, fingerprints FROM deliveries WHERE {wanted} ORDER BY at DESC, id DESC LIMIT ?"
        ))
        .and_then(|mut s| s.query_map(params_from_iter(values), delivery_in)?.collect())
        .in_file(KIND.name)?;
    Ok(page_out(rows, page.limit))
}

fn delivery_in(row: &Row<'_>) -> rusqlite::Result<((i64, i64), StoredDelivery)> {
    let (at, id): (i64, i64) = (row.get(0)?, row.get(1)?);
    let list = |column: usize| -> rusqlite::Result<Vec<String>> {
        let text: String = row.get(column)?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    };
    let delivery = StoredDelivery {
        id: unsigned(id),
        incident: unsigned(row.get(2)?),
        receiver: row.get(3)?,
        integration: row.get(4)?,
        kind: row.get(5)?,
        action: row.get(6)?,
        reason: row.get(7)?,
        at: Timestamp(at),
        attempt: row.get(8)?,
        outcome: row.get(9)?,
        status: row.get(10)?,
        error: row.get(11)?,
        next_at: row.get::<_, Option<i64>>(12)?.map(Timestamp),
        alerts: list(13)?,
        fingerprints: list(14)?,
        body: None,
    };
    Ok(((at, id), delivery))
}

/// Deletes some of the history before `before`: never what is live or under way.
pub(super) fn delete_before(
    conn: &Connection,
    before: Timestamp,
    limit: u32,
) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM state WHERE (kind, key) IN
         (SELECT kind, key FROM state WHERE live = 0 AND updated_at < ?1 LIMIT ?2)",
        "DELETE FROM attempts WHERE delivery IN
         (SELECT id FROM deliveries WHERE at < ?1 AND body IS NULL ORDER BY at, id LIMIT ?2)",
        "DELETE FROM deliveries WHERE id IN
         (SELECT id FROM deliveries WHERE at < ?1 AND body IS NULL ORDER BY at, id LIMIT ?2)",
    ] {
        conn.prepare_cached(sql)
            .and_then(|mut s| s.execute(params![before.nanos(), limit]))
            .in_file(KIND.name)?;
    }
    Ok(())
}
