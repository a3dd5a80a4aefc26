//! The agent's half of the protocol as a state machine: one connection, several batches in flight, two lanes.
//!
//! Owns what is in flight and every deadline. Never holds a batch's body: the spool does, and rows are named by their
//! place in it. Nothing here needs to survive a crash: a batch stays pending in the spool until its receipt is stored.

use std::ops::RangeInclusive;
use std::time::Duration;

use watchkeeper_model::{BatchKey, Frontier, Kind, SeqSet, StreamKey, Timestamp};

use super::Backoff;
use super::lane::{LOAD_ROWS, LaneState};
use super::present::Present;

/// How often the agent says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// The second beat of a connection comes sooner: it says how sources took the welcome. So does one that has news.
const SECOND_BEAT: Duration = Duration::from_secs(1);
/// How long connecting and being welcomed may take.
const GREETING_DEADLINE: Duration = Duration::from_secs(10);
/// How long a batch may be without an answer before the connection is taken for dead.
const RECEIPT_DEADLINE: Duration = Duration::from_secs(30);
/// The longest wait before trying again.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A row of the spool, in the order of sealing.
pub type RowId = i64;

/// What travels apart from the rest: counts must not wait for bodies.
pub type Lane = Kind;

/// A pending batch of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Where it lies.
    pub row: RowId,
    /// Which one it is.
    pub key: BatchKey,
    /// How large.
    pub n_bytes: usize,
}

/// The collector's word on one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// On disk there.
    Durable,
    /// Its number is taken by another batch.
    Forked,
    /// Never acceptable.
    Refused,
    /// Not now.
    NotYet,
    /// It broke on the way.
    Damaged,
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Counted.
    Durable,
    /// A dead letter at the collector.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What the collector has of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAnswer {
    /// Which.
    pub stream: StreamKey,
    /// The numbers it needs no more.
    pub answered: SeqSet,
}

/// Why an agent leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Stopped by a person.
    Stop,
    /// Stopped to be replaced.
    Upgrade,
    /// The machine sleeps.
    Sleep,
    /// The machine is going down.
    Shutdown,
}

/// What happens to the sender.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The road is open: time to say hello.
    Connected,
    /// The road is closed, or could not be opened.
    Disconnected {
        /// A random number from 0 to 1.
        jitter: f64,
    },
    /// The collector's answer to hello.
    Welcome {
        /// Changes when the collector's data are restored: receipts of another life of it say nothing.
        incarnation: u64,
        /// What it has.
        streams: Vec<StreamAnswer>,
        /// How far this agent's files were read.
        frontiers: Vec<Frontier>,
    },
    /// The collector's answer to a batch.
    Receipt {
        /// Which life of the collector says so.
        incarnation: u64,
        /// Which batch.
        key: BatchKey,
        /// The answer.
        outcome: Outcome,
        /// In words; "" if durable.
        reason: String,
        /// A random number from 0 to 1.
        jitter: f64,
    },
    /// The collector asks to connect again: it ends the stream after its last receipts.
    Reconnect,
    /// The spool has more pending batches than before.
    Sealed {
        /// Its last row; 0 if that is not known.
        newest: RowId,
    },
    /// Something is otherwise that beats tell: the next one comes soon.
    Changed,
    /// The answer to [`Effect::Load`]: rows in order, fewer than asked for if there are no more.
    Loaded {
        /// Of which lane.
        lane: Lane,
        /// The rows.
        offers: Vec<Offer>,
        /// Whether these are all there are.
        complete: bool,
    },
    /// A row could not be sent because its body is not what was sealed; it has been taken out of the spool.
    Broken {
        /// Which.
        row: RowId,
    },
    /// Time has passed.
    Tick,
    /// The agent is stopping: say goodbye.
    Leave {
        /// Why.
        farewell: Farewell,
    },
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Open the road.
    Connect,
    /// Close it and report [`Input::Disconnected`].
    Hangup {
        /// For the log.
        reason: &'static str,
    },
    /// Send a hello.
    SayHello,
    /// Send a beat.
    SendBeat,
    /// Send a bye.
    SayBye {
        /// Why.
        farewell: Farewell,
    },
    /// Read pending rows of a lane, in order. Of events only those before the first pending row of
    /// windows: a body must never be durable before the counts of the same seal, or a spool lost in between would
    /// have its lines read, and the body sent, again.
    Load {
        /// Which lane.
        lane: Lane,
        /// Among these.
        rows: RangeInclusive<RowId>,
        /// How many at most.
        limit: usize,
    },
    /// Send the batch in this row.
    Send {
        /// Which.
        row: RowId,
    },
    /// Store the end of a batch.
    Settle {
        /// Where it lies.
        row: RowId,
        /// Which one.
        key: BatchKey,
        /// How it ended.
        settled: Settled,
    },
    /// Give the batch in this row the identity of an orphan ([`watchkeeper_model::Epoch::orphan_of`], number 1), in its
    /// place; and if its epoch is the current one, begin a new epoch for all that is sealed from now on.
    Rekey {
        /// Where it lies.
        row: RowId,
        /// The identity that is taken.
        key: BatchKey,
    },
    /// Make every kept batch that these answers lack pending again.
    Reoffer {
        /// What the collector has.
        streams: Vec<StreamAnswer>,
    },
    /// Tell the sources how far their files were read, as far as the collector knows.
    Frontiers {
        /// What it was told.
        frontiers: Vec<Frontier>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Until then.
    Down {
        retry_at: Timestamp,
    },
    Connecting {
        deadline: Timestamp,
    },
    Greeting {
        deadline: Timestamp,
    },
    Open {
        next_beat: Timestamp,
    },
}

/// The state machine.
#[derive(Debug)]
pub struct Sender {
    link: Link,
    reconnecting: Backoff,
    /// Waiting after answers that say "again, later".
    retrying: Backoff,
    windows: LaneState,
    events: LaneState,
    present: Present,
    /// When rows that were answered "not yet" or "damaged" are read again.
    reread_at: Option<Timestamp>,
    leaving: Option<Farewell>,
    /// The collector is about to end the stream: nothing new is sent.
    parting: bool,
    incarnation: u64,
}

impl Sender {
    /// A sender that connects at once, of a spool whose last row is `newest`, 0 if it has none.
    pub fn new(newest: RowId, now: Timestamp) -> Self {
        Self {
            link: Link::Down { retry_at: now },
            reconnecting: Backoff::new(Duration::from_millis(200), LONGEST_RETRY),
            retrying: Backoff::new(Duration::from_millis(500), LONGEST_RETRY),
            windows: LaneState::new(Kind::Windows),
            events: LaneState::new(Kind::Events),
            present: Present::new(newest, now),
            reread_at: None,
            leaving: None,
            parting: false,
            incarnation: 0,
        }
    }

    /// Whether batches can be sent at present.
    pub fn is_open(&self) -> bool {
        matches!(self.link, Link::Open { .. })
    }

    /// How many batches are without a receipt.
    pub fn n_in_flight(&self) -> usize {
        self.windows.in_flight().count() + self.events.in_flight().count()
    }

    /// When to call again at the latest.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let link = match self.link {
            Link::Down { retry_at } => (self.leaving.is_none()).then_some(retry_at),
            Link::Connecting { deadline } | Link::Greeting { deadline } => Some(deadline),
            Link::Open { next_beat } => Some(next_beat),
        };
        let receipts = [&self.windows, &self.events]
            .into_iter()
            .flat_map(|lane| lane.in_flight())
            .map(|b| b.sent_at + RECEIPT_DEADLINE);
        link.into_iter().chain(self.reread_at).chain(receipts.min()).min()
    }

    /// Takes in what happened and says what to do.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.mind_the_clock(now);
        match input {
            Input::Connected => self.connected(now, &mut effects),
            Input::Disconnected { jitter } => self.disconnected(jitter, now),
            Input::Welcome { incarnation, streams, frontiers } => {
                self.incarnation = incarnation;
                self.welcomed(streams, frontiers, now, &mut effects);
            }
            Input::Receipt { incarnation, key, outcome, reason, jitter } => {
                if incarnation == self.incarnation {
                    self.answered(&key, outcome, reason, jitter, now, &mut effects);
                }
            }
            // The collector ends the stream when it has given the receipts it owes.
            Input::Reconnect => self.parting = true,
            Input::Sealed { newest } => {
                self.present.sealed(newest, now);
                self.windows.keep_to_the_present(self.present.border(now), now);
                self.windows.grew();
                self.events.grew();
            }
            Input::Changed => self.beat_soon(now),
            Input::Loaded { lane, offers, complete } => self.loaded(lane, offers, complete),
            Input::Broken { row } => self.broken(row),
            Input::Tick => {}
            Input::Leave { farewell } => self.leave(farewell, &mut effects),
        }
        self.keep_deadlines(now, &mut effects);
        self.pump(now, &mut effects);
        effects
    }

    /// What changes all the time is told once in so long.
    fn beat_soon(&mut self, now: Timestamp) {
        if let Link::Open { next_beat } = &mut self.link {
            *next_beat = (*next_beat).min(now + SECOND_BEAT);
        }
    }

    fn connected(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if matches!(self.link, Link::Connecting { .. }) {
            self.link = Link::Greeting { deadline: now + GREETING_DEADLINE };
            effects.push(Effect::SayHello);
        }
    }

    fn disconnected(&mut self, jitter: f64, now: Timestamp) {
        self.windows.reset(0);
        self.events.reset(0);
        self.reread_at = None;
        self.parting = false;
        self.link = Link::Down { retry_at: now + self.reconnecting.failed(jitter) };
    }

    fn welcomed(
        &mut self,
        streams: Vec<StreamAnswer>,
        frontiers: Vec<Frontier>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if !matches!(self.link, Link::Greeting { .. }) {
            return;
        }
        let border = self.present.border(now);
        self.windows.reset(border);
        self.events.reset(border);
        // What the welcome has set going shows in the next one.
        self.link = Link::Open { next_beat: now + SECOND_BEAT };
        effects.push(Effect::Frontiers { frontiers });
        effects.push(Effect::Reoffer { streams });
        effects.push(Effect::SendBeat);
        if let Some(farewell) = self.leaving {
            effects.push(Effect::SayBye { farewell });
        }
    }

    fn answered(
        &mut self,
        key: &BatchKey,
        outcome: Outcome,
        reason: String,
        jitter: f64,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(batch) = self.lane(key.stream.kind).take(key) else { return };
        let (row, key) = (batch.row, key.clone());
        match outcome {
            Outcome::Durable => {
                self.reconnecting.succeeded();
                effects.push(Effect::Settle { row, key, settled: Settled::Durable })
            }
            Outcome::Refused => {
                effects.push(Effect::Settle { row, key, settled: Settled::Refused { reason } })
            }
            Outcome::Forked => {
                self.lane(key.stream.kind).rewind();
                effects.push(Effect::Rekey { row, key });
            }
            Outcome::NotYet | Outcome::Damaged => {
                // Many answers of one kind are one failure.
                if self.reread_at.is_none() {
                    self.reread_at = Some(now + self.retrying.failed(jitter));
                }
                return;
            }
        }
        self.retrying.succeeded();
        // Bodies whose counts are durable now may follow.
        self.events.grew();
    }

    fn loaded(&mut self, lane: Lane, offers: Vec<Offer>, complete: bool) {
        if self.is_open() {
            self.lane(lane).loaded(offers, complete);
        }
    }

    fn broken(&mut self, row: RowId) {
        for lane in [&mut self.windows, &mut self.events] {
            if let Some(key) = lane.key_of(row) {
                lane.take(&key);
            }
        }
    }

    fn leave(&mut self, farewell: Farewell, effects: &mut Vec<Effect>) {
        self.leaving = Some(farewell);
        if self.is_open() {
            effects.push(Effect::SayBye { farewell });
        }
    }

    fn hang_up(&mut self, reason: &'static str, effects: &mut Vec<Effect>) {
        if !matches!(self.link, Link::Down { .. }) {
            effects.push(Effect::Hangup { reason });
        }
    }

    /// A clock that was set back, or forward and back again, must not leave a deadline further away than it was meant.
    fn mind_the_clock(&mut self, now: Timestamp) {
        match &mut self.link {
            Link::Down { retry_at } => *retry_at = (*retry_at).min(now + LONGEST_RETRY),
            Link::Open { next_beat } => *next_beat = (*next_beat).min(now + BEAT_EVERY),
            // Without a deadline a hangup is under way.
            Link::Connecting { deadline } | Link::Greeting { deadline }
                if *deadline < Timestamp::MAX =>
            {
                *deadline = (*deadline).min(now + GREETING_DEADLINE);
            }
            Link::Connecting { .. } | Link::Greeting { .. } => {}
        }
        self.reread_at = self.reread_at.map(|at| at.min(now + LONGEST_RETRY));
        for lane in [&mut self.windows, &mut self.events] {
            lane.mind_the_clock(now);
        }
    }

    fn keep_deadlines(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        match self.link {
            Link::Down { retry_at } if retry_at <= now && self.leaving.is_none() => {
                self.link = Link::Connecting { deadline: now + GREETING_DEADLINE };
                effects.push(Effect::Connect);
            }
            Link::Connecting { deadline } | Link::Greeting { deadline } if deadline <= now => {
                // Asked once: the answer to a hangup is a disconnection, which sets the next deadline.
                self.link = Link::Connecting { deadline: Timestamp::MAX };
                self.hang_up("no welcome in time", effects);
            }
            Link::Open { .. } if self.receipt_is_overdue(now) => {
                self.link = Link::Connecting { deadline: Timestamp::MAX };
                self.hang_up("no receipt in time", effects);
            }
            Link::Open { next_beat } if next_beat <= now => {
                // A connection that lives to its second beat works; a welcome alone does not show that.
                self.reconnecting.succeeded();
                self.link = Link::Open { next_beat: now + BEAT_EVERY };
                effects.push(Effect::SendBeat);
            }
            _ => {}
        }
        if self.reread_at.is_some_and(|at| at <= now) {
            self.reread_at = None;
            self.windows.rewind();
            self.events.rewind();
        }
    }

    fn receipt_is_overdue(&self, now: Timestamp) -> bool {
        [&self.windows, &self.events]
            .into_iter()
            .flat_map(|lane| lane.in_flight())
            .any(|b| b.sent_at + RECEIPT_DEADLINE <= now)
    }

    /// Sends what there is room for, counts first, and asks the spool for more.
    fn pump(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if !self.is_open() || self.parting {
            return;
        }
        for kind in [Kind::Windows, Kind::Events] {
            let lane = self.lane(kind);
            while let Some(row) = lane.send(now) {
                effects.push(Effect::Send { row });
            }
            if let Some(rows) = lane.load() {
                effects.push(Effect::Load { lane: kind, rows, limit: LOAD_ROWS });
            }
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Kind::Windows => &mut self.windows,
            Kind::Events => &mut self.events,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::{AgentId, Epoch, Service};

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn key(kind: Kind, seq: u64) -> BatchKey {
        let epoch = Epoch { created_at: T0, random: 1 };
        let service = Service::new("shop").unwrap();
        BatchKey { stream: StreamKey { agent: AgentId::new("web-1"), epoch, service, kind }, seq }
    }

    fn offers(kind: Kind, rows: std::ops::RangeInclusive<i64>) -> Vec<Offer> {
        rows.map(|row| Offer { row, key: key(kind, row.unsigned_abs()), n_bytes: 100 }).collect()
    }

    fn open() -> Sender {
        opened(0).0
    }

    /// A sender that was welcomed, with so many rows in the spool, and what it wants to do.
    fn opened(newest: RowId) -> (Sender, Vec<Effect>) {
        let mut sender = Sender::new(newest, T0);
        assert_eq!(sender.handle(Input::Tick, T0), [Effect::Connect]);
        assert_eq!(sender.handle(Input::Connected, T0), [Effect::SayHello]);
        let welcome = Input::Welcome { incarnation: 7, streams: vec![], frontiers: vec![] };
        let effects = sender.handle(welcome, T0);
        assert!(
            effects.contains(&Effect::SendBeat)
                && effects.contains(&Effect::Reoffer { streams: vec![] })
        );
        assert!(effects.contains(&load(newest + 1..=RowId::MAX)));
        (sender, effects)
    }

    fn load(rows: RangeInclusive<RowId>) -> Effect {
        Effect::Load { lane: Kind::Windows, rows, limit: LOAD_ROWS }
    }

    fn loaded(sender: &mut Sender, lane: Kind, rows: std::ops::RangeInclusive<i64>) -> Vec<Effect> {
        sender.handle(Input::Loaded { lane, offers: offers(lane, rows), complete: true }, T0)
    }

    fn receipt(sender: &mut Sender, seq: u64, outcome: Outcome) -> Vec<Effect> {
        let input = Input::Receipt {
            incarnation: 7,
            key: key(Kind::Windows, seq),
            outcome,
            reason: String::new(),
            jitter: 1.0,
        };
        sender.handle(input, T0)
    }

    fn sent(effects: &[Effect]) -> Vec<RowId> {
        let row = |effect: &Effect| match effect {
            Effect::Send { row } => Some(*row),
            _ => None,
        };
        effects.iter().filter_map(row).collect()
    }

    #[test]
    fn several_batches_are_in_flight_and_no_more_than_the_quota() {
        let mut sender = open();
        let effects = loaded(&mut sender, Kind::Windows, 1..=40);
        assert_eq!(effects.iter().filter(|e| matches!(e, Effect::Send { .. })).count(), 32);
        let effects = receipt(&mut sender, 5, Outcome::Durable);
        assert_eq!(
            effects,
            [
                Effect::Settle { row: 5, key: key(Kind::Windows, 5), settled: Settled::Durable },
                Effect::Send { row: 33 }
            ]
        );
    }

    #[test]
    fn nothing_is_settled_without_a_receipt() {
        let mut sender = open();
        loaded(&mut sender, Kind::Windows, 1..=2);
        sender.handle(Input::Disconnected { jitter: 0.0 }, T0);
        assert_eq!(
            receipt(&mut sender, 1, Outcome::Durable),
            [],
            "a receipt of a closed connection is ignored"
        );
        assert_eq!(sender.n_in_flight(), 0);
    }

    #[test]
    fn a_batch_without_an_answer_ends_the_connection() {
        let mut sender = open();
        loaded(&mut sender, Kind::Windows, 1..=1);
        let late = T0 + RECEIPT_DEADLINE;
        assert!(sender.next_deadline().unwrap() <= late);
        let effects = sender.handle(Input::Tick, late);
        assert_eq!(effects, [Effect::Hangup { reason: "no receipt in time" }]);
        sender.handle(Input::Disconnected { jitter: 1.0 }, late);
        assert_eq!(sender.next_deadline(), Some(late + Duration::from_millis(200)));
    }

    #[test]
    fn what_was_sealed_while_the_spool_was_read_is_not_forgotten() {
        let mut sender = open();
        sender.handle(Input::Sealed { newest: 1 }, T0);
        let nothing = Input::Loaded { lane: Kind::Windows, offers: vec![], complete: true };
        let effects = sender.handle(nothing, T0);
        assert_eq!(effects, [load(1..=RowId::MAX)]);
    }

    #[test]
    fn a_receipt_of_an_earlier_life_of_the_collector_says_nothing() {
        let mut sender = open();
        loaded(&mut sender, Kind::Windows, 1..=1);
        let (key, outcome, reason) = (key(Kind::Windows, 1), Outcome::Durable, String::new());
        let stale = Input::Receipt { incarnation: 6, key, outcome, reason, jitter: 1.0 };
        assert_eq!(sender.handle(stale, T0), []);
        assert_eq!(sender.n_in_flight(), 1);
    }

    #[test]
    fn a_fork_is_given_a_new_identity_and_the_rest_goes_on() {
        let mut sender = open();
        loaded(&mut sender, Kind::Windows, 1..=2);
        let effects = receipt(&mut sender, 1, Outcome::Forked);
        assert_eq!(effects[0], Effect::Rekey { row: 1, key: key(Kind::Windows, 1) });
        assert!(
            matches!(effects[1], Effect::Load { lane: Kind::Windows, .. }),
            "the new row is to be loaded"
        );
        assert_eq!(sender.n_in_flight(), 1);
    }

    #[test]
    fn what_is_not_yet_acceptable_is_offered_again_later() {
        let mut sender = open();
        loaded(&mut sender, Kind::Windows, 1..=1);
        assert_eq!(receipt(&mut sender, 1, Outcome::NotYet), []);
        let again = T0 + Duration::from_millis(500);
        assert_eq!(sender.next_deadline(), Some(again));
        let effects = sender.handle(Input::Tick, again);
        assert!(effects.contains(&load(2..=RowId::MAX)), "what is sealed meanwhile goes first");
        let nothing = Input::Loaded { lane: Kind::Windows, offers: vec![], complete: true };
        assert_eq!(sender.handle(nothing, again), [load(1..=1)]);
    }

    #[test]
    fn news_are_told_within_a_second_and_no_more_often_than_that() {
        let mut sender = open();
        let at = |ms| T0 + Duration::from_millis(ms);
        assert_eq!(sender.handle(Input::Tick, at(1_000)), [Effect::SendBeat]);
        assert_eq!(sender.next_deadline(), Some(at(11_000)));
        let mut beats = Vec::new();
        for ms in (3_000..6_000).step_by(100) {
            beats.extend(sender.handle(Input::Changed, at(ms)).into_iter().map(|e| (ms, e)));
        }
        let wanted = [4_000, 5_100].map(|ms| (ms, Effect::SendBeat));
        assert_eq!(beats, wanted);
        assert_eq!(sender.handle(Input::Tick, at(6_200)), [Effect::SendBeat]);
        assert_eq!(sender.next_deadline(), Some(at(16_200)));
        sender.handle(Input::Disconnected { jitter: 0.0 }, at(6_300));
        let retry = sender.next_deadline();
        assert_eq!(sender.handle(Input::Changed, at(6_400)), []);
        assert_eq!(sender.next_deadline(), retry, "without a connection there is nothing to tell");
    }

    #[test]
    fn a_clock_that_is_set_back_a_day_delays_nothing() {
        let mut sender = open();
        loaded(&mut sender, Kind::Windows, 1..=1);
        let back = T0 - Duration::from_secs(86_400);
        sender.handle(Input::Tick, back);
        assert_eq!(sender.next_deadline(), Some(back + BEAT_EVERY));
        sender.handle(Input::Disconnected { jitter: 1.0 }, T0 + Duration::from_secs(1 << 30));
        sender.handle(Input::Tick, T0);
        assert!(sender.next_deadline().unwrap() <= T0 + LONGEST_RETRY);
    }

    #[test]
    fn what_happens_now_goes_before_what_had_piled_up() {
        let (mut sender, effects) = opened(1_000);
        assert!(!effects.contains(&load(1..=1_000)), "one question at a time: {effects:?}");
        let nothing = Input::Loaded { lane: Kind::Windows, offers: vec![], complete: true };
        assert_eq!(sender.handle(nothing, T0), [load(1..=1_000)]);
        let old = Input::Loaded {
            lane: Kind::Windows,
            offers: offers(Kind::Windows, 1..=64),
            complete: false,
        };
        assert_eq!(sent(&sender.handle(old, T0)), (1..=32).collect::<Vec<_>>());
        assert_eq!(sender.handle(Input::Sealed { newest: 1_002 }, T0), [load(1_001..=RowId::MAX)]);
        loaded(&mut sender, Kind::Windows, 1_001..=1_002);
        let after = [1, 2, 3].map(|seq| sent(&receipt(&mut sender, seq, Outcome::Durable)));
        assert_eq!(after, [[1_001], [1_002], [33]]);
    }

    #[test]
    fn what_waits_too_long_on_an_open_road_has_piled_up() {
        let mut sender = open();
        let at = |ms| T0 + Duration::from_millis(ms);
        let load_more = |sender: &mut Sender, rows| {
            let offers = offers(Kind::Windows, rows);
            sender.handle(Input::Loaded { lane: Kind::Windows, offers, complete: false }, at(100));
        };
        sender.handle(Input::Sealed { newest: 100 }, at(100));
        load_more(&mut sender, 1..=64);
        // The road takes nothing more: for a second what was sealed first goes first.
        assert_eq!(sender.handle(Input::Sealed { newest: 110 }, at(900)), []);
        let again = sender.handle(Input::Sealed { newest: 120 }, at(1_100));
        assert_eq!(again, [Effect::SendBeat, load(111..=RowId::MAX)]);
        let effects = loaded(&mut sender, Kind::Windows, 111..=112);
        assert_eq!(effects, [load(1..=110)]);
        let after = [1, 2, 3].map(|seq| sent(&receipt(&mut sender, seq, Outcome::Durable)));
        assert_eq!(after, [vec![111], vec![112], vec![]]);
        // What is under way is not sent again.
        let offers = [offers(Kind::Windows, 4..=32), offers(Kind::Windows, 33..=40)].concat();
        let rest = Input::Loaded { lane: Kind::Windows, offers, complete: false };
        assert_eq!(sent(&sender.handle(rest, at(1_200))), [33]);
    }

    #[test]
    fn a_road_that_keeps_up_sends_in_the_order_of_sealing() {
        let mut sender = open();
        for n in 1..=100_i64 {
            let now = T0 + Duration::from_secs(n.unsigned_abs());
            let nothing = Input::Loaded { lane: Kind::Windows, offers: vec![], complete: true };
            sender.handle(nothing, now);
            let effects = sender.handle(Input::Sealed { newest: n }, now);
            assert!(effects.contains(&load(n..=RowId::MAX)), "{effects:?}");
            assert_eq!(sent(&loaded(&mut sender, Kind::Windows, n..=n)), [n]);
            receipt(&mut sender, n.unsigned_abs(), Outcome::Durable);
        }
    }

    #[test]
    fn what_was_sealed_just_before_a_welcome_is_no_backlog() {
        let mut sender = opened(1_000).0;
        let at = |ms| T0 + Duration::from_millis(ms);
        sender.handle(Input::Disconnected { jitter: 0.0 }, at(100));
        sender.handle(Input::Sealed { newest: 1_500 }, at(4_000));
        sender.handle(Input::Connected, at(5_000));
        sender.handle(Input::Sealed { newest: 1_510 }, at(5_100));
        sender.handle(Input::Sealed { newest: 1_511 }, at(5_900));
        let welcome = Input::Welcome { incarnation: 7, streams: vec![], frontiers: vec![] };
        let effects = sender.handle(welcome, at(6_000));
        assert!(effects.contains(&load(1_501..=RowId::MAX)), "{effects:?}");
    }

    #[test]
    fn bodies_go_in_the_order_of_sealing() {
        let (mut sender, effects) = opened(1_000);
        let bodies = |effects: &[Effect]| {
            let all = Effect::Load { lane: Kind::Events, rows: 1..=RowId::MAX, limit: LOAD_ROWS };
            effects.contains(&all)
        };
        assert!(bodies(&effects), "{effects:?}");
        loaded(&mut sender, Kind::Events, 1..=1);
        let answer = Input::Receipt {
            incarnation: 7,
            key: key(Kind::Events, 1),
            outcome: Outcome::NotYet,
            reason: String::new(),
            jitter: 0.0,
        };
        assert!(bodies(&sender.handle(answer, T0)));
    }

    #[test]
    fn many_answers_that_say_later_are_one_failure() {
        let mut sender = open();
        loaded(&mut sender, Kind::Windows, 1..=32);
        for seq in 1..=32 {
            receipt(&mut sender, seq, Outcome::NotYet);
        }
        assert_eq!(sender.reread_at, Some(T0 + Duration::from_millis(500)));
    }

    #[test]
    fn a_collector_that_parts_is_sent_nothing_new_and_its_last_receipts_count() {
        let mut sender = open();
        loaded(&mut sender, Kind::Windows, 1..=40);
        assert_eq!(sender.handle(Input::Reconnect, T0), []);
        let effects = receipt(&mut sender, 1, Outcome::Durable);
        assert!(matches!(effects[..], [Effect::Settle { row: 1, .. }]), "{effects:?}");
    }

    #[test]
    fn counts_do_not_wait_for_bodies() {
        let mut sender = open();
        loaded(&mut sender, Kind::Events, 1..=20);
        assert_eq!(sender.n_in_flight(), 8, "bodies have a quota of their own");
        let effects = loaded(&mut sender, Kind::Windows, 21..=21);
        assert!(effects.contains(&Effect::Send { row: 21 }));
    }

    #[test]
    fn a_leaving_agent_says_goodbye_and_does_not_connect_again() {
        let mut sender = open();
        let effects = sender.handle(Input::Leave { farewell: Farewell::Stop }, T0);
        assert_eq!(effects, [Effect::SayBye { farewell: Farewell::Stop }]);
        sender.handle(Input::Disconnected { jitter: 0.0 }, T0);
        assert_eq!(sender.next_deadline(), None);
    }

    #[test]
    fn a_welcome_that_does_not_come_is_not_waited_for() {
        let mut sender = Sender::new(0, T0);
        sender.handle(Input::Tick, T0);
        sender.handle(Input::Connected, T0);
        let effects = sender.handle(Input::Tick, T0 + GREETING_DEADLINE);
        assert_eq!(effects, [Effect::Hangup { reason: "no welcome in time" }]);
    }
}
