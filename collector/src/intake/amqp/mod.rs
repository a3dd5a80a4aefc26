//! The RabbitMQ road: batches from two queues, answers to a queue of each agent's connection.
//!
//! In reading order: `road` connects, and again when the connection breaks; `serve` is one connection, from its
//! consumers to its end; `message` decides what becomes of one message; `sessions` remembers who is there; `answers`
//! publishes what agents are told, `parked` what can't be used, and `dead_queue` is what there is to know of where that lies; `meters` and `facts` tell about all that.

mod answers;
mod dead_queue;
mod facts;
mod message;
mod meters;
pub(crate) mod parked;
mod road;
mod serve;
mod sessions;

pub use dead_queue::DeadQueue;
pub use road::AmqpIntake;
