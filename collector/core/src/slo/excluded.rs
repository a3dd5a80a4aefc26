//! Stretches of time that a budget leaves out.
//!
//! Owns their union: sorted, in whole buckets, none touching another. Never says why.

use std::time::Duration;

use watchkeeper_model::Timestamp;
use watchkeeper_model::time::nanos_of;

/// A union of half-open stretches of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excluded(Vec<(i64, i64)>);

impl Excluded {
    /// All of these, their edges rounded outward to whole buckets.
    pub fn of(
        stretches: impl IntoIterator<Item = (Timestamp, Timestamp)>,
        bucket: Duration,
    ) -> Self {
        let width = nanos_of(bucket).max(1);
        let down = |at: Timestamp| at.floor(bucket).nanos();
        let up = |at: Timestamp| match at.nanos().rem_euclid(width) {
            0 => at.nanos(),
            rest => at.nanos().saturating_add(width - rest),
        };
        let mut all: Vec<(i64, i64)> = stretches
            .into_iter()
            .filter(|(from, to)| from < to)
            .map(|(from, to)| (down(from), up(to)))
            .collect();
        all.sort_unstable();
        let mut union: Vec<(i64, i64)> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match union.last_mut().filter(|last| last.1 >= from) {
                Some(last) => last.1 = last.1.max(to),
                None => union.push((from, to)),
            }
        }
        Self(union)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it holds this moment.
    pub fn covers(&self, at: Timestamp) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= at.nanos());
        after > 0 && at.nanos() < self.0[after - 1].1
    }

    /// Where the first stretch begins and the last one ends.
    pub fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        Some((Timestamp(self.0.first()?.0), Timestamp(self.0.last()?.1)))
    }

    /// The first edge after this moment.
    pub fn next_edge(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.0.partition_point(|(_, to)| *to <= now.nanos());
        let (from, to) = *self.0.get(at)?;
        Some(Timestamp(if from > now.nanos() { from } else { to }))
    }

    /// How much of `from..to` is in it.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> Duration {
        let shared = |(start, end): &(i64, i64)| {
            let (start, end) = ((*start).max(from.nanos()), (*end).min(to.nanos()));
            u64::try_from(end.saturating_sub(start)).unwrap_or(0)
        };
        Duration::from_nanos(self.0.iter().map(shared).fold(0, u64::saturating_add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn union(stretches: &[(i64, i64)], bucket: u64) -> Excluded {
        let stretches = stretches.iter().map(|(from, to)| (at(*from), at(*to)));
        Excluded::of(stretches, Duration::from_secs(bucket))
    }

    #[test]
    fn edges_go_outward_and_neighbours_become_one() {
        let found = union(&[(610, 620), (899, 901), (-10, 5), (2000, 2000)], 300);
        assert_eq!(found, union(&[(-300, 300), (600, 1200)], 1));
        assert_eq!(found.within(at(0), at(900)), Duration::from_secs(600));
        let edges: Vec<Option<i64>> = [-301, -300, 0, 300, 600, 1200]
            .map(|t| found.next_edge(at(t)).map(Timestamp::secs))
            .into();
        assert_eq!(edges, [Some(-300), Some(300), Some(300), Some(600), Some(1200), None]);
    }

    proptest! {
        #[test]
        fn it_covers_what_any_of_its_stretches_does(
            stretches in prop::collection::vec((0_i64..200, 0_i64..40), 0..8),
            moment in 0_i64..260,
            bucket in 1_u64..7,
        ) {
            let stretches: Vec<_> = stretches.into_iter().map(|(from, len)| (from, from + len)).collect();
            let width = i64::try_from(bucket).unwrap();
            let first = moment.div_euclid(width) * width;
            let expected = stretches.iter().any(|(from, to)| from < to && *from < first + width && *to > first);
            let found = union(&stretches, bucket);
            prop_assert_eq!(found.covers(at(moment)), expected);
            prop_assert!(found.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
