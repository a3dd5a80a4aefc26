//! How bytes travel to a broker: TCP with Nagle's delay off, and TLS as our settings say.
//!
//! Owns the socket that lapin reads and writes, and whom it trusts. Never speaks AMQP.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;

use async_rs::traits::Reactor;
use async_rs::{Runtime, Tokio};
use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use watchkeeper_config::read::ClientTls;

use crate::Address;

/// What lapin reads and writes.
pub(crate) type Socket = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// Ends a connection that is given up before it is open: lapin reads from it on a thread of its own, for ever if nothing comes.
pub(crate) struct Pending(Option<TcpStream>);

impl Pending {
    /// It is open, and ends by itself from now on.
    pub(crate) fn opened(mut self) {
        self.0 = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            // One that has ended already has no more to end.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// What opens sockets.
pub(crate) struct Dialer {
    tls: Option<RustlsConnector>,
    server_name: Option<String>,
}

impl Dialer {
    /// Reads certificates, if any of the addresses needs them.
    pub(crate) fn build(tls: &ClientTls, is_needed: bool) -> Result<Self, String> {
        let connector = if is_needed { Some(connector(tls)?) } else { None };
        Ok(Self { tls: connector, server_name: tls.server_name.clone() })
    }

    /// Opens a connection and, for `amqps`, speaks TLS.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        runtime: &Runtime<Tokio>,
    ) -> io::Result<(Socket, Pending)> {
        let to = runtime.to_socket_addrs((address.host().to_owned(), address.port()));
        let socket = AsyncTcpStream::connect(runtime, to).await?;
        let pending = Pending(match &socket {
            AsyncTcpStream::Plain(plain) => {
                Some(TcpStream::from(plain.get_ref().as_fd().try_clone_to_owned()?))
            }
            _ => None,
        });
        let socket = match &self.tls {
            Some(connector) if address.is_tls() => {
                let name = self.server_name.as_deref().unwrap_or(address.host());
                socket.into_rustls(connector, name).await?
            }
            _ => socket,
        };
        Ok((socket, pending))
    }
}

fn connector(tls: &ClientTls) -> Result<RustlsConnector, String> {
    let mut roots = rustls::RootCertStore::empty();
    match &tls.ca_pem {
        Some(pem) => {
            for certificate in certificates(pem, "ca")? {
                roots.add(certificate).map_err(|e| format!("tls.ca: {e}"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    let config = match &tls.identity_pem {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                .map_err(|_| "tls.key holds no private key in PEM form".to_owned())?;
            builder
                .with_client_auth_cert(certificates(certificate, "cert")?, key)
                .map_err(|e| format!("tls.cert and tls.key: {e}"))?
        }
    };
    Ok(RustlsConnector::from(config))
}

fn certificates(pem: &str, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(format!("tls.{key} holds no certificate in PEM form")),
    }
}
