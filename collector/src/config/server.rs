//! The sections `collector:` and `storage:`.
//!
//! Owns what is closed by default: listening beyond loopback without TLS and tokens is refused unless asked for by name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use watchkeeper_config::{Fields, Node, Reader, read};

use crate::store::Retention;

const DEFAULT_LISTEN: &str = "127.0.0.1:7700";
const DEFAULT_DATA_DIR: &str = "./data/collector";

/// Where the collector listens and who may call.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// One port: gRPC, HTTP API, pages.
    pub listen: SocketAddr,
    /// Where its files lie.
    pub data_dir: PathBuf,
    /// Where people reach it; without a slash at its end.
    pub external_url: String,
    /// Certificate and key; without, traffic is not encrypted.
    pub tls: Option<TlsFiles>,
    /// Who may call; empty means everybody.
    pub tokens: Vec<Token>,
}

/// PEM files of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities whose client certificates are accepted.
    pub client_ca: Option<PathBuf>,
}

/// Somebody who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// For logs.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What it may do.
    pub role: Role,
}

/// What a caller may do: each role may do what those before it may, but `agent` stands apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Deliver batches, and nothing else.
    Agent,
    /// Read.
    Viewer,
    /// Acknowledge and silence.
    Operator,
    /// Everything, deliver included.
    Admin,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageSettings {
    /// For how long.
    pub retention: Retention,
    /// All files together.
    pub max_bytes: u64,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self { retention: Retention::default(), max_bytes: 10 << 30 }
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 7700));
        Self {
            listen,
            data_dir: DEFAULT_DATA_DIR.into(),
            external_url: format!("http://{listen}"),
            tls: None,
            tokens: Vec::new(),
        }
    }
}

pub(super) fn read(node: &Node, reader: &mut Reader<'_>, insecure: bool) -> Option<ServerSettings> {
    let keys = ["listen", "data_dir", "external_url", "tls", "tokens"];
    node.fields(reader, &keys, |f| {
        let default = ServerSettings::default();
        let listen = f.or("listen", default.listen, read_address);
        let data_dir = f.or("data_dir", DEFAULT_DATA_DIR.to_owned(), read::string);
        let external_url = f.optional("external_url", read::url);
        let tls = f.optional("tls", read_tls);
        let tokens = f.list("tokens", read_token);
        if !insecure && !listen.ip().is_loopback() && (tls.is_none() || tokens.is_empty()) {
            let place = f.node("listen").map_or_else(|| f.place().clone(), |n| n.place().clone());
            f.reader()
                .error(&place, format!("{listen} can be reached from other machines, and TLS or tokens are missing"))
                .help("give `collector.tls` and `collector.tokens`, listen on 127.0.0.1, or start with --insecure if this network is trusted");
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        let external_url = external_url.unwrap_or_else(|| format!("{scheme}://{listen}"));
        Some(ServerSettings {
            listen,
            data_dir: data_dir.into(),
            external_url: external_url.trim_end_matches('/').to_owned(),
            tls,
            tokens,
        })
    })
}

fn read_address(node: &Node, reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let text = read::string(node, reader)?;
    let address = text.parse().ok();
    if address.is_none() {
        reader
            .error(node.place(), format!("{text:?} is no address to listen on"))
            .help(format!("write IP:PORT, such as {DEFAULT_LISTEN} or [::1]:7700"));
    }
    address
}

fn read_tls(node: &Node, reader: &mut Reader<'_>) -> Option<TlsFiles> {
    node.fields(reader, &["cert", "key", "client_ca"], |f| {
        let cert = f.required("cert", read_existing);
        let key = f.required("key", read_existing);
        let client_ca = f.optional("client_ca", read_existing);
        Some(TlsFiles { cert: cert?, key: key?, client_ca })
    })
}

fn read_existing(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    read::pem_file(node, reader)?;
    read::path(node, reader)
}

fn read_token(node: &Node, reader: &mut Reader<'_>) -> Option<Token> {
    let roles = [
        ("agent", Role::Agent),
        ("viewer", Role::Viewer),
        ("operator", Role::Operator),
        ("admin", Role::Admin),
    ];
    node.fields(reader, &["name", "hash", "role"], |f| {
        let name = f.required("name", read::string);
        let hash = f.required("hash", read_hash);
        let role = f.required("role", read::choice(&roles));
        Some(Token { name: name?, hash: hash?, role: role? })
    })
}

fn read_hash(node: &Node, reader: &mut Reader<'_>) -> Option<[u8; 32]> {
    let text = read::secret(node, reader)?;
    let hex = text.expose().trim_start_matches("sha256:");
    let mut hash = [0; 32];
    let is_hex = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex {
        reader
            .error(node.place(), "a token is named by the SHA-256 of it, in 64 hex digits")
            .help("make one with: printf %s \"$TOKEN\" | sha256sum");
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok())?;
    }
    Some(hash)
}

pub(super) fn read_storage(node: &Node, reader: &mut Reader<'_>) -> Option<StorageSettings> {
    let default = StorageSettings::default();
    node.fields(reader, &["max_bytes", "retention"], |f| {
        let max_bytes = f.or("max_bytes", default.max_bytes, read::size_in(64 << 20..=1 << 50));
        let retention = f.or("retention", default.retention, read_retention);
        Some(StorageSettings { retention, max_bytes })
    })
}

fn read_retention(node: &Node, reader: &mut Reader<'_>) -> Option<Retention> {
    let default = Retention::default();
    node.fields(reader, &["10s", "1m", "1h", "events", "ledger"], |f| {
        Some(Retention {
            fine: keep(f, "10s", default.fine),
            minute: keep(f, "1m", default.minute),
            hour: keep(f, "1h", default.hour),
            events: keep(f, "events", default.events),
            ledger: keep(f, "ledger", default.ledger),
        })
    })
}

fn keep(f: &mut Fields<'_, '_, '_>, key: &'static str, default: Duration) -> Duration {
    let range = Duration::from_secs(3600)..=Duration::from_secs(3650 * 86_400);
    f.or(key, default, read::duration_in(range))
}
