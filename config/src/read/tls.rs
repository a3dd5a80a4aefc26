//! How a client speaks TLS: whom it trusts and who it is.
//!
//! Owns the keys `ca`, `cert`, `key`, `server_name`. Reads files, and never looks into them: who speaks TLS does.

use crate::node::Node;
use crate::read::shape::path;
use crate::read::text::string;
use crate::reader::Reader;
use crate::secret::Secret;

/// The TLS side of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// PEM of the authorities to trust instead of the system's.
    pub ca_pem: Option<String>,
    /// PEM of the client's own certificate and key.
    pub identity_pem: Option<(String, Secret)>,
    /// The name the server's certificate must have, if it is not the address's.
    pub server_name: Option<String>,
}

impl ClientTls {
    /// Whether anything is said at all.
    pub fn is_some(&self) -> bool {
        *self != Self::default()
    }
}

/// `{ca: FILE, cert: FILE, key: FILE, server_name: NAME}`.
pub fn client_tls(node: &Node, reader: &mut Reader<'_>) -> Option<ClientTls> {
    node.fields(reader, &["ca", "cert", "key", "server_name"], |f| {
        let ca_pem = f.optional("ca", read_file);
        let cert = f.optional("cert", read_file);
        let key = f.optional("key", read_file);
        let server_name = f.optional("server_name", string);
        if cert.is_some() != key.is_some() {
            let place = f.place().clone();
            f.reader()
                .error(&place, "`cert` and `key` belong together, and one of them is missing")
                .help("name both files, or neither");
            return None;
        }
        Some(ClientTls { ca_pem, identity_pem: cert.zip(key.map(Secret::new)), server_name })
    })
}

fn read_file(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let path = path(node, reader)?;
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            reader
                .error(node.place(), format!("{} cannot be read: {error}", path.display()))
                .help("name a PEM file that this user may read");
            None
        }
    }
}
