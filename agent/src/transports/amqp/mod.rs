//! The RabbitMQ road: batches go to an exchange, answers come from a queue of this connection.
//!
//! In reading order: `transport` opens the road, `road` carries messages while it is open.

mod road;
mod transport;

pub use transport::AmqpTransport;
