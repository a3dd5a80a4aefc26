//! Running a question over the store.
//!
//! Owns grouping rows and what an empty bucket means. Blocks: call it where blocking is allowed. Bounded: a question that would
//! need more than [`MAX_TALLIES`] buckets in all its groups is refused.

use std::collections::BTreeMap;

use watchkeeper_model::{Dimension, Timestamp};

use super::ask::{Ask, BadAsk};
use super::tally::Tally;
use crate::store::{Reads, SeriesKey, StoreError};

/// Buckets with something in them, of all groups together.
const MAX_TALLIES: usize = 500_000;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// How exactly the stored counts know when something happened.
    pub resolution_secs: u32,
    /// Groups, by their labels.
    pub series: Vec<Series>,
}

/// One group.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name and value of each label asked for, in the order asked; "" where a label is missing.
    pub labels: Vec<(String, String)>,
    /// Its points by time.
    pub points: Vec<Point>,
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Of when.
    pub at: Timestamp,
    /// In outside units.
    pub value: f64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The question is wrong.
    #[error("{}: {}", .0.parameter, .0.problem)]
    Bad(BadAsk),
    /// The store could not say.
    #[error("{0}")]
    Store(#[from] StoreError),
}

#[derive(Default)]
struct Group {
    dimension: Option<Dimension>,
    tallies: BTreeMap<i64, Tally>,
}

#[derive(Default)]
struct Gathered {
    groups: BTreeMap<Vec<String>, Group>,
    n_tallies: usize,
    bad: Option<BadAsk>,
}

/// Answers `ask`.
pub fn run(ask: &Ask, reads: &Reads) -> Result<Answer, QueryError> {
    ask.check().map_err(QueryError::Bad)?;
    let mut gathered = Gathered::default();
    // Labels are looked at once for each series and not for each row.
    let mut choose =
        |series: &SeriesKey| ask.takes(series).then(|| (ask.group(series), ask.judges(series)));
    let resolution =
        reads.scan(&ask.wanted(), &mut choose, &mut |series, (group, verdict), row| {
            gathered
                .tally(ask, series, group, row.window.start)
                .map_or(Ok(()), |tally| tally.add(row, *verdict))
        })?;
    match gathered.bad.take() {
        Some(bad) => Err(QueryError::Bad(bad)),
        None => Ok(Answer { resolution_secs: resolution.secs, series: gathered.into_series(ask) }),
    }
}

impl Gathered {
    /// The bucket of this group that takes in what happened `at`; `None` once the question has turned out to be wrong.
    fn tally(
        &mut self,
        ask: &Ask,
        series: &SeriesKey,
        group: &[String],
        at: Timestamp,
    ) -> Option<&mut Tally> {
        if self.bad.is_some() {
            return None;
        }
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_vec(), Group::default());
        }
        let group = self.groups.get_mut(group)?;
        let dimension = series.unit.dimension();
        let mixed = ask.stat.needs_values() && group.dimension.is_some_and(|d| d != dimension);
        group.dimension = Some(dimension);
        if mixed || self.n_tallies >= MAX_TALLIES {
            self.bad = Some(if mixed { mixes(&ask.signal) } else { too_many() });
            return None;
        }
        let n_tallies = &mut self.n_tallies;
        Some(group.tallies.entry(ask.bucket(at)).or_insert_with(|| {
            *n_tallies += 1;
            Tally::new(ask.stat)
        }))
    }

    fn into_series(self, ask: &Ask) -> Vec<Series> {
        let buckets = ask.buckets();
        let empty = Tally::new(ask.stat);
        self.groups
            .into_iter()
            .map(|(values, group)| {
                let dimension = group.dimension.unwrap_or(Dimension::Plain);
                let points = buckets.iter().filter_map(|&(number, at, asked)| {
                    let tally = group.tallies.get(&number);
                    let stands = tally.is_some() || ask.stat.is_zero_when_empty();
                    let value = tally.unwrap_or(&empty).value(ask.stat, dimension, asked);
                    value.filter(|_| stands).map(|value| Point { at, value })
                });
                Series {
                    points: points.collect(),
                    labels: ask.by.iter().cloned().zip(values).collect(),
                }
            })
            .filter(|series| !series.points.is_empty())
            .collect()
    }
}

fn mixes(signal: &str) -> BadAsk {
    BadAsk {
        parameter: "signal",
        problem: format!(
            "{signal} has values of different kinds: name the service, or ask by=service"
        ),
    }
}

fn too_many() -> BadAsk {
    BadAsk {
        parameter: "by",
        problem: format!(
            "more than {MAX_TALLIES} points in all: take fewer labels or a longer step"
        ),
    }
}
