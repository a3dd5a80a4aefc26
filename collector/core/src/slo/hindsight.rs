//! What burned in the past, seen from now: data that arrive late may show a breach that nobody was told of.
//!
//! Owns the same test that tiers make, at every moment of a stretch of time instead of now. It is made twice, before and
//! after late counts are added, so that what on-time data had shown already is no news. Windows are counted in the buckets
//! of the SLO's whole window, the only ones that reach back: a short window is at least one of them.

use std::time::Duration;

use watchkeeper_model::Timestamp;
use watchkeeper_model::time::nanos_of;

use super::budget::{Budget, Share, Sum};
use super::counts::Counts;
use super::settings::BUCKET;
use super::tally::Over;
use super::tier::Tier;
use crate::series::Part as _;

/// A tier that burned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breach {
    /// The worst one.
    pub tier: Tier,
    /// When its windows first burned.
    pub from: Timestamp,
    /// When they last did.
    pub to: Timestamp,
}

/// Which tiers burned when, in a stretch of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct Hindsight {
    width: Duration,
    /// The end of the first bucket that was asked for.
    first: Timestamp,
    /// For each tier, the worst first: whether it burned at the end of each bucket.
    burned: Vec<(Tier, Vec<bool>)>,
}

impl Budget {
    /// Which tiers burned because of what happened `from..=to`, as far as that is past: whatever burns now is told by the
    /// tiers themselves.
    pub fn hindsight(
        &self,
        shares: &[Share<'_>],
        from: Timestamp,
        to: Timestamp,
        now: Timestamp,
    ) -> Hindsight {
        let width = shares.iter().map(|s| s.tally.width(s.view, self.over())).max();
        let width = width.unwrap_or(BUCKET);
        let index = |at: Timestamp| at.nanos().div_euclid(nanos_of(width).max(1));
        let (first, now) = (index(from), index(now));
        let n_of = |over: Duration| (nanos_of(over) / nanos_of(width).max(1)).max(1);
        let longest = self.known_tiers().iter().map(|tier| n_of(tier.long)).max().unwrap_or(1);
        let sums: Vec<(f64, Sums)> = shares
            .iter()
            .map(|s| {
                let over = (first - longest, (index(to) + longest).min(now));
                (s.weight, Sums::new(s, self.over(), width, over))
            })
            .collect();
        let burned = self.known_tiers().iter().map(|tier| {
            let last = (index(to) + n_of(tier.long)).min(now);
            let burns = (first..last).map(|at| {
                let over = |n: i64| {
                    Sum::of(sums.iter().map(|(weight, s)| (*weight, s.between(at + 1 - n, at + 1))))
                };
                self.would_fire(tier, &over(n_of(tier.short)), &over(n_of(tier.long)))
            });
            (*tier, burns.collect())
        });
        Hindsight {
            width,
            first: Timestamp(first.saturating_add(1).saturating_mul(nanos_of(width))),
            burned: burned.collect(),
        }
    }
}

impl Hindsight {
    /// The worst tier that burned here and did not at that moment `before`.
    pub fn news(&self, before: &Self) -> Option<Breach> {
        self.burned.iter().zip(&before.burned).find_map(|((tier, after), (_, before))| {
            let is_news = |i: &usize| after[*i] && !before.get(*i).is_some_and(|burned| *burned);
            let first = (0..after.len()).find(is_news)?;
            let last = (first..after.len()).rev().find(is_news)?;
            Some(Breach { tier: *tier, from: self.at(first), to: self.at(last) })
        })
    }

    /// The whole of what `part` belongs to: from when to when any tier burned without a pause, and the worst one in it.
    pub fn whole(&self, part: &Breach) -> Option<Breach> {
        let n = self.burned.iter().map(|(_, burned)| burned.len()).max()?;
        let any =
            |slot: &usize| self.burned.iter().any(|(_, burned)| burned.get(*slot) == Some(&true));
        let slot = (0..n).find(|slot| self.at(*slot) >= part.from)?;
        let first = (0..slot).rev().take_while(any).last().unwrap_or(slot);
        let last = (slot..n).take_while(any).last()?;
        let (tier, _) = self
            .burned
            .iter()
            .find(|(_, burned)| burned.iter().take(last + 1).skip(first).any(|burned| *burned))?;
        Some(Breach { tier: *tier, from: self.at(first), to: self.at(last) })
    }

    fn at(&self, slot: usize) -> Timestamp {
        self.first + self.width * u32::try_from(slot).unwrap_or(u32::MAX)
    }
}

/// Counts added up from a first bucket on, so that any stretch is a difference.
struct Sums {
    first: i64,
    up_to: Vec<Counts>,
}

impl Sums {
    fn new(share: &Share<'_>, over: &Over, width: Duration, (first, end): (i64, i64)) -> Self {
        let start = |index: i64| Timestamp(index.saturating_mul(nanos_of(width)));
        let buckets = share.tally.between(share.view, over, start(first), start(end));
        let mut buckets = buckets.into_iter().peekable();
        let mut sum = Counts::default();
        let mut up_to = vec![sum];
        for index in first..end {
            while let Some((_, counts)) = buckets.next_if(|(at, _)| *at < start(index + 1)) {
                sum.add(&counts);
            }
            up_to.push(sum);
        }
        Self { first, up_to }
    }

    /// Of buckets `from..to`.
    fn between(&self, from: i64, to: i64) -> Counts {
        let slot = |index: i64| usize::try_from((index - self.first).max(0)).unwrap_or(0);
        let newest = self.up_to.len() - 1;
        let mut sum = self.up_to[slot(to).min(newest)];
        sum.remove(&self.up_to[slot(from).min(newest)]);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slo::{Excluded, Objective, SloSettings, Tally, TierSeverity, View};
    use watchkeeper_model::{Decimal, Service};

    const T0: Timestamp = Timestamp::from_secs(1_793_491_200);
    const MINUTE: u64 = 60;

    fn at(minute: u64) -> Timestamp {
        T0 + Duration::from_secs(minute * MINUTE)
    }

    struct Slo {
        budget: Budget,
        tally: Tally,
    }

    impl Slo {
        fn add(&mut self, at: Timestamp, counts: &Counts, now: Timestamp) {
            self.tally.add(at, counts, now);
        }

        fn hindsight(&self, from: Timestamp, to: Timestamp, now: Timestamp) -> Hindsight {
            let share = Share { weight: 1.0, tally: &self.tally, view: 0 };
            self.budget.hindsight(&[share], from, to, now)
        }
    }

    /// 99.9 % over 30 days, and as many minutes of good traffic as asked for.
    fn healthy(minutes: u64) -> Slo {
        let objective = Objective::from_percent(Decimal::parse("99.9").unwrap()).unwrap();
        let service = Service::new("shop").unwrap();
        let settings = SloSettings::new("s", service, "requests", objective);
        let view =
            View { of: "s".to_owned(), overs: settings.overs(), excluded: Excluded::default() };
        let mut budget =
            Slo { budget: Budget::new(&settings), tally: Tally::new(settings.method, vec![view]) };
        for minute in 0..minutes {
            let good = Counts { good: 600, total: 600, ..Counts::default() };
            budget.add(at(minute), &good, at(minute));
        }
        budget
    }

    #[test]
    fn only_late_data_that_change_a_past_verdict_are_news() {
        type Row = (&'static str, u64, std::ops::Range<u64>, u64, Option<TierSeverity>);
        let rows: [Row; 5] = [
            (
                "an outage of five minutes, three hours ago",
                600,
                400..405,
                600,
                Some(TierSeverity::Page),
            ),
            ("a few errors, three hours ago", 600, 400..405, 1, None),
            ("too few to speak of", 600, 400..401, 1, None),
            ("a slow burn, a day ago", 3000, 1000..1100, 12, Some(TierSeverity::Ticket)),
            ("good data", 600, 400..405, 0, None),
        ];
        for (sentence, healthy_for, late, bad, expected) in rows {
            let (mut budget, now) = (healthy(healthy_for), at(healthy_for));
            let look = |budget: &Slo| budget.hindsight(at(late.start), at(late.end - 1), now);
            let before = look(&budget);
            assert_eq!(before.news(&before), None, "{sentence}");
            for minute in late.clone() {
                let counts = Counts { good: 600 - bad, total: 600, ..Counts::default() };
                budget.add(at(minute), &counts, now);
            }
            let breach = look(&budget).news(&before);
            assert_eq!(breach.map(|b| b.tier.severity), expected, "{sentence}");
            if let Some(breach) = breach {
                assert!(
                    breach.from >= at(late.start) && breach.to <= now,
                    "{sentence}: {breach:?}"
                );
            }
        }
    }

    #[test]
    fn what_was_known_in_time_is_no_news_when_more_of_it_arrives() {
        let mut budget = healthy(600);
        let bad = Counts { good: 0, total: 600, ..Counts::default() };
        for minute in 400..405 {
            budget.add(at(minute), &bad, at(600));
        }
        let look = |budget: &Slo| budget.hindsight(at(402), at(402), at(600));
        let before = look(&budget);
        budget.add(at(402), &bad, at(600));
        assert_eq!(look(&budget).news(&before), None);
    }

    #[test]
    fn what_has_left_the_window_or_lies_ahead_is_no_breach_and_no_panic() {
        let budget = healthy(10);
        for (from, to) in [
            (Timestamp::from_secs(0), T0),
            (at(20), at(10)),
            (at(5), at(1_000_000)),
            (Timestamp(i64::MIN / 4), Timestamp(i64::MIN / 4)),
        ] {
            let look =
                budget.hindsight(from.max(at(0) - Duration::from_secs(86_400 * 40)), to, at(10));
            assert_eq!(look.news(&look), None);
        }
    }
}
