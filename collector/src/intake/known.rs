//! What SLOs and rules make of a series, found out once and not at every window.
//!
//! Owns a memory: which SLOs a series belongs to, and what its labels alone decide, hold as long as the settings do. The most
//! of an agent's series is bounded; beyond it all are found out anew. Never judges a value.

use std::collections::HashMap;
use std::sync::Arc;

use watchkeeper_collector_core::engine::Settings;
use watchkeeper_collector_core::slo::{SloSettings, Stance};
use watchkeeper_model::{AgentId, Labels, Service, Unit};

use crate::store::SeriesKey;

/// Series remembered of one agent.
const MOST: usize = 10_000;

/// Settings, and what is asked of them for every series.
#[derive(Debug)]
pub(crate) struct SloIndex {
    settings: Arc<Settings>,
    /// By their place in the settings.
    slos: Vec<Named>,
    by_signal: HashMap<(Service, String), Vec<usize>>,
}

#[derive(Debug)]
struct Named {
    name: Arc<str>,
    definition: u64,
}

/// An SLO that concerns a series.
pub(super) struct Concerned<'a> {
    pub(super) slo: &'a SloSettings,
    pub(super) name: &'a Arc<str>,
    pub(super) definition: u64,
}

impl SloIndex {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        let mut by_signal: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, slo) in settings.slos.iter().enumerate() {
            by_signal.entry((slo.service.clone(), slo.signal.clone())).or_default().push(at);
        }
        let slos = settings
            .slos
            .iter()
            .map(|slo| Named { name: slo.name.as_str().into(), definition: slo.definition() })
            .collect();
        Self { settings, slos, by_signal }
    }

    /// Whether it is about these very settings.
    pub(super) fn is_of(&self, settings: &Arc<Settings>) -> bool {
        Arc::ptr_eq(&self.settings, settings)
    }

    /// The SLO in some place of the settings.
    pub(super) fn concerned(&self, at: usize) -> Option<Concerned<'_>> {
        let (slo, Named { name, definition }) = (self.settings.slos.get(at)?, self.slos.get(at)?);
        Some(Concerned { slo, name, definition: *definition })
    }

    fn find_out(&self, agent: &AgentId, of: &SeriesOf) -> Known {
        let SeriesOf { service, signal, unit, labels } = of;
        let labels = labels.with_one("agent", agent.as_str());
        let concerning = self.by_signal.get(&(service.clone(), signal.clone()));
        let stances = concerning.into_iter().flatten().filter_map(|at| {
            let stance = self.settings.slos.get(*at)?.stance(&labels);
            (stance != Stance::Outside).then_some((*at, stance))
        });
        Known {
            slos: stances.collect(),
            is_wanted: self.settings.wants(service, signal),
            key: SeriesKey {
                service: service.clone(),
                signal: signal.as_str().into(),
                unit: *unit,
                labels,
            },
        }
    }
}

/// A series as its agent names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SeriesOf {
    pub(super) service: Service,
    pub(super) signal: String,
    pub(super) unit: Unit,
    pub(super) labels: Labels,
}

/// What is known of a series.
#[derive(Debug)]
pub(super) struct Known {
    /// As it is stored.
    pub(super) key: SeriesKey,
    /// The SLOs that it belongs to by their place in the settings, and how it stands to each.
    pub(super) slos: Vec<(usize, Stance)>,
    /// Whether a rule looks at it.
    pub(super) is_wanted: bool,
}

/// The series of one agent.
#[derive(Debug, Default)]
pub(crate) struct KnownSeries {
    of: Option<Arc<SloIndex>>,
    series: HashMap<SeriesOf, Arc<Known>>,
}

impl KnownSeries {
    /// What is known of a series, found out if it is new or the settings are.
    pub(super) fn know(
        &mut self,
        index: &Arc<SloIndex>,
        agent: &AgentId,
        of: SeriesOf,
    ) -> Arc<Known> {
        let is_current = self.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, index));
        if !is_current || self.series.len() >= MOST && !self.series.contains_key(&of) {
            self.series.clear();
            self.of = Some(index.clone());
        }
        let found_out = |of: &SeriesOf| Arc::new(index.find_out(agent, of));
        self.series.entry(of).or_insert_with_key(found_out).clone()
    }
}
