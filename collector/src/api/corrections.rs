//! `GET corrections`, `POST corrections`, `DELETE corrections/ID`: planned maintenance that no budget pays for.
//!
//! Owns how one is written and shown. What it leaves out is the engine's business; that it is on disk is answered only
//! when it is.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use watchkeeper_collector_core::engine::{CorrectionView, MOST_CORRECTIONS, Snapshot};
use watchkeeper_collector_core::slo::{Concerned, CorrectionRow, Weekly, When};
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::{Service, Timestamp};

use super::endpoints;
use super::error::ApiError;
use super::json::{Time, page_by_key};
use super::params::Params;
use super::state::{ApiState, Corrected};

/// A text may be so long, in characters.
const MAX_TEXT_CHARS: usize = 1_000;

#[derive(Serialize)]
pub(super) struct Corrections {
    corrections: Vec<CorrectionJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct CorrectionJson {
    id: String,
    name: String,
    slos: Vec<String>,
    service: Option<String>,
    from: Option<Time>,
    to: Option<Time>,
    weekly: Option<String>,
    reason: String,
    state: &'static str,
    source: &'static str,
    covers: Vec<CoversJson>,
    by: Option<String>,
    created_at: Option<Time>,
    ended_by: Option<String>,
    ended_at: Option<Time>,
}

/// What is left out of one SLO: whole buckets.
#[derive(Serialize)]
struct CoversJson {
    slo: String,
    from: Time,
    to: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCorrection {
    #[serde(default)]
    name: String,
    slos: Option<Vec<String>>,
    service: Option<String>,
    from: String,
    to: String,
    reason: String,
    by: String,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Corrections>, ApiError> {
    let params = Params::read(&endpoints::CORRECTIONS, query.as_deref())?;
    let snapshot = state.engine.snapshot().await?;
    // Numbers in their order, then those of the file.
    let key = |correction: &CorrectionView| format!("{:0>20}", correction.id);
    let all = snapshot.corrections;
    let (all, next) = page_by_key(all, key, params.text("after"), params.limit()?);
    let corrections = all.into_iter().map(|view| shown(view, snapshot.at)).collect();
    Ok(Json(Corrections { corrections, next }))
}

pub(super) async fn add(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Corrections>, ApiError> {
    Params::read(&endpoints::ADD_CORRECTION, query.as_deref())?;
    let new: NewCorrection = serde_json::from_slice(&body?).map_err(|error| {
        let keys =
            "\"from\", \"to\", \"reason\", \"by\", and perhaps \"name\", \"slos\", \"service\"";
        ApiError::bad("body", format!("expected {{{keys}}}: {error}"))
    })?;
    let snapshot = state.engine.snapshot().await?;
    let row = read(new, &snapshot)?;
    answer(state.engine.add_correction(row).await?, &snapshot)
}

pub(super) async fn end(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<Corrections>, ApiError> {
    let Path(id) = id?;
    let params = Params::read(&endpoints::END_CORRECTION, query.as_deref())?;
    let by = text("by", params.text("by").unwrap_or(""))?;
    let snapshot = state.engine.snapshot().await?;
    if id.starts_with("file-") {
        let error = format!("{id} is in the configuration: take it out there and reload");
        return Err(ApiError::bad("id", error));
    }
    let Ok(number) = id.parse() else {
        return Err(ApiError::missing("id", format!("no correction has the id {id:?}")));
    };
    answer(state.engine.end_correction(number, &by).await?, &snapshot)
}

fn answer(corrected: Corrected, before: &Snapshot) -> Result<Json<Corrections>, ApiError> {
    match corrected {
        Corrected::Done(view) => {
            let corrections = vec![shown(*view, before.at)];
            Ok(Json(Corrections { corrections, next: None }))
        }
        Corrected::NotOnDisk => Err(ApiError::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "it holds, but the ledger cannot be written now: it will be as soon as there is room",
        )),
        Corrected::TooMany => {
            let error = format!("{MOST_CORRECTIONS} corrections are on: end some");
            Err(ApiError::plain(StatusCode::CONFLICT, error))
        }
        Corrected::NoSuchCorrection => {
            Err(ApiError::missing("id", "no correction that is on has this id"))
        }
    }
}

fn read(new: NewCorrection, snapshot: &Snapshot) -> Result<CorrectionRow, ApiError> {
    let NewCorrection { name, slos, service, from, to, reason, by } = new;
    let (from, to) = (time("from", &from)?, time("to", &to)?);
    if from >= to {
        return Err(ApiError::bad("to", "to is not after from"));
    }
    if slos.is_some() && service.is_some() {
        let error = "it is about slos or a service, not both; about all without either";
        return Err(ApiError::bad("service", error));
    }
    if slos.as_ref().is_some_and(Vec::is_empty) {
        return Err(ApiError::bad("slos", "slos is empty: leave it out for all of them"));
    }
    let slos = slos.unwrap_or_default();
    for slo in &slos {
        known("slos", "SLO", slo, snapshot.slos.iter().map(|slo| slo.name.as_str()))?;
    }
    if let Some(service) = &service {
        let services = snapshot.slos.iter().map(|slo| slo.service.as_str());
        known("service", "SLO's service", service, services)?;
    }
    let name = if name.is_empty() { name } else { text("name", &name)? };
    Ok(CorrectionRow {
        id: 0,
        name,
        concerned: Concerned { slos, service: service.as_deref().and_then(Service::new) },
        from,
        to,
        reason: text("reason", &reason)?,
        by: text("by", &by)?,
        created_at: snapshot.at,
        ended: None,
    })
}

fn known<'a>(
    parameter: &str,
    noun: &str,
    name: &str,
    all: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), ApiError> {
    if all.clone().any(|known| known == name) {
        return Ok(());
    }
    let meant =
        closest(name, all).map_or_else(String::new, |near| format!(": did you mean {near}?"));
    Err(ApiError::bad(parameter, format!("no {noun} is named {name:?}{meant}")))
}

fn time(parameter: &str, text: &str) -> Result<Timestamp, ApiError> {
    text.parse().map(Timestamp::from_jiff).map_err(|_| {
        let error = format!(
            "{parameter} is {text:?}: expected RFC 3339 with an offset, as 2026-12-01T22:00:00+01:00"
        );
        ApiError::bad(parameter, error)
    })
}

fn text(parameter: &str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(ApiError::bad(parameter, format!("{parameter} is empty: say it in a few words"))),
        n if n > MAX_TEXT_CHARS => {
            let error = format!("{parameter} has {n} characters; at most {MAX_TEXT_CHARS}");
            Err(ApiError::bad(parameter, error))
        }
        _ => Ok(text.to_owned()),
    }
}

fn shown(view: CorrectionView, now: Timestamp) -> CorrectionJson {
    let (ended, source) = match &view.added {
        Some(row) => (row.ended.clone(), "api"),
        None => (None, "file"),
    };
    let state = match &view.when {
        _ if ended.is_some() => "ended",
        _ if view.in_force => "in_force",
        When::Once { to, .. } if *to <= now => "past",
        When::Once { .. } | When::Weekly(_) => "planned",
    };
    let (from, to, weekly) = match &view.when {
        When::Once { from, to } => (Some(Time(*from)), Some(Time(*to)), None),
        When::Weekly(weekly) => (None, None, Some(words(weekly))),
    };
    let covers = view.covers.into_iter().map(|(slo, from, to)| CoversJson {
        slo,
        from: Time(from),
        to: Time(to),
    });
    CorrectionJson {
        id: view.id,
        name: view.name,
        slos: view.concerned.slos,
        service: view.concerned.service.map(|service| service.to_string()),
        from,
        to,
        weekly,
        reason: view.reason,
        state,
        source,
        covers: covers.collect(),
        by: view.added.as_ref().map(|row| row.by.clone()),
        created_at: view.added.as_ref().map(|row| Time(row.created_at)),
        ended_by: ended.as_ref().map(|ended| ended.by.clone()),
        ended_at: ended.map(|ended| Time(ended.at)),
    }
}

/// `Sun 02:00 to 03:00 (Europe/Berlin)`.
fn words(weekly: &Weekly) -> String {
    let days: Vec<String> =
        weekly.days.iter().map(|day| format!("{day:?}").chars().take(3).collect()).collect();
    let hour = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let (from, to) = (hour(weekly.from_minute), hour(weekly.to_minute));
    format!("{} {from} to {to} ({})", days.join(", "), weekly.zone.name())
}
