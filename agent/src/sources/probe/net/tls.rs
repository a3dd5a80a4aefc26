//! TLS towards a target.
//!
//! Owns the keys of `tls:`, whom a probe trusts, and that a certificate is seen also when it is refused. No session is ever
//! resumed: with one a server shows no certificate. Never opens a connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use watchkeeper_agent_core::probe::{Failure, Reason, Said, Seen};
use watchkeeper_config::{Entry, Node, Reader, Secret, read};
use watchkeeper_daemon::clock;

use super::certificate;
use super::failure::of_io;

/// How TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Tls {
    /// PEM of the authorities to trust instead of the system's.
    ca_pem: Option<String>,
    /// PEM of the client's own certificate and key.
    identity_pem: Option<(String, Secret)>,
    /// The name to ask for, and that the certificate must have, if it is not the target's.
    server_name: Option<String>,
    /// Whether a certificate that is not trusted ends it.
    verify: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { ca_pem: None, identity_pem: None, server_name: None, verify: true }
    }
}

/// Reads `{ca, cert, key, server_name, verify}`; its files have to be what they should be.
pub(in super::super) fn read_tls(node: &Node, reader: &mut Reader<'_>) -> Option<Tls> {
    let (own, others): (Vec<&Entry>, Vec<&Entry>) =
        node.entries().iter().partition(|entry| entry.key == "verify");
    let others = if node.is_map() {
        Node::map_at(node.place(), others.into_iter().cloned().collect())
    } else {
        node.clone()
    };
    let client = read::client_tls(&others, reader)?;
    let verify = match own.first() {
        Some(entry) => read::bool(&entry.value, reader)?,
        None => true,
    };
    let (ca_pem, identity_pem) = (client.ca_pem, client.identity_pem);
    let tls = Tls { ca_pem, identity_pem, server_name: client.server_name, verify };
    if (tls.ca_pem.is_some() || tls.identity_pem.is_some())
        && let Err(failure) = TlsClient::new(&tls, &[])
    {
        reader.error(node.place(), failure.what).help("name PEM files that fit");
        return None;
    }
    Some(tls)
}

/// Whom the system trusts is read again after this time, by who needs it then: a probe that saw a certificate it does not
/// trust, and the first attempt of others.
const FRESH: Duration = Duration::from_secs(60);

/// Speaks TLS, one handshake at a time.
pub(in super::super) struct TlsClient {
    connector: TlsConnector,
    witness: Arc<Witness>,
    server_name: Option<String>,
}

impl TlsClient {
    /// One that offers these protocols (ALPN), the best first.
    pub(in super::super) fn new(tls: &Tls, protocols: &[&str]) -> Result<Self, Failure> {
        let provider = Arc::new(ring::default_provider());
        let unable = |what: String| Failure::new(Reason::Unable, what);
        let trusted = if tls.verify {
            let roots = roots(tls.ca_pem.as_deref()).map_err(unable)?;
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
            let none = |_| unable("this system has no certificate authorities to trust".to_owned());
            Some(verifier.build().map_err(none)?)
        } else {
            None
        };
        let witness =
            Arc::new(Witness { trusted, provider: provider.clone(), shown: Mutex::default() });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unable(format!("TLS can't be spoken: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(witness.clone());
        let mut config = match &tls.identity_pem {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let (chain, key) = identity(chain, key).map_err(unable)?;
                let unfit = |error| unable(format!("certificate and key do not fit: {error}"));
                builder.with_client_auth_cert(chain, key).map_err(unfit)?
            }
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, witness, server_name: tls.server_name.clone() })
    }

    /// Agrees on TLS with `host`, and says the phase, the version and the certificate.
    pub(in super::super) async fn agree(
        &self,
        stream: TcpStream,
        host: &str,
        seen: &mut Seen,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let host = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Failure::new(Reason::Unable, format!("{host} is no name a certificate can have"))
        })?;
        seen.waits_for = "TLS";
        let begun = Instant::now();
        *self.witness.shown() = Shown::default();
        let came = self.connector.connect(name, stream).await;
        if let Ok(stream) = &came {
            let version =
                stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
            self.witness.shown().version = version.map(|version| version.replace("TLSv1_", "1."));
        }
        self.say_again(seen);
        let stream = came.map_err(|error| of_tls(host, &error))?;
        seen.passed("tls", begun.elapsed());
        Ok(stream)
    }

    /// Says version and certificate of the last handshake, for who goes on over its connection.
    pub(in super::super) fn say_again(&self, seen: &mut Seen) {
        let shown = self.witness.shown();
        certificate::say(&shown.chain, shown.problem.as_deref(), clock::now(), seen);
        if let Some(version) = &shown.version {
            seen.say("tls", Said::Text(version.clone()));
        }
    }
}

/// What an error under TLS is; `host` is asked.
fn of_tls(host: &str, error: &std::io::Error) -> Failure {
    let said = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match said {
        None => of_io(host, error),
        Some(Error::InvalidCertificate(problem)) => {
            let what = format!("the certificate of {host} {}", words(problem));
            Failure::new(Reason::Certificate, what)
        }
        Some(error) => Failure::new(Reason::Tls, format!("{host} and TLS: {error}")),
    }
}

/// Why a certificate is refused, in words that follow "the certificate".
fn words(problem: &CertificateError) -> String {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => "has an issuer that is not trusted".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name".to_owned()
        }
        CertificateError::Revoked => "was revoked".to_owned(),
        // The library has no word of its own for what `openssl req -x509` makes.
        problem if problem.to_string().contains("CaUsedAsEndEntity") => {
            "is that of an authority (CA:TRUE), which a server's must not be: make it anew with CA:FALSE, or set \
             `verify: false`"
                .to_owned()
        }
        problem => format!("is not valid: {problem}"),
    }
}

/// Sees every certificate, and lets those pass that are trusted, or all.
#[derive(Debug)]
struct Witness {
    /// `None` if all may pass.
    trusted: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Shown>,
}

/// What a server showed in the last handshake.
#[derive(Debug, Default)]
struct Shown {
    version: Option<String>,
    chain: Vec<CertificateDer<'static>>,
    problem: Option<String>,
}

impl Witness {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.trusted {
            Some(trusted) => trusted.verify_server_cert(own, others, server_name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        };
        let problem = match &verdict {
            Ok(_) => None,
            Err(Error::InvalidCertificate(problem)) => Some(words(problem)),
            Err(error) => Some(error.to_string()),
        };
        let all = std::iter::once(own).chain(others);
        let chain = all.map(|certificate| certificate.clone().into_owned()).collect();
        *self.shown() = Shown { version: None, chain, problem };
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn roots(ca_pem: Option<&str>) -> Result<Arc<RootCertStore>, String> {
    let Some(pem) = ca_pem else { return Ok(roots_of_system()) };
    let mut store = RootCertStore::empty();
    for certificate in certificates("ca", pem)? {
        let unfit = |error| format!("`ca` has a certificate that can't be an authority: {error}");
        store.add(certificate).map_err(unfit)?;
    }
    Ok(Arc::new(store))
}

/// Those of the system, which are a few hundred: probes share them.
fn roots_of_system() -> Arc<RootCertStore> {
    static LAST: Mutex<Option<(Duration, Arc<RootCertStore>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let now = clock::running();
    match &*last {
        Some((read_at, store)) if !store.is_empty() && now < *read_at + FRESH => store.clone(),
        _ => {
            let mut store = RootCertStore::empty();
            // Those that can't be read are left out, as every TLS client does.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            last.insert((now, Arc::new(store))).1.clone()
        }
    }
}

fn certificates(key: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("`{key}` holds no certificate")),
        Err(error) => Err(format!("`{key}` is no PEM: {error}")),
    }
}

fn identity(
    chain: &str,
    key: &Secret,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    // The key's own error may show some of it.
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|_| "`key` holds no private key".to_owned())?;
    Ok((certificates("cert", chain)?, key))
}
