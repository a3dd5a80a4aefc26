//! Where jobs say over HTTP how they are: `POST /api/v1/heartbeats/NAME[/start|/success|/failure]`.
//!
//! Owns the form and its bounds. An answer of 200 says that what was said is on disk. A web page can't speak for a job: what
//! comes with an `Origin` is refused. Never decides what a beat means.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;
use watchkeeper_agent_core::heartbeat::{Beat, Word, is_run_id, tail_of};
use watchkeeper_agent_core::process::Exit;
use watchkeeper_expr::duration;

use crate::sources::heartbeat::{Beats, Unheard};

/// The most that is taken of a job's output.
const MAX_BODY_BYTES: usize = 64 << 10;

/// So long is waited for a body, and for the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest a job can say that it ran.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);

/// What can be said, and which parameters go with it.
const PARAMETERS: [(&str, &[&str]); 3] = [
    ("start", &["run"]),
    ("success", &["run", "duration"]),
    ("failure", &["run", "duration", "exit_code", "signal"]),
];

type Parameters = BTreeMap<String, String>;

/// What is wrong with a request: status, text, parameter.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(StatusCode, String, Option<String>);

/// The routes.
pub fn router(beats: Beats) -> Router {
    let success = |state, Path(name): Path<String>, query, headers, body| {
        hear(state, Path((name, "success".to_owned())), query, headers, body)
    };
    Router::new()
        .route("/api/v1/heartbeats/{name}", post(success))
        .route("/api/v1/heartbeats/{name}/{word}", post(hear))
        .with_state(beats)
}

async fn hear(
    State(beats): State<Beats>,
    Path((name, word)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let heard = async {
        if headers.contains_key(header::ORIGIN) {
            let said = "web pages can't speak for jobs".to_owned();
            return Err(Refusal(StatusCode::FORBIDDEN, said, None));
        }
        let mut beat = beat(&word, &parameters)?;
        beat.output = output(body).await?;
        let durable = beats.leave(&name, beat).map_err(Refusal::from)?;
        let unavailable =
            |said: &str| Refusal(StatusCode::SERVICE_UNAVAILABLE, said.to_owned(), None);
        match tokio::time::timeout(PATIENCE, durable).await {
            Ok(Ok(heard)) => Ok(heard),
            Ok(Err(_)) => Err(unavailable("this heartbeat is not listened for any more")),
            Err(_) => Err(unavailable("it was heard, and is not on disk yet")),
        }
    };
    match heard.await {
        Ok(heard) => Json(json!({"heartbeat": name, "result": heard})).into_response(),
        Err(Refusal(status, error, parameter)) => {
            (status, Json(json!({"error": error, "parameter": parameter}))).into_response()
        }
    }
}

impl From<Unheard> for Refusal {
    fn from(unheard: Unheard) -> Self {
        let (status, parameter) = match unheard {
            Unheard::Unknown { .. } => (StatusCode::NOT_FOUND, Some("name".to_owned())),
            Unheard::TooMany(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
        };
        Self(status, unheard.to_string(), parameter)
    }
}

async fn output(body: Body) -> Result<String, Refusal> {
    let late = |_| Refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come".to_owned(), None);
    let read =
        tokio::time::timeout(PATIENCE, to_bytes(body, MAX_BODY_BYTES)).await.map_err(late)?;
    let large = |_| {
        let said = format!(
            "the body can't be read, or has more than {} KiB: send the end of the output",
            MAX_BODY_BYTES >> 10
        );
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, said, None)
    };
    Ok(tail_of(&read.map_err(large)?))
}

/// What is said, without the output.
fn beat(word: &str, parameters: &Parameters) -> Result<Beat, Refusal> {
    let Some((_, known)) = PARAMETERS.iter().find(|(known, _)| *known == word) else {
        let said = format!("a job says start, success or failure, not {word:?}");
        return Err(Refusal(StatusCode::NOT_FOUND, said, None));
    };
    let bad =
        |name: &str, said: String| Refusal(StatusCode::BAD_REQUEST, said, Some(name.to_owned()));
    if let Some(name) = parameters.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(bad(name, format!("{word} knows {}, not {name:?}", known.join(", "))));
    }
    let of = |name: &str| parameters.get(name).map(String::as_str);
    let run = of("run").unwrap_or_default();
    if !run.is_empty() && !is_run_id(run) {
        return Err(bad("run", "run is up to 64 letters, digits and -_.:".to_owned()));
    }
    let span = |text: &str| {
        let said = "duration is a number of seconds, or such as 1h30m, and at most 400d".to_owned();
        span(text).filter(|span| *span <= LONGEST).ok_or_else(|| bad("duration", said))
    };
    let duration = of("duration").map(span).transpose()?;
    let number = |name: &str, most: i32| {
        let number = of(name).map(|text| {
            let fits = text.parse().ok().filter(|n| (0..=most).contains(n));
            fits.ok_or_else(|| bad(name, format!("{name} is a number from 0 to {most}")))
        });
        number.transpose()
    };
    let word = match word {
        "start" => Word::Start,
        "success" => Word::Success { duration },
        _ => {
            let signal = number("signal", 64)?.map(Exit::Signal);
            let exit = signal.or(number("exit_code", 255)?.map(Exit::Code)).unwrap_or_default();
            Word::Failure { exit, duration }
        }
    };
    Ok(Beat { run: run.to_owned(), word, output: String::new() })
}

/// A number of seconds, or a span as in configuration files.
fn span(text: &str) -> Option<Duration> {
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => u64::try_from(duration::parse(text).ok()?).ok().map(Duration::from_nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(word: &str, query: &str) -> Result<Beat, String> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let parameters = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        beat(word, &parameters).map_err(|Refusal(status, said, parameter)| {
            format!("{} {} {said}", status.as_u16(), parameter.unwrap_or_default())
        })
    }

    #[test]
    fn what_jobs_say_is_read() {
        let seconds = |n: f64| Some(Duration::from_secs_f64(n));
        let failure = |exit, duration| Word::Failure { exit, duration };
        for (word, query, run, said) in [
            ("start", "", "", Word::Start),
            ("start", "run=a-1", "a-1", Word::Start),
            ("success", "", "", Word::Success { duration: None }),
            ("success", "duration=12.5", "", Word::Success { duration: seconds(12.5) }),
            ("success", "duration=1m30s", "", Word::Success { duration: seconds(90.0) }),
            ("failure", "", "", failure(Exit::Unknown, None)),
            ("failure", "exit_code=3&duration=0", "", failure(Exit::Code(3), seconds(0.0))),
            ("failure", "signal=9&run=x", "x", failure(Exit::Signal(9), None)),
        ] {
            let beat = read(word, query).unwrap();
            assert_eq!((beat.run.as_str(), beat.word), (run, said), "{word} {query}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (word, query, said) in [
            ("stop", "", "404  a job says start, success or failure, not \"stop\""),
            ("start", "duration=3", "400 duration start knows run, not \"duration\""),
            (
                "success",
                "exit_code=0",
                "400 exit_code success knows run, duration, not \"exit_code\"",
            ),
            ("success", "run=a b", "400 run run is up to 64"),
            ("success", "duration=-1", "400 duration duration is a number of seconds"),
            ("success", "duration=nan", "400 duration duration is a number of seconds"),
            ("success", "duration=1e300", "400 duration duration is a number of seconds"),
            ("success", "duration=401d", "400 duration duration is a number of seconds"),
            ("success", "duration=soon", "400 duration duration is a number of seconds"),
            ("failure", "exit_code=256", "400 exit_code exit_code is a number from 0 to 255"),
            ("failure", "signal=x", "400 signal signal is a number from 0 to 64"),
        ] {
            let refusal = read(word, query).unwrap_err();
            assert!(refusal.starts_with(said), "{word} {query}: {refusal}");
        }
    }
}
