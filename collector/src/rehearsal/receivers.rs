//! Receivers of a rehearsal: they take what they are told at once, unless they are said to fail.
//!
//! Owns attempts at those that fail, in the rhythm in which the real workers give up. Never sends anything.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use watchkeeper_collector_core::engine::Delivery;
use watchkeeper_collector_core::notify::Reply;
use watchkeeper_model::Timestamp;

/// Time between two attempts at a receiver that fails.
const AGAIN: Duration = Duration::from_secs(30);

/// After so long a delivery is given back, as the real workers do.
const GIVE_BACK: Duration = Duration::from_secs(300);

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It takes what it is told.
    #[default]
    Works,
    /// It can't be reached.
    Fails,
}

/// A delivery that was not taken yet.
#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    since: Timestamp,
    next: Timestamp,
}

/// All receivers and what they still have to be told.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    moods: BTreeMap<String, Mood>,
    waiting: VecDeque<Waiting>,
}

/// What an attempt comes to.
pub(super) struct Attempted {
    pub(super) delivery: Delivery,
    pub(super) reply: Reply,
    /// Whether the receiver has it now.
    pub(super) is_taken: bool,
}

impl Receivers {
    pub(super) fn set(&mut self, receiver: &str, mood: Mood, now: Timestamp) {
        self.moods.insert(receiver.to_owned(), mood);
        let is_its = |w: &&mut Waiting| w.delivery.notification.receiver == receiver;
        self.waiting.iter_mut().filter(is_its).for_each(|w| w.next = now);
    }

    /// Workers go by a clock that does not jump.
    pub(super) fn clock_jumps(&mut self, nanos: i64) {
        for waiting in &mut self.waiting {
            waiting.since = waiting.since.shifted(nanos);
            waiting.next = waiting.next.shifted(nanos);
        }
    }

    pub(super) fn submit(&mut self, delivery: Delivery, now: Timestamp) {
        self.waiting.push_back(Waiting { delivery, since: now, next: now });
    }

    /// When the next attempt is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|waiting| waiting.next).min()
    }

    /// Makes one attempt that is due.
    pub(super) fn attempt(&mut self, now: Timestamp) -> Option<Attempted> {
        let at = self.waiting.iter().position(|waiting| waiting.next <= now)?;
        let mut waiting = self.waiting.remove(at)?;
        let mood = self.moods.get(&waiting.delivery.notification.receiver);
        if mood.copied().unwrap_or_default() == Mood::Works {
            let reply = Reply::Ok { status: None, memory: None, note: None };
            return Some(Attempted { delivery: waiting.delivery, reply, is_taken: true });
        }
        let error = "cannot be reached".to_owned();
        let delivery = waiting.delivery.clone();
        let reply = if now.since(waiting.since) >= GIVE_BACK {
            Reply::Failed { permanent: false, status: None, error }
        } else {
            waiting.next = now + AGAIN;
            self.waiting.push_back(waiting);
            Reply::Retry { after: AGAIN, status: None, error }
        };
        Some(Attempted { delivery, reply, is_taken: false })
    }
}
