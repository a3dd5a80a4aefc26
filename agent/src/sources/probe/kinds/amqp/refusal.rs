//! What an error of a broker means.
//!
//! Owns the words. Never shows a password: addresses are told by their host.

use std::io;

use watchkeeper_agent_core::probe::{Failure, Reason};
use watchkeeper_amqp::lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use watchkeeper_amqp::lapin::{Error, ErrorKind};
use watchkeeper_amqp::{BrokerError, Cause};

use crate::sources::probe::net::of_io;

/// What it means that no connection came about; `whom` is asked.
pub(super) fn of_connecting(whom: &str, error: &BrokerError) -> Failure {
    let reason = reason(whom, error.cause);
    Failure::new(reason, error.message.clone())
}

/// What it means that a broker ends what was asked on a connection.
pub(super) fn of_asking(whom: &str, error: &Error) -> Failure {
    let ErrorKind::ProtocolError(said) = error.kind() else {
        return Failure::new(reason(whom, Cause::of(error)), format!("{whom}: {error}"));
    };
    let (reason, what) = match said.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => (Reason::Status, "has none"),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            (Reason::Auth, "does not let this user do that")
        }
        AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => {
            (Reason::Status, "keeps it for another connection")
        }
        _ => (Reason::Status, "refuses"),
    };
    let sentence: String = said.get_message().as_str().chars().take(200).collect();
    Failure::new(reason, format!("{whom} {what}: {}", sentence.escape_debug()))
}

fn reason(whom: &str, cause: Cause) -> Reason {
    match cause {
        Cause::Socket(kind) => of_io(whom, &io::Error::from(kind)).reason,
        Cause::Late => Reason::Timeout,
        Cause::Denied => Reason::Auth,
        Cause::Other => Reason::Protocol,
    }
}
