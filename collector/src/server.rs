//! Who may call: the check of tokens, and the TLS side of the listener.
//!
//! Owns what is decided before a route is reached. Connections are the listener's business, answers the routes'.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::config::{Role, TlsFiles, Token};

/// As much of a refused request's body is read, for so long.
const REFUSED_BODY_BYTES: usize = 64 * 1024;
const REFUSED_BODY_DEADLINE: Duration = Duration::from_secs(10);
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
            let _ = tokio::time::timeout(REFUSED_BODY_DEADLINE, body).await;
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
