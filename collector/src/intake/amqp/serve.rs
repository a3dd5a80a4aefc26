//! One connection to the broker, from its topology to its end.
//!
//! Owns consumers and how much they hold at a time. Whatever breaks ends all of it: messages that were not acknowledged
//! come again, and what was counted is not counted twice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use watchkeeper_amqp::lapin::message::Delivery;
use watchkeeper_amqp::lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use watchkeeper_amqp::lapin::types::FieldTable;
use watchkeeper_amqp::lapin::{self, Channel, Connection, Consumer};
use watchkeeper_amqp::{Broker, BrokerError, Names, declare};

use super::answers::Publisher;
use super::dead_queue::DeadQueue;
use super::facts;
use super::message::Desk;
use super::meters::Meters;
use super::parked::Parking;
use super::sessions::Sessions;
use crate::intake::receive::{Intake, IntakeSettings};
use crate::intake::session::{changed_bounds, reconnect};

/// Messages of each queue that may be under way at once.
const PREFETCH_CONTROL: u16 = 256;
const PREFETCH_WINDOWS: u16 = 128;
const PREFETCH_EVENTS: u16 = 16;
/// How often sessions are looked through.
const TICK: Duration = Duration::from_secs(1);
/// How often the queue of dead letters is looked at, in ticks: somebody may have emptied it.
const COUNT_EVERY: u64 = 15;
/// How long connecting, and making queues and listening to them, may take.
const SETTING_UP: Duration = Duration::from_secs(25);
/// How long a stop may take.
const DRAIN: Duration = Duration::from_secs(4);

/// What a connection needs.
pub(super) struct Serve<'a> {
    pub(super) broker: &'a Broker,
    pub(super) intake: &'a Arc<Intake>,
    pub(super) meters: &'a Arc<Meters>,
    pub(super) dead_queue: &'a DeadQueue,
    pub(super) settings: watch::Receiver<IntakeSettings>,
    pub(super) drain: &'a CancellationToken,
    /// Called once messages are taken in.
    pub(super) is_listening: &'a (dyn Fn() + Send + Sync),
}

type Tasks = JoinSet<Result<(), BrokerError>>;

/// Everything that is open on one connection.
struct Open {
    connection: Connection,
    control: Consumer,
    windows: Consumer,
    events: Consumer,
    channels: Vec<Channel>,
}

/// A connection that takes in messages.
struct Ready {
    open: Open,
    desk: Arc<Desk>,
    publisher: JoinHandle<Result<(), BrokerError>>,
    /// Queues for answers that are not there any more.
    gone: mpsc::UnboundedReceiver<String>,
}

impl Serve<'_> {
    /// Serves until the connection breaks, or to the end of a drain.
    pub(super) async fn run(mut self) -> Result<(), BrokerError> {
        let ready = tokio::select! {
            ready = tokio::time::timeout(SETTING_UP, self.set_up()) => {
                // A quorum queue without its quorum does not answer at all.
                ready.map_err(|_| BrokerError::passing(format!(
                    "the broker did not answer in time when asked for its queues: has one of them lost its quorum? \
                     (`rabbitmq-queues quorum_status {}` says)",
                    self.broker.names().windows()
                )))??
            }
            // There is nothing to finish yet.
            () = self.drain.cancelled() => return Ok(()),
        };
        (self.is_listening)();
        let mut ready = ready;
        let mut tasks = JoinSet::new();
        let ended = self.take_in(&mut ready, &mut tasks).await;
        if ended.is_ok() {
            // What is not finished then comes again at the next start.
            let _ = tokio::time::timeout(DRAIN, leave(ready, &mut tasks)).await;
        }
        // What is under way may be on disk already: the engine has still to be told what was counted.
        tasks.detach_all();
        ended
    }

    async fn take_in(
        &mut self,
        Ready { open, desk, publisher, gone }: &mut Ready,
        tasks: &mut Tasks,
    ) -> Result<(), BrokerError> {
        let mut tick = tokio::time::interval(TICK);
        let mut n_ticks = 0_u64;
        loop {
            tokio::select! {
                next = open.control.next() => spawn(tasks, desk, next)?,
                next = open.windows.next() => spawn(tasks, desk, next)?,
                next = open.events.next() => spawn(tasks, desk, next)?,
                Some(done) = tasks.join_next() => done.map_err(bug)??,
                ended = &mut *publisher => return ended.map_err(bug)?,
                Some(queue) = gone.recv() => if let Some(session) = desk.sessions.remove(&queue) {
                    session.end(Some("its queue of answers is gone")).await;
                },
                Ok(()) = self.settings.changed() => {
                    let bounds = changed_bounds(&self.settings.borrow_and_update());
                    tell_all(desk, &bounds).await;
                }
                _ = tick.tick() => {
                    n_ticks += 1;
                    self.look_around(desk, n_ticks.is_multiple_of(COUNT_EVERY)).await?;
                }
                () = self.drain.cancelled() => return Ok(()),
            }
        }
    }

    async fn set_up(&self) -> Result<Ready, BrokerError> {
        let names = self.broker.names().clone();
        let opened = self.broker.connect("watchkeeper-collector").await?;
        declare(&opened.connection, &names).await?;
        let parking = Parking::open(&opened.connection, &names).await?;
        let open = open(opened.connection, &names).await?;
        let publishing = self.broker.connect("watchkeeper-collector, answers").await?;
        let (gone_sender, gone) = mpsc::unbounded_channel();
        let (publisher, answers) =
            Publisher::open(publishing.connection, &names, gone_sender, self.meters.clone())
                .await?;
        let publisher = tokio::spawn(publisher.run());
        let desk = Arc::new(Desk {
            intake: self.intake.clone(),
            sessions: Arc::new(Sessions::default()),
            answers,
            parking,
            meters: self.meters.clone(),
            names,
        });
        facts::listening(&opened.address);
        Ok(Ready { open, desk, publisher, gone })
    }

    async fn look_around(&self, desk: &Desk, count: bool) -> Result<(), BrokerError> {
        for session in desk.sessions.expire(Instant::now()) {
            session.end(Some("it has not been heard for three beats")).await;
        }
        self.meters.n_sessions.store(desk.sessions.len() as u64, Ordering::Relaxed);
        // What somebody has in hand the broker does not count: whoever that is tells how many there are.
        let Some(_nobody_looks) = self.dead_queue.look_if_nobody_does() else { return Ok(()) };
        if let Some(n) = desk.parking.count(count).await? {
            self.dead_queue.holds(n).await;
        }
        Ok(())
    }
}

async fn open(connection: Connection, names: &Names) -> Result<Open, BrokerError> {
    let in_use = |error| BrokerError::in_use(names, &error);
    let channel = connection.create_channel().await.map_err(in_use)?;
    let control = names.control();
    // Nobody else's, and gone with this connection: it is there exactly while a collector listens.
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let declared = channel.queue_declare(control.as_str().into(), options, FieldTable::default());
    declared.await.map_err(|error| of_control(names, &error))?;
    let mut channels = Vec::new();
    let mut consumers = Vec::new();
    let of = [
        (control.clone(), PREFETCH_CONTROL),
        (names.windows(), PREFETCH_WINDOWS),
        (names.events(), PREFETCH_EVENTS),
    ];
    for (queue, prefetch) in of {
        let channel = connection.create_channel().await.map_err(in_use)?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(in_use)?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), options, none).await;
        consumers.push(consumer.map_err(in_use)?);
        channels.push(channel);
    }
    // Last: from now on agents find somebody who listens.
    let (queue, exchange) = (control.as_str().into(), names.exchange().into());
    let (bind, key) = (QueueBindOptions::default(), Names::CONTROL.into());
    let bound = channel.queue_bind(queue, exchange, key, bind, FieldTable::default()).await;
    bound.map_err(in_use)?;
    let [control, windows, events] = <[Consumer; 3]>::try_from(consumers)
        .map_err(|_| BrokerError::passing("bug: three queues have three consumers"))?;
    Ok(Open { connection, control, windows, events, channels })
}

fn of_control(names: &Names, error: &lapin::Error) -> BrokerError {
    let explained = BrokerError::in_use(names, error);
    if explained.message.contains("RESOURCE_LOCKED") {
        return BrokerError::passing(
            "another collector listens on this broker: this one takes over when it is gone",
        );
    }
    explained
}

fn spawn(
    tasks: &mut Tasks,
    desk: &Arc<Desk>,
    next: Option<lapin::Result<Delivery>>,
) -> Result<(), BrokerError> {
    match next {
        Some(Ok(delivery)) => {
            let desk = desk.clone();
            tasks.spawn(async move { desk.take(delivery).await });
            Ok(())
        }
        Some(Err(error)) => Err(BrokerError::in_use(&desk.names, &error)),
        None => Err(BrokerError::passing("the broker ended a consumer: was a queue deleted?")),
    }
}

async fn tell_all(desk: &Desk, message: &watchkeeper_proto::v1::to_agent::Message) {
    for queue in desk.sessions.reply_queues() {
        desk.answers.say(&queue, message.clone()).await;
    }
}

/// Asks agents to go, gives the receipts that are owed, and closes.
async fn leave(Ready { open, desk, publisher, gone: _ }: Ready, tasks: &mut Tasks) {
    for (channel, consumer) in
        open.channels.iter().zip([&open.control, &open.windows, &open.events])
    {
        // Without it the broker would go on sending; what it has sent already comes again.
        let _ = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
    }
    tell_all(&desk, &reconnect("the collector is stopping")).await;
    while tasks.join_next().await.is_some() {}
    // The last that could put answers: the publisher ends when they are out.
    drop(desk);
    let _ = publisher.await;
    let _ = open.connection.close(200, "the collector is stopping".into()).await;
}

fn bug(error: tokio::task::JoinError) -> BrokerError {
    BrokerError::passing(format!("bug: a task of the RabbitMQ road ended: {error}"))
}
