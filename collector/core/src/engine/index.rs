//! Which groups have an alert, and which incidents a group has.
//!
//! Owns nothing that is not in the rows: it only finds them without looking at all of them. Built anew at a restart.

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::Fingerprint;
use crate::notify::{GroupId, GroupRow, IncidentRow};

/// Both directions that rows are looked up in.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    groups: BTreeMap<Fingerprint, BTreeSet<GroupId>>,
    incidents: BTreeMap<GroupId, BTreeSet<u64>>,
}

impl Index {
    pub(super) fn of<'a>(
        groups: impl Iterator<Item = &'a GroupRow>,
        incidents: impl Iterator<Item = &'a IncidentRow>,
    ) -> Self {
        let mut index = Self::default();
        for group in groups {
            group.alerts.keys().for_each(|print| index.join(*print, &group.id));
        }
        incidents.for_each(|incident| index.open(incident));
        index
    }

    /// An alert is in a group.
    pub(super) fn join(&mut self, print: Fingerprint, id: &GroupId) {
        self.groups.entry(print).or_default().insert(id.clone());
    }

    /// An alert is in a group no more.
    pub(super) fn leave(&mut self, print: Fingerprint, id: &GroupId) {
        if let Some(groups) = self.groups.get_mut(&print) {
            groups.remove(id);
            if groups.is_empty() {
                self.groups.remove(&print);
            }
        }
    }

    /// A group has an incident.
    pub(super) fn open(&mut self, incident: &IncidentRow) {
        self.incidents.entry(incident.group()).or_default().insert(incident.number);
    }

    /// An incident is over.
    pub(super) fn close(&mut self, incident: &IncidentRow) {
        let id = incident.group();
        if let Some(numbers) = self.incidents.get_mut(&id) {
            numbers.remove(&incident.number);
            if numbers.is_empty() {
                self.incidents.remove(&id);
            }
        }
    }

    /// Whether any group has an alert.
    pub(super) fn has(&self, print: Fingerprint) -> bool {
        self.groups.contains_key(&print)
    }

    /// The groups that have an alert.
    pub(super) fn groups_of(&self, print: Fingerprint) -> impl Iterator<Item = &GroupId> {
        self.groups.get(&print).into_iter().flatten()
    }

    /// The incidents of a group, by number.
    pub(super) fn incidents_of(&self, id: &GroupId) -> impl Iterator<Item = u64> {
        self.incidents.get(id).into_iter().flatten().copied()
    }
}
