//! One connection: lines in, bytes out, each within the deadline.
//!
//! Owns buffering, bounds, the change to TLS and the doubling of dots. Knows no command.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::failure::Trouble;
use super::reply::{MAX_LINE_BYTES, Malformed, Reply, Unfinished};

/// Anything bytes go through.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// A connection with what was read ahead of its use.
pub(super) struct Wire {
    io: Box<dyn Io>,
    ahead: Vec<u8>,
    started: Instant,
    deadline: Instant,
}

/// What was read may quote anything: it is not shown.
impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("n_ahead", &self.ahead.len()).finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(io: Box<dyn Io>, started: Instant, deadline: Instant) -> Self {
        Self { io, ahead: Vec::new(), started, deadline }
    }

    /// No step may end later than this from now on.
    pub(super) fn shorten(&mut self, deadline: Instant) {
        self.deadline = self.deadline.min(deadline);
    }

    /// The next reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, Trouble> {
        let mut unfinished = Unfinished::default();
        loop {
            let line = self.line().await?;
            match unfinished.push(&line) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(Malformed(why)) => return Err(Trouble::Garbage(why)),
            }
        }
    }

    /// Sends a command and reads its reply. A line break in it would be a second command: none is sent then.
    pub(super) async fn command(&mut self, command: &str) -> Result<Reply, Trouble> {
        if command.contains(['\r', '\n', '\0']) {
            return Err(Trouble::Unmet("bug: a command with a line break".into()));
        }
        self.send(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// Sends a mail and reads the reply to it.
    pub(super) async fn content(&mut self, mail: &[u8]) -> Result<Reply, Trouble> {
        self.send(&stuffed(mail)).await?;
        self.reply().await
    }

    /// The same connection inside TLS. Whatever came in clear after the word to start is an attempt to speak for the
    /// server (RFC 3207, section 4): the connection is given up then.
    pub(super) async fn secure(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, Trouble> {
        let Self { io, ahead, started, deadline } = self;
        if !ahead.is_empty() {
            let why = "it went on in clear after the word to start TLS";
            return Err(Trouble::Garbage(why.into()));
        }
        let handshake = TlsConnector::from(config).connect(name, io);
        match timeout_at(deadline, handshake).await {
            Ok(Ok(stream)) => Ok(Self::new(Box::new(stream), started, deadline)),
            Ok(Err(error)) => Err(tls_trouble(&error)),
            Err(_) => Err(Trouble::Late(started.elapsed())),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sending = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        let sent = timeout_at(self.deadline, sending).await;
        sent.map_err(|_| self.late())?.map_err(|error| tls_trouble(&error))
    }

    /// The next line without its end, be it CRLF or, of careless servers, LF.
    async fn line(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut n_seen = 0;
        loop {
            if let Some(at) = self.ahead[n_seen..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.ahead.drain(..=n_seen + at).collect();
                line.pop();
                line.pop_if(|last| *last == b'\r');
                return Ok(line);
            }
            n_seen = self.ahead.len();
            if n_seen > MAX_LINE_BYTES {
                let why = format!("a line has more than {MAX_LINE_BYTES} bytes");
                return Err(Trouble::Garbage(why));
            }
            let mut piece = [0; 1_024];
            let read = timeout_at(self.deadline, self.io.read(&mut piece)).await;
            match read.map_err(|_| self.late())?.map_err(|error| tls_trouble(&error))? {
                0 => return Err(Trouble::Broken("the connection was closed".into())),
                n => self.ahead.extend_from_slice(&piece[..n]),
            }
        }
    }

    fn late(&self) -> Trouble {
        Trouble::Late(self.started.elapsed())
    }
}

/// What an error of a connection, inside TLS or not, means.
fn tls_trouble(error: &io::Error) -> Trouble {
    use rustls::AlertDescription as Alert;
    use rustls::Error;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(
            Error::InvalidCertificate(_)
            | Error::NoCertificatesPresented
            | Error::UnsupportedNameType
            | Error::PeerIncompatible(_)
            | Error::AlertReceived(
                Alert::HandshakeFailure
                | Alert::ProtocolVersion
                | Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::CertificateUnknown
                | Alert::CertificateExpired
                | Alert::UnknownCA
                | Alert::AccessDenied,
            ),
        ) => Trouble::Untrusted(error.to_string()),
        Some(Error::InvalidMessage(_)) => Trouble::Garbage("what came is no TLS".into()),
        _ => Trouble::Broken(error.to_string()),
    }
}

/// A mail as it goes over the wire: every line ends in CRLF, a dot at a line's beginning is doubled, and a dot alone
/// ends it (RFC 5321, section 4.5.2). A lone CR or LF becomes a whole line break, so nothing inside can end the mail.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 50 + 5);
    let mut bytes = mail.iter().copied().peekable();
    let mut is_line_start = true;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' {
                    let _ = bytes.next_if_eq(&b'\n');
                }
                out.extend_from_slice(b"\r\n");
                is_line_start = true;
                continue;
            }
            b'.' if is_line_start => out.extend_from_slice(b".."),
            byte => out.push(byte),
        }
        is_line_start = false;
    }
    out.extend_from_slice(if is_line_start { b".\r\n" } else { b"\r\n.\r\n" });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_in_a_mail_can_end_it() {
        for (mail, wire) in [
            ("", ".\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n..\r\nQUIT\r\n.\r\n"),
            (".a\r\n..b", "..a\r\n...b\r\n.\r\n"),
            ("a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r\r\n.\n\r.", "a\r\n\r\n..\r\n\r\n..\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8(stuffed(mail.as_bytes())).unwrap(), wire, "{mail:?}");
        }
    }

    proptest! {
        /// What a server makes of it (RFC 5321: up to a dot alone, first dots taken away) is the mail.
        #[test]
        fn a_server_reads_back_what_was_meant(mail in "[.a\r\n]{0,40}") {
            let wire = stuffed(mail.as_bytes());
            let end = wire.windows(5).position(|five| five == b"\r\n.\r\n");
            let end = if wire == b".\r\n" || wire.starts_with(b".\r\n") { 0 } else { end.unwrap() + 2 };
            prop_assert_eq!(end + 3, wire.len(), "it ends once, at its end");
            let lines = String::from_utf8(wire[..end].to_vec()).unwrap();
            prop_assert!(!lines.replace("\r\n", "").contains(['\r', '\n']));
            let read: Vec<&str> =
                lines.lines().map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            let meant = mail.replace("\r\n", "\n").replace('\r', "\n");
            let meant: Vec<&str> = meant.lines().collect();
            prop_assert_eq!(read, meant);
        }
    }
}
