//! Flushing groups: what is told of them, to each integration, and why.
//!
//! Owns opening, updating and closing incidents up to the delivery. The row of an incident is stored before its
//! request leaves: the driver persists rows first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::Engine;
use super::effect::{Delivery, Effect, Fact};
use crate::alert::Fingerprint;
use crate::notify::{
    Action, Cause, Decision, DeliveryOutcome, DeliveryRow, EndReason, GroupId, GroupRow,
    IncidentRow, IncidentState, Member, Notification, SendReason, Situation, Told, WaitReason,
    decide, dedup_key,
};

/// An integration that a group may have to tell something.
struct Target {
    integration: String,
    kind: String,
    send_resolved: bool,
    /// It is no longer configured: all that is left to tell it is the end.
    is_gone: bool,
    incident: Option<u64>,
}

impl Engine {
    /// Flushes every group that is due.
    pub(super) fn flush_due(&mut self, now: Timestamp) {
        let due: Vec<GroupId> = self
            .groups
            .values()
            .filter(|group| self.group_due(group).is_some_and(|at| at <= now))
            .map(|group| group.id.clone())
            .collect();
        // Where an alert changes groups, the new one speaks first.
        let (closing, opening): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|id| self.groups.get(id).is_some_and(only_leaving));
        for id in opening.into_iter().chain(closing) {
            self.flush(&id, now);
        }
    }

    pub(super) fn groups_due(&self) -> Option<Timestamp> {
        self.groups.values().filter_map(|group| self.group_due(group)).min()
    }

    /// Forgets alerts that are over and told everywhere, and a group that has none left.
    pub(super) fn tidy(&mut self, id: &GroupId) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let known: BTreeSet<Fingerprint> =
            self.incidents_of(id).flat_map(|incident| self.knows(incident)).collect();
        let stays = |print: &Fingerprint, member: &Member| {
            known.contains(print) || (self.is_standing(*print, *member))
        };
        let (alerts, over): (BTreeMap<_, _>, BTreeMap<_, _>) =
            group.alerts.clone().into_iter().partition(|(print, member)| stays(print, member));
        over.keys().for_each(|print| self.index.leave(*print, id));
        let is_over = alerts.is_empty() && self.incidents_of(id).next().is_none();
        if is_over {
            self.groups.remove(id);
            self.save_group(id);
            // Its alerts may now be forgotten, too.
            self.clock.wake_at(self.clock.now());
        } else if !over.is_empty() {
            if let Some(group) = self.groups.get_mut(id) {
                group.alerts = alerts;
            }
            self.save_group(id);
        }
    }

    pub(super) fn save_group(&mut self, id: &GroupId) {
        self.changed_groups.insert(id.clone());
    }

    pub(super) fn save_incident(&mut self, number: u64) {
        if let Some(incident) = self.incidents.get(&number) {
            self.effects.push(Effect::SaveIncident(Box::new(incident.clone())));
        }
    }

    /// An incident is over: it leaves memory and stays in the ledger.
    pub(super) fn end_incident(&mut self, number: u64, state: IncidentState, now: Timestamp) {
        if let Some(mut incident) = self.incidents.remove(&number) {
            self.index.close(&incident);
            incident.state = state;
            incident.closed_at = Some(now);
            incident.in_flight = None;
            incident.retry_at = None;
            self.effects.push(Effect::SaveIncident(Box::new(incident)));
        }
    }

    /// When a group is to be looked at: something changed in it, a reminder is due, or something failed.
    pub(super) fn group_due(&self, group: &GroupRow) -> Option<Timestamp> {
        let repeat = group.timing().repeat_interval;
        let idle = self.incidents_of(&group.id).filter(|incident| incident.in_flight.is_none());
        let incidents = idle.filter_map(|incident| match (incident.retry_at, incident.told_at) {
            (Some(retry), _) => Some(retry),
            (None, Some(told)) if incident.state == IncidentState::Open => Some(told + repeat),
            (None, _) => None,
        });
        incidents.chain(group.next_flush).min()
    }

    fn flush(&mut self, id: &GroupId, now: Timestamp) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let firing = self.firing_in(group);
        let before = group.clone();
        let mut decisions = BTreeMap::new();
        let (mut sent, mut blocked) = (false, false);
        for target in self.targets(id) {
            let decision = self.decide_for(&before, &target, &firing, now);
            sent |= matches!(decision, Decision::Send(..));
            blocked |= decision == Decision::Wait(WaitReason::InFlight);
            let words = decision.to_string();
            if before.decisions.get(&target.integration) != Some(&words)
                || matches!(decision, Decision::Send(..))
            {
                let (group, integration) = (id.clone(), target.integration.clone());
                self.fact(Fact::NotificationDecided { at: now, group, integration, decision });
            }
            decisions.insert(target.integration.clone(), words);
            self.act(&before, &target, decision, &firing, now);
        }
        self.forget_retries(id, now);
        if let Some(group) = self.groups.get_mut(id) {
            group.next_flush = None;
            group.blocked = blocked;
            group.decisions = decisions;
            if sent {
                group.last_sent = Some(now);
            }
            if *group != before {
                self.save_group(id);
            }
        }
        self.tidy(id);
    }

    /// What failed and need not be said any more is not waited for.
    fn forget_retries(&mut self, id: &GroupId, now: Timestamp) {
        let past = |incident: &&IncidentRow| incident.retry_at.is_some_and(|at| at <= now);
        let past: Vec<u64> = self.incidents_of(id).filter(past).map(|i| i.number).collect();
        for number in past {
            if let Some(incident) = self.incidents.get_mut(&number) {
                incident.retry_at = None;
            }
            self.save_incident(number);
        }
    }

    /// The integrations of a group's receiver, and those that have been told something and are configured no more.
    fn targets(&self, id: &GroupId) -> Vec<Target> {
        let live = |name: &str| {
            self.incidents_of(id).find(|incident| incident.integration == name).map(|i| i.number)
        };
        let receiver = self.settings.receiver(&id.receiver);
        let mut targets: Vec<Target> = receiver
            .into_iter()
            .flat_map(|receiver| &receiver.integrations)
            .map(|integration| Target {
                integration: integration.id.clone(),
                kind: integration.kind.clone(),
                send_resolved: integration.send_resolved,
                is_gone: false,
                incident: live(&integration.id),
            })
            .collect();
        for incident in self.incidents_of(id) {
            if targets.iter().all(|target| target.integration != incident.integration) {
                targets.push(Target {
                    integration: incident.integration.clone(),
                    kind: incident.kind.clone(),
                    send_resolved: incident.send_resolved,
                    is_gone: true,
                    incident: Some(incident.number),
                });
            }
        }
        targets
    }

    fn decide_for(
        &self,
        group: &GroupRow,
        target: &Target,
        firing: &Told,
        now: Timestamp,
    ) -> Decision {
        let nothing = Told::new();
        let is = |member| group.alerts.values().any(|m| *m == member);
        let situation = Situation {
            incident: target.incident.and_then(|number| self.incidents.get(&number)),
            firing: if target.is_gone { &nothing } else { firing },
            rerouted: is(Member::Gone),
            deleted: target.is_gone || is(Member::Deleted),
            send_resolved: target.send_resolved,
            timing: group.timing(),
        };
        decide(&situation, now)
    }

    fn act(
        &mut self,
        group: &GroupRow,
        target: &Target,
        decision: Decision,
        firing: &Told,
        now: Timestamp,
    ) {
        match (decision, target.incident) {
            (Decision::Send(action, reason), Some(number)) => {
                self.send(group, number, action, reason, firing, now);
            }
            (Decision::Send(action, reason), None) => {
                let number = self.open_incident(group, target, now);
                self.send(group, number, action, reason, firing, now);
            }
            (Decision::End(why), Some(number)) => self.end_quietly(number, why, now),
            (Decision::End(_) | Decision::Wait(_), _) => {}
        }
    }

    fn end_quietly(&mut self, number: u64, why: EndReason, now: Timestamp) {
        match why {
            EndReason::NeverOpened | EndReason::SendResolvedOff => {
                self.end_incident(number, IncidentState::Closed, now);
            }
        }
    }

    fn open_incident(&mut self, group: &GroupRow, target: &Target, now: Timestamp) -> u64 {
        self.last_incident += 1;
        let number = self.last_incident;
        let GroupId { group_key, receiver } = group.id.clone();
        let incident = IncidentRow {
            number,
            dedup_key: dedup_key(&group_key, &receiver, number),
            group_key,
            receiver,
            integration: target.integration.clone(),
            kind: target.kind.clone(),
            send_resolved: target.send_resolved,
            state: IncidentState::Opening,
            opened_at: now,
            closed_at: None,
            in_flight: None,
            told_at: None,
            told: Told::new(),
            maybe_open: false,
            closing_since: None,
            n_close_failures: 0,
            retry_at: None,
            memory: None,
            acknowledged: BTreeMap::new(),
        };
        self.index.open(&incident);
        self.incidents.insert(number, incident);
        number
    }

    fn send(
        &mut self,
        group: &GroupRow,
        number: u64,
        action: Action,
        reason: SendReason,
        firing: &Told,
        now: Timestamp,
    ) {
        let nothing = Told::new();
        let firing = if action == Action::Close { &nothing } else { firing };
        let Some(incident) = self.incidents.get(&number) else {
            return;
        };
        let (notification, facts) = self.compose(group, incident, action, reason, firing, now);
        self.last_delivery += 1;
        let id = self.last_delivery;
        let row = DeliveryRow {
            id,
            incident: number,
            receiver: incident.receiver.clone(),
            integration: incident.integration.clone(),
            kind: incident.kind.clone(),
            action,
            reason: reason.to_string(),
            at: now,
            attempt: 0,
            outcome: DeliveryOutcome::Pending,
            status: None,
            error: None,
            next_at: None,
            fingerprints: rows_of(&notification),
            alerts: notification
                .alerts
                .iter()
                .map(|a| a.labels.get("alertname").to_owned())
                .collect(),
            firing: firing.clone(),
            notification: Some(Box::new(notification)),
        };
        if let Some(incident) = self.incidents.get_mut(&number) {
            incident.begin(id, action, now);
        }
        self.save_incident(number);
        facts.into_iter().for_each(|fact| self.fact(fact));
        self.launch(row);
    }

    /// Stores a delivery, and sends it when the rows are on disk.
    fn launch(&mut self, row: DeliveryRow) {
        self.effects.push(Effect::SaveDelivery(Box::new(row.clone())));
        self.outbox.extend(delivery_of(&row));
        self.deliveries.insert(row.id, row);
    }

    /// Sends again what was under way when we stopped, under the same ids and keys.
    pub(super) fn launch_again(&mut self) {
        self.outbox.extend(self.deliveries.values().filter_map(delivery_of));
    }

    /// What stands in a group: firing, and neither gone from it nor deleted.
    fn firing_in(&self, group: &GroupRow) -> Told {
        let standing = group.alerts.iter().filter(|(p, m)| self.is_standing(**p, **m));
        standing.filter_map(|(p, _)| Some((*p, self.alerts.get(p)?.severity()))).collect()
    }

    fn is_standing(&self, print: Fingerprint, member: Member) -> bool {
        matches!(member, Member::Here | Member::Leaving)
            && self.alerts.get(&print).is_some_and(|row| row.is_firing())
    }

    /// The alerts an incident's receiver knows of, or is just being told of.
    pub(super) fn knows(&self, incident: &IncidentRow) -> Vec<Fingerprint> {
        let under_way = incident.in_flight.and_then(|id| self.deliveries.get(&id));
        let under_way = under_way.into_iter().flat_map(|delivery| delivery.firing.keys());
        incident.told.keys().chain(under_way).copied().collect()
    }

    /// A group whose words were held back while one was under way may speak now.
    pub(super) fn unblock(&mut self, id: &GroupId, now: Timestamp) {
        if let Some(group) = self.groups.get_mut(id)
            && std::mem::take(&mut group.blocked)
        {
            self.touch_group(id, Cause::Config, now);
        }
    }
}

impl IncidentRow {
    /// A word about it leaves.
    fn begin(&mut self, delivery: u64, action: Action, now: Timestamp) {
        self.in_flight = Some(delivery);
        self.retry_at = None;
        match action {
            Action::Open => {}
            Action::Update => {
                self.state = IncidentState::Open;
                self.closing_since = None;
                self.n_close_failures = 0;
            }
            Action::Close => {
                self.state = IncidentState::Closing;
                self.closing_since.get_or_insert(now);
            }
        }
    }
}

/// How long a failed open or update waits: until the next `group_interval`, and never less than this.
pub(super) const FAILED_WAIT: Duration = Duration::from_secs(10);

/// The alerts a notification shows.
fn rows_of(notification: &Notification) -> Vec<Fingerprint> {
    notification.alerts.iter().filter_map(|alert| alert.fingerprint.parse().ok()).collect()
}

fn only_leaving(group: &GroupRow) -> bool {
    !group.alerts.values().any(|member| *member == Member::Here)
}

fn delivery_of(row: &DeliveryRow) -> Option<Delivery> {
    let notification = row.notification.as_deref()?.clone();
    Some(Delivery {
        id: row.id,
        integration: row.integration.clone(),
        kind: row.kind.clone(),
        notification,
    })
}
