//! RabbitMQ as agent and collector share it: settings, opening a connection, the topology, the form of messages, and
//! what the broker's errors mean for people.
//!
//! Owns everything both ends must agree on. Never knows what is inside a message, never connects again by itself, and
//! never shows a password: an address is told by its host.
//!
//! In reading order: `address` is one broker, `settings` what a file says of them, `socket` how bytes travel, `broker`
//! opens a connection, `topology` is what lies on the broker and `definitions` the same in the broker's own form, `check`
//! compares the two, `message` is the form of what is published, `words` says what went wrong.

mod address;
mod broker;
mod check;
mod definitions;
mod message;
mod settings;
mod socket;
mod topology;
mod words;

pub use address::Address;
pub use broker::{Broker, Opened};
pub use check::{Finding, Side, check};
pub use definitions::definitions;
pub use lapin;
pub use message::{
    CONTENT_TYPE, MAX_BODY_BYTES, MessageKind, Odd, WIRE, properties, read_kind, read_text,
};
pub use settings::{BrokerSettings, read};
pub use topology::{Names, declare};
pub use words::{BrokerError, Cause};
