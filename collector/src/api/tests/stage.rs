//! The API on a store with real counts and a made-up engine.
//!
//! Owns no promise of the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
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
use watchkeeper_model::{AgentId, Decimal, Kind, Labels, Service, Severity, SkipReason, Timestamp};

use crate::api::{
    Acknowledged, ApiParts, ApiState, Corrected, Engine, EngineGone, Readiness, router,
};
use crate::backup::Backups;
use crate::channels::{
    Cause, Channel, Delivered, DeliveryError, Integration, IntegrationKey, Pace,
};
use crate::dispatch::{Dispatch, DispatchSettings};
use crate::intake::Intake;
use crate::letters::{KeptLetters, Place, Places};
use crate::store::tests::parts::{self, NOW, distribution, event, events, open, row_of, windows};
use crate::store::{LedgerWrite, Store, StoredDelivery};
use crate::telemetry::Telemetry;

#[derive(Default)]
pub(super) struct MadeUp {
    pub(super) snapshot: Mutex<Option<Snapshot>>,
    pub(super) acknowledged: Mutex<Vec<String>>,
    pub(super) tests: Mutex<Vec<DeliveryRow>>,
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

pub(super) fn fingerprint_of(slo: &str) -> String {
    AlertKey::slo(slo).fingerprint().to_string()
}

pub(super) fn slo(name: &str) -> SloView {
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
pub(super) fn correction(row: CorrectionRow) -> CorrectionView {
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
pub(super) fn weekly() -> CorrectionView {
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

pub(super) fn alert(slo: &str) -> AlertView {
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

pub(super) fn agent() -> AgentView {
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
pub(super) fn integrations() -> Vec<Integration> {
    [("chat", "slack[0]", None), ("oncall", "webhook[0]", Some(Cause::Refused))]
        .map(|(receiver, integration, fails)| Integration {
            key: IntegrationKey::new(receiver, integration),
            channel: Arc::new(Answering { fails }),
        })
        .into()
}

pub(super) fn reported(name: &str, service: &str) -> SloSettings {
    let objective = Objective::from_percent(Decimal::from_int(90)).unwrap();
    SloSettings::new(name, Service::new(service).unwrap(), "requests", objective)
}

pub(super) fn settings() -> engine::Settings {
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

pub(super) struct Api {
    _dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) engine: Arc<MadeUp>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) router: Router,
}

pub(super) fn api() -> Api {
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
    let kept = |kind| -> Box<dyn Place> {
        let settings = tokio::sync::watch::channel(Arc::new(settings())).1;
        let intake = Intake::new(store.clone(), crate::hub::channel().0, settings);
        Box::new(KeptLetters::new(kind, store.clone(), Arc::new(intake)))
    };
    let backups = Backups::new(store.clone(), CancellationToken::new());
    let parts = ApiParts {
        backups: Arc::new(backups),
        letters: Arc::new(Places::new(vec![kept(Kind::Windows), kept(Kind::Events)])),
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
    pub(super) async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(super) async fn text(&self, path: &str) -> (StatusCode, String) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (status, text) = self.text(path).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}")))
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> (StatusCode, Value) {
        let (status, text) =
            self.send(Request::post(path).body(Body::from(body.to_owned())).unwrap()).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    pub(super) async fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(super) async fn with_data(self) -> Self {
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

pub(super) const AT: &str = "2026-11-01T00:00:00Z";
