//! Which path is answered by what, and what holds for all of them.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use super::error::ApiError;
use super::state::ApiState;
use super::{
    agents, alerts, backup, corrections, dead_letters, deliveries, endpoints, events, openapi,
    pages, query, receivers, reports, slos, status,
};
use crate::dispatch::TRIAL_LIMIT;

const MAX_URL_BYTES: usize = 8 * 1024;
const MAX_BODY_BYTES: usize = 64 * 1024;
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// A backup takes as long as its disk.
const BACKUP_LIMIT: Duration = Duration::from_secs(6 * 3_600);

/// All routes. Who may call which is decided by whoever lays it on a listener.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route(endpoints::HEALTHZ.path, get(status::healthz))
        .route(endpoints::READYZ.path, get(status::readyz))
        .route(endpoints::METRICS.path, get(status::metrics))
        .route(endpoints::QUERY.path, get(query::get))
        .route(endpoints::SLOS.path, get(slos::list))
        .route(endpoints::SLO.path, get(slos::one))
        .route(endpoints::REPORTS.path, get(reports::get))
        .route(endpoints::CORRECTIONS.path, get(corrections::list).post(corrections::add))
        .route(endpoints::END_CORRECTION.path, delete(corrections::end))
        .route(endpoints::ALERTS.path, get(alerts::list))
        .route(endpoints::ACKNOWLEDGE.path, post(alerts::acknowledge))
        .route(endpoints::AGENTS.path, get(agents::list))
        .route(endpoints::EVENTS.path, get(events::list))
        .route(endpoints::DELIVERIES.path, get(deliveries::list))
        .route(endpoints::DEAD_LETTERS.path, get(dead_letters::list))
        .route(endpoints::DEAD_LETTER.path, get(dead_letters::one).delete(dead_letters::discard))
        .route(endpoints::RETRY_DEAD_LETTER.path, post(dead_letters::retry))
        .route(endpoints::BACKUP.path, post(backup::take))
        .route(endpoints::RECEIVERS.path, get(receivers::list))
        .route(endpoints::TEST.path, post(receivers::test))
        .route(endpoints::OPENAPI.path, get(openapi::get))
        .route("/", get(pages::home))
        .route("/alerts/{fingerprint}", get(pages::alert))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(bounded))
        .with_state(state)
}

async fn bounded(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    if length > MAX_URL_BYTES {
        let text = format!("the URL has {length} bytes; at most {MAX_URL_BYTES}");
        return ApiError::plain(StatusCode::URI_TOO_LONG, text).into_response();
    }
    let limit = match () {
        () if is_test(&request) => TRIAL_LIMIT + TIME_LIMIT,
        () if request.uri().path() == endpoints::BACKUP.path => BACKUP_LIMIT,
        () => TIME_LIMIT,
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let text = format!("no answer within {} s: ask for less", limit.as_secs());
            ApiError::plain(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// A receiver's test takes as long as the receiver.
fn is_test(request: &Request) -> bool {
    let path = request.uri().path();
    request.method() == Method::POST
        && path.starts_with("/api/v1/receivers/")
        && path.ends_with("/test")
}

async fn no_such_path(uri: Uri) -> ApiError {
    let text = format!("there is no {}: see /api/v1/openapi.json", uri.path());
    ApiError::plain(StatusCode::NOT_FOUND, text)
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let text = format!("{} can't be asked with {method}", uri.path());
    ApiError::plain(StatusCode::METHOD_NOT_ALLOWED, text)
}
