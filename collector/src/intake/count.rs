//! What a decoded batch of windows adds: journal rows, SLO counts, and what the engine sees of it.
//!
//! Owns the correction of times and the judging of windows, once, before anything is stored. Pure: the same batch and
//! settings give the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use watchkeeper_collector_core::series::Observed;
use watchkeeper_collector_core::slo::{Counts, Judged};
use watchkeeper_model::{
    AgentId, SeriesWindows, Service, TimeBasis, Timestamp, Window, WindowPart,
};

use super::known::{Concerned, KnownSeries, SeriesOf, SloIndex};
use crate::store::{JournalRow, SloIncrement};

/// An agent's clock is trusted to this.
const SKEW_TOLERANCE_NS: u64 = 2_000_000_000;
/// Windows further ahead of our clock than this are set to now: some clock is wrong, and it is not ours to wait for.
const MAX_AHEAD: Duration = Duration::from_secs(120);

/// What a batch adds.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// For the store.
    pub rows: Vec<JournalRow>,
    /// For the store: by SLO and its bucket, five minutes or a slice.
    pub slo: Vec<SloIncrement>,
    /// For the engine.
    pub judged: Vec<Judged>,
    /// For the engine's rules.
    pub observed: Vec<Observed>,
}

/// What is asked of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Everything.
    All,
    /// Only what the engine is told: nothing is stored.
    Judged,
}

/// Counts the series of one batch. `skew_ns` is how far the agent's clock is ahead of ours.
pub(crate) fn count(
    by: (&Arc<SloIndex>, &mut KnownSeries),
    agent: &AgentId,
    service: &Service,
    series: Vec<SeriesWindows>,
    skew_ns: i64,
    now: Timestamp,
) -> Counted {
    count_and_keep(Keep::All, by, (agent, service), series, (skew_ns, now))
}

/// The same, and keeps what is asked for.
pub(crate) fn count_and_keep(
    keep: Keep,
    (index, known): (&Arc<SloIndex>, &mut KnownSeries),
    (agent, service): (&AgentId, &Service),
    series: Vec<SeriesWindows>,
    (skew_ns, now): (i64, Timestamp),
) -> Counted {
    let is_stored = keep == Keep::All;
    let mut counted = Counted::default();
    let mut buckets = BTreeMap::new();
    for series in series {
        let SeriesWindows { signal, unit, labels, basis, windows } = series;
        let of = SeriesOf { service: service.clone(), signal, unit, labels };
        let series = known.know(index, agent, of);
        for WindowPart { window, distribution } in windows {
            let window = corrected(window, basis, skew_ns, now);
            for (at, stance) in &series.slos {
                let Some(concerned) = index.concerned(*at) else { continue };
                let counts = concerned.slo.weigh(*stance, unit.dimension(), &distribution);
                if counts == Counts::default() {
                    continue;
                }
                if is_stored {
                    let bucket = concerned.slo.bucket_of(window.start);
                    let sum = buckets
                        .entry((*at, bucket))
                        .or_insert_with(|| nothing_yet(&concerned, bucket));
                    gain(sum, &counts);
                }
                let (slo, agent) = (concerned.name.clone(), agent.clone());
                counted.judged.push(Judged { slo, agent, window, counts });
            }
            let key = &series.key;
            if series.is_wanted {
                counted.observed.push(Observed {
                    service: key.service.clone(),
                    signal: key.signal.clone(),
                    dimension: unit.dimension(),
                    labels: key.labels.clone(),
                    window,
                    distribution: distribution.clone(),
                });
            }
            if is_stored {
                counted.rows.push(JournalRow { series: key.clone(), window, distribution });
            }
        }
    }
    counted.slo = buckets.into_values().collect();
    counted
}

fn nothing_yet(concerned: &Concerned<'_>, bucket: Timestamp) -> SloIncrement {
    SloIncrement {
        slo: concerned.name.to_string(),
        definition: concerned.definition,
        bucket,
        good: 0,
        total: 0,
        unjudged: 0,
        estimated: 0,
    }
}

fn gain(sum: &mut SloIncrement, counts: &Counts) {
    sum.good += counts.good;
    sum.total += counts.total;
    sum.unjudged += counts.unjudged;
    sum.estimated += counts.estimated;
}

/// A window by our clock: the agent's own stamps are corrected by its skew, and nothing lies in the far future.
fn corrected(window: Window, basis: TimeBasis, skew_ns: i64, now: Timestamp) -> Window {
    let skewed = basis == TimeBasis::Agent && skew_ns.unsigned_abs() > SKEW_TOLERANCE_NS;
    let start = if skewed { window.start.shifted(skew_ns.saturating_neg()) } else { window.start };
    let start = if start > now + MAX_AHEAD { now } else { start };
    Window::holding(start, window.width_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn only_the_agents_own_stamps_are_corrected_and_only_beyond_two_seconds() {
        let window = Window::holding(NOW, 1);
        for (basis, skew_secs, expected) in [
            (TimeBasis::Agent, 1, 0),
            (TimeBasis::Agent, 30, -30),
            (TimeBasis::Agent, -30, 30),
            (TimeBasis::Line, 30, 0),
        ] {
            let start = corrected(window, basis, skew_secs * 1_000_000_000, NOW).start;
            assert_eq!(start.secs() - NOW.secs(), expected, "{basis:?} {skew_secs}");
        }
    }

    #[test]
    fn a_clock_that_is_years_ahead_counts_now() {
        let future = Window::holding(NOW + Duration::from_secs(5 * 365 * 86_400), 10);
        assert_eq!(corrected(future, TimeBasis::Line, 0, NOW), Window::holding(NOW, 10));
    }
}
