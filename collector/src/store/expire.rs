//! What has to go: by age, and when the store is over its size.
//!
//! Owns the order (oldest of the finest first; the coarsest last) and that it happens in bounded steps. What is no
//! longer kept is not asked for from the moment that is written down, even if its rows go later. Never touches the
//! journal: what was just receipted stays.

use rusqlite::{Connection, OptionalExtension, params};
use watchkeeper_model::Timestamp;

use super::database::Database;
use super::error::{InFile, StoreError};
use super::events::EventsDb;
use super::intake::{IntakeDb, STREAMS};
use super::ledger::LedgerDb;
use super::tiers::{KeptFrom, Retention, Tier};
use super::{events, fold, ledger, series, sources};

const FILE: &str = "intake";
/// Rows that one step deletes at most.
const STEP_ROWS: u32 = 4_096;

/// Something given up because the store is over `max_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// What: `rollups 10s`, `rollups 1m`, `events`, `rollups 1h`.
    pub what: &'static str,
    /// Everything of it before this is gone.
    pub before: Timestamp,
}

/// One step of upkeep of `intake.db`: ages the tiers, folds, and deletes what is no longer kept.
pub(super) fn tend_intake(
    db: &mut IntakeDb,
    now: Timestamp,
    retention: &Retention,
    fold_rows: u32,
) -> Result<fold::Folded, StoreError> {
    let kept = db.database.transact(|tx| {
        let mut kept = KeptFrom::load(tx)?;
        kept.age(tx, now, retention)?;
        Ok(kept)
    })?;
    let mut folded = fold::fold(&mut db.database, now, fold_rows)?;
    db.series.sweep(now);
    db.database.transact(|tx| {
        for tier in Tier::ALL {
            folded.more |= delete_blocks(tx, tier, kept.of(tier))? >= STEP_ROWS as usize;
        }
        let before = now - retention.hour;
        sources::forget(tx, before, STEP_ROWS)?;
        sources::forget_frontiers(tx, FILE, before, STEP_ROWS)?;
        STREAMS.age_letters(tx, now)?;
        STREAMS.forget(tx, before, 64)?;
        series::forget_idle(tx, before.secs(), STEP_ROWS).map(drop)
    })?;
    Ok(folded)
}

/// One step of upkeep of `events.db`.
pub(super) fn tend_events(
    db: &mut EventsDb,
    now: Timestamp,
    retention: &Retention,
) -> Result<(), StoreError> {
    db.database.transact(|tx| {
        events::delete_before(tx, now - retention.events, STEP_ROWS)?;
        let before = now - retention.hour;
        sources::forget_frontiers(tx, events::KIND.name, before, STEP_ROWS)?;
        events::STREAMS.age_letters(tx, now)?;
        events::STREAMS.forget(tx, before, 64).map(drop)
    })
}

/// One step of upkeep of `ledger.db`.
pub(super) fn tend_ledger(
    db: &mut LedgerDb,
    now: Timestamp,
    retention: &Retention,
) -> Result<(), StoreError> {
    db.database.transact(|tx| ledger::delete_before(tx, now - retention.ledger, STEP_ROWS))
}

/// Gives up the oldest block of the finest tier there is; `None` if there is nothing left of `tiers`.
pub(super) fn evict_rollups(
    db: &mut IntakeDb,
    tiers: &[Tier],
) -> Result<Option<Evicted>, StoreError> {
    db.database.transact(|tx| {
        for &tier in tiers {
            let Some(block) = oldest_block(tx, tier)? else { continue };
            let end = (block + 1) * tier.block_secs();
            KeptFrom::load(tx)?.advance(tx, tier, end)?;
            delete_block(tx, tier, block)?;
            let what = match tier {
                Tier::Fine => "rollups 10s",
                Tier::Minute => "rollups 1m",
                Tier::Hour => "rollups 1h",
            };
            return Ok(Some(Evicted { what, before: Timestamp::from_secs(end) }));
        }
        Ok(None)
    })
}

/// Gives up the oldest events.
pub(super) fn evict_events(database: &mut Database) -> Result<Option<Evicted>, StoreError> {
    let before = database.transact(|tx| events::delete_oldest(tx, STEP_ROWS))?;
    Ok(before.map(|before| Evicted { what: "events", before }))
}

fn oldest_block(conn: &Connection, tier: Tier) -> Result<Option<i64>, StoreError> {
    conn.prepare_cached(&format!("SELECT min(block) FROM {}", tier.table()))
        .and_then(|mut s| s.query_row([], |row| row.get::<_, Option<i64>>(0)).optional())
        .in_file(FILE)
        .map(Option::flatten)
}

/// Deletes some rows of blocks that are wholly before `kept_from`; how many.
fn delete_blocks(conn: &Connection, tier: Tier, kept_from: i64) -> Result<usize, StoreError> {
    match oldest_block(conn, tier)? {
        Some(block) if (block + 1).saturating_mul(tier.block_secs()) <= kept_from => {
            delete_block(conn, tier, block)
        }
        _ => Ok(0),
    }
}

fn delete_block(conn: &Connection, tier: Tier, block: i64) -> Result<usize, StoreError> {
    let table = tier.table();
    conn.prepare_cached(&format!(
        "DELETE FROM {table} WHERE (block, series, start) IN
         (SELECT block, series, start FROM {table} WHERE block = ?1 ORDER BY series, start LIMIT ?2)"
    ))
    .and_then(|mut s| s.execute(params![block, STEP_ROWS]))
    .in_file(FILE)
}
