//! The mail server in configuration: in a receiver, and under `global` for all of them.
//!
//! Owns the keys about the server and which of both holds. Never opens a connection.

use lettre::message::Mailbox;
use rustls::pki_types::ServerName;
use watchkeeper_config::{Fields, Located, Node, Place, Reader, Secret, is_loopback, read};

use super::recipients;
use super::smtp::{Credentials, Security, Server};
use crate::channels::http_config::secret_or_file;
use crate::channels::tls::Tls;

/// What we call ourselves unless configured, as Alertmanager does.
const HELLO: &str = "localhost";

/// The port where TLS begins at once (RFC 8314).
const SUBMISSIONS: u16 = 465;

/// The keys about the mail server in a receiver.
pub(super) const SERVER_KEYS: [&str; 12] = [
    "from",
    "smarthost",
    "hello",
    "auth_username",
    "auth_password",
    "auth_password_file",
    "auth_secret",
    "auth_secret_file",
    "auth_identity",
    "require_tls",
    "force_implicit_tls",
    "tls_config",
];

/// The same under `global`, in the same order.
pub const SMTP_GLOBAL_KEYS: [&str; 12] = [
    "smtp_from",
    "smtp_smarthost",
    "smtp_hello",
    "smtp_auth_username",
    "smtp_auth_password",
    "smtp_auth_password_file",
    "smtp_auth_secret",
    "smtp_auth_secret_file",
    "smtp_auth_identity",
    "smtp_require_tls",
    "smtp_force_implicit_tls",
    "smtp_tls_config",
];

/// What is written about a mail server, in one of both places.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerConfig {
    from: Option<Located<Mailbox>>,
    smarthost: Option<Located<(String, u16)>>,
    hello: Option<String>,
    username: Option<Located<String>>,
    password: Option<Located<Secret>>,
    secret: Option<Located<Secret>>,
    identity: Option<String>,
    require_tls: Option<Located<bool>>,
    force_implicit_tls: Option<Located<bool>>,
    tls: Option<Tls>,
    given: Given,
}

/// What is written at all, right or wrong: it is not told to be missing too.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    from: bool,
    smarthost: bool,
    password: bool,
}

/// What e-mail receivers take from `global`.
#[derive(Clone, Debug, Default)]
pub struct SmtpDefaults(ServerConfig);

impl SmtpDefaults {
    /// Reads [`SMTP_GLOBAL_KEYS`] of the map under `global`.
    pub fn read(f: &mut Fields<'_, '_, '_>) -> Self {
        Self(ServerConfig::read(f, &SMTP_GLOBAL_KEYS))
    }
}

impl ServerConfig {
    /// Reads the keys, which stand in the order of [`SERVER_KEYS`].
    pub(super) fn read(f: &mut Fields<'_, '_, '_>, keys: &[&'static str; 12]) -> Self {
        let [
            from,
            smarthost,
            hello,
            username,
            password,
            password_file,
            secret,
            secret_file,
            identity,
            require_tls,
            force_implicit_tls,
            tls,
        ] = *keys;
        Self {
            from: f.optional(from, read::located(recipients::mailbox)),
            smarthost: f.optional(smarthost, read::located(host_and_port)),
            hello: f.optional(hello, hello_name),
            username: f.optional(username, read::located(credential_text)),
            password: secret_or_file(f, password, password_file),
            secret: secret_or_file(f, secret, secret_file),
            identity: f.optional(identity, credential_text),
            require_tls: f.optional(require_tls, read::located(read::bool)),
            force_implicit_tls: f.optional(force_implicit_tls, read::located(read::bool)),
            tls: f.optional(tls, Tls::read),
            given: Given {
                from: f.has(from),
                smarthost: f.has(smarthost),
                password: [password, password_file, secret, secret_file]
                    .iter()
                    .any(|key| f.has(key)),
            },
        }
    }

    /// What is not written here comes from `global`; a password and its file go together, and so do user and identity.
    pub(super) fn or(self, defaults: &SmtpDefaults) -> Self {
        let SmtpDefaults(other) = defaults.clone();
        Self {
            from: self.from.or(other.from),
            smarthost: self.smarthost.or(other.smarthost),
            hello: self.hello.or(other.hello),
            username: self.username.or(other.username),
            password: self.password.or(other.password),
            secret: self.secret.or(other.secret),
            identity: self.identity.or(other.identity),
            require_tls: self.require_tls.or(other.require_tls),
            force_implicit_tls: self.force_implicit_tls.or(other.force_implicit_tls),
            tls: self.tls.or(other.tls),
            given: Given {
                from: self.given.from || other.given.from,
                smarthost: self.given.smarthost || other.given.smarthost,
                password: self.given.password || other.given.password,
            },
        }
    }

    /// Sender and server, or what is missing, told at `place`.
    pub(super) fn resolve(
        self,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<(Mailbox, Server)> {
        let mut missing = |key: &str| {
            reader
                .error(place, format!("`{key}` is missing"))
                .help(format!("or `smtp_{key}` under `global`"));
        };
        if !self.given.from {
            missing("from");
        }
        if !self.given.smarthost {
            missing("smarthost");
        }
        let security = self.security(reader);
        let credentials = self.credentials(reader);
        let (from, smarthost) = (self.from?, self.smarthost?);
        let tls = match self.tls {
            Some(tls) => tls,
            None => Tls::usual().map_err(|why| reader.error(place, why)).ok()?,
        };
        let (host, port) = smarthost.value;
        let security = match security {
            Some(security) => security,
            None if port == SUBMISSIONS => Security::Implicit,
            None => Security::StartTls,
        };
        let tls_name = tls.server_name.or_else(|| ServerName::try_from(host.clone()).ok());
        let Some(tls_name) = tls_name else {
            reader
                .error(&smarthost.place, "this host can't be in a certificate")
                .help("put the name it shows into `server_name` of `tls_config`");
            return None;
        };
        let shows_password = credentials.as_ref().is_some_and(|c| c.password.is_some());
        if security == Security::None && shows_password && !is_loopback(&host) {
            reader
                .warning(
                    &smarthost.place,
                    "the password is not sent without TLS, except on loopback",
                )
                .help("leave `require_tls` at true, or use `auth_secret` with CRAM-MD5");
        }
        let hello = self.hello.unwrap_or_else(|| HELLO.to_owned());
        let config = tls.config;
        Some((
            from.value,
            Server { host, port, hello, security, tls: config, tls_name, credentials },
        ))
    }

    /// When TLS begins, if that does not depend on the port alone.
    fn security(&self, reader: &mut Reader<'_>) -> Option<Security> {
        let on_465 = self.smarthost.as_ref().is_some_and(|at| at.value.1 == SUBMISSIONS);
        let (force, require) = (&self.force_implicit_tls, &self.require_tls);
        let force = force.as_ref().map(|force| force.value);
        match (force, require.as_ref().map(|require| (require.value, &require.place))) {
            (Some(true), _) => Some(Security::Implicit),
            (None, Some((false, place))) if on_465 => {
                reader
                    .warning(place, "port 465 speaks TLS from the first byte, whatever this says")
                    .help(
                        "leave it out, or set `force_implicit_tls: false` if your server differs",
                    );
                Some(Security::Implicit)
            }
            (None, _) if on_465 => None,
            (_, Some((false, _))) => Some(Security::None),
            (Some(false), _) => Some(Security::StartTls),
            (None, _) => None,
        }
    }

    fn credentials(&self, reader: &mut Reader<'_>) -> Option<Credentials> {
        let Some(username) = &self.username else {
            if let Some(secret) = self.password.as_ref().or(self.secret.as_ref()) {
                reader
                    .error(&secret.place, "a password without a user")
                    .help("add `auth_username`, or `smtp_auth_username` under `global`");
            }
            return None;
        };
        if !self.given.password {
            reader
                .error(&username.place, "a user without a password")
                .help("add `auth_password`, or `auth_secret` for CRAM-MD5");
        }
        let bare = |secret: &Option<Located<Secret>>| secret.as_ref().map(|s| s.value.clone());
        Some(Credentials {
            username: username.value.clone(),
            identity: self.identity.clone().unwrap_or_default(),
            password: bare(&self.password),
            secret: bare(&self.secret),
        })
    }
}

/// `host:port`, `[::1]:25`.
fn host_and_port(node: &Node, reader: &mut Reader<'_>) -> Option<(String, u16)> {
    let text = read::string(node, reader)?;
    let split = text.rsplit_once(':').and_then(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
        // Several colons without brackets: the last one need not stand before the port.
        let host = bare.or_else(|| (!host.contains([':', '[', ']'])).then_some(host))?;
        let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        is_host.then(|| (host.to_owned(), port))
    });
    if split.is_none() {
        reader
            .error(node.place(), "a host and its port are needed")
            .help("such as smtp.example.com:587, 127.0.0.1:25 or [::1]:25");
    }
    split
}

/// A name or address literal as EHLO takes it: one word of printable ASCII.
fn hello_name(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        reader
            .error(node.place(), "this is no name that a computer can have")
            .help("such as alerts.example.com");
        return None;
    }
    Some(name)
}

/// NUL stands between the parts of what PLAIN sends.
fn credential_text(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let text = read::string(node, reader)?;
    if text.contains('\0') {
        reader.error(node.place(), "this holds a NUL character");
        return None;
    }
    Some(text)
}
