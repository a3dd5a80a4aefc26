//! Folding: journal rows that are older than the journal's time become part of the rollups.
//!
//! Owns that a count is in the journal or in the rollups, never in both and never in neither: adding it there and
//! deleting it here is one transaction. Works in bounded steps between commits. Never decides what is kept how long.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchkeeper_model::{Distribution, Timestamp};

use super::codec;
use super::database::Database;
use super::error::{InFile, StoreError};
use super::tiers::{KeptFrom, Tier};

/// The journal keeps at least this much.
pub(super) const JOURNAL_KEEPS: Duration = Duration::from_secs(15 * 60);
const FILE: &str = "intake";

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Rows taken out of the journal.
    pub n_rows: u64,
    /// Of those, rows older than everything that is kept: gone, as anything that old.
    pub n_too_old: u64,
    /// Whether there is more to fold or to delete at once.
    pub more: bool,
}

impl Folded {
    /// Adds what the next step did.
    pub(super) fn add(&mut self, step: Self) {
        self.n_rows += step.n_rows;
        self.n_too_old += step.n_too_old;
        self.more = step.more;
    }
}

/// Buckets that one step changes, of all tiers together: a kilobyte each while it lasts.
const MAX_BUCKETS: usize = 6_144;

/// A bucket under way: which tier, block, series and start.
type Place = (Tier, i64, i64, i64);

struct Bucket {
    width: i64,
    distribution: Distribution,
}

type Buckets = BTreeMap<Place, Bucket>;

/// A row's place in the journal: start, series and part.
type RowKey = (i64, i64, i64);

/// Folds at most `max_rows` rows; fewer where they are of so many buckets that memory would be felt.
pub(super) fn fold(
    database: &mut Database,
    now: Timestamp,
    max_rows: u32,
) -> Result<Folded, StoreError> {
    let cutoff = Tier::Fine.bucket((now - JOURNAL_KEEPS).secs());
    database.transact(|tx| {
        let (mut buckets, mut done) = (Buckets::new(), Folded::default());
        let Some(last) = gather(tx, cutoff, max_rows, &mut buckets, &mut done)? else {
            return Ok(done);
        };
        for (place, bucket) in buckets {
            add(tx, place, bucket)?;
        }
        // Everything up to the last row was read above; nothing can have come in between.
        tx.prepare_cached("DELETE FROM journal WHERE (start, series, part) <= (?1, ?2, ?3)")
            .and_then(|mut s| s.execute(params![last.0, last.1, last.2]))
            .in_file(FILE)?;
        Ok(done)
    })
}

/// Adds the oldest rows to their buckets; the last of them comes back.
fn gather(
    conn: &Connection,
    cutoff: i64,
    max_rows: u32,
    buckets: &mut Buckets,
    done: &mut Folded,
) -> Result<Option<RowKey>, StoreError> {
    let kept = KeptFrom::load(conn)?;
    let mut statement = conn
        .prepare_cached(
            "SELECT start, series, part, width, counts FROM journal WHERE start < ?1
             ORDER BY start, series, part LIMIT ?2",
        )
        .in_file(FILE)?;
    let mut found = statement.query(params![cutoff, max_rows]).in_file(FILE)?;
    let mut last = None;
    while let Some(row) = found.next().in_file(FILE)? {
        let (key, width, distribution) = journal_row(row).map_err(|_| unreadable("journal"))?;
        let is_kept = fold_row(key, width, &distribution, kept, buckets);
        done.n_rows += 1;
        done.n_too_old += u64::from(!is_kept);
        last = Some(key);
        if buckets.len() >= MAX_BUCKETS {
            break;
        }
    }
    done.more = done.n_rows >= u64::from(max_rows) || buckets.len() >= MAX_BUCKETS;
    Ok(last)
}

fn journal_row(row: &Row<'_>) -> rusqlite::Result<(RowKey, i64, Distribution)> {
    let blob = row.get_ref(4)?.as_blob()?;
    let distribution = codec::decode(blob).map_err(|_| rusqlite::Error::InvalidQuery)?;
    Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?, distribution))
}

/// Adds a row to its bucket in each tier; whether any keeps it.
fn fold_row(
    (start, series, _): RowKey,
    width: i64,
    distribution: &Distribution,
    kept: KeptFrom,
    buckets: &mut Buckets,
) -> bool {
    let mut is_kept = false;
    for tier in Tier::ALL.into_iter().filter(|tier| start >= kept.of(*tier)) {
        is_kept = true;
        let place = (tier, tier.block(start), series, tier.bucket(start));
        let empty = || Bucket { width: tier.width_secs(), distribution: Distribution::default() };
        let bucket = buckets.entry(place).or_insert_with(empty);
        bucket.width = bucket.width.max(width);
        bucket.distribution.merge(distribution);
    }
    is_kept
}

fn add(conn: &Connection, place: Place, mut bucket: Bucket) -> Result<(), StoreError> {
    let (tier, block, series, start) = place;
    let table = tier.table();
    let there: Option<(i64, Vec<u8>)> = conn
        .prepare_cached(&format!(
            "SELECT width, counts FROM {table} WHERE block = ?1 AND series = ?2 AND start = ?3"
        ))
        .and_then(|mut s| {
            s.query_row([block, series, start], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .in_file(FILE)?;
    if let Some((width, blob)) = there {
        bucket.width = bucket.width.max(width);
        bucket.distribution.merge(&codec::decode(&blob).map_err(|_| unreadable(table))?);
    }
    conn.prepare_cached(&format!("INSERT OR REPLACE INTO {table} VALUES (?1, ?2, ?3, ?4, ?5)"))
        .and_then(|mut s| {
            let counts = codec::encode(&bucket.distribution);
            s.execute(params![block, series, start, bucket.width, counts])
        })
        .in_file(FILE)
        .map(drop)
}

pub(super) fn unreadable(table: &str) -> StoreError {
    StoreError::Sqlite { file: FILE, detail: format!("a row of {table} is not readable") }
}
