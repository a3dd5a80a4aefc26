//! The gRPC road: one bidirectional stream of `watchkeeper.v1.Intake/Deliver`.
//!
//! Owns channel settings (keep-alive, deadlines, TLS, token). Never retries: the core decides when to connect again.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use watchkeeper_config::Secret;
use watchkeeper_proto::v1::intake_client::IntakeClient;

use super::{Connection, OUTGOING, RoadKind, Transport, TransportError};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Off by default in HTTP/2, and then a half-open stream hangs for ever.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Batches are ≤ 768 KiB; a welcome names every stream of the epochs held.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// What the road needs.
#[derive(Clone, Debug)]
pub struct GrpcSettings {
    /// `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// Sent as a bearer token.
    pub token: Option<Secret>,
    /// PEM of the authorities to trust instead of the system's.
    pub ca_pem: Option<String>,
    /// PEM of the agent's own certificate and key.
    pub identity_pem: Option<(String, Secret)>,
    /// The name the collector's certificate must have, if it is not the endpoint's.
    pub server_name: Option<String>,
}

/// The road.
#[derive(Clone, Debug)]
pub struct GrpcTransport {
    endpoint: Endpoint,
    address: String,
    token: Option<MetadataValue<Ascii>>,
}

impl GrpcTransport {
    /// Checks the settings and builds the road.
    ///
    /// # Errors
    /// In words, if endpoint, certificate or token are unusable.
    pub fn build(settings: &GrpcSettings) -> Result<Self, String> {
        let mut endpoint = Endpoint::from_shared(settings.endpoint.clone())
            .map_err(|e| format!("endpoint {:?}: {e}", settings.endpoint))?
            .connect_timeout(CONNECT_DEADLINE)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(KEEP_ALIVE))
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        if settings.endpoint.starts_with("https://") {
            endpoint = endpoint.tls_config(tls(settings)).map_err(|e| format!("tls: {e}"))?;
        }
        let token = match &settings.token {
            None => None,
            Some(token) => {
                let text = format!("Bearer {}", token.expose());
                let mut value: MetadataValue<Ascii> =
                    text.parse().map_err(|_| "token: not printable ASCII".to_owned())?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { endpoint, address: settings.endpoint.clone(), token })
    }

    fn error(&self, message: String, is_permanent: bool) -> TransportError {
        TransportError { road: self.describe(), message, is_permanent }
    }

    fn refused(&self, status: &Status) -> TransportError {
        let is_permanent = matches!(
            status.code(),
            Code::Unauthenticated
                | Code::PermissionDenied
                | Code::InvalidArgument
                | Code::Unimplemented
        );
        let code = format!("{:?}", status.code());
        let message = if status.message().is_empty() {
            code
        } else {
            format!("{code}: {}", status.message())
        };
        self.error(message, is_permanent)
    }

    async fn open(&self) -> Result<Connection, TransportError> {
        let channel =
            self.endpoint.connect().await.map_err(|e| self.error(root_cause(&e), false))?;
        let mut client = IntakeClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let (outgoing, from_agent) = mpsc::channel(OUTGOING);
        let mut request = Request::new(ReceiverStream::new(from_agent));
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        let answer = client.deliver(request).await.map_err(|status| self.refused(&status))?;
        let mut stream = answer.into_inner();
        let (to_agent, incoming) = mpsc::channel(OUTGOING);
        let road = self.clone();
        tokio::spawn(async move {
            loop {
                let message = match stream.message().await {
                    Ok(Some(message)) => Ok(message),
                    Ok(None) => return,
                    Err(status) => Err(road.refused(&status)),
                };
                let ended = message.is_err();
                // The agent has hung up if nobody listens.
                if to_agent.send(message).await.is_err() || ended {
                    return;
                }
            }
        });
        Ok(Connection { outgoing, incoming, road: self.describe(), kind: RoadKind::Grpc })
    }
}

impl Transport for GrpcTransport {
    fn describe(&self) -> String {
        format!("collector {}", self.address)
    }

    fn connect(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, TransportError>> + Send + '_>> {
        Box::pin(self.open())
    }
}

fn tls(settings: &GrpcSettings) -> ClientTlsConfig {
    let mut tls = ClientTlsConfig::new();
    tls = match &settings.ca_pem {
        Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
        None => tls.with_native_roots(),
    };
    if let Some((certificate, key)) = &settings.identity_pem {
        tls = tls.identity(Identity::from_pem(certificate, key.expose()));
    }
    if let Some(name) = &settings.server_name {
        tls = tls.domain_name(name);
    }
    tls
}

/// tonic says "transport error" and hides why.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
