//! Opening the RabbitMQ road.
//!
//! Owns the order: a broker that answers, a queue for answers, a collector that listens. Never retries: the core decides
//! when to connect again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use watchkeeper_amqp::lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use watchkeeper_amqp::lapin::types::FieldTable;
use watchkeeper_amqp::lapin::{Channel, Confirmation};
use watchkeeper_amqp::{
    Broker, BrokerError, BrokerSettings, MessageKind, Names, Opened, properties,
};
use watchkeeper_daemon::machine::entropy;
use watchkeeper_model::AgentId;

use super::road::Carrier;
use crate::transports::{Connection, OUTGOING, RoadKind, Transport, TransportError};

/// How long the broker may take to say that it took a first message. With an alarm on it takes none.
const PING_DEADLINE: Duration = Duration::from_secs(4);

/// The road.
pub struct AmqpTransport {
    broker: Arc<Broker>,
    agent: AgentId,
}

impl AmqpTransport {
    /// Checks the settings and prepares the road.
    ///
    /// # Errors
    /// In words, if a certificate or key is unusable.
    pub fn build(settings: &BrokerSettings, agent: AgentId) -> Result<Self, String> {
        Ok(Self { broker: Arc::new(Broker::build(settings)?), agent })
    }

    async fn open(&self) -> Result<Connection, TransportError> {
        let opened = self.broker.connect(&format!("watchkeeper-agent {}", self.agent)).await;
        let Opened { connection, address } =
            opened.map_err(|error| self.error("collector by RabbitMQ".to_owned(), error))?;
        let road = format!("collector by RabbitMQ at {address}");
        let set_up = async {
            let names = self.broker.names();
            let in_use = |error| BrokerError::in_use(names, &error);
            let channel = connection.create_channel().await.map_err(in_use)?;
            channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(in_use)?;
            let reply_to = names.reply(entropy());
            let options =
                QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
            let none = FieldTable::default;
            let queue = || reply_to.as_str().into();
            channel.queue_declare(queue(), options, none()).await.map_err(in_use)?;
            let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
            let answers = channel.basic_consume(queue(), "".into(), options, none()).await;
            let answers = answers.map_err(in_use)?;
            ping(&channel, names).await?;
            Ok((channel, answers, reply_to))
        };
        let set_up: Result<_, BrokerError> = set_up.await;
        let (channel, answers, reply_to) = set_up.map_err(|e| self.error(road.clone(), e))?;
        let (outgoing, from_agent) = mpsc::channel(OUTGOING);
        let (to_agent, incoming) = mpsc::channel(OUTGOING);
        let carrier = Carrier {
            connection,
            channel,
            names: self.broker.names().clone(),
            agent: self.agent.clone(),
            reply_to,
            road: road.clone(),
        };
        tokio::spawn(carrier.run(from_agent, answers, to_agent));
        Ok(Connection { outgoing, incoming, road, kind: RoadKind::Amqp })
    }

    fn error(&self, road: String, error: BrokerError) -> TransportError {
        TransportError { road, message: error.message, is_permanent: error.is_permanent }
    }
}

/// Asks whether a collector listens: a queue of it is there exactly as long as one does.
async fn ping(channel: &Channel, names: &Names) -> Result<(), BrokerError> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let (exchange, key) = (names.exchange().into(), Names::CONTROL.into());
    let properties = properties(MessageKind::Ping, &[]);
    let confirmed =
        async { channel.basic_publish(exchange, key, options, &[], properties).await?.await };
    match tokio::time::timeout(PING_DEADLINE, confirmed).await {
        Ok(Ok(Confirmation::Ack(None))) => Ok(()),
        Ok(Ok(_)) => Err(BrokerError::passing("the broker works, and no collector listens there")),
        Ok(Err(error)) => Err(BrokerError::in_use(names, &error)),
        Err(_) => Err(BrokerError::passing(
            "the broker takes in nothing at present: its memory or disk alarm may be on",
        )),
    }
}

impl Transport for AmqpTransport {
    fn describe(&self) -> String {
        format!("collector by RabbitMQ at {}", self.broker.shown())
    }

    fn connect(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, TransportError>> + Send + '_>> {
        Box::pin(self.open())
    }
}
