//! A connection with messages of the queue in hand.
//!
//! Owns taking them in hand, giving them back and taking them out for good. A queue is no table: what is looked at has to be
//! held, and as long as it is held nobody else sees it. So a view is held for moments, by one at a time, and whatever
//! becomes of it, the broker puts back what was not acknowledged. Bounded in number, bytes and time; what lies behind that
//! is counted and not looked at.

use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use watchkeeper_amqp::lapin::message::Delivery;
use watchkeeper_amqp::lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions,
};
use watchkeeper_amqp::lapin::types::FieldTable;
use watchkeeper_amqp::lapin::{Channel, Connection, Error};
use watchkeeper_amqp::{Broker, BrokerError, Names};

use super::message::{letter_of, n_deliveries};
use crate::letters::letter::Letter;

/// So many messages are held at most.
pub(super) const MAX_MESSAGES: usize = 1_000;
/// Beyond so many bytes no further message is taken in hand.
pub(super) const MAX_BYTES: usize = 32 << 20;
/// How long messages are taken in hand for one question.
const LOOKING: Duration = Duration::from_secs(3);
/// Somebody who retries or drops many asks for one after the other.
const WANTED: Duration = Duration::from_secs(2);
/// After so long even a view that is in use is given back, so that others see what there is.
const LONGEST_LIFE: Duration = Duration::from_secs(300);
/// Given back so often, a message is due for renewal: see `renewal`.
const WORN: u64 = 5;
/// How long what was given back may take to be in the queue again, which takes the broker some 20 ms.
const BACK: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// A message in hand.
pub(super) struct Held {
    /// Of its letter; the same message twice has the same.
    pub(super) number: u64,
    pub(super) letter: Letter,
    pub(super) delivery: Delivery,
}

/// Messages in hand.
pub(super) struct View {
    connection: Connection,
    channel: Channel,
    names: Names,
    held: Vec<Held>,
    n_bytes: usize,
    /// Those that are not in hand.
    n_behind: u64,
    opened_at: Instant,
    used_at: Instant,
    /// Last: others may count and look when everything else is gone.
    _looking: OwnedMutexGuard<()>,
}

impl View {
    /// Connects; nothing is in hand yet.
    pub(super) async fn open(
        broker: &Broker,
        looking: OwnedMutexGuard<()>,
    ) -> Result<Self, BrokerError> {
        let names = broker.names().clone();
        // A connection of its own: so whatever becomes of it ends nothing else, and it never publishes, so an alarm of the
        // broker does not block it.
        let opened = broker.connect("watchkeeper-collector, dead letters").await?;
        let channel = opened.connection.create_channel().await;
        let channel = channel.map_err(|e| BrokerError::in_use(&names, &e))?;
        let now = Instant::now();
        Ok(Self {
            connection: opened.connection,
            channel,
            names,
            held: Vec::new(),
            n_bytes: 0,
            n_behind: 0,
            opened_at: now,
            used_at: now,
            _looking: looking,
        })
    }

    /// Whether it can be used further.
    pub(super) fn is_fresh(&self) -> bool {
        self.connection.status().connected()
            && self.channel.status().connected()
            && self.opened_at.elapsed() < LONGEST_LIFE
    }

    /// Whether somebody may still go on with it.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_fresh() && self.used_at.elapsed() < WANTED
    }

    /// Somebody used it just now.
    pub(super) fn used(&mut self) {
        self.used_at = Instant::now();
    }

    /// Takes in hand what there is, as far as it may.
    pub(super) async fn look(&mut self) -> Result<(), BrokerError> {
        let began = Instant::now();
        while self.held.len() < MAX_MESSAGES
            && self.n_bytes < MAX_BYTES
            && began.elapsed() < LOOKING
        {
            let options = BasicGetOptions { no_ack: false };
            let got = self.channel.basic_get(self.names.dead().into(), options).await;
            let Some(message) = got.map_err(|e| self.in_use(&e))? else {
                self.n_behind = 0;
                return Ok(());
            };
            self.n_behind = u64::from(message.message_count);
            let (number, letter) = letter_of(&message.delivery);
            self.n_bytes += message.delivery.data.len();
            self.held.push(Held { number, letter, delivery: message.delivery });
        }
        Ok(())
    }

    /// What is in hand, equal messages as one letter.
    pub(super) fn letters(&self) -> Vec<Letter> {
        let mut all: Vec<(u64, Letter)> = Vec::new();
        let mut at = std::collections::HashMap::new();
        for held in &self.held {
            match at.get(&held.number) {
                None => {
                    at.insert(held.number, all.len());
                    all.push((held.number, held.letter.clone()));
                }
                Some(at) => {
                    let known: &mut (u64, Letter) = &mut all[*at];
                    let copies = known.1.copies + 1;
                    // What was said of it last.
                    if held.letter.at >= known.1.at {
                        known.1 = held.letter.clone();
                    }
                    known.1.copies = copies;
                }
            }
        }
        all.into_iter().map(|(_, letter)| letter).collect()
    }

    /// How many are not in hand.
    pub(super) const fn n_behind(&self) -> u64 {
        self.n_behind
    }

    /// One of this number, if it is in hand.
    pub(super) fn find(&self, number: u64) -> Option<&Held> {
        self.held.iter().find(|held| held.number == number)
    }

    /// Takes all of this number out for good; how many messages there are left, those in hand among them.
    pub(super) async fn take_out(&mut self, number: u64) -> Result<u64, BrokerError> {
        let (out, rest) =
            std::mem::take(&mut self.held).into_iter().partition(|held| held.number == number);
        self.held = rest;
        self.acknowledge(out).await?;
        // It answers after it has read what came before.
        self.count().await
    }

    /// How many messages there are, those in hand among them.
    async fn count(&mut self) -> Result<u64, BrokerError> {
        self.n_behind = self.n_ready().await?;
        Ok(self.n_behind + self.held.len() as u64)
    }

    async fn acknowledge(&mut self, out: Vec<Held>) -> Result<(), BrokerError> {
        for held in out {
            self.n_bytes = self.n_bytes.saturating_sub(held.delivery.data.len());
            let acked = held.delivery.acker.ack(BasicAckOptions::default()).await;
            acked.map_err(|e| self.in_use(&e))?;
        }
        Ok(())
    }

    /// Those that were given back so often that they are due for renewal.
    pub(super) fn worn(&self) -> impl Iterator<Item = &Delivery> {
        self.held.iter().filter(|held| is_worn(held)).map(|held| &held.delivery)
    }

    /// The broker holds new copies of the first so many of those that are worn.
    pub(super) async fn renewed(&mut self, n: usize) -> Result<(), BrokerError> {
        let mut n_left = n;
        let (out, rest) = std::mem::take(&mut self.held).into_iter().partition(|held| {
            let is_out = n_left > 0 && is_worn(held);
            n_left -= usize::from(is_out);
            is_out
        });
        self.held = rest;
        self.acknowledge(out).await
    }

    /// Gives back what is in hand and waits until it is in the queue; how many are in it then.
    pub(super) async fn give_back(&mut self) -> Result<u64, BrokerError> {
        let began = Instant::now();
        let n_wanted = self.count().await?;
        if !self.held.is_empty() {
            let options = BasicNackOptions { multiple: true, requeue: true };
            let given = self.channel.basic_nack(0, options).await;
            given.map_err(|e| self.in_use(&e))?;
        }
        self.held.clear();
        loop {
            // Whoever counted in between would take those on their way back for gone.
            let n_ready = self.n_ready().await?;
            if n_ready >= n_wanted || began.elapsed() > BACK {
                return Ok(n_ready);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Closes the connection.
    pub(super) async fn close(self) {
        // Whether it is told or only gone, the broker does the same.
        let _ = self.connection.close(200, "looked at".into()).await;
    }

    async fn n_ready(&self) -> Result<u64, BrokerError> {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let queue =
            self.channel.queue_declare(self.names.dead().into(), options, FieldTable::default());
        let queue = queue.await.map_err(|e| self.in_use(&e))?;
        Ok(u64::from(queue.message_count()))
    }

    fn in_use(&self, error: &Error) -> BrokerError {
        BrokerError::in_use(&self.names, error)
    }
}

fn is_worn(held: &Held) -> bool {
    n_deliveries(&held.delivery.properties) >= WORN
}
