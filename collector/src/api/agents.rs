//! `GET agents`: who reports, and how their sources do.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use watchkeeper_collector_core::engine::{AgentState, AgentView, Road, SourceView};

use super::endpoints;
use super::error::ApiError;
use super::json::{Number, Pairs, Time, page_by_key};
use super::params::Params;
use super::state::ApiState;

#[derive(Serialize)]
pub(super) struct Agents {
    agents: Vec<AgentJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct AgentJson {
    id: String,
    state: &'static str,
    last_beat: Option<Time>,
    epoch: String,
    skew_seconds: Number,
    spool_bytes: u64,
    lag_bytes: u64,
    /// `grpc`, `amqp`, or "" before the first beat.
    road: &'static str,
    version: String,
    sources: Vec<SourceJson>,
}

#[derive(Serialize)]
struct SourceJson {
    name: String,
    kind: String,
    state: String,
    read: u64,
    skipped: Pairs<u64>,
    bytes_abandoned: u64,
    bytes_unknown: u64,
    redacted: u64,
    events_held_back: u64,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Agents>, ApiError> {
    let params = Params::read(&endpoints::AGENTS, query.as_deref())?;
    let snapshot = state.engine.snapshot().await?;
    let key = |agent: &AgentView| agent.id.as_str().to_owned();
    let (agents, next) = page_by_key(snapshot.agents, key, params.text("after"), params.limit()?);
    Ok(Json(Agents { agents: agents.into_iter().map(Into::into).collect(), next }))
}

impl From<AgentView> for AgentJson {
    fn from(agent: AgentView) -> Self {
        Self {
            id: agent.id.as_str().to_owned(),
            state: match agent.state {
                AgentState::Live => "live",
                AgentState::Silent => "silent",
                AgentState::Stopped => "stopped",
            },
            last_beat: agent.last_beat.map(Time),
            epoch: agent.epoch,
            skew_seconds: Number(agent.skew_seconds),
            spool_bytes: agent.spool_bytes,
            lag_bytes: agent.lag_bytes,
            road: agent.road.map_or("", Road::as_str),
            version: agent.version,
            sources: agent.sources.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<SourceView> for SourceJson {
    fn from(source: SourceView) -> Self {
        let skipped = source.skipped.into_iter().map(|(reason, n)| (reason.as_str().to_owned(), n));
        Self {
            skipped: Pairs(skipped.collect()),
            name: source.name,
            kind: source.kind,
            state: source.state,
            read: source.read,
            bytes_abandoned: source.bytes_abandoned,
            bytes_unknown: source.bytes_unknown,
            redacted: source.redacted,
            events_held_back: source.events_held_back,
        }
    }
}
