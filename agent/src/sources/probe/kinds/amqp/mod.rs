//! Probing RabbitMQ.
//!
//! In reading order: `config` reads what is asked, `refusal` says what an error means, and `prober` asks.

mod config;
mod prober;
mod refusal;

pub(super) use config::AmqpProbe;
