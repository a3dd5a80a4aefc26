//! Whether broker, topology and permissions fit, without changing anything that lasts.
//!
//! Owns the questions and their answers for people. What it makes to try permissions goes with its connection.

use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, Connection};

use crate::message::{MessageKind, properties};
use crate::topology::{Item, is_soft, items};
use crate::words::{BrokerError, Doing};
use crate::{Broker, BrokerSettings, Names};

/// How long the broker may take to take a message.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long all of it may take.
const DEADLINE_OF_ALL: Duration = Duration::from_secs(20);

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// An agent's.
    Agent,
    /// A collector's.
    Collector,
}

/// One thing that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Good(String),
    /// It will do, and yet.
    Noted(String),
    /// It will not do, and what would be right.
    Bad(String),
}

/// Connects and looks at everything that this side needs. `random` makes a queue's name its own.
pub async fn check(settings: &BrokerSettings, side: Side, random: u64) -> Vec<Finding> {
    let mut found = Vec::new();
    let opened = match Broker::build(settings) {
        Err(error) => Err(BrokerError::lasting(error)),
        Ok(broker) => broker.connect("watchkeeper check").await,
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![Finding::Bad(error.message)],
    };
    found.push(Finding::Good(format!("{}: connected", opened.address)));
    let look = Look { connection: &opened.connection, names: &settings.names };
    let looking = async {
        match side {
            Side::Agent => look.as_agent(random, &mut found).await,
            Side::Collector => look.as_collector(random, &mut found).await,
        }
    };
    let result = tokio::time::timeout(DEADLINE_OF_ALL, looking).await;
    let silent = || {
        BrokerError::passing(
            "the broker does not answer: has a queue lost its quorum? (`rabbitmq-queues quorum_status` says)",
        )
    };
    if let Err(error) = result.unwrap_or_else(|_| Err(silent())) {
        found.push(Finding::Bad(error.message));
    }
    found
}

struct Look<'a> {
    connection: &'a Connection,
    names: &'a Names,
}

impl Look<'_> {
    async fn channel(&self) -> Result<Channel, BrokerError> {
        let created = self.connection.create_channel().await;
        created.map_err(|e| BrokerError::in_use(self.names, &e))
    }

    async fn as_agent(&self, random: u64, found: &mut Vec<Finding>) -> Result<(), BrokerError> {
        let exchange = |item: &Item| matches!(item, Item::Exchange { name, .. } if name == self.names.exchange());
        for item in items(self.names).iter().filter(|item| exchange(item)) {
            found.push(self.is_there(item).await?);
        }
        let reply = self.names.reply(random);
        let channel = self.own_queue(&reply, found).await?;
        let Some(channel) = channel else { return Ok(()) };
        let listens = self.publish(&channel, self.names.exchange(), Names::CONTROL).await?;
        found.push(match listens {
            Ok(true) => Finding::Good("a collector listens".to_owned()),
            Ok(false) => Finding::Noted("no collector listens at present".to_owned()),
            Err(bad) => bad,
        });
        Ok(())
    }

    async fn as_collector(&self, random: u64, found: &mut Vec<Finding>) -> Result<(), BrokerError> {
        for item in items(self.names) {
            if matches!(item, Item::Binding { .. }) {
                continue;
            }
            let there = self.is_there(&item).await?;
            let fits = matches!(there, Finding::Good(_));
            found.push(if fits { self.has_our_arguments(&item).await? } else { there });
        }
        self.is_listening(found).await?;
        let own = self.names.named(&format!("check.{random:016x}"));
        let Some(channel) = self.own_queue(&own, found).await? else { return Ok(()) };
        found.push(match self.publish(&channel, "", &own).await? {
            Ok(_) => Finding::Good("answers may be sent".to_owned()),
            Err(bad) => bad,
        });
        Ok(())
    }

    async fn is_there(&self, item: &Item) -> Result<Finding, BrokerError> {
        let channel = self.channel().await?;
        Ok(match item.ask(&channel).await {
            Ok(()) => Finding::Good(format!("{}: is there", item.shown())),
            Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => Finding::Bad(format!(
                "{}: is missing (a collector whose user may configure {:?} makes it when it starts; or import what --definitions prints)",
                item.shown(),
                self.names.collector_permission(),
            )),
            Err(error) => self.bad(item, &error),
        })
    }

    /// Declares again what is there: nothing happens if the arguments are ours.
    async fn has_our_arguments(&self, item: &Item) -> Result<Finding, BrokerError> {
        let channel = self.channel().await?;
        Ok(match item.declare(&channel).await {
            Ok(()) => Finding::Good(format!("{}: is there, with our arguments", item.shown())),
            Err(error) if is_soft(&error, &AMQPSoftError::ACCESSREFUSED) => {
                Finding::Noted(format!(
                    "{}: is there; whether its arguments are ours can't be asked without the permission to configure it",
                    item.shown()
                ))
            }
            Err(error) => self.bad(item, &error),
        })
    }

    fn bad(&self, item: &Item, error: &lapin::Error) -> Finding {
        Finding::Bad(Doing::Declaring(self.names, &item.shown()).explain(error).message)
    }

    async fn is_listening(&self, found: &mut Vec<Finding>) -> Result<(), BrokerError> {
        let item = Item::Queue { name: self.names.control(), arguments: Vec::new() };
        let channel = self.channel().await?;
        match item.ask(&channel).await {
            Err(error) if is_soft(&error, &AMQPSoftError::RESOURCELOCKED) => {
                found.push(Finding::Noted("a collector listens here already".to_owned()));
            }
            Ok(()) | Err(_) => {}
        }
        Ok(())
    }

    /// Makes a queue that goes with the connection, and listens to it.
    async fn own_queue(
        &self,
        name: &str,
        found: &mut Vec<Finding>,
    ) -> Result<Option<Channel>, BrokerError> {
        let channel = self.channel().await?;
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let none = FieldTable::default;
        let mut result = channel.queue_declare(name.into(), options, none()).await.map(|_| ());
        if result.is_ok() {
            let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
            let consumer = channel.basic_consume(name.into(), "".into(), options, none()).await;
            result = consumer.map(drop);
        }
        let shown = "a queue of its own".to_owned();
        Ok(match result {
            Ok(()) => {
                found.push(Finding::Good(format!("{shown}: may be made and read")));
                Some(self.channel().await?)
            }
            Err(error) => {
                let error = Doing::Declaring(self.names, &shown).explain(&error);
                found.push(Finding::Bad(error.message));
                None
            }
        })
    }

    /// Publishes a message that says nothing; whether somebody was there to take it.
    async fn publish(
        &self,
        channel: &Channel,
        exchange: &str,
        key: &str,
    ) -> Result<Result<bool, Finding>, BrokerError> {
        let published = async {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let ping = properties(MessageKind::Ping, &[]);
            let (exchange, key) = (exchange.into(), key.into());
            channel.basic_publish(exchange, key, options, &[], ping).await?.await
        };
        Ok(match tokio::time::timeout(DEADLINE, published).await {
            Ok(Ok(Confirmation::Ack(None))) => Ok(true),
            Ok(Ok(_)) => Ok(false),
            Ok(Err(error)) => Err(Finding::Bad(BrokerError::in_use(self.names, &error).message)),
            Err(_) => Err(Finding::Bad(
                "the broker takes in nothing at present: its memory or disk alarm may be on (`rabbitmqctl list_alarms` or its log says)".to_owned(),
            )),
        })
    }
}
