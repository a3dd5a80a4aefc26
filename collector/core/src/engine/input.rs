//! What the engine is told.
//!
//! Owns the closed set of inputs, the settings and what a restart brings back. Never parses anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchkeeper_model::{AgentId, Epoch, Event, Service, SourceTally, Timestamp};

use super::slos::views_of;
use crate::alert::{AlertRow, BuiltinSettings, Fingerprint, RuleSettings};
use crate::notify::{DeliveryRow, GroupRow, IncidentRow, Reply};
use crate::route::RouteTree;
use crate::series::Observed;
use crate::slo::{Correction, CorrectionRow, Counts, Judged, Over, SloSettings, Tally};

/// Everything the engine needs to know of a configuration. Never changed: a reload brings new ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// SLOs; names are unique.
    pub slos: Vec<SloSettings>,
    /// Rules; names are unique.
    pub rules: Vec<RuleSettings>,
    /// What budgets leave out.
    pub corrections: Vec<Correction>,
    /// Which built-in alerts are on.
    pub builtin: BuiltinSettings,
    /// Who is told what.
    pub routes: RouteTree,
    /// Every receiver that a route names, and others.
    pub receivers: Vec<ReceiverSettings>,
    /// Where this collector is reached by people; without a slash at its end.
    pub external_url: String,
}

/// A receiver as far as the engine is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// Its name.
    pub name: String,
    /// Its integrations; none means that nobody is told.
    pub integrations: Vec<IntegrationSettings>,
}

/// One integration of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationSettings {
    /// Which: kind and position among those of its kind, `slack[0]`. Incidents are kept under it.
    pub id: String,
    /// The kind of channel: `slack`.
    pub kind: String,
    /// Whether the end of a problem is told.
    pub send_resolved: bool,
}

/// What a restart brings back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restored {
    /// Alerts, as last saved.
    pub alerts: Vec<AlertRow>,
    /// Groups, as last saved.
    pub groups: Vec<GroupRow>,
    /// Incidents that are not closed or abandoned.
    pub incidents: Vec<IncidentRow>,
    /// Deliveries whose outcome is not final.
    pub deliveries: Vec<DeliveryRow>,
    /// Agents, as last saved.
    pub agents: Vec<AgentRow>,
    /// Totals of their sources since ever.
    pub tallies: Vec<(AgentId, SourceTally)>,
    /// The greatest incident number ever used; 0 if none.
    pub last_incident: u64,
    /// The greatest delivery id ever used; 0 if none.
    pub last_delivery: u64,
    /// Counts of SLOs.
    pub slos: Vec<RestoredSlo>,
    /// Corrections that people added, ended ones among them.
    pub corrections: Vec<CorrectionRow>,
    /// Windows of the last [`Settings::look_back`] for the rules.
    pub observed: Vec<Observed>,
}

/// What is stored of an SLO's counts under its present definition, as the engine will keep it: a month of many SLOs in any
/// other form would be several times as large.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredSlo {
    name: String,
    tally: Tally,
    now: Timestamp,
}

impl RestoredSlo {
    /// Nothing yet of an SLO among all.
    pub fn new(slo: &SloSettings, all: &Settings, now: Timestamp) -> Self {
        let tally = Tally::new(slo.method, views_of(slo, all));
        Self { name: slo.name.clone(), tally, now }
    }

    /// Adds what a bucket holds as it is stored: 5 minutes, or a slice. They reach over its whole window.
    pub fn coarse(&mut self, bucket: Timestamp, counts: &Counts) {
        self.tally.restore(bucket, counts, false, self.now);
    }

    /// Adds what a window holds that is as fine as it is still stored: over the last [`Settings::fine_look_back_of`].
    pub fn fine(&mut self, start: Timestamp, counts: &Counts) {
        self.tally.restore(start, counts, true, self.now);
    }

    /// Which SLO's.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// What the intake has put on disk: one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// Whose.
    pub agent: AgentId,
    /// Of which service.
    pub service: Service,
    /// Its windows, judged; without empty counts.
    pub judged: Vec<Judged>,
    /// Its windows, where a rule concerns them ([`Settings::wants`]).
    pub observed: Vec<Observed>,
    /// Its events.
    pub events: Vec<Event>,
    /// What its sources did.
    pub tallies: Vec<SourceTally>,
    /// Batches of its stream that were found to be lost with it.
    pub n_lost: u64,
}

/// An agent's hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who.
    pub agent: AgentId,
    /// Of which spool.
    pub epoch: Epoch,
    /// Of which process.
    pub instance: u64,
    /// Its version.
    pub version: String,
}

/// How an agent's messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Directly, by gRPC.
    Grpc,
    /// By RabbitMQ.
    Amqp,
}

impl Road {
    /// Its word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Amqp => "amqp",
        }
    }
}

/// An agent's beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Who.
    pub agent: AgentId,
    /// Of which spool.
    pub epoch: Epoch,
    /// Of which process.
    pub instance: u64,
    /// By its own clock.
    pub sent_at: Timestamp,
    /// Its version.
    pub version: String,
    /// How much is in its spool.
    pub spool_bytes: u64,
    /// How much fits.
    pub spool_max_bytes: u64,
    /// How much of its files it has still to read.
    pub lag_bytes: u64,
    /// How it came.
    pub road: Road,
    /// Its sources.
    pub sources: Vec<SourceHealth>,
}

/// How a source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// Its name.
    pub name: String,
    /// `tail`, `probe`, …
    pub kind: String,
    /// `ok`, or what is wrong.
    pub state: String,
    /// Whose data it makes.
    pub service: String,
}

/// Why an agent says bye.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ByeReason {
    /// It was stopped.
    Stop,
    /// A newer one takes over.
    Upgrade,
    /// Its machine goes to sleep.
    Sleep,
    /// Its machine goes down.
    Shutdown,
}

/// Whether an agent is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// It beats.
    Live,
    /// It does not, and has not said why.
    Silent,
    /// It said bye.
    Stopped,
}

/// What is stored of an agent. Totals of its sources are stored with its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentRow {
    /// Who.
    pub id: AgentId,
    /// Whether it is there.
    pub state: AgentState,
    /// Its last hello or beat as of the last time this was saved, which is when something else changed.
    pub last_beat: Option<Timestamp>,
    /// Its current epoch, as text; "" if only data of it are known.
    pub epoch: String,
    /// Its version.
    pub version: String,
    /// The services it has delivered for.
    pub services: BTreeSet<Service>,
    /// Why it is stopped.
    pub bye: Option<ByeReason>,
}

/// Something happened, or time has passed.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A batch is on disk.
    Committed(Box<Committed>),
    /// An agent has connected.
    Hello(Hello),
    /// An agent is alive.
    Beat(Box<Beat>),
    /// An agent goes away on purpose.
    Bye {
        /// Who.
        agent: AgentId,
        /// Why.
        reason: ByeReason,
    },
    /// An agent's connection ended, with or without a bye. Its beats tell whether it is silent.
    Disconnected {
        /// Who.
        agent: AgentId,
    },
    /// A batch was answered `forked`.
    Forked {
        /// By whom it was sent.
        agent: AgentId,
        /// In words: which stream, which number.
        detail: String,
    },
    /// How much of `storage.max_bytes` is used.
    StorageUsed {
        /// Used.
        bytes: u64,
        /// Allowed.
        max_bytes: u64,
    },
    /// How many dead letters there are.
    DeadLetters {
        /// In the collector's own files.
        collector: u64,
        /// In the broker's queue; 0 without a broker, `None` while that is not known.
        broker: Option<u64>,
    },
    /// What became of an attempt to deliver.
    Delivered {
        /// Which delivery.
        delivery: u64,
        /// What the worker says.
        reply: Reply,
    },
    /// Somebody takes on an alert.
    Acknowledge {
        /// Which.
        fingerprint: Fingerprint,
        /// Who.
        by: String,
        /// What they say to it.
        comment: String,
    },
    /// A receiver was tried out: rows that belong to no incident, done with, still without an id.
    Tested(Vec<DeliveryRow>),
    /// Somebody takes planned maintenance out of budgets. Number and time of adding are the engine's.
    AddCorrection(Box<CorrectionRow>),
    /// Somebody takes a correction back.
    EndCorrection {
        /// Which.
        id: u64,
        /// Who.
        by: String,
    },
    /// The configuration has changed.
    Reload {
        /// The new one, whole.
        settings: Box<Settings>,
        /// Counts for SLOs that are new or count something else than before, where the series could answer.
        restored: Vec<RestoredSlo>,
    },
    /// Time has passed: see [`Engine::next_deadline`](super::Engine::next_deadline).
    Tick,
}

impl Settings {
    /// The composites that an SLO is part of.
    pub fn composites_of(&self, slo: &SloSettings) -> impl Iterator<Item = &SloSettings> {
        self.slos.iter().filter(move |c| c.composite.iter().any(|part| part.slo == slo.name))
    }

    /// The windows over which an SLO's counts are wanted: its own, and those of composites that it is part of.
    pub fn overs_of(&self, slo: &SloSettings) -> Vec<Over> {
        let of_composites = self.composites_of(slo).flat_map(SloSettings::overs);
        slo.overs().into_iter().chain(of_composites).collect()
    }

    /// How far back an SLO's counts are wanted after a restart, by bucket as they are stored.
    pub fn look_back_of(&self, slo: &SloSettings) -> Duration {
        self.overs_of(slo).iter().map(Over::reach).max().unwrap_or_default()
    }

    /// How far back finer ones are wanted. Slices need none: they are stored one by one.
    pub fn fine_look_back_of(&self, slo: &SloSettings) -> Duration {
        if slo.method.slice().is_some() {
            return Duration::ZERO;
        }
        let fine = self.overs_of(slo).into_iter().filter(Over::is_fine);
        fine.map(|over| over.reach()).max().unwrap_or_default()
    }

    /// The finest buckets in which such are counted.
    pub fn fine_grain_of(&self, slo: &SloSettings) -> Duration {
        let fine = self.overs_of(slo).into_iter().filter(Over::is_fine);
        fine.map(|over| over.width()).min().unwrap_or(Duration::from_secs(1))
    }

    /// Whether a rule needs the windows of this signal.
    pub fn wants(&self, service: &Service, signal: &str) -> bool {
        self.rules.iter().any(|rule| rule.concerns(service, signal))
    }

    /// How far back windows are wanted for the rules after a restart.
    pub fn look_back(&self) -> Duration {
        self.rules.iter().map(|rule| rule.over).max().unwrap_or_default()
    }

    /// The thresholds that SLOs and rules compare a signal's values with, in base units: what agents should count
    /// exactly. Bare thresholds are not among them until the signal's unit is known; see
    /// [`Threshold::base_in`](crate::series::Threshold::base_in).
    pub fn bounds(&self) -> BTreeMap<(Service, String), Vec<crate::series::Threshold>> {
        let mut bounds: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for slo in &self.slos {
            if let Some(below) = slo.below {
                let wanted = bounds.entry((slo.service.clone(), slo.signal.clone())).or_default();
                if !wanted.contains(&below) {
                    wanted.push(below);
                }
            }
        }
        bounds
    }

    /// The receiver of that name.
    pub fn receiver(&self, name: &str) -> Option<&ReceiverSettings> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }
}
