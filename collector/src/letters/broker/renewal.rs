//! Keeps looking from wearing letters out.
//!
//! Owns copies: a quorum queue counts how often a message came back, and throws it away beyond a limit: RabbitMQ 4 has one of 20
//! where nobody says otherwise, and policies may set one. A dead letter has nowhere else to go. So one that came back a few
//! times is published anew, where its count begins at 0, and only when the broker holds the copy the old one is acknowledged.
//! If that ends in between there are two, which are one letter.

use std::time::Duration;

use tokio::time::Instant;
use watchkeeper_amqp::lapin::message::Delivery;
use watchkeeper_amqp::lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use watchkeeper_amqp::lapin::types::FieldTable;
use watchkeeper_amqp::lapin::{BasicProperties, Channel, Confirmation, Connection, Error};
use watchkeeper_amqp::{Broker, BrokerError, Names};

/// How long the broker may take to take in a message; below what connecting and asking may take together.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long all of them may take: others wait meanwhile. The rest has its turn after the next look.
const DEADLINE_OF_ALL: Duration = Duration::from_secs(10);
/// What the broker adds by itself, or what would lead a copy elsewhere too.
const LEFT_OUT: [&str; 3] = ["x-delivery-count", "CC", "BCC"];

/// A connection that publishes. Never the one that holds letters: the broker blocks it during an alarm.
pub(super) struct Renewal {
    connection: Connection,
    channel: Channel,
    names: Names,
}

impl Renewal {
    /// Connects.
    pub(super) async fn open(broker: &Broker) -> Result<Self, BrokerError> {
        let names = broker.names().clone();
        let in_use = |error: Error| BrokerError::in_use(&names, &error);
        let opened = broker.connect("watchkeeper-collector, dead letters anew").await?;
        let channel = opened.connection.create_channel().await.map_err(in_use)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(in_use)?;
        Ok(Self { connection: opened.connection, channel, names })
    }

    /// Whether the broker takes in messages at all: those that go nowhere are confirmed at once.
    pub(super) async fn probe(self) -> Result<(), BrokerError> {
        let nowhere = format!("{}.nowhere", self.names.dead());
        // The first one of a connection may pass: it is what makes the broker block it.
        for _ in 0..2 {
            let options = BasicPublishOptions::default();
            self.publish(&nowhere, options, &[], BasicProperties::default()).await?;
        }
        self.close().await;
        Ok(())
    }

    /// Publishes copies of these; the broker holds those of the first so many.
    pub(super) async fn copy(self, letters: impl Iterator<Item = &Delivery>) -> usize {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let queue = self.names.dead();
        let began = Instant::now();
        let mut n_copied = 0;
        for letter in letters {
            if began.elapsed() > DEADLINE_OF_ALL {
                break;
            }
            let properties = anew(&letter.properties);
            match self.publish(&queue, options, &letter.data, properties).await {
                Ok(true) => n_copied += 1,
                // A connection that is blocked would not even hear a good-bye.
                Ok(false) | Err(_) => return n_copied,
            }
        }
        self.close().await;
        n_copied
    }

    async fn close(self) {
        let closing = self.connection.close(200, "published".into());
        let _ = tokio::time::timeout(DEADLINE, closing).await;
    }

    /// Publishes to a queue; whether the broker took it.
    async fn publish(
        &self,
        queue: &str,
        options: BasicPublishOptions,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<bool, BrokerError> {
        let published = async {
            self.channel
                .basic_publish("".into(), queue.into(), options, body, properties)
                .await?
                .await
        };
        match tokio::time::timeout(DEADLINE, published).await {
            Ok(Ok(confirmed)) => Ok(matches!(confirmed, Confirmation::Ack(None))),
            Ok(Err(error)) => Err(BrokerError::in_use(&self.names, &error)),
            Err(_) => Err(BrokerError::passing(
                "the broker takes in nothing at present: its memory or disk alarm may be on",
            )),
        }
    }
}

/// What a message came with. Without what the broker would hold against who publishes it now (a user's name), obey (where
/// to answer, when to expire) or has obeyed.
fn anew(theirs: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in theirs.headers().iter().flat_map(|headers| headers.inner()) {
        if !LEFT_OUT.contains(&name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    let mut ours = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    if let Some(text) = theirs.content_type().clone() {
        ours = ours.with_content_type(text);
    }
    if let Some(text) = theirs.content_encoding().clone() {
        ours = ours.with_content_encoding(text);
    }
    if let Some(text) = theirs.correlation_id().clone() {
        ours = ours.with_correlation_id(text);
    }
    if let Some(text) = theirs.message_id().clone() {
        ours = ours.with_message_id(text);
    }
    if let Some(at) = *theirs.timestamp() {
        ours = ours.with_timestamp(at);
    }
    if let Some(text) = theirs.kind().clone() {
        ours = ours.with_type(text);
    }
    if let Some(text) = theirs.app_id().clone() {
        ours = ours.with_app_id(text);
    }
    ours
}

#[cfg(test)]
mod tests {
    use watchkeeper_amqp::lapin::types::AMQPValue;

    use super::*;

    #[test]
    fn a_copy_says_what_its_original_said_and_nothing_that_the_broker_would_obey() {
        let mut headers = FieldTable::default();
        for name in ["agent", "x-death", "x-delivery-count", "CC"] {
            headers.insert(name.into(), AMQPValue::LongLongInt(7));
        }
        let original = BasicProperties::default()
            .with_content_type("a/b".into())
            .with_type("batch".into())
            .with_message_id("m".into())
            .with_user_id("somebody".into())
            .with_reply_to("amq.rabbitmq.reply-to".into())
            .with_expiration("1".into())
            .with_delivery_mode(1)
            .with_headers(headers);
        let copy = anew(&original);
        let names = copy.headers().clone().unwrap();
        let names: Vec<&str> = names.inner().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["agent", "x-death"]);
        assert_eq!(copy.message_id(), original.message_id());
        assert_eq!((copy.content_type(), copy.kind()), (original.content_type(), original.kind()));
        assert_eq!(*copy.delivery_mode(), Some(2));
        assert!(copy.user_id().is_none() && copy.reply_to().is_none());
        assert!(copy.expiration().is_none());
    }
}
