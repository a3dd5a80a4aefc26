//! The collector put together: settings in, a running collector out.
//!
//! Owns the order of building, restoring and draining. Embedded as it is by the `watchkeeper-collector` command and by
//! the demo.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use watchkeeper_amqp::BrokerSettings;
use watchkeeper_collector_core::engine::{Effect, Engine, Input};
use watchkeeper_daemon::listener::Listener;
use watchkeeper_daemon::{clock, machine};
use watchkeeper_model::Kind;

use crate::api::{self, ApiParts, ApiState, Readiness};
use crate::backup::Backups;
use crate::config::{CollectorSettings, ServerSettings, StorageSettings};
use crate::dispatch::{Dispatch, DispatchSettings};
use crate::hub::{self, Hub, HubHandle};
use crate::intake::amqp::AmqpIntake;
use crate::intake::{self, Intake, IntakeSettings};
use crate::letters::{BrokerLetters, KeptLetters, Place, Places};
use crate::reload::Reloader;
use crate::restore::{commit_recomputed, restore};
use crate::store::{DEFAULT_BALLAST_BYTES, LetterCounts, OpenSettings, Store};
use crate::telemetry::Telemetry;
use crate::{facts, server};

/// How long connections and deliveries may take to end; together below the 15 s that a stop may take.
const DRAIN: Duration = Duration::from_secs(5);
/// Agents, people and probes of it.
const MAX_CONNECTIONS: usize = 10_000;
const UPKEEP_EVERY: Duration = Duration::from_secs(1);

/// A collector that is ready to run.
pub struct App {
    listener: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    router: axum::Router,
    hub: Hub,
    handle: HubHandle,
    first: Vec<Effect>,
    store: Store,
    intake: Arc<Intake>,
    dispatch: Arc<Dispatch>,
    readiness: Arc<Readiness>,
    drain: CancellationToken,
    /// Kept, so that the intake's settings stay what they are until a reload replaces them.
    settings: Arc<watch::Sender<IntakeSettings>>,
    server: ServerSettings,
    storage: StorageSettings,
    broker: Option<BrokerSettings>,
    amqp: Option<AmqpIntake>,
}

impl App {
    /// Opens the store, restores the engine, builds every channel and binds the listener.
    ///
    /// # Errors
    /// If the store cannot be opened, a channel's settings are unusable, or the address is taken.
    pub async fn build(settings: CollectorSettings) -> anyhow::Result<Self> {
        let now = clock::now();
        let store = open_store(&settings)?;
        let restored = {
            let (store, settings) = (store.clone(), settings.engine.clone());
            tokio::task::spawn_blocking(move || restore(&store, &settings, now)).await??
        };
        let (restored, recomputed) = restored;
        // On a full disk they are computed again at the next start.
        if let Err(error) = commit_recomputed(&store, recomputed).await {
            tracing::warn!("recomputed counts could not be stored: {error:#}");
        }
        // Restoring may have taken a while: silence is measured from now.
        let now = clock::now();
        let (engine, first) = Engine::new((*settings.engine).clone(), restored, now);
        let integrations = settings
            .integrations
            .iter()
            .map(|i| i.build().map_err(|e| anyhow::anyhow!(e)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let (outcome_sender, outcomes) = mpsc::channel(1024);
        let dispatch =
            Arc::new(Dispatch::start(integrations, DispatchSettings::default(), outcome_sender));
        let (handle, queue) = hub::channel();
        let telemetry = Arc::new(Telemetry::build()?);
        telemetry.watch_store(&store);
        let meter = telemetry.meter();
        let hub = Hub::new(engine, store.clone(), dispatch.clone(), queue, outcomes, &meter);
        let (settings_sender, settings_receiver) = watch::channel(settings.engine.clone());
        let intake = Arc::new(Intake::new(store.clone(), handle.clone(), settings_receiver));
        let kept = |kind| -> Box<dyn Place> {
            Box::new(KeptLetters::new(kind, store.clone(), intake.clone()))
        };
        let readiness = Arc::new(Readiness::default());
        readiness.not_ready("collector", "starting");
        let amqp = match &settings.amqp {
            None => None,
            Some(broker) => {
                let road = AmqpIntake::build(broker, intake.clone(), readiness.clone(), &meter);
                Some(road.map_err(|e| anyhow::anyhow!("intake.amqp: {e}"))?)
            }
        };
        let mut places = vec![kept(Kind::Windows), kept(Kind::Events)];
        places.extend(amqp.as_ref().map(|road| -> Box<dyn Place> {
            Box::new(BrokerLetters::new(road.broker(), road.dead_queue()))
        }));
        let letters = Arc::new(Places::new(places));
        let drain = CancellationToken::new();
        let backups = Arc::new(Backups::new(store.clone(), drain.clone()));
        telemetry.watch_backups(backups.last_at());
        let parts = ApiParts {
            backups,
            engine: Arc::new(handle.clone()),
            dispatch: dispatch.clone(),
            settings: settings_sender.subscribe(),
            letters,
            reads: store.reads(),
            readiness: readiness.clone(),
            telemetry,
        };
        let state = ApiState::new(parts, clock::now);
        let grpc = intake::grpc::service(intake.clone(), drain.clone());
        let router = api::router(state).route_service("/watchkeeper.v1.Intake/{method}", grpc);
        let router = server::guarded(router, settings.server.tokens.clone());
        let tls = settings.server.tls.as_ref().map(server::tls_acceptor).transpose()?;
        let listener = TcpListener::bind(settings.server.listen).await.with_context(|| {
            format!("collector.listen: cannot listen on {}", settings.server.listen)
        })?;
        Ok(Self {
            listener,
            tls,
            router,
            hub,
            handle,
            first,
            store,
            intake,
            dispatch,
            readiness,
            drain,
            settings: Arc::new(settings_sender),
            server: settings.server,
            storage: settings.storage,
            broker: settings.amqp,
            amqp,
        })
    }

    /// What gives the running collector new settings.
    pub fn reloader(&self) -> Reloader {
        Reloader::new(
            self.handle.clone(),
            self.store.clone(),
            self.dispatch.clone(),
            self.settings.clone(),
            (self.server.clone(), self.storage, self.broker.clone()),
        )
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs until `stop`: then refuses new work, gives the receipts it owes, finishes deliveries and closes the store.
    ///
    /// # Errors
    /// If a task panicked.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self {
            listener,
            tls,
            router,
            hub,
            handle,
            first,
            store,
            intake,
            dispatch,
            readiness,
            drain,
            settings,
            server: _,
            storage: _,
            broker: _,
            amqp,
        } = self;
        let (hub_stop, serve_stop) = (CancellationToken::new(), CancellationToken::new());
        let mut hub = tokio::spawn(hub.run(first, hub_stop.clone()));
        let listener =
            Listener { socket: listener, tls, max_connections: MAX_CONNECTIONS, drain: DRAIN };
        let serving = tokio::spawn(listener.serve(router, serve_stop.clone()));
        let kept = (store.clone(), intake);
        let upkeep = tokio::spawn(keep_up(kept, handle.clone(), readiness.clone(), stop.clone()));
        let amqp = amqp.map(|road| tokio::spawn(road.run(drain.clone())));
        readiness.ready("collector");
        tokio::select! {
            () = stop.cancelled() => {}
            // Without the engine batches would be receipted and nobody told: better to end, and be started again.
            ended = &mut hub => anyhow::bail!("bug: the engine's loop ended by itself: {ended:?}"),
        }
        readiness.not_ready("collector", "draining");
        // Agents are asked to leave first: receipts under way are given before the listener closes.
        drain.cancel();
        serve_stop.cancel();
        serving.await?;
        if let Some(amqp) = amqp {
            amqp.await?;
        }
        upkeep.await?;
        // Outcomes are read by the hub while what is being sent comes to its end.
        let n_unsent = dispatch.shutdown(DRAIN).await;
        if n_unsent > 0 {
            tracing::warn!(n_unsent, "deliveries are left for the next start; the ledger has them");
        }
        drop((handle, settings));
        hub_stop.cancel();
        hub.await?;
        tokio::task::spawn_blocking(move || store.close()).await?;
        Ok(())
    }
}

fn open_store(settings: &CollectorSettings) -> anyhow::Result<Store> {
    Ok(Store::open(OpenSettings {
        data_dir: settings.server.data_dir.clone(),
        machine_id: machine::id(),
        new_incarnation: machine::entropy(),
        retention: settings.storage.retention,
        max_bytes: settings.storage.max_bytes,
        ballast_bytes: DEFAULT_BALLAST_BYTES,
    })?)
}

/// Says what changed about dead letters since the upkeep before: somebody may have looked, or they had to go.
async fn tell_letters(before: Option<LetterCounts>, now: LetterCounts, intake: &Intake) {
    let n_dropped = before.map_or(0, |before| now.n_dropped.saturating_sub(before.n_dropped));
    if n_dropped > 0 {
        facts::letters_dropped(n_dropped);
    }
    // Those that a road has parked count with them, or the end of these would be taken for the end of all.
    if before.is_none_or(|before| before.n_kept != now.n_kept)
        && let Err(error) = intake.tell_dead_letters().await
    {
        facts::dead_letters_uncounted(&error);
    }
}

/// Once a second: folds, expires, makes room, and tells the engine how full the store is.
async fn keep_up(
    (store, intake): (Store, Arc<Intake>),
    hub: HubHandle,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut letters = None;
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.cancelled() => return,
        }
        let report = store.maintain(clock::now()).await;
        report.errors.iter().for_each(facts::upkeep_failed);
        if !report.evicted.is_empty() {
            tracing::warn!(evicted = ?report.evicted, "storage.max_bytes is used up: the oldest were given up");
        }
        tell_letters(letters.replace(report.letters), report.letters, &intake).await;
        let health = store.health();
        if health.is_full {
            readiness.not_ready(
                "store",
                "there is no room, on the disk or within storage.max_bytes: nothing is taken in",
            );
        } else {
            readiness.ready("store");
        }
        let input = Input::StorageUsed { bytes: health.used_bytes, max_bytes: health.max_bytes };
        hub.send(input).await;
    }
}
