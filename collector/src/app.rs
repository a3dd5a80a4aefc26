//! The collector put together: settings in, a running collector out.
//!
//! Owns the order of building, restoring and draining. Embedded as it is by the `watchkeeper-collector` command and by
//! the demo.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use watchkeeper_collector_core::engine::{self, Effect, Engine, Input, Restored, RestoredSlo};
use watchkeeper_collector_core::series::Observed;
use watchkeeper_collector_core::slo::{Counts, SloSettings};
use watchkeeper_daemon::{clock, machine};
use watchkeeper_model::Timestamp;

use crate::api::{self, ApiState, Readiness};
use crate::config::CollectorSettings;
use crate::dispatch::{Dispatch, DispatchSettings};
use crate::hub::{self, Hub, HubHandle};
use crate::intake::{self, Intake, IntakeSettings};
use crate::store::{DEFAULT_BALLAST_BYTES, OpenSettings, Store, Wanted};
use crate::telemetry::Telemetry;
use crate::{facts, server};

/// How long connections and deliveries may take to end; together below the 15 s that a stop may take.
const DRAIN: Duration = Duration::from_secs(5);
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
    dispatch: Arc<Dispatch>,
    readiness: Arc<Readiness>,
    drain: CancellationToken,
    /// Kept, so that the intake's settings stay what they are until a reload replaces them.
    settings: watch::Sender<IntakeSettings>,
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
        let hub = Hub::new(engine, store.clone(), dispatch.clone(), queue, outcomes);
        let (settings_sender, settings_receiver) = watch::channel(settings.engine.clone());
        let intake = Arc::new(Intake::new(store.clone(), handle.clone(), settings_receiver));
        let readiness = Arc::new(Readiness::default());
        readiness.not_ready("collector", "starting");
        let telemetry = Arc::new(Telemetry::build()?);
        telemetry.watch_store(&store);
        let state = ApiState::new(
            Arc::new(handle.clone()),
            store.reads(),
            readiness.clone(),
            telemetry,
            clock::now,
        );
        let drain = CancellationToken::new();
        let grpc = intake::grpc::service(intake, drain.clone());
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
            dispatch,
            readiness,
            drain,
            settings: settings_sender,
        })
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
            dispatch,
            readiness,
            drain,
            settings,
        } = self;
        let (hub_stop, serve_stop) = (CancellationToken::new(), CancellationToken::new());
        let hub = tokio::spawn(hub.run(first, hub_stop.clone()));
        let serving = tokio::spawn(server::serve(listener, tls, router, serve_stop.clone(), DRAIN));
        let upkeep =
            tokio::spawn(keep_up(store.clone(), handle.clone(), readiness.clone(), stop.clone()));
        readiness.ready("collector");
        stop.cancelled().await;
        readiness.not_ready("collector", "draining");
        // Agents are asked to leave first: receipts under way are given before the listener closes.
        drain.cancel();
        serve_stop.cancel();
        serving.await?;
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

/// Once a second: folds, expires, makes room, and tells the engine how full the store is.
async fn keep_up(store: Store, hub: HubHandle, readiness: Arc<Readiness>, stop: CancellationToken) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.cancelled() => return,
        }
        let report = store.maintain(clock::now()).await;
        report.errors.iter().for_each(facts::upkeep_failed);
        let health = store.health();
        if health.is_full {
            readiness.not_ready("store", "the disk is full: nothing is taken in");
        } else {
            readiness.ready("store");
        }
        let input = Input::StorageUsed { bytes: health.used_bytes, max_bytes: health.max_bytes };
        hub.send(input).await;
    }
}

/// What the engine was when the collector ended, out of the store.
fn restore(store: &Store, settings: &engine::Settings, now: Timestamp) -> anyhow::Result<Restored> {
    let reads = store.reads();
    let ledger = reads.ledger()?;
    let tallies = reads.source_totals()?.into_iter().map(|t| (t.agent, t.tally)).collect();
    let coarse = coarse_counts(store, settings, now)?;
    let mut slos = Vec::new();
    for slo in &settings.slos {
        let fine = fine_counts(store, slo, now)?;
        let coarse = coarse.get(&slo.name).cloned().unwrap_or_default();
        slos.push(RestoredSlo { name: slo.name.clone(), coarse, fine });
    }
    Ok(Restored {
        alerts: ledger.alerts,
        groups: ledger.groups,
        incidents: ledger.incidents,
        deliveries: ledger.deliveries,
        agents: ledger.agents,
        tallies,
        last_incident: ledger.last_incident,
        last_delivery: ledger.last_delivery,
        slos,
        observed: observed(store, settings, now)?,
    })
}

type Coarse = BTreeMap<String, Vec<(Timestamp, Counts)>>;

fn coarse_counts(
    store: &Store,
    settings: &engine::Settings,
    now: Timestamp,
) -> anyhow::Result<Coarse> {
    let longest = settings.slos.iter().map(|s| s.window.length()).max().unwrap_or_default();
    let mut coarse = Coarse::new();
    for gain in store.reads().slo_counts(now - longest)? {
        let slo =
            settings.slos.iter().find(|s| s.name == gain.slo && s.definition() == gain.definition);
        if slo.is_some() {
            let counts = Counts {
                good: gain.good,
                total: gain.total,
                unjudged: gain.unjudged,
                estimated: gain.estimated,
            };
            coarse.entry(gain.slo).or_default().push((gain.bucket, counts));
        }
    }
    Ok(coarse)
}

fn fine_counts(
    store: &Store,
    slo: &SloSettings,
    now: Timestamp,
) -> anyhow::Result<Vec<(watchkeeper_model::Window, Counts)>> {
    let wanted = Wanted {
        signal: Some(slo.signal.clone()),
        service: Some(slo.service.as_str().to_owned()),
        from: now - slo.fine_look_back(),
        to: Timestamp::MAX,
        together_secs: 0,
    };
    let mut fine = Vec::new();
    store.reads().scan(&wanted, &mut |_| Some(()), &mut |series, (), window| {
        let distribution = window.distribution()?;
        let counts = slo.judge(&series.labels, series.unit.dimension(), &distribution);
        if counts != Counts::default() {
            fine.push((window.window, counts));
        }
        Ok(())
    })?;
    Ok(fine)
}

fn observed(
    store: &Store,
    settings: &engine::Settings,
    now: Timestamp,
) -> anyhow::Result<Vec<Observed>> {
    let mut signals: Vec<(String, String)> =
        settings.rules.iter().map(|r| (r.service.as_str().to_owned(), r.signal.clone())).collect();
    signals.sort();
    signals.dedup();
    let mut observed = Vec::new();
    for (service, signal) in signals {
        let wanted = Wanted {
            signal: Some(signal),
            service: Some(service),
            from: now - settings.look_back(),
            to: Timestamp::MAX,
            together_secs: 0,
        };
        store.reads().scan(&wanted, &mut |_| Some(()), &mut |series, (), window| {
            observed.push(Observed {
                service: series.service.clone(),
                signal: series.signal.clone(),
                dimension: series.unit.dimension(),
                labels: series.labels.clone(),
                window: window.window,
                distribution: window.distribution()?,
            });
            Ok(())
        })?;
    }
    Ok(observed)
}
