//! Arbitrary requests to the collector's API over a small store: an answer of JSON or a refusal that names what is wrong,
//! never a failure, and points in order within what was asked for.
#![no_main]

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use futures_util::future::BoxFuture;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use watchkeeper_collector::api::{
    Acknowledged, ApiParts, ApiState, Corrected, Engine, EngineGone, Readiness, router,
};
use watchkeeper_collector::backup::Backups;
use watchkeeper_collector::dispatch::{Dispatch, DispatchSettings};
use watchkeeper_collector::letters::Places;
use watchkeeper_collector::store::{
    BatchCommit, Fate, JournalRow, OpenSettings, Retention, SeriesKey, Store, WindowsBody,
    WindowsCommit,
};
use watchkeeper_collector::telemetry::Telemetry;
use watchkeeper_collector_core::alert::BuiltinSettings;
use watchkeeper_collector_core::engine::{Settings, Snapshot};
use watchkeeper_collector_core::notify::DeliveryRow;
use watchkeeper_collector_core::route::{RouteSettings, RouteTree};
use watchkeeper_collector_core::slo::CorrectionRow;
use watchkeeper_fuzz::{Feed, NOW};
use watchkeeper_model::{
    AgentId, Digest, Distribution, Epoch, Kind, Labels, Service, StreamKey, Unit, Window,
};

/// Without alerts, SLOs and agents.
struct Quiet;

impl Engine for Quiet {
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, EngineGone>> {
        let (alerts, slos, agents, corrections) = Default::default();
        Box::pin(async { Ok(Snapshot { at: NOW, alerts, slos, agents, corrections }) })
    }

    fn acknowledge(
        &self,
        _fingerprint: &str,
        _by: &str,
        _comment: &str,
    ) -> BoxFuture<'_, Result<Acknowledged, EngineGone>> {
        Box::pin(async { Ok(Acknowledged::NoSuchAlert) })
    }

    fn record_tests(&self, _rows: Vec<DeliveryRow>) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn add_correction(&self, _row: CorrectionRow) -> BoxFuture<'_, Result<Corrected, EngineGone>> {
        Box::pin(async { Ok(Corrected::TooMany) })
    }

    fn end_correction(&self, _id: u64, _by: &str) -> BoxFuture<'_, Result<Corrected, EngineGone>> {
        Box::pin(async { Ok(Corrected::NoSuchCorrection) })
    }
}

/// Nobody is told.
fn settings() -> Settings {
    Settings {
        slos: Vec::new(),
        rules: Vec::new(),
        corrections: Vec::new(),
        builtin: BuiltinSettings::default(),
        routes: RouteTree::build(&RouteSettings::default(), "nobody"),
        receivers: Vec::new(),
        external_url: String::new(),
    }
}

/// One batch with one window of one series.
fn counted() -> WindowsCommit {
    let service = Service::new("shop").expect("a name of a service");
    let labels = Labels::new([("agent", "web-1"), ("status", "200")]);
    let series =
        SeriesKey { service: service.clone(), signal: "requests".into(), unit: Unit::Ms, labels };
    let window = Window { start: NOW, width_secs: 1 };
    let row = JournalRow { series, window, distribution: Distribution::counted(3) };
    let epoch = Epoch { created_at: NOW, random: 1 };
    let stream = StreamKey { agent: AgentId::new("web-1"), epoch, service, kind: Kind::Windows };
    let body = WindowsBody { rows: vec![row], ..WindowsBody::default() };
    let batch = BatchCommit {
        stream,
        seq: 1,
        digest: Digest([1; 16]),
        settled_below: 0,
        received_at: NOW,
        fate: Fate::Counted(body),
    };
    WindowsCommit { batches: vec![batch], ..WindowsCommit::default() }
}

/// The store stays open to the end of the process.
static API: LazyLock<(Runtime, Router, Store)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a place for files").keep();
    let store = Store::open(OpenSettings {
        data_dir: dir,
        machine_id: "machine-1".to_owned(),
        new_incarnation: 1,
        retention: Retention::default(),
        max_bytes: 1 << 30,
        ballast_bytes: 0,
    });
    let store = store.expect("a new store");
    let runtime = Runtime::new().expect("threads");
    runtime.block_on(store.commit_windows(counted())).expect("a batch is stored");
    let telemetry = Arc::new(Telemetry::build().expect("metrics"));
    let (outcomes, _) = mpsc::channel(1);
    let dispatch = Dispatch::start(Vec::new(), DispatchSettings::default(), outcomes);
    let parts = ApiParts {
        engine: Arc::new(Quiet),
        dispatch: Arc::new(dispatch),
        letters: Arc::new(Places::new(Vec::new())),
        backups: Arc::new(Backups::new(store.clone(), CancellationToken::new())),
        settings: watch::channel(Arc::new(settings())).1,
        reads: store.reads(),
        readiness: Arc::new(Readiness::default()),
        telemetry,
    };
    let state = ApiState::new(parts, || NOW);
    (runtime, router(state), store)
});

const PATHS: [&str; 7] =
    ["query", "events", "alerts", "slos", "agents", "deliveries", "dead-letters"];

fn answer(request: Request<Body>) -> (StatusCode, String) {
    let (runtime, router, _) = &*API;
    runtime.block_on(async {
        let response = router.clone().oneshot(request).await.expect("it always answers");
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 8 << 20).await;
        let bytes = bytes.expect("an answer of some megabytes at most");
        (status, String::from_utf8(bytes.to_vec()).expect("an answer is text"))
    })
}

fn check_points(answer: &Value) {
    for series in answer["series"].as_array().expect("a list of series") {
        let points = series["points"].as_array().expect("a list of points");
        let times: Vec<f64> = points.iter().filter_map(|point| point[0].as_f64()).collect();
        assert!(times.len() == points.len() && points.len() <= 11_000, "{series}");
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "points in no order: {series}");
    }
}

// What is asked in the first byte: a list of PATHS with a query string behind it, then any path, then an acknowledgement
// with a body.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let n = feed.choice(PATHS.len() + 2);
    let Ok(text) = std::str::from_utf8(feed.rest()) else { return };
    let (method, path, body) = match PATHS.get(n) {
        Some(path) => (Method::GET, format!("/api/v1/{path}?{text}"), ""),
        None if n == PATHS.len() => (Method::GET, format!("/{text}"), ""),
        None => (Method::POST, "/api/v1/alerts/0123456789abcdef/ack".to_owned(), text),
    };
    let request =
        Request::builder().method(method).uri(&path).header("content-type", "application/json");
    let Ok(request) = request.body(Body::from(body.to_owned())) else { return };
    let (status, text) = answer(request);
    assert!(!status.is_server_error(), "{path}: {status} {text}");
    if n == PATHS.len() {
        return;
    }
    let answer: Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}"));
    if status.is_success() {
        if n == 0 {
            check_points(&answer);
        }
    } else {
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{path}: {text}");
    }
});
