//! What agents are told: published to the queue that each of them named.
//!
//! Owns one channel of a connection of its own: a broker that blocks publishers must not block acknowledgements. While it
//! does, answers are left out, as if they were lost on their way: agents offer again what has no receipt.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use prost::Message as _;
use tokio::sync::mpsc;
use watchkeeper_amqp::lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use watchkeeper_amqp::lapin::{Channel, Connection, Event};
use watchkeeper_amqp::{BrokerError, MessageKind, Names, properties};
use watchkeeper_proto::v1;

use super::facts;
use super::meters::Meters;
use crate::intake::session::Refusal;

/// Answers that wait to be published; beyond it messages are not taken in.
const MAX_WAITING: usize = 256;
/// Answers without the broker's word.
const MAX_UNCONFIRMED: usize = 1_024;

struct Answer {
    reply_to: String,
    kind: MessageKind,
    body: Vec<u8>,
    headers: Vec<(&'static str, &'static str)>,
}

/// Where answers are put.
#[derive(Clone)]
pub(super) struct Answers(mpsc::Sender<Answer>);

impl Answers {
    /// Tells an agent something.
    pub(super) async fn say(&self, reply_to: &str, message: v1::to_agent::Message) {
        let body = v1::ToAgent { message: Some(message) }.encode_to_vec();
        self.send(Answer {
            reply_to: reply_to.to_owned(),
            kind: MessageKind::Answer,
            body,
            headers: Vec::new(),
        })
        .await;
    }

    /// Refuses an agent, in words.
    pub(super) async fn refuse(&self, reply_to: &str, refusal: &Refusal) {
        let lasting = matches!(refusal, Refusal::Invalid(_));
        self.send(Answer {
            reply_to: reply_to.to_owned(),
            kind: MessageKind::Refusal,
            body: refusal.to_string().into_bytes(),
            headers: vec![("lasting", if lasting { "true" } else { "false" })],
        })
        .await;
    }

    async fn send(&self, answer: Answer) {
        // If the publisher has ended, so has the connection.
        let _ = self.0.send(answer).await;
    }
}

/// The publishing side.
pub(super) struct Publisher {
    connection: Connection,
    channel: Channel,
    names: Names,
    waiting: mpsc::Receiver<Answer>,
    gone: mpsc::UnboundedSender<String>,
    meters: Arc<Meters>,
}

impl Publisher {
    /// A publisher on a connection of its own; queues that are gone are told to `gone`, at most one for each answer.
    pub(super) async fn open(
        connection: Connection,
        names: &Names,
        gone: mpsc::UnboundedSender<String>,
        meters: Arc<Meters>,
    ) -> Result<(Self, Answers), BrokerError> {
        let in_use = |error| BrokerError::in_use(names, &error);
        let channel = connection.create_channel().await.map_err(in_use)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(in_use)?;
        let (answers, waiting) = mpsc::channel(MAX_WAITING);
        let names = names.clone();
        Ok((Self { connection, channel, names, waiting, gone, meters }, Answers(answers)))
    }

    /// Publishes until nobody can put answers any more, or the connection breaks.
    pub(super) async fn run(mut self) -> Result<(), BrokerError> {
        let in_use = |error| BrokerError::in_use(&self.names, &error);
        let mut events = Box::pin(self.connection.events_listener());
        let mut unconfirmed = FuturesUnordered::new();
        let mut is_blocked = false;
        let mut n_left_out = 0;
        loop {
            tokio::select! {
                answer = self.waiting.recv(), if unconfirmed.len() < MAX_UNCONFIRMED => match answer {
                    None => break,
                    Some(_) if is_blocked => {
                        n_left_out += 1;
                        self.meters.n_left_out.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(answer) => unconfirmed.push(publish(&self.channel, answer).boxed()),
                },
                Some(confirmed) = unconfirmed.next() => {
                    // Which confirmation a returned message comes with is chance: it says itself where it was to go.
                    if let Some(queue) = confirmed.map_err(in_use)? {
                        let _ = self.gone.send(queue);
                    }
                }
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        facts::blocked(&reason);
                        is_blocked = true;
                    }
                    Some(Event::ConnectionUnblocked) => {
                        facts::unblocked(n_left_out);
                        (is_blocked, n_left_out) = (false, 0);
                    }
                    Some(Event::Error(error)) => return Err(in_use(error)),
                    Some(_) => {}
                    None => return Err(BrokerError::passing("the broker's connection ended")),
                },
            }
        }
        while let Some(confirmed) = unconfirmed.next().await {
            confirmed.map_err(in_use)?;
        }
        Ok(())
    }
}

/// Publishes one answer; the name of the queue if it is gone.
async fn publish(
    channel: &Channel,
    answer: Answer,
) -> Result<Option<String>, watchkeeper_amqp::lapin::Error> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let properties = properties(answer.kind, &answer.headers);
    let key = answer.reply_to.as_str().into();
    let confirm = channel.basic_publish("".into(), key, options, &answer.body, properties).await?;
    let returned = confirm.await?.take_message();
    Ok(returned.map(|message| message.delivery.routing_key.to_string()))
}
