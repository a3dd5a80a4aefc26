//! What the RabbitMQ road measures of itself.
//!
//! Owns the numbers; they are asked for when metrics are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry::metrics::Meter;

use super::dead_queue::DeadQueue;

/// The numbers of one road.
#[derive(Debug, Default)]
pub(super) struct Meters {
    /// Whether messages are being taken in.
    pub(super) is_connected: AtomicBool,
    /// Agents that were heard of late.
    pub(super) n_sessions: AtomicU64,
    /// Messages taken from the queues.
    pub(super) n_taken: AtomicU64,
    /// Messages parked.
    pub(super) n_parked: AtomicU64,
    /// Answers left out because the broker took in nothing.
    pub(super) n_left_out: AtomicU64,
}

type OfMeters = fn(&Meters) -> u64;

impl Meters {
    /// Registers them.
    pub(super) fn build(meter: &Meter, dead_queue: &Arc<DeadQueue>) -> Arc<Self> {
        let meters = Arc::new(Self::default());
        let dead = dead_queue.clone();
        meter
            .u64_observable_gauge("watchkeeper_intake_amqp_dead_letters")
            .with_description(
                "Messages in RabbitMQ's queue of dead letters, when they were counted last.",
            )
            .with_callback(move |o| {
                if let Some(n) = dead.n_messages() {
                    o.observe(n, &[]);
                }
            })
            .build();
        let connected = meters.clone();
        meter
            .u64_observable_gauge("watchkeeper_intake_amqp_connected")
            .with_description("1 while batches are taken in from RabbitMQ.")
            .with_callback(move |o| {
                o.observe(u64::from(connected.is_connected.load(Ordering::Relaxed)), &[]);
            })
            .build();
        let sessions = meters.clone();
        meter
            .u64_observable_gauge("watchkeeper_intake_amqp_agents")
            .with_description("Agents that use RabbitMQ and were heard of late.")
            .with_callback(move |o| o.observe(sessions.n_sessions.load(Ordering::Relaxed), &[]))
            .build();
        let counters: [(&'static str, &'static str, OfMeters); 3] = [
            ("watchkeeper_intake_amqp_messages", "Messages taken from RabbitMQ.", |m| {
                m.n_taken.load(Ordering::Relaxed)
            }),
            ("watchkeeper_intake_amqp_parked_messages", "Messages parked as dead letters.", |m| {
                m.n_parked.load(Ordering::Relaxed)
            }),
            (
                "watchkeeper_intake_amqp_answers_left_out",
                "Answers not published because the broker took in nothing.",
                |m| m.n_left_out.load(Ordering::Relaxed),
            ),
        ];
        for (name, text, of) in counters {
            let meters = meters.clone();
            meter
                .u64_observable_counter(name)
                .with_description(text)
                .with_callback(move |o| o.observe(of(&meters), &[]))
                .build();
        }
        meters
    }
}
