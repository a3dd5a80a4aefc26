//! Dispatch as a whole: the order and patience of one queue in made-up time, and that receivers don't delay each other.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::{Action, Notification, Reply};
use watchkeeper_model::Timestamp;

use super::backoff::Retry;
use super::breaker::BreakerSettings;
use super::delivery::{Delivery, Hold, Outcome};
use super::queue::{Attempt, Queue, QueueSettings, Step};
use super::receivers::{Dispatch, DispatchSettings};
use super::trial::{TRIAL_LIMIT, Trial, try_out};
use crate::channels::{
    Cause, Channel, Delivered, DeliveryError, Integration, IntegrationKey, Pace, samples,
};

const FREE: Pace = Pace { interval: Duration::ZERO, burst: 1 };
const OK: Result<Delivered, DeliveryError> =
    Ok(Delivered { status: Some(200), memory: None, note: None });

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(super) fn failure(cause: Cause) -> DeliveryError {
    DeliveryError::new(cause, format!("test: {}", cause.as_str()))
}

fn asked_to_wait(secs: u64) -> DeliveryError {
    let retry_after = Some(Duration::from_secs(secs));
    DeliveryError { status: Some(429), retry_after, ..failure(Cause::RateLimited) }
}

/// A delivery of a ticket; a page if `is_page`.
pub(super) fn delivery(id: u64, incident: u64, action: Action, is_page: bool) -> Delivery {
    let mut notification = samples::rule_page();
    (notification.incident, notification.action) = (incident, action);
    let severity = if is_page { "page" } else { "ticket" };
    for alert in &mut notification.alerts {
        alert.labels = alert.labels.with_one("severity", severity);
        alert.firing = action != Action::Close;
    }
    let (key, notification) = (IntegrationKey::new("chat", "test[0]"), Arc::new(notification));
    Delivery { id, key, recorded: true, notification, may_digest: false }
}

fn ticket(id: u64, incident: u64) -> Delivery {
    delivery(id, incident, Action::Open, false)
}

fn page(id: u64, incident: u64) -> Delivery {
    delivery(id, incident, Action::Open, true)
}

fn queue(pace: Pace, max_in_flight: usize) -> Queue {
    let (retry, breaker) = (Retry::default(), BreakerSettings::default());
    Queue::new(QueueSettings { retry, breaker, pace, max_in_flight })
}

/// The attempt that leaves now.
fn sent(queue: &mut Queue, now: Timestamp) -> Attempt {
    match queue.next(now) {
        Step::Send(attempt) => attempt,
        other => panic!("nothing leaves at {now}: {other:?}"),
    }
}

/// Ids in the order they leave when each is taken at once.
fn order(queue: &mut Queue, now: Timestamp) -> Vec<u64> {
    let mut ids = Vec::new();
    while let Step::Send(attempt) = queue.next(now) {
        ids.push(attempt.delivery.id);
        queue.finish(&attempt, OK, 0.5, now);
    }
    ids
}

#[test]
fn pages_leave_before_tickets_and_the_oldest_first() {
    let mut queue = queue(FREE, 1);
    for delivery in [ticket(1, 1), page(2, 2), ticket(3, 3), page(4, 4)] {
        assert_eq!(queue.push(delivery, at(0)), None);
    }
    assert_eq!(order(&mut queue, at(0)), [2, 4, 1, 3]);
}

#[test]
fn a_closing_never_overtakes_its_opening() {
    let mut queue = queue(FREE, 4);
    queue.push(ticket(1, 7), at(0));
    let open = sent(&mut queue, at(0));
    queue.push(delivery(2, 7, Action::Close, true), at(0));
    assert!(matches!(queue.next(at(0)), Step::Idle));
    queue.finish(&open, Err(failure(Cause::ServerError)), 1.0, at(0));
    assert_eq!(order(&mut queue, at(10)), [1, 2]);
}

#[test]
fn a_newer_update_takes_the_place_of_one_that_waits_but_nothing_else_is_dropped() {
    let mut queue = queue(FREE, 1);
    queue.push(page(1, 7), at(0));
    assert_eq!(queue.push(delivery(2, 7, Action::Update, true), at(0)), None);
    let replaced = queue.push(delivery(3, 7, Action::Update, true), at(0)).unwrap();
    assert_eq!(replaced.delivery, 2);
    assert!(matches!(replaced.reply, Reply::Failed { permanent: false, .. }));
    assert_eq!(queue.push(delivery(4, 7, Action::Close, true), at(0)), None);
    assert_eq!(order(&mut queue, at(0)), [1, 3, 4]);
}

#[test]
fn an_update_under_way_is_not_replaced() {
    let mut queue = queue(FREE, 1);
    queue.push(delivery(1, 7, Action::Update, true), at(0));
    let update = sent(&mut queue, at(0));
    assert_eq!(queue.push(delivery(2, 7, Action::Update, true), at(0)), None);
    assert_eq!(
        queue.finish(&update, OK, 0.5, at(1)),
        Reply::Ok { status: Some(200), memory: None, note: None }
    );
    assert_eq!(order(&mut queue, at(1)), [2]);
}

#[test]
fn a_delivery_that_is_known_is_not_taken_twice() {
    let mut queue = queue(FREE, 1);
    queue.push(page(1, 7), at(0));
    queue.push(page(1, 7), at(0));
    assert_eq!(order(&mut queue, at(0)), [1]);
}

#[test]
fn one_slot_is_kept_for_pages() {
    let mut queue = queue(FREE, 2);
    queue.push(ticket(1, 1), at(0));
    queue.push(ticket(2, 2), at(0));
    assert_eq!(sent(&mut queue, at(0)).delivery.id, 1);
    assert!(matches!(queue.next(at(0)), Step::Idle));
    assert_eq!(queue.held(at(0)), Some(Hold::Busy));
    queue.push(page(3, 3), at(0));
    assert_eq!(sent(&mut queue, at(0)).delivery.id, 3);
}

#[test]
fn a_page_does_not_rest_because_the_ticket_before_it_failed() {
    let mut queue = queue(FREE, 1);
    queue.push(ticket(1, 7), at(0));
    let attempt = sent(&mut queue, at(0));
    queue.finish(&attempt, Err(failure(Cause::TimedOut)), 1.0, at(0));
    assert!(matches!(queue.next(at(0)), Step::Wait(_, Hold::Backoff)));
    queue.push(delivery(2, 7, Action::Update, true), at(0));
    assert_eq!(order(&mut queue, at(0)), [1, 2]);
}

#[test]
fn retry_after_holds_everything_that_waits_until_then() {
    let mut queue = queue(FREE, 4);
    queue.push(ticket(1, 1), at(0));
    let attempt = sent(&mut queue, at(0));
    let reply = queue.finish(&attempt, Err(asked_to_wait(7)), 0.5, at(0));
    assert!(matches!(reply, Reply::Retry { after, status: Some(429), .. } if after == secs(7)));
    queue.push(page(2, 2), at(1));
    assert!(matches!(queue.next(at(6)), Step::Wait(until, Hold::Paused) if until == at(7)));
    assert_eq!(order(&mut queue, at(7)), [2, 1]);
}

#[test]
fn refusals_are_final_and_no_reason_to_leave_the_receiver_alone() {
    let mut queue = queue(FREE, 1);
    for id in 1..=20 {
        queue.push(page(id, id), at(0));
        let attempt = sent(&mut queue, at(0));
        let reply = queue.finish(&attempt, Err(failure(Cause::Refused)), 0.5, at(0));
        assert!(matches!(reply, Reply::Failed { permanent: true, .. }));
    }
    assert!(!queue.is_broken());
    assert_eq!(queue.n_waiting(), 0);
}

#[test]
fn one_who_is_put_off_makes_nobody_else_wait() {
    let mut queue = queue(FREE, 1);
    for id in 1..=20 {
        let _ = queue.push(ticket(id, id), at(0));
        let attempt = sent(&mut queue, at(0));
        let reply = queue.finish(&attempt, Err(failure(Cause::PutOff)), 1.0, at(0));
        assert!(matches!(reply, Reply::Retry { .. }), "{reply:?}");
        assert!(!queue.is_broken(), "after {id} of them");
    }
    assert_eq!(queue.left_alone_for(at(0)), None);
}

#[test]
fn a_broken_receiver_is_asked_with_one_delivery_and_the_rest_follows_when_it_is_back() {
    let mut queue = queue(FREE, 4);
    (1..=8).for_each(|id| assert_eq!(queue.push(page(id, id), at(0)), None));
    for _ in 0..5 {
        let attempt = sent(&mut queue, at(0));
        queue.finish(&attempt, Err(failure(Cause::Unreachable)), 0.0, at(0));
    }
    assert!(queue.is_broken());
    assert!(matches!(queue.next(at(1)), Step::Wait(until, Hold::Broken) if until == at(5)));
    let question = sent(&mut queue, at(5));
    assert!(matches!(queue.next(at(5)), Step::Wait(_, Hold::Broken)));
    queue.finish(&question, OK, 0.5, at(5));
    assert_eq!(order(&mut queue, at(6)).len(), 7);
}

#[test]
fn every_delivery_ends_when_its_receiver_stays_broken() {
    let mut queue = queue(FREE, 4);
    (1..=30).for_each(|id| assert_eq!(queue.push(page(id, id), at(0)), None));
    let (mut now, mut n_attempts) = (at(0), 0);
    let mut given_up = BTreeSet::new();
    while given_up.len() < 30 {
        given_up.extend(queue.expire(now).into_iter().map(|outcome| outcome.delivery));
        match queue.next(now) {
            Step::Send(attempt) => {
                n_attempts += 1;
                let reply = queue.finish(&attempt, Err(failure(Cause::ServerError)), 0.9, now);
                if let Reply::Failed { permanent, error, .. } = reply {
                    assert!(!permanent && error.contains("gave up after"), "{error}");
                    given_up.insert(attempt.delivery.id);
                }
            }
            Step::Digest(_) => panic!("nobody asked for one"),
            Step::Wait(until, _) => now = until,
            Step::Idle => break,
        }
    }
    assert_eq!(given_up.len(), 30);
    assert!(now <= at(301), "given back by {now}");
    assert!(n_attempts < 30, "the breaker spared the receiver: {n_attempts} attempts");
}

#[test]
fn what_merely_waits_its_turn_is_not_given_up() {
    let mut queue = queue(Pace { interval: secs(1), burst: 1 }, 4);
    (1..=1_000).for_each(|id| assert_eq!(queue.push(ticket(id, id), at(0)), None));
    let (mut now, mut n_sent) = (at(0), 0);
    loop {
        assert_eq!(queue.expire(now), []);
        match queue.next(now) {
            Step::Send(attempt) => {
                n_sent += 1;
                queue.finish(&attempt, OK, 0.5, now);
            }
            Step::Digest(_) => panic!("nobody asked for one"),
            Step::Wait(until, hold) => {
                assert_eq!(hold, Hold::Paced);
                now = until;
            }
            Step::Idle => break,
        }
    }
    assert_eq!((n_sent, now), (1_000, at(999)));
}

/// One that may be told together with others.
fn of_many(delivery: Delivery) -> Delivery {
    Delivery { may_digest: true, ..delivery }
}

/// What was told, with when and how many at once, until nothing is left.
fn told(
    queue: &mut Queue,
    from: Timestamp,
    mut answer: impl FnMut(usize) -> Result<Delivered, DeliveryError>,
) -> Vec<(Timestamp, Vec<u64>)> {
    let (mut now, mut told) = (from, Vec::new());
    loop {
        assert_eq!(queue.expire(now), [], "at {now}");
        let (attempts, result) = match queue.next(now) {
            Step::Send(attempt) => {
                let result = answer(1);
                let is_ok = result.is_ok();
                queue.finish(&attempt, result, 1.0, now);
                (vec![attempt], is_ok)
            }
            Step::Digest(attempts) => {
                let result = answer(attempts.len());
                let is_ok = result.is_ok();
                for reply in queue.finish_digest(&attempts, result, 1.0, now) {
                    let n = attempts.len() as u32;
                    let digested = Reply::Digested { status: Some(200), n, note: None };
                    assert_eq!(reply == digested, is_ok, "{reply:?}");
                }
                (attempts, is_ok)
            }
            Step::Wait(until, _) => {
                now = until;
                continue;
            }
            Step::Idle => return told,
        };
        if result {
            let ids = attempts.iter().map(|attempt| attempt.delivery.id).collect();
            told.push((now, ids));
        }
    }
}

const SLOW: Pace = Pace { interval: secs(1), burst: 1 };

#[test]
fn a_flood_is_told_within_seconds_pages_first_and_each_once() {
    let mut queue = queue(SLOW, 4);
    for id in 1..=500 {
        let delivery = if id % 100 == 0 { page(id, id) } else { ticket(id, id) };
        assert_eq!(queue.push(of_many(delivery), at(0)), None);
    }
    let told = told(&mut queue, at(0), |_| OK);
    let (last, _) = told.last().unwrap();
    assert!(*last <= at(6), "told by {last}");
    let firsts: Vec<&[u64]> = told[..5].iter().map(|(_, ids)| ids.as_slice()).collect();
    assert_eq!(firsts, [[100], [200], [300], [400], [500]]);
    let all: Vec<u64> = told.iter().flat_map(|(_, ids)| ids.clone()).collect();
    assert_eq!(all.len(), 500);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 500);
    assert_eq!(told.iter().filter(|(_, ids)| ids.len() > 1).count(), 1);
}

#[test]
fn pages_are_never_told_together_and_neither_are_few_or_those_just_come() {
    for (sentence, deliveries) in [
        ("pages", (1..=30).map(|id| page(id, id)).collect::<Vec<_>>()),
        ("few", (1..=9).map(|id| ticket(id, id)).collect()),
    ] {
        let mut queue = queue(SLOW, 4);
        for delivery in deliveries {
            assert_eq!(queue.push(of_many(delivery), at(0)), None);
        }
        let told = told(&mut queue, at(0), |_| OK);
        assert!(told.iter().all(|(_, ids)| ids.len() == 1), "{sentence}: {told:?}");
    }
    let mut queue = queue(FREE, 4);
    (1..=500).for_each(|id| assert_eq!(queue.push(of_many(ticket(id, id)), at(0)), None));
    let told = told(&mut queue, at(0), |_| OK);
    assert_eq!((told.len(), told[499].0), (500, at(0)), "who takes all gets each by itself");
}

#[test]
fn a_digest_that_fails_is_tried_again_with_the_same_and_one_that_is_refused_is_told_one_by_one() {
    let flood = || {
        let mut queue = queue(SLOW, 4);
        (1..=40).for_each(|id| assert_eq!(queue.push(of_many(ticket(id, id)), at(0)), None));
        queue
    };
    let (mut queue, mut sizes) = (flood(), Vec::new());
    let done = told(&mut queue, at(0), |n| {
        sizes.push(n);
        match sizes.len() {
            6 => Err(failure(Cause::ServerError)),
            _ => OK,
        }
    });
    assert_eq!(sizes, [1, 1, 1, 1, 1, 35, 35]);
    assert_eq!(done.iter().map(|(_, ids)| ids.len()).sum::<usize>(), 40);

    let mut queue = flood();
    let refuses = |n| if n > 1 { Err(failure(Cause::Refused)) } else { OK };
    let done = told(&mut queue, at(0), refuses);
    assert_eq!(done.len(), 40, "{done:?}");
    assert!(!queue.is_broken());
}

#[test]
fn a_page_does_not_wait_for_a_digest_that_hangs() {
    let mut queue = queue(Pace { interval: secs(1), burst: 20 }, 2);
    (1..=40).for_each(|id| assert_eq!(queue.push(of_many(ticket(id, id)), at(0)), None));
    let Step::Digest(together) = queue.next(at(6)) else { panic!("no digest") };
    assert_eq!((together.len(), queue.n_waiting(), queue.n_in_flight()), (40, 0, 1));
    queue.push(page(99, 99), at(7));
    assert_eq!(sent(&mut queue, at(7)).delivery.id, 99);
}

/// A channel that does as told and records when it was called.
#[derive(Debug)]
struct Scripted {
    behaviour: Behaviour,
    n_calls: AtomicUsize,
    calls: Mutex<Vec<(Instant, u64)>>,
}

#[derive(Clone, Copy, Debug)]
enum Behaviour {
    Takes,
    Hangs,
    Fails,
    /// Asks once to wait for so many seconds.
    LimitsOnce(u64),
    Panics,
}

impl Scripted {
    fn new(behaviour: Behaviour) -> Arc<Self> {
        let calls = Mutex::new(Vec::new());
        Arc::new(Self { behaviour, n_calls: AtomicUsize::new(0), calls })
    }

    fn calls(&self) -> Vec<(Instant, u64)> {
        self.calls.lock().unwrap().clone()
    }
}

impl Channel for Scripted {
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
        secs(10)
    }

    fn pace(&self) -> Pace {
        Pace { interval: Duration::from_millis(1), burst: 10 }
    }

    fn deliver<'a>(
        &'a self,
        told: &'a Notification,
        _: Instant,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        self.calls.lock().unwrap().push((Instant::now(), told.incident));
        let n_before = self.n_calls.fetch_add(1, Ordering::Relaxed);
        let behaviour = self.behaviour;
        async move {
            match behaviour {
                Behaviour::Hangs => std::future::pending().await,
                Behaviour::Fails => Err(failure(Cause::ServerError)),
                Behaviour::LimitsOnce(secs) if n_before == 0 => Err(asked_to_wait(secs)),
                Behaviour::Panics => panic!("a channel's mistake"),
                Behaviour::Takes | Behaviour::LimitsOnce(_) => OK,
            }
        }
        .boxed()
    }
}

fn integration(receiver: &str, channel: &Arc<Scripted>) -> Integration {
    Integration { key: IntegrationKey::new(receiver, "test[0]"), channel: channel.clone() }
}

fn to(receiver: &str, delivery: Delivery) -> Delivery {
    Delivery { key: IntegrationKey::new(receiver, "test[0]"), ..delivery }
}

fn start(integrations: Vec<Integration>) -> (Dispatch, mpsc::Receiver<Outcome>) {
    let (sender, outcomes) = mpsc::channel(64);
    (Dispatch::start(integrations, DispatchSettings::default(), sender), outcomes)
}

#[tokio::test(start_paused = true)]
async fn no_receiver_delays_another() {
    let channels = [
        ("hanging", Scripted::new(Behaviour::Hangs)),
        ("failing", Scripted::new(Behaviour::Fails)),
        ("limiting", Scripted::new(Behaviour::LimitsOnce(1))),
        ("panicking", Scripted::new(Behaviour::Panics)),
        ("good", Scripted::new(Behaviour::Takes)),
    ];
    let (dispatch, mut outcomes) =
        start(channels.iter().map(|(name, channel)| integration(name, channel)).collect());
    let started = Instant::now();
    for incident in 1..=8 {
        for (name, _) in &channels {
            assert_eq!(dispatch.submit(to(name, page(incident, incident))), None);
        }
    }
    let (mut good_by, mut limited_by, mut n_good, mut n_limited) = (started, started, 0, 0);
    while n_good < 8 || n_limited < 8 {
        let outcome = outcomes.recv().await.unwrap();
        if matches!(outcome.reply, Reply::Ok { .. }) {
            match &*outcome.key.receiver {
                "good" => (good_by, n_good) = (Instant::now(), n_good + 1),
                "limiting" => (limited_by, n_limited) = (Instant::now(), n_limited + 1),
                other => panic!("{other} takes nothing"),
            }
        }
    }
    assert!(good_by - started < secs(1), "the good one was told after {:?}", good_by - started);
    let limited_after = limited_by - started;
    assert!((secs(1)..secs(2)).contains(&limited_after), "Retry-After: {limited_after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_ignores_its_deadline_is_given_up_and_tried_again() {
    let channel = Scripted::new(Behaviour::Hangs);
    let (dispatch, mut outcomes) = start(vec![integration("chat", &channel)]);
    let started = Instant::now();
    assert_eq!(dispatch.submit(page(1, 1)), None);
    let outcome = outcomes.recv().await.unwrap();
    assert!(matches!(outcome.reply, Reply::Retry { .. }), "{outcome:?}");
    assert_eq!((outcome.attempt, outcome.took), (1, secs(11)));
    while !matches!(outcomes.recv().await.unwrap().reply, Reply::Failed { permanent: false, .. }) {}
    assert!(started.elapsed() <= secs(330), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_page_leaves_while_tickets_hang() {
    let channel = Scripted::new(Behaviour::Hangs);
    let (dispatch, _outcomes) = start(vec![integration("chat", &channel)]);
    for incident in 1..=10 {
        assert_eq!(dispatch.submit(ticket(incident, incident)), None);
    }
    tokio::time::advance(secs(1)).await;
    let started = Instant::now();
    assert_eq!(dispatch.submit(page(99, 99)), None);
    while !channel.calls().iter().any(|(_, incident)| *incident == 99) {
        tokio::task::yield_now().await;
    }
    assert!(started.elapsed() < secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_test_tells_all_at_once_closes_what_may_be_open_and_ends() {
    let behaviours = [
        (Behaviour::Takes, [None, None].to_vec()),
        (Behaviour::Hangs, [Some("ignored its deadline"); 2].to_vec()),
        (Behaviour::Fails, [Some("server_error"); 2].to_vec()),
        (Behaviour::LimitsOnce(60), [Some("rate_limited")].to_vec()),
        (Behaviour::Panics, [Some("panicked"); 2].to_vec()),
    ];
    let integrations = behaviours.iter().enumerate().map(|(i, (behaviour, _))| Integration {
        key: IntegrationKey::new("chat", &format!("test[{i}]")),
        channel: Scripted::new(*behaviour),
    });
    let started = Instant::now();
    let trial = Trial { severity: "page".into(), external_url: String::new() };
    let tried = try_out(integrations.collect(), &trial, || at(1)).await;
    assert!(started.elapsed() <= TRIAL_LIMIT, "{:?}", started.elapsed());
    for (tried, (behaviour, want)) in tried.iter().zip(&behaviours) {
        assert_eq!(tried.steps.len(), want.len(), "{behaviour:?}: {tried:?}");
        for (step, want) in tried.steps.iter().zip(want) {
            let error = step.error.as_deref();
            assert_eq!(error.is_some(), want.is_some(), "{behaviour:?}: {error:?}");
            assert!(error.unwrap_or_default().contains(want.unwrap_or_default()), "{error:?}");
        }
        assert_eq!(tried.rows().len(), want.len());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_receiver_is_answered_at_once() {
    let (dispatch, _outcomes) = start(Vec::new());
    let outcome = dispatch.submit(page(1, 1)).unwrap();
    assert_eq!((outcome.delivery, outcome.attempt), (1, 0));
    assert!(matches!(outcome.reply, Reply::Failed { permanent: true, .. }));
}

#[tokio::test(start_paused = true)]
async fn reload_keeps_what_waits_and_what_is_in_use() {
    let (failing, taking) = (Scripted::new(Behaviour::Fails), Scripted::new(Behaviour::Takes));
    let (dispatch, mut outcomes) =
        start(vec![integration("kept", &failing), integration("gone", &failing)]);
    assert_eq!(dispatch.submit(to("kept", page(1, 1))), None);
    assert!(matches!(outcomes.recv().await.unwrap().reply, Reply::Retry { .. }));

    let in_use = BTreeSet::from([IntegrationKey::new("gone", "test[0]")]);
    assert_eq!(dispatch.replace(vec![integration("kept", &taking)], &in_use), []);
    let outcome = outcomes.recv().await.unwrap();
    assert_eq!(
        (outcome.delivery, outcome.reply),
        (1, Reply::Ok { status: Some(200), memory: None, note: None })
    );

    assert_eq!(dispatch.submit(to("gone", delivery(2, 2, Action::Close, true))), None);
    assert!(matches!(outcomes.recv().await.unwrap().reply, Reply::Retry { .. }));
    let given_back = dispatch.replace(vec![integration("kept", &taking)], &BTreeSet::new());
    assert_eq!(given_back.len(), 1);
    assert!(matches!(given_back[0].reply, Reply::Failed { permanent: true, .. }));
    assert!(dispatch.submit(to("gone", page(3, 3))).is_some());
}

#[tokio::test(start_paused = true)]
async fn success_without_a_ledger_row_is_told_as_such() {
    let (dispatch, mut outcomes) =
        start(vec![integration("chat", &Scripted::new(Behaviour::Takes))]);
    assert_eq!(dispatch.submit(Delivery { recorded: false, ..page(1, 1) }), None);
    assert_eq!(
        outcomes.recv().await.unwrap().reply,
        Reply::Unrecorded { status: Some(200), memory: None }
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_sends_what_it_can_and_leaves_the_rest_to_the_ledger() {
    let channels = [
        ("good", Scripted::new(Behaviour::Takes)),
        ("hanging", Scripted::new(Behaviour::Hangs)),
        ("limiting", Scripted::new(Behaviour::LimitsOnce(60))),
    ];
    let (dispatch, mut outcomes) =
        start(channels.iter().map(|(name, channel)| integration(name, channel)).collect());
    for incident in 1..=20 {
        assert_eq!(dispatch.submit(to("good", page(incident, incident))), None);
    }
    assert_eq!(dispatch.submit(to("hanging", page(1, 1))), None);
    assert_eq!(dispatch.submit(to("limiting", page(1, 1))), None);
    let started = Instant::now();
    assert_eq!(dispatch.shutdown(secs(5)).await, 2);
    assert!(started.elapsed() <= secs(5));
    assert_eq!(dispatch.submit(to("good", page(99, 99))), None, "the ledger keeps it");
    let mut n_delivered = 0;
    while let Ok(outcome) = outcomes.try_recv() {
        n_delivered += usize::from(matches!(outcome.reply, Reply::Ok { .. }));
    }
    assert_eq!(n_delivered, 20);
}
