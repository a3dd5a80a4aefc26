//! Which batches have been counted: exactly once, whatever the network, the agent or a restored backup does.
//!
//! Owns the state of one stream and the answer to a batch of it, and the account of how much of each file was covered.
//! Never stores anything: the intake commits this state in the transaction that commits the data, and takes it back to
//! what is stored when that transaction fails.

use std::collections::BTreeMap;

use watchkeeper_model::{Digest, Epoch, FileRef, Frontier, Guard, SeqSet, Timestamp};

/// How many digests a stream keeps to tell a fork from a repetition. At four seals a second this is 17 minutes; an
/// older batch that is offered again is taken for the repetition it nearly always is.
pub const RECENT_DIGESTS: u64 = 4096;

/// The end of an epoch whose spool was lost: its agent has been told how far its files were read, and reads on from
/// there under a new epoch. A batch of the old one that turns up later and reaches further has been read again by then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// When the new spool was made, by the agent's clock.
    pub since: Timestamp,
    /// Epochs the agent still had when it said so: they are on this side.
    pub held: Vec<Epoch>,
    /// Epochs of this agent known by then and not held: beyond the fence, whatever their clock said.
    pub lost: Vec<Epoch>,
    /// How far each file was read, as told to the agent, by source and file.
    pub told: BTreeMap<(String, FileRef), u64>,
}

impl Fence {
    /// Whether an epoch lies beyond it: made before the new spool, known here or not, and not held by the agent.
    /// An orphan has its origin's time of creation, and lies where its origin does.
    pub fn is_around(&self, epoch: Epoch) -> bool {
        let held = self.held.iter().any(|h| h.created_at == epoch.created_at);
        !held && (epoch.created_at <= self.since || self.lost.contains(&epoch))
    }

    /// Why a batch with these frontiers must stay beyond; `None` if it may be counted. What was sealed later than the
    /// new spool was made is not from the lost one: somebody else lives under this agent's name, and counts too.
    fn holds(&self, frontiers: &[Frontier], sealed_at: Timestamp) -> Option<String> {
        let told = |f: &Frontier| self.told.get(&(f.source.clone(), f.file)).copied().unwrap_or(0);
        let beyond =
            frontiers.iter().find(|f| f.to > told(f)).filter(|_| sealed_at <= self.since)?;
        Some(format!(
            "its spool was lost, and {} was read again from byte {}: counting this batch could count lines twice",
            beyond.path,
            told(beyond)
        ))
    }
}

/// A batch as it arrives, reduced to what deduplication asks.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its number.
    pub seq: u64,
    /// Its digest.
    pub digest: Digest,
    /// What is inside, as far as it could be read.
    pub content: &'a Content,
    /// How far files were read in it.
    pub frontiers: &'a [Frontier],
    /// When it was sealed, by the agent's clock.
    pub sealed_at: Timestamp,
    /// The earliest fence around its epoch, if its spool was lost.
    pub fence: Option<&'a Fence>,
}

/// What the collector knows of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    seen: SeqSet,
    /// Refused for good and kept as dead letters: answered for, but not counted.
    dead: SeqSet,
    digests: BTreeMap<u64, Digest>,
    settled_below: u64,
}

/// What is inside a batch, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It can be counted.
    Good,
    /// The body does not have the digest its envelope says: it broke on the way.
    Damaged,
    /// It is of a newer format than this collector knows.
    Newer {
        /// The format it says.
        format: u32,
    },
    /// It is what its sender sealed, and can never be counted.
    Poison {
        /// Why not.
        reason: String,
    },
}

/// What to do with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Count it, durably, then give a receipt.
    Count,
    /// Keep it as a dead letter, durably, then refuse it for good.
    Bury {
        /// Why.
        reason: String,
    },
    /// It was counted before: receipt only.
    Repeat,
    /// It was refused for good before: the same answer again.
    Refused,
    /// Its number is taken by another batch: the sender must go on under a new epoch.
    Forked,
    /// It broke on the way: to be offered again.
    Damaged,
    /// Not readable yet: to be kept and offered again later.
    NotYet {
        /// Why.
        reason: String,
    },
}

impl StreamState {
    /// A state read back from the store.
    pub fn restore(
        seen: SeqSet,
        dead: SeqSet,
        digests: impl IntoIterator<Item = (u64, Digest)>,
        settled_below: u64,
    ) -> Self {
        Self { seen, dead, digests: digests.into_iter().collect(), settled_below }
    }

    /// What is to be done with a batch. Changes nothing: see [`Self::counted`] and [`Self::buried`].
    pub fn decide(&self, arrival: &Arrival<'_>) -> Decision {
        self.judge(arrival, false)
    }

    /// The same for a dead letter that is led through again by hand: it is decided by what is inside, as if it came for
    /// the first time. One that was counted meanwhile stays counted once.
    pub fn decide_again(&self, arrival: &Arrival<'_>) -> Decision {
        self.judge(arrival, true)
    }

    fn judge(&self, arrival: &Arrival<'_>, again: bool) -> Decision {
        let Arrival { seq, digest, content, .. } = *arrival;
        if *content == Content::Damaged {
            return Decision::Damaged;
        }
        let (seen, dead) = (self.seen.contains(seq), self.dead.contains(seq));
        if (seen || dead) && self.digests.get(&seq).is_some_and(|known| *known != digest) {
            return Decision::Forked;
        }
        // A dead letter that was counted by a retry is both.
        if seen {
            return Decision::Repeat;
        }
        if dead && !again {
            return Decision::Refused;
        }
        match content {
            Content::Good => {
                let held =
                    arrival.fence.and_then(|f| f.holds(arrival.frontiers, arrival.sealed_at));
                held.map_or(Decision::Count, |reason| Decision::Bury { reason })
            }
            Content::Poison { reason } => Decision::Bury { reason: reason.clone() },
            Content::Newer { format } => Decision::NotYet {
                reason: format!(
                    "batch format {format} is newer than this collector: upgrade the collector"
                ),
            },
            Content::Damaged => Decision::Damaged,
        }
    }

    /// The batch is part of the transaction under way.
    pub fn counted(&mut self, seq: u64, digest: Digest) {
        self.seen.insert(seq);
        self.remember(seq, digest);
    }

    /// The batch is a dead letter in the transaction under way.
    pub fn buried(&mut self, seq: u64, digest: Digest) {
        self.dead.insert(seq);
        self.remember(seq, digest);
    }

    /// The agent will offer nothing below `below` again. Never goes back.
    pub fn settle(&mut self, below: u64) {
        self.settled_below = self.settled_below.max(below);
    }

    /// How many batches are proven lost: settled by the agent, and neither counted nor buried here. One that turns up
    /// after all is taken back from this count by being counted.
    pub fn n_lost(&self) -> u64 {
        let known =
            self.seen.count_below(self.settled_below) + self.dead_only_below(self.settled_below);
        self.settled_below.saturating_sub(1).saturating_sub(known)
    }

    /// How many batches below the highest one known are missing: lost for certain once the spool is gone.
    pub fn n_missing(&self) -> u64 {
        let highest = self.seen.max().max(self.dead.max());
        let end = highest.saturating_add(1).max(self.settled_below);
        end.saturating_sub(1).saturating_sub(self.seen.count_below(end) + self.dead_only_below(end))
    }

    /// All numbers that need not be offered again: counted or buried. For the welcome.
    pub fn answered(&self) -> SeqSet {
        let mut all = self.seen.clone();
        all.insert_range(1, self.dead.low_water());
        for &(first, last) in self.dead.ranges() {
            all.insert_range(first, last);
        }
        all
    }

    /// The numbers counted.
    pub fn seen(&self) -> &SeqSet {
        &self.seen
    }

    /// Where the agent has settled.
    pub fn settled_below(&self) -> u64 {
        self.settled_below
    }

    /// The lowest number whose digest is kept; older ones may be deleted from the store.
    pub fn oldest_digest(&self) -> u64 {
        self.digests.keys().next().copied().unwrap_or(0)
    }

    fn dead_only_below(&self, end: u64) -> u64 {
        let within = |first: u64, last: u64| {
            (first..=last.min(end.saturating_sub(1)))
                .filter(|seq| !self.seen.contains(*seq))
                .count() as u64
        };
        within(1, self.dead.low_water())
            + self.dead.ranges().iter().map(|r| within(r.0, r.1)).sum::<u64>()
    }

    fn remember(&mut self, seq: u64, digest: Digest) {
        self.digests.insert(seq, digest);
        while self.digests.len() as u64 > RECENT_DIGESTS {
            self.digests.pop_first();
        }
    }
}

/// How much of one file, in one epoch, has arrived. Parts may come in any order, each once: batches are deduplicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Where reading began.
    pub begin: u64,
    /// How far it got.
    pub max_to: u64,
    /// How many bytes in between have arrived.
    pub covered: u64,
    /// The file's first bytes, as last reported.
    pub prefix: Guard,
    /// The bytes just before `max_to`.
    pub guard: Guard,
}

impl Coverage {
    /// What one frontier says.
    pub fn of(frontier: &Frontier) -> Self {
        Self {
            begin: frontier.begin,
            max_to: frontier.to,
            covered: frontier.to.saturating_sub(frontier.from),
            prefix: frontier.prefix,
            guard: frontier.guard,
        }
    }

    /// What a frontier says that covers nothing.
    pub fn reached(frontier: &Frontier) -> Self {
        Self { covered: 0, ..Self::of(frontier) }
    }

    /// Takes in one more.
    pub fn add(&mut self, frontier: &Frontier) {
        self.covered = self.covered.saturating_add(frontier.to.saturating_sub(frontier.from));
        self.reach(frontier);
    }

    /// Takes in how far reading went, without the counts: bodies that came before their counts, after a restore. If the
    /// spool is lost now, what lies between is a gap and not read again.
    pub fn reach(&mut self, frontier: &Frontier) {
        self.begin = self.begin.min(frontier.begin);
        if frontier.to >= self.max_to {
            self.max_to = frontier.to;
            self.guard = frontier.guard;
            self.prefix = frontier.prefix;
        }
    }

    /// Bytes between beginning and end that have not arrived: under way, or lost if nobody has them any more.
    pub fn gap_bytes(&self) -> u64 {
        self.max_to.saturating_sub(self.begin).saturating_sub(self.covered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest([n; 16])
    }

    fn arrival<'a>(seq: u64, digest: Digest, content: &'a Content) -> Arrival<'a> {
        Arrival { seq, digest, content, frontiers: &[], sealed_at: Timestamp(0), fence: None }
    }

    fn frontier(from: u64, to: u64) -> Frontier {
        Frontier {
            source: "log".into(),
            path: "/var/log/x".into(),
            file: FileRef { inode: 1, born: Timestamp(0) },
            prefix: Guard::default(),
            begin: 10,
            from,
            to,
            guard: Guard { len: 1, hash: to },
        }
    }

    fn state(counted: &[u64], settled_below: u64) -> StreamState {
        let mut state = StreamState::default();
        for &seq in counted {
            state.counted(seq, digest(1));
        }
        state.settle(settled_below);
        state
    }

    #[test]
    fn a_batch_is_counted_once_and_receipted_every_time() {
        let poison = Content::Poison { reason: "no such unit".into() };
        let newer = Content::Newer { format: 9 };
        for (sentence, seq, d, content, decision) in [
            ("a new one is counted", 4, digest(1), Content::Good, Decision::Count),
            ("one seen before is receipted", 1, digest(1), Content::Good, Decision::Repeat),
            (
                "the same number with another digest is a fork",
                1,
                digest(2),
                Content::Good,
                Decision::Forked,
            ),
            (
                "one that broke on the way is asked for again",
                1,
                digest(1),
                Content::Damaged,
                Decision::Damaged,
            ),
            (
                "an unreadable one is buried",
                4,
                digest(1),
                poison,
                Decision::Bury { reason: "no such unit".into() },
            ),
        ] {
            assert_eq!(
                state(&[1, 2], 0).decide(&arrival(seq, d, &content)),
                decision,
                "{sentence}"
            );
        }
        assert!(matches!(
            state(&[], 0).decide(&arrival(1, digest(1), &newer)),
            Decision::NotYet { .. }
        ));
    }

    #[test]
    fn a_buried_batch_is_refused_again_and_never_seen() {
        let mut state = state(&[1], 0);
        state.buried(2, digest(2));
        assert_eq!(state.decide(&arrival(2, digest(2), &Content::Good)), Decision::Refused);
        assert_eq!(state.decide(&arrival(2, digest(3), &Content::Good)), Decision::Forked);
        assert!(!state.seen().contains(2));
        assert_eq!(state.answered().low_water(), 2);
    }

    #[test]
    fn a_dead_letter_is_decided_anew_by_hand_and_counts_once() {
        let mut state = state(&[1], 0);
        state.buried(2, digest(2));
        let again = |state: &StreamState, d, content| state.decide_again(&arrival(2, d, content));
        let poison = Content::Poison { reason: "no such unit".into() };
        let newer = Content::Newer { format: 9 };
        for (sentence, d, content, decision) in [
            (
                "still unreadable",
                digest(2),
                &poison,
                Decision::Bury { reason: "no such unit".into() },
            ),
            ("readable by now", digest(2), &Content::Good, Decision::Count),
            ("rotten since", digest(2), &Content::Damaged, Decision::Damaged),
            ("another one's number", digest(3), &Content::Good, Decision::Forked),
        ] {
            assert_eq!(again(&state, d, content), decision, "{sentence}");
        }
        assert!(matches!(again(&state, digest(2), &newer), Decision::NotYet { .. }));
        state.counted(2, digest(2));
        assert_eq!(again(&state, digest(2), &Content::Good), Decision::Repeat);
        let offered = state.decide(&arrival(2, digest(2), &Content::Good));
        assert_eq!(
            offered,
            Decision::Repeat,
            "an agent that never heard the answer hears that it counts"
        );
    }

    #[test]
    fn a_lost_spool_leaves_a_fence_behind_which_nothing_is_counted_twice() {
        let file = FileRef { inode: 1, born: Timestamp(0) };
        let fence = Fence {
            since: Timestamp(100),
            held: vec![],
            lost: vec![],
            told: [(("log".to_owned(), file), 50)].into(),
        };
        for (sentence, to, sealed_at, expected) in [
            ("what was not read again is counted", 50, 90, "count"),
            ("what was read again is buried", 51, 90, "bury"),
            (
                "what a lost spool cannot have sealed is another machine's, and counted",
                51,
                101,
                "count",
            ),
        ] {
            let frontiers = [frontier(40, to)];
            let content = Content::Good;
            let (sealed_at, fence) = (Timestamp(sealed_at), Some(&fence));
            let arrival = Arrival {
                seq: 1,
                digest: digest(1),
                content: &content,
                frontiers: &frontiers,
                sealed_at,
                fence,
            };
            let decision = match StreamState::default().decide(&arrival) {
                Decision::Count => "count",
                Decision::Bury { .. } => "bury",
                _ => "other",
            };
            assert_eq!(decision, expected, "{sentence}");
        }
    }

    #[test]
    fn what_is_settled_and_unknown_is_lost_until_it_turns_up() {
        let mut state = state(&[1, 2, 5], 5);
        assert_eq!(state.n_lost(), 2);
        state.counted(3, digest(1));
        assert_eq!(state.n_lost(), 1);
        state.buried(4, digest(1));
        assert_eq!(state.n_lost(), 0);
        state.counted(4, digest(1));
        assert_eq!(state.n_lost(), 0, "a dead letter that was retried counts once");
    }

    #[test]
    fn digests_stay_bounded() {
        let mut state = StreamState::default();
        for seq in 1..=RECENT_DIGESTS + 10 {
            state.counted(seq, digest(1));
        }
        assert_eq!(state.oldest_digest(), 11);
        assert_eq!(state.decide(&arrival(5, digest(2), &Content::Good)), Decision::Repeat);
    }

    #[test]
    fn coverage_names_the_bytes_that_have_not_arrived() {
        let mut coverage = Coverage::of(&frontier(10, 20));
        coverage.add(&frontier(30, 50));
        assert_eq!((coverage.gap_bytes(), coverage.guard.hash), (10, 50));
        coverage.add(&frontier(20, 30));
        assert_eq!((coverage.gap_bytes(), coverage.guard.hash), (0, 50));
    }
}
