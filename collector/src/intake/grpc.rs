//! The gRPC road: one stream per agent, many batches of it under way.
//!
//! Owns the life of a connection: hello within its deadline, batches as futures of their own, beats, bye, and an end at
//! its age, so that agents spread again after a restart. Never decides about a batch.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use watchkeeper_collector_core::engine::{Beat, ByeReason, Hello, Input, SourceHealth};
use watchkeeper_daemon::{clock, machine};
use watchkeeper_model::{AgentId, Timestamp};
use watchkeeper_proto::v1;
use watchkeeper_proto::v1::intake_server::{self, IntakeServer};

use super::receive::{Intake, IntakeSettings, Reply, wanted_bounds};
use crate::{facts, wire};

/// Batches are ≤ 768 KiB; tonic's own limit would be 4 MiB for everybody.
const MAX_MESSAGE_BYTES: usize = 2 << 20;
/// How long an agent may take to say hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// Batches of one connection under way at once; beyond it the stream is not read on.
const MAX_UNDER_WAY: usize = 64;
/// How old a connection may get, give or take a tenth.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);
/// The longest agent id.
const MAX_ID_BYTES: usize = 253;

/// The service, ready to be laid on a listener; connections end when `drain` is cancelled.
pub fn service(intake: Arc<Intake>, drain: CancellationToken) -> IntakeServer<GrpcIntake> {
    IntakeServer::new(GrpcIntake { intake, drain }).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service's implementation.
#[derive(Clone)]
pub struct GrpcIntake {
    intake: Arc<Intake>,
    drain: CancellationToken,
}

type ToAgent = Result<v1::ToAgent, Status>;

#[tonic::async_trait]
impl intake_server::Intake for GrpcIntake {
    type DeliverStream = Pin<Box<dyn Stream<Item = ToAgent> + Send>>;

    async fn deliver(
        &self,
        request: Request<Streaming<v1::ToCollector>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let (to_agent, answers) = mpsc::channel(MAX_UNDER_WAY);
        let (intake, drain) = (self.intake.clone(), self.drain.clone());
        let stream = request.into_inner();
        tokio::spawn(async move {
            if let Err(status) = serve(&intake, stream, &to_agent, drain).await {
                // The agent may be gone: then nobody needs the reason.
                let _ = to_agent.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

async fn serve(
    intake: &Arc<Intake>,
    mut stream: Streaming<v1::ToCollector>,
    to_agent: &mpsc::Sender<ToAgent>,
    drain: CancellationToken,
) -> Result<(), Status> {
    let hello = tokio::time::timeout(HELLO_DEADLINE, stream.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello within 10 s"))??;
    let Some(v1::to_collector::Message::Hello(hello)) = hello.and_then(|m| m.message) else {
        return Err(Status::invalid_argument("the first message of a stream must be a hello"));
    };
    let connection = Connection::greet(intake, &hello, to_agent).await?;
    let ended = connection.run(stream, drain).await;
    facts::agent_gone(&connection.agent, &ended);
    intake.hub().send(Input::Disconnected { agent: connection.agent.clone() }).await;
    ended
}

struct Connection<'a> {
    intake: &'a Arc<Intake>,
    agent: AgentId,
    settings: watch::Receiver<IntakeSettings>,
    to_agent: &'a mpsc::Sender<ToAgent>,
}

impl<'a> Connection<'a> {
    async fn greet(
        intake: &'a Arc<Intake>,
        hello: &v1::Hello,
        to_agent: &'a mpsc::Sender<ToAgent>,
    ) -> Result<Self, Status> {
        let fits = (1..=MAX_ID_BYTES).contains(&hello.agent.len())
            && hello.agent.chars().all(|c| c.is_ascii_graphic());
        if !fits {
            return Err(Status::invalid_argument(
                "an agent's id has 1 to 253 printable characters, no spaces",
            ));
        }
        let epoch = wire::epoch_from_wire(hello.epoch.as_ref())
            .ok_or_else(|| Status::invalid_argument("a hello names its epoch"))?;
        let agent = AgentId::new(&hello.agent);
        let settings = intake.settings();
        let welcome =
            intake.hello(&agent, hello).await.map_err(|e| Status::unavailable(e.to_string()))?;
        facts::agent_connected(&agent, &hello.version);
        let (instance, version) = (hello.instance, hello.version.chars().take(64).collect());
        intake
            .hub()
            .send(Input::Hello(Hello { agent: agent.clone(), epoch, instance, version }))
            .await;
        let connection = Self { intake, agent, settings, to_agent };
        connection.say(v1::to_agent::Message::Welcome(welcome)).await;
        Ok(connection)
    }

    async fn say(&self, message: v1::to_agent::Message) {
        // An agent that is gone is noticed when its stream ends.
        let _ = self.to_agent.send(Ok(v1::ToAgent { message: Some(message) })).await;
    }

    async fn run(
        &self,
        mut stream: Streaming<v1::ToCollector>,
        drain: CancellationToken,
    ) -> Result<(), Status> {
        let mut settings = self.settings.clone();
        settings.mark_unchanged();
        let mut under_way: FuturesUnordered<BoxFuture<'_, v1::Receipt>> = FuturesUnordered::new();
        let age = tokio::time::sleep(MAX_AGE.mul_f64(0.9 + 0.2 * machine::share()));
        tokio::pin!(age);
        let ended = loop {
            tokio::select! {
                message = stream.message(), if under_way.len() < MAX_UNDER_WAY => match message {
                    Ok(None) => break Ok(()),
                    Err(status) => break Err(status),
                    Ok(Some(message)) => match self.take(message).await {
                        Ok(None) => {}
                        Ok(Some(batch)) => under_way.push(self.receipt_for(batch).boxed()),
                        Err(status) => break Err(status),
                    },
                },
                Some(receipt) = under_way.next() => self.say(v1::to_agent::Message::Receipt(receipt)).await,
                () = &mut age => { self.ask_to_reconnect("this connection has reached its age").await; break Ok(()); }
                () = drain.cancelled() => { self.ask_to_reconnect("the collector is stopping").await; break Ok(()); }
                Ok(()) = settings.changed() => self.tell_bounds(&settings).await,
            }
        };
        // What is under way is on its way to disk: its receipts are still owed, and if nobody is there to take them, the
        // engine has still to be told what was counted.
        while let Some(receipt) = under_way.next().await {
            self.say(v1::to_agent::Message::Receipt(receipt)).await;
        }
        ended
    }

    async fn receipt_for(&self, batch: v1::Batch) -> v1::Receipt {
        let mut receipt = v1::Receipt {
            epoch: batch.epoch,
            service: batch.service.clone(),
            kind: batch.kind,
            seq: batch.seq,
            incarnation: self.intake.incarnation(),
            ..v1::Receipt::default()
        };
        let Reply { outcome, reason } = self.intake.batch(&self.agent, batch).await;
        watchkeeper_daemon::crash::point("collector.before_receipt");
        receipt.outcome = outcome.into();
        receipt.reason = reason;
        receipt
    }

    /// Takes in one message; a batch comes back.
    async fn take(&self, message: v1::ToCollector) -> Result<Option<v1::Batch>, Status> {
        use v1::to_collector::Message;
        match message.message {
            Some(Message::Batch(batch)) => return Ok(Some(batch)),
            Some(Message::Beat(beat)) => self.beat(beat).await,
            Some(Message::Bye(bye)) => {
                let reason = bye_reason(bye.reason);
                self.intake.hub().send(Input::Bye { agent: self.agent.clone(), reason }).await;
            }
            Some(Message::Hello(_)) => {
                return Err(Status::invalid_argument("a second hello in one stream"));
            }
            None => {}
        }
        Ok(None)
    }

    async fn beat(&self, beat: v1::Beat) {
        let Some(epoch) = wire::epoch_from_wire(beat.epoch.as_ref()) else { return };
        let skew_ns = beat.sent_at_ns.saturating_sub(clock::now().nanos());
        self.intake.note_skew(&self.agent, skew_ns);
        let sources = beat.sources.into_iter().take(1000);
        let beat = Beat {
            agent: self.agent.clone(),
            epoch,
            instance: beat.instance,
            sent_at: Timestamp(beat.sent_at_ns),
            version: beat.version,
            spool_bytes: beat.spool_bytes,
            spool_max_bytes: beat.spool_max_bytes,
            lag_bytes: beat.lag_bytes,
            sources: sources
                .map(|s| SourceHealth {
                    name: s.name,
                    kind: s.kind,
                    state: s.state,
                    service: s.service,
                })
                .collect(),
        };
        self.intake.hub().send(Input::Beat(Box::new(beat))).await;
    }

    async fn tell_bounds(&self, settings: &watch::Receiver<IntakeSettings>) {
        let bounds = wanted_bounds(&settings.borrow());
        let notice = v1::notice::Notice::Bounds(v1::BoundsChanged { bounds });
        self.say(v1::to_agent::Message::Notice(v1::Notice { notice: Some(notice) })).await;
    }

    async fn ask_to_reconnect(&self, reason: &str) {
        let notice = v1::notice::Notice::Reconnect(v1::Reconnect { reason: reason.to_owned() });
        self.say(v1::to_agent::Message::Notice(v1::Notice { notice: Some(notice) })).await;
    }
}

fn bye_reason(reason: i32) -> ByeReason {
    match v1::bye::Reason::try_from(reason) {
        Ok(v1::bye::Reason::Upgrade) => ByeReason::Upgrade,
        Ok(v1::bye::Reason::Sleep) => ByeReason::Sleep,
        Ok(v1::bye::Reason::Shutdown) => ByeReason::Shutdown,
        _ => ByeReason::Stop,
    }
}
