//! What the data of an SLO are worth: whether there are any, whether they can be judged, whether they come in time.
//!
//! Owns `NoData`, `Unjudged` and `LateBreach`. Never says whether a budget burns.

use std::sync::Arc;
use std::time::Duration;

use watchkeeper_model::{Labels, Timestamp};

use super::Engine;
use super::slos::SloWatch;
use crate::alert::{AlertKey, AlertKind, AlertRow, AlertState, Builtin, Condition};
use crate::slo::{Hindsight, Judged};

/// How far before a late part its breach may have begun, to be told with it.
const LOOK_BACK: Duration = Duration::from_secs(86_400);

/// An SLO that late data are added to, as its past looked before.
pub(super) struct Late {
    slo: Arc<str>,
    from: Timestamp,
    to: Timestamp,
    before: Hindsight,
}

impl Engine {
    /// Data of an SLO have arrived.
    pub(super) fn has_data(&mut self, name: &str, now: Timestamp) {
        let awake_since = self.clock.awake_since;
        let Some(slo) = self.slos.get(name) else {
            return;
        };
        let (no_data_at, print) = (slo.no_data_at(awake_since), slo.prints.no_data);
        self.clock.wake_at(no_data_at);
        if self.alerts.contains_key(&print) {
            self.own(Builtin::NoData, by(name), Condition::Unmet, None, "data arrive again", now);
        }
    }

    /// Says that an SLO has been silent for too long, unless its agents are away on purpose.
    pub(super) fn check_no_data(&mut self, name: &str, now: Timestamp) {
        let Some(slo) = self.slos.get(name) else {
            return;
        };
        if slo.no_data_at(self.clock.awake_since) > now {
            return;
        }
        let planned = self.is_silence_planned(slo);
        if planned == self.is_silence_told(slo) {
            let condition = if planned { Condition::Unmet } else { Condition::Met };
            let reason = match planned {
                true => "all its agents said bye".to_owned(),
                false => format!("no window for {} s", slo.settings.no_data.as_secs()),
            };
            self.own(Builtin::NoData, by(name), condition, None, &reason, now);
        }
    }

    /// Whether what was said of an SLO's silence is no longer so, or nothing was said yet.
    pub(super) fn is_silence_news(&self, name: &str) -> bool {
        let slo = self.slos.get(name);
        slo.is_some_and(|slo| self.is_silence_planned(slo) == self.is_silence_told(slo))
    }

    fn is_silence_planned(&self, slo: &SloWatch) -> bool {
        self.services_of(slo).iter().all(|service| self.all_stopped(service))
    }

    fn is_silence_told(&self, slo: &SloWatch) -> bool {
        self.alerts.get(&slo.prints.no_data).is_some_and(AlertRow::is_firing)
    }

    /// Says whether over 1 % of what an SLO saw in its first tier's long window could not be judged.
    pub(super) fn check_unjudged(&mut self, name: &str, now: Timestamp) {
        let Some(slo) = self.slos.get(name) else {
            return;
        };
        let counts = slo.budget.recent(&self.shares(slo));
        let seen = counts.total.saturating_add(counts.unjudged);
        let known = self.alerts.get(&slo.prints.unjudged);
        // Nearly always everything was judged and nothing is said.
        if counts.unjudged == 0 && known.is_none() {
            return;
        }
        let firing = known.is_some_and(AlertRow::is_firing);
        let enough = firing || seen >= slo.settings.min_events;
        let condition = match u128::from(counts.unjudged) * 100 > u128::from(seen) {
            // Silence does not mend a condition.
            _ if seen == 0 => Condition::Unknown,
            true if enough => Condition::Met,
            _ => Condition::Unmet,
        };
        let share = counts.unjudged as f64 / seen.max(1) as f64;
        let reason = match condition {
            Condition::Unknown => "held: no data to say that it has ended".to_owned(),
            _ => format!(
                "{} of {seen} observations ({:.1} %) could not be judged: `where`, `good` or `below` ended in an error",
                counts.unjudged,
                100.0 * share
            ),
        };
        self.own(Builtin::Unjudged, by(name), condition, Some(share), &reason, now);
    }

    /// How the past of those SLOs looks whose late data are about to be added. What is so late that no window of a tier
    /// still holds it is late.
    pub(super) fn before_late(&self, judged: &[Judged], now: Timestamp) -> Vec<Late> {
        let mut late: Vec<Late> = Vec::new();
        if self.settings.builtin.severity(Builtin::LateBreach).is_none() {
            return late;
        }
        let mut ranges: Vec<(&Arc<str>, Timestamp, Timestamp)> = Vec::new();
        for part in judged.iter().filter(|part| part.counts.bad() > 0) {
            let start = part.window.start;
            let is_late = |slo: &SloWatch| now.since(start) > slo.late_after();
            if !self.slos.get(&*part.slo).is_some_and(is_late) {
                continue;
            }
            match ranges.iter_mut().find(|(slo, ..)| **slo == part.slo) {
                Some((_, from, to)) => (*from, *to) = ((*from).min(start), (*to).max(start)),
                None => ranges.push((&part.slo, start, start)),
            }
        }
        for (slo, from, to) in ranges {
            if let Some(watch) = self.slos.get(&**slo) {
                let before = self.hindsight(watch, from, to, now);
                late.push(Late { slo: slo.clone(), from, to, before });
            }
        }
        late
    }

    /// What burned because of a stretch of the past.
    fn hindsight(
        &self,
        slo: &SloWatch,
        from: Timestamp,
        to: Timestamp,
        now: Timestamp,
    ) -> Hindsight {
        slo.budget.hindsight(&self.shares(slo), from, to, now)
    }

    /// Late data were added: a breach that is news waits a minute, for what is caught up may lead up to now.
    pub(super) fn after_late(&mut self, late: Vec<Late>, now: Timestamp) {
        for Late { slo, from, to, before } in late {
            let Some(watch) = self.slos.get(&*slo) else {
                continue;
            };
            let Some(breach) = self.hindsight(watch, from, to, now).news(&before) else {
                continue;
            };
            if self.is_firing(&AlertKey::slo(&slo)) {
                continue;
            }
            // Parts of it arrive one by one: told is all of it.
            let wide = self.hindsight(watch, breach.from - LOOK_BACK, to, now);
            let breach = wide.whole(&breach).unwrap_or(breach);
            let tier = breach.tier;
            let reason = format!(
                "data that arrived late show a breach: the {} tier at {}x burned from {} to {}, and nobody was told",
                tier.severity.as_str(),
                tier.factor(),
                breach.from,
                breach.to,
            );
            self.own(Builtin::LateBreach, by(&slo), Condition::Met, None, &reason, now);
        }
    }

    /// A late breach that has waited is told, unless its SLO tells it meanwhile.
    pub(super) fn check_late(&mut self, now: Timestamp) {
        let waiting: Vec<(String, String)> = self
            .alerts
            .values()
            .filter(|row| row.state == AlertState::Pending && is_late_breach(&row.key))
            .map(|row| (row.key.by.get("slo").to_owned(), row.reason.clone()))
            .collect();
        for (slo, reason) in waiting {
            let told = self.is_firing(&AlertKey::slo(&slo));
            let condition = if told { Condition::Unmet } else { Condition::Met };
            self.own(Builtin::LateBreach, by(&slo), condition, None, &reason, now);
        }
    }

    /// When a late breach has waited long enough.
    pub(super) fn late_due(&self) -> Option<Timestamp> {
        let waiting = self
            .alerts
            .values()
            .filter(|row| row.state == AlertState::Pending && is_late_breach(&row.key));
        waiting.map(|row| row.pending_since + Builtin::LateBreach.waits()).min()
    }
}

fn is_late_breach(key: &AlertKey) -> bool {
    key.kind == AlertKind::Builtin && key.name == Builtin::LateBreach.as_str()
}

fn by(slo: &str) -> Labels {
    Labels::new([("slo", slo)])
}
