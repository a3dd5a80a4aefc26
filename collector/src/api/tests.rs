//! The API over real counts and a made-up engine: shapes of answers, refusals, bounds, and that all of it is described.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tower::ServiceExt;
use watchkeeper_collector_core::alert::{AlertKey, AlertState, BuiltinSettings};
use watchkeeper_collector_core::engine::{
    self, AgentState, AgentView, AlertView, CorrectionView, PartView, Road, SloView, Snapshot,
    SourceView,
};
use watchkeeper_collector_core::notify::{DeliveryRow, Notification};
use watchkeeper_collector_core::route::{RouteSettings, RouteTree};
use watchkeeper_collector_core::slo::{
    BUCKET, Concerned, CorrectionRow, Ended, Objective, SloSettings, SloState, Weekly, When, Zone,
};
use watchkeeper_model::{AgentId, Decimal, Labels, Service, Severity, SkipReason, Timestamp};

use super::{
    Acknowledged, ApiParts, ApiState, Corrected, Engine, EngineGone, Readiness, endpoints, router,
};
use crate::channels::{
    Cause, Channel, Delivered, DeliveryError, Integration, IntegrationKey, Pace,
};
use crate::dispatch::{Dispatch, DispatchSettings};
use crate::store::tests::parts::{self, NOW, distribution, event, events, open, row_of, windows};
use crate::store::{LedgerWrite, SloIncrement, StateKind, Store, StoredDelivery, WindowsCommit};
use crate::telemetry::Telemetry;

#[derive(Default)]
struct MadeUp {
    snapshot: Mutex<Option<Snapshot>>,
    acknowledged: Mutex<Vec<String>>,
    tests: Mutex<Vec<DeliveryRow>>,
}

impl Engine for MadeUp {
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, EngineGone>> {
        let snapshot = self.snapshot.lock().unwrap().clone();
        Box::pin(async move { snapshot.ok_or(EngineGone) })
    }

    fn acknowledge(
        &self,
        fingerprint: &str,
        by: &str,
        comment: &str,
    ) -> BoxFuture<'_, Result<Acknowledged, EngineGone>> {
        self.acknowledged.lock().unwrap().push(format!("{fingerprint} {by} {comment}"));
        let known = fingerprint == fingerprint_of("shop-latency");
        let done = if known { Acknowledged::Done } else { Acknowledged::NoSuchAlert };
        Box::pin(async move { Ok(done) })
    }

    fn record_tests(&self, rows: Vec<DeliveryRow>) -> BoxFuture<'_, ()> {
        self.tests.lock().unwrap().extend(rows);
        Box::pin(async {})
    }

    fn add_correction(&self, row: CorrectionRow) -> BoxFuture<'_, Result<Corrected, EngineGone>> {
        done(correction(CorrectionRow { id: 7, ..row }))
    }

    fn end_correction(&self, id: u64, by: &str) -> BoxFuture<'_, Result<Corrected, EngineGone>> {
        if id != 7 {
            return Box::pin(async { Ok(Corrected::NoSuchCorrection) });
        }
        let at = Timestamp::from_secs(NOW);
        done(correction(CorrectionRow {
            id,
            name: String::new(),
            concerned: Concerned::default(),
            from: at,
            to: at + Duration::from_secs(60),
            reason: "move".to_owned(),
            by: "ann".to_owned(),
            created_at: at,
            ended: Some(Ended { by: by.to_owned(), at }),
        }))
    }
}

fn done(view: CorrectionView) -> BoxFuture<'static, Result<Corrected, EngineGone>> {
    Box::pin(async move { Ok(Corrected::Done(Box::new(view))) })
}

fn fingerprint_of(slo: &str) -> String {
    AlertKey::slo(slo).fingerprint().to_string()
}

fn slo(name: &str) -> SloView {
    SloView {
        name: name.to_owned(),
        service: "shop".to_owned(),
        objective: 99.9,
        window: "30d".to_owned(),
        good: 999,
        total: 1_000,
        unjudged: 1,
        sli: Some(0.999),
        budget_remaining: 0.0,
        burn: vec![(Duration::from_secs(300), Some(1.0)), (Duration::from_secs(3_600), None)],
        exhausts_at: Some(Timestamp::from_secs(NOW)),
        state: SloState::NoData,
        approximate: 0.25,
        corrected_seconds: 300.0,
        correction: Some("the database moves".to_owned()),
        composite: vec![PartView {
            slo: "x".into(),
            weight: 2.0,
            good: 9,
            total: 10,
            sli: Some(0.9),
        }],
    }
}

/// One that was added with a number.
fn correction(row: CorrectionRow) -> CorrectionView {
    CorrectionView {
        id: row.id.to_string(),
        name: row.name.clone(),
        concerned: row.concerned.clone(),
        when: When::Once { from: row.from, to: row.to },
        covers: vec![("a".to_owned(), row.from.floor(BUCKET), row.to.floor(BUCKET) + BUCKET)],
        in_force: false,
        reason: row.reason.clone(),
        added: Some(row),
    }
}

/// One of the configuration.
fn weekly() -> CorrectionView {
    let (days, zone) = (vec![jiff::civil::Weekday::Sunday], Zone::named("Europe/Berlin").unwrap());
    CorrectionView {
        id: "file-1".to_owned(),
        name: "backup".to_owned(),
        concerned: Concerned::default(),
        when: When::Weekly(Weekly { days, from_minute: 120, to_minute: 185, zone }),
        covers: Vec::new(),
        in_force: true,
        reason: "backup".to_owned(),
        added: None,
    }
}

fn alert(slo: &str) -> AlertView {
    AlertView {
        fingerprint: AlertKey::slo(slo).fingerprint(),
        labels: Labels::new([("alertname", slo.to_owned()), ("severity", "page".to_owned())]),
        annotations: Labels::new([("summary", "slow")]),
        state: AlertState::Firing,
        stale: true,
        acknowledged_by: None,
        starts_at: Timestamp::from_secs(NOW),
        ends_at: None,
        value: Some(21.3),
        reason: "burning".to_owned(),
        receivers: vec!["chat".to_owned()],
        suppressed_by: Vec::new(),
    }
}

fn agent() -> AgentView {
    AgentView {
        id: AgentId::new("web-1"),
        state: AgentState::Silent,
        last_beat: Some(Timestamp::from_secs(NOW)),
        epoch: "1-00".to_owned(),
        skew_seconds: -0.5,
        spool_bytes: 5,
        lag_bytes: 6,
        road: Some(Road::Amqp),
        version: "0.1.0".to_owned(),
        sources: vec![SourceView {
            name: "shop-log".to_owned(),
            kind: "tail".to_owned(),
            state: "ok".to_owned(),
            read: 7,
            skipped: BTreeMap::from([(SkipReason::Blank, 2)]),
            redacted: 8,
            events_held_back: 9,
            ..SourceView::default()
        }],
    }
}

/// A receiver that takes everything, one that refuses, and one that tells nobody.
fn integrations() -> Vec<Integration> {
    [("chat", "slack[0]", None), ("oncall", "webhook[0]", Some(Cause::Refused))]
        .map(|(receiver, integration, fails)| Integration {
            key: IntegrationKey::new(receiver, integration),
            channel: Arc::new(Answering { fails }),
        })
        .into()
}

fn reported(name: &str, service: &str) -> SloSettings {
    let objective = Objective::from_percent(Decimal::from_int(90)).unwrap();
    SloSettings::new(name, Service::new(service).unwrap(), "requests", objective)
}

fn settings() -> engine::Settings {
    let receiver = |name: &str, ids: &[(&str, &str)]| engine::ReceiverSettings {
        name: name.to_owned(),
        integrations: ids
            .iter()
            .map(|(id, kind)| engine::IntegrationSettings {
                id: (*id).to_owned(),
                kind: (*kind).to_owned(),
                send_resolved: true,
            })
            .collect(),
    };
    engine::Settings {
        slos: vec![reported("shop-availability", "shop"), reported("shop-latency", "db")],
        rules: Vec::new(),
        corrections: Vec::new(),
        builtin: BuiltinSettings::default(),
        routes: RouteTree::build(&RouteSettings::default(), "chat"),
        receivers: vec![
            receiver("chat", &[("slack[0]", "slack")]),
            receiver("nobody", &[]),
            receiver("oncall", &[("webhook[0]", "webhook")]),
        ],
        external_url: "http://127.0.0.1:7700".to_owned(),
    }
}

/// A channel that says the same to everybody.
#[derive(Debug)]
struct Answering {
    fails: Option<Cause>,
}

impl Channel for Answering {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn send_resolved(&self) -> bool {
        true
    }

    fn max_alerts(&self) -> usize {
        0
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn pace(&self) -> Pace {
        Pace { interval: Duration::ZERO, burst: 1 }
    }

    fn deliver<'a>(
        &'a self,
        _: &'a Notification,
        _: tokio::time::Instant,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        let result = match self.fails {
            None => Ok(Delivered::with_status(200)),
            Some(cause) => Err(DeliveryError::new(cause, "test: no".to_owned())),
        };
        Box::pin(async move { result })
    }
}

struct Api {
    _dir: tempfile::TempDir,
    store: Store,
    engine: Arc<MadeUp>,
    readiness: Arc<Readiness>,
    router: Router,
}

fn api() -> Api {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let engine = Arc::new(MadeUp::default());
    let snapshot = Snapshot {
        at: Timestamp::from_secs(NOW),
        alerts: vec![alert("shop-latency"), alert("shop-availability")],
        slos: vec![slo("b"), slo("a"), slo("c")],
        agents: vec![agent()],
        corrections: vec![weekly()],
    };
    *engine.snapshot.lock().unwrap() = Some(snapshot);
    let readiness = Arc::new(Readiness::default());
    let telemetry = Telemetry::build().unwrap();
    telemetry.watch_store(&store);
    let (outcomes, _) = tokio::sync::mpsc::channel(64);
    let dispatch = Dispatch::start(integrations(), DispatchSettings::default(), outcomes);
    let parts = ApiParts {
        engine: engine.clone(),
        dispatch: Arc::new(dispatch),
        settings: tokio::sync::watch::channel(Arc::new(settings())).1,
        reads: store.reads(),
        readiness: readiness.clone(),
        telemetry: Arc::new(telemetry),
    };
    let state = ApiState::new(parts, || Timestamp::from_secs(NOW + 60));
    Api { _dir: dir, store, engine, readiness, router: router(state) }
}

impl Api {
    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn text(&self, path: &str) -> (StatusCode, String) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (status, text) = self.text(path).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}")))
    }

    async fn post(&self, path: &str, body: &str) -> (StatusCode, Value) {
        let (status, text) =
            self.send(Request::post(path).body(Body::from(body.to_owned())).unwrap()).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn with_data(self) -> Self {
        let rows = vec![
            row_of(parts::series("web-1", "200"), NOW, 1, distribution(&[250_000_000], NOW)),
            parts::row("500", NOW + 1, 3),
        ];
        self.store.commit_windows(windows(1, rows)).await.unwrap();
        let mut cut = event(NOW + 1, "error", Severity::Error, "b");
        cut.fields = "{\"cut".to_owned();
        let all = vec![event(NOW, "error", Severity::Warning, "a"), cut];
        self.store.commit_events(events(1, all)).await.unwrap();
        let delivery = StoredDelivery {
            id: 4,
            incident: 2,
            receiver: "chat".to_owned(),
            integration: "slack[0]".to_owned(),
            kind: "slack".to_owned(),
            action: "open".to_owned(),
            reason: "first".to_owned(),
            at: Timestamp::from_secs(NOW),
            attempt: 1,
            outcome: "ok".to_owned(),
            status: Some(200),
            error: None,
            next_at: None,
            alerts: vec!["shop-latency".to_owned()],
            fingerprints: Vec::new(),
            body: None,
        };
        let writes = vec![LedgerWrite::Delivery(Box::new(delivery))];
        self.store.persist(writes, Timestamp::from_secs(NOW)).await.unwrap();
        self
    }
}

const AT: &str = "2026-11-01T00:00:00Z";

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

const MOVE: &str = r#"{"slos": ["a"], "from": "2026-11-01T00:01:00Z", "to": "2026-11-01T01:02:00+00:00",
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

/// What SLOs counted in five-minute buckets after `NOW`.
async fn count(api: &Api, counts: &[(&str, &str, i64, u64, u64)]) {
    let gain = |(slo, service, bucket, good, bad): &(&str, &str, i64, u64, u64)| SloIncrement {
        slo: (*slo).to_owned(),
        definition: reported(slo, service).definition(),
        bucket: Timestamp::from_secs(NOW + bucket * 300),
        good: *good,
        total: good + bad,
        unjudged: 2,
        estimated: 0,
    };
    let slo = counts.iter().map(gain).collect();
    api.store.commit_windows(WindowsCommit { slo, ..WindowsCommit::default() }).await.unwrap();
}

#[tokio::test]
async fn a_report_has_the_counts_of_its_period_in_the_form_asked_for() {
    let api = api();
    let of_shop = |bucket, good, bad| ("shop-availability", "shop", bucket, good, bad);
    count(&api, &[of_shop(-1, 100, 0), of_shop(0, 85, 15), of_shop(1, 100, 0)]).await;
    // Its edges are rounded outward: a minute after the beginning counts the whole bucket. The weekly correction of the
    // configuration is at another time.
    let asked = format!("/api/v1/reports?service=shop&from={}&to={}", NOW + 60, NOW + 240);
    let report = api.ok(&asked).await;
    let edges = (&report["from"], &report["to"], &report["complete"]);
    assert_eq!(edges, (&json!(AT), &json!("2026-11-01T00:05:00Z"), &json!(false)));
    let [service] = report["services"].as_array().unwrap().as_slice() else { panic!("{report}") };
    let slo = &service["slos"][0];
    assert_eq!(
        (&slo["good"], &slo["total"], &slo["unjudged"]),
        (&json!(85), &json!(100), &json!(2))
    );
    assert_eq!((&slo["result"], &slo["budget"]["allowed"]), (&json!("missed"), &json!(10)));
    assert_eq!(
        (&slo["budget"]["words"], &slo["data_from"]),
        (&json!("50.0 % overspent"), &Value::Null)
    );

    let all = format!("/api/v1/reports?from={}&to={}", NOW - 600, NOW + 600);
    let report = api.ok(&all).await;
    let names: Vec<_> =
        report["services"].as_array().unwrap().iter().map(|s| &s["service"]).collect();
    assert_eq!(names, ["shop", "db"]);
    let slo = &report["services"][0]["slos"][0];
    assert_eq!((&slo["total"], &slo["data_from"]), (&json!(300), &json!("2026-10-31T23:55:00Z")));

    for (format, kind, begins) in [
        ("markdown", "text/markdown; charset=utf-8", "# Error budget of shop-availability, "),
        ("html", "text/html; charset=utf-8", "<!doctype html>"),
        ("json", "application/json", "{\"from\":"),
    ] {
        let request = Request::get(format!("{asked}&format={format}")).body(Body::empty()).unwrap();
        let response = api.router.clone().oneshot(request).await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["content-type"], kind);
        assert!(
            headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'")
        );
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.starts_with(begins), "{text}");
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
    // The delivery that there is gets its incident, so that a report has one.
    let at = Timestamp::from_secs(NOW);
    let incident = json!({
        "number": 2, "group_key": "", "receiver": "chat", "integration": "slack[0]", "kind": "slack", "send_resolved": true,
        "dedup_key": "", "state": "open", "opened_at": at, "closed_at": null, "in_flight": null, "told_at": null, "told": {},
        "maybe_open": true, "closing_since": null, "n_close_failures": 0, "retry_at": null,
    });
    let (kind, key, body) = (StateKind::Incident, "2".to_owned(), incident.to_string());
    api.store.persist(vec![LedgerWrite::Save { kind, key, body, live: true }], at).await.unwrap();
    for endpoint in endpoints::ALL {
        let operation = &described["paths"][endpoint.path][endpoint.method];
        assert!(operation.is_object(), "{} is not described", endpoint.path);
        let path = endpoint
            .path
            .replace("receivers/{name}", "receivers/chat")
            .replace("{name}", "a")
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
