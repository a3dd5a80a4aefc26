//! Rules: a condition on a signal that is no SLO.
//!
//! Owns the windows of each group of a rule and what they say. Never decides what becomes of the alert: `step` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use watchkeeper_expr::Verdict;
use watchkeeper_expr::duration::format as duration_text;
use watchkeeper_model::time::nanos_of;
use watchkeeper_model::{AgentId, Dimension, Distribution, Labels, Service, Timestamp};

use crate::series::{
    Filter, Involved, Measure, Observed, Op, Part, Ring, Stat, Threshold, granularity,
};
use crate::slo::Counts;

/// How many groups one rule may have; windows of others are not looked at, and counted.
pub const MAX_GROUPS: usize = 1000;

/// How many values of a label `distinct` counts; of more it says this many.
const MAX_VALUES: usize = 1000;

/// A rule, ready to evaluate.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSettings {
    /// Its name, and its alerts' `alertname`; unique among rules.
    pub name: String,
    /// Whose.
    pub service: Service,
    /// Of which signal.
    pub signal: String,
    /// Which observations count.
    pub scope: Filter,
    /// Which of them are good, for `bad_ratio`.
    pub good: Filter,
    /// What is measured.
    pub stat: Stat,
    /// Of which label the values are counted, for `distinct`; `agent` and `service` are labels too. Empty for all else.
    pub of: String,
    /// Over which window.
    pub over: Duration,
    /// How it is compared. Of no meaning for `absent`.
    pub op: Op,
    /// With what. Of no meaning for `absent`.
    pub value: Threshold,
    /// `for`
    pub wait: Duration,
    /// `keep_firing_for`
    pub keep: Duration,
    /// One alert for each combination of values of these labels; `agent` and `service` may be among them.
    pub by: Vec<String>,
    /// Observations needed in the window; 1 by default.
    pub min_events: u64,
    /// Labels of its own, `severity` usually among them.
    pub labels: Labels,
    /// For people.
    pub annotations: Labels,
}

impl RuleSettings {
    /// Whether it looks at this signal.
    pub fn concerns(&self, service: &Service, signal: &str) -> bool {
        self.service == *service && self.signal == signal
    }

    /// Whether windows kept for `other` serve this rule: only what judges them may differ.
    pub fn counts_like(&self, other: &Self) -> bool {
        let counted = |r: &Self| {
            let needs_values = r.stat.needs_values();
            (r.service.clone(), r.signal.clone(), r.over, r.by.clone(), r.of.clone(), needs_values)
        };
        counted(self) == counted(other) && self.scope == other.scope && self.good == other.good
    }

    /// Whether fewer observations make it more likely to be met.
    fn asks_for_few(&self) -> bool {
        self.stat.is_zero_when_empty() && matches!(self.op, Op::Less | Op::LessOrEqual)
    }

    /// The condition as text: `p95 over 5m > 0.2`.
    fn words(&self) -> String {
        let over = duration_text(nanos_of(self.over));
        match self.stat {
            Stat::Absent => format!("nothing over {over}"),
            Stat::Distinct => {
                let (of, op, value) = (&self.of, self.op.as_str(), self.value.outside());
                format!("values of {of} over {over} {op} {value}")
            }
            stat => format!("{stat} over {over} {} {}", self.op.as_str(), self.value.outside()),
        }
    }
}

/// What one bucket of a group holds.
#[derive(Clone, Debug, Default)]
struct Cell {
    distribution: Distribution,
    counts: Counts,
    values: BTreeSet<Arc<str>>,
}

impl Part for Cell {
    fn add(&mut self, other: &Self) {
        self.distribution.merge(&other.distribution);
        self.counts.add(&other.counts);
        for value in &other.values {
            self.note(value);
        }
    }

    fn is_empty(&self) -> bool {
        self.distribution.count == 0
    }
}

impl Cell {
    /// Notes the value of a label.
    fn note(&mut self, value: &Arc<str>) {
        if self.values.len() < MAX_VALUES {
            self.values.insert(value.clone());
        }
    }
}

/// The windows of one combination of `by` values.
#[derive(Clone, Debug)]
pub struct Group {
    ring: Ring<Cell>,
    dimension: Dimension,
    /// Who contributed.
    pub involved: Involved,
}

/// What a group says.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Whether the condition holds; `None` if there are no data to say.
    pub met: Option<bool>,
    /// There is no observation in the window.
    pub is_empty: bool,
    /// The value, in outside units.
    pub value: Option<f64>,
    /// In words, with numbers.
    pub reason: String,
    /// The rule's value and the signal measure different things.
    pub mismatch: bool,
}

/// A rule with the windows of its groups.
#[derive(Clone, Debug)]
pub struct Rule {
    settings: RuleSettings,
    groups: BTreeMap<Labels, Group>,
    n_overflowed: u64,
}

impl Rule {
    /// A rule that has seen nothing. A rule without `by` has its one group from the start.
    pub fn new(settings: RuleSettings) -> Self {
        let mut rule = Self { settings, groups: BTreeMap::new(), n_overflowed: 0 };
        if rule.settings.by.is_empty() {
            rule.group(&Labels::default(), Dimension::Plain);
        }
        rule
    }

    /// What it was made from.
    pub fn settings(&self) -> &RuleSettings {
        &self.settings
    }

    /// Takes over settings under which the same is counted; see [`RuleSettings::counts_like`].
    pub fn adopt(&mut self, settings: RuleSettings) {
        self.settings = settings;
    }

    /// Its groups.
    pub fn groups(&self) -> impl Iterator<Item = (&Labels, &Group)> {
        self.groups.iter()
    }

    /// One of its groups.
    pub fn get(&self, by: &Labels) -> Option<&Group> {
        self.groups.get(by)
    }

    /// Windows of groups beyond [`MAX_GROUPS`], so far.
    pub fn n_overflowed(&self) -> u64 {
        self.n_overflowed
    }

    /// Makes sure that a group is there, as for one whose alert was stored.
    pub fn group(&mut self, by: &Labels, dimension: Dimension) -> Option<&mut Group> {
        if !self.groups.contains_key(by) {
            if self.groups.len() >= MAX_GROUPS {
                return None;
            }
            let over = self.settings.over;
            let ring = Ring::new(over, granularity(over));
            let group = Group { ring, dimension, involved: Involved::new(over) };
            self.groups.insert(by.clone(), group);
        }
        self.groups.get_mut(by)
    }

    /// Takes in a window; the group it belongs to, unless the rule does not look at it or has too many.
    pub fn observe(&mut self, seen: &Observed, now: Timestamp) -> Option<Labels> {
        let settings = &self.settings;
        if !settings.concerns(&seen.service, &seen.signal)
            || settings.scope.verdict(&seen.labels) != Verdict::Match
        {
            return None;
        }
        let mut cell = Cell {
            values: BTreeSet::new(),
            counts: judge(settings, seen),
            distribution: match settings.stat.needs_values() {
                true => seen.distribution.clone(),
                false => Distribution::counted(seen.distribution.count),
            },
        };
        if settings.stat == Stat::Distinct && !seen.label(&settings.of).is_empty() {
            cell.note(&seen.label(&settings.of).into());
        }
        let by = seen.group(&settings.by);
        let Some(group) = self.group(&by, seen.dimension) else {
            self.n_overflowed += 1;
            return None;
        };
        group.dimension = seen.dimension;
        let (_, bucket) = group.ring.bucket(seen.window.start, now)?;
        bucket.add(&cell);
        let agent = seen.labels.get("agent");
        if !agent.is_empty() {
            group.involved.add(&AgentId::new(agent), cell.distribution.count, now);
        }
        Some(by)
    }

    /// Lets time pass for one group. One that holds nothing any more and has no alert is forgotten, but for those of
    /// `absent`: that they are empty is what they are for.
    pub fn advance_group(&mut self, by: &Labels, has_alert: bool, now: Timestamp) {
        let stays = self.settings.by.is_empty() || self.settings.stat == Stat::Absent;
        let Some(group) = self.groups.get_mut(by) else {
            return;
        };
        group.ring.expire(now);
        if !stays && !has_alert && group.ring.is_empty() {
            self.groups.remove(by);
        }
    }

    /// What a group says. `known_since` is since when its windows would have been seen.
    pub fn evaluate(&self, by: &Labels, known_since: Timestamp, now: Timestamp) -> Option<Finding> {
        let group = self.groups.get(by)?;
        let sum = group.ring.sum(self.settings.over, now);
        Some(match self.settings.stat {
            Stat::Absent => self.absent(&sum, known_since, now),
            _ => {
                let known = now.since(known_since) >= self.settings.over;
                self.compare(group, &sum, known)
            }
        })
    }

    fn absent(&self, sum: &Cell, known_since: Timestamp, now: Timestamp) -> Finding {
        let is_empty = sum.is_empty();
        let known = now.since(known_since) >= self.settings.over;
        let over = duration_text(nanos_of(self.settings.over));
        Finding {
            met: (!is_empty || known).then_some(is_empty),
            is_empty,
            value: None,
            reason: match is_empty {
                true => format!("no observation in the last {over}"),
                false => format!("{} observations in the last {over}", sum.distribution.count),
            },
            mismatch: false,
        }
    }

    fn compare(&self, group: &Group, sum: &Cell, known: bool) -> Finding {
        let settings = &self.settings;
        let dimension = settings.stat.dimension(group.dimension);
        let limit = settings.value.base_in(dimension);
        let measure = match settings.stat {
            Stat::BadRatio => bad_ratio(&sum.counts),
            Stat::Distinct => {
                let plain = i128::from(Dimension::Plain.base_per_unit());
                Some(Measure { base: sum.values.len() as i128 * plain, per: 1 })
            }
            stat => stat.measure(&sum.distribution, settings.over),
        };
        let enough = sum.distribution.count >= settings.min_events;
        let met = match (measure, limit) {
            // What is too few in a window that was not seen whole may only be not all of it.
            (Some(_), Some(_)) if !known && settings.asks_for_few() => None,
            (Some(measure), Some(limit)) if enough => Some(settings.op.holds(measure, limit)),
            (Some(_), Some(_)) if settings.stat.is_zero_when_empty() => Some(false),
            _ => None,
        };
        let value = measure.map(|measure| measure.outside(dimension));
        Finding {
            met,
            is_empty: sum.is_empty(),
            value,
            reason: match value {
                Some(value) => format!("{} is {}", settings.words(), Rounded(value)),
                None => format!("{}: no data", settings.words()),
            },
            mismatch: limit.is_none() && !sum.is_empty(),
        }
    }

    /// How often time alone may change what a group says.
    pub fn grain(&self) -> Duration {
        granularity(self.settings.over)
    }
}

impl Group {
    /// Whether time alone may change what it says: something in it is still to leave.
    pub fn is_moving(&self) -> bool {
        !self.ring.is_empty()
    }
}

fn judge(settings: &RuleSettings, seen: &Observed) -> Counts {
    let n = seen.distribution.count;
    match settings.good.verdict(&seen.labels) {
        Verdict::Match => Counts { good: n, total: n, ..Counts::default() },
        Verdict::NoMatch => Counts { total: n, ..Counts::default() },
        Verdict::Unjudged => Counts { unjudged: n, ..Counts::default() },
    }
}

fn bad_ratio(counts: &Counts) -> Option<Measure> {
    let per_unit = i128::from(Dimension::Ratio.base_per_unit());
    (counts.total > 0).then(|| Measure {
        base: i128::from(counts.bad()) * per_unit,
        per: i128::from(counts.total),
    })
}

/// A number with four significant digits, for people.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = if self.0 == 0.0 { 0.0 } else { self.0.abs().log10().floor() };
        let digits = (3.0 - magnitude).clamp(0.0, 12.0) as usize;
        let text = format!("{:.digits$}", self.0);
        match text.contains('.') {
            true => f.write_str(text.trim_end_matches('0').trim_end_matches('.')),
            false => f.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::{Last, Values, Window};

    fn rule(stat: &str, op: Op, value: Threshold) -> RuleSettings {
        RuleSettings {
            name: "r".to_owned(),
            service: Service::new("shop").unwrap(),
            signal: "requests".to_owned(),
            scope: Filter::compile("path != '/health'").unwrap(),
            good: Filter::compile("int(status) < 500").unwrap(),
            stat: Stat::parse(stat).unwrap(),
            of: String::new(),
            over: Duration::from_secs(300),
            op,
            value,
            wait: Duration::ZERO,
            keep: Duration::ZERO,
            by: vec!["status".to_owned(), "agent".to_owned()],
            min_events: 1,
            labels: Labels::default(),
            annotations: Labels::default(),
        }
    }

    fn seen(status: &str, ms: i64, at: i64) -> Observed {
        let at = Timestamp::from_secs(at);
        let agent = AgentId::new("web-1");
        let last = Last { at, agent, seq: 1, index: 0, value: ms * 1_000_000 };
        Observed {
            service: Service::new("shop").unwrap(),
            signal: "requests".into(),
            dimension: Dimension::Time,
            labels: Labels::new([("status", status), ("agent", "web-1")]),
            window: Window::holding(at, 1),
            distribution: Distribution { count: 1, values: Some(Box::new(Values::of(last))) },
        }
    }

    #[test]
    fn each_statistic_says_what_the_window_holds() {
        let plain = |n: i64| Threshold::base(n * 1_000_000, Dimension::Plain);
        let ms = |n: i64| Threshold::base(n * 1_000_000, Dimension::Time);
        for (stat, op, value, met) in [
            ("count", Op::Equal, plain(3), true),
            ("rate", Op::Equal, Threshold::base(10_000, Dimension::Plain), true),
            ("sum", Op::Equal, ms(600), true),
            ("avg", Op::Equal, ms(200), true),
            ("min", Op::LessOrEqual, ms(100), true),
            ("max", Op::Greater, ms(299), true),
            ("last", Op::Equal, ms(200), true),
            ("p50", Op::Greater, ms(190), true),
            ("p99.9", Op::Greater, ms(300), false),
            ("bad_ratio", Op::Equal, Threshold::base(1_000_000_000, Dimension::Ratio), true),
        ] {
            let mut rule = Rule::new(rule(stat, op, value));
            let now = Timestamp::from_secs(1_000_003);
            let mut by = None;
            for (value, at) in [(100, 1_000_000), (300, 1_000_001), (200, 1_000_002)] {
                by = rule.observe(&seen("500", value, at), now);
            }
            let finding = rule.evaluate(&by.unwrap(), now, now).unwrap();
            assert_eq!(finding.met, Some(met), "{stat}: {finding:?}");
        }
    }

    #[test]
    fn values_of_a_label_are_counted_once_each_as_long_as_they_are_seen() {
        let two = Threshold::base(2_000_000, Dimension::Plain);
        let settings = RuleSettings {
            of: "status".to_owned(),
            by: Vec::new(),
            ..rule("distinct", Op::GreaterOrEqual, two)
        };
        let mut rule = Rule::new(settings);
        let all = Labels::default();
        for (status, at, met, said) in [
            ("502", 1_000_000, false, "values of status over 5m >= 2 is 1"),
            ("502", 1_000_100, false, "values of status over 5m >= 2 is 1"),
            ("", 1_000_100, false, "values of status over 5m >= 2 is 1"),
            ("503", 1_000_200, true, "values of status over 5m >= 2 is 2"),
            // The first is seen no longer.
            ("503", 1_000_450, false, "values of status over 5m >= 2 is 1"),
        ] {
            let now = Timestamp::from_secs(at);
            rule.observe(&seen(status, 1, at), now);
            let finding = rule.evaluate(&all, Timestamp::EPOCH, now).unwrap();
            assert_eq!((finding.met, finding.reason.as_str()), (Some(met), said), "{status} {at}");
        }
        let now = Timestamp::from_secs(1_001_000);
        assert_eq!(rule.evaluate(&all, Timestamp::EPOCH, now).unwrap().met, Some(false));
        for n in 0..MAX_VALUES + 5 {
            rule.observe(&seen(&n.to_string(), 1, 1_001_000), now);
        }
        let finding = rule.evaluate(&all, Timestamp::EPOCH, now).unwrap();
        assert_eq!(finding.value, Some(MAX_VALUES as f64));
    }

    #[test]
    fn a_value_in_another_dimension_says_nothing() {
        let mut rule = Rule::new(rule("max", Op::Greater, Threshold::base(1, Dimension::Bytes)));
        let now = Timestamp::from_secs(1_000_000);
        let by = rule.observe(&seen("200", 1, 1_000_000), now).unwrap();
        let finding = rule.evaluate(&by, now, now).unwrap();
        assert_eq!((finding.met, finding.mismatch), (None, true));
    }

    #[test]
    fn groups_are_bounded_and_idle_ones_forgotten() {
        let mut rule = Rule::new(rule("count", Op::Greater, Threshold::base(0, Dimension::Plain)));
        let now = Timestamp::from_secs(1_000_000);
        for i in 0..MAX_GROUPS + 5 {
            rule.observe(&seen(&i.to_string(), 1, 1_000_000), now);
        }
        assert_eq!((rule.groups().count(), rule.n_overflowed()), (MAX_GROUPS, 5));
        let all: Vec<Labels> = rule.groups().map(|(by, _)| by.clone()).collect();
        for by in all {
            rule.advance_group(&by, by.get("status") == "7", now + Duration::from_secs(301));
        }
        assert_eq!(rule.groups().count(), 1);
    }

    #[test]
    fn absence_needs_to_have_been_looked_for_long_enough() {
        let mut settings = rule("absent", Op::Greater, Threshold::base(0, Dimension::Plain));
        settings.by.clear();
        let mut rule = Rule::new(settings);
        let by = Labels::default();
        let at = |secs: i64| Timestamp::from_secs(1_000_000 + secs);
        for (now, met) in [(0, None), (299, None), (300, Some(true))] {
            assert_eq!(rule.evaluate(&by, at(0), at(now)).unwrap().met, met, "at {now}");
        }
        rule.observe(&seen("200", 1, 1_000_300), at(300));
        for (now, met) in [(300, false), (599, false), (600, true)] {
            assert_eq!(rule.evaluate(&by, at(0), at(now)).unwrap().met, Some(met), "at {now}");
        }
    }

    #[test]
    fn numbers_for_people_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.123_456, "0.1235"),
            (12_345.6, "12346"),
            (1.0, "1"),
            (100.0, "100"),
            (0.000_012_3, "0.0000123"),
        ] {
            assert_eq!(Rounded(value).to_string(), text);
        }
    }
}
