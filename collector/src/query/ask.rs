//! The question, as it was meant.
//!
//! Owns what makes a question answerable: statistics that need a condition, limits on points, which groups and buckets a row
//! falls into. Pure: reads nothing.

use std::time::Duration;

use watchkeeper_collector_core::series::{Filter, Stat};
use watchkeeper_expr::Verdict;
use watchkeeper_model::{Labels, Timestamp};

use crate::store::{SeriesKey, Wanted};

/// Points of one group at most.
pub const MAX_POINTS: i64 = 11_000;
/// Labels to group by at most.
const MAX_BY: usize = 16;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Of which signal.
    pub signal: String,
    /// Of which service; all if absent.
    pub service: Option<String>,
    /// Only series whose labels match.
    pub matching: Filter,
    /// For [`Stat::BadRatio`]: the good ones among them.
    pub good: Filter,
    /// What of them.
    pub stat: Stat,
    /// One group for each set of values of these labels; `agent` and `service` may be among them.
    pub by: Vec<String>,
    /// From here, event time.
    pub from: Timestamp,
    /// Before here.
    pub to: Timestamp,
    /// One point for each multiple of this; without it one for all.
    pub step: Option<Duration>,
}

/// A question without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAsk {
    /// Which part of it.
    pub parameter: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Ask {
    /// Whether it can be answered.
    pub fn check(&self) -> Result<(), BadAsk> {
        let bad = |parameter, problem: String| Err(BadAsk { parameter, problem });
        if matches!(self.stat, Stat::Absent | Stat::Distinct) {
            return bad("stat", format!("{} is for rules; ask for count", self.stat));
        }
        if self.stat != Stat::BadRatio && !self.good.text().trim().is_empty() {
            return bad("good", format!("good is for stat=bad_ratio; {} counts all", self.stat));
        }
        if self.by.len() > MAX_BY {
            return bad("by", format!("{} labels; at most {MAX_BY}", self.by.len()));
        }
        if self.from >= self.to {
            return bad("to", "to must be after from".to_owned());
        }
        match self.n_points() {
            n if n > MAX_POINTS => bad(
                "step",
                format!("{n} points; at most {MAX_POINTS}: take a longer step or a shorter time"),
            ),
            _ => Ok(()),
        }
    }

    /// The counts to be read for it.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            signal: Some(self.signal.clone()),
            service: self.service.clone(),
            from: self.from,
            to: self.to,
            together_secs: self.step_secs().unwrap_or(Wanted::WHOLE),
        }
    }

    /// Whether this series belongs to it.
    pub(super) fn takes(&self, series: &SeriesKey) -> bool {
        self.matching.verdict(&labels_of(series)) == Verdict::Match
    }

    /// Whether this series is good, bad or neither.
    pub(super) fn judges(&self, series: &SeriesKey) -> Verdict {
        self.good.verdict(&labels_of(series))
    }

    /// The group this series falls into: one value for each label of `by`, "" where it has none.
    pub(super) fn group(&self, series: &SeriesKey) -> Vec<String> {
        let labels = labels_of(series);
        self.by.iter().map(|name| labels.get(name).to_owned()).collect()
    }

    /// The number of the bucket `at` falls into.
    pub(super) fn bucket(&self, at: Timestamp) -> i64 {
        self.step_secs().map_or(0, |step| at.secs().div_euclid(step))
    }

    /// All buckets: number, time of its point, and how much of it was asked for.
    pub(super) fn buckets(&self) -> Vec<(i64, Timestamp, Duration)> {
        let Some(step) = self.step_secs() else {
            return vec![(0, self.to, self.to.since(self.from))];
        };
        let (first, last) = self.ends(step);
        (first..=last)
            .map(|number| {
                let start = Timestamp::from_secs(number * step);
                let end = Timestamp::from_secs((number + 1) * step).min(self.to);
                (number, start, end.since(start.max(self.from)))
            })
            .collect()
    }

    fn n_points(&self) -> i64 {
        self.step_secs().map_or(1, |step| {
            let (first, last) = self.ends(step);
            last.saturating_sub(first).saturating_add(1)
        })
    }

    fn ends(&self, step: i64) -> (i64, i64) {
        (self.from.secs().div_euclid(step), self.to.shifted(-1).secs().div_euclid(step))
    }

    fn step_secs(&self) -> Option<i64> {
        self.step.map(|step| i64::try_from(step.as_secs()).unwrap_or(i64::MAX).max(1))
    }
}

/// A condition and `by` may name the service and the signal too.
fn labels_of(series: &SeriesKey) -> Labels {
    series.labels.with_one("service", series.service.as_str()).with_one("signal", &series.signal)
}
