//! The store as a whole: three files, one writing thread each, and the upkeep between commits.
//!
//! Owns opening and closing, the order of upkeep and what happens when the disk is full: the intake is refused first, and
//! stays refused until the ledger's ballast is back. Never knows what is in a row.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use watchkeeper_model::{Kind, Timestamp};

use super::ballast::Ballast;
use super::database::Checkpointer;
use super::error::StoreError;
use super::events::{EventsCommit, EventsDb};
use super::expire::{self, Evicted};
use super::fold::Folded;
use super::intake::{Committed, IntakeDb, WindowsCommit};
use super::ledger::{LedgerCommit, LedgerDb, LedgerWrite};
use super::letters::LetterCounts;
use super::lock::DirLock;
use super::reads::Reads;
use super::snapshot::{Held, Snapshot};
use super::tiers::{Retention, Tier};
use super::writer::Writer;
use super::{events, intake, ledger};

/// Room held back for the ledger.
pub const DEFAULT_BALLAST_BYTES: u64 = 4 << 20;
/// A file of this name says that a restore is under way.
pub(crate) const RESTORING: &str = "restoring";
/// Journal rows that one step of upkeep folds at most: some tens of milliseconds.
const FOLD_ROWS: u32 = 8_192;
/// Steps of one round at most; commits go in between.
const MAX_STEPS: usize = 16;
/// Blocks that one round of upkeep gives up at most when the store is too big.
const MAX_EVICTIONS: usize = 64;

/// Where the store lies and what it keeps.
#[derive(Clone, Debug)]
pub struct OpenSettings {
    /// Its directory; made if it is missing.
    pub data_dir: PathBuf,
    /// What tells this machine from others.
    pub machine_id: String,
    /// 64 random bits, used if the files are new or no longer where they were.
    pub new_incarnation: u64,
    /// How long data are kept.
    pub retention: Retention,
    /// How big the three files may grow together.
    pub max_bytes: u64,
    /// Room held back for the ledger: [`DEFAULT_BALLAST_BYTES`].
    pub ballast_bytes: u64,
}

/// The open store; cheap to clone. The threads end when the last clone is gone or [`Store::close`] is called.
#[derive(Clone)]
pub struct Store {
    intake: Writer<IntakeDb>,
    ledger: Writer<LedgerDb>,
    events: Writer<EventsDb>,
    reads: Reads,
    shared: Arc<Shared>,
}

struct Shared {
    settings: OpenSettings,
    incarnation: u64,
    ballast: Arc<Ballast>,
    checkpointers: Mutex<Vec<Checkpointer>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    used_bytes: AtomicU64,
    /// Over its size with nothing left that may be given up.
    is_over: AtomicBool,
    n_series: Arc<AtomicUsize>,
    n_overflowed: AtomicU64,
    letters: Mutex<LetterCounts>,
    /// Views that are open for backups: as long as there is one, logs can't be emptied.
    n_snapshots: Arc<AtomicUsize>,
    dir_lock: Mutex<Option<DirLock>>,
}

/// What one round of upkeep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaintenanceReport {
    /// What was folded.
    pub folded: Folded,
    /// What was given up for room.
    pub evicted: Vec<Evicted>,
    /// Bytes in use, all files together.
    pub used_bytes: u64,
    /// Dead letters, of both kinds.
    pub letters: LetterCounts,
    /// What could not be done; upkeep goes on with the rest.
    pub errors: Vec<StoreError>,
}

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreHealth {
    /// Bytes in use as of the last upkeep.
    pub used_bytes: u64,
    /// What it may use.
    pub max_bytes: u64,
    /// Whether the intake is refused because the disk is full, or the store at its size.
    pub is_full: bool,
    /// Series seen today or yesterday.
    pub n_series: usize,
    /// Rows counted under `__overflow__` since the start, because there are too many series.
    pub n_overflowed: u64,
    /// Dead letters, of both kinds, as of the last upkeep.
    pub letters: LetterCounts,
    /// Commits of windows that wait.
    pub n_intake_queued: usize,
    /// Commits of events that wait.
    pub n_events_queued: usize,
    /// Engine steps that wait.
    pub n_ledger_queued: usize,
}

impl Store {
    /// Opens the store, or makes it. Blocks.
    pub fn open(settings: OpenSettings) -> Result<Self, StoreError> {
        let dir = settings.data_dir.clone();
        let dir_lock = DirLock::take(&dir)?;
        let mark = dir.join(RESTORING);
        if mark.exists() {
            return Err(StoreError::Restoring { path: mark });
        }
        let ballast = Arc::new(Ballast::new(dir.join("ballast"), settings.ballast_bytes));
        // Opening has to write a little: on a full disk that is what the ballast is for.
        let (intake, ledger, events) = match open_files(&settings, &ballast) {
            Err(error) if error.is_full() && ballast.release() => open_files(&settings, &ballast)?,
            opened => opened?,
        };
        ballast.hold();
        let checkpointers = [intake::KIND, ledger::KIND, events::KIND]
            .into_iter()
            .map(|kind| Checkpointer::open(&dir.join(format!("{}.db", kind.name)), kind))
            .collect::<Result<_, _>>()?;
        let reads = Reads::open(&dir, settings.retention.ledger)?;
        let (incarnation, n_series) = (intake.incarnation(), intake.series.n_active());
        let (intake, intake_thread) = Writer::spawn(intake)?;
        let (ledger, ledger_thread) = Writer::spawn(ledger)?;
        let (events, events_thread) = Writer::spawn(events)?;
        let shared = Arc::new(Shared {
            settings,
            incarnation,
            ballast,
            checkpointers: Mutex::new(checkpointers),
            threads: Mutex::new(vec![intake_thread, ledger_thread, events_thread]),
            used_bytes: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            n_series,
            n_overflowed: AtomicU64::new(0),
            letters: Mutex::default(),
            n_snapshots: Arc::default(),
            dir_lock: Mutex::new(Some(dir_lock)),
        });
        Ok(Self { intake, ledger, events, reads, shared })
    }

    /// Changes when the files were restored, copied or made anew.
    pub fn incarnation(&self) -> u64 {
        self.shared.incarnation
    }

    /// Its directory.
    pub fn data_dir(&self) -> &Path {
        &self.shared.settings.data_dir
    }

    /// All of it as it is now, to be copied while work goes on.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::begin(self.data_dir(), Held::new(&self.shared.n_snapshots))
    }

    /// The reading side.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Makes batches of windows durable; waits while the queue is full.
    pub async fn commit_windows(&self, commit: WindowsCommit) -> Result<Committed, StoreError> {
        self.refuse_if_full(intake::KIND.name)?;
        let done = self.intake.commit(commit).await?;
        self.shared.n_overflowed.fetch_add(done.n_overflowed, Ordering::Relaxed);
        Ok(done)
    }

    /// Makes batches of events durable; waits while the queue is full.
    pub async fn commit_events(&self, commit: EventsCommit) -> Result<Committed, StoreError> {
        self.refuse_if_full(events::KIND.name)?;
        self.events.commit(commit).await
    }

    /// Makes all rows of one engine step durable, together.
    pub async fn persist(
        &self,
        writes: Vec<LedgerWrite>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.ledger.commit(LedgerCommit { writes, now }).await
    }

    /// Takes a dead letter away without counting it; whether there was one.
    pub async fn discard_dead_letter(&self, kind: Kind, id: u64) -> Result<bool, StoreError> {
        match kind {
            Kind::Windows => {
                let task = move |db: &mut IntakeDb| {
                    db.database.transact(|tx| intake::STREAMS.discard(tx, id))
                };
                self.intake.run(task).await?
            }
            Kind::Events => {
                let task = move |db: &mut EventsDb| {
                    db.database.transact(|tx| events::STREAMS.discard(tx, id))
                };
                self.events.run(task).await?
            }
        }
    }

    /// One round of upkeep: to be called about once a second.
    pub async fn maintain(&self, now: Timestamp) -> MaintenanceReport {
        let mut report = MaintenanceReport::default();
        let retention = self.shared.settings.retention;
        for _ in 0..MAX_STEPS {
            match self.tend_intake(now).await {
                Ok(step) => {
                    report.folded.add(step);
                    if !step.more {
                        break;
                    }
                }
                Err(error) => {
                    report.errors.push(error);
                    break;
                }
            }
        }
        let tended = self.events.run(move |db| expire::tend_events(db, now, &retention)).await;
        report.errors.extend(tended.and_then(|done| done).err());
        let tended = self.ledger.run(move |db| expire::tend_ledger(db, now, &retention)).await;
        report.errors.extend(tended.and_then(|done| done).err());
        if let Err(error) = self.make_room(&mut report).await {
            report.errors.push(error);
        }
        match self.count_letters().await {
            Ok(letters) => *lock(&self.shared.letters) = letters,
            Err(error) => report.errors.push(error),
        }
        report.letters = *lock(&self.shared.letters);
        self.settle_disk(&mut report).await;
        report
    }

    /// One step, between two commits.
    async fn tend_intake(&self, now: Timestamp) -> Result<Folded, StoreError> {
        let retention = self.shared.settings.retention;
        self.intake.run(move |db| expire::tend_intake(db, now, &retention, FOLD_ROWS)).await?
    }

    /// How the store is.
    pub fn health(&self) -> StoreHealth {
        StoreHealth {
            used_bytes: self.shared.used_bytes.load(Ordering::Relaxed),
            max_bytes: self.shared.settings.max_bytes,
            is_full: self.why_full().is_some(),
            n_series: self.shared.n_series.load(Ordering::Relaxed),
            n_overflowed: self.shared.n_overflowed.load(Ordering::Relaxed),
            letters: *lock(&self.shared.letters),
            n_intake_queued: self.intake.n_queued(),
            n_events_queued: self.events.n_queued(),
            n_ledger_queued: self.ledger.n_queued(),
        }
    }

    /// Commits what is queued, ends the threads, copies the logs into the files and lets go of the directory. Blocks.
    /// Other clones are told that the store is closed.
    pub fn close(self) {
        self.intake.close();
        self.ledger.close();
        self.events.close();
        let shared = &self.shared;
        for thread in std::mem::take(&mut *lock(&shared.threads)) {
            // A writer that panicked has answered nothing; there is nothing left to save here.
            let _ = thread.join();
        }
        for checkpointer in std::mem::take(&mut *lock(&shared.checkpointers)) {
            if let Err(error) = checkpointer.finish() {
                tracing::warn!(%error, "checkpoint at close failed");
            }
        }
        lock(&shared.dir_lock).take();
    }

    fn refuse_if_full(&self, file: &'static str) -> Result<(), StoreError> {
        match self.why_full() {
            Some(why) => Err(StoreError::Full { file, detail: why.to_owned() }),
            None => Ok(()),
        }
    }

    fn why_full(&self) -> Option<&'static str> {
        if !self.shared.ballast.is_held() {
            return Some("the room left is held for the ledger");
        }
        let over = self.shared.is_over.load(Ordering::Relaxed);
        over.then_some("storage.max_bytes is used up by what may not be given up: raise it")
    }

    /// Gives up the oldest of the finest data until the store is within its size: rollups of 10 s, of 1 min, events,
    /// rollups of 1 h.
    async fn make_room(&self, report: &mut MaintenanceReport) -> Result<(), StoreError> {
        let max_bytes = self.shared.settings.max_bytes;
        report.used_bytes = self.used_bytes().await?;
        while report.used_bytes > max_bytes && report.evicted.len() < MAX_EVICTIONS {
            let finest = self
                .intake
                .run(|db| expire::evict_rollups(db, &[Tier::Fine, Tier::Minute]))
                .await??;
            let evicted = match finest {
                None => self.events.run(|db| expire::evict_events(&mut db.database)).await??,
                some => some,
            };
            let evicted = match evicted {
                None => self.intake.run(|db| expire::evict_rollups(db, &[Tier::Hour])).await??,
                some => some,
            };
            // What is left is the journal, what was delivered and the ledger: new data must wait.
            let Some(evicted) = evicted else { break };
            report.evicted.push(evicted);
            report.used_bytes = self.used_bytes().await?;
        }
        let is_over = report.used_bytes > max_bytes && report.evicted.len() < MAX_EVICTIONS;
        self.shared.is_over.store(is_over, Ordering::Relaxed);
        self.shared.used_bytes.store(report.used_bytes, Ordering::Relaxed);
        Ok(())
    }

    async fn count_letters(&self) -> Result<LetterCounts, StoreError> {
        let (windows, events) = tokio::join!(
            self.intake.run(|db| intake::STREAMS.count_letters(&db.database.conn)),
            self.events.run(|db| events::STREAMS.count_letters(&db.database.conn)),
        );
        let (windows, events) = (windows??, events??);
        Ok(LetterCounts {
            n_kept: windows.n_kept + events.n_kept,
            n_dropped: windows.n_dropped + events.n_dropped,
        })
    }

    async fn used_bytes(&self) -> Result<u64, StoreError> {
        let (intake, ledger, events) = tokio::join!(
            self.intake.run(|db| db.database.used_bytes()),
            self.ledger.run(|db| db.database.used_bytes()),
            self.events.run(|db| db.database.used_bytes()),
        );
        Ok(intake?? + ledger?? + events??)
    }

    /// Checkpoints, and takes the ballast back if there is room again.
    async fn settle_disk(&self, report: &mut MaintenanceReport) {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || {
            let is_full = !shared.ballast.is_held();
            // Emptying the logs is the first room there is to be had.
            let may_empty = shared.n_snapshots.load(Ordering::Acquire) == 0;
            let tend = |c: &Checkpointer| if is_full { c.finish() } else { c.run(may_empty) };
            let failed: Vec<StoreError> =
                lock(&shared.checkpointers).iter().filter_map(|c| tend(c).err()).collect();
            shared.ballast.hold();
            failed
        });
        report.errors.extend(done.await.unwrap_or_default());
    }

    #[cfg(test)]
    pub(super) fn intake_writer(&self) -> &Writer<IntakeDb> {
        &self.intake
    }

    #[cfg(test)]
    pub(super) fn ledger_writer(&self) -> &Writer<LedgerDb> {
        &self.ledger
    }
}

/// The latest schema of a file that this version knows.
pub(crate) fn known_schema(name: &str) -> Option<usize> {
    let kinds = [intake::KIND, ledger::KIND, events::KIND];
    kinds.iter().find(|kind| kind.name == name).map(|kind| kind.migrations.len())
}

fn open_files(
    settings: &OpenSettings,
    ballast: &Arc<Ballast>,
) -> Result<(IntakeDb, LedgerDb, EventsDb), StoreError> {
    let dir = &settings.data_dir;
    let intake = IntakeDb::open(dir, &settings.machine_id, settings.new_incarnation)?;
    Ok((intake, LedgerDb::open(dir, ballast.clone())?, EventsDb::open(dir)?))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("data_dir", &self.shared.settings.data_dir)
            .finish_non_exhaustive()
    }
}
