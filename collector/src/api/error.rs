//! Refusals.
//!
//! Owns their one shape, `{"error": text, "parameter": name}`, and which status goes with what. Never shows what is inside a
//! bug: that goes to the log.

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::query::QueryError;
use crate::store::StoreError;

use super::state::EngineGone;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) error: String,
    /// Which parameter is wrong, if one is.
    pub(super) parameter: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    parameter: Option<&'a str>,
}

impl ApiError {
    /// A parameter that can't be used.
    pub(super) fn bad(parameter: &str, error: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: error.into(),
            parameter: Some(parameter.to_owned()),
        }
    }

    /// Something that is not there.
    pub(super) fn missing(parameter: &str, error: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::bad(parameter, error) }
    }

    /// Nothing is wrong with the request's parameters.
    pub(super) fn plain(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), parameter: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Body { error: &self.error, parameter: self.parameter.as_deref() };
        (self.status, Json(body)).into_response()
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::plain(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        Self {
            parameter: Some("body".to_owned()),
            ..Self::plain(rejection.status(), rejection.body_text())
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Timeout { .. }) {
            return Self::plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        }
        tracing::error!(%error, "api: store could not answer");
        Self::plain(StatusCode::INTERNAL_SERVER_ERROR, "the store could not answer: see the log")
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Bad(bad) => Self::bad(bad.parameter, bad.problem),
            QueryError::Store(error) => error.into(),
        }
    }
}

impl From<EngineGone> for ApiError {
    fn from(_: EngineGone) -> Self {
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, "starting or stopping: ask again")
    }
}
