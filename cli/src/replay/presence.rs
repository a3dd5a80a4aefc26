//! When there were data, and where they have gaps.
//!
//! Owns stretches of event time with observations, by service. Short pauses are none: only what is longer than
//! [`PAUSE_SECS`] is remembered, so that memory grows with gaps and not with time.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_model::Timestamp;

/// Between two observations that are no further apart nothing was missing.
const PAUSE_SECS: i64 = 10;

/// Stretches of seconds with data of each service.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence {
    services: BTreeMap<String, Stretches>,
}

/// By their first second, their last.
#[derive(Clone, Debug, Default)]
struct Stretches(BTreeMap<i64, i64>);

/// What there was in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Data {
    /// The share of it without a pause, in percent.
    pub(super) covered_percent: u8,
    /// The longest stretch without any.
    pub(super) longest_gap: Duration,
}

impl Presence {
    /// Something was observed in this second.
    pub(super) fn note(&mut self, service: &str, at: Timestamp) {
        let second = at.secs();
        match self.services.get_mut(service) {
            Some(stretches) => stretches.note(second),
            None => {
                let first = Stretches([(second, second)].into());
                self.services.insert(service.to_owned(), first);
            }
        }
    }

    /// What there was of a service, or of any, between two times.
    pub(super) fn within(&self, service: Option<&str>, from: Timestamp, to: Timestamp) -> Data {
        let wanted = self.services.iter().filter(|(name, _)| service.is_none_or(|s| s == *name));
        let mut spans: Vec<(i64, i64)> =
            wanted.flat_map(|(_, stretches)| stretches.within(from.secs(), to.secs())).collect();
        spans.sort_unstable();
        let (mut covered, mut longest, mut at) = (0, 0, from.secs());
        for (first, last) in spans {
            longest = longest.max(first - at);
            covered += (last + 1 - first.max(at)).max(0);
            at = at.max(last + 1);
        }
        longest = longest.max(to.secs() - at);
        let whole = (to.secs() - from.secs()).max(1);
        Data {
            covered_percent: u8::try_from(100 * covered / whole).unwrap_or(100).min(100),
            longest_gap: Duration::from_secs(longest.max(0).unsigned_abs()),
        }
    }
}

impl Stretches {
    fn note(&mut self, second: i64) {
        let before = self.0.range(..=second).next_back().map(|(first, last)| (*first, *last));
        match before {
            Some((_, last)) if last >= second => {}
            Some((first, last)) if second - last <= PAUSE_SECS => {
                self.0.insert(first, second);
                self.join(first, second);
            }
            _ => {
                self.0.insert(second, second);
                self.join(second, second);
            }
        }
    }

    /// Joins a stretch with the next one if there is no pause between them.
    fn join(&mut self, first: i64, last: i64) {
        let next = self.0.range(last + 1..).next().map(|(first, last)| (*first, *last));
        if let Some((next, end)) = next.filter(|(next, _)| next - last <= PAUSE_SECS) {
            self.0.remove(&next);
            self.0.insert(first, end);
        }
    }

    fn within(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, i64)> {
        let before = self.0.range(..from).next_back();
        before
            .into_iter()
            .chain(self.0.range(from..to))
            .filter(move |(_, last)| **last >= from)
            .map(move |(first, last)| ((*first).max(from), (*last).min(to - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found_in_whatever_order_seconds_come() {
        let seconds = [100, 101, 105, 300, 115, 131, 141, 121, 400];
        let mut presence = Presence::default();
        for second in seconds {
            presence.note("shop", Timestamp::from_secs(second));
        }
        presence.note("web", Timestamp::from_secs(200));
        for (service, from, to, percent, gap) in [
            (Some("shop"), 100, 142, 100, 0),
            (Some("shop"), 100, 200, 42, 58),
            (Some("shop"), 142, 300, 0, 158),
            (Some("shop"), 500, 600, 0, 100),
            (Some("nobody"), 100, 200, 0, 100),
            (None, 150, 250, 1, 50),
        ] {
            let (from, to) = (Timestamp::from_secs(from), Timestamp::from_secs(to));
            let data = presence.within(service, from, to);
            let seen = (data.covered_percent, data.longest_gap.as_secs());
            assert_eq!(seen, (percent, gap), "{service:?} {from}");
        }
    }
}
