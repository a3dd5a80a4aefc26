//! The open RabbitMQ road: messages out, answers in, until one of them fails.
//!
//! Owns publishing and everything the broker says about it. A message that is returned, refused or not confirmed in time
//! ends the road: which of several messages it was can't be told for sure, and the spool offers all of them again.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use watchkeeper_amqp::lapin::message::Delivery;
use watchkeeper_amqp::lapin::options::BasicPublishOptions;
use watchkeeper_amqp::lapin::{
    self, BasicProperties, Channel, Confirmation, Connection, Consumer, Event,
};
use watchkeeper_amqp::{BrokerError, Cause, MessageKind, Names, properties, read_kind, read_text};
use watchkeeper_model::AgentId;
use watchkeeper_proto::v1;
use watchkeeper_proto::v1::to_collector::Message;

use crate::transports::TransportError;
use crate::transports::parting::Parting;

/// How long the broker may take to say that it has a message. Below the time that a receipt may take.
const CONFIRM_DEADLINE: Duration = Duration::from_secs(20);
/// How long a broker may block publishers before the spool is the better place to wait.
const BLOCKED_DEADLINE: Duration = Duration::from_secs(10);
/// Messages without the broker's word; beyond it no more are taken, and what waits for the wire is bounded too.
const MAX_UNCONFIRMED: usize = 128;
/// A message never outgrows this; answers name every stream of the epochs held.
const MAX_ANSWER_BYTES: usize = 4 << 20;

type ToAgent = mpsc::Sender<Result<v1::ToAgent, TransportError>>;

/// One open road.
pub(super) struct Carrier {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
    pub(super) names: Names,
    pub(super) agent: AgentId,
    pub(super) reply_to: String,
    pub(super) road: String,
}

impl Carrier {
    /// Carries until the agent hangs up or something fails; the failure is the last that the agent hears.
    pub(super) async fn run(
        self,
        from_agent: mpsc::Receiver<v1::ToCollector>,
        answers: Consumer,
        to_agent: ToAgent,
    ) {
        match self.carry(from_agent, answers, &to_agent).await {
            Ok(()) => {
                // So that what was published last is not cut off; a broker that is stuck is left to itself.
                let close = self.connection.close(200, "the agent hung up".into());
                let _ = tokio::time::timeout(Duration::from_secs(1), close).await;
            }
            Err(BrokerError { message, is_permanent, .. }) => {
                let error = TransportError { road: self.road, message, is_permanent };
                // The agent has hung up if nobody listens.
                let _ = to_agent.send(Err(error)).await;
            }
        }
    }

    async fn carry(
        &self,
        mut from_agent: mpsc::Receiver<v1::ToCollector>,
        mut answers: Consumer,
        to_agent: &ToAgent,
    ) -> Result<(), BrokerError> {
        let in_use = |error| BrokerError::in_use(&self.names, &error);
        let mut events = Box::pin(self.connection.events_listener());
        let mut unconfirmed = FuturesUnordered::new();
        let mut blocked: Option<(Instant, String)> = None;
        let mut parting = Parting::default();
        let mut has_hung_up = false;
        loop {
            if has_hung_up && unconfirmed.is_empty() {
                return Ok(());
            }
            let blocked_until = blocked.as_ref().map(|(since, _)| *since + BLOCKED_DEADLINE);
            tokio::select! {
                message = from_agent.recv(), if !has_hung_up && unconfirmed.len() < MAX_UNCONFIRMED => match message {
                    None => has_hung_up = true,
                    // It says what time it is, and would arrive late.
                    Some(message) if blocked.is_some() && is_beat(&message) => {}
                    Some(message) => if let Some(publish) = self.publish(message) {
                        unconfirmed.push(publish.boxed());
                    },
                },
                Some(confirmed) = unconfirmed.next() => self.judge(confirmed, &blocked)?,
                answer = answers.next() => {
                    let answer = self.answer(answer)?;
                    parting.take(&answer);
                    // An agent that has hung up is noticed below.
                    let _ = to_agent.send(Ok(answer)).await;
                }
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => blocked = Some((Instant::now(), reason)),
                    Some(Event::ConnectionUnblocked) => blocked = None,
                    Some(Event::Error(error)) => return Err(in_use(error)),
                    Some(_) => {}
                    None => return Err(BrokerError::passing("the broker's connection ended")),
                },
                () = until(blocked_until) => return Err(stuck(&blocked)),
                () = to_agent.closed(), if !has_hung_up => has_hung_up = true,
                () = parting.over() => return Ok(()),
            }
        }
    }

    /// Publishes a message and waits for the broker's word on it.
    fn publish(
        &self,
        message: v1::ToCollector,
    ) -> Option<impl Future<Output = Result<Confirmation, Failed>> + Send + use<>> {
        let (kind, key, batch) = match message.message.as_ref()? {
            Message::Hello(_) => (MessageKind::Hello, Names::CONTROL, None),
            Message::Beat(_) => (MessageKind::Beat, Names::CONTROL, None),
            Message::Bye(_) => (MessageKind::Bye, Names::CONTROL, None),
            Message::Batch(batch) => (MessageKind::Batch, key_of(batch), Some(batch)),
        };
        let properties = self.properties(kind, batch);
        let (channel, exchange) = (self.channel.clone(), self.names.exchange().into());
        let body = message.encode_to_vec();
        Some(async move {
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let published = async {
                channel.basic_publish(exchange, key.into(), options, &body, properties).await?.await
            };
            match tokio::time::timeout(CONFIRM_DEADLINE, published).await {
                Ok(confirmed) => confirmed.map_err(Failed::Broken),
                Err(_) => Err(Failed::Late),
            }
        })
    }

    fn properties(&self, kind: MessageKind, batch: Option<&v1::Batch>) -> BasicProperties {
        let mut headers = vec![("agent", self.agent.as_str())];
        headers.extend(batch.map(|batch| ("traceparent", batch.traceparent.as_str())));
        let properties = properties(kind, &headers).with_reply_to(self.reply_to.as_str().into());
        match batch {
            Some(batch) => properties.with_message_id(id_of(batch).as_str().into()),
            None => properties,
        }
    }

    /// What the broker's word on one message means for the road.
    fn judge(
        &self,
        confirmed: Result<Confirmation, Failed>,
        blocked: &Option<(Instant, String)>,
    ) -> Result<(), BrokerError> {
        match confirmed {
            Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => Ok(()),
            Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
                Err(self.returned(&returned.delivery))
            }
            Ok(Confirmation::Nack(None)) => Err(BrokerError::passing(format!(
                "the broker refuses batches: queue {:?} or {:?} is full, or has lost most of its copies",
                self.names.windows(),
                self.names.events()
            ))),
            Err(Failed::Broken(error)) => Err(BrokerError::in_use(&self.names, &error)),
            Err(Failed::Late) => Err(stuck(blocked)),
        }
    }

    fn returned(&self, delivery: &Delivery) -> BrokerError {
        match delivery.routing_key.as_str() {
            Names::CONTROL => BrokerError::passing("no collector listens at the broker any more"),
            key => BrokerError::passing(format!(
                "queue {:?} is not bound to exchange {:?}: a collector with `intake.amqp` makes it when it starts",
                format!("{}.{key}", self.names.prefix()),
                self.names.exchange(),
            )),
        }
    }

    fn answer(&self, answer: Option<lapin::Result<Delivery>>) -> Result<v1::ToAgent, BrokerError> {
        let delivery = match answer {
            Some(Ok(delivery)) => delivery,
            Some(Err(error)) => return Err(BrokerError::in_use(&self.names, &error)),
            None => return Err(BrokerError::passing("the broker ended the queue of answers")),
        };
        let odd = |text: String| BrokerError::passing(format!("an answer that is none: {text}"));
        let n_bytes = delivery.data.len();
        // The size that is read for is a batch's, and a welcome may be larger.
        let kind =
            read_kind(&delivery.properties, n_bytes.min(1)).map_err(|e| odd(e.to_string()))?;
        match kind {
            MessageKind::Refusal => {
                let text = String::from_utf8_lossy(&delivery.data);
                let is_permanent =
                    read_text(&delivery.properties, "lasting").as_deref() == Some("true");
                let message = text.chars().take(500).collect();
                Err(BrokerError { message, is_permanent, cause: Cause::Other })
            }
            MessageKind::Answer if n_bytes <= MAX_ANSWER_BYTES => {
                v1::ToAgent::decode(&*delivery.data).map_err(|e| odd(e.to_string()))
            }
            _ => Err(odd(format!("{}, {n_bytes} bytes", kind.as_str()))),
        }
    }
}

fn is_beat(message: &v1::ToCollector) -> bool {
    matches!(message.message, Some(Message::Beat(_)))
}

/// Why there is no word of the broker.
enum Failed {
    Broken(lapin::Error),
    Late,
}

fn key_of(batch: &v1::Batch) -> &'static str {
    match batch.kind() {
        v1::Kind::Events => Names::EVENTS,
        _ => Names::WINDOWS,
    }
}

/// For people who look into a queue: names are at most 255 bytes there.
fn id_of(batch: &v1::Batch) -> String {
    let epoch = batch.epoch.unwrap_or_default();
    let service: String = batch.service.chars().take(40).collect();
    format!("{:016x}-{service}-{}-{}", epoch.random, key_of(batch), batch.seq)
}

fn stuck(blocked: &Option<(Instant, String)>) -> BrokerError {
    let why = blocked.as_ref().map_or(String::new(), |(_, reason)| format!(": {reason}"));
    BrokerError::passing(format!("the broker takes in nothing at present{why}"))
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
