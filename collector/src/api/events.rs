//! `GET events`: what happened, newest first.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use serde_json::value::RawValue;
use watchkeeper_model::Severity;

use super::endpoints;
use super::error::ApiError;
use super::json::Time;
use super::params::Params;
use super::state::ApiState;
use crate::store::{EventFilter, StoredEvent};

#[derive(Serialize)]
pub(super) struct Events {
    events: Vec<EventJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct EventJson {
    time: Time,
    service: String,
    agent: String,
    source: String,
    name: String,
    severity: &'static str,
    message: String,
    correlation: String,
    trace: String,
    fields: Fields,
    truncated: bool,
}

/// What the line said, as it said it.
#[derive(Serialize)]
#[serde(untagged)]
enum Fields {
    Json(Box<RawValue>),
    /// Cut off in the middle, or never JSON.
    Text(String),
}

pub(super) async fn list(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Events>, ApiError> {
    let params = Params::read(&endpoints::EVENTS, query.as_deref())?;
    let filter = EventFilter {
        service: params.owned("service"),
        name: params.owned("name"),
        severity: params.parsed("severity", "info, warning, error or critical", Severity::parse)?,
        text: params.owned("text"),
        correlation: params.owned("correlation"),
        from: params.time("from")?,
        to: params.time("to")?,
    };
    let page = params.page()?;
    let found = state.ask(move |reads| reads.events(&filter, &page)).await?;
    let next = found.next.map(|cursor| cursor.to_string());
    Ok(Json(Events { events: found.rows.into_iter().map(Into::into).collect(), next }))
}

impl From<StoredEvent> for EventJson {
    fn from(StoredEvent { service, agent, event }: StoredEvent) -> Self {
        Self {
            time: Time(event.at),
            service,
            agent: agent.as_str().to_owned(),
            source: event.source,
            name: event.name,
            severity: event.severity.as_str(),
            message: event.message,
            correlation: event.correlation,
            trace: event.trace,
            fields: match RawValue::from_string(event.fields.clone()) {
                Ok(json) => Fields::Json(json),
                Err(_) => Fields::Text(event.fields),
            },
            truncated: event.truncated,
        }
    }
}
