//! What became of deliveries.
//!
//! Owns the ledger's outcome of each, and what follows for its incident: confirmed, tried again, or given up. Retries
//! of one delivery are its worker's business.

use watchkeeper_model::Timestamp;

use super::Engine;
use super::effect::{Effect, Fact};
use super::flush::FAILED_WAIT;
use crate::notify::{
    Action, CLOSE_FOR, DeliveryOutcome, DeliveryRow, GroupId, IncidentRow, IncidentState, Reply,
    close_backoff,
};

impl Engine {
    /// A worker reports an attempt.
    pub(super) fn delivered(&mut self, id: u64, reply: Reply, now: Timestamp) {
        let Some(mut row) = self.deliveries.remove(&id) else {
            return self.fact(Fact::UnknownDelivery { at: now, delivery: id });
        };
        row.report(&reply, now);
        self.fact(Fact::DeliveryReported {
            at: now,
            delivery: id,
            receiver: row.receiver.clone(),
            integration: row.integration.clone(),
            outcome: row.outcome,
            status: row.status,
            error: row.error.clone(),
        });
        self.effects.push(Effect::SaveDelivery(Box::new(row.clone())));
        match reply {
            Reply::Ok { memory, .. } | Reply::Unrecorded { memory, .. } => {
                self.confirmed(&row, memory, now);
            }
            Reply::Digested { .. } => self.confirmed(&row, None, now),
            Reply::Retry { error, .. } => self.delayed(row, &error, now),
            Reply::Failed { permanent, error, .. } => self.failed(&row, permanent, &error, now),
        }
    }

    /// Keeps what tests told in the ledger, beside what was told in earnest.
    pub(super) fn tested(&mut self, rows: Vec<DeliveryRow>) {
        for row in rows {
            self.last_delivery += 1;
            let row = DeliveryRow { id: self.last_delivery, ..row };
            self.effects.push(Effect::SaveDelivery(Box::new(row)));
        }
    }

    fn confirmed(&mut self, row: &DeliveryRow, memory: Option<String>, now: Timestamp) {
        self.receiver_worked(&row.receiver, &row.integration, now);
        let Some(incident) = self.incidents.get_mut(&row.incident) else {
            return;
        };
        let group = incident.group();
        incident.in_flight = None;
        incident.memory = memory.or(incident.memory.take());
        if row.action == Action::Close {
            self.end_incident(row.incident, IncidentState::Closed, now);
        } else {
            incident.state = IncidentState::Open;
            incident.maybe_open = true;
            incident.told = row.firing.clone();
            incident.told_at = Some(row.at);
            self.save_incident(row.incident);
            row.firing.keys().for_each(|print| self.release(*print, now));
        }
        self.went_on(&group, now);
    }

    /// An attempt failed and the worker goes on. The receiver may have understood it all the same.
    fn delayed(&mut self, row: DeliveryRow, error: &str, now: Timestamp) {
        self.receiver_failed(&row.receiver, &row.integration, false, error, now);
        if let Some(incident) = self.incidents.get_mut(&row.incident)
            && !std::mem::replace(&mut incident.maybe_open, true)
        {
            self.save_incident(row.incident);
        }
        self.deliveries.insert(row.id, row);
    }

    fn failed(&mut self, row: &DeliveryRow, permanent: bool, error: &str, now: Timestamp) {
        self.receiver_failed(&row.receiver, &row.integration, permanent, error, now);
        let Some(incident) = self.incidents.get(&row.incident) else {
            return;
        };
        let group = incident.group();
        let interval = self.groups.get(&group).map(|g| g.timing().group_interval);
        let wait = interval.unwrap_or_default().max(FAILED_WAIT);
        let gives_up = row.action == Action::Close
            && incident.closing_since.is_some_and(|since| now.since(since) >= CLOSE_FOR);
        if gives_up {
            self.abandon(row, now);
        } else if let Some(incident) = self.incidents.get_mut(&row.incident) {
            incident.in_flight = None;
            incident.maybe_open |= !permanent;
            let wait = match row.action {
                Action::Open | Action::Update => wait,
                Action::Close => {
                    incident.n_close_failures += 1;
                    close_backoff(incident.n_close_failures)
                }
            };
            incident.retry_at = Some(now + wait);
            self.clock.wake_at(now + wait);
            self.save_incident(row.incident);
        }
        self.went_on(&group, now);
    }

    fn abandon(&mut self, row: &DeliveryRow, now: Timestamp) {
        let (incident, receiver) = (row.incident, row.receiver.clone());
        self.end_incident(incident, IncidentState::Abandoned, now);
        self.fact(Fact::IncidentAbandoned { at: now, incident, receiver });
    }

    /// Nothing is under way any more: what was held back may follow, and what is over may be forgotten.
    fn went_on(&mut self, group: &GroupId, now: Timestamp) {
        self.unblock(group, now);
        self.tidy(group);
        let due = self.groups.get(group).and_then(|group| self.group_due(group));
        if let Some(due) = due {
            self.clock.wake_at(due);
        }
    }
}

impl IncidentRow {
    /// The group it is about.
    pub(super) fn group(&self) -> GroupId {
        GroupId { group_key: self.group_key.clone(), receiver: self.receiver.clone() }
    }
}

impl DeliveryRow {
    /// Notes an attempt.
    fn report(&mut self, reply: &Reply, now: Timestamp) {
        self.attempt += 1;
        let (outcome, status, error) = match reply {
            Reply::Ok { status, note, .. } => (DeliveryOutcome::Ok, *status, note.as_ref()),
            Reply::Digested { status, n, note } => {
                self.reason = format!("{}, in a digest of {n}", self.reason);
                (DeliveryOutcome::Ok, *status, note.as_ref())
            }
            Reply::Unrecorded { status, .. } => (DeliveryOutcome::Unrecorded, *status, None),
            Reply::Retry { status, error, .. } => (DeliveryOutcome::Retry, *status, Some(error)),
            Reply::Failed { status, error, .. } => (DeliveryOutcome::Failed, *status, Some(error)),
        };
        self.outcome = outcome;
        self.status = status;
        self.error = error.cloned();
        self.next_at = None;
        match reply {
            Reply::Retry { after, .. } => self.next_at = Some(now + *after),
            // It will not be sent again under this id.
            _ => self.notification = None,
        }
    }
}
