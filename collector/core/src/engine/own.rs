//! Alerts about ourselves and what we depend on.
//!
//! Owns their labels, and the watch over receivers, dead letters and storage. Never lets a receiver be told of its own
//! failing: routing sees to that.

use std::time::Duration;

use watchkeeper_model::{Labels, Timestamp};

use super::Engine;
use super::alerts::Report;
use crate::alert::{AlertKey, Builtin, Condition, Hold};

/// How long deliveries may fail before it is told.
const FAILING_AFTER: Duration = Duration::from_secs(60);

/// An integration whose last attempt failed.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    pub(super) since: Timestamp,
    pub(super) for_good: bool,
    pub(super) error: String,
}

impl Engine {
    /// Reports a built-in condition, if it is on.
    pub(super) fn own(
        &mut self,
        builtin: Builtin,
        by: Labels,
        condition: Condition,
        value: Option<f64>,
        reason: &str,
        now: Timestamp,
    ) {
        let key = AlertKey::builtin(builtin, by);
        // Nearly always nothing is wrong and nothing was.
        if condition != Condition::Met && !self.is_live(&key) {
            return;
        }
        let Some(labels) = self.own_labels(builtin, &key.by) else {
            return;
        };
        let expires_at = builtin.lasts().map(|lasts| now + lasts);
        let report = Report {
            annotations: own_annotations(builtin),
            key,
            labels,
            condition,
            hold: Hold { wait: builtin.waits(), keep: Duration::ZERO },
            value,
            reason: reason.to_owned(),
            burning: Vec::new(),
            expires_at: expires_at.filter(|_| condition == Condition::Met),
        };
        self.report(report, now);
    }

    /// The labels of a built-in alert; `None` if it is off or what it is about is gone.
    pub(super) fn own_labels(&self, builtin: Builtin, by: &Labels) -> Option<Labels> {
        let severity = self.settings.builtin.severity(builtin)?;
        let labels =
            by.with(&Labels::new([("alertname", builtin.as_str()), ("severity", severity)]));
        match builtin {
            Builtin::NoData | Builtin::Unjudged | Builtin::LateBreach => {
                let slo = self.settings.slos.iter().find(|slo| slo.name == by.get("slo"))?;
                Some(labels.with_one("service", slo.service.as_str()))
            }
            Builtin::ReceiverFailing => self
                .settings
                .receiver(by.get("receiver"))?
                .integrations
                .iter()
                .any(|integration| integration.id == by.get("integration"))
                .then_some(labels),
            _ => Some(labels),
        }
    }

    /// Raises what is always on.
    pub(super) fn watchdog(&mut self, now: Timestamp) {
        let key = AlertKey::builtin(Builtin::Watchdog, Labels::default());
        if !self.is_firing(&key) {
            let reason = "always on";
            self.own(Builtin::Watchdog, Labels::default(), Condition::Met, None, reason, now);
        }
    }

    pub(super) fn dead_letters(&mut self, collector: u64, broker: Option<u64>, now: Timestamp) {
        let n = collector.saturating_add(broker.unwrap_or(0));
        let condition = match broker {
            _ if n > 0 => Condition::Met,
            Some(_) => Condition::Unmet,
            // Those that were told of before a restart may still lie there.
            None => Condition::Unknown,
        };
        let of = |n: u64, at: &str| (n > 0).then(|| format!("{n} at the {at}"));
        let parts = [of(collector, "collector"), of(broker.unwrap_or(0), "broker")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let reason = match parts.as_slice() {
            [] => "none is known to be left".to_owned(),
            parts => {
                format!("{} could not be read and wait for somebody to look", parts.join(" and "))
            }
        };
        self.own(Builtin::DeadLetters, Labels::default(), condition, Some(n as f64), &reason, now);
    }

    pub(super) fn storage_used(&mut self, bytes: u64, max_bytes: u64, now: Timestamp) {
        let fill = bytes as f64 / max_bytes.max(1) as f64;
        let condition = match fill {
            fill if fill > 0.8 => Condition::Met,
            fill if fill <= 0.75 => Condition::Unmet,
            _ => return,
        };
        let reason = format!("{:.0} % of storage.max_bytes are used", fill * 100.0);
        let full = Builtin::StorageNearlyFull;
        self.own(full, Labels::default(), condition, Some(fill), &reason, now);
    }

    /// An attempt at an integration failed.
    pub(super) fn receiver_failed(
        &mut self,
        receiver: &str,
        integration: &str,
        for_good: bool,
        error: &str,
        now: Timestamp,
    ) {
        let key = (receiver.to_owned(), integration.to_owned());
        let failing = self.failing.entry(key).or_insert_with(|| Failing {
            since: now,
            for_good,
            error: String::new(),
        });
        failing.for_good |= for_good;
        error.clone_into(&mut failing.error);
        self.clock.wake_at(if failing.for_good { now } else { failing.since + FAILING_AFTER });
    }

    /// An attempt at an integration succeeded.
    pub(super) fn receiver_worked(&mut self, receiver: &str, integration: &str, now: Timestamp) {
        self.failing.remove(&(receiver.to_owned(), integration.to_owned()));
        let by = by_integration(receiver, integration);
        let reason = "the last delivery was taken";
        self.own(Builtin::ReceiverFailing, by, Condition::Unmet, None, reason, now);
    }

    pub(super) fn check_receivers(&mut self, now: Timestamp) {
        let told: Vec<_> = self
            .failing
            .iter()
            .filter(|(_, failing)| failing.due() <= now)
            .map(|((receiver, integration), failing)| {
                (by_integration(receiver, integration), failing.error.clone())
            })
            .collect();
        for (by, error) in told {
            let reason = format!("deliveries fail: {error}");
            self.own(Builtin::ReceiverFailing, by, Condition::Met, None, &reason, now);
        }
    }

    pub(super) fn receivers_due(&self) -> Option<Timestamp> {
        // What is due and told needs no further call.
        let now = self.clock.now();
        self.failing.values().map(Failing::due).filter(|due| *due > now).min()
    }
}

impl Failing {
    fn due(&self) -> Timestamp {
        if self.for_good { self.since } else { self.since + FAILING_AFTER }
    }
}

fn by_integration(receiver: &str, integration: &str) -> Labels {
    Labels::new([("receiver", receiver), ("integration", integration)])
}

/// What each built-in alert means, for people.
pub(super) fn own_annotations(builtin: Builtin) -> Labels {
    let summary = match builtin {
        Builtin::AgentSilent => "An agent gives no sign of life and has not said bye.",
        Builtin::NoData => "An SLO gets no data: nobody knows whether its service works.",
        Builtin::Unjudged => {
            "An SLO's conditions end in errors: what they could not judge counts neither as good nor as bad."
        }
        Builtin::LateBreach => "Data that arrived late show a breach of which nobody was told.",
        Builtin::SpoolNearlyFull => "An agent can't deliver and will soon have no room.",
        Builtin::DataLost => "Data are proven lost.",
        Builtin::Forked => "Two agents use one id: one of them is not counted.",
        Builtin::LabelOverflow => "A label has too many values; the rest are counted together.",
        Builtin::ClockSkew => "An agent's clock is wrong.",
        Builtin::ReceiverFailing => "A receiver can't be told: alerts may go unnoticed.",
        Builtin::DeadLetters => {
            "Batches could not be read and are kept aside; `watchkeeper dead-letters` says which and why."
        }
        Builtin::StorageNearlyFull => "The collector will soon expire data early.",
        Builtin::Watchdog => "Always on: shows that alerts flow.",
    };
    Labels::new([("summary", summary)])
}
