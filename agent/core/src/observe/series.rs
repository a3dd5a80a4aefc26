//! The label sets of one signal: finding one cheaply, and keeping to `max_series`.
//!
//! Owns the limit. It counts the label sets seen within the last hour; one that was not seen for an hour leaves the set
//! at a seal. Beyond the limit the offending label, the one with the most distinct values in the set, becomes
//! `__overflow__` and the others stay; if even such sets grow beyond a tenth of the limit, the next worst label goes
//! too, and in the end all of them, so that a signal never has more than 1.1 × `max_series` + 1 sets. Never
//! drops an observation.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};
use watchkeeper_model::labels::OVERFLOW;
use watchkeeper_model::{Labels, Timestamp};

use super::cell::Cell;
use super::redact::Redactor;

/// A label's value longer than this counts as overflown: one line must not fill a batch with its labels.
pub const MAX_LABEL_VALUE_BYTES: usize = 1024;

/// A label set not seen for this long no longer counts.
const IDLE: Duration = Duration::from_secs(3_600);

/// The values of a signal's labels, one after another, as the key they are looked up by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelKey {
    bytes: Vec<u8>,
    n_too_long: u64,
}

impl LabelKey {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.n_too_long = 0;
    }

    /// The next label's value; "" for none.
    pub fn push(&mut self, value: &str) {
        let value = if value.len() <= MAX_LABEL_VALUE_BYTES {
            value
        } else {
            self.n_too_long += 1;
            OVERFLOW
        };
        // Not longer than MAX_LABEL_VALUE_BYTES, so its length fits.
        self.bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
    }
}

fn values_of(mut key: &[u8]) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (len, rest) = key.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        key = rest;
        Some(std::str::from_utf8(value).unwrap_or(OVERFLOW))
    })
}

/// One label set and its windows in the making.
#[derive(Debug)]
pub(super) struct Series {
    key: Box<[u8]>,
    pub(super) labels: Labels,
    /// Sorted by start.
    pub(super) cells: Vec<Cell>,
    /// Windows were taken since [`SeriesSet::forget_idle`] looked.
    pub(super) seen: bool,
    seen_at: Timestamp,
    overflown: bool,
}

/// The label sets of one signal.
#[derive(Debug)]
pub(super) struct SeriesSet {
    names: Vec<Arc<str>>,
    /// What every set has besides: the agent's labels. A signal's own label beats one of these.
    common: Labels,
    max_series: usize,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    pub(super) all: Vec<Series>,
    n_overflown: usize,
    /// Labels by how many distinct values they have, most first; known once the limit is hit.
    offenders: Option<Vec<usize>>,
    /// Per label, how many of its values became `__overflow__`.
    pub(super) overflowed: Vec<u64>,
    scratch: Vec<u8>,
    redactor: Arc<Redactor>,
    /// Replacements in values not told yet.
    n_redacted: u64,
}

/// Where an observation belongs.
pub(super) struct Place {
    pub(super) series: usize,
    /// How many label values became `__overflow__` on the way.
    pub(super) n_overflowed: u64,
    /// The label whose values became too many just now, by position.
    pub(super) first_overflow_of: Option<usize>,
    /// Replacements made in values, if the set is new.
    pub(super) n_redacted: u64,
}

impl Place {
    fn known(series: usize, key: &LabelKey) -> Self {
        Self { series, n_overflowed: key.n_too_long, first_overflow_of: None, n_redacted: 0 }
    }
}

impl SeriesSet {
    pub(super) fn new(
        names: Vec<Arc<str>>,
        common: Labels,
        max_series: usize,
        redactor: Arc<Redactor>,
    ) -> Self {
        Self {
            overflowed: vec![0; names.len()],
            names,
            common,
            max_series,
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            all: Vec::new(),
            n_overflown: 0,
            offenders: None,
            scratch: Vec::new(),
            redactor,
            n_redacted: 0,
        }
    }

    /// Takes this out of values from now on; sets whose windows were taken get other labels.
    pub(super) fn set_redactor(&mut self, redactor: Arc<Redactor>) {
        self.redactor = redactor;
        for series in 0..self.all.len() {
            self.all[series].labels = self.labels_of(&self.all[series].key).0;
        }
    }

    pub(super) fn set_max_series(&mut self, max_series: usize) {
        self.max_series = max_series;
        self.offenders = None;
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        self.table.find(hash, |&i| *self.all[i as usize].key == *key).map(|&i| i as usize)
    }

    /// The series of these label values, made if it is new and there is room.
    pub(super) fn place(&mut self, key: &LabelKey, now: Timestamp) -> Place {
        if let Some(series) = self.find(&key.bytes) {
            return Place::known(series, key);
        }
        if self.all.len() - self.n_overflown < self.max_series {
            let series = self.insert(key.bytes.clone().into(), now, false);
            let n_redacted = std::mem::take(&mut self.n_redacted);
            return Place { n_redacted, ..Place::known(series, key) };
        }
        self.overflow(key, now)
    }

    fn overflow(&mut self, key: &LabelKey, now: Timestamp) -> Place {
        let offenders = match self.offenders.take() {
            Some(known) => known,
            None => self.rank_offenders(),
        };
        let mut replaced = Vec::new();
        let mut series = None;
        for &label in &offenders {
            replaced.push(label);
            self.scratch.clear();
            for (i, value) in values_of(&key.bytes).enumerate() {
                let value = if replaced.contains(&i) { OVERFLOW } else { value };
                self.scratch.extend_from_slice(&(value.len() as u16).to_le_bytes());
                self.scratch.extend_from_slice(value.as_bytes());
            }
            series = self.find(&self.scratch);
            let room = self.n_overflown < (self.max_series / 10).max(1);
            if series.is_some() || room || replaced.len() == offenders.len() {
                break;
            }
        }
        let first = replaced.iter().copied().find(|&l| self.overflowed[l] == 0);
        replaced.iter().for_each(|&l| self.overflowed[l] += 1);
        self.offenders = Some(offenders);
        let series = series.unwrap_or_else(|| {
            // A signal without labels has one set only and never comes here with an empty scratch.
            let key = self.scratch.clone().into();
            self.insert(key, now, true)
        });
        let n_overflowed = key.n_too_long + replaced.len() as u64;
        let n_redacted = std::mem::take(&mut self.n_redacted);
        Place { series, n_overflowed, first_overflow_of: first, n_redacted }
    }

    fn rank_offenders(&self) -> Vec<usize> {
        let mut distinct: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); self.names.len()];
        for series in &self.all {
            for (seen, value) in distinct.iter_mut().zip(values_of(&series.key)) {
                seen.insert(value);
            }
        }
        let mut labels: Vec<usize> = (0..self.names.len()).collect();
        labels.sort_by_key(|&l| std::cmp::Reverse(distinct[l].len()));
        labels
    }

    fn insert(&mut self, key: Box<[u8]>, now: Timestamp, overflown: bool) -> usize {
        let (labels, n_redacted) = self.labels_of(&key);
        self.n_redacted += n_redacted;
        let (index, hash) = (self.all.len(), self.hasher.hash_one(&*key));
        self.n_overflown += usize::from(overflown);
        self.all.push(Series {
            labels,
            key,
            cells: Vec::new(),
            seen: true,
            seen_at: now,
            overflown,
        });
        let (all, hasher) = (&self.all, &self.hasher);
        self.table.insert_unique(hash, index as u32, |&i| hasher.hash_one(&*all[i as usize].key));
        index
    }

    /// The labels of a set as they leave the host, and how much was taken out of them. Values that differ only in what
    /// was taken out make sets that add up when they are sealed.
    fn labels_of(&self, key: &[u8]) -> (Labels, u64) {
        let mut n_redacted = 0;
        let mut leaving = |value: &str| -> Arc<str> {
            match self.redactor.covers_labels().then(|| self.redactor.redact(value)).flatten() {
                Some((redacted, n)) => {
                    n_redacted += n;
                    // A mark may be longer than what it stands for.
                    redacted[..redacted.floor_char_boundary(MAX_LABEL_VALUE_BYTES)].into()
                }
                None => value.into(),
            }
        };
        let values = values_of(key).map(&mut leaving);
        let own = Labels::new(self.names.iter().cloned().zip(values));
        (self.common.with(&own), n_redacted)
    }

    /// Notes when sets were seen whose windows have just been taken, and lets those go that were not for an hour.
    pub(super) fn forget_idle(&mut self, now: Timestamp) {
        let mut any_idle = false;
        for series in &mut self.all {
            if std::mem::take(&mut series.seen) {
                series.seen_at = now;
            }
            any_idle |= now.since(series.seen_at) > IDLE;
        }
        if !any_idle {
            return;
        }
        self.all.retain(|s| !s.cells.is_empty() || now.since(s.seen_at) <= IDLE);
        self.n_overflown = self.all.iter().filter(|s| s.overflown).count();
        self.offenders = None;
        self.overflowed.fill(0);
        self.table.clear();
        let (all, hasher) = (&self.all, &self.hasher);
        let hash = |i: u32| hasher.hash_one(&*all[i as usize].key);
        for i in 0..all.len() as u32 {
            self.table.insert_unique(hash(i), i, |&i| hash(i));
        }
    }

    pub(super) fn label_name(&self, label: usize) -> &str {
        &self.names[label]
    }
}

#[cfg(test)]
mod tests {
    use super::super::redact::RedactSettings;
    use super::*;

    fn key(values: &[&str]) -> LabelKey {
        let mut key = LabelKey::default();
        values.iter().for_each(|v| key.push(v));
        key
    }

    fn set(max_series: usize) -> SeriesSet {
        let common = Labels::new([("env", "prod"), ("user", "agent's")]);
        let names = vec!["status".into(), "user".into()];
        SeriesSet::new(names, common, max_series, Arc::default())
    }

    fn labels(set: &mut SeriesSet, values: &[&str]) -> String {
        let place = set.place(&key(values), Timestamp(0));
        set.all[place.series].labels.to_string()
    }

    #[test]
    fn a_signals_own_label_beats_the_agents() {
        let mut set = set(10);
        assert_eq!(labels(&mut set, &["200", "bob"]), r#"{env="prod", status="200", user="bob"}"#);
        assert_eq!(labels(&mut set, &["200", ""]), r#"{env="prod", status="200", user="agent's"}"#);
    }

    #[test]
    fn the_label_with_the_most_values_overflows_and_the_others_stay() {
        let mut set = set(10);
        for i in 0..10 {
            let place = set.place(&key(&["200", &i.to_string()]), Timestamp(0));
            assert_eq!(place.n_overflowed, 0);
        }
        let place = set.place(&key(&["500", "11"]), Timestamp(0));
        assert_eq!((place.n_overflowed, place.first_overflow_of), (1, Some(1)));
        assert_eq!(set.all[place.series].labels.get("status"), "500");
        assert_eq!(set.all[place.series].labels.get("user"), OVERFLOW);
        let known = set.place(&key(&["200", "3"]), Timestamp(0));
        assert_eq!((known.n_overflowed, known.series), (0, 3), "known sets stay what they are");
        let again = set.place(&key(&["500", "12"]), Timestamp(0));
        assert_eq!((again.series, again.first_overflow_of), (place.series, None));
    }

    #[test]
    fn a_signal_never_has_many_more_sets_than_its_limit() {
        let mut set = set(100);
        for i in 0..3_000 {
            let place = set.place(&key(&[&(i % 700).to_string(), &i.to_string()]), Timestamp(0));
            assert!(place.series < 111);
        }
        assert_eq!(set.all.len(), 111);
        assert_eq!(set.all[110].labels.get("status"), OVERFLOW, "in the end every label goes");
    }

    #[test]
    fn a_set_not_seen_for_an_hour_makes_room() {
        let mut set = set(2);
        let at = |secs| Timestamp::from_secs(secs);
        set.place(&key(&["200", "a"]), at(0));
        set.place(&key(&["200", "b"]), at(0));
        assert_eq!(set.place(&key(&["200", "c"]), at(0)).n_overflowed, 1);
        set.forget_idle(at(0));
        set.all[1].seen = true;
        set.forget_idle(at(3_000));
        set.forget_idle(at(3_700));
        assert_eq!(set.all.len(), 1);
        assert_eq!(set.place(&key(&["200", "b"]), at(3_700)).series, 0);
        let place = set.place(&key(&["200", "c"]), at(3_700));
        assert_eq!((place.series, place.n_overflowed), (1, 0));
        assert_eq!(set.place(&key(&["200", "d"]), at(3_700)).first_overflow_of, Some(1));
    }

    #[test]
    fn values_are_redacted_when_asked_and_sets_that_become_one_stay_apart_inside() {
        let mut set = set(10);
        let place = |set: &mut SeriesSet, user| set.place(&key(&["200", user]), Timestamp(0));
        assert_eq!(place(&mut set, "bob@example.com").n_redacted, 0);
        assert_eq!(set.all[0].labels.get("user"), "bob@example.com", "labels stay unless asked");
        let settings = RedactSettings { labels: true, ..RedactSettings::default() };
        set.set_redactor(Arc::new(Redactor::new(&settings)));
        assert_eq!(set.all[0].labels.get("user"), "[email]");
        let (bob, amy) = (place(&mut set, "bob@example.com"), place(&mut set, "amy@example.com"));
        assert_eq!((bob.series, bob.n_redacted, amy.series, amy.n_redacted), (0, 0, 1, 1));
        assert_eq!(place(&mut set, "amy@example.com").n_redacted, 0, "counted once for each set");
        assert_eq!(set.all[0].labels, set.all[1].labels);
        assert_eq!(set.all[0].labels.get("status"), "200");
    }

    #[test]
    fn a_value_too_long_for_a_label_overflows() {
        let mut set = set(10);
        let long = "x".repeat(MAX_LABEL_VALUE_BYTES + 1);
        let place = set.place(&key(&["200", &long]), Timestamp(0));
        assert_eq!(place.n_overflowed, 1);
        assert_eq!(set.all[place.series].labels.get("user"), OVERFLOW);
    }
}
