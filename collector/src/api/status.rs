//! `/healthz`, `/readyz`, `/metrics`: for whoever looks after the process.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::state::ApiState;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(state): State<ApiState>) -> Response {
    let lines = |parts: Vec<(&'static str, String)>| -> String {
        parts.iter().map(|(component, text)| format!("{component}: {text}\n")).collect()
    };
    let notes = lines(state.readiness.notes());
    let missing = state.readiness.missing();
    if missing.is_empty() {
        return format!("ready\n{notes}").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, lines(missing) + &notes).into_response()
}

pub(super) async fn metrics(State(state): State<ApiState>) -> Result<Response, ApiError> {
    match state.telemetry.render() {
        Ok(text) => {
            Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
                .into_response())
        }
        Err(error) => {
            tracing::error!(%error, "bug: metrics can't be encoded");
            let text = "metrics can't be encoded: see the log";
            Err(ApiError::plain(StatusCode::INTERNAL_SERVER_ERROR, text))
        }
    }
}
