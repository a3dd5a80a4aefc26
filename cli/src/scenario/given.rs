//! Observations of stretches of traffic.
//!
//! Owns how many there are in each window: exactly as many as the rate says since the stretch began, spread evenly, and
//! never by chance.

use watchkeeper_collector::rehearsal::Counted;
use watchkeeper_model::histogram::index_of;
use watchkeeper_model::{
    AgentId, Bound, Dimension, Distribution, Histogram, Last, SeriesWindows, Service, TimeBasis,
    Timestamp, Unit, Values, Window, WindowPart,
};

use super::settings::{Kind, Traffic};

const MICRO: u128 = 1_000_000;
const NANO: u128 = 1_000_000_000;

/// Values at which a signal is counted exactly, in base units.
pub(super) type Bounds = Vec<(Service, String, Vec<i64>)>;

impl Traffic {
    /// The ends of its windows after `t`, the next one; `None` when it is over.
    pub(super) fn next_end(&self, t: i64) -> Option<i64> {
        let width = self.width();
        let begun = t.max(self.from);
        let end = (begun - self.from).div_euclid(width) * width + self.from + width;
        (begun < self.to).then(|| end.min(self.to))
    }

    /// What was counted in the window that is over at `end`; `None` if nothing.
    pub(super) fn counted(&self, end: i64, start: Timestamp, bounds: &Bounds) -> Option<Counted> {
        let begin = end - 1 - (end - 1 - self.from).rem_euclid(self.width());
        let (n, n_bad) = {
            let ((all, bad), (all_before, bad_before)) = (self.up_to(end), self.up_to(begin));
            (all - all_before, bad - bad_before)
        };
        let window = Window::holding(start.shifted(begin), self.window_secs);
        let bad = self.bad.as_ref().map(|bad| (&bad.kind, n_bad));
        let kinds = [Some((&self.usual, n - n_bad)), bad];
        let series: Vec<SeriesWindows> = kinds
            .into_iter()
            .flatten()
            .filter(|(_, n)| *n > 0)
            .map(|(kind, n)| self.series(kind, n, window, bounds))
            .collect();
        (!series.is_empty()).then(|| Counted {
            agent: self.agent.clone(),
            service: self.service.clone(),
            series,
            events: Vec::new(),
            tallies: Vec::new(),
        })
    }

    fn width(&self) -> i64 {
        i64::from(self.window_secs) * 1_000_000_000
    }

    /// How many there were up to a time, and how many of them bad.
    fn up_to(&self, t: i64) -> (u64, u64) {
        let span = u128::from((t - self.from).max(0).unsigned_abs());
        let (micro, per_nanos) = (u128::from(self.rate.0), u128::from(self.rate.1));
        let all = micro * span / (per_nanos * MICRO);
        let share = self.bad.as_ref().map_or(0, |bad| u128::from(bad.share_nano));
        let whole = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        (whole(all), whole(all * share / NANO))
    }

    fn series(&self, kind: &Kind, n: u64, window: Window, bounds: &Bounds) -> SeriesWindows {
        let is_its = |b: &&(Service, String, _)| b.0 == self.service && b.1 == self.signal;
        let bounds = bounds.iter().find(is_its).map_or(&[][..], |(.., at)| at);
        let distribution = match kind.value {
            None => Distribution::counted(n),
            Some((value, _)) => all_of(value, n, window.start, &self.agent, bounds),
        };
        SeriesWindows {
            signal: self.signal.clone(),
            unit: kind.value.map_or(Unit::None, |(_, dimension)| base_unit(dimension)),
            labels: kind.labels.clone(),
            basis: TimeBasis::Line,
            windows: vec![WindowPart { window, distribution }],
        }
    }
}

/// So many times the same value.
fn all_of(value: i64, n: u64, at: Timestamp, agent: &AgentId, bounds: &[i64]) -> Distribution {
    let last = Last { at, agent: agent.clone(), seq: 0, index: 0, value };
    let bound = |&at: &i64| Bound { at, within: if value <= at { n } else { 0 }, covered: n };
    let mut bounds: Vec<Bound> = bounds.iter().map(bound).collect();
    bounds.sort_by_key(|bound| bound.at);
    let values = Values {
        count: n,
        sum: i128::from(value) * i128::from(n),
        min: value,
        max: value,
        last,
        bounds,
        histogram: Histogram::from_buckets(vec![(index_of(value), n)]),
    };
    Distribution { count: n, values: Some(Box::new(values)) }
}

/// A unit of this dimension; values are in base units whatever it is.
const fn base_unit(dimension: Dimension) -> Unit {
    match dimension {
        Dimension::Time => Unit::Ns,
        Dimension::Bytes => Unit::B,
        Dimension::Ratio => Unit::Ratio,
        Dimension::Plain => Unit::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::settings::Bad;
    use watchkeeper_model::Labels;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn the_rate_is_met_exactly_and_bad_ones_are_spread_evenly() {
        let traffic = Traffic {
            from: 0,
            to: 100 * SECOND,
            agent: AgentId::new("a"),
            service: Service::new("shop").unwrap(),
            signal: "requests".into(),
            rate: (3_500_000, 1_000_000_000),
            usual: Kind::default(),
            bad: Some(Bad {
                share_nano: 10_000_000,
                kind: Kind { labels: Labels::new([("status", "500")]), value: None },
            }),
            window_secs: 3,
        };
        let (mut t, mut ends, mut good, mut bad) = (0, Vec::new(), 0, Vec::new());
        while let Some(end) = traffic.next_end(t) {
            let counted = traffic.counted(end, Timestamp::EPOCH, &Vec::new()).unwrap();
            for series in counted.series {
                let n = series.windows[0].distribution.count;
                match series.labels.get("status") {
                    "" => good += n,
                    _ => bad.push((end / SECOND, n)),
                }
            }
            ends.push(end / SECOND);
            t = end;
        }
        assert_eq!((ends.len(), ends[0], ends[33]), (34, 3, 100));
        assert_eq!(good, 347);
        assert_eq!(bad, [(30, 1), (60, 1), (87, 1)]);
    }
}
