//! A world for the engine: a disk that holds rows as JSON, receivers that behave as told, and a clock that is an
//! integer. Checks on the way that rows come before deliveries and that nothing is opened twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use watchkeeper_model::{
    AgentId, Decimal, Dimension, Distribution, Epoch, Event, Labels, Service, Timestamp, Window,
};

use crate::alert::{AlertState, BuiltinSettings, RuleSettings};
use crate::engine::{
    Beat, Committed, Delivery, Effect, Engine, Fact, Input, IntegrationSettings, ReceiverSettings,
    Restored, RestoredSlo, Road, Settings,
};
use crate::notify::{Action, Notification, Reply};
use crate::route::{GroupBy, Matcher, RouteSettings, RouteTree};
use crate::series::{Filter, Observed, Op, Stat, Threshold};
use crate::slo::{Counts, Judged, Objective, SloSettings, SloWindow};

pub(super) const T0: i64 = 1_793_491_200;

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Works,
    /// Is told together with others.
    Digests,
    /// Refuses for good.
    Refuses,
    /// Does not answer, and does not understand.
    Down,
    /// Understands, but its answers are lost.
    Mute,
    /// Takes its time: nothing comes back until it works again.
    Slow,
}

/// What a receiver has understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) at: i64,
    pub(super) receiver: String,
    pub(super) action: Action,
    pub(super) reason: String,
    pub(super) alerts: Vec<String>,
    pub(super) severity: String,
}

/// Rows as JSON, by table and key.
#[derive(Clone, Default)]
pub(super) struct Disk(BTreeMap<(&'static str, String), String>);

impl Disk {
    fn put(&mut self, table: &'static str, key: impl ToString, row: &impl Serialize) {
        self.0.insert((table, key.to_string()), serde_json::to_string(row).unwrap());
    }

    pub(super) fn is_without(&self, table: &str) -> bool {
        self.0.keys().all(|(t, _)| *t != table)
    }

    pub(super) fn all<T: DeserializeOwned>(&self, table: &'static str) -> Vec<T> {
        let rows = self.0.iter().filter(|((t, _), _)| *t == table);
        rows.map(|(_, row)| serde_json::from_str(row).unwrap()).collect()
    }
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    pub(super) heard: Vec<Heard>,
    pub(super) last: Option<Notification>,
    pub(super) facts: Vec<Fact>,
    pub(super) modes: BTreeMap<String, Mode>,
    pub(super) restart_always: bool,
    pub(super) disk: Disk,
    /// Dedup keys open at each receiver's integration, with their group.
    pub(super) open: BTreeMap<(String, String), BTreeMap<String, String>>,
    pub(super) ever_opened: BTreeSet<String>,
    /// Dedup keys of which the channel has said what to remember.
    remembered: BTreeSet<String>,
    under_way: VecDeque<Delivery>,
    counts: Vec<(String, Window, Counts)>,
    observed: Vec<Observed>,
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Timestamp::from_secs(T0);
        let (engine, effects) = Engine::new(settings.clone(), Restored::default(), now);
        let mut world = Self {
            engine,
            settings,
            now,
            heard: Vec::new(),
            last: None,
            facts: Vec::new(),
            modes: BTreeMap::new(),
            restart_always: false,
            disk: Disk::default(),
            open: BTreeMap::new(),
            ever_opened: BTreeSet::new(),
            remembered: BTreeSet::new(),
            under_way: VecDeque::new(),
            counts: Vec::new(),
            observed: Vec::new(),
        };
        world.apply(effects);
        world.deliver();
        world
    }

    /// Seconds since the beginning.
    pub(super) fn secs(&self) -> i64 {
        self.now.secs() - T0
    }

    pub(super) fn input(&mut self, input: Input) {
        let effects = self.engine.handle(input, self.now);
        self.apply(effects);
        if self.restart_always {
            self.restart();
        }
        self.deliver();
        assert!(
            self.engine.next_deadline().is_none_or(|due| due > self.now) || {
                let again = self.engine.handle(Input::Tick, self.now);
                self.apply(again);
                self.engine.next_deadline().is_none_or(|due| due > self.now)
            },
            "it asks to be called again and again"
        );
    }

    /// Lets time pass, with a tick at every deadline.
    pub(super) fn run(&mut self, secs: i64) {
        let end = self.now.shifted(secs * 1_000_000_000);
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    /// Requests of this second, from one agent.
    pub(super) fn requests(&mut self, good: u64, bad: u64) {
        self.requests_of("web-1", good, bad);
    }

    pub(super) fn requests_of(&mut self, agent: &str, good: u64, bad: u64) {
        self.requests_at(agent, self.now, &[("200", good), ("500", bad)]);
    }

    /// Requests of some second by status, which arrive now.
    pub(super) fn requests_at(&mut self, agent: &str, at: Timestamp, by_status: &[(&str, u64)]) {
        let parts = by_status.iter().copied().filter(|(_, n)| *n > 0);
        let observed = parts
            .map(|(status, n)| Observed {
                service: Service::new("shop").unwrap(),
                signal: "requests".into(),
                dimension: Dimension::Plain,
                labels: Labels::new([("status", status), ("agent", agent)]),
                window: Window::holding(at, 1),
                distribution: Distribution::counted(n),
            })
            .collect();
        self.commit(agent, observed, Vec::new());
    }

    pub(super) fn commit(&mut self, agent: &str, observed: Vec<Observed>, events: Vec<Event>) {
        let mut judged = Vec::new();
        for seen in &observed {
            for slo in self.settings.slos.iter().filter(|s| s.concerns(&seen.service, &seen.signal))
            {
                let counts = slo.judge(&seen.labels, seen.dimension, &seen.distribution);
                if counts == Counts::default() {
                    continue;
                }
                self.counts.push((slo.name.clone(), seen.window, counts));
                let (slo, agent) = (slo.name.as_str().into(), AgentId::new(agent));
                judged.push(Judged { slo, agent, window: seen.window, counts });
            }
        }
        self.observed.extend(observed.iter().cloned());
        self.input(Input::Committed(Box::new(Committed {
            agent: AgentId::new(agent),
            service: Service::new("shop").unwrap(),
            judged,
            observed,
            events,
            tallies: Vec::new(),
            n_lost: 0,
        })));
    }

    /// One second of requests after the other.
    pub(super) fn seconds(&mut self, secs: i64, good: u64, bad: u64) {
        for _ in 0..secs {
            self.run(1);
            self.requests(good, bad);
        }
    }

    pub(super) fn beat(&mut self, agent: &str) {
        self.beat_with(agent, |_| {});
    }

    pub(super) fn beat_with(&mut self, agent: &str, change: impl Fn(&mut Beat)) {
        let mut beat = Beat {
            agent: AgentId::new(agent),
            epoch: Epoch { created_at: Timestamp(1), random: 1 },
            instance: 1,
            sent_at: self.now,
            version: "0.1.0".to_owned(),
            spool_bytes: 0,
            spool_max_bytes: 1000,
            lag_bytes: 0,
            road: Road::Grpc,
            sources: Vec::new(),
        };
        change(&mut beat);
        self.input(Input::Beat(Box::new(beat)));
    }

    pub(super) fn reload(&mut self, change: impl Fn(&mut Settings)) {
        change(&mut self.settings);
        let settings = Box::new(self.settings.clone());
        self.input(Input::Reload { settings, restored: Vec::new() });
    }

    /// Stops without a word and starts again from what is on disk. What was under way is lost.
    pub(super) fn restart(&mut self) {
        self.under_way.clear();
        let slos: Vec<RestoredSlo> = self.settings.slos.iter().map(|s| self.stored(s)).collect();
        let incidents: Vec<crate::notify::IncidentRow> = self.disk.all("incident");
        let deliveries: Vec<crate::notify::DeliveryRow> = self.disk.all("delivery");
        let is_final = |outcome| {
            use crate::notify::DeliveryOutcome::{Failed, Ok, Unrecorded};
            matches!(outcome, Ok | Failed | Unrecorded)
        };
        let restored = Restored {
            alerts: self.disk.all("alert"),
            groups: self.disk.all("group"),
            last_incident: incidents.iter().map(|i| i.number).max().unwrap_or(0),
            last_delivery: deliveries.iter().map(|d| d.id).max().unwrap_or(0),
            incidents: incidents.into_iter().filter(|i| i.closed_at.is_none()).collect(),
            deliveries: deliveries.into_iter().filter(|d| !is_final(d.outcome)).collect(),
            agents: self.disk.all("agent"),
            tallies: Vec::new(),
            slos,
            corrections: self.disk.all("correction"),
            observed: self.observed.clone(),
        };
        let (engine, effects) = Engine::new(self.settings.clone(), restored, self.now);
        self.engine = engine;
        self.apply(effects);
        if !self.restart_always {
            self.deliver();
        }
    }

    /// What is stored of an SLO's counts.
    pub(super) fn stored(&self, slo: &SloSettings) -> RestoredSlo {
        let mut restored = RestoredSlo::new(slo, &self.settings, self.now);
        let mut coarse = BTreeMap::<Timestamp, Counts>::new();
        for (_, window, counts) in self.counts.iter().filter(|(name, ..)| *name == slo.name) {
            let bucket = coarse.entry(slo.bucket_of(window.start)).or_default();
            crate::series::Part::add(bucket, counts);
            if self.now.since(window.start) <= self.settings.fine_look_back_of(slo) {
                restored.fine(window.start, counts);
            }
        }
        coarse.iter().for_each(|(bucket, counts)| restored.coarse(*bucket, counts));
        restored
    }

    pub(super) fn mode(&mut self, receiver: &str, mode: Mode) {
        self.modes.insert(receiver.to_owned(), mode);
        self.deliver();
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        let mut sending = false;
        for effect in effects {
            assert!(!sending || matches!(effect, Effect::Deliver(_)), "a row after a delivery");
            match effect {
                Effect::SaveAlert(row) => self.disk.put("alert", row.fingerprint, &row),
                Effect::ForgetAlert(print) => {
                    drop(self.disk.0.remove(&("alert", print.to_string())))
                }
                Effect::SaveGroup(row) => self.disk.put("group", key(&row.id), &row),
                Effect::ForgetGroup(id) => drop(self.disk.0.remove(&("group", key(&id)))),
                Effect::SaveIncident(row) => {
                    self.disk.put("incident", format!("{:09}", row.number), &row)
                }
                Effect::SaveDelivery(row) => {
                    self.disk.put("delivery", format!("{:09}", row.id), &row)
                }
                Effect::SaveAgent(row) => self.disk.put("agent", &row.id, &row),
                Effect::SaveCorrection(row) => self.disk.put("correction", row.id, &row),
                Effect::ForgetCorrection(id) => {
                    drop(self.disk.0.remove(&("correction", id.to_string())))
                }
                Effect::Fact(fact) => {
                    assert!(!fact.to_string().is_empty());
                    self.facts.push(fact);
                }
                Effect::Deliver(delivery) => {
                    sending = true;
                    for (table, id) in
                        [("delivery", delivery.id), ("incident", delivery.notification.incident)]
                    {
                        assert!(
                            self.disk.0.contains_key(&(table, format!("{id:09}"))),
                            "not in the ledger"
                        );
                    }
                    self.under_way.push_back(*delivery);
                }
            }
        }
    }

    /// Every receiver does with what is under way as it is told to.
    fn deliver(&mut self) {
        let mut kept = VecDeque::new();
        while let Some(delivery) = self.under_way.pop_front() {
            let receiver = &delivery.notification.receiver;
            let mode = self.modes.get(receiver).copied().unwrap_or(Mode::Works);
            if mode == Mode::Slow {
                kept.push_back(delivery);
                continue;
            }
            if matches!(mode, Mode::Works | Mode::Digests | Mode::Mute) {
                self.understand(&delivery);
            }
            for reply in replies(mode, &delivery) {
                let delivered = Input::Delivered { delivery: delivery.id, reply };
                let effects = self.engine.handle(delivered, self.now);
                self.apply(effects);
            }
            if mode == Mode::Works {
                self.remembered.insert(delivery.notification.dedup_key.clone());
            }
        }
        self.under_way = kept;
    }

    fn understand(&mut self, delivery: &Delivery) {
        let told = &delivery.notification;
        let wants_ends = self
            .settings
            .receiver(&told.receiver)
            .is_none_or(|r| r.integrations.iter().all(|i| i.send_resolved));
        let place = (told.receiver.clone(), delivery.integration.clone());
        let remembered = told.memory.as_ref() == Some(&told.dedup_key);
        assert!(
            remembered || !self.remembered.contains(&told.dedup_key),
            "{} was to remember where it told of {}",
            told.receiver,
            told.group_key
        );
        let open = self.open.entry(place).or_default();
        match told.action {
            Action::Close => drop(open.remove(&told.dedup_key)),
            Action::Open | Action::Update => {
                let others = open.iter().filter(|(key, _)| **key != told.dedup_key);
                let twice = others.filter(|(_, group)| **group == told.group_key).count();
                assert!(
                    twice == 0 || !wants_ends,
                    "{} has two incidents for {}",
                    told.receiver,
                    told.group_key
                );
                open.insert(told.dedup_key.clone(), told.group_key.clone());
                self.ever_opened.insert(told.dedup_key.clone());
            }
        }
        self.heard.push(Heard {
            at: self.now.secs() - T0,
            receiver: told.receiver.clone(),
            action: told.action,
            reason: told.reason.clone(),
            alerts: told.alerts.iter().map(|a| a.labels.get("alertname").to_owned()).collect(),
            severity: told.alerts.first().map_or("", |a| a.labels.get("severity")).to_owned(),
        });
        self.last = Some(told.clone());
    }

    /// What was heard since the last look, in short: `chat open first`.
    pub(super) fn news(&mut self) -> Vec<String> {
        let word = |a: Action| format!("{a:?}").to_lowercase();
        let heard = std::mem::take(&mut self.heard);
        heard.iter().map(|h| format!("{} {} {}", h.receiver, word(h.action), h.reason)).collect()
    }

    pub(super) fn n_open(&self) -> usize {
        self.open.values().map(BTreeMap::len).sum()
    }

    /// State and severity of an alert by its name.
    pub(super) fn alert(&self, name: &str) -> Option<(AlertState, bool, String)> {
        let alerts = self.engine.alerts();
        let alert = alerts.iter().find(|alert| alert.labels.get("alertname") == name)?;
        Some((alert.state, alert.stale, alert.labels.get("severity").to_owned()))
    }

    pub(super) fn reason(&self, name: &str) -> String {
        let alerts = self.engine.alerts();
        let alert = alerts.iter().find(|alert| alert.labels.get("alertname") == name);
        alert.map(|alert| alert.reason.clone()).unwrap_or_default()
    }

    pub(super) fn is_firing(&self, name: &str) -> bool {
        self.alert(name).is_some_and(|(state, ..)| state == AlertState::Firing)
    }
}

fn key(id: &crate::notify::GroupId) -> String {
    format!("{} {}", id.group_key, id.receiver)
}

fn replies(mode: Mode, delivery: &Delivery) -> Vec<Reply> {
    let error = || "status 500".to_owned();
    match mode {
        Mode::Works => {
            let told = &delivery.notification;
            let memory = told.memory.is_none().then(|| told.dedup_key.clone());
            vec![Reply::Ok { status: Some(200), memory, note: None }]
        }
        Mode::Digests => {
            vec![Reply::Digested { status: Some(200), n: 40, note: Some("but one".into()) }]
        }
        Mode::Refuses => vec![Reply::Failed { permanent: true, status: Some(404), error: error() }],
        Mode::Down | Mode::Mute => vec![
            Reply::Retry { after: Duration::from_secs(1), status: None, error: error() },
            Reply::Failed { permanent: false, status: None, error: error() },
        ],
        Mode::Slow => Vec::new(),
    }
}

/// 99 % of shop's requests over an hour, told to `chat`, pages to `oncall`; no built-in alerts.
pub(super) fn settings() -> Settings {
    let route = RouteSettings {
        receiver: Some("chat".to_owned()),
        group_by: Some(GroupBy::Labels(["alertname".to_owned()].into())),
        group_wait: Some(Duration::ZERO),
        routes: vec![RouteSettings {
            receiver: Some("oncall".to_owned()),
            matchers: vec![Matcher::parse("severity=page").unwrap()],
            ..RouteSettings::default()
        }],
        ..RouteSettings::default()
    };
    let changed = crate::alert::Builtin::ALL.into_iter().map(|b| (b, None)).collect();
    Settings {
        slos: vec![slo()],
        rules: Vec::new(),
        corrections: Vec::new(),
        builtin: BuiltinSettings { changed },
        routes: RouteTree::build(&route, ""),
        receivers: vec![receiver("chat", true), receiver("oncall", true)],
        external_url: "http://127.0.0.1:7700".to_owned(),
    }
}

pub(super) fn receiver(name: &str, send_resolved: bool) -> ReceiverSettings {
    ReceiverSettings {
        name: name.to_owned(),
        integrations: vec![IntegrationSettings {
            id: "webhook[0]".to_owned(),
            kind: "webhook".to_owned(),
            send_resolved,
        }],
    }
}

/// One route to one receiver, grouped by `alertname`.
pub(super) fn one_route(wait: u64, interval: u64, repeat: u64) -> RouteTree {
    let route = RouteSettings {
        group_by: Some(GroupBy::Labels(["alertname".to_owned()].into())),
        group_wait: Some(Duration::from_secs(wait)),
        group_interval: Some(Duration::from_secs(interval)),
        repeat_interval: Some(Duration::from_secs(repeat)),
        ..RouteSettings::default()
    };
    RouteTree::build(&route, "chat")
}

pub(super) fn slo() -> SloSettings {
    let objective = Objective::from_percent(Decimal::parse("99").unwrap()).unwrap();
    let mut slo = SloSettings::new("shop", Service::new("shop").unwrap(), "requests", objective);
    slo.good = Filter::compile("int(status) < 500").unwrap();
    slo.window = SloWindow::Rolling(Duration::from_secs(3600));
    slo.window_text = "1h".to_owned();
    slo
}

/// More than `limit` bad requests in a minute.
pub(super) fn rule(name: &str, limit: i64) -> RuleSettings {
    RuleSettings {
        name: name.to_owned(),
        service: Service::new("shop").unwrap(),
        signal: "requests".to_owned(),
        scope: Filter::compile("status == '500'").unwrap(),
        good: Filter::all(),
        stat: Stat::Count,
        of: String::new(),
        over: Duration::from_secs(60),
        op: Op::Greater,
        value: Threshold::base(limit * 1_000_000, Dimension::Plain),
        wait: Duration::ZERO,
        keep: Duration::ZERO,
        by: Vec::new(),
        min_events: 1,
        labels: Labels::new([("severity", "ticket")]),
        annotations: Labels::default(),
    }
}
