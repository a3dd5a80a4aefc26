//! One HTTP connection, of either version.
//!
//! Owns its task, which ends with it, and the bounds of heads. Never reads a body.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use watchkeeper_agent_core::probe::{Failure, Reason};

use super::patience::Patience;
use crate::sources::probe::net::of_io;

/// The most bytes of status line and headers together.
const MAX_HEAD: usize = 64 << 10;

/// The most headers of an answer.
const MAX_HEADERS: usize = 256;

/// A connection over which requests go one after the other.
#[derive(Debug)]
pub(in super::super) struct Connection {
    sender: Sender,
    task: AbortHandle,
}

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Full<Bytes>>, Patience),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Begins to speak HTTP over a stream with `host`.
    pub(in super::super) async fn begin<S>(
        stream: S,
        is_two: bool,
        host: &str,
    ) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if is_two {
            let stream = TokioIo::new(stream);
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(MAX_HEAD as u32);
            let (sender, driver) =
                builder.handshake(stream).await.map_err(|error| of_http(host, &error))?;
            let task = tokio::spawn(driver).abort_handle();
            return Ok(Self { sender: Sender::Two(sender), task });
        }
        let patience = Patience::new();
        let stream = TokioIo::new(patience.limit(stream));
        let mut builder = http1::Builder::new();
        builder.max_header_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let (sender, driver) =
            builder.handshake(stream).await.map_err(|error| of_http(host, &error))?;
        let task = tokio::spawn(driver).abort_handle();
        Ok(Self { sender: Sender::One(sender, patience), task })
    }

    /// The version that is spoken.
    pub(in super::super) fn version(&self) -> Version {
        match self.sender {
            Sender::One(..) => Version::HTTP_11,
            Sender::Two(_) => Version::HTTP_2,
        }
    }

    /// Whether another request can go over it.
    pub(in super::super) async fn is_ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::One(sender, _) => sender.ready().await.is_ok(),
            Sender::Two(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request, and waits for the answer's head.
    pub(in super::super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        match &mut self.sender {
            Sender::One(sender, patience) => {
                patience.begin();
                let answer = sender.send_request(request).await;
                patience.end();
                answer
            }
            Sender::Two(sender) => sender.send_request(request).await,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What an error of HTTP is; `host` is asked.
pub(in super::super) fn of_http(host: &str, error: &hyper::Error) -> Failure {
    if error.is_parse_too_large() {
        let what = format!("the head of the answer of {host} is longer than {MAX_HEAD} bytes");
        return Failure::new(Reason::Protocol, what);
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let io = cause.downcast_ref::<std::io::Error>();
        if let Some(io) = io.filter(|io| !is_misspelt(io)) {
            // With TLS 1.3 a server refuses the client's certificate after the handshake.
            let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            return match tls {
                Some(tls) => Failure::new(Reason::Tls, format!("{host} and TLS: {tls}")),
                None => of_io(host, io),
            };
        }
        source = cause.source();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        let what = format!("{host} closed the connection before it had answered");
        return Failure::new(Reason::Reset, what);
    }
    let mut what = format!("the answer of {host} is no HTTP: {error}");
    if let Some(cause) = std::error::Error::source(error) {
        what = format!("{what}: {cause}");
    }
    Failure::new(Reason::Protocol, what)
}

/// Whether what came can't be read, as with chunks of no length.
fn is_misspelt(error: &std::io::Error) -> bool {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    let kinds = [std::io::ErrorKind::InvalidData, std::io::ErrorKind::InvalidInput];
    !is_tls && kinds.contains(&error.kind())
}
