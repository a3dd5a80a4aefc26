//! A connection on which a protocol of its own is spoken, in clear or by TLS.
//!
//! Owns the keys `host`, `address` and `tls`. Never speaks.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use watchkeeper_agent_core::probe::{Failure, Seen};
use watchkeeper_config::{Fields, Secret, read};

use super::clear::warn_of_clear_text;
use super::connect::reach;
use super::target::{HostPort, read_address, read_host_port};
use super::tls::{Tls, TlsClient, read_tls};

/// Bytes both ways.
pub(in super::super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// Where to connect, and how.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Way {
    pub(in super::super) host: HostPort,
    /// Where to connect instead of where the name leads.
    pub(in super::super) address: Option<IpAddr>,
    pub(in super::super) tls: Option<Tls>,
}

impl Way {
    /// The keys it reads.
    pub(in super::super) const KEYS: [&'static str; 3] = ["host", "address", "tls"];

    /// Reads its keys.
    pub(in super::super) fn read(f: &mut Fields<'_, '_, '_>, usual_port: u16) -> Option<Self> {
        let host = f.required("host", read_host_port(Some(usual_port)));
        let address = f.optional("address", read_address);
        let tls = f.optional("tls", read_tls);
        if f.has("tls") && tls.is_none() {
            return None;
        }
        Some(Self { host: host?, address, tls })
    }

    /// Reads a password, and warns if others could read it too.
    pub(in super::super) fn read_password(
        way: Option<&Self>,
        f: &mut Fields<'_, '_, '_>,
    ) -> Option<Secret> {
        if let Some(Self { host, address, tls: None }) = way {
            let host = address.map_or_else(|| host.host.clone(), |address| address.to_string());
            let help = "add `tls: {}` if the server speaks TLS";
            warn_of_clear_text(f, "password", &host, help);
        }
        f.optional("password", read::secret)
    }

    /// Connects.
    pub(in super::super) async fn reach(&self, seen: &mut Seen) -> Result<TcpStream, Failure> {
        reach(&self.host, self.address, seen).await
    }

    /// Goes over to TLS, if that is asked for. `client` is kept from one attempt to the next.
    pub(in super::super) async fn secure(
        &self,
        stream: TcpStream,
        client: &mut Option<TlsClient>,
        seen: &mut Seen,
    ) -> Result<Box<dyn Wire>, Failure> {
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let client = match client {
            Some(client) => client,
            None => client.insert(TlsClient::new(tls, &[])?),
        };
        Ok(Box::new(client.agree(stream, &self.host.host, seen).await?))
    }
}
