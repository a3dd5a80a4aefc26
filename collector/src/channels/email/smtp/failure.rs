//! How an exchange with a mail server can fail.
//!
//! Owns the stages and kinds of failure. Never says what follows from one.

use std::fmt;
use std::time::Duration;

use super::reply::Reply;

/// How far the exchange had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::channels::email) enum Stage {
    /// Name lookup and connection.
    Connect,
    /// The server's first word.
    Greeting,
    /// EHLO.
    Hello,
    /// STARTTLS, up to its answer.
    StartTls,
    /// The TLS handshake.
    Tls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, up to the word to go ahead.
    Data,
    /// The mail itself and the answer to it.
    Content,
}

/// As it stands in messages for people.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connection",
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Tls => "TLS",
            Self::Auth => "AUTH",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Content => "end of the mail",
        })
    }
}

/// What went wrong on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::channels::email) enum Trouble {
    /// No answer in time.
    Late(Duration),
    /// No connection, or it broke off.
    Broken(String),
    /// What came is no SMTP.
    Garbage(String),
    /// The server said no.
    Refused(Reply),
    /// The other side's certificate, or TLS itself, is not as asked for.
    Untrusted(String),
    /// What we insist on is not to be had from this server.
    Unmet(String),
}

/// An exchange failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::channels::email) struct Failure {
    /// Where.
    pub(in crate::channels::email) stage: Stage,
    /// How.
    pub(in crate::channels::email) trouble: Trouble,
}

impl Trouble {
    /// With the stage it happened in.
    pub(super) const fn at(self, stage: Stage) -> Failure {
        Failure { stage, trouble: self }
    }
}
