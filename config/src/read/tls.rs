//! How a client speaks TLS: whom it trusts and who it is.
//!
//! Owns the keys `ca`, `cert`, `key`, `server_name`, and which files may stand there. Reads files, and never looks into them: who speaks TLS does.

use crate::files;
use crate::node::Node;
use crate::read::shape::path;
use crate::read::text::string;
use crate::reader::Reader;
use crate::secret::Secret;

/// The largest file of certificates, in bytes: a bundle of all authorities has a quarter of it.
const MAX_PEM: u64 = 1 << 20;

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
        let ca_pem = f.optional("ca", pem_file);
        let cert = f.optional("cert", pem_file);
        let key = f.optional("key", pem_file);
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

/// The text of the file in PEM form that is named here, whatever it is.
pub fn pem_file(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let path = path(node, reader)?;
    match files::text(&path, MAX_PEM) {
        Ok(text) => Some(text),
        Err(error) => {
            reader
                .error(node.place(), format!("{} cannot be read: {error}", path.display()))
                .help("name a PEM file that this user may read");
            None
        }
    }
}
