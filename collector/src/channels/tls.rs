//! `tls_config`: whom we trust and how we show who we are.
//!
//! Owns its keys and the reading of certificates. Never opens a connection.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use watchkeeper_config::{Located, Node, Reader, read};

const KEYS: &[&str] =
    &["ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify", "min_version"];

/// How TLS is done, with its files read.
#[derive(Clone)]
pub(super) struct Tls {
    /// The client settings made of it.
    pub(super) config: Arc<ClientConfig>,
    /// Whose certificate is expected, if not that of the host we connect to.
    pub(super) server_name: Option<ServerName<'static>>,
}

/// Nothing of it belongs into a log.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// What is written about TLS.
#[derive(Default)]
struct Wanted {
    ca: Option<RootCertStore>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    skip_verify: bool,
    oldest: Option<Oldest>,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy)]
enum Oldest {
    Tls12,
    Tls13,
}

impl Tls {
    /// With nothing written about it: the system's authorities are trusted.
    pub(super) fn usual() -> Result<Self, String> {
        let config = Arc::new(Wanted::default().build()?);
        Ok(Self { config, server_name: None })
    }

    /// Reads `tls_config`; problems are reported to the reader.
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, KEYS, |f| {
            let ca = f.optional("ca_file", authorities);
            let certificate = f.optional("cert_file", read::located(certificates));
            let key = f.optional("key_file", read::located(private_key));
            let server_name = f.optional("server_name", name);
            let skip_verify = f.or("insecure_skip_verify", false, read::bool);
            let oldest = f.optional("min_version", oldest);
            if f.has("cert_file") != f.has("key_file") {
                let (there, missing) = if f.has("cert_file") {
                    ("cert_file", "key_file")
                } else {
                    ("key_file", "cert_file")
                };
                let place = f.node(there).map_or_else(|| f.place(), Node::place).clone();
                f.reader()
                    .error(&place, format!("`{there}` is useless without `{missing}`"))
                    .help("a client shows a certificate and proves it with the key");
            }
            let place = certificate.as_ref().map_or_else(|| f.place().clone(), |c| c.place.clone());
            let identity = match (certificate, key) {
                (Some(Located { value: chain, .. }), Some(Located { value: key, .. })) => {
                    Some((chain, key))
                }
                _ => None,
            };
            let built = Wanted { ca, identity, skip_verify, oldest }.build();
            let config = built.map_err(|why| f.reader().error(&place, why)).ok()?;
            Some(Self { config: Arc::new(config), server_name })
        })
    }
}

impl Wanted {
    fn build(self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let versions: &[&SupportedProtocolVersion] = match self.oldest {
            Some(Oldest::Tls13) => &[&rustls::version::TLS13],
            Some(Oldest::Tls12) | None => rustls::DEFAULT_VERSIONS,
        };
        let builder = ClientConfig::builder_with_provider(provider.clone());
        let builder =
            builder.with_protocol_versions(versions).map_err(|error| error.to_string())?;
        let builder = if self.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        } else {
            builder.with_root_certificates(self.ca.unwrap_or_else(system_authorities))
        };
        match self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("certificate and key do not fit: {error}")),
        }
    }
}

/// The authorities this system trusts; those it can't read are left out, as every TLS client does.
fn system_authorities() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

fn authorities(node: &Node, reader: &mut Reader<'_>) -> Option<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(node, reader)? {
        if let Err(error) = store.add(certificate) {
            let why = format!("a certificate in it can't be an authority: {error}");
            reader.error(node.place(), why);
            return None;
        }
    }
    Some(store)
}

fn certificates(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let pem = read::pem_file(node, reader)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => return Some(found),
        Ok(_) => file_problem(node, reader, "it holds no certificate"),
        Err(error) => file_problem(node, reader, &error.to_string()),
    }
    None
}

fn private_key(node: &Node, reader: &mut Reader<'_>) -> Option<PrivateKeyDer<'static>> {
    let pem = read::pem_file(node, reader)?;
    let found = PrivateKeyDer::from_pem_slice(pem.as_bytes());
    found.map_err(|error| file_problem(node, reader, &error.to_string())).ok()
}

fn file_problem(node: &Node, reader: &mut Reader<'_>, why: &str) {
    let Some(path) = read::path(node, reader) else { return };
    let message = format!("{}: {why}", path.display());
    reader.error(node.place(), message).help("a file in PEM form is needed");
}

fn name(node: &Node, reader: &mut Reader<'_>) -> Option<ServerName<'static>> {
    let text = read::string(node, reader)?;
    let name = ServerName::try_from(text);
    name.map_err(|_| {
        reader
            .error(node.place(), "this can't be in a certificate")
            .help("such as mail.example.com");
    })
    .ok()
}

fn oldest(node: &Node, reader: &mut Reader<'_>) -> Option<Oldest> {
    read::choice(&[("TLS12", Oldest::Tls12), ("TLS13", Oldest::Tls13)])(node, reader)
}

/// Takes any certificate, as `insecure_skip_verify` asks for; that its owner has its key is still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
