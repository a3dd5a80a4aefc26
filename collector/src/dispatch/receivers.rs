//! All integrations of all receivers, each with its worker.
//!
//! Owns starting, replacing on reload, and draining. Never waits for a receiver while taking a delivery.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::backoff::Retry;
use super::breaker::BreakerSettings;
use super::delivery::{Delivery, Hold, Outcome};
use super::queue::{Queue, QueueSettings};
use super::worker::{self, Clock, NO_LONGER_CONFIGURED, Shared};
use crate::channels::{Integration, IntegrationKey};

/// How receivers are treated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DispatchSettings {
    /// When to try again, and when to give up.
    pub retry: Retry,
    /// When to leave a receiver alone.
    pub breaker: BreakerSettings,
    /// Attempts under way at once per integration; with more than one the last is kept for pages.
    pub max_in_flight: usize,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self { retry: Retry::default(), breaker: BreakerSettings::default(), max_in_flight: 4 }
    }
}

/// How an integration is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationStatus {
    /// Which one.
    pub key: IntegrationKey,
    /// Deliveries that wait.
    pub n_waiting: usize,
    /// Attempts under way.
    pub n_in_flight: usize,
    /// Why nothing is sent just now, if something waits.
    pub held: Option<Hold>,
    /// Whether its breaker is open or asking.
    pub is_broken: bool,
    /// How long until it is spoken to again, if it is left alone.
    pub left_alone_for: Option<Duration>,
    /// Its last failure, without secrets; "" if there was none.
    pub last_error: String,
}

/// The workers.
#[derive(Debug)]
pub struct Dispatch {
    settings: DispatchSettings,
    outcomes: mpsc::Sender<Outcome>,
    clock: Clock,
    workers: Mutex<BTreeMap<IntegrationKey, Worker>>,
    is_shut: AtomicBool,
}

#[derive(Debug)]
struct Worker {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Dispatch {
    /// Starts a worker for each integration. Every attempt's outcome goes to `outcomes`, where someone must read.
    pub fn start(
        integrations: Vec<Integration>,
        settings: DispatchSettings,
        outcomes: mpsc::Sender<Outcome>,
    ) -> Self {
        let workers = Mutex::new(BTreeMap::new());
        let (clock, is_shut) = (Clock::start(), AtomicBool::new(false));
        let dispatch = Self { settings, outcomes, clock, workers, is_shut };
        // There was nothing before, so nothing is given back.
        let _ = dispatch.replace(integrations, &BTreeSet::new());
        dispatch
    }

    /// Takes a delivery; never waits. What it answers is for the engine: an outcome that needed no attempt. After a
    /// shutdown it takes nothing: the ledger keeps what comes then.
    #[must_use = "the engine waits for every outcome"]
    pub fn submit(&self, delivery: Delivery) -> Option<Outcome> {
        let workers = self.workers();
        match workers.get(&delivery.key) {
            Some(worker) => worker.shared.push(delivery),
            None if self.is_shut.load(Ordering::Acquire) => None,
            None => Some(delivery.given_up(0, true, NO_LONGER_CONFIGURED.into())),
        }
    }

    /// Goes by new configuration: what waits stays, known integrations get their new channels, and those no longer
    /// configured live on as long as they are `in_use`, for the incidents they have to close.
    #[must_use = "the engine waits for every outcome"]
    pub fn replace(
        &self,
        integrations: Vec<Integration>,
        in_use: &BTreeSet<IntegrationKey>,
    ) -> Vec<Outcome> {
        let mut workers = self.workers();
        let configured: BTreeSet<IntegrationKey> =
            integrations.iter().map(|integration| integration.key.clone()).collect();
        let mut outcomes = Vec::new();
        workers.retain(|key, worker| {
            let keep = configured.contains(key) || in_use.contains(key);
            if !keep {
                outcomes.extend(worker.shared.retire());
            }
            keep
        });
        for Integration { key, channel } in integrations {
            match workers.get(&key) {
                Some(worker) => worker.shared.set_channel(channel),
                None => {
                    workers.insert(key.clone(), self.worker(Integration { key, channel }));
                }
            }
        }
        outcomes
    }

    /// What sends to a receiver, by integration.
    pub fn integrations(&self, receiver: &str) -> Vec<Integration> {
        let workers = self.workers();
        let of = workers.iter().filter(|(key, _)| &*key.receiver == receiver);
        of.map(|(key, worker)| Integration { key: key.clone(), channel: worker.shared.channel() })
            .collect()
    }

    fn worker(&self, integration: Integration) -> Worker {
        let DispatchSettings { retry, breaker, max_in_flight } = self.settings;
        let pace = integration.channel.pace();
        let queue = Queue::new(QueueSettings { retry, breaker, pace, max_in_flight });
        let shared = Arc::new(Shared::new(queue, integration.channel, self.clock));
        let task = tokio::spawn(worker::run(shared.clone(), self.outcomes.clone()));
        Worker { shared, task }
    }

    /// How every integration is doing, by key.
    pub fn status(&self) -> Vec<IntegrationStatus> {
        let now = self.clock.now();
        let workers = self.workers();
        let status = workers.iter().map(|(key, worker)| {
            let queue = worker.shared.queue();
            IntegrationStatus {
                key: key.clone(),
                n_waiting: queue.n_waiting(),
                n_in_flight: queue.n_in_flight(),
                held: queue.held(now),
                is_broken: queue.is_broken(),
                left_alone_for: queue.left_alone_for(now),
                last_error: queue.last_error().to_owned(),
            }
        });
        status.collect()
    }

    /// Sends what can be sent at once and ends, at the latest after `limit`; answers how many deliveries are left to
    /// the ledger. Outcomes must be read meanwhile.
    pub async fn shutdown(&self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        let workers = {
            let mut workers = self.workers();
            self.is_shut.store(true, Ordering::Release);
            std::mem::take(&mut *workers)
        };
        workers.values().for_each(|worker| worker.shared.drain.cancel());
        let mut n_unsent = 0;
        for mut worker in workers.into_values() {
            if timeout_at(deadline, &mut worker.task).await.is_err() {
                worker.task.abort();
            }
            let queue = worker.shared.queue();
            n_unsent += queue.n_waiting() + queue.n_in_flight();
        }
        n_unsent
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<IntegrationKey, Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever drops it without a shutdown wants nothing sent any more.
impl Drop for Dispatch {
    fn drop(&mut self) {
        self.workers().values().for_each(|worker| worker.task.abort());
    }
}
