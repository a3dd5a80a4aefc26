//! `GET openapi.json`: the description of this API, made of the same table that requests are checked against.
//!
//! Owns the schemas of answers; a test compares them with what is really answered.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::RawQuery;
use serde_json::{Map, Value, json};

use super::endpoints::{self, Endpoint};
use super::error::ApiError;
use super::params::Params;
use crate::letters::RetryOutcome;

static DESCRIPTION: LazyLock<Value> = LazyLock::new(describe);

pub(super) async fn get(RawQuery(query): RawQuery) -> Result<Json<&'static Value>, ApiError> {
    Params::read(&endpoints::OPENAPI, query.as_deref())?;
    Ok(Json(&DESCRIPTION))
}

fn describe() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints::ALL {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method] = operation(&endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Watchkeeper collector", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas()},
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let in_path = endpoint.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
    });
    let in_query = endpoint.parameters.iter().map(|p| {
        json!({
            "name": p.name, "in": "query", "required": p.required, "description": p.about,
            "schema": {"type": "string"},
        })
    });
    let answer = match endpoint.answer {
        Some(schema) => json!({"application/json": {"schema": reference(schema)}}),
        None => json!({"text/plain": {"schema": {"type": "string"}}}),
    };
    let mut answer = answer;
    if endpoint.path == endpoints::REPORTS.path {
        for written in ["text/markdown", "text/html"] {
            answer[written] = json!({"schema": {"type": "string"}});
        }
    }
    let refusal = json!({"application/json": {"schema": reference("Error")}});
    let mut operation = json!({
        "summary": endpoint.about,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": "The answer.", "content": answer},
            "default": {"description": "What is wrong.", "content": refusal},
        },
    });
    if let Some(schema) = endpoint.body {
        operation["requestBody"] = json!({
            "required": schema != "Test",
            "content": {"application/json": {"schema": reference(schema)}},
        });
    }
    operation
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// An object with these fields, all of them there.
fn object(fields: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// A list under a name, and where the next page begins.
fn list(name: &str, of: Value) -> Value {
    let mut schema = object(&[(name, array(of))]);
    schema["properties"]["next"] =
        json!({"type": "string", "description": "For `after`; absent on the last page."});
    schema
}

fn text() -> Value {
    json!({"type": "string"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn number() -> Value {
    json!({"type": "number"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn maybe(schema: Value) -> Value {
    json!({"oneOf": [schema, {"type": "null"}]})
}

fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn array(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

/// The fields of what was counted and judged, or not.
fn sums() -> Vec<(&'static str, Value)> {
    vec![("good", count()), ("total", count()), ("unjudged", count())]
}

/// A part of a composite.
fn part() -> Value {
    object(&[
        ("slo", text()),
        ("weight", number()),
        ("good", count()),
        ("total", count()),
        ("sli", maybe(number())),
    ])
}

/// What `GET reports` answers.
fn report() -> Value {
    let sums_and = |more: Vec<(&'static str, Value)>| object(&[sums(), more].concat());
    let budget = object(&[
        ("allowed", maybe(number())),
        ("spent", count()),
        ("remaining", maybe(number())),
        ("words", maybe(text())),
        ("exhausted", flag()),
        ("exhausted_from", maybe(time())),
    ]);
    let correction = object(&[
        ("id", text()),
        ("name", text()),
        ("reason", text()),
        ("by", maybe(text())),
        ("seconds", number()),
    ]);
    let row = sums_and(vec![
        ("from", time()),
        ("to", time()),
        ("sli", maybe(number())),
        ("budget_spent", number()),
        ("worst", flag()),
    ]);
    let told = object(&[
        ("incident", count()),
        ("receiver", text()),
        ("integration", text()),
        ("state", one_of(&["opening", "open", "closing", "closed", "abandoned"])),
        ("delivered", count()),
        ("failed", count()),
        ("error", maybe(text())),
    ]);
    let incident = object(&[
        ("opened_at", time()),
        ("closed_at", maybe(time())),
        ("seconds", number()),
        ("severity", one_of(&["page", "ticket", "info", "none"])),
        ("acknowledged_by", maybe(text())),
        ("acknowledged_at", maybe(time())),
        ("told", array(told)),
    ]);
    let slo = sums_and(vec![
        ("name", text()),
        ("objective", number()),
        ("window", text()),
        ("counts", one_of(&["observation", "slice", "composite"])),
        ("result", one_of(&["met", "missed", "no_data"])),
        ("sli", maybe(number())),
        ("approximate", number()),
        ("budget", budget),
        ("data_from", maybe(time())),
        ("counted_otherwise", flag()),
        ("corrected_seconds", number()),
        ("corrections", array(correction)),
        (
            "without_corrections",
            sums_and(vec![("sli", maybe(number())), ("budget_remaining", maybe(number()))]),
        ),
        ("composite", array(part())),
        ("rows", array(row)),
        ("firing_seconds", number()),
        ("incidents", array(incident)),
    ]);
    object(&[
        ("from", time()),
        ("to", time()),
        ("period", maybe(text())),
        ("zone", text()),
        ("made_at", time()),
        ("complete", flag()),
        ("row", one_of(&["5 minutes", "hour", "day", "week", "month"])),
        ("incidents_from", time()),
        ("services", array(object(&[("service", text()), ("slos", array(slo))]))),
    ])
}

#[expect(clippy::too_many_lines, reason = "a list of shapes, without a decision in it")]
fn schemas() -> Value {
    let texts = || array(text());
    let labels = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let counts = || json!({"type": "object", "additionalProperties": {"type": "integer"}});
    let point = json!({"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]});
    let group = object(&[
        ("labels", labels()),
        (
            "points",
            json!({"type": "array", "items": point, "description": "Unix seconds and value."}),
        ),
    ]);
    let named =
        vec![("name", text()), ("service", text()), ("objective", number()), ("window", text())];
    let judged = vec![
        ("sli", maybe(number())),
        ("budget_remaining", number()),
        ("burn", json!({"type": "object", "additionalProperties": {"type": ["number", "null"]}})),
        ("exhausts_at", maybe(time())),
        ("state", one_of(&["ok", "ticket", "page", "no_data"])),
        ("approximate", number()),
        ("corrected_seconds", number()),
        ("correction", maybe(text())),
        ("composite", array(part())),
    ];
    let slo = object(&[named, sums(), judged].concat());
    let covers = object(&[("slo", text()), ("from", time()), ("to", time())]);
    let correction = object(&[
        ("id", text()),
        ("name", text()),
        ("slos", texts()),
        ("service", maybe(text())),
        ("from", maybe(time())),
        ("to", maybe(time())),
        ("weekly", maybe(text())),
        ("reason", text()),
        ("state", one_of(&["planned", "in_force", "past", "ended"])),
        ("source", one_of(&["api", "file"])),
        ("covers", array(covers)),
        ("by", maybe(text())),
        ("created_at", maybe(time())),
        ("ended_by", maybe(text())),
        ("ended_at", maybe(time())),
    ]);
    let alert = object(&[
        ("fingerprint", text()),
        ("labels", labels()),
        ("annotations", labels()),
        ("state", one_of(&["pending", "firing", "resolved"])),
        ("stale", flag()),
        ("acknowledged_by", maybe(text())),
        ("starts_at", time()),
        ("ends_at", maybe(time())),
        ("value", maybe(number())),
        ("reason", text()),
        ("receivers", texts()),
        ("suppressed_by", texts()),
    ]);
    let source = object(&[
        ("name", text()),
        ("kind", text()),
        ("state", text()),
        ("read", count()),
        ("skipped", counts()),
        ("bytes_abandoned", count()),
        ("bytes_unknown", count()),
        ("redacted", count()),
        ("events_held_back", count()),
    ]);
    let agent = object(&[
        ("id", text()),
        ("state", one_of(&["live", "silent", "stopped"])),
        ("last_beat", maybe(time())),
        ("epoch", text()),
        ("skew_seconds", number()),
        ("spool_bytes", count()),
        ("lag_bytes", count()),
        ("road", one_of(&["grpc", "amqp", ""])),
        ("version", text()),
        ("sources", array(source)),
    ]);
    let event = object(&[
        ("time", time()),
        ("service", text()),
        ("agent", text()),
        ("source", text()),
        ("name", text()),
        ("severity", one_of(&["info", "warning", "error", "critical"])),
        ("message", text()),
        ("correlation", text()),
        ("trace", text()),
        ("fields", json!({})),
        ("truncated", flag()),
    ]);
    let delivery = object(&[
        ("id", count()),
        ("incident", count()),
        ("receiver", text()),
        ("integration", text()),
        ("kind", text()),
        ("action", one_of(&["open", "update", "close"])),
        ("reason", text()),
        ("at", time()),
        ("attempt", count()),
        ("outcome", one_of(&["pending", "ok", "retry", "failed", "unrecorded"])),
        ("status", maybe(count())),
        ("error", maybe(text())),
        ("next_at", maybe(time())),
        ("alerts", texts()),
    ]);
    let last = object(&[
        ("at", time()),
        ("action", one_of(&["open", "update", "close"])),
        ("outcome", one_of(&["ok", "retry", "failed", "unrecorded"])),
        ("status", maybe(count())),
        ("error", maybe(text())),
    ]);
    let integration = object(&[
        ("integration", text()),
        ("kind", text()),
        ("send_resolved", flag()),
        ("waiting", count()),
        ("in_flight", count()),
        ("held", maybe(one_of(&["backoff", "paused", "broken", "paced", "busy"]))),
        ("breaker", one_of(&["closed", "open"])),
        ("left_alone_seconds", maybe(number())),
        ("last_error", maybe(text())),
        ("last", maybe(last)),
    ]);
    let receiver = object(&[("name", text()), ("integrations", array(integration))]);
    let letter = vec![
        ("id", text()),
        ("place", one_of(&["collector", "agent", "broker"])),
        ("agent", text()),
        ("epoch", text()),
        ("service", text()),
        ("kind", text()),
        ("seq", count()),
        ("digest", text()),
        ("reason", text()),
        ("at", maybe(time())),
        ("bytes", count()),
        ("copies", count()),
        ("retryable", flag()),
    ];
    let opened = [letter.clone(), vec![("content", json!({"type": "object"}))]].concat();
    let file = object(&[("name", text()), ("bytes", count()), ("sha256", text())]);
    let mut letters = list("dead_letters", object(&letter));
    letters["properties"]["unreachable"] = texts();
    letters["properties"]["left_out"] = texts();
    letters["required"] = json!(["dead_letters", "unreachable", "left_out"]);
    let outcomes = RetryOutcome::ALL.map(RetryOutcome::as_str);
    let step = object(&[
        ("action", one_of(&["open", "close"])),
        ("ok", flag()),
        ("status", maybe(count())),
        ("error", maybe(text())),
        ("seconds", number()),
    ]);
    let tested = object(&[
        ("integration", text()),
        ("kind", text()),
        ("ok", flag()),
        ("steps", array(step)),
    ]);
    json!({
        "QueryAnswer": object(&[
            ("resolution_seconds", count()),
            ("series", array(group)),
        ]),
        "Slos": list("slos", slo),
        "Report": report(),
        "Corrections": list("corrections", correction),
        "NewCorrection": {
            "type": "object",
            "properties": {
                "name": text(), "slos": texts(), "service": text(), "from": time(), "to": time(),
                "reason": text(), "by": text(),
            },
            "required": ["from", "to", "reason", "by"],
            "additionalProperties": false,
        },
        "Alerts": list("alerts", alert),
        "Agents": list("agents", agent),
        "Events": list("events", event),
        "Deliveries": list("deliveries", delivery),
        "Receivers": list("receivers", receiver),
        "Test": {
            "type": "object",
            "properties": {"integration": text(), "severity": one_of(&["page", "ticket"])},
            "additionalProperties": false,
        },
        "Tested": object(&[
            ("receiver", text()),
            ("ok", flag()),
            ("integrations", array(tested)),
        ]),
        "DeadLetters": letters,
        "DeadLetterOpened": object(&opened),
        "DeadLetterRetried":
            object(&[("id", text()), ("outcome", one_of(&outcomes)), ("reason", text())]),
        "DeadLetterDropped": object(&[("id", text()), ("dropped", flag())]),
        "NewBackup": {
            "type": "object",
            "properties": {"to": text()},
            "required": ["to"],
            "additionalProperties": false,
        },
        "Backup": object(&[
            ("directory", text()),
            ("made_at", time()),
            ("version", text()),
            ("incarnation", text()),
            ("last_incident", count()),
            ("files", json!({"type": "array", "items": file})),
        ]),
        "Acknowledge": {
            "type": "object",
            "properties": {"by": text(), "comment": text()},
            "required": ["by"],
            "additionalProperties": false,
        },
        "Acknowledged": object(&[("fingerprint", text()), ("acknowledged_by", text())]),
        "OpenApi": {"type": "object"},
        "Error": object(&[("error", text()), ("parameter", maybe(text()))]),
    })
}
