//! `GET dead-letters`, `GET dead-letters/ID`, `POST dead-letters/ID/retry`, `DELETE dead-letters/ID`.
//!
//! Owns how letters are paged and asked for. Where they are kept, and what a retry does, is the business of their places.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use watchkeeper_model::Kind;

use super::endpoints;
use super::error::ApiError;
use super::params::Params;
use super::state::ApiState;
use crate::letters::{Found, Letter, Place, PlaceError, content};

#[derive(Serialize)]
pub(super) struct DeadLetters {
    dead_letters: Vec<Letter>,
    /// Places that can't be asked, and why.
    unreachable: Vec<String>,
    /// Places that have more than is looked at, and how many.
    left_out: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
pub(super) struct OneDeadLetter {
    #[serde(flatten)]
    letter: Letter,
    content: Value,
}

#[derive(Serialize)]
pub(super) struct RetriedLetter {
    id: String,
    outcome: &'static str,
    reason: String,
}

#[derive(Serialize)]
pub(super) struct DroppedLetter {
    id: String,
    dropped: bool,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<DeadLetters>, ApiError> {
    let params = Params::read(&endpoints::DEAD_LETTERS, query.as_deref())?;
    let limit = params.limit()? as usize;
    let Found { letters: mut all, unreachable, left_out } = state.letters.letters().await?;
    if let Some(agent) = params.text("agent") {
        all.retain(|letter| letter.agent == agent);
    }
    // The cursor is the place in the order, so that a letter that was dropped meanwhile is none to miss.
    let cursor =
        |letter: &Letter| format!("{}/{}", letter.at.as_deref().unwrap_or_default(), letter.id);
    if let Some(after) = params.text("after") {
        all.retain(|letter| cursor(letter).as_str() < after);
    }
    let next = (all.len() > limit).then(|| cursor(&all[limit - 1]));
    all.truncate(limit);
    Ok(Json(DeadLetters { dead_letters: all, unreachable, left_out, next }))
}

pub(super) async fn one(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<OneDeadLetter>, ApiError> {
    let Path(id) = id?;
    Params::read(&endpoints::DEAD_LETTER, query.as_deref())?;
    let (place, number) = found(&state, &id)?;
    let opened = place.open(number).await?.ok_or_else(|| missing(&id))?;
    let content = content(Kind::parse(&opened.letter.kind), &opened.sealed);
    Ok(Json(OneDeadLetter { letter: opened.letter, content }))
}

pub(super) async fn retry(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<RetriedLetter>, ApiError> {
    let Path(id) = id?;
    Params::read(&endpoints::RETRY_DEAD_LETTER, query.as_deref())?;
    // Once begun it is finished, whether somebody waits for the answer or not.
    let letters = state.letters.clone();
    let retrying = tokio::spawn(async move {
        let (place, number) = letters.find(&id).ok_or_else(|| missing(&id))?;
        let retried = place.retry(number).await?.ok_or_else(|| missing(&id))?;
        let outcome = retried.outcome.as_str();
        Ok(Json(RetriedLetter { id, outcome, reason: retried.reason }))
    });
    retrying.await.map_err(|error| {
        tracing::error!(%error, "bug: the retry of a dead letter panicked");
        ApiError::plain(StatusCode::INTERNAL_SERVER_ERROR, "the retry could not be made")
    })?
}

pub(super) async fn discard(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<DroppedLetter>, ApiError> {
    let Path(id) = id?;
    Params::read(&endpoints::DROP_DEAD_LETTER, query.as_deref())?;
    let (place, number) = found(&state, &id)?;
    match place.drop_letter(number).await? {
        true => {
            tracing::warn!(id, "a dead letter was dropped by hand; it is not counted");
            Ok(Json(DroppedLetter { id, dropped: true }))
        }
        false => Err(missing(&id)),
    }
}

fn found<'a>(state: &'a ApiState, id: &str) -> Result<(&'a dyn Place, u64), ApiError> {
    state.letters.find(id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> ApiError {
    ApiError::missing("id", format!("there is no dead letter {id}"))
}

impl From<PlaceError> for ApiError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Store(error) if error.is_full() => {
                Self::plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            PlaceError::Store(error) => error.into(),
            PlaceError::Unreachable { .. } => {
                Self::plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
        }
    }
}
