//! A machine of the model: a file being written, a spool on a disk, and the agent's real sender.
//!
//! Owns what survives a crash (file, spool) apart from what does not (sender, cursors).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use watchkeeper_agent_core::deliver::{
    Effect, Input, Lane, Offer, RowId, Sender, Settled, StreamAnswer,
};
use watchkeeper_model::{
    AgentId, BatchKey, Digest, Epoch, FileRef, Frontier, Guard, Kind, Service, StreamKey, Timestamp,
};

use super::world::Rng;

/// A line's identity: the machine that wrote it and its number there.
pub(crate) type Line = (u8, u64);

/// What a batch says, in the model: the lines it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub lines: Vec<Line>,
    pub frontier: Frontier,
    /// Event bodies sealed beside, as the tally says.
    pub n_events: u64,
    pub sealed_at: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub key: BatchKey,
    pub digest: Digest,
    pub content: Content,
    pub receipted: bool,
}

/// The durable part.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    pub epoch: Epoch,
    pub rows: BTreeMap<RowId, Row>,
    next_row: RowId,
    next_seq: BTreeMap<(Epoch, Kind), u64>,
    /// Lines before this one are in a batch.
    pub position: u64,
    /// Where reading began under this spool.
    pub begin: u64,
    /// No welcome has said yet how far the file was read before.
    pub is_new: bool,
    /// Lines given up unread because nobody knows what was counted of them.
    pub n_unknown: u64,
}

impl Spool {
    pub(crate) fn new(rng: &mut Rng, now: Timestamp) -> Self {
        Self {
            epoch: Epoch { created_at: now, random: rng.next() },
            rows: BTreeMap::new(),
            next_row: 1,
            next_seq: BTreeMap::new(),
            position: 0,
            begin: 0,
            is_new: true,
            n_unknown: 0,
        }
    }

    fn stream(epoch: Epoch, kind: Kind) -> StreamKey {
        let service = Service::new("shop").expect("a valid name");
        StreamKey { agent: AgentId::new("web-1"), epoch, service, kind }
    }

    fn put(&mut self, row: RowId, epoch: Epoch, kind: Kind, content: Content, digest: Digest) {
        let next = self.next_seq.entry((epoch, kind)).or_insert(1);
        let seq = *next;
        *next += 1;
        let key = BatchKey { stream: Self::stream(epoch, kind), seq };
        self.rows.insert(row, Row { key, digest, content, receipted: false });
    }

    /// One transaction: batches and position together.
    pub(crate) fn seal(
        &mut self,
        lines: Vec<Line>,
        frontier: Frontier,
        sealed_at: Timestamp,
        rng: &mut Rng,
    ) {
        let events: Vec<Line> = lines.iter().copied().filter(|l| l.1 % 5 == 0).collect();
        self.position = frontier.to;
        let n_events = events.len() as u64;
        let content = Content { lines, frontier: frontier.clone(), n_events, sealed_at };
        let digest = digest(rng);
        self.put(self.next_row, self.epoch, Kind::Windows, content, digest);
        self.next_row += 1;
        if !events.is_empty() {
            let content = Content { lines: events, frontier, n_events: 0, sealed_at };
            let digest = self::digest(rng);
            self.put(self.next_row, self.epoch, Kind::Events, content, digest);
            self.next_row += 1;
        }
    }

    pub(crate) fn rekey(&mut self, row: RowId, rng: &mut Rng, now: Timestamp) {
        let current = self.epoch;
        let Some(batch) = self.rows.get_mut(&row) else { return };
        let forked = batch.key.stream.epoch;
        batch.key.stream.epoch = Epoch::orphan_of(&batch.key, batch.digest);
        batch.key.seq = 1;
        self.next_seq.insert((batch.key.stream.epoch, batch.key.stream.kind), 2);
        if forked == current {
            self.epoch = Epoch { created_at: now, random: rng.next() };
        }
    }

    pub(crate) fn reoffer(&mut self, streams: &[StreamAnswer]) {
        for row in self.rows.values_mut().filter(|r| r.receipted) {
            let answer = streams.iter().find(|s| s.stream == row.key.stream);
            row.receipted = answer.is_some_and(|s| s.answered.contains(row.key.seq));
        }
    }

    /// Forgets receipted batches, as after `spool.keep`.
    pub(crate) fn purge(&mut self) {
        self.rows.retain(|_, row| !row.receipted);
    }

    pub(crate) fn settled_below(&self, stream: &StreamKey) -> u64 {
        let lowest =
            self.rows.values().filter(|r| r.key.stream == *stream).map(|r| r.key.seq).min();
        lowest.unwrap_or_else(|| {
            self.next_seq.get(&(stream.epoch, stream.kind)).copied().unwrap_or(1)
        })
    }

    pub(crate) fn newest_row(&self) -> RowId {
        self.next_row - 1
    }

    fn pending(&self, lane: Lane, rows: RangeInclusive<RowId>, limit: usize) -> (Vec<Offer>, bool) {
        let pending = |r: &Row, lane| !r.receipted && r.key.stream.kind == lane;
        let end = match lane {
            Kind::Windows => RowId::MAX,
            Kind::Events => self
                .rows
                .iter()
                .find(|(_, r)| pending(r, Kind::Windows))
                .map_or(RowId::MAX, |(&id, _)| id),
        };
        let mut offers: Vec<Offer> = self
            .rows
            .range(rows)
            .filter(|(id, r)| **id < end && pending(r, lane))
            .map(|(&row, r)| Offer {
                row,
                key: r.key.clone(),
                n_bytes: 100 + r.content.lines.len(),
            })
            .take(limit + 1)
            .collect();
        let complete = offers.len() <= limit;
        offers.truncate(limit);
        (offers, complete)
    }

    pub(crate) fn held(&self) -> Vec<Epoch> {
        let mut held: Vec<Epoch> =
            self.rows.values().map(|r| r.key.stream.epoch).chain([self.epoch]).collect();
        held.sort();
        held.dedup();
        held
    }
}

fn digest(rng: &mut Rng) -> Digest {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&rng.next().to_le_bytes());
    Digest(bytes)
}

/// What the agent puts on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Upward {
    Hello { epoch: Epoch, held: Vec<Epoch>, is_new: bool },
    Batch { key: BatchKey, digest: Digest, settled_below: u64, content: Box<Content> },
}

/// Where a crash may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    BeforeCommit,
    AfterCommit,
}

/// One machine.
pub(crate) struct Machine {
    pub name: u8,
    /// The line number from which on the lines are this machine's own; earlier ones are those of `parent`.
    pub forked_at: u64,
    pub parent: u8,
    pub n_lines: u64,
    pub spool: Spool,
    pub sender: Option<Sender>,
    /// The sender has asked for a connection.
    pub dialing: bool,
    /// The connection, by number, if there is one.
    pub connection: Option<u64>,
}

impl Machine {
    pub(crate) fn line(&self, number: u64) -> Line {
        (if number < self.forked_at { self.parent } else { self.name }, number)
    }

    fn guard_at(&self, offset: u64) -> Guard {
        let last = if offset == 0 { (0, 0) } else { self.line(offset - 1) };
        Guard { len: 1, hash: u64::from(last.0) << 32 | last.1 }
    }

    pub(crate) fn frontier(&self, from: u64, to: u64) -> Frontier {
        Frontier {
            source: "log".into(),
            path: "/var/log/shop.log".into(),
            file: FileRef { inode: 1, born: Timestamp(0) },
            prefix: Guard::default(),
            begin: self.spool.begin,
            from,
            to,
            guard: self.guard_at(to),
        }
    }

    pub(crate) fn seal(&mut self, crash: Option<CrashPoint>, now: Timestamp, rng: &mut Rng) {
        let (from, to) = (self.spool.position, self.n_lines);
        if self.sender.is_none() || self.spool.is_new || from >= to {
            return;
        }
        let to = from + 1 + rng.below(to - from);
        if crash == Some(CrashPoint::BeforeCommit) {
            return self.crash();
        }
        let lines = (from..to).map(|n| self.line(n)).collect();
        self.spool.seal(lines, self.frontier(from, to), now, rng);
        if crash == Some(CrashPoint::AfterCommit) {
            self.crash();
        }
    }

    pub(crate) fn crash(&mut self) {
        self.sender = None;
        self.connection = None;
        self.dialing = false;
    }

    /// Where a lost spool's successor begins to read, and how many lines it gives up because their fate is unknown.
    fn resume(&mut self, frontiers: &[Frontier]) {
        if !self.spool.is_new {
            return;
        }
        let matching =
            frontiers.iter().filter(|f| f.to <= self.n_lines && self.guard_at(f.to) == f.guard);
        let best = matching.map(|f| f.to).max();
        let strangers =
            frontiers.iter().any(|f| f.to > self.n_lines || self.guard_at(f.to) != f.guard);
        self.spool.is_new = false;
        if strangers {
            // Somebody under our name read a file like ours that went another way: nothing here is known.
            self.spool.n_unknown = self.n_lines - best.unwrap_or(0).min(self.n_lines);
            self.spool.position = self.n_lines;
        } else {
            self.spool.position = best.unwrap_or(0);
        }
        self.spool.begin = self.spool.position;
    }

    /// Feeds the sender and runs its effects on the spool; what goes on the wire comes back.
    pub(crate) fn feed(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Upward> {
        let mut wire = Vec::new();
        let mut inputs = std::collections::VecDeque::from([input]);
        while let (Some(sender), Some(input)) = (self.sender.as_mut(), inputs.pop_front()) {
            for effect in sender.handle(input, now) {
                match effect {
                    // A beat carries nothing that the model counts.
                    Effect::SendBeat | Effect::SayBye { .. } => {}
                    Effect::Connect => self.dialing = true,
                    Effect::Hangup { .. } => {
                        self.connection = None;
                        self.dialing = false;
                        inputs.push_back(Input::Disconnected { jitter: rng.share() });
                    }
                    Effect::SayHello => {
                        let Spool { epoch, is_new, .. } = self.spool;
                        wire.push(Upward::Hello { epoch, held: self.spool.held(), is_new });
                    }
                    Effect::Load { lane, rows, limit } => {
                        let (offers, complete) = self.spool.pending(lane, rows, limit.min(3));
                        inputs.push_back(Input::Loaded { lane, offers, complete });
                    }
                    Effect::Send { row } => {
                        let Some(batch) = self.spool.rows.get(&row).cloned() else { continue };
                        let settled_below = self.spool.settled_below(&batch.key.stream);
                        let Row { key, digest, content, .. } = batch;
                        let content = Box::new(content);
                        wire.push(Upward::Batch { key, digest, settled_below, content });
                    }
                    Effect::Settle { row, settled, .. } => {
                        let _: Settled = settled;
                        if let Some(batch) = self.spool.rows.get_mut(&row) {
                            batch.receipted = true;
                        }
                    }
                    Effect::Rekey { row, .. } => {
                        self.spool.rekey(row, rng, now);
                        inputs.push_back(Input::Sealed { newest: self.spool.newest_row() });
                    }
                    Effect::Reoffer { streams } => {
                        self.spool.reoffer(&streams);
                        inputs.push_back(Input::Sealed { newest: self.spool.newest_row() });
                    }
                    Effect::Frontiers { frontiers } => self.resume(&frontiers),
                }
            }
        }
        wire
    }
}
