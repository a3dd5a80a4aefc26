//! What people do over the API: alerts, corrections and tests of receivers.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::stage::{AT, api, fingerprint_of};

#[tokio::test]
async fn an_alert_is_taken_on_by_somebody() {
    let api = api();
    let path = format!("/api/v1/alerts/{}/ack", fingerprint_of("shop-latency"));
    let (status, body) = api.post(&path, r#"{"by": "ann", "comment": "on it"}"#).await;
    assert_eq!((status, &body["acknowledged_by"]), (StatusCode::OK, &json!("ann")));
    for (path, body, status, parameter) in [
        (path.as_str(), r#"{"by": " "}"#, 400, "by"),
        (path.as_str(), r#"{"comment": "x"}"#, 400, "body"),
        (path.as_str(), r#"{"by": "ann", "who": "x"}"#, 400, "body"),
        ("/api/v1/alerts/00/ack", r#"{"by": "ann"}"#, 404, "fingerprint"),
    ] {
        let (found, refusal) = api.post(path, body).await;
        assert_eq!((found.as_u16(), &refusal["parameter"]), (status, &json!(parameter)), "{body}");
    }
    let all = api.engine.acknowledged.lock().unwrap().clone();
    assert_eq!(
        all,
        [format!("{} ann on it", fingerprint_of("shop-latency")), "00 ann ".to_owned()]
    );
}

pub(super) const MOVE: &str = r#"{"slos": ["a"], "from": "2026-11-01T00:01:00Z", "to": "2026-11-01T01:02:00+00:00",
    "reason": "the database moves", "by": "ann"}"#;

#[tokio::test]
async fn corrections_are_added_listed_and_taken_back() {
    let api = api();
    let (status, body) = api.post("/api/v1/corrections", MOVE).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(
        body,
        json!({"corrections": [{
            "id": "7", "name": "", "slos": ["a"], "service": null, "from": "2026-11-01T00:01:00Z",
            "to": "2026-11-01T01:02:00Z", "weekly": null, "reason": "the database moves", "state": "planned",
            "source": "api",
            "covers": [{"slo": "a", "from": AT, "to": "2026-11-01T01:05:00Z"}],
            "by": "ann", "created_at": AT, "ended_by": null, "ended_at": null,
        }]})
    );
    let listed = &api.ok("/api/v1/corrections").await["corrections"][0];
    assert_eq!(
        (&listed["id"], &listed["weekly"], &listed["state"], &listed["source"]),
        (
            &json!("file-1"),
            &json!("Sun 02:00 to 03:05 (Europe/Berlin)"),
            &json!("in_force"),
            &json!("file")
        )
    );
    let delete = async |path: &str| {
        let request = Request::delete(path).body(Body::empty()).unwrap();
        let (status, text) = api.send(request).await;
        (status.as_u16(), serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, body) = delete("/api/v1/corrections/7?by=bob").await;
    let ended = &body["corrections"][0];
    assert_eq!(
        (status, &ended["state"], &ended["ended_by"]),
        (200, &json!("ended"), &json!("bob"))
    );
    for (path, status, parameter) in [
        ("/api/v1/corrections/7", 400, "by"),
        ("/api/v1/corrections/7?by=+", 400, "by"),
        ("/api/v1/corrections/8?by=bob", 404, "id"),
        ("/api/v1/corrections/x?by=bob", 404, "id"),
        ("/api/v1/corrections/file-1?by=bob", 400, "id"),
    ] {
        let (found, refusal) = delete(path).await;
        assert_eq!(
            (found, &refusal["parameter"]),
            (status, &json!(parameter)),
            "{path}: {refusal}"
        );
    }
    let long = MOVE.replace("moves", &"x".repeat(1_001));
    for (body, parameter, says) in [
        (MOVE.replace("[\"a\"]", "[\"aa\"]"), "slos", "no SLO is named"),
        (MOVE.replace("[\"a\"]", "[]"), "slos", "for all of them"),
        (
            MOVE.replace("\"slos\": [\"a\"]", "\"service\": \"shp\""),
            "service",
            "did you mean shop?",
        ),
        (MOVE.replace("\"slos\"", "\"service\": \"shop\", \"slos\""), "service", "not both"),
        (MOVE.replace("00:01:00Z", "00:01:00"), "from", "RFC 3339"),
        (MOVE.replace("T01:02", "T00:01"), "to", "not after"),
        (MOVE.replace("ann", " "), "by", "empty"),
        (MOVE.replace("\"by\"", "\"who\""), "body", "unknown field `who`"),
        (long, "reason", "at most 1000"),
        ("[]".to_owned(), "body", "expected"),
    ] {
        let (status, refusal) = api.post("/api/v1/corrections", &body).await;
        assert_eq!(
            (status.as_u16(), &refusal["parameter"]),
            (400, &json!(parameter)),
            "{body}: {refusal}"
        );
        assert!(refusal["error"].as_str().unwrap().contains(says), "{refusal}");
    }
}

#[tokio::test]
async fn receivers_are_listed_with_their_last_outcome() {
    let api = api().with_data().await;
    let body = api.ok("/api/v1/receivers?limit=2").await;
    assert_eq!(
        body,
        json!({"next": "nobody", "receivers": [
            {"name": "chat", "integrations": [{
                "integration": "slack[0]", "kind": "slack", "send_resolved": true, "waiting": 0, "in_flight": 0,
                "held": null, "breaker": "closed", "left_alone_seconds": null, "last_error": null,
                "last": {"at": AT, "action": "open", "outcome": "ok", "status": 200, "error": null},
            }]},
            {"name": "nobody", "integrations": []},
        ]})
    );
    let rest = api.ok("/api/v1/receivers?after=nobody").await;
    assert_eq!(rest["receivers"][0]["integrations"][0]["last"], Value::Null);
}

#[tokio::test]
async fn a_test_says_what_became_of_each_integration_and_is_in_the_ledger() {
    let api = api();
    let (status, body) = api.post("/api/v1/receivers/chat/test", r#"{"severity": "page"}"#).await;
    assert_eq!((status, &body["ok"]), (StatusCode::OK, &json!(true)), "{body}");
    let steps: Vec<&Value> = body["integrations"][0]["steps"].as_array().unwrap().iter().collect();
    let actions: Vec<&Value> = steps.iter().map(|step| &step["action"]).collect();
    assert_eq!(actions, ["open", "close"]);
    let (status, body) = api.post("/api/v1/receivers/oncall/test", "").await;
    assert_eq!((status, &body["ok"]), (StatusCode::OK, &json!(false)), "{body}");
    assert_eq!(body["integrations"][0]["steps"][0]["error"], "test: no");
    let rows = api.engine.tests.lock().unwrap().clone();
    let told: Vec<(&str, &str)> =
        rows.iter().map(|row| (row.receiver.as_str(), row.reason.as_str())).collect();
    assert_eq!(told, [("chat", "test"), ("chat", "test"), ("oncall", "test")]);
    for (path, body, status, parameter) in [
        ("chats", "{}", 404, "name"),
        ("nobody", "{}", 400, "name"),
        ("chat", r#"{"integration": "slack[1]"}"#, 404, "integration"),
        ("chat", r#"{"severity": "loud"}"#, 400, "severity"),
        ("chat", r#"{"to": "me"}"#, 400, "body"),
    ] {
        let path = format!("/api/v1/receivers/{path}/test");
        let (found, refusal) = api.post(&path, body).await;
        assert_eq!((found.as_u16(), &refusal["parameter"]), (status, &json!(parameter)), "{body}");
    }
}
