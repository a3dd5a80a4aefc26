//! Who asks by TCP.
//!
//! Owns the order: connect, go over to TLS, talk. Each attempt has a connection of its own.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use watchkeeper_agent_core::probe::{Expectations, Failure, Said, Seen};

use super::config::TcpProbe;
use super::dialog::Talk;
use crate::sources::probe::kinds::kind::{Asking, Prober};
use crate::sources::probe::net::{TlsClient, reach};

/// Asks by TCP.
pub(super) struct TcpProber {
    probe: TcpProbe,
    /// A condition reads what is said.
    wants_output: bool,
    /// Made when it is needed first.
    client: Option<TlsClient>,
}

impl TcpProber {
    /// One who asks this.
    pub(super) fn new(probe: TcpProbe, expectations: &Expectations) -> Self {
        Self { probe, wants_output: expectations.reads("output"), client: None }
    }

    async fn attempt(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let host = &self.probe.host;
        let whom = host.to_string();
        let mut stream = reach(host, self.probe.address, seen).await?;
        if let Some(protocol) = self.probe.starttls {
            seen.waits_for = "its consent to TLS";
            stream = protocol.ask(stream, &whom).await?;
        }
        let Some(tls) = &self.probe.tls else { return self.talk(stream, &whom, seen).await };
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(TlsClient::new(tls, &[])?),
        };
        let stream = client.agree(stream, &host.host, seen).await?;
        self.talk(stream, &whom, seen).await
    }

    async fn talk<S>(&self, stream: S, whom: &str, seen: &mut Seen) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut talk = Talk::over(stream);
        let begun = Instant::now();
        let mut came = Ok(());
        if self.probe.dialog.is_empty() && self.wants_output {
            seen.waits_for = "its first line";
            came = talk.any_line(whom).await;
        }
        for word in &self.probe.dialog {
            seen.waits_for = "what the dialog expects";
            came = talk.say(whom, word).await;
            if came.is_err() {
                break;
            }
        }
        seen.say("output", Said::Text(talk.output()));
        if !self.probe.dialog.is_empty() || self.wants_output {
            seen.passed("dialog", begun.elapsed());
        }
        came
    }
}

impl Prober for TcpProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.attempt(seen))
    }
}
