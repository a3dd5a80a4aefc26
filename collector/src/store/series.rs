//! Series: the number that stands for service, signal, unit and labels in every row of counts.
//!
//! Owns the table `series`, its copy in memory and the bound on it. At most `limit` series are active (seen today or
//! yesterday); a new one beyond that counts under the same labels with `__overflow__` for its agent, so that no
//! count is lost. Idle series leave memory, and the table when their last counts are gone. Never sees a distribution.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::{Connection, OptionalExtension, params};
use watchkeeper_model::labels::OVERFLOW;
use watchkeeper_model::{Digest, Labels, Service, Timestamp, Unit};

use super::error::{InFile, StoreError};

/// Series that are active at one time.
pub(super) const MAX_ACTIVE_SERIES: usize = 100_000;
const DAY_SECS: i64 = 86_400;
const FILE: &str = "intake";

/// What a series is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// Whose signal.
    pub service: Service,
    /// Its name.
    pub signal: Arc<str>,
    /// What its values were written in; they are stored in base units.
    pub unit: Unit,
    /// Labels, the agent's id under `agent` among them.
    pub labels: Labels,
}

impl SeriesKey {
    fn labels_json(&self) -> String {
        serde_json::to_string(&self.labels).expect("a map of strings is always JSON")
    }

    fn identity(&self, labels_json: &str) -> Digest {
        let Self { service, signal, unit, .. } = self;
        Digest::of(format!("{service}\0{signal}\0{unit}\0{labels_json}").as_bytes())
    }

    fn overflowed(&self) -> Self {
        Self { labels: self.labels.with_one("agent", OVERFLOW), ..self.clone() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: i64,
    seen_day: i64,
}

/// The active series in memory.
#[derive(Debug)]
pub(super) struct SeriesTable {
    known: HashMap<SeriesKey, Known>,
    /// Touched by the transaction under way: forgotten if it fails.
    fresh: Vec<SeriesKey>,
    limit: usize,
    swept_day: i64,
    n_active: Arc<AtomicUsize>,
}

/// The number of a series, and whether it stands for those beyond the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) id: i64,
    pub(super) overflowed: bool,
}

impl SeriesTable {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            known: HashMap::new(),
            fresh: Vec::new(),
            limit,
            swept_day: i64::MIN,
            n_active: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The number of this series; it is given one if it is new.
    pub(super) fn place(
        &mut self,
        conn: &Connection,
        key: &SeriesKey,
        now: Timestamp,
    ) -> Result<Placed, StoreError> {
        let day = now.secs().div_euclid(DAY_SECS);
        if let Some(known) = self.known.get(key).copied() {
            if known.seen_day < day {
                self.touch(conn, key, known.id, day)?;
            }
            return Ok(Placed { id: known.id, overflowed: false });
        }
        if self.known.len() >= self.limit && key.labels.get("agent") != OVERFLOW {
            let other = key.overflowed();
            return self.place(conn, &other, now).map(|p| Placed { overflowed: true, ..p });
        }
        let json = key.labels_json();
        let identity = key.identity(&json);
        let stored: Option<i64> = conn
            .prepare_cached("SELECT id FROM series WHERE identity = ?1")
            .and_then(|mut s| s.query_row([identity.0], |row| row.get(0)).optional())
            .in_file(FILE)?;
        let id = match stored {
            Some(id) => id,
            None => insert(conn, key, identity, &json)?,
        };
        self.touch(conn, key, id, day)?;
        Ok(Placed { id, overflowed: false })
    }

    fn touch(
        &mut self,
        conn: &Connection,
        key: &SeriesKey,
        id: i64,
        seen_day: i64,
    ) -> Result<(), StoreError> {
        conn.prepare_cached("UPDATE series SET seen_day = max(seen_day, ?2) WHERE id = ?1")
            .and_then(|mut s| s.execute(params![id, seen_day]))
            .in_file(FILE)?;
        self.fresh.push(key.clone());
        self.known.insert(key.clone(), Known { id, seen_day });
        Ok(())
    }

    /// The transaction is durable: what it learned holds.
    pub(super) fn settle(&mut self) {
        self.fresh.clear();
        self.n_active.store(self.known.len(), Ordering::Relaxed);
    }

    /// The transaction failed: its new numbers were never given.
    pub(super) fn roll_back(&mut self) {
        for key in self.fresh.drain(..) {
            self.known.remove(&key);
        }
    }

    /// Once a day, lets go of series that had nothing yesterday and today.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let day = now.secs().div_euclid(DAY_SECS);
        if self.swept_day < day {
            self.known.retain(|_, known| known.seen_day >= day - 1);
            self.swept_day = day;
            self.settle();
        }
    }

    /// How many series are active, to be read from elsewhere.
    pub(super) fn n_active(&self) -> Arc<AtomicUsize> {
        self.n_active.clone()
    }
}

fn insert(
    conn: &Connection,
    key: &SeriesKey,
    identity: Digest,
    labels_json: &str,
) -> Result<i64, StoreError> {
    conn.prepare_cached(
        "INSERT INTO series (identity, service, signal, unit, labels, seen_day) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .and_then(|mut s| {
        s.insert(params![
            identity.0,
            key.service.as_str(),
            &*key.signal,
            key.unit.as_str(),
            labels_json,
            i64::MIN
        ])
    })
    .in_file(FILE)
}

/// Loads the series seen today and yesterday, so that the bound holds from the start.
pub(super) fn load_active(conn: &Connection, table: &mut SeriesTable) -> Result<(), StoreError> {
    let mut rows = conn
        .prepare(
            "SELECT id, service, signal, unit, labels, seen_day FROM series
             WHERE seen_day >= (SELECT max(seen_day) - 1 FROM series)",
        )
        .in_file(FILE)?;
    let found = rows
        .query_map([], |row| {
            let known = Known { id: row.get(0)?, seen_day: row.get(5)? };
            Ok((read_key(row, 1)?, known))
        })
        .in_file(FILE)?;
    for pair in found {
        let (key, known) = pair.in_file(FILE)?;
        table.known.insert(key, known);
    }
    table.settle();
    Ok(())
}

/// Reads service, signal, unit and labels from four columns, the first of them at `at`.
pub(super) fn read_key(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<SeriesKey> {
    let unreadable = |column: usize, what: String| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            format!("series: {what}").into(),
        )
    };
    let (service, signal): (String, String) = (row.get(at)?, row.get(at + 1)?);
    let (unit, labels): (String, String) = (row.get(at + 2)?, row.get(at + 3)?);
    Ok(SeriesKey {
        service: Service::new(&service).ok_or_else(|| unreadable(at, service))?,
        signal: signal.into(),
        unit: Unit::parse(&unit).ok_or_else(|| unreadable(at + 2, unit))?,
        labels: serde_json::from_str(&labels).map_err(|e| unreadable(at + 3, e.to_string()))?,
    })
}

/// Takes series away that had nothing since the oldest counts kept.
pub(super) fn forget_idle(
    conn: &Connection,
    kept_from_secs: i64,
    limit: u32,
) -> Result<usize, StoreError> {
    conn.prepare_cached(
        "DELETE FROM series WHERE id IN (SELECT id FROM series WHERE seen_day < ?1 ORDER BY seen_day LIMIT ?2)",
    )
    .and_then(|mut s| s.execute(params![kept_from_secs.div_euclid(DAY_SECS), limit]))
    .in_file(FILE)
}
