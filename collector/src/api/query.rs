//! `GET query`: a statistic of a signal over event time.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use watchkeeper_collector_core::series::Stat;
use watchkeeper_model::names::is_label_name;

use super::endpoints;
use super::error::ApiError;
use super::json::{Number, Pairs};
use super::params::Params;
use super::state::ApiState;
use crate::query::{self, Answer, Ask};

const DEFAULT_SPAN: Duration = Duration::from_secs(3_600);

#[derive(Serialize)]
pub(super) struct QueryAnswer {
    resolution_seconds: u32,
    series: Vec<SeriesJson>,
}

#[derive(Serialize)]
struct SeriesJson {
    labels: Pairs<String>,
    points: Vec<(Number, Number)>,
}

pub(super) async fn get(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<QueryAnswer>, ApiError> {
    let params = Params::read(&endpoints::QUERY, query.as_deref())?;
    let ask = read(&params, &state)?;
    let answer = state.ask(move |reads| query::run(&ask, reads)).await?;
    Ok(Json(answer.into()))
}

fn read(params: &Params, state: &ApiState) -> Result<Ask, ApiError> {
    let stats = "rate, count, sum, avg, min, max, last, p50 … p99.9 or bad_ratio";
    let stat = params.parsed("stat", stats, Stat::parse)?;
    let by = params.names("by");
    if let Some(name) = by.iter().find(|name| !is_label_name(name)) {
        return Err(ApiError::bad("by", format!("by is {name:?}: not a label's name")));
    }
    if let Some(name) = by.iter().enumerate().find_map(|(i, n)| by[..i].contains(n).then_some(n)) {
        return Err(ApiError::bad("by", format!("by names {name:?} twice")));
    }
    let to = params.time("to")?.unwrap_or_else(|| state.now());
    Ok(Ask {
        signal: params.owned("signal").unwrap_or_default(),
        service: params.owned("service"),
        matching: params.condition("where")?,
        good: params.condition("good")?,
        stat: stat.ok_or_else(|| ApiError::bad("stat", "stat is missing"))?,
        by,
        from: params.time("from")?.unwrap_or(to - DEFAULT_SPAN),
        to,
        step: params.whole_seconds("step")?,
    })
}

impl From<Answer> for QueryAnswer {
    fn from(answer: Answer) -> Self {
        let series = answer.series.into_iter().map(|series| SeriesJson {
            labels: Pairs(series.labels),
            points: series
                .points
                .iter()
                .map(|point| (Number(point.at.as_secs_f64()), Number(point.value)))
                .collect(),
        });
        Self { resolution_seconds: answer.resolution_secs, series: series.collect() }
    }
}
