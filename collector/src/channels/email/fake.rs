//! A mail server on loopback for tests: records every session and misbehaves where it is told to.
//!
//! Owns the faults of real ones, at each step: refusals, silence, lost connections, garbage, lines without end, replies
//! byte by byte. Speaks SMTP by hand because a proper server can't misbehave, and shares nothing with the client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Whose password is known.
pub(in crate::channels) const USER: &str = "alice";
/// The password.
pub(in crate::channels) const PASSWORD: &str = "PASSWORDSECRET";
/// The secret of CRAM-MD5.
pub(in crate::channels) const SECRET: &str = "CRAMSECRET";
const CHALLENGE: &str = "<1896.697170952@mail.test>";

/// The file that holds its certificate, for `ca_file`.
pub(in crate::channels) const CERTIFICATE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/channels/email/testdata/cert.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/channels/email/testdata/key.pem");

/// Takes TLS with [`CERTIFICATE`].
pub(in crate::channels) fn acceptor() -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A moment at which it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::channels) enum Step {
    Greeting,
    Hello,
    StartTls,
    Auth,
    Sender,
    Recipient,
    Data,
    Content,
    Quit,
}

/// Every step before the mail is taken.
pub(in crate::channels) const STEPS: [Step; 8] = [
    Step::Greeting,
    Step::Hello,
    Step::StartTls,
    Step::Auth,
    Step::Sender,
    Step::Recipient,
    Step::Data,
    Step::Content,
];

/// What it does instead of what is proper.
#[derive(Clone, Debug)]
pub(in crate::channels) enum Manner {
    /// Says this, CRLF added.
    Say(String),
    /// Says nothing and keeps the connection.
    Silent,
    /// Closes the connection.
    Drop,
    /// Says a reply one byte after the other, too slowly to ever end.
    Drip,
    /// Says something that is no SMTP.
    Garbage,
    /// Says a line that has no end.
    Endless,
    /// Says lines of a reply that has no end.
    Lines,
}

/// When it goes into TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::channels) enum TlsMode {
    Off,
    StartTls,
    Implicit,
}

/// A mail as it was taken.
#[derive(Clone, Debug)]
pub(in crate::channels) struct Mail {
    pub(in crate::channels) from: String,
    pub(in crate::channels) to: Vec<String>,
    /// Dots undoubled.
    pub(in crate::channels) content: String,
    /// What it was proven by; "" without.
    pub(in crate::channels) authenticated: String,
    pub(in crate::channels) is_secure: bool,
}

#[derive(Debug)]
struct State {
    manners: BTreeMap<Step, Manner>,
    /// Recipients that are answered otherwise.
    recipients: BTreeMap<String, String>,
    auth: String,
    commands: Vec<String>,
    mails: Vec<Mail>,
    n_sessions: usize,
}

/// The server, as long as it is held.
#[derive(Debug)]
pub(in crate::channels) struct MailServer {
    pub(in crate::channels) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl MailServer {
    pub(in crate::channels) async fn start(mode: TlsMode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            manners: BTreeMap::new(),
            recipients: BTreeMap::new(),
            auth: "PLAIN LOGIN CRAM-MD5".into(),
            commands: Vec::new(),
            mails: Vec::new(),
            n_sessions: 0,
        }));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                lock(&shared).n_sessions += 1;
                let state = shared.clone();
                sessions.spawn(async move {
                    let talk = Talk { state, is_secure: false, mode };
                    // A session that breaks off is the other side's business.
                    let _ = talk.run(stream).await;
                });
            }
        });
        Self { address, state, task }
    }

    /// Does that at that step from now on.
    pub(in crate::channels) fn manner(&self, step: Step, manner: Manner) -> &Self {
        lock(&self.state).manners.insert(step, manner);
        self
    }

    /// Is proper at every step from now on.
    pub(in crate::channels) fn behave(&self) {
        lock(&self.state).manners.clear();
        lock(&self.state).recipients.clear();
    }

    /// Answers so when asked for that recipient.
    pub(in crate::channels) fn answer(&self, recipient: &str, reply: &str) -> &Self {
        lock(&self.state).recipients.insert(recipient.into(), reply.into());
        self
    }

    /// Offers these ways to authenticate.
    pub(in crate::channels) fn offer(&self, auth: &str) -> &Self {
        lock(&self.state).auth = auth.into();
        self
    }

    pub(in crate::channels) fn mails(&self) -> Vec<Mail> {
        lock(&self.state).mails.clone()
    }

    pub(in crate::channels) fn commands(&self) -> Vec<String> {
        lock(&self.state).commands.clone()
    }

    pub(in crate::channels) fn n_sessions(&self) -> usize {
        lock(&self.state).n_sessions
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Stream = BufReader<Box<dyn Io>>;

/// The session is over.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// One session.
struct Talk {
    state: Arc<Mutex<State>>,
    is_secure: bool,
    mode: TlsMode,
}

impl Talk {
    async fn run(mut self, stream: tokio::net::TcpStream) -> Result<(), Over> {
        let mut stream: Stream = BufReader::new(Box::new(stream));
        if self.mode == TlsMode::Implicit {
            stream = self.secure(stream).await?;
        }
        self.say(&mut stream, Step::Greeting, "220 mail.test ESMTP").await?;
        let (mut from, mut to, mut who) = (String::new(), Vec::new(), String::new());
        loop {
            let line = self.line(&mut stream).await?;
            let verb = line.to_ascii_uppercase();
            if verb.starts_with("EHLO") {
                let offers = self.offers();
                self.say(&mut stream, Step::Hello, &offers).await?;
            } else if verb.starts_with("STARTTLS") {
                self.say(&mut stream, Step::StartTls, "220 go ahead").await?;
                stream = self.secure(stream).await?;
            } else if verb.starts_with("AUTH ") {
                who = self.authenticate(&mut stream, &line[5..]).await?;
            } else if verb.starts_with("MAIL FROM:") {
                from = line[10..].into();
                to.clear();
                self.say(&mut stream, Step::Sender, "250 ok").await?;
            } else if verb.starts_with("RCPT TO:") {
                let recipient = line[8..].trim_matches(['<', '>']).to_owned();
                let reply = lock(&self.state).recipients.get(&recipient).cloned();
                let reply = reply.unwrap_or_else(|| "250 ok".into());
                if reply.starts_with('2') {
                    to.push(recipient);
                }
                self.say(&mut stream, Step::Recipient, &reply).await?;
            } else if verb == "DATA" {
                self.say(&mut stream, Step::Data, "354 go ahead").await?;
                let content = self.content(&mut stream).await?;
                let is_proper = !lock(&self.state).manners.contains_key(&Step::Content);
                if is_proper {
                    let (from, to) = (from.clone(), to.clone());
                    let (authenticated, is_secure) = (who.clone(), self.is_secure);
                    let mail = Mail { from, to, content, authenticated, is_secure };
                    lock(&self.state).mails.push(mail);
                }
                self.say(&mut stream, Step::Content, "250 2.0.0 queued as 4711").await?;
            } else if verb == "QUIT" {
                self.say(&mut stream, Step::Quit, "221 bye").await?;
                return Ok(());
            } else {
                self.say(&mut stream, Step::Quit, "500 what").await?;
            }
        }
    }

    fn offers(&self) -> String {
        let mut lines = vec!["mail.test greets you".to_owned(), "SIZE 10485760".into()];
        if self.mode == TlsMode::StartTls && !self.is_secure {
            lines.push("STARTTLS".into());
        }
        let auth = lock(&self.state).auth.clone();
        if !auth.is_empty() {
            lines.push(format!("AUTH {auth}"));
        }
        let last = lines.len() - 1;
        let lines: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' }))
            .collect();
        lines.join("\r\n")
    }

    async fn authenticate(&self, stream: &mut Stream, command: &str) -> Result<String, Over> {
        let (mechanism, first) = command.split_once(' ').unwrap_or((command, ""));
        let decode = |text: &str| {
            String::from_utf8(STANDARD.decode(text).unwrap_or_default()).unwrap_or_default()
        };
        if lock(&self.state).manners.contains_key(&Step::Auth) {
            self.say(stream, Step::Auth, "").await?;
            let is_asking = |state: &State| matches!(state.manners.get(&Step::Auth), Some(Manner::Say(text)) if text.starts_with('3'));
            while is_asking(&lock(&self.state)) {
                if self.line(stream).await? == "*" {
                    stream.write_all(b"501 cancelled\r\n").await?;
                    break;
                }
                self.say(stream, Step::Auth, "").await?;
            }
            return Ok(String::new());
        }
        let is_right = match mechanism {
            "PLAIN" => decode(first).ends_with(&format!("\0{USER}\0{PASSWORD}")),
            "LOGIN" => {
                let ask = |what: &str| format!("334 {}", STANDARD.encode(what));
                self.say(stream, Step::Auth, &ask("Username:")).await?;
                let user = decode(&self.line(stream).await?);
                self.say(stream, Step::Auth, &ask("Password:")).await?;
                user == USER && decode(&self.line(stream).await?) == PASSWORD
            }
            "CRAM-MD5" => {
                let ask = format!("334 {}", STANDARD.encode(CHALLENGE));
                self.say(stream, Step::Auth, &ask).await?;
                decode(&self.line(stream).await?) == format!("{USER} {}", hmac_md5())
            }
            _ => false,
        };
        let reply = if is_right { "235 welcome" } else { "535 5.7.8 bad credentials" };
        self.say(stream, Step::Auth, reply).await?;
        Ok(if is_right { mechanism.to_owned() } else { String::new() })
    }

    async fn secure(&mut self, stream: Stream) -> Result<Stream, Over> {
        let stream = acceptor().accept(stream.into_inner()).await?;
        self.is_secure = true;
        Ok(BufReader::new(Box::new(stream)))
    }

    /// Speaks properly, or as told for that step.
    async fn say(&self, stream: &mut Stream, step: Step, proper: &str) -> Result<(), Over> {
        let manner = lock(&self.state).manners.get(&step).cloned();
        match manner.unwrap_or_else(|| Manner::Say(proper.into())) {
            Manner::Say(text) => {
                stream.write_all(format!("{text}\r\n").as_bytes()).await?;
                stream.flush().await?;
                Ok(())
            }
            Manner::Silent => {
                // Until the other side has had enough.
                let _ = stream.read_to_end(&mut Vec::new()).await;
                Err(Over)
            }
            Manner::Drop => Err(Over),
            Manner::Drip => loop {
                for byte in b"250-patience\r\n" {
                    stream.write_all(&[*byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            Manner::Garbage => {
                stream.write_all(b"\x00\xff\xfeHTTP/1.1 400 Bad Request\r\n\r\n").await?;
                stream.flush().await?;
                let _ = stream.read_to_end(&mut Vec::new()).await;
                Err(Over)
            }
            Manner::Endless => loop {
                stream.write_all(&[b'2'; 4_096]).await?;
            },
            Manner::Lines => loop {
                stream.write_all(b"250-and\r\n").await?;
            },
        }
    }

    async fn line(&self, stream: &mut Stream) -> Result<String, Over> {
        let line = read_line(stream).await?;
        lock(&self.state).commands.push(line.clone());
        Ok(line)
    }

    /// Up to the dot alone.
    async fn content(&self, stream: &mut Stream) -> Result<String, Over> {
        let mut content = String::new();
        loop {
            let line = read_line(stream).await?;
            if line == "." {
                return Ok(content);
            }
            content.push_str(line.strip_prefix('.').unwrap_or(&line));
            content.push_str("\r\n");
        }
    }
}

/// A line that ends in CRLF and holds neither of them alone.
async fn read_line(stream: &mut Stream) -> Result<String, Over> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await?);
        assert!(!line.ends_with(b"\n") || line.ends_with(b"\r\n"), "a bare LF: {line:?}");
    }
    line.truncate(line.len() - 2);
    assert!(!line.contains(&b'\r'), "a bare CR: {line:?}");
    Ok(String::from_utf8(line).expect("only ASCII goes over the wire"))
}

/// What openssl makes of the challenge and [`SECRET`]: not our own arithmetic.
fn hmac_md5() -> &'static str {
    include_str!("testdata/cram_md5.txt").trim()
}
