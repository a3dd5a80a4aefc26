//! Messages that can't be used: moved to the queue of dead letters with the reason.
//!
//! Owns the moving: the broker has said that it holds the copy before the message is acknowledged. Of a message that is
//! too large only its beginning is kept, so that a flood of them does not push out everything else.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use watchkeeper_amqp::lapin::message::Delivery;
use watchkeeper_amqp::lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use watchkeeper_amqp::lapin::types::{AMQPValue, FieldTable, LongString};
use watchkeeper_amqp::lapin::{BasicProperties, Channel, Confirmation, Connection};
use watchkeeper_amqp::{BrokerError, MAX_BODY_BYTES, Names};
use watchkeeper_daemon::clock;
use watchkeeper_model::Digest;

use super::facts;

/// What is kept of a body that is too large.
const KEPT_BYTES: usize = 4 << 10;
/// A burst is told of once in so long.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// What a message of others may bring with it.
const MAX_HEADERS: usize = 64;

/// Why it is parked.
pub(crate) const REASON: &str = "x-watchkeeper-reason";
/// Where it came from.
pub(crate) const QUEUE: &str = "x-watchkeeper-queue";
/// Of the whole body, also where only its beginning is kept.
pub(crate) const DIGEST: &str = "x-watchkeeper-digest";
/// Of the whole body.
pub(crate) const BYTES: &str = "x-watchkeeper-bytes";
/// Since when, in ms since 1970.
pub(crate) const AT_MS: &str = "x-watchkeeper-at";

/// The way to the queue of dead letters.
pub(super) struct Parking {
    /// One at a time: what the broker says of one must not be taken for another's.
    channel: tokio::sync::Mutex<Channel>,
    names: Names,
    told: Mutex<(Option<Instant>, u64)>,
    has_news: AtomicBool,
}

impl Parking {
    /// A channel of its own.
    pub(super) async fn open(connection: &Connection, names: &Names) -> Result<Self, BrokerError> {
        let in_use = |error| BrokerError::in_use(names, &error);
        let channel = connection.create_channel().await.map_err(in_use)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(in_use)?;
        Ok(Self {
            channel: tokio::sync::Mutex::new(channel),
            names: names.clone(),
            told: Mutex::default(),
            has_news: AtomicBool::new(true),
        })
    }

    /// Parks a message; it may be acknowledged afterwards.
    pub(super) async fn park(&self, delivery: &Delivery, reason: &str) -> Result<(), BrokerError> {
        let body = &delivery.data;
        let kept = if body.len() > MAX_BODY_BYTES { &body[..KEPT_BYTES] } else { &body[..] };
        let properties = properties(delivery, reason);
        let (exchange, key) = (self.names.dead().as_str().into(), delivery.routing_key.clone());
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let channel = self.channel.lock().await;
        let confirmed =
            async { channel.basic_publish(exchange, key, options, kept, properties).await?.await };
        match confirmed.await {
            Ok(Confirmation::Ack(None)) => {}
            Ok(_) => {
                let dead = self.names.dead();
                return Err(BrokerError::lasting(format!(
                    "queue {dead:?} does not take in a message that can't be used: is it bound to exchange {dead:?}?"
                )));
            }
            Err(error) => return Err(BrokerError::in_use(&self.names, &error)),
        }
        self.has_news.store(true, Ordering::Relaxed);
        self.tell(reason);
        Ok(())
    }

    /// How many are parked, if that may have changed; `None` if not.
    pub(super) async fn count(&self, look_anyway: bool) -> Result<Option<u64>, BrokerError> {
        if !self.has_news.swap(false, Ordering::Relaxed) && !look_anyway {
            return Ok(None);
        }
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let channel = self.channel.lock().await;
        let queue =
            channel.queue_declare(self.names.dead().into(), options, FieldTable::default()).await;
        let queue = queue.map_err(|e| BrokerError::in_use(&self.names, &e))?;
        Ok(Some(u64::from(queue.message_count())))
    }

    fn tell(&self, reason: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if told.0.is_some_and(|at| now.duration_since(at) < TOLD_EVERY) {
            told.1 += 1;
        } else {
            facts::parked(reason, std::mem::take(&mut told.1));
            told.0 = Some(now);
        }
    }
}

/// What the message came with, and why it is here.
fn properties(delivery: &Delivery, reason: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    let theirs = delivery.properties.headers().iter().flat_map(|h| h.inner());
    // These would lead it to other queues as well.
    let theirs = theirs.filter(|(name, _)| !matches!(name.as_str(), "CC" | "BCC"));
    for (name, value) in theirs.take(MAX_HEADERS) {
        headers.insert(name.clone(), value.clone());
    }
    let digest = Digest::of(&delivery.data).to_string();
    let text = |text: &str| AMQPValue::LongString(LongString::from(text));
    headers.insert(REASON.into(), text(reason));
    headers.insert(QUEUE.into(), text(delivery.routing_key.as_str()));
    headers.insert(DIGEST.into(), text(&digest));
    let n_bytes = i64::try_from(delivery.data.len()).unwrap_or(i64::MAX);
    headers.insert(BYTES.into(), AMQPValue::LongLongInt(n_bytes));
    let at_ms = clock::now().nanos() / 1_000_000;
    headers.insert(AT_MS.into(), AMQPValue::LongLongInt(at_ms));
    let mut properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    if let Some(content_type) = delivery.properties.content_type() {
        properties = properties.with_content_type(content_type.clone());
    }
    if let Some(kind) = delivery.properties.kind() {
        properties = properties.with_type(kind.clone());
    }
    if let Some(id) = delivery.properties.message_id() {
        properties = properties.with_message_id(id.clone());
    }
    properties
}
