//! What becomes of one message.
//!
//! Owns the order: what is no message of ours is parked; what is, is handed to the intake, answered and only then
//! acknowledged. A message is never put back: the agent's spool has it until its receipt.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prost::Message as _;
use tokio::time::Instant;
use watchkeeper_amqp::lapin::message::Delivery;
use watchkeeper_amqp::lapin::options::BasicAckOptions;
use watchkeeper_amqp::{BrokerError, MessageKind, Names, Odd, read_kind, read_text};
use watchkeeper_collector_core::engine::Road;
use watchkeeper_proto::v1;
use watchkeeper_proto::v1::to_agent::Message as Answer;
use watchkeeper_proto::v1::to_collector::Message;

use super::answers::Answers;
use super::meters::Meters;
use super::parked::Parking;
use super::sessions::{Known, Sessions};
use crate::intake::receive::Intake;
use crate::intake::session::{Refusal, Session, reconnect};

/// What all messages of a connection share.
pub(super) struct Desk {
    pub(super) intake: Arc<Intake>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) answers: Answers,
    pub(super) parking: Parking,
    pub(super) meters: Arc<Meters>,
    pub(super) names: Names,
}

impl Desk {
    /// Takes in one message, to its acknowledgement.
    pub(super) async fn take(&self, delivery: Delivery) -> Result<(), BrokerError> {
        self.meters.n_taken.fetch_add(1, Ordering::Relaxed);
        let kind = read_kind(&delivery.properties, delivery.data.len());
        let taken = match kind {
            Ok(kind) => self.handle(kind, &delivery).await,
            Err(odd) => match (&odd, reply_to(&delivery)) {
                // Told, the agent waits for a newer collector with it in its spool. Parked, each of its attempts would be
                // one more letter, until they push out those of others.
                (Odd::Newer(_), Some(reply_to)) => {
                    let refusal = Refusal::Unavailable(odd.to_string());
                    self.answers.refuse(reply_to, &refusal).await;
                    Ok(())
                }
                _ => Err(odd.to_string()),
            },
        };
        if let Err(reason) = taken {
            self.parking.park(&delivery, &reason).await?;
            self.meters.n_parked.fetch_add(1, Ordering::Relaxed);
        }
        let acked = delivery.acker.ack(BasicAckOptions::default()).await;
        acked.map(|_| ()).map_err(|e| BrokerError::in_use(&self.names, &e))
    }

    /// Hands it to the intake; an error says why it can't be used.
    async fn handle(&self, kind: MessageKind, delivery: &Delivery) -> Result<(), String> {
        if kind == MessageKind::Ping {
            return Ok(());
        }
        let message = v1::ToCollector::decode(&*delivery.data)
            .map_err(|e| format!("its body is no message of ours: {e}"))?;
        let reply_to = reply_to(delivery);
        match (kind, message.message) {
            (MessageKind::Hello, Some(Message::Hello(hello))) => {
                let reply_to = reply_to.ok_or("it is a hello that says not where to answer")?;
                self.hello(reply_to, &hello).await;
            }
            (MessageKind::Batch, Some(Message::Batch(batch))) => {
                let session = self.session(delivery).await?;
                let receipt = session.receipt_for(batch).await;
                if let Some(reply_to) = reply_to {
                    self.answers.say(reply_to, Answer::Receipt(receipt)).await;
                }
            }
            (MessageKind::Beat, Some(Message::Beat(beat))) => {
                self.session(delivery).await?.beat(beat).await;
            }
            (MessageKind::Bye, Some(Message::Bye(bye))) => {
                let session = self.session(delivery).await?;
                session.bye(bye).await;
                if let Some(session) = reply_to.and_then(|r| self.sessions.remove(r)) {
                    session.end(None).await;
                }
            }
            _ => return Err(format!("its body is not what its type, {}, says", kind.as_str())),
        }
        Ok(())
    }

    async fn hello(&self, reply_to: &str, hello: &v1::Hello) {
        match Session::greet(&self.intake, hello, Road::Amqp).await {
            Ok((session, welcome)) => {
                self.sessions.greeted(reply_to, session, Instant::now());
                self.answers.say(reply_to, Answer::Welcome(welcome)).await;
            }
            Err(refusal) => self.answers.refuse(reply_to, &refusal).await,
        }
    }

    /// Whose message it is. An agent that this process has not welcomed is served, and asked once to say hello again.
    async fn session(&self, delivery: &Delivery) -> Result<Session, String> {
        let reply_to = reply_to(delivery).unwrap_or_default();
        let now = Instant::now();
        if let Known::Greeted(session) | Known::Asked(session) = self.sessions.heard(reply_to, now)
        {
            return Ok(session);
        }
        let agent = read_text(&delivery.properties, "agent")
            .ok_or("it does not say which agent sent it")?;
        let session =
            Session::resumed(&self.intake, &agent, Road::Amqp).map_err(|e| e.to_string())?;
        if !reply_to.is_empty() {
            self.sessions.asked(reply_to, session.clone(), now);
            self.answers.say(reply_to, reconnect("the collector was started again")).await;
        }
        Ok(session)
    }
}

fn reply_to(delivery: &Delivery) -> Option<&str> {
    delivery.properties.reply_to().as_ref().map(|r| r.as_str()).filter(|r| !r.is_empty())
}
