//! The RabbitMQ road: connected as long as the collector runs.
//!
//! Owns trying again. A broker that is away is no error of the collector: it is told in the log, by `/readyz` and by
//! metrics, and everything else goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::metrics::Meter;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use watchkeeper_amqp::{Broker, BrokerError, BrokerSettings};
use watchkeeper_daemon::machine;

use super::dead_queue::DeadQueue;
use super::facts;
use super::meters::Meters;
use super::serve::Serve;
use crate::api::Readiness;
use crate::intake::receive::Intake;

const COMPONENT: &str = "intake.amqp";
/// Waits between attempts: the first at most so long, doubling.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A connection that lived so long was a good one.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// The intake by RabbitMQ.
pub struct AmqpIntake {
    broker: Arc<Broker>,
    intake: Arc<Intake>,
    readiness: Arc<Readiness>,
    meters: Arc<Meters>,
    dead_queue: Arc<DeadQueue>,
}

impl AmqpIntake {
    /// Prepares the road; nothing is connected yet.
    ///
    /// # Errors
    /// In words, if a certificate or key is unusable.
    pub fn build(
        settings: &BrokerSettings,
        intake: Arc<Intake>,
        readiness: Arc<Readiness>,
        meter: &Meter,
    ) -> Result<Self, String> {
        let broker = Arc::new(Broker::build(settings)?);
        let dead_queue = Arc::new(DeadQueue::new(intake.clone()));
        let meters = Meters::build(meter, &dead_queue);
        Ok(Self { broker, intake, readiness, meters, dead_queue })
    }

    /// Where its messages come from.
    pub fn broker(&self) -> Arc<Broker> {
        self.broker.clone()
    }

    /// The queue of what can't be used.
    pub fn dead_queue(&self) -> Arc<DeadQueue> {
        self.dead_queue.clone()
    }

    /// Takes in messages until `drain`.
    pub async fn run(self, drain: CancellationToken) {
        let mut wait = FIRST_WAIT;
        let mut said = String::new();
        loop {
            let began = Instant::now();
            let ended = self.serve(&drain).await;
            self.meters.is_connected.store(false, Ordering::Relaxed);
            self.meters.n_sessions.store(0, Ordering::Relaxed);
            let Err(error) = ended else {
                return self.dead_queue.is_silent("the collector is stopping");
            };
            self.dead_queue.is_silent(&error.message);
            if began.elapsed() > GOOD_LIFE {
                wait = FIRST_WAIT;
                said.clear();
            }
            // The same again and again is said once.
            if error.message != said {
                facts::failed(&error);
                said.clone_from(&error.message);
            }
            self.readiness.note(COMPONENT, error.message);
            tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(0.5 + 0.5 * machine::share())) => {}
                () = drain.cancelled() => return,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn serve(&self, drain: &CancellationToken) -> Result<(), BrokerError> {
        let is_listening = || {
            self.meters.is_connected.store(true, Ordering::Relaxed);
            self.dead_queue.listens();
            self.readiness.unnote(COMPONENT);
        };
        let mut settings = self.intake.settings();
        settings.mark_unchanged();
        let serve = Serve {
            broker: &self.broker,
            intake: &self.intake,
            meters: &self.meters,
            dead_queue: &self.dead_queue,
            settings,
            drain,
            is_listening: &is_listening,
        };
        serve.run().await
    }
}
