//! The agent put together: settings in, a running agent out.
//!
//! Owns the order of building and of draining. Embedded as it is by the `watchkeeper-agent` command and by the demo.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use watchkeeper_agent_core::observe::{Accumulator, Redactor};
use watchkeeper_agent_core::seal::SealPolicy;
use watchkeeper_daemon::clock;
use watchkeeper_daemon::listener::Listener;
use watchkeeper_daemon::machine::entropy;
use watchkeeper_model::Timestamp;

use crate::config::{AgentSettings, RoadSettings};
use crate::delivery::Delivery;
use crate::reload::{self, Reloader};
use crate::sources::{self, Beside, SourceSettings, Stored, Wakes};
use crate::spool::{Move, Opened, Spool, SpoolError, StoredSource};
use crate::status::Status;
use crate::telemetry::Telemetry;
use crate::transports::Transport;
use crate::transports::amqp::AmqpTransport;
use crate::transports::grpc::GrpcTransport;
use crate::transports::several::Several;
use crate::worker::{Command, Worker};
use crate::{admin, facts};

/// How long a stopping agent tries to deliver what it has sealed.
const DRAIN: Duration = Duration::from_secs(10);

/// Who asks at the admin endpoint at a time: a scraper, some jobs, a person. What is held open there is missing elsewhere.
const MAX_ADMIN_CONNECTIONS: usize = 64;

/// How long answers of the admin endpoint may take at the end.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// How long an agent waits at its start to be told how far its files were read, in case its spool is an older copy of
/// what it was. With a new spool it waits as long as it takes: reading by `start_at` could count whole files again, and
/// files are their own buffer.
const PATIENCE: Duration = Duration::from_secs(2);

/// An agent that is ready to run.
pub struct App {
    worker: Worker,
    delivery: Delivery,
    commands: std::sync::mpsc::Sender<Command>,
    wakes: Wakes,
    status: Arc<Status>,
    telemetry: Arc<Telemetry>,
    admin: std::net::TcpListener,
}

impl App {
    /// Opens the spool, builds every source and binds the admin endpoint.
    ///
    /// # Errors
    /// If the spool cannot be opened, the admin address is taken, or the road's settings are unusable.
    pub fn build(settings: AgentSettings) -> anyhow::Result<Self> {
        let now = clock::now();
        let Opened { spool, is_new, moved } =
            Spool::open(&settings.data_dir, settings.id.clone(), settings.spool, entropy(), now)?;
        if moved {
            facts::spool_moved();
        }
        let spool = Arc::new(spool);
        let status = Arc::new(Status::default());
        let wakes = Wakes::new();
        let beside = Beside::new(wakes.waker());
        let mut counted = Accumulator::new(settings.id.clone(), settings.labels.clone());
        counted.set_redactor(Redactor::new(&settings.redact));
        let mut stored = configure(&spool, &settings.sources, now)?;
        let mut built = Vec::new();
        for source in &settings.sources {
            let stored = stored.remove(source.name()).unwrap_or_default();
            let stored = Stored { rows: stored.positions, looked_at: stored.looked_at, wait: true };
            let mut source = sources::build(source.clone(), stored, &mut counted, &beside);
            if moved {
                source.epoch_changed();
            }
            built.push(source);
        }
        let transport = build_roads(&settings)?;
        let (commands, receiver) = std::sync::mpsc::channel();
        let (new_spool, spool_is_new) = watch::channel(is_new);
        let sealed = Arc::new(Notify::new());
        let admin = std::net::TcpListener::bind(settings.admin)
            .with_context(|| format!("agent.admin: cannot listen on {}", settings.admin))?;
        admin.set_nonblocking(true)?;
        let agent = settings.id.clone();
        let worker = Worker {
            sources: built,
            counted,
            policy: SealPolicy::new(settings.flush),
            settings,
            spool: spool.clone(),
            sealed: sealed.clone(),
            status: status.clone(),
            commands: receiver,
            wakes: wakes.clone(),
            beside,
            spool_is_new: new_spool,
            patience_until: (!is_new).then(|| now + PATIENCE),
            heard: None,
            pending: None,
        };
        let (to_worker, waker) = (commands.clone(), wakes.waker());
        let delivery = Delivery {
            agent,
            instance: entropy(),
            spool: spool.clone(),
            transport,
            status: status.clone(),
            sealed,
            sources: Box::new(move |message| {
                // A worker that has ended needs nothing any more.
                let _ = to_worker.send(Command::Collector(message));
                waker.wake();
            }),
            spool_is_new,
        };
        let telemetry = Arc::new(Telemetry::build(status.clone(), spool)?);
        Ok(Self { worker, delivery, commands, wakes, status, telemetry, admin })
    }

    /// Where the admin endpoint listens.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn admin_addr(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// The way in for new settings.
    pub fn reloader(&self) -> Reloader {
        Reloader::new(self.commands.clone(), self.wakes.waker(), self.status.clone())
    }

    /// The worker alone, for tests that are its clock.
    #[cfg(test)]
    pub(crate) fn into_worker(self) -> (Worker, std::sync::mpsc::Sender<Command>) {
        (self.worker, self.commands)
    }

    /// Runs until `stop`, then seals, delivers what it can within its drain time, and says goodbye.
    ///
    /// # Errors
    /// If a thread cannot be started or the admin endpoint breaks.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { worker, delivery, commands, wakes, status, telemetry, admin } = self;
        let (leave, leaving) = mpsc::channel(1);
        let (spool, beats) = (delivery.spool.clone(), worker.beside.beats());
        let mut delivery = tokio::spawn(delivery.run(leaving, DRAIN));
        let worker =
            std::thread::Builder::new().name("worker".into()).spawn(move || worker.run())?;
        let listener = Listener {
            socket: TcpListener::from_std(admin)?,
            tls: None,
            max_connections: MAX_ADMIN_CONNECTIONS,
            drain: ADMIN_DRAIN,
        };
        let router = admin::router(status.clone(), telemetry, spool, beats);
        let end = CancellationToken::new();
        let serving = tokio::spawn(listener.serve(router, end.clone()));
        let mut looking = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                ended = &mut delivery => anyhow::bail!("bug: delivery ended by itself: {ended:?}"),
                _ = looking.tick() => {
                    // Beats of an agent that reads nothing any more would say that all is well.
                    anyhow::ensure!(!worker.is_finished(), "bug: the worker thread ended by itself");
                }
            }
        }
        status.update(|s| s.draining = true);
        let _ = commands.send(Command::Stop);
        wakes.waker().wake();
        tokio::task::spawn_blocking(move || worker.join())
            .await?
            .map_err(|_| anyhow::anyhow!("bug: the worker thread panicked"))?;
        let _ = leave.send(()).await;
        delivery.await?;
        end.cancel();
        serving.await?;
        Ok(())
    }
}

/// The roads of the file, in its order.
fn build_roads(settings: &AgentSettings) -> anyhow::Result<Arc<dyn Transport>> {
    let mut roads: Vec<Arc<dyn Transport>> = Vec::new();
    for road in &settings.roads {
        roads.push(match road {
            RoadSettings::Grpc(grpc) => Arc::new(
                GrpcTransport::build(grpc).map_err(|e| anyhow::anyhow!("collector.grpc: {e}"))?,
            ),
            RoadSettings::Amqp(amqp) => Arc::new(
                AmqpTransport::build(amqp, settings.id.clone())
                    .map_err(|e| anyhow::anyhow!("collector.amqp: {e}"))?,
            ),
        });
    }
    Ok(Several::of(roads))
}

/// Tells the spool which sources there are, as a reload does, and gets what is stored of them.
fn configure(
    spool: &Spool,
    sources: &[SourceSettings],
    now: Timestamp,
) -> Result<BTreeMap<String, StoredSource>, SpoolError> {
    let readings = reload::readings(sources);
    let moves = reload::moves(spool.known()?, &readings);
    let names = readings.iter().map(|r| r.name.clone()).collect();
    let stored = spool.configure(&readings, &moves, &names, now)?;
    for Move { from, to } in &moves {
        facts::places_taken_over(from, to);
    }
    Ok(stored)
}
