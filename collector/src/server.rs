//! The listener: gRPC over h2 and h2c, HTTP/1.1 and HTTP/2 for the API, on one port.
//!
//! Owns connections: TLS, limits, keep-alive and draining. Who may call is decided here, before a route is reached; what
//! is answered, elsewhere.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::{Role, TlsFiles, Token};

/// Connections at a time; whoever comes beyond that waits in the listener's backlog.
const MAX_CONNECTIONS: usize = 10_000;
const TLS_DEADLINE: Duration = Duration::from_secs(10);
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// Agents ping at 20 s; a peer that is gone is noticed within 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// As much of a refused request's body is read.
const REFUSED_BODY_BYTES: usize = 64 * 1024;
/// gRPC's path begins with its package.
const INTAKE_PREFIX: &str = "/watchkeeper.v1.Intake/";
/// Whoever may call this writes files on our host.
const BACKUP_PATH: &str = "/api/v1/backup";

/// Lays the check of tokens over all routes; without tokens everybody may do everything.
pub fn guarded(router: Router, tokens: Vec<Token>) -> Router {
    if tokens.is_empty() {
        return router;
    }
    router.layer(middleware::from_fn_with_state(Arc::new(tokens), check_token))
}

async fn check_token(
    State(tokens): State<Arc<Vec<Token>>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    // Whether it lives may be asked by whatever starts it.
    if path == "/healthz" || path == "/readyz" {
        return next.run(request).await;
    }
    let is_intake = path.starts_with(INTAKE_PREFIX);
    let role = role_of(request.headers(), &tokens);
    let allowed = match role {
        None => false,
        Some(Role::Agent) => is_intake,
        Some(Role::Admin) => true,
        Some(Role::Operator) => !is_intake && path != BACKUP_PATH,
        Some(Role::Viewer) => !is_intake && request.method() == Method::GET,
    };
    match (allowed, is_intake, role) {
        (true, ..) => next.run(request).await,
        (false, true, _) => tonic::Status::unauthenticated("this token may not deliver")
            .into_http::<axum::body::Body>(),
        (false, false, _) => {
            // An answer before the body is taken in breaks the stream for some clients.
            let body = axum::body::to_bytes(request.into_body(), REFUSED_BODY_BYTES);
            let _ = tokio::time::timeout(HEADER_DEADLINE, body).await;
            match role {
                None => refuse(
                    StatusCode::UNAUTHORIZED,
                    "a token is needed: Authorization: Bearer TOKEN",
                ),
                Some(_) => refuse(StatusCode::FORBIDDEN, "this token may not do that"),
            }
        }
    }
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(serde_json::json!({ "error": text }))).into_response()
}

/// Compares hashes, so that the time it takes says nothing about the token.
fn role_of(headers: &HeaderMap, tokens: &[Token]) -> Option<Role> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let hash: [u8; 32] = Sha256::digest(token.trim().as_bytes()).into();
    tokens.iter().find(|t| t.hash == hash).map(|t| t.role)
}

/// The TLS side of the listener.
///
/// # Errors
/// If a file cannot be read or holds no usable certificate or key.
pub fn tls_acceptor(files: &TlsFiles) -> anyhow::Result<TlsAcceptor> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certs = |path: &std::path::Path| -> anyhow::Result<Vec<CertificateDer<'static>>> {
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .with_context(|| format!("{} holds no certificate", path.display()))
    };
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("{} holds no private key", files.key.display()))?;
    let builder = rustls::ServerConfig::builder();
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in certs(path)? {
                roots.add(certificate)?;
            }
            let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots))
                .allow_unauthenticated()
                .build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(certs(&files.cert)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `stop`, then lets connections finish for at most `drain`.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: CancellationToken,
    drain: Duration,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
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
            accepted = listener.accept() => accepted,
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
    drop(listener);
    // Idle connections end at once, others when their answer is out.
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still open when the time to drain was over");
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) -> anyhow::Result<()> {
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
    let result = match tls {
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
    };
    result.map_err(|e| anyhow::anyhow!(e))
}
