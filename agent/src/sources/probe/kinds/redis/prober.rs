//! Who asks a Redis server.
//!
//! Owns the order (log in, choose a database, PING, and then what conditions read), and what a refusal means. Each attempt
//! has a connection of its own.

use serde_json::Value as Json;
use tokio::time::Instant;
use watchkeeper_agent_core::probe::{Expectations, Failure, Reason, Said, Seen};

use super::config::RedisProbe;
use super::info;
use super::resp::{Reply, Resp};
use crate::sources::probe::kinds::kind::{Asking, Prober};
use crate::sources::probe::net::{TlsClient, Wire};

/// Asks a Redis server.
pub(super) struct RedisProber {
    probe: RedisProbe,
    wants_info: bool,
    /// Made when it is needed first.
    client: Option<TlsClient>,
}

impl RedisProber {
    /// One who asks this.
    pub(super) fn new(probe: RedisProbe, expectations: &Expectations) -> Self {
        Self { probe, wants_info: expectations.reads("info"), client: None }
    }

    async fn attempt(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let way = &self.probe.way;
        let stream = way.reach(seen).await?;
        let stream = way.secure(stream, &mut self.client, seen).await?;
        let (mut server, whom) = (Resp::over(stream), way.host.to_string());
        let begun = Instant::now();
        self.log_in(&mut server, &whom, seen).await?;
        seen.waits_for = "its answer to PING";
        match said(&whom, server.ask(&whom, &["PING"]).await?)? {
            Reply::Simple(word) if word == "PONG" => {}
            other => {
                let what = format!("{whom} answers PING with {other:?}");
                return Err(Failure::new(Reason::Protocol, what));
            }
        }
        seen.passed("ping", begun.elapsed());
        if self.wants_info {
            seen.waits_for = "its answer to INFO";
            let reply = said(&whom, server.ask(&whom, &["INFO"]).await?)?;
            if let Reply::Text(text) | Reply::Simple(text) = reply {
                seen.say("info", Said::Json(info::fields(&text)));
            }
        }
        if !self.probe.command.is_empty() {
            seen.waits_for = "its answer to the command";
            let words: Vec<&str> = self.probe.command.iter().map(String::as_str).collect();
            let value = match said(&whom, server.ask(&whom, &words).await?)? {
                Reply::Int(whole) => Json::from(whole),
                Reply::Text(text) | Reply::Simple(text) => info::value(&text),
                Reply::Nil | Reply::Error(_) => Json::Null,
            };
            seen.say("value", Said::Json(value));
        }
        Ok(())
    }

    async fn log_in(
        &self,
        server: &mut Resp<Box<dyn Wire>>,
        whom: &str,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        if let Some(password) = &self.probe.password {
            seen.waits_for = "its answer to the password";
            let user = self.probe.username.as_deref();
            let words: Vec<&str> =
                std::iter::once("AUTH").chain(user).chain([password.expose()]).collect();
            let reply = server.ask(whom, &words).await?;
            if let Reply::Error(error) = reply {
                return Err(refused_login(whom, &error));
            }
        }
        if self.probe.database > 0 {
            let database = self.probe.database.to_string();
            said(whom, server.ask(whom, &["SELECT", &database]).await?)?;
        }
        Ok(())
    }
}

/// An answer that is no refusal.
fn said(whom: &str, reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::Error(error) => Err(refused(whom, &error)),
        other => Ok(other),
    }
}

/// What a refusal means: its first word says which it is.
fn refused(whom: &str, error: &str) -> Failure {
    let (reason, what) = match error.split(' ').next().unwrap_or_default() {
        "NOAUTH" => (Reason::Auth, "wants a password"),
        "WRONGPASS" => (Reason::Auth, "refuses user or password"),
        "NOPERM" => (Reason::Auth, "does not let this user do that"),
        "DENIED" => (Reason::Auth, "lets nobody in from elsewhere"),
        "LOADING" => (Reason::Status, "is starting up and still loads its data"),
        "MASTERDOWN" => (Reason::Status, "is a replica that has lost its master"),
        "MISCONF" => (Reason::Status, "can't save its data"),
        _ => (Reason::Status, "refuses"),
    };
    Failure::new(reason, format!("{whom} {what}: {}", shown(error)))
}

/// Before version 6 a wrong password had no word of its own.
fn refused_login(whom: &str, error: &str) -> Failure {
    let failure = refused(whom, error);
    if error.starts_with("ERR ") {
        let what = format!("{whom} refuses the password: {}", shown(error));
        return Failure::new(Reason::Auth, what);
    }
    failure
}

fn shown(error: &str) -> String {
    error.chars().take(200).collect::<String>().escape_debug().to_string()
}

impl Prober for RedisProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.attempt(seen))
    }
}
