//! What lies on the broker: one exchange, two queues for batches, one for what can't be used.
//!
//! Owns names, arguments and permissions, and making what is missing. A queue that is there with other arguments is an
//! error: arguments can't be changed, and with others something of what is promised does not hold.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Error, ErrorKind, ExchangeKind};

use crate::words::{BrokerError, Doing};

/// How often a message may come back to its queue, as it does when a collector dies with it; then it is parked.
/// RabbitMQ before 4.0 has no limit of its own.
pub(crate) const DELIVERY_LIMIT: i32 = 20;
/// What each of the two queues may hold. More is refused to the agents, whose spools hold it.
pub(crate) const MAX_QUEUE_BYTES: i64 = 1 << 30;
/// What is parked at most; beyond it the oldest goes.
pub(crate) const MAX_PARKED: i64 = 10_000;
pub(crate) const MAX_PARKED_BYTES: i64 = 256 << 20;

/// The names of everything of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Default for Names {
    fn default() -> Self {
        Self { prefix: "watchkeeper".to_owned() }
    }
}

impl Names {
    /// Names that begin so; `None` if names can't.
    pub fn new(prefix: &str) -> Option<Self> {
        let of_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = (1..=64).contains(&prefix.len())
            && prefix.starts_with(|c: char| c.is_ascii_alphabetic())
            && prefix.chars().all(of_ours)
            && !prefix.starts_with("amq.");
        fits.then(|| Self { prefix: prefix.to_owned() })
    }

    /// How they begin.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The exchange that agents publish to.
    pub fn exchange(&self) -> &str {
        &self.prefix
    }

    /// The queue of counts.
    pub fn windows(&self) -> String {
        self.named(Self::WINDOWS)
    }

    /// The queue of event bodies.
    pub fn events(&self) -> String {
        self.named(Self::EVENTS)
    }

    /// The queue that is there exactly as long as a collector listens.
    pub fn control(&self) -> String {
        self.named(Self::CONTROL)
    }

    /// The exchange and the queue of what can't be used.
    pub fn dead(&self) -> String {
        self.named("dead")
    }

    /// The queue of answers to one agent's connection; `random` makes it its own.
    pub fn reply(&self, random: u64) -> String {
        self.named(&format!("reply.{random:016x}"))
    }

    /// The routing key of counts.
    pub const WINDOWS: &str = "windows";
    /// The routing key of event bodies.
    pub const EVENTS: &str = "events";
    /// The routing key of what concerns the connection.
    pub const CONTROL: &str = "control";

    /// What a collector's user may configure and read.
    pub fn collector_permission(&self) -> String {
        format!("^{}(\\.|$)", self.escaped())
    }

    /// What a collector's user may write: answers go through the default exchange.
    pub fn collector_write(&self) -> String {
        format!("^({}(\\.|$)|amq\\.default$)", self.escaped())
    }

    /// What an agent's user may configure and read: queues of answers.
    pub fn agent_configure(&self) -> String {
        format!("^{}\\.reply\\.", self.escaped())
    }

    /// What an agent's user may write.
    pub fn agent_write(&self) -> String {
        format!("^{}$", self.escaped())
    }

    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn escaped(&self) -> String {
        self.prefix.replace('.', "\\.")
    }
}

/// One thing on the broker.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Exchange { name: String, kind: ExchangeKind },
    Queue { name: String, arguments: Vec<(&'static str, Argument)> },
    Binding { queue: String, exchange: String, key: &'static str },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    Text(String),
    Number(i64),
    Flag(bool),
}

impl Item {
    /// How people are told which it is.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Exchange { name, .. } => format!("exchange {name:?}"),
            Self::Queue { name, .. } => format!("queue {name:?}"),
            Self::Binding { queue, exchange, .. } => {
                format!("queue {queue:?} bound to {exchange:?}")
            }
        }
    }

    pub(crate) async fn declare(&self, channel: &Channel) -> Result<(), Error> {
        match self {
            Self::Exchange { name, kind } => {
                let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
                let (name, none) = (name.as_str().into(), FieldTable::default());
                channel.exchange_declare(name, kind.clone(), options, none).await
            }
            Self::Queue { name, arguments } => {
                let options = QueueDeclareOptions { durable: true, ..Default::default() };
                let declared =
                    channel.queue_declare(name.as_str().into(), options, table(arguments));
                declared.await.map(|_| ())
            }
            Self::Binding { queue, exchange, key } => {
                let (queue, exchange) = (queue.as_str().into(), exchange.as_str().into());
                let none = FieldTable::default();
                let options = QueueBindOptions::default();
                channel.queue_bind(queue, exchange, (*key).into(), options, none).await
            }
        }
    }

    /// Asks whether it is there, whatever its arguments; bindings can't be asked for.
    pub(crate) async fn ask(&self, channel: &Channel) -> Result<(), Error> {
        match self {
            Self::Exchange { name, kind } => {
                let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
                let (name, none) = (name.as_str().into(), FieldTable::default());
                channel.exchange_declare(name, kind.clone(), options, none).await
            }
            Self::Queue { name, .. } => {
                let options = QueueDeclareOptions { passive: true, ..Default::default() };
                let name = name.as_str().into();
                channel.queue_declare(name, options, FieldTable::default()).await.map(|_| ())
            }
            Self::Binding { .. } => Ok(()),
        }
    }
}

fn table(arguments: &[(&'static str, Argument)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
            Argument::Flag(flag) => AMQPValue::Boolean(*flag),
        };
        table.insert((*name).into(), value);
    }
    table
}

/// Everything that lasts, in the order in which it is made.
pub(crate) fn items(names: &Names) -> Vec<Item> {
    let text = |text: &str| Argument::Text(text.to_owned());
    let dead = vec![
        ("x-queue-type", text("quorum")),
        ("x-max-length", Argument::Number(MAX_PARKED)),
        ("x-max-length-bytes", Argument::Number(MAX_PARKED_BYTES)),
    ];
    let batches = || {
        vec![
            ("x-queue-type", text("quorum")),
            // Instead of losing the oldest; and dead letters are moved for sure only with it.
            ("x-overflow", text("reject-publish")),
            ("x-max-length-bytes", Argument::Number(MAX_QUEUE_BYTES)),
            ("x-delivery-limit", Argument::Number(i64::from(DELIVERY_LIMIT))),
            ("x-dead-letter-exchange", Argument::Text(names.dead())),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-single-active-consumer", Argument::Flag(true)),
        ]
    };
    let bound =
        |queue: String, key| Item::Binding { queue, exchange: names.exchange().to_owned(), key };
    vec![
        Item::Exchange { name: names.dead(), kind: ExchangeKind::Fanout },
        Item::Queue { name: names.dead(), arguments: dead },
        Item::Binding { queue: names.dead(), exchange: names.dead(), key: "" },
        Item::Exchange { name: names.exchange().to_owned(), kind: ExchangeKind::Direct },
        Item::Queue { name: names.windows(), arguments: batches() },
        bound(names.windows(), Names::WINDOWS),
        Item::Queue { name: names.events(), arguments: batches() },
        bound(names.events(), Names::EVENTS),
    ]
}

/// Makes what is missing. What is there and may not be configured is taken as it is.
///
/// # Errors
/// The first thing that can't be made, or is there with other arguments.
pub async fn declare(connection: &Connection, names: &Names) -> Result<(), BrokerError> {
    let in_use = |error: Error| BrokerError::in_use(names, &error);
    let mut channel = connection.create_channel().await.map_err(in_use)?;
    for item in items(names) {
        let Err(error) = item.declare(&channel).await else { continue };
        let explained = Doing::Declaring(names, &item.shown()).explain(&error);
        if !is_soft(&error, &AMQPSoftError::ACCESSREFUSED) {
            return Err(explained);
        }
        // An error has closed the channel.
        channel = connection.create_channel().await.map_err(in_use)?;
        item.ask(&channel).await.map_err(|_| explained)?;
    }
    Ok(())
}

pub(crate) fn is_soft(error: &Error, wanted: &AMQPSoftError) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(said)
        if matches!(said.kind(), AMQPErrorKind::Soft(soft) if soft == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_exact_expressions_also_for_prefixes_with_dots() {
        let names = Names::new("shop.wk").unwrap();
        assert_eq!(names.collector_permission(), "^shop\\.wk(\\.|$)");
        assert_eq!(names.collector_write(), "^(shop\\.wk(\\.|$)|amq\\.default$)");
        assert_eq!(names.agent_configure(), "^shop\\.wk\\.reply\\.");
        assert_eq!(names.agent_write(), "^shop\\.wk$");
        assert_eq!(names.reply(255), "shop.wk.reply.00000000000000ff");
    }

    #[test]
    fn a_prefix_is_a_name() {
        for (prefix, fits) in [
            ("watchkeeper", true),
            ("a-b_c.d1", true),
            ("", false),
            ("1a", false),
            ("amq.x", false),
        ] {
            assert_eq!(Names::new(prefix).is_some(), fits, "{prefix}");
        }
    }
}
