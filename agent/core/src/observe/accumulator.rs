//! Everything an agent has counted since the last seal.
//!
//! Owns counts, tallies and event bodies from observation to seal, for all sources of the agent. A seal takes
//! everything; if it can't be stored it comes back and adds up with what follows. Bounded: label sets by
//! `max_series`, memory by [`Accumulator::held_bytes`], which the sealing policy watches. Never writes, never drops a
//! count; event bodies go only when the [`SealOrder`] says so, and each is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeeper_model::{
    AgentId, Body, Event, Frontier, Labels, SeriesWindows, Service, Severity, SourceTally,
    TimeBasis, Timestamp, Unit, Window, WindowPart,
};

use super::cell::Cell;
use super::event::{self, MessageIs};
use super::finished::{Finished, SeriesKey};
use super::in_use::put;
use super::redact::Redactor;
use super::series::{LabelKey, SeriesSet};
use crate::seal::{SealOrder, split};

/// A source known to an accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(pub(super) usize);

/// A signal known to an accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignalId(pub(super) usize);

/// What a signal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalSpec {
    /// Whose.
    pub service: Service,
    /// Its name.
    pub name: String,
    /// In which unit its values were written.
    pub unit: Unit,
    /// Whose clock its windows go by.
    pub basis: TimeBasis,
    /// The names of its labels; observations give values in this order.
    pub labels: Vec<String>,
    /// Bounds at which to count exactly, in base units.
    pub bounds: Vec<i64>,
    /// How many label sets it may have.
    pub max_series: usize,
}

/// One thing seen.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Of which signal.
    pub signal: SignalId,
    /// By which source.
    pub source: SourceId,
    /// Its label values.
    pub labels: &'a LabelKey,
    /// Its value in base units, if it has one.
    pub value: Option<i64>,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Signal {
    /// Its place is not free for another one.
    pub(super) is_known: bool,
    spec: SignalSpec,
    /// Configured and wanted ones, sorted, each once.
    bounds: Vec<i64>,
    pub(super) set: SeriesSet,
}

#[derive(Debug)]
pub(super) struct SourceEntry {
    /// Its place is not free for another one.
    pub(super) is_known: bool,
    service: Service,
    pub(super) tally: SourceTally,
    /// Events held back since the start, by definition.
    held_back: BTreeMap<String, u64>,
}

/// A label whose values became too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflowed {
    /// Of which service.
    pub service: Service,
    /// Of which signal.
    pub signal: String,
    /// The label.
    pub label: String,
    /// How many of its values became `__overflow__` since its label sets were last looked through.
    pub n: u64,
}

/// Event bodies that a limit held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// By which source.
    pub source: String,
    /// Of which definition.
    pub event: String,
    /// How many since the start.
    pub n: u64,
}

/// What one seal took, in batches to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// When.
    pub at: Timestamp,
    /// By service, in the order of their names.
    pub services: Vec<SealedService>,
    n_observed: u64,
}

/// The batches to be of one service, in the order to be numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedService {
    /// Whose.
    pub service: Service,
    /// Windows before events; the first windows carry the tallies and frontiers. Each fits a batch.
    pub bodies: Vec<Body>,
}

/// Everything counted since the last seal.
#[derive(Debug)]
pub struct Accumulator {
    agent: AgentId,
    labels: Labels,
    redactor: Arc<Redactor>,
    pub(super) sources: Vec<SourceEntry>,
    pub(super) signals: Vec<Signal>,
    wanted: BTreeMap<(Service, String), Vec<i64>>,
    width_secs: u32,
    n_observed: u64,
    n_cells: usize,
    held_bytes: usize,
    /// Windows of other bounds or another width than is counted now, or back from a failed seal.
    finished: Finished,
    events: Vec<(Service, Event)>,
}

impl Accumulator {
    /// Whose it is.
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// An empty one for this agent, whose labels every series gets. It takes out of events what is taken out by default.
    pub fn new(agent: AgentId, labels: Labels) -> Self {
        Self {
            agent,
            labels,
            redactor: Arc::default(),
            sources: Vec::new(),
            signals: Vec::new(),
            wanted: BTreeMap::new(),
            width_secs: 1,
            n_observed: 0,
            n_cells: 0,
            held_bytes: 0,
            finished: Finished::default(),
            events: Vec::new(),
        }
    }

    /// Takes this out of events, and if it says so out of labels, from now on. Events that are kept already stay as they
    /// are.
    pub fn set_redactor(&mut self, redactor: Redactor) {
        self.redactor = Arc::new(redactor);
        for id in 0..self.signals.len() {
            // What was counted so far has the labels of before.
            self.carry_cells(id);
            self.signals[id].set.set_redactor(self.redactor.clone());
        }
    }

    /// Makes a source known; naming it again, after a reload, gives the same id.
    pub fn source(&mut self, name: &str, service: &Service) -> SourceId {
        let same = |s: &SourceEntry| s.is_known && s.tally.source == name && s.service == *service;
        let at = self.sources.iter().position(same).unwrap_or_else(|| {
            let tally = SourceTally { source: name.to_owned(), ..SourceTally::default() };
            let service = service.clone();
            let entry = SourceEntry { is_known: true, service, tally, held_back: BTreeMap::new() };
            put(&mut self.sources, entry, |s| s.is_known)
        });
        SourceId(at)
    }

    /// Makes a signal known. One of the same service, name, unit, clock and label names is the same signal, with these
    /// bounds and this limit from now on.
    pub fn signal(&mut self, spec: SignalSpec) -> SignalId {
        let max_series = spec.max_series.max(1);
        let same = |s: &Signal| {
            s.is_known
                && (&s.spec.service, &s.spec.name, s.spec.unit, s.spec.basis, &s.spec.labels)
                    == (&spec.service, &spec.name, spec.unit, spec.basis, &spec.labels)
        };
        let id = match self.signals.iter().position(same) {
            Some(id) => {
                self.signals[id].set.set_max_series(max_series);
                self.signals[id].spec = spec;
                id
            }
            None => {
                let names = spec.labels.iter().map(|n| Arc::from(n.as_str())).collect();
                let redactor = self.redactor.clone();
                let set = SeriesSet::new(names, self.labels.clone(), max_series, redactor);
                let signal = Signal { is_known: true, spec, bounds: Vec::new(), set };
                put(&mut self.signals, signal, |s| s.is_known)
            }
        };
        self.apply_bounds(id);
        SignalId(id)
    }

    /// Forgets the bounds that the collector wanted, before it says anew.
    pub fn clear_wanted_bounds(&mut self) {
        self.wanted.clear();
        (0..self.signals.len()).for_each(|id| self.apply_bounds(id));
    }

    /// Counts exactly at these bounds too from now on; they replace those wanted before for this signal.
    pub fn set_wanted_bounds(&mut self, service: &Service, signal: &str, bounds: &[i64]) {
        self.wanted.insert((service.clone(), signal.to_owned()), bounds.to_vec());
        for id in 0..self.signals.len() {
            if self.signals[id].spec.service == *service && self.signals[id].spec.name == signal {
                self.apply_bounds(id);
            }
        }
    }

    fn apply_bounds(&mut self, id: usize) {
        let spec = &self.signals[id].spec;
        let wanted = self.wanted.get(&(spec.service.clone(), spec.name.clone()));
        let mut bounds: Vec<i64> =
            spec.bounds.iter().chain(wanted.into_iter().flatten()).copied().collect();
        bounds.sort_unstable();
        bounds.dedup();
        if bounds != self.signals[id].bounds {
            // What was counted so far covers the bounds of before and no others.
            self.carry_cells(id);
            self.signals[id].bounds = bounds;
        }
    }

    /// Counts one observation.
    pub fn observe(&mut self, observation: &Observation<'_>, now: Timestamp) {
        let Observation { signal: SignalId(id), source, labels, value, at } = *observation;
        let signal = &mut self.signals[id];
        let place = signal.set.place(labels, now);
        let window = Window::holding(at, self.width_secs);
        let cells = &mut signal.set.all[place.series].cells;
        let cell = match cells.last_mut() {
            Some(last) if last.window == window => cells.len() - 1,
            _ => match cells.binary_search_by_key(&window, |c| c.window) {
                Ok(known) => known,
                Err(new) => {
                    cells.insert(new, Cell::new(window));
                    self.n_cells += 1;
                    new
                }
            },
        };
        match value {
            Some(value) => cells[cell].record(value, at, self.n_observed, &signal.bounds),
            None => cells[cell].count(),
        }
        self.n_observed += 1;
        if place.n_redacted > 0 {
            self.tally(source).redacted += place.n_redacted;
        }
        if place.n_overflowed > 0 {
            self.note_overflow(id, source, place.n_overflowed, place.first_overflow_of, now);
        }
    }

    #[cold]
    fn note_overflow(
        &mut self,
        id: usize,
        source: SourceId,
        n: u64,
        first: Option<usize>,
        now: Timestamp,
    ) {
        self.tally(source).overflowed += n;
        let Some(label) = first else { return };
        let signal = &self.signals[id];
        let (name, label) = (&signal.spec.name, signal.set.label_name(label));
        let limit = signal.spec.max_series;
        let event = Event {
            at: now,
            source: self.sources[source.0].tally.source.clone(),
            name: "label_overflow".to_owned(),
            severity: Severity::Warning,
            message: format!(
                "signal {name:?} has more than {limit} label sets: further values of label {label:?} \
                 become \"__overflow__\""
            ),
            correlation: String::new(),
            trace: String::new(),
            fields: format!(r#"{{"signal":"{name}","label":"{label}","max_series":{limit}}}"#),
            truncated: false,
        };
        self.event(source, event);
    }

    /// Keeps an event, without what must not leave the host and cut to its limits. Its source is filled in.
    ///
    /// Every body passes here: nothing that is sealed was not redacted.
    pub fn event(&mut self, source: SourceId, event: Event) {
        self.event_of_line(source, event, MessageIs::Said);
    }

    /// As [`Accumulator::event`], of a line that may stand for its message.
    pub(super) fn event_of_line(&mut self, source: SourceId, event: Event, message: MessageIs) {
        let entry = &mut self.sources[source.0];
        let event = Event { source: entry.tally.source.clone(), ..event };
        let (event, n_redacted) = event::made_fit(event, message, &self.redactor);
        entry.tally.redacted += n_redacted;
        self.held_bytes += event::held_bytes(&event);
        self.events.push((entry.service.clone(), event));
    }

    /// Counts an event body that was not kept, because its definition has reached its limit.
    pub(super) fn hold_back(&mut self, source: SourceId, event: &str) {
        let entry = &mut self.sources[source.0];
        entry.tally.events_held_back += 1;
        match entry.held_back.get_mut(event) {
            Some(n) => *n += 1,
            None => _ = entry.held_back.insert(event.to_owned(), 1),
        }
    }

    /// Event bodies held back since the start, by source and definition, for the metric that names them.
    pub fn held_back(&self) -> Vec<HeldBack> {
        let of_source = |entry: &SourceEntry| {
            let source = entry.tally.source.clone();
            let of = move |(event, &n): (&String, &u64)| HeldBack {
                source: source.clone(),
                event: event.clone(),
                n,
            };
            entry.held_back.iter().map(of).collect::<Vec<_>>()
        };
        self.sources.iter().flat_map(of_source).collect()
    }

    /// What a source did since the last seal, to be added to.
    pub fn tally(&mut self, source: SourceId) -> &mut SourceTally {
        &mut self.sources[source.0].tally
    }

    /// Whether nothing was counted, kept or reported since the last seal.
    pub fn is_empty(&self) -> bool {
        self.n_observed == 0
            && self.events.is_empty()
            && self.finished.is_empty()
            && self.sources.iter().all(|s| s.tally.is_empty())
    }

    /// About how much memory everything not sealed takes; cheap to ask.
    pub fn held_bytes(&self) -> usize {
        // A cell with the few dozen buckets that a window of one series has.
        const CELL_BYTES: usize = 512;
        self.held_bytes + self.n_cells * CELL_BYTES
    }

    /// Labels that overflow at present, for the metric that names them.
    pub fn overflowed(&self) -> Vec<Overflowed> {
        let of_signal = |signal: &Signal| {
            let counts = signal.set.overflowed.iter().enumerate().filter(|(_, n)| **n > 0);
            counts
                .map(|(label, &n)| Overflowed {
                    service: signal.spec.service.clone(),
                    signal: signal.spec.name.clone(),
                    label: signal.set.label_name(label).to_owned(),
                    n,
                })
                .collect::<Vec<_>>()
        };
        self.signals.iter().flat_map(of_signal).collect()
    }

    /// Takes everything since the last seal. The frontiers say how far the files were read that it covers.
    pub fn seal(
        &mut self,
        now: Timestamp,
        order: &SealOrder,
        frontiers: Vec<(Service, Frontier)>,
    ) -> Sealed {
        (0..self.signals.len()).for_each(|id| self.carry_cells(id));
        self.signals.iter_mut().for_each(|s| s.set.forget_idle(now));
        self.width_secs = order.width_secs.max(1);
        self.drop_events(order);

        let mut services: BTreeMap<Service, split::Content> = BTreeMap::new();
        for (service, series) in self.finished.take(self.width_secs) {
            services.entry(service).or_default().series.push(series);
        }
        for (service, event) in std::mem::take(&mut self.events) {
            let source = self.source(&event.source, &service);
            self.tally(source).events += 1;
            services.entry(service).or_default().events.push(event);
        }
        for source in &mut self.sources {
            if !source.tally.is_empty() {
                let next =
                    SourceTally { source: source.tally.source.clone(), ..Default::default() };
                let tally = std::mem::replace(&mut source.tally, next);
                services.entry(source.service.clone()).or_default().tallies.push(tally);
            }
        }
        for (service, frontier) in frontiers {
            services.entry(service).or_default().frontiers.push(frontier);
        }
        self.held_bytes = 0;
        let services = services
            .into_iter()
            .map(|(service, content)| SealedService { service, bodies: split::bodies(content) })
            .collect();
        Sealed { at: now, services, n_observed: std::mem::take(&mut self.n_observed) }
    }

    /// Takes back a seal that could not be stored; what was counted since adds up with it. Its frontiers are not
    /// kept: the sources give them again.
    pub fn restore(&mut self, sealed: Sealed) {
        self.n_observed += sealed.n_observed;
        let mut events = Vec::new();
        for SealedService { service, bodies } in sealed.services {
            for body in bodies {
                match body {
                    Body::Windows { series, tallies, .. } => {
                        series.into_iter().for_each(|s| self.carry_series(&service, s));
                        for tally in tallies {
                            let SourceId(id) = self.source(&tally.source, &service);
                            add_tally(&mut self.sources[id].tally, &tally);
                        }
                    }
                    Body::Events { events: again, frontiers: _ } => {
                        self.held_bytes += again.iter().map(event::held_bytes).sum::<usize>();
                        events.extend(again.into_iter().map(|e| (service.clone(), e)));
                    }
                }
            }
        }
        events.append(&mut self.events);
        self.events = events;
    }

    /// Moves a signal's windows in the making to the finished ones.
    fn carry_cells(&mut self, id: usize) {
        let Signal { spec, bounds, set, .. } = &mut self.signals[id];
        for series in &mut set.all {
            if series.cells.is_empty() {
                continue;
            }
            series.seen = true;
            let key = SeriesKey {
                service: spec.service.clone(),
                signal: spec.name.clone(),
                unit: spec.unit,
                labels: series.labels.clone(),
                basis: spec.basis,
            };
            let parts = self.finished.of(key);
            self.n_cells -= series.cells.len();
            for cell in series.cells.drain(..) {
                self.held_bytes += cell.held_bytes();
                let window = cell.window;
                parts.add(window, cell.into_distribution(bounds, &self.agent));
            }
        }
    }

    fn carry_series(&mut self, service: &Service, series: SeriesWindows) {
        let key = SeriesKey {
            service: service.clone(),
            signal: series.signal,
            unit: series.unit,
            labels: series.labels,
            basis: series.basis,
        };
        let parts = self.finished.of(key);
        for WindowPart { window, distribution } in series.windows {
            self.held_bytes += 256;
            parts.add(window, distribution);
        }
    }

    /// Lets event bodies go that the order has no room for, least severe first, and counts them.
    fn drop_events(&mut self, order: &SealOrder) {
        let mut room = order.max_event_bytes;
        let mut by_severity: Vec<usize> = (0..self.events.len()).collect();
        by_severity.sort_by_key(|&i| (std::cmp::Reverse(self.events[i].1.severity), i));
        let mut keep = vec![false; self.events.len()];
        for i in by_severity {
            let event = &self.events[i].1;
            let bytes = event::held_bytes(event);
            if order.least_severity.is_some_and(|least| event.severity < least) || bytes > room {
                // Nothing less severe may take the place of this one.
                break;
            }
            room -= bytes;
            keep[i] = true;
        }
        let events = std::mem::take(&mut self.events);
        for ((service, event), keep) in events.into_iter().zip(keep) {
            if keep {
                self.events.push((service, event));
            } else {
                let source = self.source(&event.source, &service);
                self.tally(source).events_dropped += 1;
            }
        }
    }
}

/// All but `events`: the bodies are back and will be counted again.
fn add_tally(to: &mut SourceTally, more: &SourceTally) {
    let events = to.events;
    to.add(more);
    to.events = events;
}
