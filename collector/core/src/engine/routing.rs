//! Routing: which groups an alert is in.
//!
//! Owns membership, and that an alert whose severity takes it elsewhere stands in its old group until it is told in the
//! new one. Never sends.

use std::collections::BTreeSet;

use watchkeeper_model::{Labels, Timestamp};

use super::Engine;
use super::effect::Fact;
use super::input::Settings;
use crate::alert::{AlertKind, AlertRow, Builtin, Fingerprint, Severity};
use crate::notify::{
    Cause, Decision, GroupId, GroupRow, IncidentRow, IncidentState, Member, WaitReason,
};
use crate::route::{Route, Timing};

/// A group that an alert belongs to.
struct Destination {
    id: GroupId,
    route_key: String,
    labels: Labels,
    timing: Timing,
}

impl Engine {
    /// Puts a firing alert into the groups it belongs to, and out of those it does not.
    pub(super) fn route(&mut self, print: Fingerprint, cause: Cause, now: Timestamp) {
        let Some(row) = self.alerts.get(&print).filter(|row| row.is_firing()) else {
            return;
        };
        let severity = row.severity();
        let destinations = destinations(&self.settings, row);
        let ids: BTreeSet<GroupId> = destinations.iter().map(|to| to.id.clone()).collect();
        for to in destinations {
            let id = to.id.clone();
            let rises = self.is_worse(&id, print, severity);
            let is_new = self.enter(to, print);
            // In its group already, only a rise is urgent; newly there, so is what brought it.
            match (rises, is_new, cause) {
                (true, _, _) => self.touch_group(&id, Cause::Severity, now),
                (false, true, cause) => self.touch_group(&id, cause, now),
                (false, false, Cause::Config) => {}
                (false, false, Cause::Usual | Cause::Severity) => {
                    self.touch_group(&id, Cause::Usual, now);
                }
            }
        }
        self.leave_others(print, &ids, cause, now);
        self.release(print, now);
    }

    /// The receivers that hear of an alert.
    pub(super) fn receivers_of(&self, row: &AlertRow) -> Vec<String> {
        let all = destinations(&self.settings, row).into_iter().map(|to| to.id.receiver);
        let names: BTreeSet<String> = all.collect();
        names.into_iter().collect()
    }

    /// Something about an alert changed: all groups that have it are looked at.
    pub(super) fn touch_groups_of(&mut self, print: Fingerprint, cause: Cause, now: Timestamp) {
        for id in self.groups_of(print) {
            self.touch_group(&id, cause, now);
        }
    }

    /// An alert is over for all groups that have it, at once.
    pub(super) fn mark_groups_of(&mut self, print: Fingerprint, member: Member, now: Timestamp) {
        for id in self.groups_of(print) {
            if let Some(group) = self.groups.get_mut(&id) {
                group.alerts.insert(print, member);
                self.save_group(&id);
            }
            self.touch_group(&id, Cause::Config, now);
        }
    }

    /// Something changed in a group: it will be looked at in time.
    pub(super) fn touch_group(&mut self, id: &GroupId, cause: Cause, now: Timestamp) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        let before = group.next_flush;
        group.touch(cause, now);
        let until = group.next_flush.unwrap_or(now);
        let waits_for_more =
            group.last_sent.is_none_or(|sent| sent + group.timing().group_interval < until);
        self.clock.wake_at(until);
        if before == Some(until) {
            return;
        }
        self.save_group(id);
        let reason = match waits_for_more {
            true => WaitReason::GroupWait { until },
            false => WaitReason::GroupInterval { until },
        };
        if until > now {
            let decision = Decision::Wait(reason);
            let (group, integration) = (id.clone(), String::new());
            self.fact(Fact::NotificationDecided { at: now, group, integration, decision });
        }
    }

    /// An alert that left a group by its severity leaves it for good once it is told elsewhere, or has nowhere to go.
    pub(super) fn release(&mut self, print: Fingerprint, now: Timestamp) {
        let mut leaving = self.groups_of(print);
        leaving.retain(|id| self.member(id, print) == Some(Member::Leaving));
        if leaving.is_empty() || !self.is_told_elsewhere(print) {
            return;
        }
        for id in leaving {
            if let Some(group) = self.groups.get_mut(&id) {
                group.alerts.insert(print, Member::Gone);
                self.save_group(&id);
            }
            self.touch_group(&id, Cause::Severity, now);
        }
    }

    /// The incidents of a group that are not over, by number.
    pub(super) fn incidents_of(&self, id: &GroupId) -> impl Iterator<Item = &IncidentRow> {
        self.index.incidents_of(id).filter_map(|number| self.incidents.get(&number))
    }

    fn groups_of(&self, print: Fingerprint) -> Vec<GroupId> {
        self.index.groups_of(print).cloned().collect()
    }

    /// Whether an alert is worse than what a group's receiver knows.
    fn is_worse(&self, id: &GroupId, print: Fingerprint, severity: Severity) -> bool {
        self.incidents_of(id).filter(|incident| !incident.told.is_empty()).any(|incident| {
            incident.told.get(&print).is_some_and(|told| severity > *told)
                || incident.told.values().all(|told| severity > *told)
        })
    }

    /// Finds the members of groups again: a row is not stored each time one more alert comes in, because who belongs
    /// to a group follows from the routes, and who was told from the incidents.
    pub(super) fn rejoin(&mut self, now: Timestamp) {
        for incident in self.incidents.values() {
            if let Some(group) = self.groups.get_mut(&incident.group()) {
                incident.told.keys().for_each(|print| {
                    group.alerts.entry(*print).or_insert(Member::Here);
                });
            }
        }
        let settings = std::sync::Arc::clone(&self.settings);
        for row in self.alerts.values().filter(|row| row.is_firing()) {
            for to in destinations(&settings, row) {
                if let Some(group) = self.groups.get_mut(&to.id) {
                    let member = group.alerts.entry(row.fingerprint);
                    let is_new = matches!(member, std::collections::btree_map::Entry::Vacant(_));
                    member.or_insert(Member::Here);
                    if is_new && group.next_flush.is_none() {
                        group.touch(Cause::Usual, now);
                    }
                }
            }
        }
    }

    /// Puts an alert into a group; whether it was not there.
    fn enter(&mut self, to: Destination, print: Fingerprint) -> bool {
        let Destination { id, route_key, labels, timing } = to;
        self.index.join(print, &id);
        if !self.groups.contains_key(&id) {
            self.save_group(&id);
        }
        let group = self
            .groups
            .entry(id.clone())
            .or_insert_with(|| GroupRow::new(id, &route_key, labels, timing));
        group.timing = timing.into();
        group.alerts.insert(print, Member::Here) != Some(Member::Here)
    }

    fn leave_others(
        &mut self,
        print: Fingerprint,
        stays: &BTreeSet<GroupId>,
        cause: Cause,
        now: Timestamp,
    ) {
        for id in self.groups_of(print).into_iter().filter(|id| !stays.contains(id)) {
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            let member = match (cause, group.alerts.get(&print)) {
                (Cause::Severity | Cause::Usual, Some(Member::Here)) => Member::Leaving,
                (Cause::Config, Some(Member::Here)) => Member::Gone,
                _ => continue,
            };
            group.alerts.insert(print, member);
            self.save_group(&id);
            // One that leaves is not gone yet: `release` touches the group.
            if member == Member::Gone {
                self.touch_group(&id, Cause::Config, now);
            }
        }
    }

    /// Whether some group that an alert belongs to has told everybody it has to tell, or has nobody to tell. An alert
    /// that belongs nowhere has been told elsewhere, too.
    fn is_told_elsewhere(&self, print: Fingerprint) -> bool {
        let mut homes = self
            .index
            .groups_of(print)
            .filter(|id| self.member(id, print) == Some(Member::Here))
            .filter_map(|id| self.groups.get(id))
            .peekable();
        homes.peek().is_none() || homes.any(|group| self.has_told(group, print))
    }

    fn member(&self, id: &GroupId, print: Fingerprint) -> Option<Member> {
        self.groups.get(id)?.alerts.get(&print).copied()
    }

    fn has_told(&self, group: &GroupRow, print: Fingerprint) -> bool {
        let Some(receiver) = self.settings.receiver(&group.id.receiver) else {
            return true;
        };
        receiver.integrations.iter().all(|integration| {
            self.incidents_of(&group.id).any(|incident| {
                incident.integration == integration.id
                    && incident.state == IncidentState::Open
                    && incident.told.contains_key(&print)
            })
        })
    }
}

/// The groups an alert belongs to. The Watchdog goes only where it is asked for by name, and the failing of a receiver
/// is told to others: those its routes lead to or, where there are none, all others.
fn destinations(settings: &Settings, row: &AlertRow) -> Vec<Destination> {
    let is =
        |builtin: Builtin| row.key.kind == AlertKind::Builtin && row.key.name == builtin.as_str();
    let routes = match is(Builtin::Watchdog) {
        true => settings.routes.find_by_name(&row.labels),
        false => settings.routes.find(&row.labels),
    };
    let to = |route: &Route, receiver: &str| {
        let labels = route.group_labels(&row.labels);
        let id = GroupId { group_key: route.group_key(&labels), receiver: receiver.to_owned() };
        Destination { id, route_key: route.key.clone(), labels, timing: route.timing }
    };
    let mut all: Vec<Destination> =
        routes.into_iter().map(|route| to(route, &route.receiver)).collect();
    if is(Builtin::ReceiverFailing) {
        let failing = row.key.by.get("receiver");
        all.retain(|destination| destination.id.receiver != failing);
        if all.is_empty() {
            let others = settings.receivers.iter().filter(|other| other.name != failing);
            let others = others.filter(|other| !other.integrations.is_empty());
            all.extend(others.map(|other| to(settings.routes.root(), &other.name)));
        }
    }
    all
}
