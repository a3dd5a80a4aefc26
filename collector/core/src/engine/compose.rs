//! Composing notifications: everything a person needs to act, and no more than a channel can carry.
//!
//! Owns the choice and order of what is shown. Never decides whether it is sent.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use watchkeeper_model::{Service, Timestamp};

use super::Engine;
use super::effect::Fact;
use super::samples::Samples;
use crate::alert::{AlertKind, AlertRow, Fingerprint};
use crate::notify::{
    Action, GroupRow, IncidentRow, Notification, NotifiedAlert, SampleEvent, SendReason, Told,
};

/// How many alerts a notification shows.
const SHOWN: usize = 100;

impl Engine {
    /// Words what an integration is told about a group; with what could not be worded.
    pub(super) fn compose(
        &self,
        group: &GroupRow,
        incident: &IncidentRow,
        action: Action,
        reason: SendReason,
        firing: &Told,
        now: Timestamp,
    ) -> (Notification, Vec<Fact>) {
        let prints: BTreeSet<Fingerprint> =
            firing.keys().chain(incident.told.keys()).chain(group.alerts.keys()).copied().collect();
        let mut rows: Vec<&AlertRow> = prints
            .iter()
            .filter(|p| {
                firing.contains_key(p) || incident.told.contains_key(p) || action == Action::Close
            })
            .filter_map(|print| self.alerts.get(print))
            .collect();
        rows.sort_by_key(|row| {
            let is_firing = firing.contains_key(&row.fingerprint);
            (Reverse(is_firing), Reverse(row.severity()), row.starts_at, row.fingerprint)
        });
        let n_truncated = u32::try_from(rows.len().saturating_sub(SHOWN)).unwrap_or(u32::MAX);
        rows.truncate(SHOWN);
        let mut facts = Vec::new();
        let alerts = rows.into_iter().map(|row| {
            let is_firing = firing.contains_key(&row.fingerprint);
            self.compose_alert(row, is_firing, &mut facts, now)
        });
        let alerts = alerts.collect();
        let notification = Notification {
            receiver: incident.receiver.clone(),
            group_key: incident.group_key.clone(),
            dedup_key: incident.dedup_key.clone(),
            incident: incident.number,
            action,
            reason: reason.to_string(),
            at: now,
            group_labels: group.labels.clone(),
            alerts,
            n_truncated,
            external_url: self.settings.external_url.clone(),
            memory: incident.memory.clone(),
        };
        (notification, facts)
    }

    fn compose_alert(
        &self,
        row: &AlertRow,
        firing: bool,
        facts: &mut Vec<Fact>,
        now: Timestamp,
    ) -> NotifiedAlert {
        let (slo, agents) = self.involved(row, now);
        let (annotations, failed) = self.worded(row, firing, slo.as_ref(), now);
        facts.extend(failed);
        NotifiedAlert {
            fingerprint: row.fingerprint.to_string(),
            labels: row.labels.clone(),
            annotations,
            firing,
            stale: row.stale,
            starts_at: row.starts_at,
            // Over for this receiver, though it may go on elsewhere.
            ends_at: (!firing).then(|| row.ends_at.unwrap_or(now)),
            reason: row.reason.clone(),
            value: row.value,
            generator_url: format!("{}/alerts/{}", self.settings.external_url, row.fingerprint),
            slo,
            events: if firing { self.latest_events(row) } else { Vec::new() },
            agents,
        }
    }

    fn involved(
        &self,
        row: &AlertRow,
        now: Timestamp,
    ) -> (Option<crate::notify::SloFacts>, Vec<String>) {
        match row.key.kind {
            AlertKind::Slo => match self.slo_facts(&row.key.name, now) {
                Some((facts, agents)) => (Some(facts), agents),
                None => (None, Vec::new()),
            },
            AlertKind::Rule => (None, self.group_agents(row)),
            AlertKind::Builtin => {
                let agent = row.labels.get("agent");
                (None, (!agent.is_empty()).then(|| agent.to_owned()).into_iter().collect())
            }
        }
    }

    fn latest_events(&self, row: &AlertRow) -> Vec<SampleEvent> {
        self.samples_of(row).map(Samples::latest).unwrap_or_default()
    }

    /// What annotations see.
    pub(super) fn recent_events(&self, row: &AlertRow) -> Vec<SampleEvent> {
        self.samples_of(row).map(Samples::recent).unwrap_or_default()
    }

    fn samples_of(&self, row: &AlertRow) -> Option<&Samples> {
        self.samples.get(&Service::new(row.labels.get("service"))?)
    }
}
