//! `GET alerts`, `POST alerts/FP/ack`: what is wrong, and who has taken it on.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, RawQuery, State};
use serde::{Deserialize, Serialize};
use watchkeeper_collector_core::engine::AlertView;
use watchkeeper_model::Labels;

use super::endpoints;
use super::error::ApiError;
use super::json::{Number, Time, page_by_key};
use super::params::Params;
use super::state::{Acknowledged, ApiState};

#[derive(Serialize)]
pub(super) struct Alerts {
    alerts: Vec<AlertJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct AlertJson {
    fingerprint: String,
    labels: Labels,
    annotations: Labels,
    state: &'static str,
    stale: bool,
    acknowledged_by: Option<String>,
    starts_at: Time,
    ends_at: Option<Time>,
    value: Option<Number>,
    reason: String,
    receivers: Vec<String>,
    suppressed_by: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledge {
    by: String,
    #[serde(default)]
    comment: String,
}

#[derive(Serialize)]
pub(super) struct AcknowledgedJson {
    fingerprint: String,
    acknowledged_by: String,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Alerts>, ApiError> {
    let params = Params::read(&endpoints::ALERTS, query.as_deref())?;
    let snapshot = state.engine.snapshot().await?;
    let key = |alert: &AlertView| alert.fingerprint.to_string();
    let (alerts, next) = page_by_key(snapshot.alerts, key, params.text("after"), params.limit()?);
    Ok(Json(Alerts { alerts: alerts.into_iter().map(Into::into).collect(), next }))
}

pub(super) async fn acknowledge(
    State(state): State<ApiState>,
    fingerprint: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AcknowledgedJson>, ApiError> {
    let (Path(fingerprint), body) = (fingerprint?, body?);
    Params::read(&endpoints::ACKNOWLEDGE, query.as_deref())?;
    let Acknowledge { by, comment } = serde_json::from_slice(&body).map_err(|error| {
        ApiError::bad("body", format!("expected {{\"by\", \"comment\"}}: {error}"))
    })?;
    if by.trim().is_empty() {
        return Err(ApiError::bad("by", "by is empty: say who takes it on"));
    }
    match state.engine.acknowledge(&fingerprint, &by, &comment).await? {
        Acknowledged::Done => Ok(Json(AcknowledgedJson { fingerprint, acknowledged_by: by })),
        Acknowledged::NoSuchAlert => Err(ApiError::missing(
            "fingerprint",
            format!("no alert that is on has the fingerprint {fingerprint:?}"),
        )),
    }
}

impl From<AlertView> for AlertJson {
    fn from(alert: AlertView) -> Self {
        Self {
            fingerprint: alert.fingerprint.to_string(),
            labels: alert.labels,
            annotations: alert.annotations,
            state: alert.state.as_str(),
            stale: alert.stale,
            acknowledged_by: alert.acknowledged_by,
            starts_at: Time(alert.starts_at),
            ends_at: alert.ends_at.map(Time),
            value: alert.value.map(Number),
            reason: alert.reason,
            receivers: alert.receivers,
            suppressed_by: alert.suppressed_by,
        }
    }
}
