//! Who asks a broker.
//!
//! Owns the order: find the host, connect and log in, look at the queue, send a message through a queue of its own and fetch
//! it. Nothing is made that outlives the attempt, and no message is taken from the queue that is looked at. Each attempt has a
//! connection of its own.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use watchkeeper_agent_core::probe::{Failure, Reason, Said, Seen};
use watchkeeper_amqp::lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use watchkeeper_amqp::lapin::types::FieldTable;
use watchkeeper_amqp::lapin::{BasicProperties, Channel, Confirmation};
use watchkeeper_amqp::{Broker, BrokerSettings, Names};

use super::config::AmqpProbe;
use super::refusal::{of_asking, of_connecting};
use crate::sources::probe::kinds::kind::{Asking, Prober};
use crate::sources::probe::net::{HostPort, find};

/// What is sent through the broker.
const MESSAGE: &[u8] = b"watchkeeper";

/// How long to wait before a message that has not come yet is looked for again.
const AGAIN: Duration = Duration::from_millis(5);

/// How long a broker has to say goodbye.
const GOODBYE: Duration = Duration::from_millis(250);

/// Asks a broker.
pub(super) struct AmqpProber {
    probe: AmqpProbe,
    /// Made when it is needed first.
    broker: Option<Broker>,
}

impl AmqpProber {
    /// One who asks this.
    pub(super) fn new(probe: AmqpProbe) -> Self {
        Self { probe, broker: None }
    }

    async fn attempt(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let address = &self.probe.address;
        let target = HostPort { host: address.host().to_owned(), port: address.port() };
        find(&target, None, seen).await?;
        let whom = self.probe.address.shown();
        seen.waits_for = "a connection and its answer to user and password";
        let begun = Instant::now();
        let opened = self.broker()?.connect("watchkeeper probe").await;
        let connection = opened.map_err(|error| of_connecting(&whom, &error))?.connection;
        seen.passed("connect", begun.elapsed());
        seen.waits_for = "a channel";
        // It lives until the goodbye: while a channel closes by itself, lapin can't close its connection.
        let channel = connection.create_channel().await;
        let asked = match &channel {
            Ok(channel) => self.ask_all(channel, &whom, seen).await,
            Err(error) => Err(of_asking(&whom, error)),
        };
        // What was asked is known, whether or not the broker says goodbye.
        let _ = timeout(GOODBYE, connection.close(200, "asked".into())).await;
        asked
    }

    fn broker(&mut self) -> Result<&Broker, Failure> {
        if self.broker.is_none() {
            let settings = BrokerSettings {
                addresses: vec![self.probe.address.clone()],
                tls: self.probe.tls.clone(),
                names: Names::default(),
            };
            let made = Broker::build(&settings).map_err(|why| Failure::new(Reason::Unable, why))?;
            self.broker = Some(made);
        }
        Ok(self.broker.as_ref().expect("it was made just now"))
    }

    async fn ask_all(&self, channel: &Channel, whom: &str, seen: &mut Seen) -> Result<(), Failure> {
        let begun = Instant::now();
        let failed = |error| of_asking(whom, &error);
        if let Some(name) = &self.probe.queue {
            seen.waits_for = "what it says of the queue";
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let queue = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
            let queue = queue.await.map_err(failed)?;
            seen.say("messages", Said::Int(queue.message_count().into()));
            seen.say("consumers", Said::Int(queue.consumer_count().into()));
            seen.passed("queue", begun.elapsed());
        }
        if self.probe.round_trip {
            let took = round_trip(channel, whom, seen).await?;
            seen.say("round_trip", Said::Span(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX)));
            seen.passed("round_trip", took);
        }
        Ok(())
    }
}

/// How long a message takes from here to here.
async fn round_trip(channel: &Channel, whom: &str, seen: &mut Seen) -> Result<Duration, Failure> {
    let failed = |error| of_asking(whom, &error);
    seen.waits_for = "a queue of its own";
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel.queue_declare("".into(), options, FieldTable::default());
    let queue = queue.await.map_err(failed)?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
    seen.waits_for = "its word that it has a message";
    let begun = Instant::now();
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default();
    let published =
        channel.basic_publish("".into(), queue.name().clone(), options, MESSAGE, properties);
    let word = published.await.map_err(failed)?.await.map_err(failed)?;
    if !matches!(word, Confirmation::Ack(None)) {
        let what = format!("{whom} does not take in a message");
        return Err(Failure::new(Reason::Status, what));
    }
    seen.waits_for = "the message it has taken in";
    loop {
        let options = BasicGetOptions { no_ack: true };
        let came = channel.basic_get(queue.name().clone(), options).await.map_err(failed)?;
        match came {
            Some(message) if message.delivery.data == MESSAGE => return Ok(begun.elapsed()),
            Some(_) => {
                let what = format!("{whom} gives out another message than it took in");
                return Err(Failure::new(Reason::Protocol, what));
            }
            None => sleep(AGAIN).await,
        }
    }
}

impl Prober for AmqpProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.attempt(seen))
    }
}
