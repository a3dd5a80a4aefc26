//! Observations and events that no line says: what a source measured itself.
//!
//! Owns the way from a measurement into the accumulator: units and base units as for lines, label sets within `max_series`,
//! and events within [`MAX_EVENTS`]. Never measures.

use std::time::Duration;

use serde_json::Value as Json;
use watchkeeper_model::{Event, Service, Severity, TimeBasis, Timestamp, Unit};

use super::accumulator::{Accumulator, Observation, SignalId, SignalSpec, SourceId};
use super::in_use::InUse;
use super::limit::{Bucket, EventLimit};
use super::series::LabelKey;
use super::settings::DEFAULT_MAX_SERIES;

/// How many event bodies of one source are kept in a stretch of time, and as many of those that are errors or worse; the others
/// are counted as held back.
pub const MAX_EVENTS: EventLimit = EventLimit { events: 60, per: Duration::from_secs(60) };

/// A signal that a source makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    /// What it measures.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// An event that a source makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Its name.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What a person reads first.
    pub message: String,
    /// The whole, an object.
    pub fields: Json,
}

/// Counts what one source measures.
#[derive(Debug)]
pub struct Measures {
    source: SourceId,
    signals: Vec<(Measure, SignalId)>,
    labels: LabelKey,
    room: Bucket,
    /// What is severe comes last of many, when all is lost: it has room of its own.
    room_of_severe: Bucket,
}

impl Measures {
    /// A source that makes these signals, made known to the accumulator.
    pub fn new(source: &str, service: &Service, all: &[Measure], into: &mut Accumulator) -> Self {
        Self::with_room(source, service, all, DEFAULT_MAX_SERIES, into)
    }

    /// The same with room for so many label sets of each signal: where many sources of a service make the same ones.
    pub fn with_room(
        source: &str,
        service: &Service,
        all: &[Measure],
        max_series: usize,
        into: &mut Accumulator,
    ) -> Self {
        let known = |measure: &Measure, into: &mut Accumulator| {
            into.signal(SignalSpec {
                service: service.clone(),
                name: measure.name.to_owned(),
                unit: measure.unit,
                basis: TimeBasis::Agent,
                labels: measure.labels.iter().map(|&label| label.to_owned()).collect(),
                bounds: Vec::new(),
                max_series,
            })
        };
        Self {
            source: into.source(source, service),
            signals: all.iter().map(|measure| (*measure, known(measure, into))).collect(),
            labels: LabelKey::default(),
            room: Bucket::full(MAX_EVENTS),
            room_of_severe: Bucket::full(MAX_EVENTS),
        }
    }

    /// Counts a look: it is what lines are to other sources.
    pub fn looked(&self, into: &mut Accumulator) {
        into.tally(self.source).read += 1;
    }

    /// Counts an observation with this value in base units. Labels stand in the measure's order; "" is none.
    pub fn observe(
        &mut self,
        measure: &Measure,
        labels: &[&str],
        value: i64,
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        self.put(measure, labels, Some(value), now, into);
    }

    /// Counts an observation without a value: that there was one is all that is known.
    pub fn count(
        &mut self,
        measure: &Measure,
        labels: &[&str],
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        self.put(measure, labels, None, now, into);
    }

    fn put(
        &mut self,
        measure: &Measure,
        labels: &[&str],
        value: Option<i64>,
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        let known = self.signals.iter().find(|(known, _)| known.name == measure.name);
        debug_assert!(known.is_some(), "bug: {} was not made known", measure.name);
        debug_assert_eq!(labels.len(), measure.labels.len(), "bug: labels of {}", measure.name);
        let Some(&(_, signal)) = known else { return };
        self.labels.clear();
        labels.iter().for_each(|label| self.labels.push(label));
        let (source, labels) = (self.source, &self.labels);
        into.observe(&Observation { signal, source, labels, value, at: now }, now);
    }

    /// Keeps an event, if there is room for it.
    pub fn event(&mut self, happening: Happening, now: Timestamp, into: &mut Accumulator) {
        let Happening { name, severity, message, fields } = happening;
        let is_severe = severity >= Severity::Error;
        let room = if is_severe { &mut self.room_of_severe } else { &mut self.room };
        if !room.take(now) {
            return into.hold_back(self.source, name);
        }
        let event = Event {
            at: now,
            source: String::new(),
            name: name.to_owned(),
            severity,
            message,
            correlation: String::new(),
            trace: String::new(),
            fields: fields.to_string(),
            truncated: false,
        };
        into.event(self.source, event);
    }

    /// Under which ids it counts.
    pub fn in_use(&self) -> InUse {
        InUse {
            sources: [self.source].into(),
            signals: self.signals.iter().map(|(_, id)| *id).collect(),
        }
    }
}

impl Measure {
    /// So many of its unit, in base units.
    pub fn whole(&self, n: u64) -> i64 {
        i64::try_from(n).unwrap_or(i64::MAX).saturating_mul(self.unit.base_factor())
    }

    /// So many of its unit, in base units, rounded half up.
    pub fn real(&self, value: f64) -> i64 {
        // `as` saturates, and makes 0 of what is no number.
        (value * self.unit.base_factor() as f64 + 0.5).floor() as i64
    }

    /// A share in base units, rounded half up; `None` of nothing.
    pub fn share(&self, part: u64, of: u64) -> Option<i64> {
        debug_assert_eq!(self.unit, Unit::Ratio, "bug: {} is no ratio", self.name);
        let (part, of) = (i128::from(part), i128::from(of));
        let scaled = part * i128::from(self.unit.base_factor()) * 2 + of;
        (of > 0).then(|| i64::try_from(scaled / (of * 2)).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use watchkeeper_model::{AgentId, Body, Labels};

    use super::super::accumulator::SealedService;
    use super::*;
    use crate::seal::SealOrder;

    const FREE: Measure = Measure { name: "free", unit: Unit::KiB, labels: &["mount"] };
    const BUSY: Measure = Measure { name: "busy", unit: Unit::Ratio, labels: &[] };

    fn bodies(acc: &mut Accumulator) -> Vec<Body> {
        let services = acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services;
        services.into_iter().flat_map(|SealedService { bodies, .. }| bodies).collect()
    }

    #[test]
    fn values_are_in_base_units_as_those_of_lines() {
        assert_eq!(FREE.whole(3), 3 * 1024);
        assert_eq!(FREE.whole(u64::MAX), i64::MAX);
        assert_eq!(BUSY.share(1, 3), Some(333_333_333));
        assert_eq!(BUSY.share(2, 3), Some(666_666_667));
        assert_eq!(BUSY.share(1, 0), None);
        assert_eq!(BUSY.share(u64::MAX, 1), Some(i64::MAX));
        assert_eq!(BUSY.real(0.25), 250_000_000);
        assert_eq!(BUSY.real(f64::NAN), 0);
    }

    #[test]
    fn what_is_measured_is_counted_with_bounds_labels_and_a_limit_on_them() {
        let mut acc = Accumulator::new(AgentId::new("a"), Labels::new([("env", "test")]));
        let service = Service::new("shop").unwrap();
        acc.set_wanted_bounds(&service, "free", &[2048]);
        let mut measures = Measures::new("host", &service, &[FREE, BUSY], &mut acc);
        measures.looked(&mut acc);
        for n in 0..DEFAULT_MAX_SERIES as u64 + 5 {
            let mount = if n == 0 { "/" } else { &format!("/{n}") };
            measures.observe(&FREE, &[mount], FREE.whole(n), Timestamp(5), &mut acc);
        }
        let overflowed = acc.overflowed();
        assert_eq!((overflowed[0].label.as_str(), overflowed[0].n), ("mount", 5));
        let Body::Windows { series, tallies, .. } = &bodies(&mut acc)[0] else { panic!() };
        assert_eq!(tallies[0].read, 1);
        let root = series.iter().find(|s| s.labels.get("mount") == "/").unwrap();
        assert_eq!((root.signal.as_str(), root.unit), ("free", Unit::KiB));
        assert_eq!(root.labels.get("env"), "test");
        let values = root.windows[0].distribution.values.as_ref().unwrap();
        assert_eq!((values.bounds[0].at, values.bounds[0].within), (2048, 1));
    }

    #[test]
    fn events_are_kept_within_a_limit_and_the_others_counted() {
        let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
        let mut measures = Measures::new("web", &Service::new("shop").unwrap(), &[], &mut acc);
        for n in 0..MAX_EVENTS.events + 7 {
            let fields = serde_json::json!({"before": {"pid": n}, "after": null});
            let (name, message) = ("died", "web died".to_owned());
            let happening = Happening { name, severity: Severity::Error, message, fields };
            measures.event(happening, Timestamp(0), &mut acc);
        }
        assert_eq!(acc.held_back()[0].n, 7);
        let minor = Happening {
            name: "started",
            severity: Severity::Info,
            message: String::new(),
            fields: Json::Null,
        };
        measures.event(minor, Timestamp(0), &mut acc);
        assert_eq!(acc.held_back().len(), 1, "what is not severe has room of its own");
        let all = bodies(&mut acc);
        let Some(Body::Events { events, .. }) = all.last() else { panic!() };
        assert_eq!(events.len(), MAX_EVENTS.events as usize + 1);
        assert_eq!(events[3].fields, r#"{"after":null,"before":{"pid":3}}"#);
        assert_eq!(events[3].source, "web");
    }
}
