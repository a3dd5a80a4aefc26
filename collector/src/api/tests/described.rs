//! All that is answered is described, and the other way round.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use watchkeeper_model::{Kind, Timestamp};

use super::acts::MOVE;
use super::reports::count;
use super::stage::{api, fingerprint_of};
use crate::api::endpoints;
use crate::store::tests::parts::{self, NOW};
use crate::store::{Fate, LedgerWrite, StateKind, WindowsCommit};

/// What an answer has that its schema does not, or the other way round.
fn differences(schema: &Value, all: &Value, answer: &Value, at: &str, found: &mut Vec<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => all.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let (Some(items), Some(rows)) = (schema.get("items"), answer.as_array()) {
        rows.iter().for_each(|row| differences(items, all, row, &format!("{at}[]"), found));
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let Some(answer) = answer.as_object() else {
        return found.push(format!("{at}: {answer} is no object"));
    };
    for (name, value) in answer {
        match properties.get(name) {
            Some(schema) => differences(schema, all, value, &format!("{at}.{name}"), found),
            None => found.push(format!("{at}.{name} is not described")),
        }
    }
    for name in schema["required"].as_array().unwrap() {
        if !answer.contains_key(name.as_str().unwrap()) {
            found.push(format!("{at}.{name} is missing"));
        }
    }
}

#[tokio::test]
async fn everything_that_is_answered_is_described_and_the_other_way_round() {
    let api = api().with_data().await;
    let described = api.ok("/api/v1/openapi.json").await;
    count(&api, &[("shop-latency", "db", -1, 9, 1)]).await;
    let fate = Fate::Buried { reason: "no such unit".into(), raw: vec![1, 2], fenced: false };
    let batches = vec![parts::batch(Kind::Windows, 9, fate)];
    api.store.commit_windows(WindowsCommit { batches, ..WindowsCommit::default() }).await.unwrap();
    // The delivery that there is gets its incident, so that a report has one.
    let at = Timestamp::from_secs(NOW);
    let incident = json!({
        "number": 2, "group_key": "", "receiver": "chat", "integration": "slack[0]", "kind": "slack", "send_resolved": true,
        "dedup_key": "", "state": "open", "opened_at": at, "closed_at": null, "in_flight": null, "told_at": null, "told": {},
        "maybe_open": true, "closing_since": null, "n_close_failures": 0, "retry_at": null,
    });
    let (kind, key, body) = (StateKind::Incident, "2".to_owned(), incident.to_string());
    api.store.persist(vec![LedgerWrite::Save { kind, key, body, live: true }], at).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for endpoint in endpoints::ALL {
        let operation = &described["paths"][endpoint.path][endpoint.method];
        assert!(operation.is_object(), "{} is not described", endpoint.path);
        let path = endpoint
            .path
            .replace("receivers/{name}", "receivers/chat")
            .replace("{name}", "a")
            .replace("dead-letters/{id}", "dead-letters/windows-1")
            .replace("{id}", "7")
            .replace("{fingerprint}", &fingerprint_of("shop-latency"));
        let request = Request::builder().method(endpoint.method.to_uppercase().as_str());
        let request = match endpoint.method {
            "post" if endpoint.path == endpoints::TEST.path => {
                request.uri(&path).body(Body::empty())
            }
            "post" if path.ends_with("/corrections") => {
                request.uri(&path).body(Body::from(MOVE.to_owned()))
            }
            "delete" | "post" if path.contains("/dead-letters/") => {
                request.uri(&path).body(Body::empty())
            }
            "post" if endpoint.path == endpoints::BACKUP.path => {
                let body = json!({"to": elsewhere.path().join("backup")}).to_string();
                request.uri(&path).header("content-type", "application/json").body(Body::from(body))
            }
            "delete" => request.uri(format!("{path}?by=ann")).body(Body::empty()),
            "post" => request.uri(&path).body(Body::from(r#"{"by": "ann"}"#)),
            _ if endpoint.path == endpoints::REPORTS.path => {
                request.uri(format!("{path}?from={}", NOW - 8 * 86_400)).body(Body::empty())
            }
            _ if endpoint.path == endpoints::QUERY.path => request
                .uri(format!("{path}?signal=requests&stat=count&from={NOW}"))
                .body(Body::empty()),
            _ => request.uri(&path).body(Body::empty()),
        };
        let (status, text) = api.send(request.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{}: {text}", endpoint.path);
        if endpoint.answer.is_none() {
            continue;
        }
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let mut found = Vec::new();
        let answer: Value = serde_json::from_str(&text).unwrap();
        if endpoint.path == endpoints::REPORTS.path {
            let slo = &answer["services"][0]["slos"][0];
            for list in ["incidents", "corrections", "rows"] {
                assert!(slo[list][0].is_object(), "{list}: {slo}");
            }
        }
        differences(schema, &described, &answer, endpoint.path, &mut found);
        assert_eq!(found, [""; 0]);
    }
    let paths: Vec<_> = described["paths"].as_object().unwrap().keys().collect();
    let unique: std::collections::BTreeSet<_> = endpoints::ALL.iter().map(|e| e.path).collect();
    assert_eq!(paths, unique.iter().collect::<Vec<_>>());
}
