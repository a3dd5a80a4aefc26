//! New settings for a running collector.
//!
//! Owns the order in which the parts go over to them: channels first, so that the engine never names one that is not
//! there; then the intake, so that what arrives is judged by the new ones; then the engine; then channels that nobody
//! needs any more go. Never touches what only a start can change, and says so.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use watchkeeper_amqp::BrokerSettings;
use watchkeeper_collector_core::engine::{Input, RestoredSlo};
use watchkeeper_collector_core::slo::SloSettings;
use watchkeeper_daemon::clock;

use crate::config::{CollectorSettings, ServerSettings, StorageSettings};
use crate::dispatch::{Dispatch, Outcome};
use crate::hub::HubHandle;
use crate::intake::IntakeSettings;
use crate::restore::{commit_recomputed, restore_slos};
use crate::store::Store;

/// How settings reach the running parts; cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    hub: HubHandle,
    store: Store,
    dispatch: Arc<Dispatch>,
    intake: Arc<watch::Sender<IntakeSettings>>,
    server: ServerSettings,
    storage: StorageSettings,
    broker: Option<BrokerSettings>,
    /// One at a time: two would both recompute what is new, and count it twice.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Reloader {
    pub(crate) fn new(
        hub: HubHandle,
        store: Store,
        dispatch: Arc<Dispatch>,
        intake: Arc<watch::Sender<IntakeSettings>>,
        (server, storage, broker): (ServerSettings, StorageSettings, Option<BrokerSettings>),
    ) -> Self {
        let turn = Arc::default();
        Self { hub, store, dispatch, intake, server, storage, broker, turn }
    }

    /// Goes over to `settings`. What needs a start (`collector:`, `storage:`) stays as it is; the answer names it.
    ///
    /// # Errors
    /// If a channel cannot be built or the store cannot be read: then everything stays as it was.
    pub async fn reload(&self, settings: CollectorSettings) -> anyhow::Result<Vec<&'static str>> {
        let _turn = self.turn.lock().await;
        let integrations = settings
            .integrations
            .iter()
            .map(|i| i.build().map_err(|e| anyhow::anyhow!(e)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let known: BTreeSet<_> = self.dispatch.status().into_iter().map(|s| s.key).collect();
        self.tell(self.dispatch.replace(integrations.clone(), &known)).await;
        let before = self.intake.borrow().clone();
        let restored = self.counts_of_new_slos(&before, &settings).await?;
        self.intake.send_replace(settings.engine.clone());
        let in_use = self
            .hub
            .reload((*settings.engine).clone(), restored)
            .await
            .map_err(|_| anyhow::anyhow!("the collector is stopping"))?;
        self.tell(self.dispatch.replace(integrations, &in_use)).await;
        Ok(self.needs_a_start(&settings))
    }

    /// SLOs that are new, or count something else or over other windows than before, are given what is stored.
    async fn counts_of_new_slos(
        &self,
        before: &IntakeSettings,
        settings: &CollectorSettings,
    ) -> anyhow::Result<Vec<RestoredSlo>> {
        let is_known = |slo: &SloSettings| {
            let same = |s: &&SloSettings| s.name == slo.name && s.definition() == slo.definition();
            let overs = |s| before.overs_of(s) == settings.engine.overs_of(slo);
            before.slos.iter().find(same).is_some_and(overs)
        };
        let unknown = settings.engine.slos.iter().filter(|slo| !is_known(slo));
        let unknown: Vec<SloSettings> = unknown.cloned().collect();
        let (store, all) = (self.store.clone(), settings.engine.clone());
        let restoring = move || restore_slos(&store, &all, &unknown, clock::now());
        let (restored, recomputed) = tokio::task::spawn_blocking(restoring).await??;
        commit_recomputed(&self.store, recomputed).await?;
        Ok(restored)
    }

    async fn tell(&self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            let (delivery, reply) = (outcome.delivery, outcome.reply);
            self.hub.send(Input::Delivered { delivery, reply }).await;
        }
    }

    fn needs_a_start(&self, settings: &CollectorSettings) -> Vec<&'static str> {
        let (old, new) = (&self.server, &settings.server);
        let changed = [
            ("collector.listen", old.listen != new.listen),
            ("collector.data_dir", old.data_dir != new.data_dir),
            ("collector.tokens", old.tokens != new.tokens),
            ("collector.tls", old.tls != new.tls),
            ("storage", self.storage != settings.storage),
            ("intake.amqp", self.broker != settings.amqp),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
    }
}
