//! `GET receivers`, `POST receivers/NAME/test`: who is told, how each way of telling is doing, and whether it works.
//!
//! Owns the shapes of both answers. A test that was begun goes on when nobody waits for its answer any more: what it opened
//! must be closed.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use watchkeeper_collector_core::engine;

use super::endpoints;
use super::error::ApiError;
use super::json::{Number, Time, page_by_key};
use super::params::Params;
use super::state::ApiState;
use crate::dispatch::{IntegrationStatus, Trial, Tried, TriedStep, try_out};
use crate::store::{DeliveryFilter, Page, StoredDelivery};

/// How many deliveries of a receiver are looked at for the latest of each integration.
const RECENT: u32 = 100;

#[derive(Serialize)]
pub(super) struct Receivers {
    receivers: Vec<ReceiverJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct ReceiverJson {
    name: String,
    integrations: Vec<IntegrationJson>,
}

#[derive(Serialize)]
struct IntegrationJson {
    integration: String,
    kind: String,
    send_resolved: bool,
    waiting: usize,
    in_flight: usize,
    held: Option<&'static str>,
    breaker: &'static str,
    left_alone_seconds: Option<Number>,
    last_error: Option<String>,
    last: Option<LastJson>,
}

/// The newest delivery of which it is known what became of it.
#[derive(Clone, Serialize)]
struct LastJson {
    at: Time,
    action: String,
    outcome: String,
    status: Option<u16>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    integration: Option<String>,
    severity: String,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { integration: None, severity: "ticket".to_owned() }
    }
}

#[derive(Serialize)]
pub(super) struct Tested {
    receiver: String,
    ok: bool,
    integrations: Vec<TestedIntegration>,
}

#[derive(Serialize)]
struct TestedIntegration {
    integration: String,
    kind: &'static str,
    ok: bool,
    steps: Vec<StepJson>,
}

#[derive(Serialize)]
struct StepJson {
    action: &'static str,
    ok: bool,
    status: Option<u16>,
    error: Option<String>,
    seconds: Number,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Receivers>, ApiError> {
    let params = Params::read(&endpoints::RECEIVERS, query.as_deref())?;
    let known = state.settings.borrow().receivers.clone();
    let key = |receiver: &engine::ReceiverSettings| receiver.name.clone();
    let (page, next) = page_by_key(known, key, params.text("after"), params.limit()?);
    let names: Vec<String> = page.iter().map(|receiver| receiver.name.clone()).collect();
    let last = state.ask(move |reads| names.iter().map(|n| latest(reads, n)).collect()).await?;
    let last: Vec<BTreeMap<String, LastJson>> = last;
    let status = state.dispatch.status();
    let receivers = page.into_iter().zip(last).map(|(r, last)| receiver(r, &last, &status));
    Ok(Json(Receivers { receivers: receivers.collect(), next }))
}

/// The newest delivery to each integration that is not under way for the first time.
fn latest(
    reads: &crate::store::Reads,
    receiver: &str,
) -> Result<BTreeMap<String, LastJson>, crate::store::StoreError> {
    let filter = DeliveryFilter { receiver: Some(receiver.to_owned()), alert: None };
    let found = reads.deliveries(&filter, &Page::first(RECENT))?;
    let mut latest = BTreeMap::new();
    for row in found.rows.into_iter().filter(|row| row.outcome != "pending") {
        let StoredDelivery { integration, at, action, outcome, status, error, .. } = row;
        let last = LastJson { at: Time(at), action, outcome, status, error };
        latest.entry(integration).or_insert(last);
    }
    Ok(latest)
}

fn receiver(
    settings: engine::ReceiverSettings,
    last: &BTreeMap<String, LastJson>,
    status: &[IntegrationStatus],
) -> ReceiverJson {
    let name = settings.name;
    let integrations = settings.integrations.into_iter().map(|settings| {
        let now =
            status.iter().find(|s| *s.key.receiver == *name && *s.key.integration == *settings.id);
        let error = now.map(|s| s.last_error.clone()).filter(|error| !error.is_empty());
        IntegrationJson {
            last: last.get(&settings.id).cloned(),
            integration: settings.id,
            kind: settings.kind,
            send_resolved: settings.send_resolved,
            waiting: now.map_or(0, |s| s.n_waiting),
            in_flight: now.map_or(0, |s| s.n_in_flight),
            held: now.and_then(|s| s.held).map(crate::dispatch::Hold::as_str),
            breaker: if now.is_some_and(|s| s.is_broken) { "open" } else { "closed" },
            left_alone_seconds: now
                .and_then(|s| s.left_alone_for)
                .map(|left| Number(left.as_secs_f64())),
            last_error: error,
        }
    });
    ReceiverJson { integrations: integrations.collect(), name }
}

pub(super) async fn test(
    State(state): State<ApiState>,
    name: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Tested>, ApiError> {
    let (Path(name), body) = (name?, body?);
    Params::read(&endpoints::TEST, query.as_deref())?;
    let wanted = wanted(&body)?;
    let external_url = {
        let settings = state.settings.borrow();
        if settings.receiver(&name).is_none() {
            let known: Vec<&str> = settings.receivers.iter().map(|r| r.name.as_str()).collect();
            let text =
                format!("there is no receiver {name:?}; receivers are: {}", known.join(", "));
            return Err(ApiError::missing("name", text));
        }
        settings.external_url.clone()
    };
    let mut integrations = state.dispatch.integrations(&name);
    if let Some(only) = &wanted.integration {
        integrations.retain(|integration| *integration.key.integration == **only);
        if integrations.is_empty() {
            let text = format!("the receiver {name:?} has no integration {only:?}");
            return Err(ApiError::missing("integration", text));
        }
    }
    if integrations.is_empty() {
        let text = format!("the receiver {name:?} has no integrations: it tells nobody");
        return Err(ApiError::bad("name", text));
    }
    let Ok(turn) = state.trials.clone().try_acquire_owned() else {
        return Err(ApiError::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "another test is under way: try again in half a minute",
        ));
    };
    let trial = Trial { severity: wanted.severity, external_url };
    let trying = tokio::spawn(async move {
        let _turn = turn;
        let tried = try_out(integrations, &trial, || state.now()).await;
        let rows = tried.iter().flat_map(Tried::rows).collect();
        // Whether it is in the ledger changes nothing about what arrived.
        let _ = state.engine.record_tests(rows).await;
        tried
    });
    let tried = trying.await.map_err(|error| {
        tracing::error!(%error, "bug: a receiver's test panicked");
        ApiError::plain(StatusCode::INTERNAL_SERVER_ERROR, "the test could not be made")
    })?;
    Ok(Json(tested(name, &tried)))
}

fn wanted(body: &[u8]) -> Result<Wanted, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Wanted::default());
    }
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| {
        ApiError::bad("body", format!("expected {{\"integration\", \"severity\"}}: {error}"))
    })?;
    match wanted.severity.as_str() {
        "page" | "ticket" => Ok(wanted),
        other => Err(ApiError::bad("severity", format!("{other:?} is neither page nor ticket"))),
    }
}

fn tested(receiver: String, tried: &[Tried]) -> Tested {
    let step = |step: &TriedStep| StepJson {
        action: step.action_name(),
        ok: step.error.is_none(),
        status: step.status,
        error: step.error.clone(),
        seconds: Number(step.took.as_secs_f64()),
    };
    let integration = |tried: &Tried| TestedIntegration {
        integration: tried.key.integration.to_string(),
        kind: tried.kind,
        ok: tried.is_ok(),
        steps: tried.steps.iter().map(step).collect(),
    };
    Tested {
        receiver,
        ok: tried.iter().all(Tried::is_ok),
        integrations: tried.iter().map(integration).collect(),
    }
}
