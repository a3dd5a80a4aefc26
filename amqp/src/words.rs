//! What the broker's errors mean for people.
//!
//! Owns the wording: what was attempted, what the broker said, and what would be right. Never shows an address with its
//! password.

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

use crate::{Address, Names};

/// What went wrong with a broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BrokerError {
    /// What happened, and what would be right.
    pub message: String,
    /// Whether trying again soon makes no sense: credentials, permissions or arguments are wrong.
    pub is_permanent: bool,
    /// In which way it went wrong.
    pub cause: Cause,
}

/// In which way something goes wrong with a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its socket: nobody listens, it was closed, TLS was not agreed on.
    Socket(std::io::ErrorKind),
    /// It does not answer in time.
    Late,
    /// It knows this user not, or does not let them do that.
    Denied,
    /// Anything else.
    Other,
}

impl Cause {
    /// In which way lapin's error is one.
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::IOError(error) => Self::Socket(error.kind()),
            ErrorKind::MissingHeartbeatError => Self::Late,
            ErrorKind::ProtocolError(said) => match said.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Self::Denied,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

impl BrokerError {
    /// Something that may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: false, cause: Cause::Other }
    }

    /// Something that somebody has to put right.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: true, cause: Cause::Other }
    }

    /// The same, in this way.
    #[must_use]
    pub fn by(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// What a connection or channel in use ended with.
    pub fn in_use(names: &Names, error: &Error) -> Self {
        Doing::Using(names).explain(error)
    }
}

/// What was attempted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing<'a> {
    Connecting(&'a Address),
    /// A queue or an exchange, by name.
    Declaring(&'a Names, &'a str),
    Using(&'a Names),
}

impl Doing<'_> {
    pub(crate) fn explain(self, error: &Error) -> BrokerError {
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return BrokerError::passing(self.subject(&of_kind(error))).by(Cause::of(error));
        };
        let text = said.get_message().as_str();
        let (help, is_permanent) = self.help(said.kind());
        let message = self.subject(&format!("{text}{help}"));
        BrokerError { message, is_permanent, cause: Cause::of(error) }
    }

    fn subject(self, text: &str) -> String {
        match self {
            Self::Connecting(address) => format!("{}: {text}", address.shown()),
            Self::Declaring(_, what) => format!("{what}: {text}"),
            Self::Using(_) => format!("the broker ended the connection: {text}"),
        }
    }

    /// What would be right, and whether nothing else will help.
    fn help(self, kind: &AMQPErrorKind) -> (String, bool) {
        match (self, kind) {
            (Self::Connecting(address), AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => (
                format!(" (user {:?} or its password is wrong; `rabbitmqctl authenticate_user` tries them)", address.user()),
                true,
            ),
            (Self::Connecting(address), AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)) => (
                format!(
                    " (the virtual host {0:?} must exist and user {1:?} must have permissions in it: \
                     `rabbitmqctl add_vhost {0}`, `rabbitmqctl set_permissions -p {0} {1} …`)",
                    address.vhost(),
                    address.user()
                ),
                true,
            ),
            (Self::Declaring(names, _), AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)) => (
                format!(
                    " (it exists with other arguments: let it run empty and delete it, or name another `prefix` than {:?}; \
                     `watchkeeper check --connect` says what differs)",
                    names.prefix()
                ),
                true,
            ),
            (Self::Declaring(names, _) | Self::Using(names), AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => (
                format!(
                    " (permissions that fit a collector: configure, write and read {:?}; an agent: configure {:?}, write {:?}, read {:?})",
                    names.collector_permission(),
                    names.agent_configure(),
                    names.agent_write(),
                    names.agent_configure(),
                ),
                true,
            ),
            (Self::Declaring(..) | Self::Using(_), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)) => (
                " (a collector with `intake.amqp` makes it when it starts; `watchkeeper check --connect --definitions` prints it for import)".to_owned(),
                false,
            ),
            _ => (String::new(), false),
        }
    }
}

fn of_kind(error: &Error) -> String {
    match error.kind() {
        ErrorKind::IOError(error) => of_io(error),
        ErrorKind::MissingHeartbeatError => {
            "it has not given a sign of life for too long".to_owned()
        }
        ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => {
            "it is closed".to_owned()
        }
        _ => error.to_string(),
    }
}

/// A socket's error, without what others put before it.
pub(crate) fn of_io(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => {
            "the broker closed the connection; its log says why".to_owned()
        }
        _ => error.to_string(),
    }
}
