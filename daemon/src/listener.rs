//! The listener: gRPC over h2 and h2c, HTTP/1.1 and HTTP/2, on one port.
//!
//! Owns connections: how many there may be, TLS, deadlines, keep-alive and draining. Never knows who calls or what is answered.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

const TLS_DEADLINE: Duration = Duration::from_secs(10);
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// Agents ping at 20 s; a peer that is gone is noticed within 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A port, and how it is served.
pub struct Listener {
    /// Where connections come in.
    pub socket: TcpListener,
    /// With TLS, if there is one.
    pub tls: Option<TlsAcceptor>,
    /// Connections at a time; whoever comes beyond that waits in the socket's backlog.
    pub max_connections: usize,
    /// How long connections may take to finish after the end.
    pub drain: Duration,
}

impl Listener {
    /// Serves until `stop`, then lets connections finish.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let Self { socket, tls, max_connections, drain } = self;
        let places = Arc::new(Semaphore::new(max_connections));
        let graceful = GracefulShutdown::new();
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let place = tokio::select! {
                place = places.clone().acquire_owned() => place,
                () = stop.cancelled() => break,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, mostly: others have to end first.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
            connections.spawn(async move {
                let _place = place;
                if let Err(error) = connection(stream, tls, router, watcher).await {
                    tracing::debug!(%error, "a connection ended");
                }
            });
        }
        drop(socket);
        // Idle connections end at once, others when their answer is out.
        if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still open when the time to drain was over");
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    // Whoever connects and says nothing must not keep its place.
    tokio::time::timeout(HEADER_DEADLINE, stream.peek(&mut [0])).await??;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_concurrent_streams(256);
    let service = TowerToHyperService::new(router);
    match tls {
        None => {
            let connection =
                builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            watcher.watch(connection).await
        }
        Some(acceptor) => {
            let stream = tokio::time::timeout(TLS_DEADLINE, acceptor.accept(stream)).await??;
            let connection =
                builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            watcher.watch(connection).await
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn who_comes_beyond_the_limit_waits_for_a_place_and_gets_it() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let drain = Duration::from_secs(10);
        let listener = Listener { socket, tls: None, max_connections: 1, drain };
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "here" }));
        let serving = tokio::spawn(listener.serve(router, stop.clone()));
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HT").await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let early = second.read_to_string(&mut answer);
        let early = tokio::time::timeout(Duration::from_millis(200), early).await;
        assert!(early.is_err(), "there is one place, and the first has it");
        drop(first);
        second.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        stop.cancel();
        serving.await.unwrap();
    }
}
