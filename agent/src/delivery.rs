//! The delivery task: runs the core's sender over the spool and a road.
//!
//! Owns the connection. Never decides: every effect comes from [`Sender`]. Calls to the spool block for as long as
//! SQLite reads a few rows; the agent runs this on a thread that has nothing else to do but serve the admin endpoint.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use watchkeeper_agent_core::deliver::{Effect, Farewell, Input, RowId, Sender};
use watchkeeper_daemon::machine::{entropy, share};
use watchkeeper_daemon::{clock, crash};
use watchkeeper_model::{AgentId, Frontier, Service, Timestamp};
use watchkeeper_proto::{Checked as _, v1};

use crate::spool::{Spool, SpoolError};
use crate::status::Status;
use crate::transports::{Connection, Transport, TransportError};
use crate::{facts, wire};

/// How often receipted batches beyond their time are forgotten, and dead letters that somebody asked for are offered.
const FORGET_EVERY: Duration = Duration::from_secs(5);

/// What the collector says that concerns the sources.
#[derive(Debug)]
pub enum ForSources {
    /// How far this agent's files were read, as far as the collector knows.
    Frontiers(Vec<Frontier>),
    /// Bounds that SLOs and rules want: service, signal, base units.
    Bounds(Vec<(Service, String, Vec<i64>)>),
    /// What is sealed from now on is of a new epoch.
    EpochChanged,
}

/// What the task needs.
pub struct Delivery {
    /// Who we are.
    pub agent: AgentId,
    /// Differs for every start.
    pub instance: u64,
    /// Where batches lie.
    pub spool: Arc<Spool>,
    /// The road.
    pub transport: Arc<dyn Transport>,
    /// What a beat says.
    pub status: Arc<Status>,
    /// Rung after every seal.
    pub sealed: Arc<Notify>,
    /// Towards the worker.
    pub sources: Box<dyn Fn(ForSources) + Send + Sync>,
    /// Whether this spool has been welcomed before.
    pub spool_is_new: watch::Receiver<bool>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Connection, TransportError>> + Send>>;

/// The connection as the task sees it.
enum Road {
    Closed,
    Opening(Connecting),
    Open(Connection),
}

enum Happened {
    Opened(Result<Connection, TransportError>),
    Incoming(Option<Result<v1::ToAgent, TransportError>>),
    Sealed,
    Changed,
    Deadline,
    Forget,
    Leave,
}

impl Delivery {
    /// Runs until told to leave, then until everything in flight has its receipt or `drain` is over.
    pub async fn run(self, mut leave: mpsc::Receiver<()>, drain: Duration) {
        let mut sender = Sender::new(self.newest(), clock::now());
        let mut road = Road::Closed;
        let mut forget = tokio::time::interval(FORGET_EVERY);
        let mut leaving: Option<tokio::time::Instant> = None;
        self.handle(&mut sender, &mut road, Input::Tick);
        loop {
            if let Some(until) = leaving {
                let done = self.spool.pending_bytes() == 0 || matches!(road, Road::Closed);
                if done || tokio::time::Instant::now() >= until {
                    break;
                }
            }
            let wake =
                leaving.unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_secs(60));
            let deadline = sender.next_deadline().map_or(wake, |at| wake.min(clock::instant(at)));
            let happened = tokio::select! {
                happened = next(&mut road) => happened,
                () = self.sealed.notified() => Happened::Sealed,
                () = self.status.health_changed() => Happened::Changed,
                () = tokio::time::sleep_until(deadline) => Happened::Deadline,
                _ = forget.tick() => Happened::Forget,
                Some(()) = leave.recv(), if leaving.is_none() => Happened::Leave,
            };
            if let Happened::Leave = happened {
                leaving = Some(tokio::time::Instant::now() + drain);
            }
            self.take_in(&mut sender, &mut road, happened);
        }
        self.part(&mut sender, road).await;
    }

    /// Says goodbye when all that could be delivered was, and lets it reach the wire.
    async fn part(&self, sender: &mut Sender, mut road: Road) {
        self.handle(sender, &mut road, Input::Leave { farewell: Farewell::Stop });
        if let Road::Open(Connection { outgoing, mut incoming, .. }) = road {
            drop(outgoing);
            // The collector ends its side when it has taken in ours.
            let end = async { while incoming.recv().await.is_some() {} };
            let _ = tokio::time::timeout(Duration::from_secs(2), end).await;
        }
    }

    fn take_in(&self, sender: &mut Sender, road: &mut Road, happened: Happened) {
        match happened {
            Happened::Opened(Ok(connection)) => {
                facts::connected(&connection.road);
                self.status.set_road(Ok(connection.kind));
                *road = Road::Open(connection);
                self.handle(sender, road, Input::Connected);
            }
            Happened::Opened(Err(error)) | Happened::Incoming(Some(Err(error))) => {
                facts::connection_failed(&error);
                let jitter = if error.is_permanent { 1.0 } else { share() };
                self.status.set_road(Err(error.to_string()));
                *road = Road::Closed;
                self.handle(sender, road, Input::Disconnected { jitter });
            }
            Happened::Incoming(None) => self.close(sender, road, "the collector ended the stream"),
            Happened::Incoming(Some(Ok(message))) => self.message(sender, road, message),
            Happened::Sealed => self.sealed(sender, road),
            Happened::Changed => self.handle(sender, road, Input::Changed),
            Happened::Deadline | Happened::Leave => self.handle(sender, road, Input::Tick),
            Happened::Forget => {
                self.report(self.spool.forget_settled(clock::now()));
                match self.spool.offer_letters_again(clock::now()) {
                    Ok(0) => {}
                    Ok(n) => {
                        facts::letters_offered(n);
                        self.sealed(sender, road);
                    }
                    Err(error) => facts::spool_failed(&error),
                }
            }
        }
    }

    fn sealed(&self, sender: &mut Sender, road: &mut Road) {
        self.handle(sender, road, Input::Sealed { newest: self.newest() });
    }

    /// The spool's last row. If that can't be read, all goes in the order of sealing.
    fn newest(&self) -> RowId {
        self.spool.newest_row().unwrap_or_else(|error| {
            facts::spool_failed(&error);
            0
        })
    }

    fn close(&self, sender: &mut Sender, road: &mut Road, reason: &str) {
        facts::disconnected(&self.name_of(road), reason);
        self.status.set_road(Err(reason.to_owned()));
        *road = Road::Closed;
        self.handle(sender, road, Input::Disconnected { jitter: share() });
    }

    /// Where the road leads that is open, or would be.
    fn name_of(&self, road: &Road) -> String {
        match road {
            Road::Open(connection) => connection.road.clone(),
            Road::Closed | Road::Opening(_) => self.transport.describe(),
        }
    }

    fn message(&self, sender: &mut Sender, road: &mut Road, message: v1::ToAgent) {
        use v1::to_agent::Message;
        match message.message {
            Some(Message::Welcome(welcome)) if welcome.is_damaged() => {
                self.close(sender, road, "a welcome was broken on its way");
            }
            Some(Message::Receipt(receipt)) if receipt.is_damaged() => {
                self.close(sender, road, "a receipt was broken on its way");
            }
            Some(Message::Welcome(welcome)) => {
                let bounds = wire::bounds_from_wire(welcome.bounds);
                (self.sources)(ForSources::Bounds(bounds));
                let input = Input::Welcome {
                    incarnation: welcome.incarnation,
                    streams: wire::answers_from_wire(&self.agent, welcome.streams),
                    frontiers: welcome
                        .frontiers
                        .into_iter()
                        .map(wire::frontier_from_wire)
                        .collect(),
                };
                self.handle(sender, road, input);
            }
            Some(Message::Receipt(receipt)) => {
                let incarnation = receipt.incarnation;
                let Some((key, outcome, reason)) = wire::receipt_from_wire(&self.agent, receipt)
                else {
                    return;
                };
                facts::receipt(&key, &outcome, &reason);
                crash::point("agent.before_receipt_stored");
                self.handle(
                    sender,
                    road,
                    Input::Receipt { incarnation, key, outcome, reason, jitter: share() },
                );
                crash::point("agent.after_receipt_stored");
            }
            Some(Message::Notice(v1::Notice { notice })) => match notice {
                Some(v1::notice::Notice::Reconnect(_)) => {
                    self.handle(sender, road, Input::Reconnect)
                }
                Some(v1::notice::Notice::Bounds(changed)) => {
                    (self.sources)(ForSources::Bounds(wire::bounds_from_wire(changed.bounds)));
                }
                None => {}
            },
            None => {}
        }
    }

    /// Feeds the core and runs its effects, which may feed it again.
    fn handle(&self, sender: &mut Sender, road: &mut Road, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = clock::now();
            for effect in sender.handle(input.clone(), now) {
                match self.run_effect(effect, road, now) {
                    Ok(answer) => inputs.extend(answer),
                    Err(error) => {
                        // The batch stays pending: it is offered again on the next connection.
                        facts::spool_failed(&error);
                        *road = Road::Closed;
                        inputs.push_back(Input::Disconnected { jitter: share() });
                    }
                }
            }
        }
    }

    fn run_effect(
        &self,
        effect: Effect,
        road: &mut Road,
        now: Timestamp,
    ) -> Result<Option<Input>, SpoolError> {
        match effect {
            Effect::Connect => {
                let transport = self.transport.clone();
                *road = Road::Opening(Box::pin(async move { transport.connect().await }));
            }
            Effect::Hangup { reason } => {
                facts::disconnected(&self.name_of(road), reason);
                self.status.set_road(Err(reason.to_owned()));
                *road = Road::Closed;
                return Ok(Some(Input::Disconnected { jitter: share() }));
            }
            Effect::SayHello => {
                let hello = self.hello()?;
                return Ok(send(road, v1::to_collector::Message::Hello(hello)));
            }
            Effect::SendBeat => {
                return Ok(send(road, v1::to_collector::Message::Beat(self.beat(now)?)));
            }
            Effect::SayBye { farewell } => {
                let bye = wire::farewell_to_wire(farewell);
                return Ok(send(road, v1::to_collector::Message::Bye(bye)));
            }
            Effect::Load { lane, rows, limit } => {
                let (offers, complete) = self.spool.pending(lane, rows, limit)?;
                return Ok(Some(Input::Loaded { lane, offers, complete }));
            }
            Effect::Send { row } => return self.send_batch(row, road),
            Effect::Settle { row, key, settled } => {
                facts::settled(&key, &settled);
                self.spool.settle(row, &settled, now)?;
            }
            Effect::Rekey { row, key } => {
                facts::forked(&key);
                if self.spool.rekey(row, entropy(), now)? {
                    (self.sources)(ForSources::EpochChanged);
                }
            }
            Effect::Reoffer { streams } => {
                let n = self.spool.reoffer(&streams)?;
                if n > 0 {
                    facts::reoffered(n);
                }
            }
            Effect::Frontiers { frontiers } => (self.sources)(ForSources::Frontiers(frontiers)),
        }
        Ok(None)
    }

    fn send_batch(&self, row: i64, road: &mut Road) -> Result<Option<Input>, SpoolError> {
        let Some(batch) = self.spool.outgoing(row, clock::now())? else {
            facts::batch_broken(row);
            return Ok(Some(Input::Broken { row }));
        };
        crash::point("agent.before_send");
        let traceparent = wire::traceparent(&batch.key, batch.digest);
        let stream = batch.key.stream;
        let mut message = v1::Batch {
            epoch: Some(wire::epoch_to_wire(stream.epoch)),
            service: stream.service.as_str().to_owned(),
            kind: wire::kind_to_wire(stream.kind).into(),
            seq: batch.key.seq,
            digest: batch.digest.0.to_vec(),
            settled_below: batch.settled_below,
            format: watchkeeper_proto::FORMAT,
            body: batch.body.into(),
            traceparent,
            check: 0,
        };
        message.check = watchkeeper_proto::check(self.agent.as_str(), &message);
        let failed = send(road, v1::to_collector::Message::Batch(message));
        crash::point("agent.after_send");
        Ok(failed)
    }

    fn hello(&self) -> Result<v1::Hello, SpoolError> {
        let hello = v1::Hello {
            agent: self.agent.as_str().to_owned(),
            epoch: Some(wire::epoch_to_wire(self.spool.epoch()?)),
            instance: self.instance,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            held: self.spool.held_epochs()?.into_iter().map(wire::epoch_to_wire).collect(),
            spool_is_new: *self.spool_is_new.borrow(),
            check: 0,
        };
        Ok(hello.checked())
    }

    fn beat(&self, now: Timestamp) -> Result<v1::Beat, SpoolError> {
        let status = self.status.get();
        Ok(v1::Beat {
            epoch: Some(wire::epoch_to_wire(self.spool.epoch()?)),
            instance: self.instance,
            sent_at_ns: now.nanos(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            spool_bytes: self.spool.pending_bytes(),
            spool_max_bytes: self.spool.max_bytes(),
            lag_bytes: status.lag_bytes,
            sources: status
                .sources
                .iter()
                .map(|s| v1::SourceHealth {
                    name: s.name.clone(),
                    kind: s.kind.to_owned(),
                    state: s.state.clone(),
                    service: s.service.clone(),
                })
                .collect(),
        })
    }

    fn report(&self, result: Result<(), SpoolError>) {
        if let Err(error) = result {
            facts::spool_failed(&error);
        }
    }
}

async fn next(road: &mut Road) -> Happened {
    match road {
        Road::Closed => std::future::pending().await,
        Road::Opening(connecting) => Happened::Opened(connecting.await),
        Road::Open(connection) => Happened::Incoming(connection.incoming.recv().await),
    }
}

/// Puts a message on the wire; a queue that is full belongs to a connection that is dead.
fn send(road: &mut Road, message: v1::to_collector::Message) -> Option<Input> {
    let Road::Open(connection) = road else { return None };
    if connection.outgoing.try_send(v1::ToCollector { message: Some(message) }).is_ok() {
        return None;
    }
    *road = Road::Closed;
    Some(Input::Disconnected { jitter: share() })
}
