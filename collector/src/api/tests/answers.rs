//! Answers to questions: their shapes, refusals and pages.

use axum::http::StatusCode;
use serde_json::{Value, json};
use watchkeeper_model::{Severity, Timestamp};

use super::stage::{AT, api, fingerprint_of};
use crate::store::tests::parts::{NOW, event, events};

#[tokio::test]
async fn answers_have_the_shapes_that_are_promised() {
    let api = api().with_data().await;
    assert_eq!(Timestamp::from_secs(NOW).rfc3339(), AT);
    assert_eq!(
        api.ok(&format!("/api/v1/query?signal=requests&stat=count&by=status&from={NOW}")).await,
        json!({"resolution_seconds": 1, "series": [
            {"labels": {"status": "200"}, "points": [[NOW + 60, 1]]},
            {"labels": {"status": "500"}, "points": [[NOW + 60, 3]]},
        ]})
    );
    assert_eq!(
        api.ok("/api/v1/query?signal=requests&stat=max&step=1m&from=2026-11-01T00%3A00%3A00Z")
            .await,
        json!({"resolution_seconds": 1, "series": [{"labels": {}, "points": [[NOW, 0.25]]}]})
    );
    assert_eq!(
        api.ok("/api/v1/slos/a").await,
        json!({"slos": [{
            "name": "a", "service": "shop", "objective": 99.9, "window": "30d", "good": 999, "total": 1000,
            "unjudged": 1, "sli": 0.999, "budget_remaining": 0, "burn": {"5m": 1, "1h": null},
            "exhausts_at": AT, "state": "no_data", "approximate": 0.25,
            "corrected_seconds": 300, "correction": "the database moves",
            "composite": [{"slo": "x", "weight": 2, "good": 9, "total": 10, "sli": 0.9}],
        }]})
    );
    let (status, refusal) = api.get("/api/v1/slos/none").await;
    assert_eq!((status, &refusal["parameter"]), (StatusCode::NOT_FOUND, &json!("name")));
    let alerts = api.ok("/api/v1/alerts").await;
    let latency = alerts["alerts"].as_array().unwrap().iter();
    let latency = latency.clone().find(|a| a["labels"]["alertname"] == "shop-latency").unwrap();
    assert_eq!(
        *latency,
        json!({
            "fingerprint": fingerprint_of("shop-latency"),
            "labels": {"alertname": "shop-latency", "severity": "page"},
            "annotations": {"summary": "slow"}, "state": "firing", "stale": true, "acknowledged_by": null,
            "starts_at": AT, "ends_at": null, "value": 21.3, "reason": "burning", "receivers": ["chat"],
            "suppressed_by": [],
        })
    );
    assert_eq!(
        api.ok("/api/v1/agents").await,
        json!({"agents": [{
            "id": "web-1", "state": "silent", "last_beat": AT, "epoch": "1-00", "skew_seconds": -0.5,
            "spool_bytes": 5, "lag_bytes": 6, "road": "amqp", "version": "0.1.0",
            "sources": [{
                "name": "shop-log", "kind": "tail", "state": "ok", "read": 7, "skipped": {"blank": 2},
                "bytes_abandoned": 0, "bytes_unknown": 0, "redacted": 8, "events_held_back": 9,
            }],
        }]})
    );
    assert_eq!(
        api.ok("/api/v1/events?severity=info&service=shop").await,
        json!({"events": [
            {"time": "2026-11-01T00:00:01Z", "service": "shop", "agent": "web-1", "source": "log", "name": "error",
             "severity": "error", "message": "b", "correlation": format!("req-{}", NOW + 1),
             "trace": "trace-1", "fields": "{\"cut", "truncated": false},
            {"time": AT, "service": "shop", "agent": "web-1", "source": "log", "name": "error",
             "severity": "warning", "message": "a", "correlation": format!("req-{NOW}"), "trace": "trace-0",
             "fields": {"message": "a"}, "truncated": false},
        ]})
    );
    assert_eq!(
        api.ok("/api/v1/deliveries?receiver=chat&alert=shop-latency").await,
        json!({"deliveries": [{
            "id": 4, "incident": 2, "receiver": "chat", "integration": "slack[0]", "kind": "slack", "action": "open",
            "reason": "first", "at": AT, "attempt": 1, "outcome": "ok", "status": 200, "error": null,
            "next_at": null, "alerts": ["shop-latency"],
        }]})
    );
}

#[tokio::test]
async fn nothing_found_is_200_and_empty() {
    let api = api();
    for (path, body) in [
        ("/api/v1/query?signal=none&stat=p99", json!({"resolution_seconds": 1, "series": []})),
        ("/api/v1/events", json!({"events": []})),
        ("/api/v1/deliveries", json!({"deliveries": []})),
    ] {
        assert_eq!(api.ok(path).await, body, "{path}");
    }
}

#[tokio::test]
async fn refusals_name_the_parameter() {
    let api = api();
    let long = format!("/api/v1/events?text={}", "x".repeat(9_000));
    for (path, status, parameter, says) in [
        ("/api/v1/query?stat=count", 400, json!("signal"), "signal is missing"),
        ("/api/v1/query?signal=x&stat=median", 400, json!("stat"), "p50"),
        ("/api/v1/query?signal=x&stat=count&where=a+%3D%3D", 400, json!("where"), "byte"),
        ("/api/v1/query?signal=x&stat=count&where=a+%3D%3D+1", 400, json!("where"), "byte"),
        ("/api/v1/query?signal=x&stat=count&by=a-b", 400, json!("by"), "not a label"),
        ("/api/v1/query?signal=x&stat=count&by=a,a", 400, json!("by"), "twice"),
        ("/api/v1/query?signal=x&stat=count&good=a+%3D%3D+''", 400, json!("good"), "bad_ratio"),
        ("/api/v1/query?signal=x&stat=count&from=0&to=20000&step=1", 400, json!("step"), "11000"),
        ("/api/v1/query?signal=x&stat=count&from=9&to=8", 400, json!("to"), "after"),
        ("/api/v1/query?signal=x&stat=count&from=noon", 400, json!("from"), "RFC 3339"),
        ("/api/v1/reports?slo=shop-availabilty", 404, json!("slo"), "mean shop-availability?"),
        ("/api/v1/reports?service=shp", 404, json!("service"), "did you mean shop?"),
        ("/api/v1/reports?slo=shop-latency&service=db", 400, json!("service"), "either"),
        ("/api/v1/reports?format=pdf", 400, json!("format"), "markdown"),
        ("/api/v1/reports?period=2026-13", 400, json!("period"), "2026-Q3"),
        ("/api/v1/reports?period=2026&from=0", 400, json!("period"), "either"),
        ("/api/v1/reports?period=2025&zone=Mars", 400, json!("zone"), "IANA"),
        ("/api/v1/reports?from=9&to=8", 400, json!("to"), "after"),
        ("/api/v1/reports?from=0", 400, json!("from"), "400 days"),
        ("/api/v1/reports?from=noon", 400, json!("from"), "RFC 3339"),
        ("/api/v1/slos?limit=0", 400, json!("limit"), "1 to 1000"),
        ("/api/v1/slos?limit=1001", 400, json!("limit"), "1 to 1000"),
        ("/api/v1/events?after=x", 400, json!("after"), "next"),
        ("/api/v1/events?severity=bad", 400, json!("severity"), "critical"),
        ("/api/v1/agents?server=x", 400, json!("server"), "known here: limit, after"),
        ("/api/v1/slos/a?limit=1", 400, json!("limit"), "there are none"),
        ("/api/v2/nothing", 404, Value::Null, "openapi.json"),
        (&long, 414, Value::Null, "8192"),
    ] {
        let (found, body) = api.get(path).await;
        let short = &path[..path.len().min(80)];
        assert_eq!((found.as_u16(), &body["parameter"]), (status, &parameter), "{short}: {body}");
        assert!(body["error"].as_str().unwrap().contains(says), "{short}: {body}");
    }
    assert_eq!(api.get("/api/v1/slos/%ff").await.0, StatusCode::BAD_REQUEST);
    let long = format!(r#"{{"by": "{}"}}"#, "x".repeat(70_000));
    let (status, body) = api.post("/api/v1/alerts/00/ack", &long).await;
    assert_eq!((status, &body["parameter"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body")));
    let (status, body) = api.post("/api/v1/alerts", "{}").await;
    assert_eq!((status, &body["parameter"]), (StatusCode::METHOD_NOT_ALLOWED, &Value::Null));
}

#[tokio::test]
async fn lists_are_paged_until_there_is_no_next() {
    let api = api();
    let (mut names, mut path) = (Vec::new(), "/api/v1/slos?limit=2".to_owned());
    loop {
        let page = api.ok(&path).await;
        names.extend(page["slos"].as_array().unwrap().iter().map(|s| s["name"].clone()));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/slos?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c"]);

    let all = (0..5).map(|i| event(NOW + i, "error", Severity::Error, &i.to_string())).collect();
    api.store.commit_events(events(1, all)).await.unwrap();
    let first = api.ok("/api/v1/events?limit=3").await;
    let next = first["next"].as_str().unwrap();
    let second = api.ok(&format!("/api/v1/events?limit=3&after={next}")).await;
    let messages = |page: &Value| -> Vec<String> {
        let rows = page["events"].as_array().unwrap().iter();
        rows.map(|e| e["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (messages(&first), messages(&second)),
        (vec!["4".into(), "3".into(), "2".into()], vec!["1".into(), "0".into()])
    );
    assert_eq!(second.get("next"), None);
}

#[tokio::test]
async fn it_is_ready_when_every_part_is() {
    let api = api();
    assert_eq!(api.text("/readyz").await, (StatusCode::OK, "ready\n".to_owned()));
    api.readiness.not_ready("engine", "reading the ledger");
    api.readiness.not_ready("intake", "draining");
    let (status, text) = api.text("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "engine: reading the ledger\nintake: draining\n");
    assert_eq!(api.text("/healthz").await.0, StatusCode::OK);
    api.readiness.ready("engine");
    api.readiness.ready("intake");
    assert_eq!(api.text("/readyz").await.0, StatusCode::OK);

    *api.engine.snapshot.lock().unwrap() = None;
    let (status, body) = api.get("/api/v1/slos").await;
    assert_eq!((status, &body["parameter"]), (StatusCode::SERVICE_UNAVAILABLE, &Value::Null));
}

#[tokio::test]
async fn metrics_are_readable_by_prometheus() {
    let api = api();
    api.store.maintain(Timestamp::from_secs(NOW)).await;
    let (status, text) = api.text("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("# TYPE watchkeeper_store_used_bytes gauge"), "{text}");
    let used = text.lines().find(|l| l.starts_with("watchkeeper_store_used_bytes")).unwrap();
    assert!(!used.contains('{'), "{used}");
    assert!(used.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0, "{used}");
}
