//! The storm's RabbitMQ, and the collector's way to it.
//!
//! Owns what can be done to a broker, and when that may be. Agents have ways of their own.

use std::time::Duration;

use lapin::options::QueuePurgeOptions;
use lapin::{Connection, ConnectionProperties};
use watchkeeper_tests::harness::{Proxy, Rabbit, eventually, uri};

use super::host::SOON;
use super::stage::Stage;

/// What quorum queues there are once the collector has made its topology (docs/rabbitmq.md).
const QUEUES: [&str; 3] = ["watchkeeper.windows", "watchkeeper.events", "watchkeeper.dead"];

/// How long a broker may take to start beside everything else.
const STARTING: Duration = Duration::from_secs(60);

/// A broker of this storm alone.
#[derive(Debug)]
pub(crate) struct Broker {
    /// It.
    pub(crate) rabbit: Rabbit,
    /// Between it and the collector.
    pub(crate) proxy: Proxy,
}

impl Broker {
    /// A new one, which listens; `None` if a program is missing.
    pub(crate) async fn start() -> Option<Self> {
        let rabbit = Rabbit::own("").await?;
        let proxy = Proxy::start(rabbit.port).await.unwrap();
        Some(Self { rabbit, proxy })
    }

    /// As `kill -9` and a service do.
    pub(crate) fn kill(&mut self) {
        self.rabbit.kill();
        self.rabbit.spawn_again().unwrap();
    }

    /// As an update does.
    pub(crate) async fn stop(&mut self) {
        self.rabbit.thaw();
        self.rabbit.listens().await;
        self.rabbit.stop(STARTING).unwrap();
        self.rabbit.spawn_again().unwrap();
    }

    /// Another one with the same address, which knows nothing.
    pub(crate) async fn renew(&mut self) {
        self.rabbit.thaw();
        self.rabbit.listens().await;
        self.rabbit.kill();
        self.rabbit.lose_data().unwrap();
        self.rabbit.spawn_again().unwrap();
    }

    /// It never ends by itself.
    pub(crate) fn assert_running(&mut self) {
        if !self.rabbit.server.is_running() {
            let log = self.rabbit.server.log();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            panic!("the broker ended by itself: {last:#?}");
        }
    }

    /// An operator has looked at what can't be used, and throws it away; how many messages that were.
    async fn purge(&self) -> Option<u32> {
        let connection =
            Connection::connect(&uri(self.rabbit.port), ConnectionProperties::default()).await;
        let connection = connection.ok()?;
        let channel = connection.create_channel().await.ok()?;
        let purged = channel.queue_purge(QUEUES[2].into(), QueuePurgeOptions::default()).await;
        // The end of a connection that has done its work.
        let _ = connection.close(200, "done".into()).await;
        purged.ok()
    }
}

impl Stage {
    /// The broker dies, once it may: RabbitMQ 3.10 that is killed in the very second in which a quorum queue is made
    /// loses that queue for good (docs/rabbitmq.md). So the queues have to be there, and a crash has to find them again.
    pub(crate) async fn kill_broker(&mut self) {
        let Some(broker) = &mut self.broker else { return };
        broker.rabbit.thaw();
        broker.rabbit.listens().await;
        if !broker.rabbit.would_keep(&QUEUES) {
            self.heal_collector().await;
            self.settle_broker().await;
        }
        self.broker.as_mut().expect("looked at above").kill();
    }

    /// The queues are there to stay. Whoever makes them is well.
    pub(crate) async fn settle_broker(&mut self) {
        let Some(broker) = &self.broker else { return };
        broker.rabbit.listens().await;
        eventually("the broker's queues are on its disk", 2 * SOON, || async {
            broker.rabbit.would_keep(&QUEUES).then_some(())
        })
        .await;
    }

    /// What can't be used is thrown away, and counted.
    pub(crate) async fn purge_broker(&mut self) {
        let Some(broker) = &self.broker else { return };
        let n_purged = eventually("what is parked is thrown away", 2 * SOON, || broker.purge());
        self.tally.n_parked += u64::from(n_purged.await);
    }
}
