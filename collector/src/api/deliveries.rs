//! `GET deliveries`: what receivers were told, and why.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;

use super::endpoints;
use super::error::ApiError;
use super::json::Time;
use super::params::Params;
use super::state::ApiState;
use crate::store::{DeliveryFilter, StoredDelivery};

#[derive(Serialize)]
pub(super) struct Deliveries {
    deliveries: Vec<DeliveryJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct DeliveryJson {
    id: u64,
    incident: u64,
    receiver: String,
    integration: String,
    kind: String,
    action: String,
    reason: String,
    at: Time,
    attempt: u32,
    outcome: String,
    status: Option<u16>,
    error: Option<String>,
    next_at: Option<Time>,
    alerts: Vec<String>,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Deliveries>, ApiError> {
    let params = Params::read(&endpoints::DELIVERIES, query.as_deref())?;
    let filter =
        DeliveryFilter { receiver: params.owned("receiver"), alert: params.owned("alert") };
    let page = params.page()?;
    let found = state.ask(move |reads| reads.deliveries(&filter, &page)).await?;
    let next = found.next.map(|cursor| cursor.to_string());
    Ok(Json(Deliveries { deliveries: found.rows.into_iter().map(Into::into).collect(), next }))
}

impl From<StoredDelivery> for DeliveryJson {
    fn from(delivery: StoredDelivery) -> Self {
        Self {
            id: delivery.id,
            incident: delivery.incident,
            receiver: delivery.receiver,
            integration: delivery.integration,
            kind: delivery.kind,
            action: delivery.action,
            reason: delivery.reason,
            at: Time(delivery.at),
            attempt: delivery.attempt,
            outcome: delivery.outcome,
            status: delivery.status,
            error: delivery.error,
            next_at: delivery.next_at.map(Time),
            alerts: delivery.alerts,
        }
    }
}
