//! Roads to the collector.
//!
//! Owns what every road offers: a connection that carries messages both ways. Never decides what is sent: the core does.

pub mod amqp;
pub mod grpc;
mod parting;
pub mod several;

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;
use watchkeeper_proto::v1;

/// How many messages may wait for the wire. More than are ever in flight: a full queue is a dead connection.
pub const OUTGOING: usize = 128;

/// An open road.
#[derive(Debug)]
pub struct Connection {
    /// What is put here goes out in order.
    pub outgoing: mpsc::Sender<v1::ToCollector>,
    /// What comes in; an error or the end closes the connection.
    pub incoming: mpsc::Receiver<Result<v1::ToAgent, TransportError>>,
    /// Where it leads, for people and without secrets.
    pub road: String,
    /// What it is.
    pub kind: RoadKind,
}

/// The kinds of roads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoadKind {
    /// Directly, by gRPC.
    Grpc,
    /// By RabbitMQ.
    Amqp,
}

impl RoadKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Grpc, Self::Amqp];

    /// Its word in files and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Amqp => "amqp",
        }
    }
}

/// Why a road is closed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{road}: {message}")]
pub struct TransportError {
    /// Which road and where it leads, without secrets.
    pub road: String,
    /// What happened.
    pub message: String,
    /// Whether trying again soon makes no sense: credentials or configuration are wrong.
    pub is_permanent: bool,
}

/// A road that can be opened.
pub trait Transport: Send + Sync {
    /// Where it leads, for people.
    fn describe(&self) -> String;

    /// Opens it.
    fn connect(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, TransportError>> + Send + '_>>;
}
