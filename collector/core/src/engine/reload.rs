//! Restart and reload: settings change under what goes on.
//!
//! Owns what is kept, what is deleted and what is rerouted. Whatever stays the same keeps its state and its timers, and
//! nobody is told anything because of it.

use std::sync::Arc;

use watchkeeper_model::{Labels, Timestamp};

use super::Engine;
use super::agents::AgentWatch;
use super::corrections::Corrections;
use super::effect::Fact;
use super::index::Index;
use super::input::{Restored, RestoredSlo, Settings};
use super::own::own_annotations;
use super::rules::{RuleWatch, rule_labels};
use super::slos::{SloWatch, slo_labels, slo_severity};
use crate::alert::{AlertKind, AlertRow, Builtin, Fingerprint};
use crate::notify::{Cause, GroupId, GroupRow, IncidentRow};

/// What an alert is called under the present settings.
enum Name {
    /// So.
    Known { labels: Labels, annotations: Labels },
    /// What it is about is no longer there.
    Deleted,
}

impl Engine {
    /// Goes on where the stored rows left off.
    pub(super) fn restore(&mut self, restored: Restored, now: Timestamp) {
        self.alerts = restored.alerts.into_iter().map(|row| (row.fingerprint, row)).collect();
        self.groups = restored.groups.into_iter().map(|row| (row.id.clone(), row)).collect();
        self.incidents = restored.incidents.into_iter().map(|row| (row.number, row)).collect();
        self.deliveries = restored.deliveries.into_iter().map(|row| (row.id, row)).collect();
        for row in restored.agents {
            self.agents.insert(row.id.clone(), AgentWatch::restored(row, now));
        }
        for (id, tally) in &restored.tallies {
            if let Some(agent) = self.agents.get_mut(id) {
                agent.add_tally(tally);
            }
        }
        self.mend(now);
        self.corrections = Corrections::restored(restored.corrections);
        let settings = Arc::clone(&self.settings);
        self.renew_slos(&settings, restored.slos, now);
        self.renew_rules(&settings, now);
        for seen in &restored.observed {
            self.rules.values_mut().for_each(|watch| watch.restore(seen, now));
        }
        self.reconcile(now);
        self.launch_again();
    }

    /// The configuration has changed.
    pub(super) fn reload(
        &mut self,
        settings: Settings,
        restored: Vec<RestoredSlo>,
        now: Timestamp,
    ) {
        self.settings = Arc::new(settings);
        let settings = Arc::clone(&self.settings);
        self.renew_slos(&settings, restored, now);
        self.renew_rules(&settings, now);
        self.reconcile(now);
    }

    /// Rows that do not fit each other, as after a restored backup, are made to: nothing is lost, and what may be open
    /// is closed in the end.
    fn mend(&mut self, now: Timestamp) {
        for incident in self.incidents.values_mut() {
            let id = GroupId {
                group_key: incident.group_key.clone(),
                receiver: incident.receiver.clone(),
            };
            let lost = |id: &u64| !self.deliveries.contains_key(id);
            if incident.in_flight.as_ref().is_some_and(lost) {
                incident.in_flight = None;
                incident.maybe_open = true;
                incident.retry_at = Some(now);
            }
            let timing = self.settings.routes.root().timing;
            self.groups.entry(id.clone()).or_insert_with(|| {
                let mut group = GroupRow::new(id, "", Labels::default(), timing);
                group.next_flush = Some(now);
                group
            });
        }
        self.rejoin(now);
        self.index = Index::of(self.groups.values(), self.incidents.values());
        let incidents = &self.incidents;
        self.deliveries.retain(|_, delivery| incidents.contains_key(&delivery.incident));
    }

    fn renew_slos(&mut self, settings: &Settings, restored: Vec<RestoredSlo>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.slos);
        for slo in &settings.slos {
            let same = |old: &SloWatch| old.settings.definition() == slo.definition();
            let watch = match before.remove(&slo.name).filter(same) {
                Some(mut watch) => {
                    watch.adopt(slo, settings, now);
                    watch
                }
                None => SloWatch::new(slo.clone(), settings, now),
            };
            self.slos.insert(slo.name.clone(), watch);
            for left_out in slo.tiers().1 {
                let why = left_out.to_string();
                self.fact(Fact::TierLeftOut { slo: slo.name.clone(), why });
            }
        }
        // Each is forgotten before the next is taken: what they leave is room for it.
        for counts in restored {
            if let Some(watch) = self.slos.get_mut(counts.name()) {
                watch.restore(&counts, now);
            }
        }
        self.make_agenda();
        self.apply_corrections(now);
    }

    fn renew_rules(&mut self, settings: &Settings, now: Timestamp) {
        let mut before = std::mem::take(&mut self.rules);
        for rule in &settings.rules {
            let same = |old: &RuleWatch| old.rule.settings().counts_like(rule);
            let old = before.remove(&rule.name);
            if old.as_ref().is_some_and(|old| old.rule.settings().by != rule.by) {
                self.delete_alerts_of_rule(&rule.name, now);
            }
            let watch = match old.filter(same) {
                Some(mut watch) => {
                    watch.rule.adopt(rule.clone());
                    watch.again(now);
                    watch
                }
                None => RuleWatch::new(rule.clone(), now),
            };
            self.rules.insert(rule.name.clone(), watch);
        }
    }

    /// Split by other labels, a rule has other alerts.
    fn delete_alerts_of_rule(&mut self, name: &str, now: Timestamp) {
        let of_rule = |row: &&AlertRow| row.key.kind == AlertKind::Rule && row.key.name == name;
        let prints: Vec<Fingerprint> =
            self.alerts.values().filter(of_rule).map(|row| row.fingerprint).collect();
        for print in prints {
            self.delete_alert(print, "the rule is split by other labels now", now);
        }
    }

    /// Makes alerts, groups and incidents fit the settings.
    fn reconcile(&mut self, now: Timestamp) {
        let all: Vec<Fingerprint> = self.alerts.keys().copied().collect();
        for print in &all {
            match self.alerts.get(print).map(|row| self.name_of(row)) {
                Some(Name::Known { labels, annotations }) => {
                    self.relabel(*print, labels, annotations, now);
                }
                Some(Name::Deleted) => {
                    self.delete_alert(*print, "deleted from the configuration", now)
                }
                None => {}
            }
        }
        self.watchdog(now);
        self.keep_groups_of_rules(now);
        let known = self.failing.keys().filter(|key| self.is_configured(&key.0, &key.1));
        let known: std::collections::BTreeSet<_> = known.cloned().collect();
        self.failing.retain(|key, _| known.contains(key));
        for print in all {
            self.route(print, Cause::Config, now);
        }
        self.look_at_changed_receivers(now);
        self.clock.wake_at(now);
    }

    fn name_of(&self, row: &AlertRow) -> Name {
        let key = &row.key;
        let known = match key.kind {
            AlertKind::Slo => self.slos.get(&key.name).map(|slo| {
                let labels = slo_labels(&slo.settings, &slo_severity(row));
                (labels, slo.settings.annotations.clone())
            }),
            AlertKind::Rule => self.rules.get(&key.name).and_then(|watch| {
                let settings = watch.rule.settings();
                let by = key.by.only(&settings.by);
                (by == key.by).then(|| (rule_labels(settings, &by), settings.annotations.clone()))
            }),
            AlertKind::Builtin => Builtin::parse(&key.name).and_then(|builtin| {
                Some((self.own_labels(builtin, &key.by)?, own_annotations(builtin)))
            }),
        };
        match known {
            Some((labels, annotations)) => Name::Known { labels, annotations },
            None => Name::Deleted,
        }
    }

    /// Groups whose alerts were stored are looked at although nothing arrives for them.
    fn keep_groups_of_rules(&mut self, now: Timestamp) {
        for row in self.alerts.values().filter(|row| row.key.kind == AlertKind::Rule) {
            if row.ends_at.is_none()
                && let Some(watch) = self.rules.get_mut(&row.key.name)
            {
                watch.keep(&row.key.by, now);
            }
        }
    }

    fn is_configured(&self, receiver: &str, integration: &str) -> bool {
        let receiver = self.settings.receiver(receiver);
        receiver.is_some_and(|r| r.integrations.iter().any(|i| i.id == integration))
    }

    /// Integrations that are gone are told the end; those that are new are told what goes on.
    fn look_at_changed_receivers(&mut self, now: Timestamp) {
        let changed: Vec<GroupId> = self
            .groups
            .values()
            .filter(|group| {
                !group.alerts.is_empty() || self.incidents_of(&group.id).next().is_some()
            })
            .filter(|group| self.receiver_changed(&group.id))
            .map(|group| group.id.clone())
            .collect();
        for id in changed {
            self.touch_group(&id, Cause::Config, now);
        }
    }

    fn receiver_changed(&self, id: &GroupId) -> bool {
        let told: Vec<&IncidentRow> = self.incidents_of(id).collect();
        let is_gone = |i: &&IncidentRow| !self.is_configured(&i.receiver, &i.integration);
        let receiver = self.settings.receiver(&id.receiver);
        let mut integrations = receiver.into_iter().flat_map(|receiver| &receiver.integrations);
        let is_new = |name: &str| told.iter().all(|i| i.integration != name);
        told.iter().any(is_gone) || (!told.is_empty() && integrations.any(|i| is_new(&i.id)))
    }
}
