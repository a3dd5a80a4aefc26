//! The exchange with a mail server: RFC 5321 with STARTTLS (RFC 3207) and AUTH (RFC 4954).
//!
//! Owns what is said in which order, deadlines on each step, and bounds on what is read. By hand and not by `lettre`'s
//! transport: that one loses the order in which the server offers its ways to authenticate, knows no CRAM-MD5, reads a
//! line without end into memory, keeps what it read before STARTTLS for after it, and stops at the first recipient that
//! is refused. Never decides what is worth a retry: `client` does.

mod failure;
mod reply;
mod sasl;
mod session;
mod wire;

pub(super) use failure::{Failure, Stage, Trouble};
pub(super) use reply::Reply;
pub(super) use sasl::Credentials;
pub(super) use session::{Security, Server, Session};
