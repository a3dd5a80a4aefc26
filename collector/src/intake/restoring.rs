//! From batches through the store and back: an engine that starts again has the counts of the one that ran.

use std::sync::Arc;
use std::time::Duration;

use watchkeeper_collector_core::engine::{self, Committed, Engine, Input, SloView};
use watchkeeper_collector_core::series::{Filter, Threshold};
use watchkeeper_collector_core::slo::{
    Calendar, CalendarUnit, Component, Concerned, CorrectionRow, Method, Objective, SliceObjective,
    Slices, SloSettings, SloWindow, Zone,
};
use watchkeeper_model::{
    AgentId, Decimal, Dimension, Kind, Labels, SeriesWindows, Service, TimeBasis, Timestamp, Unit,
    Window, WindowPart,
};

use super::count::{Counted, count};
use super::known::{KnownSeries, SloIndex};
use crate::restore::{commit_recomputed, restore};
use crate::store::tests::parts::{NOW, batch, distribution, open};
use crate::store::{Fate, Store, WindowsBody, WindowsCommit, writes_of};

fn slo(name: &str, change: impl FnOnce(&mut SloSettings)) -> SloSettings {
    let objective = Objective::from_percent(Decimal::from_int(99)).unwrap();
    let mut slo = SloSettings::new(name, Service::new("shop").unwrap(), "requests", objective);
    slo.good = Filter::compile("status != '500'").unwrap();
    slo.below = Some(Threshold::base(200_000_000, Dimension::Time));
    change(&mut slo);
    slo
}

fn slices(secs: u64) -> Method {
    let objective = SliceObjective::from_percent(Decimal::from_int(80)).unwrap();
    Method::Timeslices(Slices { length: Duration::from_secs(secs), objective })
}

/// One of each kind.
fn slos() -> Vec<SloSettings> {
    let zone = Zone::named("Europe/Berlin").unwrap();
    let month = SloWindow::Calendar(Calendar { unit: CalendarUnit::Month, zone });
    let mut all = vec![
        slo("month", |slo| slo.window = month.clone()),
        slo("rolling", |_| {}),
        slo("short", |slo| slo.window = SloWindow::Rolling(Duration::from_secs(3600))),
        slo("sliced", |slo| slo.method = slices(60)),
        slo("sliced-finely", |slo| {
            (slo.method, slo.window) = (slices(5), SloWindow::Rolling(Duration::from_secs(86_400)));
        }),
        slo("sliced-month", |slo| (slo.method, slo.window) = (slices(3600), month)),
    ];
    let parts = [("short", 2.0), ("sliced", 1.0)].map(|(name, weight)| {
        let part = all.iter().find(|slo| slo.name == name).unwrap();
        Component { slo: name.into(), weight, definition: part.definition(), method: part.method }
    });
    all.push(slo("z-composite", |slo| {
        (slo.signal, slo.composite) = (String::new(), parts.into());
        (slo.good, slo.below) = (Filter::all(), None);
    }));
    all
}

/// Settings with nothing but these SLOs.
pub(crate) fn settings(slos: Vec<SloSettings>) -> engine::Settings {
    engine::Settings {
        slos,
        rules: Vec::new(),
        corrections: Vec::new(),
        builtin: Default::default(),
        routes: watchkeeper_collector_core::route::RouteTree::build(&Default::default(), ""),
        receivers: Vec::new(),
        external_url: String::new(),
    }
}

struct Collector {
    store: Store,
    settings: Arc<engine::Settings>,
    engine: Engine,
    now: Timestamp,
    seq: u64,
}

impl Collector {
    async fn start(store: Store, settings: engine::Settings, now: Timestamp) -> Self {
        let (restored, recomputed) = restore(&store, &settings, now).unwrap();
        commit_recomputed(&store, recomputed).await.unwrap();
        let (engine, _) = Engine::new(settings.clone(), restored, now);
        Self { store, settings: Arc::new(settings), engine, now, seq: 0 }
    }

    /// A batch with one window of one status that starts so long ago.
    async fn take(&mut self, ago: u64, status: &str, ms: &[i64]) {
        let start = (self.now - Duration::from_secs(ago)).secs();
        let values: Vec<i64> = ms.iter().map(|ms| ms * 1_000_000).collect();
        let part = WindowPart {
            window: Window::holding(Timestamp::from_secs(start), 1),
            distribution: distribution(&values, start),
        };
        let series = SeriesWindows {
            signal: "requests".to_owned(),
            unit: Unit::Ms,
            labels: Labels::new([("status", status)]),
            basis: TimeBasis::Line,
            windows: vec![part],
        };
        let (agent, service) = (AgentId::new("web-1"), Service::new("shop").unwrap());
        let by = (&Arc::new(SloIndex::new(self.settings.clone())), &mut KnownSeries::default());
        let counted = count(by, &agent, &service, vec![series], 0, self.now);
        let Counted { rows, slo, judged, observed } = counted;
        self.seq += 1;
        let body = WindowsBody { rows, slo, ..WindowsBody::default() };
        let batches = vec![batch(Kind::Windows, self.seq, Fate::Counted(body))];
        let commit = WindowsCommit { batches, ..WindowsCommit::default() };
        self.store.commit_windows(commit).await.unwrap();
        let (events, tallies) = (Vec::new(), Vec::new());
        let committed = Committed { agent, service, judged, observed, events, tallies, n_lost: 0 };
        self.handle(Input::Committed(Box::new(committed))).await;
    }

    async fn handle(&mut self, input: Input) {
        let effects = self.engine.handle(input, self.now);
        self.store.persist(writes_of(&effects), self.now).await.unwrap();
    }

    /// Some hours of requests, some of them late.
    async fn run(&mut self) {
        for n in 0..400_u64 {
            self.now = self.now + Duration::from_secs(37);
            let slow = if n % 9 == 0 { 900 } else { 20 };
            self.take(0, "200", &[10, slow, 30, 40, 50]).await;
            if n % 13 == 0 {
                self.take(n % 300, "500", &[10, 20]).await;
            }
        }
    }

    fn slos(&self) -> Vec<SloView> {
        // Whether data were heard of lately is not stored.
        let state = watchkeeper_collector_core::slo::SloState::Ok;
        let all = self.engine.slos(self.now).into_iter();
        all.map(|slo| SloView { state, ..slo }).collect()
    }
}

#[tokio::test]
async fn every_kind_of_budget_has_the_same_counts_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let start = Timestamp::from_secs(NOW);
    let mut live = Collector::start(open(dir.path()), settings(slos()), start).await;
    live.run().await;
    let before = live.slos();
    assert!(
        before.iter().all(|slo| slo.total > 0) && before[3].good < before[3].total,
        "{before:#?}"
    );
    let at = live.now.rfc3339();
    live.handle(Input::AddCorrection(Box::new(CorrectionRow {
        id: 0,
        name: String::new(),
        concerned: Concerned {
            slos: vec!["rolling".to_owned(), "sliced".to_owned()],
            service: None,
        },
        from: start + Duration::from_secs(1000),
        to: start + Duration::from_secs(3000),
        reason: format!("until {at}"),
        by: "ann".to_owned(),
        created_at: start,
        ended: None,
    })))
    .await;
    let corrected = live.slos();
    let changed = before.iter().zip(&corrected).filter(|(a, b)| a.total != b.total);
    let changed: Vec<&str> = changed.map(|(slo, _)| slo.name.as_str()).collect();
    assert_eq!(changed, ["rolling", "sliced", "z-composite"]);
    let again = Collector::start(live.store.clone(), settings(slos()), live.now).await;
    assert_eq!(again.slos(), corrected);
    assert_eq!(again.engine.corrections(live.now), live.engine.corrections(live.now));
    let mut again = again;
    again.handle(Input::EndCorrection { id: 1, by: "bob".to_owned() }).await;
    assert_eq!(again.slos(), before);
    let third = Collector::start(live.store.clone(), settings(slos()), live.now).await;
    assert_eq!(third.slos(), before);
    let record = third.engine.corrections(live.now)[0].added.clone().unwrap();
    assert_eq!(record.ended.map(|ended| ended.by).as_deref(), Some("bob"));
}

#[tokio::test]
async fn what_counts_something_else_is_worked_out_from_the_stored_windows() {
    let other = || -> Vec<SloSettings> {
        let mut all = slos();
        let n_counting = all.len() - 1;
        for slo in &mut all[..n_counting] {
            slo.below = Some(Threshold::base(1_000_000_000, Dimension::Time));
            if let Method::Timeslices(slices) = &mut slo.method {
                slices.length = slices.length.max(Duration::from_secs(10));
            }
        }
        let definitions: Vec<(String, u64)> =
            all.iter().map(|slo| (slo.name.clone(), slo.definition())).collect();
        for part in &mut all[n_counting].composite {
            part.definition = definitions.iter().find(|(name, _)| *name == part.slo).unwrap().1;
        }
        all
    };
    let (dir, dir_other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = Timestamp::from_secs(NOW);
    let mut live = Collector::start(open(dir.path()), settings(slos()), start).await;
    live.run().await;
    let mut always = Collector::start(open(dir_other.path()), settings(other()), start).await;
    always.run().await;
    let changed = Collector::start(live.store.clone(), settings(other()), live.now).await;
    assert_eq!(changed.slos(), always.slos());
    let again = Collector::start(live.store.clone(), settings(other()), live.now).await;
    assert_eq!(again.slos(), always.slos(), "and stored");
}

#[tokio::test]
async fn another_objective_for_slices_needs_no_new_counts() {
    let dir = tempfile::tempdir().unwrap();
    let start = Timestamp::from_secs(NOW);
    let one = |percent: i64| {
        vec![slo("sliced", |slo| {
            let objective = SliceObjective::from_percent(Decimal::from_int(percent)).unwrap();
            slo.method = Method::Timeslices(Slices { length: Duration::from_secs(60), objective });
        })]
    };
    let mut live = Collector::start(open(dir.path()), settings(one(80)), start).await;
    live.run().await;
    let strict = Collector::start(live.store.clone(), settings(one(100)), live.now).await;
    assert!(strict.slos()[0].good < live.slos()[0].good);
    let settings = Box::new(settings(one(100)));
    live.handle(Input::Reload { settings, restored: Vec::new() }).await;
    assert_eq!(live.slos(), strict.slos());
}
