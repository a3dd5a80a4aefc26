//! The way of a batch through the intake, whichever road it came by.
//!
//! Owns the order: decide, commit, remember, tell the engine, reply. Each batch is a future of its own, so that many
//! wait for the same group commit; what two of them say about one number is settled by the store's transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use watchkeeper_collector_core::dedupe::{Arrival, Content, Decision, Fence, StreamState};
use watchkeeper_collector_core::engine::{Committed, Input, Settings};
use watchkeeper_daemon::{clock, crash};
use watchkeeper_model::{
    AgentId, BatchKey, Body, Digest, Epoch, Frontier, Kind, Service, SourceTally, StreamKey,
    Timestamp,
};
use watchkeeper_proto::v1;

use super::agents::{self, AgentMemory};
use super::count::{Counted, count};
use super::known::SloIndex;
use crate::hub::HubHandle;
use crate::store::{
    BatchCommit, EventsBody, EventsCommit, Fate, FrontierRow, Store, StoreError, Stored, StreamRow,
    WindowsBody, WindowsCommit,
};
use crate::{facts, wire};

/// How long a fence stands, and how many of one agent; beyond it the oldest go.
const FENCES_KEPT: Duration = Duration::from_secs(30 * 86_400);
const MAX_FENCES: usize = 64;

/// Frontiers of files that an agent is told, the latest first: some 2 MB of a message of at most 4.
const MAX_FRONTIERS: usize = 10_000;

/// Bytes of bodies that are unpacked and not yet committed, on all connections together. In memory they are some five times
/// as large; one body is at most as large as this.
const ROOM_BYTES: usize = wire::MAX_BODY_BYTES;

/// There is a road that parks, and it has not counted yet: the process before may have told of some, and they may lie there.
const NOT_COUNTED: u64 = u64::MAX;

/// What the intake goes by; replaced whole at a reload.
pub type IntakeSettings = Arc<Settings>;

/// The intake: shared by all roads and connections.
pub struct Intake {
    store: Store,
    hub: HubHandle,
    settings: watch::Receiver<IntakeSettings>,
    agents: Mutex<HashMap<AgentId, Arc<AgentMemory>>>,
    index: Mutex<Arc<SloIndex>>,
    /// Bytes of bodies that may still be unpacked.
    room: Semaphore,
    /// Messages that a road has parked where it got them, and that nobody has taken from there; see [`NOT_COUNTED`].
    n_parked: AtomicU64,
    /// One at a time tells how many dead letters there are: who counted first must not speak last.
    telling: tokio::sync::Mutex<()>,
}

/// The answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which word.
    pub outcome: v1::Outcome,
    /// Why; "" if durable.
    pub reason: String,
}

/// The answer to a hello.
pub type Welcome = v1::Welcome;

impl Reply {
    fn new(outcome: v1::Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into() }
    }
}

impl Intake {
    /// An intake over a store, telling the engine through `hub`.
    pub fn new(store: Store, hub: HubHandle, settings: watch::Receiver<IntakeSettings>) -> Self {
        let index = Arc::new(SloIndex::new(settings.borrow().clone()));
        Self {
            store,
            hub,
            settings,
            agents: Mutex::default(),
            index: Mutex::new(index),
            room: Semaphore::new(ROOM_BYTES),
            n_parked: AtomicU64::new(0),
            telling: tokio::sync::Mutex::default(),
        }
    }

    /// Where the engine is told.
    pub fn hub(&self) -> &HubHandle {
        &self.hub
    }

    /// What the intake goes by, and how to notice that it changed.
    pub fn settings(&self) -> watch::Receiver<IntakeSettings> {
        self.settings.clone()
    }

    /// What SLOs and rules make of series, by the present settings.
    fn index(&self) -> Arc<SloIndex> {
        let settings = self.settings.borrow().clone();
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if !index.is_of(&settings) {
            *index = Arc::new(SloIndex::new(settings));
        }
        index.clone()
    }

    /// Greets an agent: what we have of its streams, what we want, and how far its files were read. The spool of an
    /// agent that says it is new leaves a fence behind, durable before the agent is told.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn hello(&self, agent: &AgentId, hello: &v1::Hello) -> Result<Welcome, StoreError> {
        let memory = self.memory(agent)?;
        let epoch = wire::epoch_from_wire(hello.epoch.as_ref());
        let held: Vec<Epoch> =
            hello.held.iter().filter_map(|e| wire::epoch_from_wire(Some(e))).collect();
        if let (true, Some(epoch)) = (hello.spool_is_new, epoch) {
            self.fence_off(agent, &memory, epoch, &held).await?;
        }
        let (store, of) = (self.store.clone(), agent.clone());
        let known = tokio::task::spawn_blocking(move || {
            let reads = store.reads();
            Ok::<_, StoreError>((reads.streams_of(&of)?, newest(reads.frontiers_of(&of)?)))
        });
        let (streams, frontiers) =
            known.await.map_err(|_| StoreError::Closed { file: "intake" })??;
        let streams = streams
            .into_iter()
            .filter(|row| held.contains(&row.key.epoch))
            .map(|row| {
                let key = row.key.clone();
                wire::stream_to_wire(&key, &state_of(row).answered())
            })
            .collect();
        let frontiers = frontiers
            .iter()
            .map(|f| wire::coverage_to_wire(&f.source, &f.path, f.file, &f.coverage))
            .collect();
        Ok(Welcome {
            incarnation: self.store.incarnation(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            streams,
            bounds: wanted_bounds(&self.settings.borrow()),
            frontiers,
            check: 0,
        })
    }

    /// The incarnation that receipts carry.
    pub fn incarnation(&self) -> u64 {
        self.store.incarnation()
    }

    /// Notes how far an agent's clock is ahead of ours.
    pub fn note_skew(&self, agent: &AgentId, skew_ns: i64) {
        if let Ok(memory) = self.memory(agent) {
            memory.set_skew_ns(skew_ns);
        }
    }

    /// Takes in one batch; the reply may be sent. While others fill the room, it waits still packed.
    pub async fn batch(&self, agent: &AgentId, batch: v1::Batch) -> Reply {
        // Before anything it says is believed. Whose answer this is may be wrong as well: what was meant gets none, and is
        // offered again.
        if watchkeeper_proto::is_damaged(agent.as_str(), &batch) {
            return Reply::new(
                v1::Outcome::Damaged,
                "what it says of itself was broken on the way",
            );
        }
        let needed = wire::unpacked_bytes(&batch.body).clamp(1, ROOM_BYTES);
        // Never closed: without a permit there would be no bound, and no harm.
        let _room = self.room.acquire_many(u32::try_from(needed).unwrap_or(u32::MAX)).await;
        let (key, digest) = match wire::key_from_wire(agent, &batch) {
            Ok(identity) => identity,
            Err(reason) => return Reply::new(v1::Outcome::Refused, reason),
        };
        let trace = wire::traceparent(&batch);
        let reply = match self.take_in(&key, digest, batch, false).await {
            Ok(reply) => reply,
            Err(error) => {
                facts::intake_failed(&key, &error);
                Reply::new(v1::Outcome::NotYet, format!("the collector cannot store it: {error}"))
            }
        };
        facts::batch_answered(&key, &reply, &trace);
        reply
    }

    /// Leads the content of a dead letter through again under its own identity: whatever else brings it, it counts once.
    ///
    /// # Errors
    /// If the store cannot be read or written; the letter is as it was then.
    pub async fn again(
        &self,
        key: &BatchKey,
        digest: Digest,
        sealed: Vec<u8>,
    ) -> Result<Reply, StoreError> {
        let needed = wire::unpacked_bytes(&sealed).clamp(1, ROOM_BYTES);
        let _room = self.room.acquire_many(u32::try_from(needed).unwrap_or(u32::MAX)).await;
        let (body, format) = (sealed.into(), watchkeeper_proto::FORMAT);
        let batch = v1::Batch { format, body, ..v1::Batch::default() };
        let reply = self.take_in(key, digest, batch, true).await?;
        // Its trace was told when it came from the agent.
        facts::batch_answered(key, &reply, "");
        Ok(reply)
    }

    async fn take_in(
        &self,
        key: &BatchKey,
        digest: Digest,
        batch: v1::Batch,
        again: bool,
    ) -> Result<Reply, StoreError> {
        let memory = self.memory(&key.stream.agent)?;
        let now = clock::now();
        let (content, decoded) = read(key, digest, &batch);
        let (sealed_at, frontiers) =
            decoded.as_ref().map_or((now, &[][..]), |d| (d.sealed_at, frontiers_of(&d.body)));
        // Held until the batch is committed: see `fence_off`.
        let fences = memory.fences.read().await;
        let arrival = Arrival {
            seq: key.seq,
            digest,
            content: &content,
            frontiers,
            sealed_at,
            fence: fences.iter().find(|f| f.is_around(key.stream.epoch)),
        };
        let load = || self.store.reads().stream(&key.stream);
        let decision = memory.with_stream(&key.stream, load, |state| {
            memory.lost_before(&key.stream, state.n_lost());
            let decision =
                if again { state.decide_again(&arrival) } else { state.decide(&arrival) };
            state.settle(batch.settled_below);
            decision
        })?;
        let batch_of = Of { memory: &memory, key, digest, settled_below: batch.settled_below, now };
        let reply = match decision {
            Decision::Count => match decoded.map(|d| d.body) {
                Some(Body::Windows { series, tallies, frontiers, samples, continued }) => {
                    let index = self.index();
                    let StreamKey { agent, service, .. } = key.stream.clone();
                    let counted = {
                        let by = (&index, &mut *memory.known());
                        count(by, &agent, &service, series, memory.skew_ns(), now)
                    };
                    let Counted { rows, slo, judged, observed } = counted;
                    let body =
                        WindowsBody { rows, tallies: tallies.clone(), frontiers, continued, slo };
                    let stored = self.commit_windows(batch_of.with(Fate::Counted(body))).await?;
                    if stored == Stored::Counted {
                        let events = samples;
                        let committed = Committed {
                            agent,
                            service,
                            judged,
                            observed,
                            events,
                            tallies,
                            n_lost: 0,
                        };
                        self.hub.send(Input::Committed(Box::new(committed))).await;
                    }
                    Ok(self.stored(batch_of, stored).await)
                }
                Some(Body::Events { events, frontiers }) => {
                    let fate = Fate::Counted(EventsBody { events, frontiers });
                    let stored = self.commit_events(batch_of.with(fate)).await?;
                    Ok(self.stored(batch_of, stored).await)
                }
                None => Ok(Reply::new(v1::Outcome::Damaged, "its body could not be read")),
            },
            Decision::Bury { reason } => {
                // What could be counted and is buried all the same lies behind a fence.
                let (raw, fenced) = (batch.body.to_vec(), content == Content::Good);
                self.bury(batch_of, reason, (raw, fenced)).await
            }
            Decision::Repeat => Ok(Reply::new(v1::Outcome::Durable, "")),
            Decision::Refused => {
                Ok(Reply::new(v1::Outcome::Refused, "refused before; it is a dead letter here"))
            }
            Decision::Forked => Ok(self.forked(key).await),
            Decision::Damaged => {
                Ok(Reply::new(v1::Outcome::Damaged, "its body does not have the digest it says"))
            }
            Decision::NotYet { reason } => Ok(Reply::new(v1::Outcome::NotYet, reason)),
        };
        self.tell_lost(&memory, key).await?;
        reply
    }

    /// Tells the engine of batches that turned out to be lost, whatever became of the batch that showed it.
    async fn tell_lost(&self, memory: &AgentMemory, key: &BatchKey) -> Result<(), StoreError> {
        let load = || self.store.reads().stream(&key.stream);
        let n_lost = memory.with_stream(&key.stream, load, |state| state.n_lost())?;
        let n_lost = memory.newly_lost(&key.stream, n_lost);
        if n_lost > 0 {
            let StreamKey { agent, service, .. } = key.stream.clone();
            self.hub.send(Input::Committed(Box::new(lost(agent, service, n_lost)))).await;
        }
        Ok(())
    }

    async fn bury(
        &self,
        of: Of<'_>,
        reason: String,
        (raw, fenced): (Vec<u8>, bool),
    ) -> Result<Reply, StoreError> {
        let reply = Reply::new(v1::Outcome::Refused, reason.clone());
        let stored = match of.key.stream.kind {
            Kind::Windows => {
                self.commit_windows(of.with(Fate::Buried { reason, raw, fenced })).await?
            }
            Kind::Events => {
                self.commit_events(of.with(Fate::Buried { reason, raw, fenced })).await?
            }
        };
        if stored == Stored::Forked {
            return Ok(self.forked(of.key).await);
        }
        if stored == Stored::Buried {
            self.remember(of, |state| state.buried(of.key.seq, of.digest));
            self.tell_dead_letters().await?;
        }
        Ok(reply)
    }

    /// There is a road that parks messages: how many there are is not known until it says so.
    pub(super) fn expect_parked(&self) {
        self.n_parked.store(NOT_COUNTED, Ordering::Relaxed);
    }

    /// So many messages lie parked where a road got them: they count as dead letters.
    pub(super) async fn set_parked(&self, n: u64) {
        if self.n_parked.swap(n, Ordering::Relaxed) != n
            && let Err(error) = self.tell_dead_letters().await
        {
            facts::dead_letters_uncounted(&error);
        }
    }

    /// Tells the engine how many dead letters there are, here and where a road has parked some.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn tell_dead_letters(&self) -> Result<(), StoreError> {
        let _turn = self.telling.lock().await;
        let broker = Some(self.n_parked.load(Ordering::Relaxed)).filter(|n| *n != NOT_COUNTED);
        let collector = self.store.reads().n_dead_letters()?;
        self.hub.send(Input::DeadLetters { collector, broker }).await;
        Ok(())
    }

    async fn commit_windows(&self, batch: BatchCommit<WindowsBody>) -> Result<Stored, StoreError> {
        crash::point("collector.before_commit");
        let commit = WindowsCommit { batches: vec![batch], ..WindowsCommit::default() };
        let committed = self.store.commit_windows(commit).await?;
        crash::point("collector.after_commit");
        Ok(committed.batches.first().copied().unwrap_or(Stored::Repeated))
    }

    async fn commit_events(&self, batch: BatchCommit<EventsBody>) -> Result<Stored, StoreError> {
        crash::point("collector.before_events_commit");
        let committed = self.store.commit_events(EventsCommit { batches: vec![batch] }).await?;
        crash::point("collector.after_events_commit");
        Ok(committed.batches.first().copied().unwrap_or(Stored::Repeated))
    }

    /// The store has spoken: what it counted is remembered, and the sender is answered.
    async fn stored(&self, of: Of<'_>, stored: Stored) -> Reply {
        match stored {
            // Counted before also where an earlier answer was lost on its way to this memory.
            Stored::Counted | Stored::Repeated | Stored::Buried => {
                self.remember(of, |state| state.counted(of.key.seq, of.digest));
                Reply::new(v1::Outcome::Durable, "")
            }
            Stored::Forked => self.forked(of.key).await,
        }
    }

    /// Changes what is remembered of a stream after a commit; if that cannot be, it is read again next time.
    fn remember(&self, of: Of<'_>, change: impl FnOnce(&mut StreamState)) {
        let load = || self.store.reads().stream(&of.key.stream);
        if of.memory.with_stream(&of.key.stream, load, change).is_err() {
            of.memory.forget_stream(&of.key.stream);
        }
    }

    async fn forked(&self, key: &BatchKey) -> Reply {
        let detail = format!("batch {key} came twice with different content");
        self.hub.send(Input::Forked { agent: key.stream.agent.clone(), detail }).await;
        Reply::new(v1::Outcome::Forked, "another batch has this number")
    }

    /// Fences off every epoch of this agent that it has lost. No batch is under way meanwhile.
    async fn fence_off(
        &self,
        agent: &AgentId,
        memory: &AgentMemory,
        epoch: Epoch,
        held: &[Epoch],
    ) -> Result<(), StoreError> {
        let mut fences = memory.fences.write().await;
        if fences.iter().any(|f| f.since == epoch.created_at && f.held.contains(&epoch)) {
            return Ok(());
        }
        let frontiers = newest(self.store.reads().frontiers_of(agent)?);
        let mut streams = self.store.reads().streams_of(agent)?;
        streams.retain(|row| !held.contains(&row.key.epoch));
        let mut told = BTreeMap::new();
        for row in &frontiers {
            let to = told.entry((row.source.clone(), row.file)).or_insert(0);
            *to = row.coverage.max_to.max(*to);
        }
        let mut lost: Vec<Epoch> = streams.iter().map(|row| row.key.epoch).collect();
        lost.sort();
        lost.dedup();
        let n_lost = lost.len();
        // What had not arrived of these epochs is with the spool that is gone.
        let gone = lost_with_the_spool(streams, &frontiers, &fences);
        let mut changed = fences.clone();
        changed.push(Fence { since: epoch.created_at, held: held.to_vec(), lost, told });
        // Older ones have done their work: a batch that is a month late is nobody's.
        let kept_since = clock::now() - FENCES_KEPT;
        changed.retain(|f| f.since >= kept_since);
        changed.sort_by_key(|f| f.since);
        changed.drain(..changed.len().saturating_sub(MAX_FENCES));
        let row = agents::row(agent, &changed, clock::now());
        let commit = WindowsCommit { agents: vec![row], ..WindowsCommit::default() };
        self.store.commit_windows(commit).await?;
        *fences = changed;
        facts::fenced_off(agent, epoch, n_lost);
        for committed in gone {
            self.hub.send(Input::Committed(Box::new(committed))).await;
        }
        Ok(())
    }

    fn memory(&self, agent: &AgentId) -> Result<Arc<AgentMemory>, StoreError> {
        if let Some(memory) = self.agents().get(agent) {
            return Ok(memory.clone());
        }
        let row = self.store.reads().agent(agent)?;
        let restored = AgentMemory::restored(row.as_ref()).unwrap_or_else(|error| {
            facts::agent_row_unreadable(agent, &error);
            AgentMemory::default()
        });
        // Two connections of one agent may both come here: the first one's memory holds.
        Ok(self.agents().entry(agent.clone()).or_insert_with(|| Arc::new(restored)).clone())
    }

    fn agents(&self) -> std::sync::MutexGuard<'_, HashMap<AgentId, Arc<AgentMemory>>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bounds that SLOs and rules want, for the wire.
pub(super) fn wanted_bounds(settings: &Settings) -> Vec<v1::WantedBounds> {
    settings
        .bounds()
        .into_iter()
        .map(|((service, signal), thresholds)| v1::WantedBounds {
            service: service.as_str().to_owned(),
            signal,
            at: thresholds.iter().flat_map(base_values).collect(),
        })
        .collect()
}

/// A threshold without a unit means something else in each dimension; the agent ignores what lies outside its values.
pub(crate) fn base_values(threshold: &watchkeeper_collector_core::series::Threshold) -> Vec<i64> {
    use watchkeeper_model::Dimension;
    let mut all: Vec<i64> = [Dimension::Time, Dimension::Bytes, Dimension::Ratio, Dimension::Plain]
        .into_iter()
        .filter_map(|d| threshold.base_in(d))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn state_of(row: StreamRow) -> StreamState {
    StreamState::restore(row.seen, row.dead, row.digests, row.settled_below)
}

/// The files an agent may still have: the welcome must fit one message.
fn newest(mut frontiers: Vec<FrontierRow>) -> Vec<FrontierRow> {
    frontiers.sort_by_key(|f| std::cmp::Reverse(f.updated_at));
    frontiers.truncate(MAX_FRONTIERS);
    frontiers
}

/// What the engine is told of a loss that no batch of its own goes with.
fn lost(agent: AgentId, service: Service, n_lost: u64) -> Committed {
    Committed {
        agent,
        service,
        judged: Vec::new(),
        observed: Vec::new(),
        events: Vec::new(),
        tallies: Vec::new(),
        n_lost,
    }
}

/// What is missing of the streams and files of lost epochs, as the engine is told: batches by service, bytes by source.
/// Epochs that an earlier fence is around were told then.
fn lost_with_the_spool(
    streams: Vec<StreamRow>,
    frontiers: &[FrontierRow],
    fences: &[Fence],
) -> Vec<Committed> {
    let is_new = |epoch: Epoch| !fences.iter().any(|f| f.is_around(epoch));
    let mut by_service: BTreeMap<Service, Committed> = BTreeMap::new();
    // Files belong to an epoch and not to a service: they are told with the first one.
    let mut told = BTreeSet::new();
    for row in streams.into_iter().filter(|row| is_new(row.key.epoch)) {
        let StreamKey { agent, service, epoch, .. } = row.key.clone();
        let n_missing = state_of(row).n_missing();
        let tallies = frontiers
            .iter()
            .filter(|f| f.epoch == epoch && f.coverage.gap_bytes() > 0)
            .map(|f| SourceTally {
                source: f.source.clone(),
                bytes_unknown: f.coverage.gap_bytes(),
                ..SourceTally::default()
            });
        let all = by_service.entry(service.clone()).or_insert_with(|| lost(agent, service, 0));
        all.n_lost += n_missing;
        if told.insert(epoch) {
            all.tallies.extend(tallies);
        }
    }
    by_service.into_values().filter(|c| c.n_lost > 0 || !c.tallies.is_empty()).collect()
}

fn read(key: &BatchKey, digest: Digest, batch: &v1::Batch) -> (Content, Option<wire::Decoded>) {
    if Digest::of(&batch.body) != digest {
        return (Content::Damaged, None);
    }
    if batch.format > watchkeeper_proto::FORMAT {
        return (Content::Newer { format: batch.format }, None);
    }
    match wire::decode_body(key, &batch.body) {
        Ok(decoded) => (Content::Good, Some(decoded)),
        Err(reason) => (Content::Poison { reason }, None),
    }
}

fn frontiers_of(body: &Body) -> &[Frontier] {
    match body {
        Body::Windows { frontiers, .. } | Body::Events { frontiers, .. } => frontiers,
    }
}

/// A batch on its way to the store.
#[derive(Clone, Copy)]
struct Of<'a> {
    memory: &'a AgentMemory,
    key: &'a BatchKey,
    digest: Digest,
    settled_below: u64,
    now: Timestamp,
}

impl Of<'_> {
    fn with<B>(self, fate: Fate<B>) -> BatchCommit<B> {
        BatchCommit {
            stream: self.key.stream.clone(),
            seq: self.key.seq,
            digest: self.digest,
            settled_below: self.settled_below,
            received_at: self.now,
            fate,
        }
    }
}
