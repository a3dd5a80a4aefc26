//! Dead letters in the broker's queue: what RabbitMQ gave up, and what the intake parked.
//!
//! In reading order: `message` says what one message is as a letter, `view` is a connection with messages in hand, `renewal`
//! keeps looking from wearing them out, `place` answers who asks.

mod message;
mod place;
mod renewal;
mod view;

pub use place::BrokerLetters;
