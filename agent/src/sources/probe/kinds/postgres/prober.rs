//! Who asks a PostgreSQL server.
//!
//! Owns the order: connect, log in, ask the server about itself if a condition reads that, and then the query, in a transaction
//! that may change nothing and that the server itself ends when time is up. Each attempt has a connection of its own.

use futures_util::{StreamExt as _, pin_mut};
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use watchkeeper_agent_core::probe::{Expectations, Failure, Said, Seen};

use super::answer::{MAX_ROWS, SELF, say_first, say_self, wants_self};
use super::config::PostgresProbe;
use super::frames::Frames;
use super::refusal::of_postgres;
use crate::sources::probe::kinds::kind::{Asking, Prober};
use crate::sources::probe::kinds::tcp::StartTls;
use crate::sources::probe::net::TlsClient;

/// Asks a PostgreSQL server.
pub(super) struct PostgresProber {
    probe: PostgresProbe,
    config: Config,
    wants_self: bool,
    /// How a transaction begins in which nothing may be changed, and no query goes on that nobody waits for any more.
    begin: String,
    /// Made when it is needed first.
    client: Option<TlsClient>,
}

impl PostgresProber {
    /// One who asks this.
    pub(super) fn new(probe: PostgresProbe, expectations: &Expectations) -> Self {
        let mut config = Config::new();
        config.user(&probe.user).application_name("watchkeeper");
        // TLS is agreed on before the library has the stream.
        config.ssl_mode(SslMode::Disable);
        probe.database.iter().for_each(|name| _ = config.dbname(name));
        probe.password.iter().for_each(|password| _ = config.password(password.expose()));
        let ms = expectations.within.as_millis().max(1);
        let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {ms}");
        Self { probe, config, wants_self: wants_self(expectations), begin, client: None }
    }

    async fn attempt(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let way = &self.probe.way;
        let whom = way.host.to_string();
        let mut stream = way.reach(seen).await?;
        if way.tls.is_some() {
            seen.waits_for = "its consent to TLS";
            stream = StartTls::Postgres.ask(stream, &whom).await?;
        }
        let stream = Frames::of(way.secure(stream, &mut self.client, seen).await?);
        seen.waits_for = "its answer to user and password";
        let begun = Instant::now();
        let opened = self.config.connect_raw(stream, NoTls).await;
        let (client, connection) = opened.map_err(|error| of_postgres(&whom, &error))?;
        seen.passed("login", begun.elapsed());
        let begun = Instant::now();
        {
            let asked = self.ask_all(&client, &whom, seen);
            // Both here, so that nothing is left when this is dropped.
            pin_mut!(asked, connection);
            tokio::select! {
                came = &mut asked => came,
                ended = connection => match ended {
                    // It has nothing more to say; what it said may still be looked at.
                    Ok(()) => asked.await,
                    Err(error) => Err(of_postgres(&whom, &error)),
                },
            }
        }?;
        seen.passed("query", begun.elapsed());
        Ok(())
    }

    async fn ask_all(&self, client: &Client, whom: &str, seen: &mut Seen) -> Result<(), Failure> {
        let failed = |error| of_postgres(whom, &error);
        seen.waits_for = "its answer to BEGIN";
        client.batch_execute(&self.begin).await.map_err(failed)?;
        if self.wants_self {
            seen.waits_for = "what it says of itself";
            for message in client.simple_query(SELF).await.map_err(failed)? {
                if let SimpleQueryMessage::Row(row) = message {
                    say_self(&row, seen);
                }
            }
        }
        match &self.probe.query {
            Some(query) => self.ask(client, query, whom, seen).await,
            None => Ok(()),
        }
    }

    async fn ask(
        &self,
        client: &Client,
        query: &str,
        whom: &str,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        seen.waits_for = "its answer to the query";
        // A second statement could end the transaction and change something: what is prepared is one.
        client.prepare(query).await.map_err(|error| of_postgres(whom, &error))?;
        let answer = client.simple_query_raw(query).await;
        let answer = answer.map_err(|error| of_postgres(whom, &error))?;
        pin_mut!(answer);
        let mut n_rows = 0;
        while let Some(message) = answer.next().await {
            let SimpleQueryMessage::Row(row) =
                message.map_err(|error| of_postgres(whom, &error))?
            else {
                continue;
            };
            if n_rows == 0 {
                say_first(&row, seen);
            }
            n_rows += 1;
            if n_rows > MAX_ROWS {
                seen.cut.push("rows");
                break;
            }
        }
        let n_rows = i64::try_from(n_rows.min(MAX_ROWS)).unwrap_or(0);
        seen.say("rows", Said::Int(n_rows));
        Ok(())
    }
}

impl Prober for PostgresProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.attempt(seen))
    }
}
