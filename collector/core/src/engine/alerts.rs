//! Alerts: what watchers report becomes a state, a row, a fact and a route.
//!
//! Owns the table of alerts. Never evaluates a condition and never tells anybody.

use std::time::Duration;

use watchkeeper_model::{Labels, Timestamp};

use super::Engine;
use super::effect::{Effect, Fact};
use super::view::AlertView;
use crate::alert::{
    AlertKey, AlertRow, AlertState, Condition, Fingerprint, Hold, Step, calm_for, step,
};
use crate::notify::{Acknowledgement, Cause, IncidentRow, Member};

/// How long a resolved alert is still shown.
const SHOWN: Duration = Duration::from_secs(900);

/// What a watcher has to say about one alert.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) key: AlertKey,
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    pub(super) condition: Condition,
    pub(super) hold: Hold,
    pub(super) value: Option<f64>,
    pub(super) reason: String,
    pub(super) burning: Vec<String>,
    pub(super) expires_at: Option<Timestamp>,
}

impl Engine {
    /// Moves an alert as a watcher reports.
    pub(super) fn report(&mut self, report: Report, now: Timestamp) {
        let print = report.key.fingerprint();
        let from = self.alerts.get(&print).map(|row| row.state);
        if from.is_none() && report.condition != Condition::Met {
            return;
        }
        let mut row = self.alerts.remove(&print).unwrap_or_else(|| blank(&report, print));
        let severity = row.severity();
        let relabelled = row.is_firing() && report.relabels(&row);
        let (was_stale, burned) = (row.stale, row.burning.clone());
        let what = step(&mut row, report.condition, report.hold, now);
        let prolonged = report.apply(&mut row, what);
        if let Some(until) = row.held_until {
            self.clock.wake_at(until);
            row.reason = held_words(&row);
        }
        let touched = relabelled || prolonged || burned != row.burning;
        let (state, stale) = (row.state, row.stale);
        let changed_severity = relabelled && severity != row.severity();
        self.alerts.insert(print, row);
        match what {
            Step::Withdrawn => return self.withdraw(print, now),
            Step::Pended => self.wake_for(&report, now),
            Step::Fired => self.route(print, Cause::Usual, now),
            Step::Resolved => self.touch_groups_of(print, Cause::Usual, now),
            Step::None if !touched => return,
            Step::None | Step::Touched => {}
        }
        if relabelled && state == AlertState::Firing {
            let cause = if changed_severity { Cause::Severity } else { Cause::Config };
            self.route(print, cause, now);
        }
        if from != Some(state) || relabelled || was_stale != stale {
            self.alert_moved(print, from, now);
        }
        self.save_alert(print);
    }

    /// A pending alert ended before it fired. If it fired before, and groups have not yet been told of its end, it is
    /// what it was: resolved.
    fn withdraw(&mut self, print: Fingerprint, now: Timestamp) {
        if self.index.has(print) {
            if let Some(row) = self.alerts.get_mut(&print) {
                row.state = AlertState::Resolved;
                row.ends_at = Some(now);
            }
            self.alert_moved(print, Some(AlertState::Pending), now);
            self.save_alert(print);
            return;
        }
        if let Some(row) = self.alerts.remove(&print) {
            self.effects.push(moved(&row, Some(AlertState::Pending), None, now));
            self.effects.push(Effect::ForgetAlert(print));
        }
    }

    /// What an alert was about is no longer there: it ends at once, and so does what was told of it.
    pub(super) fn delete_alert(&mut self, print: Fingerprint, why: &str, now: Timestamp) {
        let Some(row) = self.alerts.get_mut(&print) else {
            return;
        };
        let from = row.state;
        if from == AlertState::Pending {
            why.clone_into(&mut row.reason);
            return self.withdraw(print, now);
        }
        if from == AlertState::Firing {
            row.state = AlertState::Resolved;
            row.stale = false;
            row.ends_at = Some(now);
            row.expires_at = None;
            row.held_until = None;
            row.burning.clear();
            why.clone_into(&mut row.reason);
            self.alert_moved(print, Some(from), now);
            self.save_alert(print);
        }
        self.mark_groups_of(print, Member::Deleted, now);
    }

    /// Gives an alert other labels or annotations, because the configuration says so.
    pub(super) fn relabel(
        &mut self,
        print: Fingerprint,
        labels: Labels,
        annotations: Labels,
        now: Timestamp,
    ) {
        let Some(row) = self.alerts.get_mut(&print) else {
            return;
        };
        if row.labels == labels && row.annotations == annotations {
            return;
        }
        let shown = row.labels != labels && row.is_firing();
        (row.labels, row.annotations) = (labels, annotations);
        let state = row.state;
        if shown {
            self.alert_moved(print, Some(state), now);
        }
        self.save_alert(print);
    }

    /// Somebody takes on an alert.
    pub(super) fn acknowledge(
        &mut self,
        fingerprint: Fingerprint,
        by: String,
        comment: String,
        now: Timestamp,
    ) {
        let Some(row) = self.alerts.get_mut(&fingerprint).filter(|row| row.is_firing()) else {
            return;
        };
        row.acknowledged_by = Some(by.clone());
        self.note_acknowledged(fingerprint, &by, now);
        self.fact(Fact::AlertAcknowledged { at: now, fingerprint, by, comment });
        self.save_alert(fingerprint);
    }

    /// Each incident remembers for good who took its alerts on first.
    fn note_acknowledged(&mut self, fingerprint: Fingerprint, by: &str, now: Timestamp) {
        let knows = |incident: &IncidentRow| self.knows(incident).contains(&fingerprint);
        let numbers: Vec<u64> = self
            .incidents
            .values()
            .filter(|incident| !incident.acknowledged.contains_key(&fingerprint) && knows(incident))
            .map(|incident| incident.number)
            .collect();
        for number in numbers {
            if let Some(incident) = self.incidents.get_mut(&number) {
                let acknowledgement = Acknowledgement { by: by.to_owned(), at: now };
                incident.acknowledged.insert(fingerprint, acknowledgement);
                self.save_incident(number);
            }
        }
    }

    /// Ends what has expired and forgets what has been shown long enough.
    pub(super) fn check_alerts(&mut self, now: Timestamp) {
        let expired: Vec<Fingerprint> = self
            .alerts
            .values()
            .filter(|row| row.is_firing() && row.expires_at.is_some_and(|at| at <= now))
            .map(|row| row.fingerprint)
            .collect();
        for print in expired {
            self.expire_alert(print, "not again since", now);
        }
        let calm: Vec<Fingerprint> = self
            .alerts
            .values()
            .filter(|row| row.is_firing() && row.held_until.is_some_and(|at| at <= now))
            .map(|row| row.fingerprint)
            .collect();
        for print in calm {
            self.expire_alert(print, "calm since", now);
        }
        let forgotten: Vec<Fingerprint> = self
            .alerts
            .values()
            .filter(|row| self.forget_at(row).is_some_and(|at| at <= now))
            .map(|row| row.fingerprint)
            .collect();
        for print in forgotten {
            self.alerts.remove(&print);
            self.effects.push(Effect::ForgetAlert(print));
        }
    }

    pub(super) fn alerts_due(&self) -> Option<Timestamp> {
        let firing = self.alerts.values().filter(|row| row.is_firing());
        let expiring = firing.flat_map(|row| [row.expires_at, row.held_until]).flatten();
        let forgotten = self.alerts.values().filter_map(|row| self.forget_at(row));
        expiring.chain(forgotten).min()
    }

    fn expire_alert(&mut self, print: Fingerprint, why: &str, now: Timestamp) {
        let Some(row) = self.alerts.get_mut(&print) else {
            return;
        };
        let n_returns = std::mem::take(&mut row.n_returns);
        step(row, Condition::Unmet, Hold::default(), now);
        row.n_returns = n_returns;
        row.reason = format!("{why}: {}", row.reason);
        self.touch_groups_of(print, Cause::Usual, now);
        self.alert_moved(print, Some(AlertState::Firing), now);
        self.save_alert(print);
    }

    fn forget_at(&self, row: &AlertRow) -> Option<Timestamp> {
        let told = !self.index.has(row.fingerprint);
        row.ends_at.filter(|_| row.state == AlertState::Resolved && told).map(|at| at + SHOWN)
    }

    fn wake_for(&mut self, report: &Report, now: Timestamp) {
        self.clock.wake_at(now + report.hold.wait);
    }

    fn alert_moved(&mut self, print: Fingerprint, from: Option<AlertState>, now: Timestamp) {
        if let Some(row) = self.alerts.get(&print) {
            let effect = moved(row, from, Some(row.state), now);
            self.effects.push(effect);
        }
    }

    fn save_alert(&mut self, print: Fingerprint) {
        if let Some(row) = self.alerts.get(&print) {
            self.effects.push(Effect::SaveAlert(Box::new(row.clone())));
            if let Some(at) = row.expires_at.or_else(|| self.forget_at(row)) {
                self.clock.wake_at(at);
            }
        }
    }

    /// Alerts by fingerprint, for answers; resolved ones for a while.
    pub fn alerts(&self) -> Vec<AlertView> {
        let shown = self.alerts.values();
        shown
            .map(|row| AlertView {
                fingerprint: row.fingerprint,
                labels: row.labels.clone(),
                annotations: row.annotations.clone(),
                state: row.state,
                stale: row.stale,
                acknowledged_by: row.acknowledged_by.clone(),
                starts_at: row.starts_at,
                ends_at: row.ends_at,
                value: row.value,
                reason: row.reason.clone(),
                receivers: self.receivers_of(row),
                suppressed_by: Vec::new(),
            })
            .collect()
    }

    /// Whether it fires, or waits to.
    pub(super) fn is_live(&self, key: &AlertKey) -> bool {
        self.alerts.get(&key.fingerprint()).is_some_and(|row| row.state != AlertState::Resolved)
    }

    /// Whether it fires.
    pub(super) fn is_firing(&self, key: &AlertKey) -> bool {
        self.alerts.get(&key.fingerprint()).is_some_and(AlertRow::is_firing)
    }
}

impl Report {
    fn relabels(&self, row: &AlertRow) -> bool {
        self.condition != Condition::Unmet
            && (self.labels != row.labels || self.annotations != row.annotations)
    }

    /// Writes the report's words and numbers into the row; whether a timer moved enough to be stored again.
    fn apply(&self, row: &mut AlertRow, what: Step) -> bool {
        if row.state == AlertState::Resolved && what != Step::Resolved {
            return false;
        }
        if self.condition != Condition::Unmet {
            row.labels = self.labels.clone();
            row.annotations = self.annotations.clone();
        }
        row.value = self.value;
        self.reason.clone_into(&mut row.reason);
        self.burning.clone_into(&mut row.burning);
        let minute = Duration::from_secs(60);
        let prolonged = match (self.expires_at, row.expires_at) {
            (Some(new), Some(old)) => new.since(old) >= minute,
            (new, old) => new != old,
        };
        if prolonged && row.state != AlertState::Resolved {
            row.expires_at = self.expires_at;
        }
        prolonged
    }
}

/// Why it goes on although nothing is wrong just now.
fn held_words(row: &AlertRow) -> String {
    let calm = calm_for(row).as_secs() / 60;
    let (n, reason) = (row.n_returns, &row.reason);
    format!("came back {n} times, held until it is calm for {calm}m: {reason}")
}

fn moved(
    row: &AlertRow,
    from: Option<AlertState>,
    to: Option<AlertState>,
    now: Timestamp,
) -> Effect {
    Effect::Fact(Fact::AlertMoved {
        at: now,
        fingerprint: row.fingerprint,
        alert: row.labels.get("alertname").to_owned(),
        labels: row.labels.clone(),
        from,
        to,
        stale: row.stale,
        reason: row.reason.clone(),
    })
}

/// An alert that has never been: as if resolved long ago.
fn blank(report: &Report, fingerprint: Fingerprint) -> AlertRow {
    AlertRow {
        fingerprint,
        key: report.key.clone(),
        labels: report.labels.clone(),
        annotations: report.annotations.clone(),
        state: AlertState::Resolved,
        stale: false,
        acknowledged_by: None,
        pending_since: Timestamp::EPOCH,
        starts_at: Timestamp::EPOCH,
        ends_at: None,
        unmet_since: None,
        n_returns: 0,
        held_until: None,
        expires_at: None,
        value: None,
        reason: String::new(),
        burning: Vec::new(),
    }
}
