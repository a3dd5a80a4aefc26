//! Reading counts: the journal and the rollups as one, each count once.
//!
//! Owns which rows a stretch of event time is made of. Reads in one transaction, so that folding in between neither
//! hides nor repeats a count. Never adds anything up.

use rusqlite::{Connection, Row, Statement, params};
use watchkeeper_model::{Distribution, Timestamp, Window};

use super::codec::{self, Head};
use super::error::{InFile, StoreError};
use super::fold::unreadable;
use super::series::{SeriesKey, read_key};
use super::tiers::{KeptFrom, Tier};

const FILE: &str = "intake";

/// Which counts are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of this signal; all if absent.
    pub signal: Option<String>,
    /// Of this service; all if absent.
    pub service: Option<String>,
    /// Windows that start here or later.
    pub from: Timestamp,
    /// Windows that start before here.
    pub to: Timestamp,
    /// Counts of an aligned stretch of this many seconds may come as one, at its start: what asks for a sum per hour need
    /// not read each second. 0: as fine as stored; [`Wanted::WHOLE`]: only the sum matters.
    pub together_secs: i64,
}

impl Wanted {
    /// For [`Wanted::together_secs`]: counts may come in as few rows as there are.
    pub const WHOLE: i64 = i64::MAX;

    /// Whether buckets of `tier` may stand for what is finer.
    const fn allows(&self, tier: Tier) -> bool {
        self.together_secs == Self::WHOLE
            || (self.together_secs > 0 && self.together_secs % tier.width_secs() == 0)
    }
}

/// Counts of one series in one window.
#[derive(Clone, Copy, Debug)]
pub struct StoredWindow<'a> {
    /// Which window: as it came, or a rollup's bucket.
    pub window: Window,
    blob: &'a [u8],
}

impl StoredWindow<'_> {
    /// All of it.
    pub fn distribution(&self) -> Result<Distribution, StoreError> {
        codec::decode(self.blob).map_err(|_| unreadable("counts"))
    }

    /// Count, sum, least and greatest: much cheaper than all of it.
    pub fn head(&self) -> Result<Head, StoreError> {
        codec::decode_head(self.blob).map_err(|_| unreadable("counts"))
    }
}

/// How exactly the answer knows when something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The widest window in it, in seconds; 1 if there was none. Rollups read in place of finer ones they were made
    /// of count as those.
    pub secs: u32,
}

/// What is done with each row of a series that was chosen.
pub(super) type Visit<'a, T> =
    &'a mut dyn FnMut(&SeriesKey, &T, StoredWindow<'_>) -> Result<(), StoreError>;
/// What is remembered of a series, if its rows are wanted.
pub(super) type Choose<'a, T> = &'a mut dyn FnMut(&SeriesKey) -> Option<T>;

/// A series with what was made of it.
type Chosen<T> = (i64, SeriesKey, T);

/// Calls `visit` for every row wanted of every series of which `choose` makes something, with that.
pub(super) fn scan<T>(
    conn: &mut Connection,
    wanted: &Wanted,
    choose: Choose<'_, T>,
    visit: Visit<'_, T>,
) -> Result<Resolution, StoreError> {
    let tx = conn.transaction().in_file(FILE)?;
    let mut series = chosen(&tx, wanted, choose)?;
    series.sort_unstable_by_key(|(id, ..)| *id);
    let kept = KeptFrom::load(&tx)?;
    let mut scan = Scan { conn: &tx, series: &series, visit, kept, widest: 1 };
    if !series.is_empty() {
        // A row belongs where its start lies, and starts are whole seconds.
        let (from, to) = (ceil_secs(wanted.from), ceil_secs(wanted.to));
        scan.journal(from, to)?;
        for (tier, from, to) in kept.cover(from, to) {
            scan.tiers(wanted, tier, from, to)?;
        }
    }
    Ok(Resolution { secs: scan.widest })
}

fn ceil_secs(at: Timestamp) -> i64 {
    at.secs() + i64::from(at.nanos().rem_euclid(watchkeeper_model::time::SECOND) > 0)
}

fn chosen<T>(
    conn: &Connection,
    wanted: &Wanted,
    choose: Choose<'_, T>,
) -> Result<Vec<Chosen<T>>, StoreError> {
    let mut statement = conn
        .prepare_cached(
            "SELECT id, service, signal, unit, labels FROM series
             WHERE (?1 IS NULL OR signal = ?1) AND (?2 IS NULL OR service = ?2)",
        )
        .in_file(FILE)?;
    let mut rows = statement.query(params![wanted.signal, wanted.service]).in_file(FILE)?;
    let mut series = Vec::new();
    while let Some(row) = rows.next().in_file(FILE)? {
        let key = read_key(row, 1).in_file(FILE)?;
        if let Some(made) = choose(&key) {
            series.push((row.get(0).in_file(FILE)?, key, made));
        }
    }
    Ok(series)
}

struct Scan<'a, 'v, T> {
    conn: &'a Connection,
    /// Sorted by id.
    series: &'a [Chosen<T>],
    visit: Visit<'v, T>,
    kept: KeptFrom,
    widest: u32,
}

impl<T> Scan<'_, '_, T> {
    fn journal(&mut self, from: i64, to: i64) -> Result<(), StoreError> {
        let mut statement = self
            .conn
            .prepare_cached(
                "SELECT series, start, width, counts FROM journal WHERE start >= ?1 AND start < ?2",
            )
            .in_file(FILE)?;
        let mut rows = statement.query([from, to]).in_file(FILE)?;
        while let Some(row) = rows.next().in_file(FILE)? {
            let id: i64 = row.get(0).in_file(FILE)?;
            if let Ok(at) = self.series.binary_search_by_key(&id, |(id, ..)| *id) {
                self.row(at, row, 1, None)?;
            }
        }
        Ok(())
    }

    /// Reads `[from, to)`, for which `finest` is complete; aligned stretches inside from a coarser tier if that is allowed.
    fn tiers(
        &mut self,
        wanted: &Wanted,
        finest: Tier,
        from: i64,
        to: i64,
    ) -> Result<(), StoreError> {
        let may_stand_in = |t: &Tier| *t > finest && wanted.allows(*t) && self.kept.of(*t) <= from;
        let coarser = Tier::ALL.into_iter().rev().find(may_stand_in);
        let Some(tier) = coarser else {
            return self.rollup(finest, finest, from, to);
        };
        let inner_from = tier.bucket(from.saturating_add(tier.width_secs() - 1));
        let inner_to = tier.bucket(to);
        if inner_from >= inner_to {
            return self.next_finer(wanted, finest, tier, from, to);
        }
        self.next_finer(wanted, finest, tier, from, inner_from)?;
        self.rollup(tier, finest, inner_from, inner_to)?;
        self.next_finer(wanted, finest, tier, inner_to, to)
    }

    fn next_finer(
        &mut self,
        wanted: &Wanted,
        finest: Tier,
        than: Tier,
        from: i64,
        to: i64,
    ) -> Result<(), StoreError> {
        if than == Tier::Hour && finest == Tier::Fine && wanted.allows(Tier::Minute) {
            let narrower = Wanted { together_secs: Tier::Minute.width_secs(), ..wanted.clone() };
            return self.tiers(&narrower, finest, from, to);
        }
        self.rollup(finest, finest, from, to)
    }

    /// Reads `[from, to)` from `tier`, in place of `finest`.
    fn rollup(&mut self, tier: Tier, finest: Tier, from: i64, to: i64) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let mut statement = self
            .conn
            .prepare_cached(&format!(
                "SELECT start, width, counts FROM {} WHERE block = ?1 AND series = ?2 AND start >= ?3 AND start < ?4",
                tier.table()
            ))
            .in_file(FILE)?;
        for block in blocks(self.conn, tier, from, to)? {
            for at in 0..self.series.len() {
                self.series_of_block(&mut statement, at, (tier, finest), [block, from, to])?;
            }
        }
        Ok(())
    }

    fn series_of_block(
        &mut self,
        statement: &mut Statement<'_>,
        at: usize,
        (tier, finest): (Tier, Tier),
        [block, from, to]: [i64; 3],
    ) -> Result<(), StoreError> {
        let mut rows = statement.query([block, self.series[at].0, from, to]).in_file(FILE)?;
        while let Some(row) = rows.next().in_file(FILE)? {
            self.row(at, row, 0, Some((tier, finest)))?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        at: usize,
        row: &Row<'_>,
        column: usize,
        instead: Option<(Tier, Tier)>,
    ) -> Result<(), StoreError> {
        let read = || -> rusqlite::Result<StoredWindow<'_>> {
            let start = Timestamp::from_secs(row.get(column)?);
            let width_secs = row.get(column + 1)?;
            let blob = row.get_ref(column + 2)?.as_blob()?;
            Ok(StoredWindow { window: Window { start, width_secs }, blob })
        };
        let stored = read().in_file(FILE)?;
        let width = stored.window.width_secs;
        let known = match instead {
            Some((tier, finest)) if i64::from(width) <= tier.width_secs() => {
                u32::try_from(finest.width_secs()).unwrap_or(width)
            }
            _ => width,
        };
        self.widest = self.widest.max(known);
        let (_, key, made) = &self.series[at];
        (self.visit)(key, made, stored)
    }
}

/// The blocks of `[from, to)` that hold anything: `from` may lie decades before the first count.
fn blocks(conn: &Connection, tier: Tier, from: i64, to: i64) -> Result<Vec<i64>, StoreError> {
    let mut next = conn
        .prepare_cached(&format!("SELECT min(block) FROM {} WHERE block >= ?1", tier.table()))
        .in_file(FILE)?;
    let mut found = Vec::new();
    let mut at = tier.block(from);
    while let Some(block) =
        next.query_row([at], |row| row.get::<_, Option<i64>>(0)).in_file(FILE)?
    {
        if block > tier.block(to - 1) {
            break;
        }
        found.push(block);
        at = block + 1;
    }
    Ok(found)
}
