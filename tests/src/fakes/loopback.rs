//! Servers on loopback that do one thing with every connection, as long as a test runs.
//!
//! Owns how they listen, how they take TLS, and the one that never takes anybody. What is said is a test's or another fake's.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A server that does this with each connection.
///
/// # Errors
/// If nothing can listen.
pub async fn serve<F, W>(with: F) -> anyhow::Result<SocketAddr>
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(with(stream));
        }
    });
    Ok(address)
}

/// A server that hears everybody and says nothing.
///
/// # Errors
/// If nothing can listen.
pub async fn silent() -> anyhow::Result<SocketAddr> {
    serve(|mut stream| async move { read_to_end(&mut stream).await }).await
}

/// Reads what comes, until the other side ends it.
pub(super) async fn read_to_end<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
}

/// What has no room for one connection more: who connects waits for an answer that never comes.
#[derive(Debug)]
pub struct Crowded {
    /// Where it is.
    pub address: SocketAddr,
    _listener: TcpListener,
    /// The one that takes the only place.
    _first: TcpStream,
}

impl Crowded {
    /// Listens, and fills itself.
    ///
    /// # Errors
    /// If nothing can listen.
    pub async fn start() -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        // Linux keeps one connection more than is said here, and drops what comes then (listen(2), tcp(7)).
        let listener = socket.listen(0)?;
        let address = listener.local_addr()?;
        let first = TcpStream::connect(address).await?;
        Ok(Self { address, _listener: listener, _first: first })
    }
}

/// What takes TLS with a certificate and its key, both PEM.
///
/// # Errors
/// If they can't be read, or do not fit.
pub fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let shown = || certificate.display().to_string();
    let chain = vec![CertificateDer::from_pem_file(certificate).with_context(shown)?];
    let key = PrivateKeyDer::from_pem_file(key).with_context(shown)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
