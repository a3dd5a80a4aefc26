//! `intake.db`: what batches of windows leave behind, all of one batch or nothing.
//!
//! Owns the one transaction in which dedupe state, journal rows, SLO counts, source totals and frontiers of many batches
//! become durable together. Never decides whether a batch is acceptable: it only refuses to count one twice.

use std::path::Path;

use rusqlite::{Connection, params};
use watchkeeper_model::{Distribution, Frontier, Kind, SourceTally, Window};

use super::codec;
use super::database::{Database, FileKind, put_meta};
use super::error::{InFile, StoreError};
use super::numbers::{bits, from_bits};
use super::series::{self, MAX_ACTIVE_SERIES, SeriesKey, SeriesTable};
use super::sources::{self, AgentRow, Reach, SloIncrement};
use super::streams::{BatchCommit, Fate, Stored, Streams};
use super::writer::Committer;

pub(super) const STREAMS: Streams = Streams { file: "intake", kind: Kind::Windows };

pub(super) const KIND: FileKind = FileKind {
    name: "intake",
    migrations: &[
        include_str!("migrations/intake_0001.sql"),
        include_str!("migrations/intake_0002.sql"),
        include_str!("migrations/intake_0003.sql"),
    ],
    vital_tables: &["meta", "streams", "digests", "tiers", "slo_counts"],
    loss: "every count so far and the memory of what was delivered",
    cache_kib: 6 * 1024,
};

/// What batches of windows, and what else belongs into the same transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowsCommit {
    /// Batches.
    pub batches: Vec<BatchCommit<WindowsBody>>,
    /// What the intake remembers of agents.
    pub agents: Vec<AgentRow>,
    /// SLO counts that come from no batch: recomputed ones.
    pub slo: Vec<SloIncrement>,
}

/// What a batch of windows adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowsBody {
    /// Counts.
    pub rows: Vec<JournalRow>,
    /// What sources did.
    pub tallies: Vec<SourceTally>,
    /// How far files were read.
    pub frontiers: Vec<Frontier>,
    /// Not the first body of its seal and service: its frontiers cover nothing again.
    pub continued: bool,
    /// What SLOs gained.
    pub slo: Vec<SloIncrement>,
}

/// A part of a window of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Which series.
    pub series: SeriesKey,
    /// Which window.
    pub window: Window,
    /// What it adds up to.
    pub distribution: Distribution,
}

/// What became of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// By batch, in the order given.
    pub batches: Vec<Stored>,
    /// Rows that were counted under `__overflow__` because there are too many series.
    pub n_overflowed: u64,
}

/// The writing side of `intake.db`.
#[derive(Debug)]
pub(super) struct IntakeDb {
    pub(super) database: Database,
    pub(super) series: SeriesTable,
    next_part: i64,
    incarnation: u64,
}

impl IntakeDb {
    /// Opens the file; `new_incarnation` holds if it is new or no longer where it was.
    pub(super) fn open(
        data_dir: &Path,
        machine_id: &str,
        new_incarnation: u64,
    ) -> Result<Self, StoreError> {
        let database = Database::open(KIND, data_dir)?;
        let number = |key| Ok::<_, StoreError>(database.meta(key)?.and_then(|t| t.parse().ok()));
        let next_part = number("next_part")?.unwrap_or(0);
        let binding = database.binding(machine_id)?;
        let stays = database.meta("bound_to")?.is_some_and(|known| known == binding);
        let known = number("incarnation")?.filter(|_| stays).map(from_bits);
        let incarnation = known.unwrap_or(new_incarnation);
        let mut series = SeriesTable::new(MAX_ACTIVE_SERIES);
        series::load_active(&database.conn, &mut series)?;
        let mut db = Self { database, series, next_part, incarnation };
        if known.is_none() {
            db.database.transact(|tx| {
                put_meta(tx, "bound_to", &binding)
                    .and_then(|()| put_meta(tx, "incarnation", &bits(incarnation).to_string()))
                    .in_file(KIND.name)
            })?;
        }
        Ok(db)
    }

    /// Changes when the file was restored, copied or made anew.
    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    #[cfg(test)]
    pub(super) fn bound_series(&mut self, limit: usize) {
        self.series = SeriesTable::new(limit);
    }
}

impl Committer for IntakeDb {
    type Job = WindowsCommit;
    type Done = Committed;

    fn file(&self) -> &'static str {
        KIND.name
    }

    fn commit_all(&mut self, jobs: &[WindowsCommit]) -> Result<Vec<Committed>, StoreError> {
        let Self { database, series, next_part, .. } = self;
        let done = database.transact(|tx| {
            let mut into = Transfer { conn: tx, series, next_part };
            let done = jobs.iter().map(|job| into.commit(job)).collect::<Result<_, _>>()?;
            put_meta(tx, "next_part", &into.next_part.to_string()).in_file(KIND.name)?;
            Ok(done)
        });
        match &done {
            Ok(_) => self.series.settle(),
            Err(_) => self.series.roll_back(),
        }
        done
    }
}

/// One transaction under way.
struct Transfer<'a> {
    conn: &'a Connection,
    series: &'a mut SeriesTable,
    next_part: &'a mut i64,
}

impl Transfer<'_> {
    fn commit(&mut self, job: &WindowsCommit) -> Result<Committed, StoreError> {
        let mut done = Committed::default();
        for batch in &job.batches {
            let stored = STREAMS.note(self.conn, batch)?;
            if let (Stored::Counted, Fate::Counted(body)) = (stored, &batch.fate) {
                done.n_overflowed += self.add(batch, body)?;
            }
            done.batches.push(stored);
        }
        job.slo.iter().try_for_each(|gain| sources::add_slo(self.conn, gain))?;
        job.agents.iter().try_for_each(|agent| sources::put_agent(self.conn, agent))?;
        Ok(done)
    }

    fn add(
        &mut self,
        batch: &BatchCommit<WindowsBody>,
        body: &WindowsBody,
    ) -> Result<u64, StoreError> {
        let (conn, now) = (self.conn, batch.received_at);
        let mut n_overflowed = 0;
        for row in &body.rows {
            let series = self.series.place(conn, &row.series, now)?;
            n_overflowed += u64::from(series.overflowed);
            self.journal(series.id, row)?;
        }
        let agent = &batch.stream.agent;
        body.tallies.iter().try_for_each(|tally| sources::add_tally(conn, agent, tally))?;
        let reach = if body.continued { Reach::Only } else { Reach::Covers };
        for frontier in &body.frontiers {
            sources::add_frontier(conn, KIND.name, &batch.stream, frontier, (reach, now))?;
        }
        body.slo.iter().try_for_each(|gain| sources::add_slo(conn, gain))?;
        Ok(n_overflowed)
    }

    fn journal(&mut self, series: i64, row: &JournalRow) -> Result<(), StoreError> {
        *self.next_part += 1;
        let Window { start, width_secs } = row.window;
        self.conn
            .prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut s| {
                let counts = codec::encode(&row.distribution);
                s.execute(params![start.secs(), series, *self.next_part, width_secs, counts])
            })
            .in_file(KIND.name)
            .map(drop)
    }
}
