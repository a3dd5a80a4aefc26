//! The admin endpoint: `/healthz`, `/readyz`, `/metrics`, `/api/v1/dead-letters`, and `/api/v1/heartbeats`, where jobs are
//! heard ([`crate::hearing`]).
//!
//! Owns the HTTP answers. Only reads, and never what is in a batch: whoever asks is not known. Nothing can be changed here but
//! what is known of jobs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::hearing;
use crate::letters::LettersJson;
use crate::sources::heartbeat::Beats;
use crate::spool::Spool;
use crate::status::{Reload, Status};
use crate::telemetry::Telemetry;

/// What the endpoint reads.
#[derive(Clone)]
struct Sources {
    status: Arc<Status>,
    telemetry: Arc<Telemetry>,
    spool: Arc<Spool>,
}

/// The endpoint's routes.
pub fn router(
    status: Arc<Status>,
    telemetry: Arc<Telemetry>,
    spool: Arc<Spool>,
    beats: Beats,
) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/dead-letters", get(dead_letters))
        .with_state(Sources { status, telemetry, spool })
        .merge(hearing::router(beats))
}

async fn readyz(State(sources): State<Sources>) -> Response {
    let snapshot = sources.status.get();
    let not_ready = snapshot.not_ready();
    let code = if not_ready.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let connected = snapshot
        .road_kind
        .map_or("connected".to_owned(), |k| format!("connected by {}", k.as_str()));
    let road = snapshot.road.as_deref().unwrap_or(&connected);
    let mut text = if not_ready.is_empty() { "ready\n".to_owned() } else { String::new() };
    for (component, reason) in not_ready {
        text.push_str(&format!("{component}: {reason}\n"));
    }
    text.push_str(&format!("collector: {road}\n"));
    match &snapshot.reload {
        Reload::Never => {}
        Reload::Succeeded { at } => {
            text.push_str(&format!("config: reloaded at {}\n", at.rfc3339()))
        }
        Reload::Waiting { at, why } => {
            text.push_str(&format!("config: reload of {} waits: {why}\n", at.rfc3339()));
        }
        Reload::Failed { at, why } => {
            text.push_str(&format!("config: last reload failed at {}: {why}\n", at.rfc3339()));
        }
    }
    for source in &snapshot.sources {
        text.push_str(&format!("source {}: {}\n", source.name, source.state));
    }
    (code, text).into_response()
}

async fn dead_letters(State(sources): State<Sources>) -> Response {
    match sources.spool.dead_letters() {
        Ok(letters) => Json(LettersJson::of(&letters)).into_response(),
        Err(error) => {
            let error = serde_json::json!({"error": error.to_string(), "parameter": null});
            (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response()
        }
    }
}

async fn metrics(State(sources): State<Sources>) -> Response {
    match sources.telemetry.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("bug: {error}\n")).into_response()
        }
    }
}
