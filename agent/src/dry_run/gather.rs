//! What one source has sealed, added up.
//!
//! Owns the sums. Bounded: label sets by the signal's `max_series`, since the accumulator lets no more through, and by
//! a number of its own for a run so long that old ones make room for new ones. Never reads a line.

use std::collections::BTreeMap;

use watchkeeper_agent_core::observe::Sealed;
use watchkeeper_model::{Body, Distribution, Event, Labels, SeriesWindows, SourceTally};

/// Label sets kept apart; what comes beyond is counted together.
const MAX_LABEL_SETS: usize = 200_000;

/// Everything a source has sealed.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    pub(super) tally: SourceTally,
    signals: BTreeMap<String, Measured>,
    events: BTreeMap<String, Kept>,
}

/// What a signal has observed.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    pub(super) total: Distribution,
    by_labels: BTreeMap<Labels, u64>,
}

/// What was kept of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) n: u64,
    /// The first of them.
    pub(super) message: String,
}

impl Gathered {
    /// Adds what one seal took.
    pub(super) fn add(&mut self, sealed: Sealed) {
        for body in sealed.services.into_iter().flat_map(|s| s.bodies) {
            match body {
                Body::Windows { series, tallies, .. } => {
                    tallies.iter().for_each(|tally| self.tally.add(tally));
                    series.into_iter().for_each(|series| self.add_series(series));
                }
                Body::Events { events, .. } => {
                    events.into_iter().for_each(|event| self.add_event(event));
                }
            }
        }
    }

    fn add_series(&mut self, series: SeriesWindows) {
        let measured = self.signals.entry(series.signal).or_default();
        let mut n = 0;
        for part in &series.windows {
            n += part.distribution.count;
            measured.total.merge(&part.distribution);
        }
        let is_known = measured.by_labels.contains_key(&series.labels);
        if is_known || measured.by_labels.len() < MAX_LABEL_SETS {
            *measured.by_labels.entry(series.labels).or_default() += n;
        }
    }

    fn add_event(&mut self, event: Event) {
        let kept = self.events.entry(event.name).or_default();
        if kept.n == 0 {
            kept.message = event.message;
        }
        kept.n += 1;
    }

    /// What a signal has observed; `None` if nothing.
    pub(super) fn signal(&self, name: &str) -> Option<&Measured> {
        self.signals.get(name)
    }

    /// What was kept of an event; `None` if nothing.
    pub(super) fn event(&self, name: &str) -> Option<&Kept> {
        self.events.get(name)
    }
}

impl Measured {
    /// How many label sets it has.
    pub(super) fn n_label_sets(&self) -> usize {
        self.by_labels.len()
    }

    /// Whether a label has a value anywhere.
    pub(super) fn has_label(&self, label: &str) -> bool {
        self.by_labels.keys().any(|labels| !labels.get(label).is_empty())
    }

    /// The `n` label sets seen most, with their counts.
    pub(super) fn top(&self, n: usize) -> Vec<(&Labels, u64)> {
        let mut all: Vec<(&Labels, u64)> = self.by_labels.iter().map(|(l, n)| (l, *n)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.truncate(n);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_agent_core::observe::SealedService;
    use watchkeeper_model::{Service, Severity, TimeBasis, Timestamp, Unit, Window, WindowPart};

    fn sealed(bodies: Vec<Body>) -> Sealed {
        let mut sealed = Sealed::default();
        sealed.services.push(SealedService { service: Service::new("shop").unwrap(), bodies });
        sealed
    }

    fn windows(status: &str, counts: &[u64]) -> Body {
        let part = |(i, n): (usize, &u64)| WindowPart {
            window: Window::holding(Timestamp::from_secs(i as i64), 1),
            distribution: Distribution::counted(*n),
        };
        let series = SeriesWindows {
            signal: "requests".into(),
            unit: Unit::None,
            labels: Labels::new([("status", status)]),
            basis: TimeBasis::Line,
            windows: counts.iter().enumerate().map(part).collect(),
        };
        let tally = SourceTally { read: counts.iter().sum(), ..SourceTally::default() };
        Body::Windows {
            series: vec![series],
            tallies: vec![tally],
            frontiers: Vec::new(),
            samples: Vec::new(),
            continued: false,
        }
    }

    #[test]
    fn seals_add_up_by_label_set() {
        let mut gathered = Gathered::default();
        gathered.add(sealed(vec![windows("200", &[3, 4]), windows("500", &[2])]));
        gathered.add(sealed(vec![windows("404", &[2]), windows("200", &[1])]));
        let requests = gathered.signal("requests").unwrap();
        let top: Vec<_> = requests.top(2).iter().map(|(l, n)| (l.to_string(), *n)).collect();
        let named = |status: &str, n| (format!("{{status={status:?}}}"), n);
        assert_eq!(top, [named("200", 8), named("404", 2)]);
        assert_eq!(
            (requests.n_label_sets(), requests.total.count, gathered.tally.read),
            (3, 12, 12)
        );
        assert!(gathered.signal("checkouts").is_none());
    }

    #[test]
    fn the_first_event_of_each_kind_is_the_example() {
        let event = |message: &str| Event {
            at: Timestamp(0),
            source: "s".into(),
            name: "error".into(),
            severity: Severity::Error,
            message: message.into(),
            correlation: String::new(),
            trace: String::new(),
            fields: "{}".into(),
            truncated: false,
        };
        let mut gathered = Gathered::default();
        let events = vec![event("first"), event("second")];
        gathered.add(sealed(vec![Body::Events { events, frontiers: Vec::new() }]));
        let error = gathered.event("error").unwrap();
        assert_eq!((error.n, error.message.as_str()), (2, "first"));
    }
}
