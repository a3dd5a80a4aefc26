//! What an error of PostgreSQL means.
//!
//! Owns the words for the states a server tells by its codes (PostgreSQL, Appendix A). Never shows more than the server's own
//! sentence.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};
use watchkeeper_agent_core::probe::{Failure, Reason};

use crate::sources::probe::net::of_io;

/// What an error is; `whom` is asked.
pub(super) fn of_postgres(whom: &str, error: &Error) -> Failure {
    if let Some(said) = error.as_db_error() {
        return of_server(whom, said);
    }
    let mut cause = error.source();
    while let Some(source) = cause {
        if let Some(io) = source.downcast_ref::<io::Error>() {
            return of_io(whom, io);
        }
        cause = source.source();
    }
    if error.is_closed() {
        let what = format!("{whom} closed the connection before it had answered");
        return Failure::new(Reason::Reset, what);
    }
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let reason = if cause.contains("password missing") { Reason::Auth } else { Reason::Protocol };
    Failure::new(reason, format!("{whom}: {error}{cause}"))
}

fn of_server(whom: &str, said: &DbError) -> Failure {
    let code = said.code();
    let is = |all: &[SqlState]| all.contains(code);
    let (reason, what) = match () {
        () if is(&[SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION]) => {
            (Reason::Auth, "refuses user or password")
        }
        () if is(&[SqlState::INSUFFICIENT_PRIVILEGE]) => {
            (Reason::Auth, "does not let this user do that")
        }
        () if is(&[SqlState::CANNOT_CONNECT_NOW]) => (Reason::Status, "is not ready"),
        () if is(&[SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN]) => {
            (Reason::Status, "is being stopped")
        }
        () if is(&[SqlState::TOO_MANY_CONNECTIONS]) => (Reason::Status, "has no connection left"),
        () if is(&[SqlState::INVALID_CATALOG_NAME]) => (Reason::Status, "has no such database"),
        () if is(&[SqlState::READ_ONLY_SQL_TRANSACTION]) => {
            (Reason::Status, "lets a probe change nothing")
        }
        () if is(&[SqlState::QUERY_CANCELED]) => (Reason::Timeout, "has ended the query"),
        () => (Reason::Status, "refuses"),
    };
    let sentence: String = said.message().chars().take(200).collect();
    Failure::new(reason, format!("{whom} {what}: {} ({})", sentence.escape_debug(), code.code()))
}
