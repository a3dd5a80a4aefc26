//! The answer in JSON.
//!
//! Owns its names. All rows are in it, those without data too.

use serde::Serialize;
use watchkeeper_collector_core::alert::Severity;
use watchkeeper_collector_core::notify::IncidentState;
use watchkeeper_collector_core::report::{
    CorrectionUse, Episode, PartUse, Report, RowUse, ServiceReport, SloReport, Sums, Telling,
};
use watchkeeper_collector_core::slo::budget_words;
use watchkeeper_model::Timestamp;

use super::super::json::{Number, Time};

#[derive(Serialize)]
struct ReportJson<'a> {
    from: Time,
    to: Time,
    period: Option<&'a str>,
    zone: &'a str,
    made_at: Time,
    /// Whether the period was over when it was made.
    complete: bool,
    row: &'static str,
    /// Incidents that ended before are not known any more.
    incidents_from: Time,
    services: Vec<ServiceJson<'a>>,
}

#[derive(Serialize)]
struct ServiceJson<'a> {
    service: &'a str,
    slos: Vec<SloJson<'a>>,
}

#[derive(Serialize)]
struct SloJson<'a> {
    name: &'a str,
    objective: Number,
    window: &'a str,
    counts: &'static str,
    result: &'static str,
    good: u64,
    total: u64,
    unjudged: u64,
    sli: Option<Number>,
    approximate: Number,
    budget: BudgetJson,
    data_from: Option<Time>,
    counted_otherwise: bool,
    corrected_seconds: Number,
    corrections: Vec<CorrectionJson<'a>>,
    without_corrections: SumsJson,
    composite: Vec<PartJson<'a>>,
    rows: Vec<RowJson>,
    firing_seconds: Number,
    incidents: Vec<IncidentJson<'a>>,
}

#[derive(Serialize)]
struct BudgetJson {
    allowed: Option<Number>,
    spent: u64,
    remaining: Option<Number>,
    words: Option<String>,
    exhausted: bool,
    exhausted_from: Option<Time>,
}

#[derive(Serialize)]
struct SumsJson {
    good: u64,
    total: u64,
    unjudged: u64,
    sli: Option<Number>,
    budget_remaining: Option<Number>,
}

#[derive(Serialize)]
struct CorrectionJson<'a> {
    id: &'a str,
    name: &'a str,
    reason: &'a str,
    by: Option<&'a str>,
    seconds: Number,
}

#[derive(Serialize)]
struct PartJson<'a> {
    slo: &'a str,
    weight: Number,
    good: u64,
    total: u64,
    sli: Option<Number>,
}

#[derive(Serialize)]
struct RowJson {
    from: Time,
    to: Time,
    good: u64,
    total: u64,
    unjudged: u64,
    sli: Option<Number>,
    budget_spent: Number,
    worst: bool,
}

#[derive(Serialize)]
struct IncidentJson<'a> {
    opened_at: Time,
    closed_at: Option<Time>,
    seconds: Number,
    severity: &'static str,
    acknowledged_by: Option<&'a str>,
    acknowledged_at: Option<Time>,
    told: Vec<ToldJson<'a>>,
}

#[derive(Serialize)]
struct ToldJson<'a> {
    incident: u64,
    receiver: &'a str,
    integration: &'a str,
    state: &'static str,
    delivered: u64,
    failed: u64,
    error: Option<&'a str>,
}

/// The whole report.
pub(super) fn json(report: &Report) -> String {
    let period = &report.period;
    let shaped = ReportJson {
        from: Time(period.from),
        to: Time(period.to),
        period: period.name.as_deref(),
        zone: period.zone.name(),
        made_at: Time(report.now),
        complete: period.to <= report.now,
        row: report.step.as_str(),
        incidents_from: Time(report.told_from),
        services: report.services.iter().map(|service| of_service(service, report.now)).collect(),
    };
    serde_json::to_string(&shaped).expect("the keys of a report are strings")
}

fn of_service(service: &ServiceReport, now: Timestamp) -> ServiceJson<'_> {
    let slos = service.slos.iter().map(|slo| of_slo(slo, now)).collect();
    ServiceJson { service: &service.service, slos }
}

fn of_slo(slo: &SloReport, now: Timestamp) -> SloJson<'_> {
    let sums = &slo.counted;
    SloJson {
        name: &slo.slo.name,
        objective: Number(slo.slo.objective.percent()),
        window: &slo.slo.window_text,
        counts: if slo.parts.is_empty() { slo.noun() } else { "composite" },
        result: slo.verdict.as_str(),
        good: sums.counts.good,
        total: sums.counts.total,
        unjudged: sums.counts.unjudged,
        sli: sums.sli.map(Number),
        approximate: Number(slo.approximate()),
        budget: BudgetJson {
            allowed: slo.allowed().map(Number),
            spent: sums.counts.bad(),
            remaining: sums.left.map(Number),
            words: sums.left.map(budget_words),
            exhausted: slo.is_exhausted,
            exhausted_from: slo.exhausted_in.map(|row| Time(row.from)),
        },
        data_from: slo.data_from.map(Time),
        counted_otherwise: slo.counted_otherwise,
        corrected_seconds: Number(slo.corrected.as_secs_f64()),
        corrections: slo.corrections.iter().map(of_correction).collect(),
        without_corrections: of_sums(&slo.observed),
        composite: slo.parts.iter().map(of_part).collect(),
        rows: slo.rows.iter().map(of_row).collect(),
        firing_seconds: Number(slo.firing.as_secs_f64()),
        incidents: slo.episodes.iter().map(|episode| of_episode(episode, now)).collect(),
    }
}

fn of_sums(sums: &Sums) -> SumsJson {
    SumsJson {
        good: sums.counts.good,
        total: sums.counts.total,
        unjudged: sums.counts.unjudged,
        sli: sums.sli.map(Number),
        budget_remaining: sums.left.map(Number),
    }
}

fn of_correction(correction: &CorrectionUse) -> CorrectionJson<'_> {
    let CorrectionUse { id, name, reason, by, time } = correction;
    CorrectionJson { id, name, reason, by: by.as_deref(), seconds: Number(time.as_secs_f64()) }
}

fn of_part(part: &PartUse) -> PartJson<'_> {
    let PartUse { slo, weight, good, total, sli } = part;
    PartJson { slo, weight: Number(*weight), good: *good, total: *total, sli: sli.map(Number) }
}

fn of_row(row: &RowUse) -> RowJson {
    RowJson {
        from: Time(row.row.from),
        to: Time(row.row.to),
        good: row.good,
        total: row.total,
        unjudged: row.unjudged,
        sli: row.sli.map(Number),
        budget_spent: Number(row.spent),
        worst: row.is_worst,
    }
}

fn of_episode(episode: &Episode, now: Timestamp) -> IncidentJson<'_> {
    let ack = episode.acknowledged.as_ref();
    IncidentJson {
        opened_at: Time(episode.opened),
        closed_at: episode.closed.map(Time),
        seconds: Number(episode.lasted(now).as_secs_f64()),
        severity: match episode.severity {
            Severity::Critical | Severity::Error => "page",
            Severity::Warning => "ticket",
            Severity::Info => "info",
            Severity::None => "none",
        },
        acknowledged_by: ack.map(|ack| ack.by.as_str()),
        acknowledged_at: ack.map(|ack| Time(ack.at)),
        told: episode.tellings.iter().map(of_telling).collect(),
    }
}

fn of_telling(telling: &Telling) -> ToldJson<'_> {
    let Telling { incident, receiver, integration, state, n_told, n_failed, error } = telling;
    ToldJson {
        incident: *incident,
        receiver,
        integration,
        state: match state {
            IncidentState::Opening => "opening",
            IncidentState::Open => "open",
            IncidentState::Closing => "closing",
            IncidentState::Closed => "closed",
            IncidentState::Abandoned => "abandoned",
        },
        delivered: *n_told,
        failed: *n_failed,
        error: error.as_deref(),
    }
}
