//! What an HTTP answer says, under the names that conditions know.
//!
//! Owns how much of a body is read and kept. Never judges a status.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{HeaderMap, StatusCode, Version};
use serde_json::Value as Json;
use watchkeeper_agent_core::probe::{Expectations, Failure, Said, Seen};

use super::connection::of_http;

/// What of a body is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) body: bool,
    pub(super) json: bool,
}

impl Wanted {
    /// What these conditions read.
    pub(super) fn by(expectations: &Expectations) -> Self {
        Self { body: expectations.reads("body"), json: expectations.reads("json") }
    }
}

/// Says status, version and headers.
pub(super) fn say_head(status: StatusCode, version: Version, headers: &HeaderMap, seen: &mut Seen) {
    seen.say("status", Said::Int(i64::from(status.as_u16())));
    let version = match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    seen.say("version", Said::Text(version.to_owned()));
    let mut all = serde_json::Map::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match all.get_mut(name.as_str()) {
            Some(Json::String(known)) => {
                known.push_str(", ");
                known.push_str(&value);
            }
            _ => _ = all.insert(name.as_str().to_owned(), value.into()),
        }
    }
    seen.say("headers", Said::Json(Json::Object(all)));
}

/// Reads a body, at most so many bytes of it; whether it was read to its end.
pub(super) async fn read_body(
    mut body: Incoming,
    max_bytes: usize,
    wanted: Wanted,
    host: &str,
    seen: &mut Seen,
) -> Result<bool, Failure> {
    let keeps = wanted.body || wanted.json;
    let (mut kept, mut n_read) = (Vec::new(), 0_usize);
    let mut is_whole = true;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| of_http(host, &error))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = max_bytes - n_read;
        if keeps {
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
        if data.len() > room {
            is_whole = false;
            break;
        }
        n_read += data.len();
    }
    if !is_whole {
        seen.cut = vec!["body", "json"];
    }
    if wanted.json
        && is_whole
        && let Ok(json) = serde_json::from_slice(&kept)
    {
        seen.say("json", Said::Json(json));
    }
    if wanted.body {
        seen.say("body", Said::Text(String::from_utf8_lossy(&kept).into_owned()));
    }
    Ok(is_whole)
}
