//! Rules: windows of their groups and what they report.
//!
//! Owns when a group is evaluated, and when "nothing" means zero and when it means that nobody looks.

use std::collections::{BTreeMap, BTreeSet};

use watchkeeper_model::{Dimension, Labels, Timestamp};

use super::Engine;
use super::alerts::Report;
use super::effect::Fact;
use super::pace::Pace;
use crate::alert::{AlertKey, AlertRow, Condition, Finding, Hold, Rule, RuleSettings};
use crate::series::{Observed, Stat};

/// One rule under watch.
#[derive(Clone, Debug)]
pub(super) struct RuleWatch {
    pub(super) rule: Rule,
    /// Since when its windows would have been seen.
    known_since: Timestamp,
    groups: BTreeMap<Labels, GroupWatch>,
    /// Overflows and mismatches were told up to here.
    told_overflow: u64,
    told_mismatch: bool,
}

#[derive(Clone, Copy, Debug)]
struct GroupWatch {
    pace: Pace,
    /// When to evaluate it although nothing arrives.
    due: Option<Timestamp>,
}

impl RuleWatch {
    pub(super) fn new(settings: RuleSettings, now: Timestamp) -> Self {
        let rule = Rule::new(settings);
        let fresh = GroupWatch { pace: Pace::new(), due: Some(now) };
        let groups = rule.groups().map(|(by, _)| (by.clone(), fresh)).collect();
        Self { rule, known_since: now, groups, told_overflow: 0, told_mismatch: false }
    }

    /// Makes sure that a group is there: its alert was stored.
    pub(super) fn keep(&mut self, by: &Labels, now: Timestamp) {
        if self.rule.group(by, Dimension::Plain).is_some() {
            self.group(by).due = Some(now);
        }
    }

    /// Evaluates everything again, for the settings have changed.
    pub(super) fn again(&mut self, now: Timestamp) {
        self.groups.values_mut().for_each(|group| group.due = Some(now));
    }

    pub(super) fn set_back(&mut self, now: Timestamp) {
        self.known_since = self.known_since.min(now);
        self.again(now);
    }

    /// Takes in a window that was stored before a restart.
    pub(super) fn restore(&mut self, seen: &Observed, now: Timestamp) {
        if let Some(by) = self.rule.observe(seen, now) {
            self.group(&by).due = Some(now);
        }
    }

    fn group(&mut self, by: &Labels) -> &mut GroupWatch {
        let fresh = GroupWatch { pace: Pace::new(), due: None };
        self.groups.entry(by.clone()).or_insert(fresh)
    }
}

impl Engine {
    /// Windows are on disk.
    pub(super) fn observed(&mut self, observed: &[Observed], now: Timestamp) {
        let mut touched: BTreeSet<(String, Labels)> = BTreeSet::new();
        for (name, watch) in &mut self.rules {
            for seen in observed {
                if let Some(by) = watch.rule.observe(seen, now) {
                    touched.insert((name.clone(), by));
                }
            }
        }
        for (name, by) in touched {
            self.evaluate_group_at_pace(&name, &by, now);
        }
        self.tell_overflow(now);
    }

    /// Evaluates what is due and forgets what is idle.
    pub(super) fn check_rules(&mut self, now: Timestamp) {
        let due: Vec<(String, Labels)> = self
            .rules
            .iter()
            .flat_map(|(name, watch)| watch.groups.iter().map(move |(by, group)| (name, by, group)))
            .filter(|(_, _, group)| group.due.is_some_and(|due| due <= now))
            .map(|(name, by, _)| (name.clone(), by.clone()))
            .collect();
        for (name, by) in due {
            self.evaluate_group_at_pace(&name, &by, now);
        }
    }

    pub(super) fn rules_due(&self) -> Option<Timestamp> {
        self.rules.values().flat_map(|watch| watch.groups.values()).filter_map(|g| g.due).min()
    }

    fn evaluate_group_at_pace(&mut self, name: &str, by: &Labels, now: Timestamp) {
        let Some(watch) = self.rules.get_mut(name) else {
            return;
        };
        let group = watch.group(by);
        match group.pace.take(now) {
            Ok(()) => self.evaluate_group(name, by, now),
            Err(next) => {
                group.due = Some(next);
                self.clock.wake_at(next);
            }
        }
    }

    fn evaluate_group(&mut self, name: &str, by: &Labels, now: Timestamp) {
        let key = AlertKey::rule(name, by.clone());
        let firing = self.is_firing(&key);
        let Some(watch) = self.rules.get(name) else {
            return;
        };
        let known_since = watch.known_since.max(self.clock.awake_since);
        let Some(finding) = watch.rule.evaluate(by, known_since, now) else {
            return;
        };
        let settings = watch.rule.settings();
        let condition = self.condition_of(settings, by, &finding, firing, now);
        let report = Report {
            labels: rule_labels(settings, by),
            annotations: settings.annotations.clone(),
            key,
            condition,
            hold: Hold { wait: settings.wait, keep: settings.keep },
            value: finding.value,
            reason: match condition {
                Condition::Unknown => format!("held: {}", finding.reason),
                Condition::Met | Condition::Unmet => finding.reason.clone(),
            },
            burning: Vec::new(),
            expires_at: None,
        };
        self.report(report, now);
        self.tell_mismatch(name, finding.mismatch, now);
        self.plan_group(name, by, now);
    }

    /// What a finding means for the alert. No observation is zero for counts as long as everybody who could have
    /// observed is there; otherwise nobody knows.
    fn condition_of(
        &self,
        settings: &RuleSettings,
        by: &Labels,
        finding: &Finding,
        firing: bool,
        now: Timestamp,
    ) -> Condition {
        let said = |met| if met { Condition::Met } else { Condition::Unmet };
        if settings.stat == Stat::Absent {
            // Not looked for long enough: an alert that was on before a restart goes on.
            return finding.met.map_or(said(firing), said);
        }
        match finding.met {
            Some(met) if !finding.is_empty => said(met),
            Some(met) => {
                let group = self.rules.get(&settings.name).and_then(|watch| watch.rule.get(by));
                let named = group.into_iter().flat_map(|group| group.involved.agents());
                if self.all_live(&settings.service, named, now) {
                    said(met)
                } else {
                    Condition::Unknown
                }
            }
            None => Condition::Unknown,
        }
    }

    /// Says when to look at a group again although nothing arrives, and forgets it when it is idle.
    fn plan_group(&mut self, name: &str, by: &Labels, now: Timestamp) {
        let row = self.alerts.get(&AlertKey::rule(name, by.clone()).fingerprint());
        let active = row.filter(|row| row.ends_at.is_none());
        let timer = active.and_then(|row| self.timer_of(name, row)).filter(|at| *at > now);
        let is_active = active.is_some();
        let Some(watch) = self.rules.get_mut(name) else {
            return;
        };
        watch.rule.advance_group(by, is_active, now);
        let grain = watch.rule.grain();
        let Some(group) = watch.rule.get(by) else {
            watch.groups.remove(by);
            return;
        };
        let absent = watch.rule.settings().stat == Stat::Absent;
        let moving = is_active || group.is_moving() || absent;
        let next = moving.then(|| now.floor(grain) + grain);
        let due = next.into_iter().chain(timer).min();
        watch.group(by).due = due;
        if let Some(due) = due {
            self.clock.wake_at(due);
        }
    }

    /// When `for` or `keep_firing_for` elapses.
    fn timer_of(&self, name: &str, row: &AlertRow) -> Option<Timestamp> {
        let settings = self.rules.get(name)?.rule.settings();
        match row.is_firing() {
            true => row.unmet_since.map(|since| since + settings.keep),
            false => Some(row.pending_since + settings.wait),
        }
    }

    /// Who contributed to a group, the most first.
    pub(super) fn group_agents(&self, row: &AlertRow) -> Vec<String> {
        let watch = self.rules.get(&row.key.name);
        let group = watch.and_then(|watch| watch.rule.get(&row.key.by));
        group.map(|group| group.involved.worst(10)).unwrap_or_default()
    }

    fn tell_overflow(&mut self, now: Timestamp) {
        let mut facts = Vec::new();
        for (name, watch) in &mut self.rules {
            let n_windows = watch.rule.n_overflowed();
            // At first, and then each time it has doubled.
            if n_windows > watch.told_overflow * 2 {
                watch.told_overflow = n_windows;
                facts.push(Fact::GroupsOverflowed { at: now, rule: name.clone(), n_windows });
            }
        }
        facts.into_iter().for_each(|fact| self.fact(fact));
    }

    fn tell_mismatch(&mut self, name: &str, mismatch: bool, now: Timestamp) {
        let Some(watch) = self.rules.get_mut(name) else {
            return;
        };
        if mismatch && !std::mem::replace(&mut watch.told_mismatch, true) {
            self.fact(Fact::DimensionMismatch { at: now, rule: name.to_owned() });
        }
    }
}

/// The labels of a rule's alert. Its own can't stand in for those that identify it.
pub(super) fn rule_labels(rule: &RuleSettings, by: &Labels) -> Labels {
    rule.labels
        .with(&Labels::new([("service", rule.service.as_str())]))
        .with(by)
        .with(&Labels::new([("alertname", rule.name.as_str())]))
}
