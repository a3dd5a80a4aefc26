//! The `heartbeat` source with clock hands of its own.

use std::time::Duration;

use tokio::sync::oneshot;
use watchkeeper_agent_core::heartbeat::{Beat, Word};
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_config::{Reader, load_str};
use watchkeeper_model::{AgentId, Body, Labels, Timestamp};

use super::beats::{Beats, Heard, Unheard};
use super::*;
use crate::sources::{Health, Kind as _, Source as _, SourceSettings, Stored, Wakes, read};

const HOUR: u64 = 3_600;

fn settings(yaml: &str) -> Result<SourceSettings, String> {
    let mut reader = Reader::new(&|_: &str| None);
    let yaml = format!("heartbeat: {{{yaml}}}");
    let config = load_str("it", &yaml, &mut reader).and_then(|d| read(d.root(), &mut reader));
    let (config, _) = reader.finish(config).map_err(|problems| problems.render())?;
    Ok(config.settings)
}

/// So many hours of a day in 2026, in UTC.
fn hours(n: f64) -> Timestamp {
    Timestamp::from_secs(1_793_577_600) + Duration::from_secs_f64(n * HOUR as f64)
}

struct Scene {
    source: HeartbeatSource,
    acc: Accumulator,
    beats: Beats,
    wakes: Wakes,
    now: Timestamp,
    running: Duration,
    /// Results that were counted, and events.
    told: Vec<String>,
}

impl Scene {
    fn new(now: Timestamp, stored: &Stored, boot: &str) -> Self {
        let settings = settings("name: backup, service: db, schedule: '0 3 * * *', grace: 30m");
        let settings = settings.unwrap().as_kind::<HeartbeatSourceSettings>().unwrap().clone();
        let wakes = Wakes::new();
        let beats = Beats::new(wakes.waker());
        let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
        let source = HeartbeatSource::at(now, boot, settings, stored, &mut acc, &beats);
        let running = Duration::ZERO;
        Self { source, acc, beats, wakes, now, running, told: Vec::new() }
    }

    /// Time passes, and the agent is asked as it asks to be, or more often.
    fn pass(&mut self, until: Timestamp) {
        self.poll();
        while self.now < until {
            let step = until.since(self.now).min(Duration::from_secs(10));
            (self.now, self.running) = (self.now + step, self.running + step);
            self.poll();
        }
    }

    /// Time passes, and nobody asks.
    fn sleep(&mut self, until: Timestamp) {
        self.now = until;
        self.poll();
    }

    fn poll(&mut self) {
        let now = self.now;
        let next = self.source.poll_at(now, self.running, &mut self.acc);
        assert!(next > now, "it would be asked again at once");
        let sealed = self.acc.seal(now, &SealOrder::default(), Vec::new());
        for body in sealed.services.into_iter().flat_map(|service| service.bodies) {
            match body {
                Body::Events { events, .. } => self.told.extend(events.into_iter().map(|e| e.name)),
                Body::Windows { series, .. } => {
                    for one in series.iter().filter(|one| one.signal == "heartbeat") {
                        self.told.push(format!("1 {}", one.labels.get("result")));
                    }
                }
            }
        }
    }

    fn say(&self, run: &str, word: Word) -> oneshot::Receiver<Heard> {
        let (run, output) = (run.to_owned(), String::new());
        self.beats.leave("backup", Beat { run, word, output }).unwrap()
    }

    fn store(&mut self) -> Stored {
        let checkpoint = self.source.checkpoint();
        self.source.committed(Timestamp(0));
        let rows = checkpoint.store.into_iter().map(|(_, row)| row).collect();
        Stored { rows, looked_at: checkpoint.looked_at, wait: true }
    }
}

const SUCCESS: Word = Word::Success { duration: None };

#[test]
fn exactly_one_key_says_when_runs_are_due() {
    for (yaml, shown) in [
        (
            "service: db, schedule: '0 3 * * *', zone: Europe/Berlin",
            "schedule 0 3 * * * Europe/Berlin",
        ),
        ("service: db, schedule: '@daily'", "schedule @daily UTC"),
        ("service: db, every: 1h, grace: 0s, max_duration: 2h", "every 1h"),
    ] {
        let settings = settings(yaml).unwrap();
        let settings = settings.as_kind::<HeartbeatSourceSettings>().unwrap();
        assert_eq!(settings.plan.schedule.text(), shown);
        let minutes = if yaml.contains("grace") { 0 } else { 5 };
        assert_eq!(settings.plan.grace, Duration::from_secs(60 * minutes), "{yaml}");
    }
    for (yaml, said) in [
        ("service: db", "when runs are due is not said"),
        ("service: db, schedule: '@daily', every: 1h", "each say when runs are due"),
        ("service: db, every: 1h, zone: UTC", "`zone` says nothing beside `every`"),
        ("service: db, every: 1s", "between 10s"),
        ("service: db, schedule: '0 3 * *'", "is no line of cron"),
        ("service: db, schedule: '0 0 30 2 *'", "never comes"),
        ("service: db, schedule: '@daily', zone: Europe/Berln", "did you mean Europe/Berlin?"),
        ("service: db, schedule: '@daily', grace: 31d", "between 0s and"),
        ("name: 'a b', service: db, every: 1h", "jobs call it by its name"),
        ("schedule: '@daily'", "`service` is missing"),
        ("service: db, every: 1h, timeout: 3s", "unknown key `timeout`"),
    ] {
        let problems = settings(yaml).unwrap_err();
        assert!(problems.contains(said), "{yaml}: {problems}");
    }
}

#[test]
fn a_job_is_answered_when_what_it_said_is_durable() {
    let mut scene = Scene::new(hours(0.0), &Stored::default(), "boot");
    scene.pass(hours(3.0));
    assert!(matches!(scene.source.health(), Health::Waiting(why) if why.contains("due at 2026")));
    let mut started = scene.say("a", Word::Start);
    assert!(scene.wakes.wait(Duration::ZERO), "the worker is woken");
    scene.poll();
    assert!(started.try_recv().is_err(), "not on disk yet");
    let _ = scene.source.checkpoint();
    // The seal failed; the next one holds it.
    let mut again = scene.say("a", Word::Start);
    scene.poll();
    scene.store();
    assert_eq!((started.try_recv(), again.try_recv()), (Ok("started"), Ok("known")));
    scene.pass(hours(3.1));
    assert!(
        matches!(scene.source.health(), Health::Waiting(why) if why == "its first run goes on")
    );
    let mut ended = scene.say("a", SUCCESS);
    scene.poll();
    scene.store();
    assert_eq!((ended.try_recv(), scene.source.health()), (Ok("ok"), Health::Ok));
    assert_eq!(scene.told, ["1 ok"]);
}

#[test]
fn whoever_does_not_wait_any_more_takes_no_room_while_nothing_can_be_stored() {
    let mut scene = Scene::new(hours(0.0), &Stored::default(), "boot");
    let mut waits = scene.say("", Word::Start);
    for _ in 0..100 {
        drop(scene.say("", Word::Start));
        scene.poll();
        let _ = scene.source.checkpoint();
    }
    assert_eq!(scene.source.n_answers(), 1);
    scene.store();
    assert_eq!(waits.try_recv(), Ok("started"));
}

#[test]
fn whoever_is_not_taken_is_told_at_once() {
    let scene = Scene::new(hours(0.0), &Stored::default(), "boot");
    let beat = || Beat { run: String::new(), word: Word::Start, output: String::new() };
    let error = scene.beats.leave("back", beat()).unwrap_err();
    assert_eq!(error.to_string(), "there is no heartbeat \"back\": this agent has backup");
    let waiting: Vec<_> = (0..64).map(|_| scene.say("", Word::Start)).collect();
    let error = scene.beats.leave("backup", beat()).unwrap_err();
    assert_eq!(error, Unheard::TooMany("backup".to_owned()));
    let beats = scene.beats.clone();
    drop(scene);
    for mut waiting in waiting {
        assert_eq!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
    let error = beats.leave("backup", beat()).unwrap_err();
    assert!(error.to_string().ends_with("this agent has none under `sources:`"), "{error}");
}

#[test]
fn a_run_goes_on_while_the_agent_is_started_again() {
    let mut scene = Scene::new(hours(2.9), &Stored::default(), "boot");
    scene.pass(hours(3.0));
    let _started = scene.say("a", Word::Start);
    scene.poll();
    let stored = scene.store();
    let mut scene = Scene::new(hours(3.02), &stored, "boot");
    let _ended = scene.say("a", SUCCESS);
    scene.pass(hours(4.0));
    assert_eq!(scene.told, ["1 ok"]);
    // If the machine was started again too, it did not go on.
    let mut scene = Scene::new(hours(3.02), &stored, "another");
    scene.pass(hours(4.0));
    assert_eq!(scene.told, ["1 failed", "failed"]);
}

#[test]
fn nothing_is_missed_before_grace_has_passed_since_somebody_listens_again() {
    let mut scene = Scene::new(hours(1.9), &Stored::default(), "boot");
    scene.pass(hours(2.0));
    let stored = scene.store();
    scene.sleep(hours(7.0));
    scene.pass(hours(7.4));
    assert_eq!(scene.told, ["gap"]);
    // A nap in between is one more reason to wait.
    scene.sleep(hours(7.45));
    scene.pass(hours(7.9));
    assert_eq!(scene.told, ["gap"]);
    scene.pass(hours(8.0));
    assert_eq!(scene.told, ["gap", "1 missed", "missed"]);
    // Or it was off.
    let mut scene = Scene::new(hours(7.0), &stored, "another");
    scene.pass(hours(7.4));
    assert_eq!(scene.told, ["gap"]);
    scene.pass(hours(7.6));
    assert_eq!(scene.told, ["gap", "1 missed", "missed"]);
    let mut scene = Scene::new(hours(2.02), &stored, "boot");
    scene.pass(hours(3.4));
    assert_eq!(scene.told, [""; 0], "a short restart is no absence");
    scene.pass(hours(3.5));
    assert_eq!(scene.told, ["1 missed", "missed"]);
}

#[test]
fn a_reload_changes_what_is_expected_and_keeps_what_is_on() {
    let mut scene = Scene::new(hours(0.0), &Stored::default(), "boot");
    let _started = scene.say("a", Word::Start);
    scene.pass(hours(0.1));
    let other = settings("name: report, service: db, every: 1h").unwrap();
    assert!(!scene.source.reconfigure(&other, &mut scene.acc), "another name is another job");
    let edited = settings("name: backup, service: shop, schedule: '0 1 * * *'").unwrap();
    assert!(scene.source.reconfigure(&edited, &mut scene.acc));
    assert_eq!(scene.source.service().as_str(), "shop");
    let _ended = scene.say("a", SUCCESS);
    scene.pass(hours(0.2));
    assert_eq!(scene.told, ["1 ok"]);
    let reads = edited.as_kind::<HeartbeatSourceSettings>().unwrap().reads();
    assert_eq!(reads, "heartbeat\nbackup");
}
