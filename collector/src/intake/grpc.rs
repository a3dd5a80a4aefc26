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
use watchkeeper_collector_core::engine::Road;
use watchkeeper_daemon::machine;
use watchkeeper_proto::v1;
use watchkeeper_proto::v1::intake_server::{self, IntakeServer};

use super::receive::{Intake, IntakeSettings};
use super::session::{Refusal, Session, changed_bounds, reconnect};

/// Batches are ≤ 768 KiB; tonic's own limit would be 4 MiB for everybody.
const MAX_MESSAGE_BYTES: usize = 2 << 20;
/// How long an agent may take to say hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// Batches of one connection under way at once; beyond it the stream is not read on.
const MAX_UNDER_WAY: usize = 64;
/// How old a connection may get, give or take a tenth.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

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
    // Before the welcome: what changes meanwhile is told after it.
    let mut settings = intake.settings();
    settings.mark_unchanged();
    let (session, welcome) = Session::greet(intake, &hello, Road::Grpc).await.map_err(status_of)?;
    let connection = Connection { session: &session, settings, to_agent };
    connection.say(v1::to_agent::Message::Welcome(welcome)).await;
    let ended = connection.run(stream, drain).await;
    session.end(ended.as_ref().err().map(Status::message)).await;
    ended
}

fn status_of(refusal: Refusal) -> Status {
    match refusal {
        Refusal::Invalid(text) => Status::invalid_argument(text),
        Refusal::Unavailable(text) => Status::unavailable(text),
    }
}

struct Connection<'a> {
    session: &'a Session,
    settings: watch::Receiver<IntakeSettings>,
    to_agent: &'a mpsc::Sender<ToAgent>,
}

impl Connection<'_> {
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
                        Ok(Some(batch)) => under_way.push(self.session.receipt_for(batch).boxed()),
                        Err(status) => break Err(status),
                    },
                },
                Some(receipt) = under_way.next() => self.say(v1::to_agent::Message::Receipt(receipt)).await,
                () = &mut age => { self.say(reconnect("this connection has reached its age")).await; break Ok(()); }
                () = drain.cancelled() => { self.say(reconnect("the collector is stopping")).await; break Ok(()); }
                Ok(()) = settings.changed() => {
                    let bounds = changed_bounds(&settings.borrow_and_update());
                    self.say(bounds).await;
                }
            }
        };
        // What is under way is on its way to disk: its receipts are still owed, and if nobody is there to take them, the
        // engine has still to be told what was counted.
        while let Some(receipt) = under_way.next().await {
            self.say(v1::to_agent::Message::Receipt(receipt)).await;
        }
        ended
    }

    /// Takes in one message; a batch comes back.
    async fn take(&self, message: v1::ToCollector) -> Result<Option<v1::Batch>, Status> {
        use v1::to_collector::Message;
        match message.message {
            Some(Message::Batch(batch)) => return Ok(Some(batch)),
            Some(Message::Beat(beat)) => self.session.beat(beat).await,
            Some(Message::Bye(bye)) => self.session.bye(bye).await,
            Some(Message::Hello(_)) => {
                return Err(Status::invalid_argument("a second hello in one stream"));
            }
            None => {}
        }
        Ok(None)
    }
}
