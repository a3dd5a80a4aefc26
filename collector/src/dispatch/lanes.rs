//! What waits, by incident.
//!
//! Owns the order: an incident's deliveries strictly one after the other; among incidents the most severe first, then
//! the oldest. Never decides whether anything may leave.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watchkeeper_collector_core::notify::Action;
use watchkeeper_model::{Severity, Timestamp};

use super::delivery::{Delivery, Outcome};

/// All incidents with something to send.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<u64, Lane>,
    /// Incidents whose first delivery may go: the most severe first, then the oldest.
    ready: BTreeSet<(Reverse<Severity>, u64, u64)>,
    /// Incidents whose first delivery rests.
    delayed: BTreeSet<(Timestamp, u64)>,
    /// Incidents that wait, by how long.
    waiting: BTreeSet<(Timestamp, u64)>,
    n_in_flight: usize,
    next_seq: u64,
}

/// One incident's deliveries, in order.
#[derive(Debug)]
struct Lane {
    items: VecDeque<Item>,
    state: LaneState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneState {
    Ready,
    Delayed(Timestamp),
    InFlight,
}

/// One delivery that waits or is under way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) delivery: Delivery,
    pub(super) since: Timestamp,
    pub(super) n_failed: u32,
    /// The digest that failed to tell it, counted from 1; 0 if none.
    digest: u64,
    severity: Severity,
    seq: u64,
}

impl Lane {
    fn severity(&self) -> Severity {
        self.items.iter().map(|item| item.severity).max().unwrap_or_default()
    }

    /// An update that has not left and may be replaced.
    fn waiting_update(&mut self) -> Option<&mut Item> {
        let n_left = usize::from(self.state == LaneState::InFlight);
        let mut waiting = self.items.iter_mut().skip(n_left);
        waiting.find(|item| item.delivery.notification.action == Action::Update)
    }

    /// Adds a delivery behind the others, or in the place of an update by a newer one.
    fn take(&mut self, item: Item) -> Option<Outcome> {
        let is_update = item.delivery.notification.action == Action::Update;
        let Some(old) = self.waiting_update().filter(|_| is_update) else {
            self.items.push_back(item);
            return None;
        };
        old.severity = item.severity;
        let replaced = std::mem::replace(&mut old.delivery, item.delivery);
        let why = "a newer update took its place".to_owned();
        Some(replaced.given_up(old.n_failed, false, why))
    }
}

impl Lanes {
    /// Takes a delivery; answers with the update whose place it took, if it did. One that is known is not taken twice.
    pub(super) fn push(&mut self, delivery: Delivery, now: Timestamp) -> Option<Outcome> {
        self.next_seq += 1;
        let (incident, severity) = (delivery.notification.incident, delivery.severity());
        let item =
            Item { delivery, severity, seq: self.next_seq, since: now, n_failed: 0, digest: 0 };
        self.unindex(incident);
        let lane = self.lanes.entry(incident);
        let lane = lane.or_insert(Lane { items: VecDeque::new(), state: LaneState::Ready });
        let is_known = lane.items.iter().any(|known| known.delivery.id == item.delivery.id);
        let was = lane.severity();
        let replaced = if is_known { None } else { lane.take(item) };
        // A page does not rest because a ticket before it failed.
        if severity > was && matches!(lane.state, LaneState::Delayed(_)) {
            lane.state = LaneState::Ready;
        }
        self.index(incident);
        replaced
    }

    /// What has rested long enough is ready.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some(&(at, incident)) = self.delayed.first()
            && at <= now
        {
            self.set_state(incident, LaneState::Ready);
        }
    }

    /// Incidents whose first delivery may be told together with others, the worst first, and since when the oldest of them
    /// waits. Pages are never among them. What was told together in vain stays together: some may have heard it.
    pub(super) fn digestible(&self, at_most: usize) -> (Vec<u64>, Option<Timestamp>) {
        let lesser = self.ready.iter().filter(|(severity, ..)| severity.0 < Severity::Critical);
        let heads = lesser.filter_map(|(.., incident)| Some((*incident, self.head(*incident)?)));
        let mut heads = heads.filter(|(_, head)| head.delivery.may_digest).peekable();
        let digest = heads.peek().map_or(0, |(_, head)| head.digest);
        let heads: Vec<(u64, &Item)> =
            heads.filter(|(_, head)| head.digest == digest).take(at_most).collect();
        let since = heads.iter().map(|(_, head)| head.since).min();
        (heads.into_iter().map(|(incident, _)| incident).collect(), since)
    }

    /// The incident's first delivery was told in vain by this digest.
    pub(super) fn note_digest(&mut self, incident: u64, digest: u64) {
        if let Some(head) = self.lanes.get_mut(&incident).and_then(|lane| lane.items.front_mut()) {
            head.digest = digest;
        }
    }

    /// The incident's first delivery goes back to where it was, to be told by itself.
    pub(super) fn part(&mut self, incident: u64) {
        if let Some(head) = self.lanes.get_mut(&incident).and_then(|lane| lane.items.front_mut()) {
            head.delivery.may_digest = false;
        }
        self.set_state(incident, LaneState::Ready);
    }

    /// The incident to send for next, if one is ready, and its severity.
    pub(super) fn first(&self) -> Option<(u64, Severity)> {
        self.ready.first().map(|(Reverse(severity), _, incident)| (*incident, *severity))
    }

    /// When the first that rests wakes.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        self.delayed.first().map(|(at, _)| *at)
    }

    /// The incident that waits longest, and since when.
    pub(super) fn oldest(&self) -> Option<(u64, Timestamp)> {
        self.waiting.first().map(|(since, incident)| (*incident, *since))
    }

    /// An incident's first delivery leaves.
    pub(super) fn send(&mut self, incident: u64) -> Option<&Item> {
        self.set_state(incident, LaneState::InFlight);
        let head = self.lanes.get(&incident)?.items.front()?;
        self.n_in_flight += 1;
        Some(head)
    }

    /// It is back, whatever became of it; [`Lanes::end`] or [`Lanes::rest`] follows.
    pub(super) fn returned(&mut self) {
        self.n_in_flight -= 1;
    }

    /// The incident's first delivery is done with: the next one may go.
    pub(super) fn end(&mut self, incident: u64) -> Option<Item> {
        self.unindex(incident);
        let lane = self.lanes.get_mut(&incident)?;
        let ended = lane.items.pop_front();
        lane.state = LaneState::Ready;
        if lane.items.is_empty() {
            self.lanes.remove(&incident);
        }
        self.index(incident);
        ended
    }

    /// The incident's first delivery has failed and rests.
    pub(super) fn rest(&mut self, incident: u64, until: Timestamp) {
        if let Some(head) = self.lanes.get_mut(&incident).and_then(|lane| lane.items.front_mut()) {
            head.n_failed += 1;
        }
        self.set_state(incident, LaneState::Delayed(until));
    }

    /// The delivery an incident is at.
    pub(super) fn head(&self, incident: u64) -> Option<&Item> {
        self.lanes.get(&incident)?.items.front()
    }

    /// Everything that waits, taken out; what is under way stays until it is back.
    pub(super) fn clear(&mut self) -> Vec<Item> {
        self.ready.clear();
        self.delayed.clear();
        self.waiting.clear();
        let mut cleared = Vec::new();
        for lane in self.lanes.values_mut() {
            let n_left = usize::from(lane.state == LaneState::InFlight);
            cleared.extend(lane.items.drain(n_left..));
        }
        self.lanes.retain(|_, lane| !lane.items.is_empty());
        cleared
    }

    /// How many deliveries wait, those under way not among them.
    pub(super) fn n_waiting(&self) -> usize {
        self.lanes.values().map(|lane| lane.items.len()).sum::<usize>() - self.n_in_flight
    }

    fn set_state(&mut self, incident: u64, state: LaneState) {
        self.unindex(incident);
        if let Some(lane) = self.lanes.get_mut(&incident) {
            lane.state = state;
        }
        self.index(incident);
    }

    fn index(&mut self, incident: u64) {
        self.reindex(incident, true);
    }

    fn unindex(&mut self, incident: u64) {
        self.reindex(incident, false);
    }

    /// Enters an incident into the sets of its state, or takes it out.
    fn reindex(&mut self, incident: u64, enter: bool) {
        let Some(lane) = self.lanes.get(&incident) else { return };
        let Some(head) = lane.items.front() else { return };
        let rank = (Reverse(lane.severity()), head.seq, incident);
        let age = (head.since, incident);
        match lane.state {
            LaneState::InFlight => return,
            LaneState::Ready => put(&mut self.ready, rank, enter),
            LaneState::Delayed(at) => put(&mut self.delayed, (at, incident), enter),
        }
        put(&mut self.waiting, age, enter);
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, entry: T, enter: bool) {
    if enter {
        set.insert(entry);
    } else {
        set.remove(&entry);
    }
}
