//! `POST backup`: a backup of the running collector, written on its host.
//!
//! Owns who may not ask: a page in somebody's browser, which can post anything but JSON. What a backup is, is elsewhere.

use std::path::PathBuf;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::endpoints;
use super::error::ApiError;
use super::json::Time;
use super::params::Params;
use super::state::ApiState;
use crate::backup::{BackedUpFile, BackupError, Manifest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    to: PathBuf,
}

#[derive(Serialize)]
pub(super) struct BackupJson {
    directory: String,
    made_at: Time,
    version: String,
    incarnation: String,
    last_incident: u64,
    files: Vec<BackedUpFile>,
}

pub(super) async fn take(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BackupJson>, ApiError> {
    Params::read(&endpoints::BACKUP, query.as_deref())?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.trim().starts_with("application/json")) {
        let error = "the body is to be JSON, and the header content-type: application/json";
        return Err(ApiError::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
    }
    let Wanted { to } = serde_json::from_slice(&body?).map_err(|error| {
        let expected = "{\"to\": an absolute path on the collector's host}";
        ApiError::bad("body", format!("expected {expected}: {error}"))
    })?;
    let taken = state.backups.take(to, state.now()).await?;
    tracing::info!(directory = %taken.directory.display(), "a backup was made");
    let Manifest { version, made_at, incarnation, last_incident, files, .. } = taken.manifest;
    Ok(Json(BackupJson {
        directory: taken.directory.display().to_string(),
        made_at: Time(made_at),
        version,
        incarnation,
        last_incident,
        files,
    }))
}

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => error.into(),
            error if error.is_askers() => Self::bad("to", error.to_string()),
            error => {
                tracing::error!(%error, "no backup was made");
                Self::plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
        }
    }
}
