//! Where the storm goes on: a collector on a disk of its own, agents, a PagerDuty, and a broker if the road needs one.
//!
//! Owns the processes and the order of a step. What a fault does is in `faults`, what has to hold in `verdict`.

use std::path::PathBuf;
use std::time::Duration;

use watchkeeper_tests::harness::{Site, SmallDisk, Totals, get_text, uri};

use super::broker::Broker;
use super::chance::Chance;
use super::faults::Heal;
use super::host::{Host, SOON};
use super::incidents::{ROUTING_KEY, Receiver};
use super::kinds::{N_AGENTS, Road, Way};
use super::plan::{Plan, Step};
use super::restoring::Backup;
use super::tally::Tally;
use super::verdict::Level;

/// Everything there is.
#[derive(Debug)]
pub(crate) struct Stage {
    /// What the collector tells.
    pub(crate) receiver: Receiver,
    /// The agents.
    pub(crate) hosts: Vec<Host>,
    /// Second machines with the spool of one of them. They are stopped, but for a restore that needs them.
    pub(crate) clones: Vec<Host>,
    /// By what agents reach the collector.
    pub(crate) road: Road,
    /// Between them, if there is one.
    pub(crate) broker: Option<Broker>,
    /// Collector, and where everything lies.
    pub(crate) site: Site,
    /// What the collector's data lie on.
    pub(crate) disk: Option<SmallDisk>,
    /// Whether that is full.
    pub(crate) is_full: bool,
    /// Which of its configurations the collector has.
    pub(crate) variant: u64,
    /// Backups that may be restored, oldest first.
    pub(crate) backups: Vec<Backup>,
    /// Backups there were.
    pub(crate) n_backups: usize,
    /// What ends when.
    pub(crate) heals: Vec<(usize, Heal)>,
    /// Figures.
    pub(crate) tally: Tally,
    /// How the processes were before it began.
    pub(crate) level: Level,
    /// What lines say.
    chance: Chance,
}

impl Stage {
    /// Everything runs, and the collector knows every log; `None` if a program is missing.
    pub(crate) async fn start(seed: u64, road: Road) -> Option<Self> {
        let broker = match road.has_broker() {
            true => Some(Broker::start().await?),
            false => None,
        };
        let site = Site::new("").unwrap();
        let mut stage = Self {
            receiver: Receiver::start().await,
            hosts: Vec::new(),
            clones: Vec::new(),
            road,
            broker,
            disk: SmallDisk::mount(&site.path().join("collector-disk"), "256m"),
            is_full: false,
            variant: 0,
            backups: Vec::new(),
            n_backups: 0,
            heals: Vec::new(),
            tally: Tally::new(seed, road),
            level: Level::default(),
            chance: Chance(!seed),
            site,
        };
        stage.configure_collector();
        stage.site.start_collector(&[]).await.unwrap();
        for n in 0..N_AGENTS {
            let id = format!("web-{n}");
            let mut host = stage.new_host(&id, &id).await;
            host.mount();
            host.configure();
            // An agent that never sealed anything knows of no rotation.
            host.logs.iter_mut().for_each(|log| log.line(200, 1.0).unwrap());
            host.start();
            stage.hosts.push(host);
        }
        stage.wait_counted(SOON).await;
        stage.level = Level::of(&mut stage);
        Some(stage)
    }

    /// A machine whose agent has this id; nothing runs yet.
    pub(crate) async fn new_host(&self, id: &str, name: &str) -> Host {
        let broker = self.broker.as_ref().map_or(0, |broker| broker.rabbit.port);
        let port = |way: &Way| match way {
            Way::Grpc => (Way::Grpc, self.site.port),
            Way::Amqp => (Way::Amqp, broker),
        };
        let to: Vec<(Way, u16)> = self.road.ways().iter().map(port).collect();
        Host::new(id, name, &self.site.path().join(name), &to).await
    }

    /// Where the collector's data lie.
    pub(crate) fn data(&self) -> PathBuf {
        self.site.path().join("collector-disk").join("data")
    }

    /// Writes the collector's configuration. All variants judge the same.
    pub(crate) fn configure_collector(&self) {
        // Moments stay on for an hour: a copied spool is one, and it is asked for here. Those that must not happen stay.
        let intake = self.broker.as_ref().map_or(String::new(), |broker| {
            format!("intake: {{amqp: {{uri: '{}'}}}}\n", uri(broker.proxy.port()))
        });
        let text = format!(
            "{intake}collector: {{listen: '127.0.0.1:{}', data_dir: '{}'}}\n\
             slos:\n  - name: shop-availability\n    service: shop\n    signal: requests\n    good: 'int(status) < 500'\n\
             \x20   objective: 99\n    window: 10m\n    annotations: {{summary: 'the shop is failing, {}'}}\n\
             builtin: {{Forked: {{off: true}}, LateBreach: {{off: true}}}}\n\
             alerting:\n  global: {{pagerduty_url: '{}'}}\n\
             \x20 route: {{receiver: oncall, group_by: [service, alertname, agent], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
             \x20 receivers:\n    - name: oncall\n      pagerduty_configs: [{{routing_key: {ROUTING_KEY}}}]\n",
            self.site.port,
            self.data().display(),
            self.variant,
            self.receiver.pagerduty.receiver.url("/v2/enqueue"),
        );
        let new = self.site.path().join("collector.yaml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.site.path().join("collector.yaml")).unwrap();
    }

    /// Goes through a plan, and judges.
    pub(crate) async fn run(&mut self, plan: &Plan) {
        let began = tokio::time::Instant::now();
        for (n, step) in plan.steps.iter().enumerate() {
            println!("{:6.1} s  {n:4}  {step}", began.elapsed().as_secs_f64());
            self.heal(n).await;
            self.write(step).await;
            self.meet(n, step.fault).await;
            self.tally.count(step.fault);
            self.supervise();
            self.measure();
            // The pace of the plan.
            tokio::time::sleep(Duration::from_millis(step.pause_ms)).await;
        }
        let had_trouble = plan.steps.iter().any(|step| step.is_trouble);
        self.judge(had_trouble).await;
    }

    async fn write(&mut self, step: &Step) {
        let statuses: &[u16] =
            if step.is_trouble { &[500, 503, 200] } else { &[200, 200, 204, 301, 404] };
        for (host, n_lines) in self.hosts.iter_mut().zip(step.n_lines) {
            for _ in 0..n_lines {
                let status = statuses[self.chance.below(statuses.len() as u64) as usize];
                let log = self.chance.below(host.logs.len() as u64) as usize;
                host.logs[log].line(status, self.chance.below(500) as f64).unwrap();
            }
        }
        let (n, rotation) = step.rotation;
        self.hosts[n].rotate(rotation).await;
    }

    /// A service starts again what has ended by itself. That may be only for want of room.
    pub(crate) fn supervise(&mut self) {
        self.hosts.iter_mut().for_each(Host::supervise);
        self.broker.iter_mut().for_each(Broker::assert_running);
        self.supervise_collector();
    }

    /// As [`Self::supervise`], for the collector alone.
    pub(crate) fn supervise_collector(&mut self) {
        let collector = self.site.collector.as_mut().expect("it was started with the storm");
        if !collector.is_running() {
            let log = collector.log();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            assert!(self.is_full, "the collector ended by itself: {last:#?}");
            self.site.spawn_collector(&[]).unwrap();
        }
    }

    /// Starts the collector, and waits until it is ready if it can be.
    pub(crate) async fn start_collector(&mut self) {
        // Without room it is not ready.
        if self.is_full {
            self.site.spawn_collector(&[]).unwrap();
        } else {
            self.site.start_collector(&[]).await.unwrap();
        }
    }

    /// Lines that were written, by host and status.
    pub(crate) fn written(&self) -> Totals {
        self.hosts.iter().chain(&self.clones).flat_map(Host::written).collect()
    }

    /// What the collector has counted, by host and status.
    pub(crate) async fn counted(&self) -> Option<Totals> {
        self.site.counted_by("requests", "host,status").await.ok()
    }

    /// Waits until the counts are the truth; never may they be more.
    pub(crate) async fn wait_counted(&self, limit: Duration) {
        let written = self.written();
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let counted = self.counted().await;
            let differs = differences(&written, &counted.clone().unwrap_or_default());
            if counted.is_some() && differs.is_empty() {
                return;
            }
            let is_too_much = counted.is_some() && differs.values().any(|(want, have)| have > want);
            if is_too_much || tokio::time::Instant::now() > deadline {
                panic!(
                    "{}: (written, counted) {differs:?}\n{}",
                    if is_too_much { "counted twice" } else { "not counted" },
                    self.report().await
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the collector says of everybody, for whoever reads a failure.
    pub(crate) async fn report(&self) -> String {
        let agents = self.site.api("agents").await.unwrap_or_default();
        let letters = self.site.api("dead-letters").await.unwrap_or_default();
        let ready = get_text(&format!("http://127.0.0.1:{}/readyz", self.site.port)).await;
        format!(
            "agents: {agents}\ndead letters: {letters}\ncollector: {ready:?}\n{}",
            self.receiver.story()
        )
    }
}

/// Where two counts differ: what was written, what was counted.
fn differences(
    written: &Totals,
    counted: &Totals,
) -> std::collections::BTreeMap<String, (u64, u64)> {
    let keys = written.keys().chain(counted.keys());
    let of = |totals: &Totals, key: &str| totals.get(key).copied().unwrap_or(0);
    let both = keys.map(|key| (key.clone(), (of(written, key), of(counted, key))));
    both.filter(|(_, (want, have))| want != have).collect()
}
