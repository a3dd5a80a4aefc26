//! Whatever comes and whatever the receiver says: each delivery is told once or given back once, an incident's in order, and
//! pages by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_collector_core::notify::{Action, Reply};
use watchkeeper_model::{Severity, Timestamp};

use super::backoff::Retry;
use super::breaker::BreakerSettings;
use super::delivery::Delivery;
use super::queue::{Attempt, Queue, QueueSettings, Step};
use super::tests::{delivery, failure};
use crate::channels::{Cause, Delivered, DeliveryError, Pace};

/// What the world does next.
#[derive(Clone, Debug)]
enum Happening {
    /// Some incidents begin at once, every so-manieth with a page.
    Flood { n: u64, page_every: u64 },
    /// Those that were told end.
    End,
    /// Time passes.
    Pass { secs: u64 },
    /// From now on the receiver answers so.
    Answer(Answer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Takes,
    Fails,
    Limits,
    RefusesDigests,
    RefusesAll,
}

fn happening() -> impl Strategy<Value = Happening> {
    let answer = prop_oneof![
        3 => Just(Answer::Takes),
        1 => Just(Answer::Fails),
        1 => Just(Answer::Limits),
        1 => Just(Answer::RefusesDigests),
        1 => Just(Answer::RefusesAll),
    ];
    prop_oneof![
        (1..60_u64, 1..9_u64).prop_map(|(n, page_every)| Happening::Flood { n, page_every }),
        Just(Happening::End),
        (1..90_u64).prop_map(|secs| Happening::Pass { secs }),
        answer.prop_map(Happening::Answer),
    ]
}

struct World {
    queue: Queue,
    now: Timestamp,
    answer: Answer,
    next_id: u64,
    /// Deliveries that were taken in and have had no last word yet, by incident, in order.
    open: BTreeMap<u64, Vec<u64>>,
    told: BTreeSet<u64>,
    pages: BTreeSet<u64>,
}

impl World {
    fn push(&mut self, incident: u64, action: Action, is_page: bool) {
        self.next_id += 1;
        let delivery = delivery(self.next_id, incident, action, is_page);
        self.open.entry(incident).or_default().push(self.next_id);
        let replaced = self.queue.push(Delivery { may_digest: true, ..delivery }, self.now);
        assert_eq!(replaced, None, "no updates are made here");
    }

    fn result(&self, n: usize) -> Result<Delivered, DeliveryError> {
        match self.answer {
            Answer::Takes => Ok(Delivered::with_status(200)),
            Answer::Fails => Err(failure(Cause::ServerError)),
            Answer::Limits => Err(failure(Cause::RateLimited)),
            Answer::RefusesDigests if n == 1 => Ok(Delivered::with_status(200)),
            Answer::RefusesDigests | Answer::RefusesAll => Err(failure(Cause::Refused)),
        }
    }

    /// The last word about a delivery, which was its incident's first.
    fn ended(&mut self, incident: u64, id: u64, is_told: bool) {
        let waiting = self.open.get_mut(&incident).expect("it was taken in");
        assert_eq!(waiting.remove(0), id, "out of order");
        if waiting.is_empty() {
            self.open.remove(&incident);
        }
        assert!(!is_told || self.told.insert(id), "{id} was told twice");
    }

    fn finish(&mut self, attempts: Vec<Attempt>) {
        let result = self.result(attempts.len());
        let replies = match attempts.as_slice() {
            [only] => vec![self.queue.finish(only, result, 0.5, self.now)],
            several => {
                for attempt in several {
                    assert!(!self.pages.contains(&attempt.incident), "a page among others");
                    let severity = attempt.delivery.severity();
                    assert!(severity < Severity::Critical, "{severity:?} among others");
                }
                self.queue.finish_digest(several, result, 0.5, self.now)
            }
        };
        for (attempt, reply) in attempts.iter().zip(replies) {
            let (incident, id) = (attempt.incident, attempt.delivery.id);
            match reply {
                Reply::Ok { .. } | Reply::Digested { .. } | Reply::Unrecorded { .. } => {
                    self.ended(incident, id, true);
                }
                Reply::Failed { .. } => self.ended(incident, id, false),
                Reply::Retry { .. } => {}
            }
        }
    }

    /// Does what the queue wants until then.
    fn run(&mut self, until: Timestamp) {
        loop {
            for outcome in self.queue.expire(self.now) {
                let id = outcome.delivery;
                let found = self.open.iter().find(|(_, ids)| ids.first() == Some(&id));
                let incident = *found.expect("an incident's first").0;
                self.ended(incident, id, false);
            }
            match self.queue.next(self.now) {
                Step::Send(attempt) => self.finish(vec![attempt]),
                Step::Digest(attempts) => self.finish(attempts),
                Step::Wait(at, _) if at <= until => self.now = at,
                Step::Wait(..) | Step::Idle => break,
            }
        }
        self.now = self.now.max(until);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn each_is_told_once_or_given_back_in_order_and_pages_alone(
        all in proptest::collection::vec(happening(), 1..30),
        burst in 1..6_u32,
    ) {
        let pace = Pace { interval: Duration::from_secs(1), burst };
        let (retry, breaker) = (Retry::default(), BreakerSettings::default());
        let settings = QueueSettings { retry, breaker, pace, max_in_flight: 4 };
        let mut world = World {
            queue: Queue::new(settings),
            now: Timestamp::EPOCH,
            answer: Answer::Takes,
            next_id: 0,
            open: BTreeMap::new(),
            told: BTreeSet::new(),
            pages: BTreeSet::new(),
        };
        let mut incidents = Vec::new();
        for what in all {
            match what {
                Happening::Flood { n, page_every } => for i in 0..n {
                    let incident = 1 + incidents.len() as u64;
                    let is_page = i % (page_every * 3) == 0;
                    if is_page {
                        world.pages.insert(incident);
                    }
                    world.push(incident, Action::Open, is_page);
                    incidents.push(is_page);
                },
                Happening::End => for (i, is_page) in std::mem::take(&mut incidents).into_iter().enumerate() {
                    incidents.push(is_page);
                    world.push(1 + i as u64, Action::Close, is_page);
                },
                Happening::Pass { secs } => {
                    let until = world.now + Duration::from_secs(secs);
                    world.run(until);
                }
                Happening::Answer(answer) => world.answer = answer,
            }
            let n_open: usize = world.open.values().map(Vec::len).sum();
            prop_assert_eq!(world.queue.n_waiting(), n_open);
        }
        world.answer = Answer::Takes;
        let n_open: usize = world.open.values().map(Vec::len).sum();
        let until = world.now + Duration::from_secs(700 + n_open as u64);
        world.run(until);
        prop_assert!(world.open.is_empty(), "{:?} wait for ever", world.open);
        prop_assert_eq!((world.queue.n_waiting(), world.queue.n_in_flight()), (0, 0));
    }
}
