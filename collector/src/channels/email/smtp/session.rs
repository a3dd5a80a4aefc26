//! One session with a mail server, from connection to QUIT.
//!
//! Owns the order of commands and what the server must offer. Every step ends by the deadline. Never tries twice.

use std::sync::Arc;
use std::time::Duration;

use lettre::Address;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::failure::{Failure, Stage, Trouble};
use super::reply::{Offers, Reply};
use super::sasl::{Credentials, Mechanism};
use super::wire::Wire;

/// Longest wait for one address of a name: the next one may answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Longest wait for the answer to QUIT: all is said already.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// Codes of AUTH that mean "not this way" rather than "not you" (RFC 4954, section 6).
const OTHER_WAY: [u16; 3] = [504, 534, 538];

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::channels::email) enum Security {
    /// At once.
    Implicit,
    /// By STARTTLS, without which nothing is sent.
    StartTls,
    /// Never.
    None,
}

/// A mail server and how to speak to it.
#[derive(Clone, Debug)]
pub(in crate::channels::email) struct Server {
    pub(in crate::channels::email) host: String,
    pub(in crate::channels::email) port: u16,
    /// What we call ourselves.
    pub(in crate::channels::email) hello: String,
    pub(in crate::channels::email) security: Security,
    pub(in crate::channels::email) tls: Arc<ClientConfig>,
    /// Whose certificate it must show.
    pub(in crate::channels::email) tls_name: ServerName<'static>,
    pub(in crate::channels::email) credentials: Option<Credentials>,
}

/// A session in which mail may be sent.
#[derive(Debug)]
pub(in crate::channels::email) struct Session {
    wire: Wire,
}

impl Session {
    /// Connects, says hello, goes into TLS and authenticates, as the server is configured.
    pub(in crate::channels::email) async fn open(
        server: &Server,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let (mut wire, is_loopback) = connect(server, deadline).await?;
        if server.security == Security::Implicit {
            wire = secure(wire, server).await?;
        }
        expect(wire.reply().await, Stage::Greeting)?;
        let mut session = Self { wire };
        let mut offers = session.hello(server).await?;
        if server.security == Security::StartTls {
            (session, offers) = session.start_tls(server, &offers).await?;
        }
        let is_private = is_loopback || server.security != Security::None;
        if let Some(credentials) = &server.credentials {
            session.authenticate(credentials, &offers, is_private).await?;
        }
        Ok(session)
    }

    /// Names sender and recipients; answers what the server says to each recipient.
    pub(in crate::channels::email) async fn envelope(
        &mut self,
        from: &Address,
        to: &[&Address],
    ) -> Result<Vec<Reply>, Failure> {
        let sender = format!("MAIL FROM:<{from}>");
        expect(self.wire.command(&sender).await, Stage::Sender)?;
        let mut replies = Vec::with_capacity(to.len());
        for address in to {
            let reply = self.wire.command(&format!("RCPT TO:<{address}>")).await;
            let reply = reply.map_err(|trouble| trouble.at(Stage::Recipient))?;
            if reply.is_goodbye() || reply.is_question() {
                return Err(Trouble::Refused(reply).at(Stage::Recipient));
            }
            replies.push(reply);
        }
        Ok(replies)
    }

    /// Sends the mail to those who were taken; answers the server's last word.
    pub(in crate::channels::email) async fn content(
        &mut self,
        mail: &[u8],
    ) -> Result<Reply, Failure> {
        let reply = self.wire.command("DATA").await.map_err(|trouble| trouble.at(Stage::Data))?;
        if reply.code != 354 {
            return Err(Trouble::Refused(reply).at(Stage::Data));
        }
        expect(self.wire.content(mail).await, Stage::Content)
    }

    /// Takes leave; whatever comes of that no longer matters.
    pub(in crate::channels::email) async fn quit(mut self) {
        self.wire.shorten(Instant::now() + GOODBYE_TIMEOUT);
        let _ = self.wire.command("QUIT").await;
    }

    /// EHLO, or HELO for a server that does not know it and need not.
    async fn hello(&mut self, server: &Server) -> Result<Offers, Failure> {
        let reply = self.wire.command(&format!("EHLO {}", server.hello)).await;
        let reply = reply.map_err(|trouble| trouble.at(Stage::Hello))?;
        let needs_offers = server.security == Security::StartTls || server.credentials.is_some();
        if matches!(reply.code, 500 | 502) && !needs_offers {
            let helo = self.wire.command(&format!("HELO {}", server.hello)).await;
            return expect(helo, Stage::Hello).map(|_| Offers::default());
        }
        expect(Ok(reply), Stage::Hello).map(|reply| Offers::of(&reply))
    }

    /// Into TLS, and hello once more: what was offered in clear does not count any more.
    async fn start_tls(
        mut self,
        server: &Server,
        offers: &Offers,
    ) -> Result<(Self, Offers), Failure> {
        if !offers.starttls {
            let unmet = Trouble::Unmet("the server does not offer STARTTLS".into());
            return Err(unmet.at(Stage::StartTls));
        }
        expect(self.wire.command("STARTTLS").await, Stage::StartTls)?;
        let mut session = Self { wire: secure(self.wire, server).await? };
        let offers = session.hello(server).await?;
        Ok((session, offers))
    }

    /// The first way in the server's order that we can go and that it takes.
    async fn authenticate(
        &mut self,
        credentials: &Credentials,
        offers: &Offers,
        is_private: bool,
    ) -> Result<(), Failure> {
        let possible: Vec<Mechanism> = offers
            .auth
            .iter()
            .filter_map(|name| Mechanism::named(name))
            .filter(|mechanism| credentials.can(*mechanism))
            .collect();
        let usable = possible.iter().filter(|way| is_private || !way.shows_password());
        let mut refused = None;
        for mechanism in usable {
            let reply = self.prove(credentials, *mechanism).await?;
            if reply.is_success() {
                return Ok(());
            }
            if !OTHER_WAY.contains(&reply.code) {
                return Err(Trouble::Refused(reply).at(Stage::Auth));
            }
            refused = Some(reply);
        }
        Err(match refused {
            Some(reply) => Trouble::Refused(reply),
            None if possible.is_empty() => Trouble::Unmet(format!(
                "the server offers no way to authenticate that can be used here: it has {}",
                if offers.auth.is_empty() { "none".to_owned() } else { offers.auth.join(" ") }
            )),
            None => Trouble::Unmet("the password would be sent in clear".into()),
        }
        .at(Stage::Auth))
    }

    /// One way, to its end.
    async fn prove(
        &mut self,
        credentials: &Credentials,
        mechanism: Mechanism,
    ) -> Result<Reply, Failure> {
        let mut command = format!("AUTH {}", mechanism.name());
        if let Some(first) = credentials.first(mechanism) {
            command = format!("{command} {first}");
        }
        let failed = |trouble: Trouble| trouble.at(Stage::Auth);
        let mut reply = self.wire.command(&command).await.map_err(failed)?;
        for n in 0.. {
            if reply.code != 334 {
                break;
            }
            let question = reply.lines.first().map_or("", String::as_str);
            // `*` takes the exchange back (RFC 4954, section 4).
            let answer = credentials.answer(mechanism, n, question).unwrap_or_else(|| "*".into());
            reply = self.wire.command(&answer).await.map_err(failed)?;
            if answer == "*" {
                let why = format!("a question of {} that has no answer", mechanism.name());
                return Err(failed(Trouble::Garbage(why)));
            }
        }
        Ok(reply)
    }
}

/// A connection to the first address that answers, and whether it stays on this machine.
async fn connect(server: &Server, deadline: Instant) -> Result<(Wire, bool), Failure> {
    let started = Instant::now();
    let late = || Trouble::Late(started.elapsed()).at(Stage::Connect);
    let broken = |why: String| Trouble::Broken(why).at(Stage::Connect);
    let found = timeout_at(deadline, lookup_host((server.host.as_str(), server.port))).await;
    let found = found.map_err(|_| late())?.map_err(|error| broken(error.to_string()))?;
    let mut failure = broken("the name has no address".into());
    for address in found.take(MAX_ADDRESSES) {
        let limit = deadline.min(Instant::now() + CONNECT_TIMEOUT);
        match timeout_at(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Commands are short, and each waits for its answer.
                let _ = stream.set_nodelay(true);
                let wire = Wire::new(Box::new(stream), started, deadline);
                return Ok((wire, address.ip().is_loopback()));
            }
            Ok(Err(error)) => failure = broken(error.to_string()),
            Err(_) if Instant::now() >= deadline => return Err(late()),
            Err(_) => failure = late(),
        }
    }
    Err(failure)
}

async fn secure(wire: Wire, server: &Server) -> Result<Wire, Failure> {
    let secured = wire.secure(server.tls.clone(), server.tls_name.clone()).await;
    secured.map_err(|trouble| trouble.at(Stage::Tls))
}

/// A reply that says yes.
fn expect(reply: Result<Reply, Trouble>, stage: Stage) -> Result<Reply, Failure> {
    match reply {
        Ok(reply) if reply.is_success() => Ok(reply),
        Ok(reply) => Err(Trouble::Refused(reply).at(stage)),
        Err(trouble) => Err(trouble.at(stage)),
    }
}
