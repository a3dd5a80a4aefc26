//! What can be read from the store.
//!
//! Owns the list of questions; what answers them lies with the tables. Every read blocks and runs on a read connection:
//! call it where blocking is allowed. Sees everything whose commit was answered before.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use watchkeeper_collector_core::report::IncidentFacts;
use watchkeeper_collector_core::slo::Counts;
use watchkeeper_model::{AgentId, Kind, StreamKey, Timestamp};

use super::engine_rows::{self, LedgerContents};
use super::error::StoreError;
use super::events::{self, EventFilter, StoredEvent};
use super::intake;
use super::ledger::{self, DeliveryFilter, Sequence, StateKind, StoredDelivery};
use super::letters::DeadLetter;
use super::page::{Page, Paged};
use super::past::{self, Extent, PastLimits, PastWanted};
use super::pool::Pool;
use super::scan::{self, Resolution, StoredWindow, Wanted};
use super::series::SeriesKey;
use super::sources::{self, AgentRow, FrontierRow, SourceTotals};
use super::streams::{StreamRow, Streams};

/// Read connections per file.
const CONNECTIONS: usize = 4;

/// The reading side of the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reads {
    pools: Arc<Pools>,
    limit: Option<Duration>,
    /// How long the ledger keeps what is over.
    ledger_kept: Duration,
}

#[derive(Debug)]
struct Pools {
    intake: Pool,
    ledger: Pool,
    events: Pool,
}

impl Reads {
    pub(super) fn open(data_dir: &Path, ledger_kept: Duration) -> Result<Self, StoreError> {
        let pool =
            |name: &'static str| Pool::open(data_dir.join(format!("{name}.db")), name, CONNECTIONS);
        let pools = Pools {
            intake: pool(intake::KIND.name)?,
            ledger: pool(ledger::KIND.name)?,
            events: pool(events::KIND.name)?,
        };
        Ok(Self { pools: Arc::new(pools), limit: None, ledger_kept })
    }

    /// The same, but a read that takes longer ends with [`StoreError::Timeout`].
    #[must_use]
    pub fn limited(&self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self.clone() }
    }

    /// One stream, its latest digests included.
    pub fn stream(&self, key: &StreamKey) -> Result<Option<StreamRow>, StoreError> {
        let (pool, streams) = self.delivery(key.kind);
        pool.read(self.limit, |conn| streams.load(conn, key))
    }

    /// All streams of an agent, of both kinds.
    pub fn streams_of(&self, agent: &AgentId) -> Result<Vec<StreamRow>, StoreError> {
        let mut all = Vec::new();
        for kind in [Kind::Windows, Kind::Events] {
            let (pool, streams) = self.delivery(kind);
            all.extend(pool.read(self.limit, |conn| streams.of_agent(conn, agent))?);
        }
        Ok(all)
    }

    /// Dead letters of a kind, oldest first.
    pub fn dead_letters(&self, kind: Kind) -> Result<Vec<DeadLetter>, StoreError> {
        let (pool, streams) = self.delivery(kind);
        pool.read(self.limit, |conn| streams.dead_letters(conn))
    }

    /// One dead letter and its sealed content.
    pub fn dead_letter(
        &self,
        kind: Kind,
        id: u64,
    ) -> Result<Option<(DeadLetter, Vec<u8>)>, StoreError> {
        let (pool, streams) = self.delivery(kind);
        pool.read(self.limit, |conn| streams.dead_letter(conn, id))
    }

    /// How many dead letters there are, of both kinds.
    pub fn n_dead_letters(&self) -> Result<u64, StoreError> {
        let mut n = 0;
        for kind in [Kind::Windows, Kind::Events] {
            let (pool, streams) = self.delivery(kind);
            n += pool.read(self.limit, |conn| streams.n_dead_letters(conn))?;
        }
        Ok(n)
    }

    /// How far an agent's files were read.
    pub fn frontiers_of(&self, agent: &AgentId) -> Result<Vec<FrontierRow>, StoreError> {
        let of = |pool: &Pool, file| {
            pool.read(self.limit, |conn| sources::frontiers_of(conn, file, agent))
        };
        let counts = of(&self.pools.intake, intake::KIND.name)?;
        let events = of(&self.pools.events, events::KIND.name)?;
        Ok(sources::merge_frontiers(counts, events))
    }

    /// What the intake remembers of an agent.
    pub fn agent(&self, id: &AgentId) -> Result<Option<AgentRow>, StoreError> {
        self.pools.intake.read(self.limit, |conn| Ok(sources::agents(conn, Some(id))?.pop()))
    }

    /// What the intake remembers of all agents.
    pub fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        self.pools.intake.read(self.limit, |conn| sources::agents(conn, None))
    }

    /// What every source did in all.
    pub fn source_totals(&self) -> Result<Vec<SourceTotals>, StoreError> {
        self.pools.intake.read(self.limit, |conn| sources::source_totals(conn))
    }

    /// What an SLO counted under a definition, in buckets from `since` on, the oldest first.
    pub fn slo_counts(
        &self,
        slo: &str,
        definition: u64,
        since: Timestamp,
    ) -> Result<Vec<(Timestamp, Counts)>, StoreError> {
        self.pools.intake.read(self.limit, |conn| sources::slo_counts(conn, slo, definition, since))
    }

    /// Calls `visit` for what SLOs counted in each bucket of some time, with their place in the list; `None` if that is
    /// more than a report may read.
    pub fn past_counts(
        &self,
        wanted: &PastWanted,
        limits: &PastLimits,
        visit: &mut dyn FnMut(usize, Timestamp, &Counts),
    ) -> Result<Option<Vec<Extent>>, StoreError> {
        let most = limits.buckets;
        self.pools.intake.read(self.limit, |conn| past::slo_counts(conn, wanted, most, visit))
    }

    /// Incidents that were on in `from..to`, with what was sent about them; `None` if that is more than a report may read.
    pub fn past_incidents(
        &self,
        from: Timestamp,
        to: Timestamp,
        limits: &PastLimits,
    ) -> Result<Option<Vec<IncidentFacts>>, StoreError> {
        self.pools.ledger.read(self.limit, |conn| past::incidents(conn, from, to, limits))
    }

    /// From when on what was told is kept.
    pub fn told_from(&self, now: Timestamp) -> Timestamp {
        now - self.ledger_kept
    }

    /// Calls `visit` for the counts wanted of every series of which `choose` makes something, with that: journal and
    /// rollups as one, each count once.
    pub fn scan<T>(
        &self,
        wanted: &Wanted,
        choose: &mut dyn FnMut(&SeriesKey) -> Option<T>,
        visit: &mut dyn FnMut(&SeriesKey, &T, StoredWindow<'_>) -> Result<(), StoreError>,
    ) -> Result<Resolution, StoreError> {
        self.pools.intake.read(self.limit, |conn| scan::scan(conn, wanted, choose, visit))
    }

    /// Events that match, newest first.
    pub fn events(
        &self,
        filter: &EventFilter,
        page: &Page,
    ) -> Result<Paged<StoredEvent>, StoreError> {
        self.pools.events.read(self.limit, |conn| events::select(conn, filter, page))
    }

    /// Deliveries that match, newest first.
    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Paged<StoredDelivery>, StoreError> {
        self.pools.ledger.read(self.limit, |conn| ledger::deliveries(conn, filter, page))
    }

    /// Everything the engine needs at start.
    pub fn ledger(&self) -> Result<LedgerContents, StoreError> {
        self.pools.ledger.read(self.limit, |conn| {
            Ok(LedgerContents {
                alerts: engine_rows::read("alert", ledger::live(conn, StateKind::Alert)?)?,
                groups: engine_rows::read("group", ledger::live(conn, StateKind::Group)?)?,
                incidents: engine_rows::read("incident", ledger::live(conn, StateKind::Incident)?)?,
                deliveries: engine_rows::read("delivery", ledger::under_way(conn)?)?,
                agents: engine_rows::read("agent", ledger::live(conn, StateKind::Agent)?)?,
                corrections: engine_rows::read(
                    "correction",
                    ledger::live(conn, StateKind::Correction)?,
                )?,
                last_incident: ledger::last(conn, Sequence::Incident)?,
                last_delivery: ledger::last(conn, Sequence::Delivery)?,
            })
        })
    }

    /// Whether each file can still be read: name and what is wrong.
    pub fn check(&self) -> Result<(), StoreError> {
        let Pools { intake, ledger, events } = &*self.pools;
        for pool in [intake, ledger, events] {
            if !pool.path().exists() {
                let error = std::io::Error::from(std::io::ErrorKind::NotFound);
                return Err(StoreError::io(pool.path(), &error));
            }
        }
        Ok(())
    }

    fn delivery(&self, kind: Kind) -> (&Pool, Streams) {
        match kind {
            Kind::Windows => (&self.pools.intake, intake::STREAMS),
            Kind::Events => (&self.pools.events, events::STREAMS),
        }
    }
}
