//! `GET slos`, `GET slos/NAME`: how each SLO stands.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use serde::Serialize;
use watchkeeper_collector_core::engine::{PartView, SloView};
use watchkeeper_expr::duration;
use watchkeeper_model::time::nanos_of;

use super::endpoints;
use super::error::ApiError;
use super::json::{Number, Pairs, Time, page_by_key};
use super::params::Params;
use super::state::ApiState;

#[derive(Serialize)]
pub(super) struct Slos {
    slos: Vec<SloJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct SloJson {
    name: String,
    service: String,
    objective: Number,
    window: String,
    good: u64,
    total: u64,
    unjudged: u64,
    sli: Option<Number>,
    budget_remaining: Number,
    burn: Pairs<Option<Number>>,
    exhausts_at: Option<Time>,
    state: &'static str,
    approximate: Number,
    corrected_seconds: Number,
    correction: Option<String>,
    composite: Vec<PartJson>,
}

/// A part of a composite.
#[derive(Serialize)]
struct PartJson {
    slo: String,
    weight: Number,
    good: u64,
    total: u64,
    sli: Option<Number>,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Slos>, ApiError> {
    let params = Params::read(&endpoints::SLOS, query.as_deref())?;
    let snapshot = state.engine.snapshot().await?;
    let (slos, next) =
        page_by_key(snapshot.slos, |slo| slo.name.clone(), params.text("after"), params.limit()?);
    Ok(Json(Slos { slos: slos.into_iter().map(Into::into).collect(), next }))
}

pub(super) async fn one(
    State(state): State<ApiState>,
    name: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<Slos>, ApiError> {
    let Path(name) = name?;
    Params::read(&endpoints::SLO, query.as_deref())?;
    let snapshot = state.engine.snapshot().await?;
    match snapshot.slos.into_iter().find(|slo| slo.name == name) {
        Some(slo) => Ok(Json(Slos { slos: vec![slo.into()], next: None })),
        None => Err(ApiError::missing("name", format!("no SLO is named {name:?}"))),
    }
}

/// SLOs as `GET slos` answers with them, for who asks an engine that is not behind the API.
pub fn as_answer(slos: Vec<SloView>) -> impl Serialize {
    Slos { slos: slos.into_iter().map(Into::into).collect(), next: None }
}

impl From<SloView> for SloJson {
    fn from(slo: SloView) -> Self {
        let burn = slo
            .burn
            .into_iter()
            .map(|(window, rate)| (duration::format(nanos_of(window)), rate.map(Number)));
        Self {
            burn: Pairs(burn.collect()),
            name: slo.name,
            service: slo.service,
            objective: Number(slo.objective),
            window: slo.window,
            good: slo.good,
            total: slo.total,
            unjudged: slo.unjudged,
            sli: slo.sli.map(Number),
            budget_remaining: Number(slo.budget_remaining),
            exhausts_at: slo.exhausts_at.map(Time),
            state: slo.state.as_str(),
            approximate: Number(slo.approximate),
            corrected_seconds: Number(slo.corrected_seconds),
            correction: slo.correction,
            composite: slo.composite.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<PartView> for PartJson {
    fn from(part: PartView) -> Self {
        let PartView { slo, weight, good, total, sli } = part;
        Self { slo, weight: Number(weight), good, total, sli: sli.map(Number) }
    }
}
