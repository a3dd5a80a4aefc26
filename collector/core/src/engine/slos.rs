//! SLOs: budgets, tiers and what they report.
//!
//! Owns when an SLO is evaluated. What its alert is, is the alert's business.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use watchkeeper_model::{Labels, Service, Timestamp};

use super::Engine;
use super::agenda::{Agenda, Appointment};
use super::alerts::Report;
use super::input::{RestoredSlo, Settings};
use super::pace::Pace;
use super::view::{PartView, SloView};
use crate::alert::{AlertKey, AlertRow, Builtin, Condition, Fingerprint, Hold};
use crate::notify::SloFacts;
use crate::series::Involved;
use crate::slo::{
    BUCKET, Budget, Excluded, Judged, Share, SloSettings, SloState, Tally, TierSeverity, TierState,
    View,
};

/// One SLO under watch.
#[derive(Clone, Debug)]
pub(super) struct SloWatch {
    pub(super) settings: SloSettings,
    pub(super) budget: Budget,
    tally: Tally,
    involved: Involved,
    pace: Pace,
    /// When to evaluate it although nothing arrives.
    due: Option<Timestamp>,
    /// When the last window arrived, since this engine runs.
    heard_at: Option<Timestamp>,
    /// Since when silence counts.
    quiet_since: Timestamp,
    pub(super) prints: Prints,
}

/// The alerts that every evaluation asks about: their hashes cost more than the rest of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prints {
    slo: Fingerprint,
    pub(super) no_data: Fingerprint,
    pub(super) unjudged: Fingerprint,
}

impl Prints {
    fn of(slo: &str) -> Self {
        let ours = |builtin| AlertKey::builtin(builtin, Labels::new([("slo", slo)])).fingerprint();
        Self {
            slo: AlertKey::slo(slo).fingerprint(),
            no_data: ours(Builtin::NoData),
            unjudged: ours(Builtin::Unjudged),
        }
    }
}

impl SloWatch {
    /// An SLO without counts; `all` has the composites that it is part of.
    pub(super) fn new(settings: SloSettings, all: &Settings, now: Timestamp) -> Self {
        let budget = Budget::new(&settings);
        let prints = Prints::of(&settings.name);
        Self {
            involved: Involved::new(budget.blame_window()),
            tally: Tally::new(settings.method, views_of(&settings, all)),
            budget,
            settings,
            pace: Pace::new(),
            due: Some(now),
            heard_at: None,
            quiet_since: now,
            prints,
        }
    }

    pub(super) fn restore(&mut self, restored: &RestoredSlo, now: Timestamp) {
        self.tally.fill(restored.tally(), now);
        self.due = Some(now);
    }

    /// Goes on by other settings that count the same: with all counts there are.
    pub(super) fn adopt(&mut self, settings: &SloSettings, all: &Settings, now: Timestamp) {
        let tally = Tally::new(settings.method, views_of(settings, all));
        self.tally = tally.taking_over(&self.tally, now);
        self.budget = Budget::new(settings);
        self.settings = settings.clone();
        self.due = Some(now);
    }

    /// Leaves these stretches out of what somebody sees of its counts; whether that changed anything.
    pub(super) fn exclude(&mut self, of: &str, excluded: &Excluded, now: Timestamp) -> bool {
        self.tally.exclude(of, excluded, now)
    }

    /// Who looks at its counts: itself, unless it is a composite, and composites.
    pub(super) fn seen_by(&self) -> impl Iterator<Item = &str> {
        self.tally.seen_by()
    }

    /// Evaluates it again, for what is left out has changed.
    pub(super) fn again(&mut self, now: Timestamp) {
        self.due = Some(now);
    }

    /// A window arrived.
    fn heard(&mut self, part: &Judged, now: Timestamp) {
        self.involved.add(&part.agent, part.counts.bad(), now);
        self.heard_at = Some(now);
    }

    /// How old counts are that no window of a tier can still hold where it matters: the shortest one, and a bucket.
    pub(super) fn late_after(&self) -> Duration {
        self.budget.shortest_window() + self.tally.grain()
    }

    pub(super) fn set_back(&mut self, now: Timestamp) {
        self.heard_at = self.heard_at.map(|at| at.min(now));
        self.quiet_since = self.quiet_since.min(now);
        self.due = Some(now);
    }

    /// When silence becomes `NoData`.
    pub(super) fn no_data_at(&self, awake_since: Timestamp) -> Timestamp {
        let since = self.heard_at.unwrap_or(self.quiet_since);
        since.max(self.quiet_since).max(awake_since) + self.settings.no_data
    }

    /// When to look at it. What is silent already is told already, or waits for an agent to come back.
    fn appointment(&self, awake_since: Timestamp, now: Timestamp) -> Appointment {
        let no_data_at = self.no_data_at(awake_since);
        let silent = Some(no_data_at).filter(|at| *at > now);
        Appointment { at: self.due.into_iter().chain(silent).min(), is_silent: no_data_at <= now }
    }
}

impl Engine {
    /// Windows were judged and are on disk.
    pub(super) fn judged(&mut self, judged: &[Judged], now: Timestamp) {
        let late = self.before_late(judged, now);
        let mut touched: Vec<Arc<str>> = Vec::new();
        for part in judged {
            let Some(slo) = self.slos.get_mut(&*part.slo) else {
                continue;
            };
            slo.tally.add(part.window.start, &part.counts, now);
            slo.heard(part, now);
            let composites: Vec<Arc<str>> = slo.seen_by().skip(1).map(Into::into).collect();
            for name in &composites {
                if let Some(composite) = self.slos.get_mut(&**name) {
                    composite.heard(part, now);
                }
            }
            for name in std::iter::once(Arc::clone(&part.slo)).chain(composites) {
                if !touched.contains(&name) {
                    touched.push(name);
                }
            }
        }
        for name in touched {
            self.has_data(&name, now);
            self.evaluate_at_pace(&name, now);
        }
        self.after_late(late, now);
    }

    /// The counts that an SLO is judged by: its own, or those of a composite's parts.
    pub(super) fn shares<'a>(&'a self, slo: &'a SloWatch) -> Vec<Share<'a>> {
        if slo.settings.composite.is_empty() {
            return vec![Share { weight: 1.0, tally: &slo.tally, view: 0 }];
        }
        let parts = slo.settings.composite.iter().filter_map(|part| {
            let tally = &self.slos.get(&part.slo)?.tally;
            let view = tally.view(&slo.settings.name)?;
            Some(Share { weight: part.weight, tally, view })
        });
        parts.collect()
    }

    /// Whose data an SLO is judged by: its own service's, or those of a composite's parts.
    pub(super) fn services_of(&self, slo: &SloWatch) -> Vec<Service> {
        if slo.settings.composite.is_empty() {
            return vec![slo.settings.service.clone()];
        }
        let parts = slo.settings.composite.iter().filter_map(|part| self.slos.get(&part.slo));
        parts.map(|part| part.settings.service.clone()).collect()
    }

    /// Lets time pass in the counts that an SLO is judged by.
    fn advance_slo(&mut self, name: &str, now: Timestamp) {
        let Some(slo) = self.slos.get_mut(name) else {
            return;
        };
        slo.tally.advance(now);
        let parts: Vec<String> = slo.settings.composite.iter().map(|p| p.slo.clone()).collect();
        for part in parts {
            if let Some(part) = self.slos.get_mut(&part) {
                part.tally.advance(now);
            }
        }
    }

    /// An agent of these services is back from a stop: its SLOs' silence begins now.
    pub(super) fn agent_returned(&mut self, services: &BTreeSet<Service>, now: Timestamp) {
        let concerns = |slo: &&SloWatch| self.services_of(slo).iter().any(|s| services.contains(s));
        let names: Vec<String> =
            self.slos.values().filter(concerns).map(|slo| slo.settings.name.clone()).collect();
        for name in names {
            if let Some(slo) = self.slos.get_mut(&name) {
                slo.quiet_since = now;
                self.clock.wake_at(now + slo.settings.no_data);
            }
            self.put_on_agenda(&name);
        }
    }

    /// Evaluates what is due, and finds what is silent.
    pub(super) fn check_slos(&mut self, now: Timestamp) {
        let silent = self.agenda.silent().filter(|name| self.is_silence_news(name));
        let names: BTreeSet<Arc<str>> = self.agenda.due(now).chain(silent).cloned().collect();
        for name in names {
            if self.slos.get(&*name).and_then(|slo| slo.due).is_some_and(|due| due <= now) {
                self.evaluate_at_pace(&name, now);
            }
            self.check_no_data(&name, now);
            self.put_on_agenda(&name);
        }
        self.check_late(now);
        debug_assert!(self.is_agenda_kept(), "bug: the agenda is not what the SLOs ask for");
    }

    pub(super) fn slos_due(&self) -> Option<Timestamp> {
        let again = self.corrections.again_at;
        self.agenda.earliest().into_iter().chain(again).chain(self.late_due()).min()
    }

    /// Something has changed when an SLO is to be looked at.
    pub(super) fn put_on_agenda(&mut self, name: &str) {
        if let Some(slo) = self.slos.get(name) {
            let appointment = slo.appointment(self.clock.awake_since, self.clock.now());
            self.agenda.set(name, appointment);
        }
    }

    /// Something has changed when each of them is to be looked at, or which there are.
    pub(super) fn make_agenda(&mut self) {
        self.agenda = Agenda::default();
        for (name, slo) in &self.slos {
            let appointment = slo.appointment(self.clock.awake_since, self.clock.now());
            self.agenda.set(name, appointment);
        }
    }

    /// Whether every SLO is looked at when it has to be.
    fn is_agenda_kept(&self) -> bool {
        let (awake_since, now) = (self.clock.awake_since, self.clock.now());
        let asked =
            self.slos.iter().map(|(name, slo)| (&**name, slo.appointment(awake_since, now)));
        self.agenda.all().eq(asked)
    }

    fn evaluate_at_pace(&mut self, name: &str, now: Timestamp) {
        let Some(slo) = self.slos.get_mut(name) else {
            return;
        };
        match slo.pace.take(now) {
            Ok(()) => self.evaluate_slo(name, now),
            Err(next) => {
                slo.due = Some(next);
                self.clock.wake_at(next);
            }
        }
        self.put_on_agenda(name);
    }

    fn evaluate_slo(&mut self, name: &str, now: Timestamp) {
        let Some(print) = self.slos.get(name).map(|slo| slo.prints.slo) else {
            return;
        };
        let row = self.alerts.get(&print).filter(|row| row.is_firing());
        let before = row.map(|row| row.burning.clone()).unwrap_or_default();
        self.advance_slo(name, now);
        let Some(slo) = self.slos.get(name) else {
            return;
        };
        let shares = self.shares(slo);
        let mut state = slo.budget.tiers(&shares, &before, now);
        let grain = shares.iter().map(|share| share.tally.grain()).min().unwrap_or(BUCKET);
        // What is held is held until there are data: time alone changes nothing there.
        let moving = (!state.burning.is_empty() && !state.stale) || slo.budget.may_change(&shares);
        let next = moving.then(|| now.floor(grain) + grain);
        let excluded = shares.iter().filter_map(|share| share.tally.excluded(share.view));
        let edges = excluded.filter_map(|excluded| excluded.next_edge(now));
        let due = next.into_iter().chain(slo.budget.turns_at(now)).chain(edges).min();
        if let Some(why) = self.correction_of(slo, now).filter(|why| state.stale && !why.is_empty())
        {
            state.reason = format!("{}: {why}", state.reason);
        }
        if let Some(due) = due {
            self.clock.wake_at(due);
        }
        let Some(slo) = self.slos.get_mut(name) else {
            return;
        };
        slo.due = due;
        // Nearly always nothing burns and nothing did.
        if state.burning.is_empty() && !self.alerts.contains_key(&print) {
            return self.check_unjudged(name, now);
        }
        let Some(slo) = self.slos.get(name) else {
            return;
        };
        let severity = state.severity.map_or("", TierSeverity::as_str);
        let report = Report {
            labels: slo_labels(&slo.settings, severity),
            annotations: slo.settings.annotations.clone(),
            key: AlertKey::slo(name),
            condition: condition_of(&state),
            hold: Hold::default(),
            value: state.value,
            reason: state.reason,
            burning: state.burning,
            expires_at: None,
        };
        self.report(report, now);
        self.check_unjudged(name, now);
    }

    /// SLOs by name, for answers.
    pub fn slos(&self, now: Timestamp) -> Vec<SloView> {
        self.slos.values().map(|slo| self.slo_view(slo, now)).collect()
    }

    fn slo_view(&self, slo: &SloWatch, now: Timestamp) -> SloView {
        let seen = slo.budget.evaluate(&self.shares(slo), now);
        let counts = seen.counts;
        SloView {
            name: slo.settings.name.clone(),
            service: slo.settings.service.to_string(),
            objective: slo.settings.objective.percent(),
            window: slo.settings.window_text.clone(),
            good: counts.good,
            total: counts.total,
            unjudged: counts.unjudged,
            sli: seen.sli,
            budget_remaining: seen.budget_remaining,
            burn: seen.burn,
            exhausts_at: seen.exhausts_at,
            state: self.slo_state(slo, now),
            approximate: counts.estimated as f64 / counts.total.max(1) as f64,
            corrected_seconds: seen.corrected.as_secs_f64(),
            correction: self.correction_of(slo, now),
            composite: self.parts_of(slo, now),
        }
    }

    fn parts_of(&self, slo: &SloWatch, now: Timestamp) -> Vec<PartView> {
        let over = slo.settings.window.over();
        let shares = self.shares(slo);
        let parts = slo.settings.composite.iter().zip(shares).map(|(part, share)| {
            let counts = share.tally.sum_at(share.view, &over, now);
            let (slo, weight) = (part.slo.clone(), part.weight);
            PartView { slo, weight, good: counts.good, total: counts.total, sli: counts.ratio() }
        });
        parts.collect()
    }

    fn slo_state(&self, slo: &SloWatch, now: Timestamp) -> SloState {
        let firing = self.alerts.get(&slo.prints.slo).filter(|row| row.is_firing());
        let silent = || {
            let newest = self.shares(slo).iter().filter_map(|share| share.tally.newest()).max();
            let never = slo.heard_at.is_none() && newest.is_none();
            let last = slo.heard_at.max(newest);
            never || last.is_some_and(|last| now.since(last) >= slo.settings.no_data)
        };
        match firing.map(|row| row.labels.get("severity")) {
            Some("page") => SloState::Page,
            Some(_) => SloState::Ticket,
            None if silent() => SloState::NoData,
            None => SloState::Ok,
        }
    }

    /// What a notification says of an SLO, and who is to blame.
    pub(super) fn slo_facts(&self, name: &str, now: Timestamp) -> Option<(SloFacts, Vec<String>)> {
        let slo = self.slos.get(name)?;
        let seen = slo.budget.evaluate(&self.shares(slo), now);
        let burn: Vec<(Duration, f64)> =
            seen.burn.iter().filter_map(|(over, rate)| Some((*over, (*rate)?))).collect();
        let facts = SloFacts {
            objective: slo.settings.objective.percent(),
            window: slo.settings.window_text.clone(),
            burn,
            budget_remaining: seen.budget_remaining,
            exhausts_at: seen.exhausts_at,
            good: seen.counts.good,
            total: seen.counts.total,
        };
        Some((facts, slo.involved.worst(10)))
    }
}

/// The labels of an SLO's alert. Its own can't stand in for those that identify it.
pub(super) fn slo_labels(slo: &SloSettings, severity: &str) -> Labels {
    slo.labels.with(&Labels::new([
        ("alertname", slo.name.as_str()),
        ("service", slo.service.as_str()),
        ("severity", severity),
    ]))
}

/// The severity an SLO's alert has now.
pub(super) fn slo_severity(row: &AlertRow) -> String {
    row.labels.get("severity").to_owned()
}

fn condition_of(state: &TierState) -> Condition {
    match (state.burning.is_empty(), state.stale) {
        (true, _) => Condition::Unmet,
        (false, true) => Condition::Unknown,
        (false, false) => Condition::Met,
    }
}

/// What looks at the counts of an SLO: a composite has none of its own.
pub(super) fn views_of(slo: &SloSettings, all: &Settings) -> Vec<View> {
    let own = Some(slo).filter(|slo| slo.composite.is_empty());
    let seen_by = own.into_iter().chain(all.composites_of(slo));
    let excluded = Excluded::default;
    seen_by.map(|s| View { of: s.name.clone(), overs: s.overs(), excluded: excluded() }).collect()
}
