//! Who asks by HTTP.
//!
//! Owns the order: connect, or go on over what is there, ask, read, follow. A connection that was kept and turns out to be
//! closed says nothing about the service: then it asks once more over a new one.

use hyper::Response;
use hyper::body::Incoming;
use tokio::time::Instant;
use url::Url;
use watchkeeper_agent_core::probe::{Carried, Expectations, Failure, Reason, Said, Seen};

use super::answer::{Wanted, read_body, say_head};
use super::config::{HttpProbe, Version, shown};
use super::connection::{Connection, of_http};
use super::request::Ask;
use crate::sources::probe::kinds::kind::{Asking, Prober};
use crate::sources::probe::net::{HostPort, TlsClient, reach};

/// Asks by HTTP.
pub(in super::super) struct HttpProber {
    probe: HttpProbe,
    wanted: Wanted,
    /// Made when it is needed first.
    tls: Option<TlsClient>,
    kept: Option<(Url, Connection)>,
}

impl HttpProber {
    /// One who asks this; what no condition reads is not kept.
    pub(in super::super) fn new(probe: HttpProbe, expectations: &Expectations) -> Self {
        Self { probe, wanted: Wanted::by(expectations), tls: None, kept: None }
    }

    /// The same, and keeps the whole answer of which these names are parts.
    pub(in super::super) fn keeping(mut self, names: &[&str]) -> Self {
        self.wanted.body |= names.contains(&"body");
        self.wanted.json |= names.contains(&"json");
        self
    }

    /// Asks with what earlier steps carry.
    pub(in super::super) async fn ask_with(
        &mut self,
        carried: &Carried,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        let ask = Ask::of(&self.probe.carrying(carried)?);
        self.journey(ask, seen).await
    }

    async fn journey(&mut self, mut ask: Ask, seen: &mut Seen) -> Result<(), Failure> {
        self.kept.take_if(|_| !self.probe.reuse);
        let mut n_redirects = 0;
        loop {
            let (answer, connection) = self.answered(&ask, seen).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let host = ask.host().0;
            say_head(status, answer.version(), &headers, seen);
            seen.say("url", Said::Text(shown(&ask.url)));
            seen.say("redirects", Said::Int(i64::from(n_redirects)));
            let from = ask.url.clone();
            let next = if self.probe.redirects > 0 { ask.follow(status, &headers) } else { None };
            seen.waits_for = "the rest of the answer";
            let body = answer.into_body();
            let is_whole = read_body(body, self.probe.max_body, self.wanted, &host, seen).await?;
            if is_whole && (self.probe.reuse || ask.is_beside(&from)) {
                self.kept = Some((from, connection));
            }
            match next {
                None => break,
                Some(leads) => leads?,
            }
            n_redirects += 1;
            if n_redirects > self.probe.redirects {
                let what = format!("it redirects more than {} times", self.probe.redirects);
                return Err(Failure::new(Reason::Protocol, what));
            }
        }
        self.kept.take_if(|_| !self.probe.reuse);
        Ok(())
    }

    /// Sends a request and waits for the head of its answer.
    async fn answered(
        &mut self,
        ask: &Ask,
        seen: &mut Seen,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        let host = ask.host().0;
        if let Some(mut connection) = self.taken(ask).await {
            seen.waits_for = "the first byte";
            let begun = Instant::now();
            let message = ask.message(connection.version())?;
            match connection.send(message).await {
                Ok(answer) => {
                    if let Some(tls) = self.tls.as_ref().filter(|_| ask.url.scheme() == "https") {
                        tls.say_again(seen);
                    }
                    seen.passed("first_byte", begun.elapsed());
                    return Ok((answer, connection));
                }
                // Closed meanwhile. Had it begun to answer, it would not be this.
                Err(error) if of_http(&host, &error).reason == Reason::Reset => {}
                Err(error) => return Err(of_http(&host, &error)),
            }
        }
        let mut connection = self.connect(ask, seen).await?;
        seen.waits_for = "the first byte";
        let begun = Instant::now();
        let message = ask.message(connection.version())?;
        let answer = connection.send(message).await.map_err(|error| of_http(&host, &error))?;
        seen.passed("first_byte", begun.elapsed());
        Ok((answer, connection))
    }

    /// The connection that was kept, if it leads there and is still open.
    async fn taken(&mut self, ask: &Ask) -> Option<Connection> {
        let (url, mut connection) = self.kept.take()?;
        (ask.is_beside(&url) && connection.is_ready().await).then_some(connection)
    }

    async fn connect(&mut self, ask: &Ask, seen: &mut Seen) -> Result<Connection, Failure> {
        let (host, port) = ask.host();
        // An address given for the target is not one for wherever it redirects to.
        let at = self.probe.address.filter(|_| ask.is_beside(&self.probe.url));
        let target = HostPort { host, port };
        let stream = reach(&target, at, seen).await?;
        if ask.url.scheme() != "https" {
            let is_two = self.probe.version == Version::Two;
            return Connection::begin(stream, is_two, &target.host).await;
        }
        let tls = match &self.tls {
            Some(tls) => tls,
            None => {
                let protocols: &[&str] = match self.probe.version {
                    Version::Best => &["h2", "http/1.1"],
                    Version::One => &["http/1.1"],
                    Version::Two => &["h2"],
                };
                self.tls.insert(TlsClient::new(&self.probe.tls, protocols)?)
            }
        };
        let stream = tls.agree(stream, &target.host, seen).await?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let is_two = agreed || self.probe.version == Version::Two;
        Connection::begin(stream, is_two, &target.host).await
    }
}

impl Prober for HttpProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        let ask = Ask::of(&self.probe);
        Box::pin(self.journey(ask, seen))
    }
}
