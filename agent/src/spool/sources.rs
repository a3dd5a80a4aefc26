//! Which sources the spool holds places for, and under which names.
//!
//! Owns what becomes of stored places when sources get other names, go and come back. Never decides which source is
//! which: it is told the moves. Bounded: what is gone is kept for 30 days, and of all that at most 100 000 rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use watchkeeper_daemon::crash;
use watchkeeper_model::Timestamp;

use super::schema::{explain, lock};
use super::{Spool, SpoolError};

/// How long places of a source that is not configured are kept: it may come back.
const GONE_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// The most rows kept of such sources; those that went first go first.
const MAX_GONE_ROWS: i64 = 100_000;

/// A source by name, and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its name.
    pub name: String,
    /// Canonical: the first word is its kind, each line behind the first a part of what it reads.
    pub reads: String,
}

/// A source that goes on under another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// What it was called.
    pub from: String,
    /// What it is called.
    pub to: String,
}

/// What is stored of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSource {
    /// Up to when its directories were looked through.
    pub looked_at: Option<Timestamp>,
    /// Its encoded positions.
    pub positions: Vec<String>,
}

/// The sources of which the spool holds places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Those configured at last, in the order in which they came.
    pub configured: Vec<Reading>,
    /// Those that were before, those that went last first.
    pub gone: Vec<Reading>,
}

impl Spool {
    /// The sources it knows.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn known(&self) -> Result<Known, SpoolError> {
        let connection = lock(&self.serving);
        let read = |sql: &str| -> rusqlite::Result<Vec<Reading>> {
            let mut statement = connection.prepare_cached(sql)?;
            let reading = |r: &Row<'_>| Ok(Reading { name: r.get(0)?, reads: r.get(1)? });
            statement.query_map([], reading)?.collect()
        };
        Ok(Known {
            configured: read(
                "SELECT name, reads FROM source WHERE gone_at IS NULL ORDER BY rowid",
            )?,
            gone: read(
                "SELECT name, reads FROM source WHERE gone_at IS NOT NULL ORDER BY gone_at DESC, rowid",
            )?,
        })
    }

    /// From now on these are the sources: places move where they are told to, those of other sources are kept for a
    /// while, and what is stored of the sources in `asked` is given out. All of it, or nothing.
    ///
    /// # Errors
    /// [`SpoolError::Full`] if the disk is full; others if the file is broken.
    pub fn configure(
        &self,
        sources: &[Reading],
        moves: &[Move],
        asked: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<BTreeMap<String, StoredSource>, SpoolError> {
        let mut connection = lock(&self.sealing);
        let path = connection.path().unwrap_or_default().to_owned();
        configure(&mut connection, sources, moves, asked, now)
            .map_err(|error| explain(error, path.as_ref()))
    }

    /// What is stored of a source.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn stored(&self, source: &str) -> Result<StoredSource, SpoolError> {
        Ok(stored(&lock(&self.serving), source)?)
    }
}

fn configure(
    connection: &mut Connection,
    sources: &[Reading],
    moves: &[Move],
    asked: &BTreeSet<String>,
    now: Timestamp,
) -> rusqlite::Result<BTreeMap<String, StoredSource>> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    move_all(&transaction, moves, now)?;
    set_aside_other_kinds(&transaction, sources, now)?;
    mark_gone(&transaction, sources, now)?;
    for source in sources {
        transaction
            .prepare_cached(
                "INSERT INTO source (name, reads) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE \
                 SET reads = excluded.reads, gone_at = NULL WHERE reads <> excluded.reads OR gone_at IS NOT NULL",
            )?
            .execute([&source.name, &source.reads])?;
    }
    forget_gone(&transaction, now)?;
    let given = |name: &String| Ok((name.clone(), stored(&transaction, name)?));
    let given = asked.iter().map(given).collect::<rusqlite::Result<_>>()?;
    crash::point("spool.before_configured");
    transaction.commit()?;
    crash::point("spool.after_configured");
    Ok(given)
}

/// All at once: names may be swapped, or go from one to the next. Whoever has a name that another gets, and gets none
/// itself, is set aside.
fn move_all(transaction: &Transaction<'_>, moves: &[Move], now: Timestamp) -> rusqlite::Result<()> {
    for Move { to, .. } in moves {
        if !moves.iter().any(|m| m.from == *to) {
            set_aside(transaction, to, now)?;
        }
    }
    // No name of a source begins so.
    let between = |n: usize| format!("\u{1}{n}");
    for (n, Move { from, .. }) in moves.iter().enumerate() {
        rename(transaction, from, &between(n))?;
    }
    for (n, Move { to, .. }) in moves.iter().enumerate() {
        rename(transaction, &between(n), to)?;
    }
    Ok(())
}

fn rename(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<()> {
    for sql in [
        "UPDATE source SET name = ?2 WHERE name = ?1",
        "UPDATE position SET source = ?2 WHERE source = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([from, to])?;
    }
    Ok(())
}

/// Keeps places under a name that nobody gets, in case somebody reads the same again.
fn set_aside(connection: &Connection, name: &str, now: Timestamp) -> rusqlite::Result<()> {
    let aside = format!("{name} until {}", now.nanos());
    rename(connection, name, &aside)?;
    let sql = "UPDATE source SET gone_at = coalesce(gone_at, ?2) WHERE name = ?1";
    connection.prepare_cached(sql)?.execute(params![aside, now.nanos()]).map(drop)
}

/// Places of one kind of source mean nothing to another.
fn set_aside_other_kinds(
    connection: &Connection,
    sources: &[Reading],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let kind = |reads: &str| reads.split_whitespace().next().unwrap_or_default().to_owned();
    for source in sources {
        let sql = "SELECT reads FROM source WHERE name = ?1";
        let was: Option<String> =
            connection.prepare_cached(sql)?.query_row([&source.name], |r| r.get(0)).optional()?;
        if was.is_some_and(|was| !was.is_empty() && kind(&was) != kind(&source.reads)) {
            set_aside(connection, &source.name, now)?;
        }
    }
    Ok(())
}

fn mark_gone(connection: &Connection, sources: &[Reading], now: Timestamp) -> rusqlite::Result<()> {
    let here: BTreeSet<&str> = sources.iter().map(|s| s.name.as_str()).collect();
    let mut statement =
        connection.prepare_cached("SELECT name FROM source WHERE gone_at IS NULL")?;
    let names = statement.query_map([], |r| r.get(0))?.collect::<Result<Vec<String>, _>>()?;
    for name in names.iter().filter(|name| !here.contains(name.as_str())) {
        connection
            .prepare_cached("UPDATE source SET gone_at = ?2 WHERE name = ?1")?
            .execute(params![name, now.nanos()])?;
    }
    Ok(())
}

fn forget_gone(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "SELECT name FROM (SELECT name, gone_at, sum(n) OVER (ORDER BY gone_at DESC, rowid) AS total FROM ( \
                 SELECT name, gone_at, s.rowid, 1 + (SELECT count(*) FROM position p WHERE p.source = s.name) AS n \
                 FROM source s WHERE gone_at IS NOT NULL)) \
               WHERE gone_at < ?1 OR total > ?2";
    let before = (now - GONE_KEPT).nanos();
    let mut statement = connection.prepare_cached(sql)?;
    let names = statement.query_map(params![before, MAX_GONE_ROWS], |r| r.get(0))?;
    for name in names.collect::<Result<Vec<String>, _>>()? {
        for sql in ["DELETE FROM position WHERE source = ?1", "DELETE FROM source WHERE name = ?1"]
        {
            connection.prepare_cached(sql)?.execute([&name])?;
        }
    }
    Ok(())
}

fn stored(connection: &Connection, source: &str) -> rusqlite::Result<StoredSource> {
    let looked_at: Option<Option<i64>> = connection
        .prepare_cached("SELECT looked_at FROM source WHERE name = ?1")?
        .query_row([source], |r| r.get(0))
        .optional()?;
    let mut statement = connection.prepare_cached("SELECT body FROM position WHERE source = ?1")?;
    let positions = statement.query_map([source], |r| r.get(0))?.collect::<Result<_, _>>()?;
    Ok(StoredSource { looked_at: looked_at.flatten().map(Timestamp), positions })
}
