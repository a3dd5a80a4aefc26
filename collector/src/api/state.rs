//! What handlers may touch.
//!
//! Owns the seam to the engine (its state belongs to its own loop; others see copies) and the bound on questions to the
//! store. Never holds state of its own but readiness.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use watchkeeper_collector_core::engine::{self, CorrectionView, Snapshot};
use watchkeeper_collector_core::notify::DeliveryRow;
use watchkeeper_collector_core::slo::CorrectionRow;
use watchkeeper_model::Timestamp;

use super::error::ApiError;
use crate::backup::Backups;
use crate::dispatch::Dispatch;
use crate::letters::Places;
use crate::store::Reads;
use crate::telemetry::Telemetry;

/// Questions that read the store at a time.
const READERS: usize = 4;
/// Questions that may be under way, waiting ones among them.
const MAX_QUESTIONS: usize = 64;
/// How long the store may take; less than a request may.
const READ_LIMIT: Duration = Duration::from_secs(9);

/// The loop that owns the engine, as far as the API asks it.
pub trait Engine: Send + Sync {
    /// Everything as of now.
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, EngineGone>>;
    /// Takes an alert on; done when that is on disk.
    fn acknowledge(
        &self,
        fingerprint: &str,
        by: &str,
        comment: &str,
    ) -> BoxFuture<'_, Result<Acknowledged, EngineGone>>;
    /// Keeps what a receiver's test told in the ledger.
    fn record_tests(&self, rows: Vec<DeliveryRow>) -> BoxFuture<'_, ()>;
    /// Adds a correction; done when that is on disk.
    fn add_correction(&self, row: CorrectionRow) -> BoxFuture<'_, Result<Corrected, EngineGone>>;
    /// Takes a correction back; done when that is on disk.
    fn end_correction(&self, id: u64, by: &str) -> BoxFuture<'_, Result<Corrected, EngineGone>>;
}

/// What became of adding a correction, or taking one back.
#[derive(Clone, Debug, PartialEq)]
pub enum Corrected {
    /// It is done: how it stands now.
    Done(Box<CorrectionView>),
    /// It holds, and will be on disk as soon as that can be written.
    NotOnDisk,
    /// There are as many as there may be.
    TooMany,
    /// There is no such correction, or it was taken back before.
    NoSuchCorrection,
}

/// What became of taking an alert on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// It is taken on.
    Done,
    /// There is no such alert, or it is over.
    NoSuchAlert,
}

/// The engine's loop is not running yet or any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineGone;

/// Which parts are not ready, and why.
#[derive(Debug, Default)]
pub struct Readiness {
    missing: Mutex<BTreeMap<&'static str, String>>,
    /// What is worth knowing and keeps nobody from asking.
    notes: Mutex<BTreeMap<&'static str, String>>,
}

impl Readiness {
    /// A part is not ready.
    pub fn not_ready(&self, component: &'static str, reason: impl Into<String>) {
        self.lock().insert(component, reason.into());
    }

    /// A part is ready.
    pub fn ready(&self, component: &'static str) {
        self.lock().remove(component);
    }

    /// What is missing: component and reason.
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        self.lock().iter().map(|(component, reason)| (*component, reason.clone())).collect()
    }

    /// A part is not as it should be, and the collector is ready all the same.
    pub fn note(&self, component: &'static str, text: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).insert(component, text.into());
    }

    /// A part is as it should be.
    pub fn unnote(&self, component: &'static str) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).remove(component);
    }

    /// What is worth knowing: component and text.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().map(|(component, text)| (*component, text.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all handlers share; cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) settings: watch::Receiver<Arc<engine::Settings>>,
    pub(super) letters: Arc<Places>,
    pub(super) backups: Arc<Backups>,
    /// One test of a receiver at a time.
    pub(super) trials: Arc<Semaphore>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    reads: Reads,
    readers: Arc<Semaphore>,
    n_questions: Arc<AtomicUsize>,
}

/// What the API is laid over.
pub struct ApiParts<'a> {
    /// The loop that owns the engine.
    pub engine: Arc<dyn Engine>,
    /// The workers of receivers.
    pub dispatch: Arc<Dispatch>,
    /// What is configured, after every reload too.
    pub settings: watch::Receiver<Arc<engine::Settings>>,
    /// Where dead letters are kept.
    pub letters: Arc<Places>,
    /// What makes backups.
    pub backups: Arc<Backups>,
    /// The store's reading side.
    pub reads: &'a Reads,
    /// Which parts are not ready.
    pub readiness: Arc<Readiness>,
    /// The collector's own metrics.
    pub telemetry: Arc<Telemetry>,
}

impl ApiState {
    /// The state for these parts.
    pub fn new(parts: ApiParts<'_>, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let ApiParts { engine, dispatch, settings, letters, backups, reads, readiness, telemetry } =
            parts;
        Self {
            engine,
            readiness,
            telemetry,
            dispatch,
            settings,
            letters,
            backups,
            trials: Arc::new(Semaphore::new(1)),
            clock: Arc::new(clock),
            reads: reads.limited(READ_LIMIT),
            readers: Arc::new(Semaphore::new(READERS)),
            n_questions: Arc::new(AtomicUsize::new(0)),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Asks the store where blocking is allowed, when it is this question's turn.
    pub(super) async fn ask<T, E>(
        &self,
        question: impl FnOnce(&Reads) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let _place = Place::take(&self.n_questions)?;
        let turn = self.readers.clone().acquire_owned().await;
        let reads = self.reads.clone();
        // The turn is over when the read is, also if nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            question(&reads)
        });
        done.await
            .map_err(|error| {
                tracing::error!(%error, "bug: a read of the store panicked");
                ApiError::plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the store could not answer: see the log",
                )
            })?
            .map_err(Into::into)
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}

/// One of the [`MAX_QUESTIONS`].
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(n: &Arc<AtomicUsize>) -> Result<Self, ApiError> {
        let place = Self(n.clone());
        if n.fetch_add(1, Ordering::Relaxed) < MAX_QUESTIONS {
            return Ok(place);
        }
        Err(ApiError::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{MAX_QUESTIONS} questions are under way: ask again"),
        ))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
