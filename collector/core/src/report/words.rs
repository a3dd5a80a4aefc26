//! What a report says, in words.
//!
//! Owns every sentence and table of it, the same for all forms. How they look is the renderer's.

use super::document::{Block, Cell, Column, Document, Table, Tone};
use super::figures::{CorrectionUse, PartUse, Report, RowUse, ServiceReport, SloReport, Verdict};
use super::incidents::{Episode, Telling};
use super::phrase::{self, NOTHING, count, span, things};
use crate::alert::Severity;
use crate::notify::IncidentState;
use crate::slo::budget_words;

/// The report as a text. What is about one SLO has its name as the title.
pub fn document_of(report: &Report) -> Document {
    let slos: Vec<&SloReport> = report.services.iter().flat_map(|s| &s.slos).collect();
    let of = match (report.services.as_slice(), slos.as_slice()) {
        (_, [slo]) => format!("Error budget of {}", slo.slo.name),
        ([service], _) => format!("Error budgets of {}", service.service),
        _ => "Error budgets".to_owned(),
    };
    let title = format!("{of}, {}", phrase::period(&report.period));
    let mut blocks = vec![Block::Text(opening(report))];
    if slos.is_empty() {
        blocks.push(Block::Text("No SLO is configured.".to_owned()));
    }
    if report.told_from > report.period.from {
        let from = phrase::moment(report.told_from, &report.period.zone);
        blocks.push(Block::Note(format!("Incidents are known from {from} on only.")));
    }
    let is_one = slos.len() == 1;
    let has_services = report.services.len() > 1;
    for service in &report.services {
        if has_services {
            blocks.push(Block::Heading(2, service.service.clone()));
        }
        if !is_one {
            blocks.push(overview(service, report));
        }
        for slo in &service.slos {
            if !is_one {
                blocks.push(Block::Heading(2 + u8::from(has_services), slo.slo.name.clone()));
            }
            one(slo, report, &mut blocks);
        }
    }
    Document { title, blocks }
}

fn opening(report: &Report) -> String {
    let zone = &report.period.zone;
    let named = report.period.name.as_ref().filter(|name| name.contains(char::is_alphabetic));
    let name = named.map_or_else(String::new, |name| format!(" ({name})"));
    let period = phrase::period(&report.period);
    let made = phrase::moment(report.now, zone);
    let so_far = if report.period.to > report.now {
        " The period is not over: all of this is how it stands so far."
    } else {
        ""
    };
    format!("{period}{name}, times in {}. Made {made}.{so_far}", zone.name())
}

fn overview(service: &ServiceReport, report: &Report) -> Block {
    let row = |slo: &SloReport| {
        vec![
            slo.slo.name.as_str().into(),
            format!("{} %", slo.slo.objective.percent()).into(),
            sli(slo).into(),
            counts(slo).into(),
            Cell::new(tone(slo), budget(slo)),
            incidents_in_short(slo).into(),
            Cell::new(tone(slo), verdict(slo, report)),
        ]
    };
    Block::Table(Table {
        caption: format!("SLOs of {}", service.service),
        columns: vec![
            Column::text("SLO"),
            Column::number("Objective"),
            Column::number("SLI"),
            Column::number("Bad"),
            Column::text("Budget"),
            Column::text("Incidents"),
            Column::text("Result"),
        ],
        rows: service.slos.iter().map(row).collect(),
    })
}

fn one(slo: &SloReport, report: &Report, blocks: &mut Vec<Block>) {
    notes(slo, report, blocks);
    blocks.push(Block::Facts(facts(slo, report)));
    blocks.extend(parts(slo));
    blocks.extend(corrections(slo));
    rows(slo, report, blocks);
    blocks.extend(incidents(slo, report));
}

/// What the numbers don't cover.
fn notes(slo: &SloReport, report: &Report, blocks: &mut Vec<Block>) {
    let zone = &report.period.zone;
    if let Some(from) = slo.data_from {
        let from = phrase::moment(from, zone);
        let whose = if slo.parts.is_empty() { "" } else { " of all its parts" };
        blocks.push(Block::Note(format!(
            "Data{whose} from {from} on only: what was before is not known, and not in here."
        )));
    }
    if slo.counted_otherwise {
        blocks.push(Block::Note(
            "In this period it was also counted by another definition: those counts are not in here.".to_owned(),
        ));
    }
}

fn facts(slo: &SloReport, report: &Report) -> Vec<(String, Cell)> {
    let mut facts: Vec<(String, Cell)> = Vec::new();
    let mut fact = |name: &str, cell: Cell| facts.push((name.to_owned(), cell));
    fact("Result", Cell::new(tone(slo), result(slo, report)));
    fact("Objective", objective(slo).into());
    fact("SLI", sli(slo).into());
    fact("Counts", counts_in_full(slo).into());
    fact("Budget of this period", budget_in_full(slo).into());
    if slo.approximate() > 0.0 {
        let share = phrase::spent(Some(slo.approximate()));
        fact("Approximate", format!("{share} of what was judged is estimated").into());
    }
    if let Some(worst) = worst(slo, report) {
        fact("Worst", worst.into());
    }
    if !slo.corrections.is_empty() {
        fact("Without corrections", without_corrections(slo).into());
    }
    fact("Incidents", incidents_in_words(slo).into());
    facts
}

const fn tone(slo: &SloReport) -> Tone {
    match slo.verdict {
        Verdict::Met => Tone::Good,
        Verdict::Missed => Tone::Bad,
        Verdict::NoData => Tone::Plain,
    }
}

fn verdict(slo: &SloReport, report: &Report) -> String {
    let holds = match (slo.data_from, report.period.to > report.now) {
        (Some(_), _) => " as far as known",
        (None, true) => " so far",
        (None, false) => "",
    };
    match slo.verdict {
        Verdict::NoData => "no data".to_owned(),
        Verdict::Met => format!("met{holds}"),
        Verdict::Missed => format!("missed{holds}"),
    }
}

fn result(slo: &SloReport, report: &Report) -> String {
    let verdict = verdict(slo, report);
    match (slo.is_exhausted, slo.exhausted_in) {
        (false, _) => verdict,
        (true, None) => format!("{verdict}, the budget is exhausted"),
        (true, Some(row)) => {
            let when = report.step.label(&row, &report.period.zone);
            format!("{verdict}, the budget is exhausted: gone in {when}")
        }
    }
}

fn objective(slo: &SloReport) -> String {
    let of = match (slo.slo.method.slice(), slo.parts.is_empty()) {
        (_, false) => " of its parts by weight".to_owned(),
        (Some(length), true) => format!(" of slices of {}", span(length)),
        (None, true) => String::new(),
    };
    let percent = slo.slo.objective.percent();
    format!("{percent} %{of}; its own window is {}", slo.slo.window_text)
}

fn sli(slo: &SloReport) -> String {
    let about = if slo.approximate() > 0.0 { "≈ " } else { "" };
    format!("{about}{}", phrase::sli(slo.counted.sli, slo.slo.objective.percent()))
}

fn counts(slo: &SloReport) -> String {
    let counts = &slo.counted.counts;
    match counts.total {
        0 => NOTHING.to_owned(),
        total => format!("{} of {}", count(counts.bad()), count(total)),
    }
}

fn counts_in_full(slo: &SloReport) -> String {
    let counts = &slo.counted.counts;
    let total = match slo.parts.is_empty() {
        true => things(counts.total, slo.noun()),
        false => format!("{} of all its parts", count(counts.total)),
    };
    let unjudged = match counts.unjudged {
        0 => String::new(),
        n => format!(", {} not judged", count(n)),
    };
    let (good, bad) = (count(counts.good), count(counts.bad()));
    format!("{good} good, {bad} bad of {total}{unjudged}")
}

fn budget(slo: &SloReport) -> String {
    slo.counted.left.map_or_else(|| NOTHING.to_owned(), budget_words)
}

fn budget_in_full(slo: &SloReport) -> String {
    let words = budget(slo);
    let Some(allowed) = slo.allowed() else { return words };
    let bad = slo.counted.counts.bad();
    let were = if bad == 1 { "was" } else { "were" };
    format!("{} may be bad, {} {were}: {words}", phrase::amount(allowed), count(bad))
}

/// The worst rows, the worst first.
fn worst(slo: &SloReport, report: &Report) -> Option<String> {
    let mut worst: Vec<_> = slo.rows.iter().filter(|row| row.is_worst).collect();
    worst.sort_by(|a, b| b.spent.total_cmp(&a.spent));
    let one = |row: &&RowUse| {
        let label = report.step.label(&row.row, &report.period.zone);
        format!("{label} with {} of the budget", phrase::spent(Some(row.spent)))
    };
    (!worst.is_empty()).then(|| worst.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn without_corrections(slo: &SloReport) -> String {
    let observed = &slo.observed;
    let sli = phrase::sli(observed.sli, slo.slo.objective.percent());
    let budget = observed.left.map_or_else(|| "no data".to_owned(), budget_words);
    let (bad, total) = (count(observed.counts.bad()), count(observed.counts.total));
    format!("SLI {sli}, {bad} bad of {total}, budget {budget}; {} left out", span(slo.corrected))
}

fn parts(slo: &SloReport) -> Option<Block> {
    let row = |part: &PartUse| {
        vec![
            part.slo.as_str().into(),
            part.weight.to_string().into(),
            phrase::sli(part.sli, slo.slo.objective.percent()).into(),
            count(part.total.saturating_sub(part.good)).into(),
            count(part.total).into(),
        ]
    };
    (!slo.parts.is_empty()).then(|| {
        Block::Table(Table {
            caption: format!("Parts of {}", slo.slo.name),
            columns: vec![
                Column::text("Part"),
                Column::number("Weight"),
                Column::number("SLI"),
                Column::number("Bad"),
                Column::number("Total"),
            ],
            rows: slo.parts.iter().map(row).collect(),
        })
    })
}

fn corrections(slo: &SloReport) -> Option<Block> {
    let row = |correction: &CorrectionUse| {
        let why = match correction.name.as_str() {
            "" => correction.reason.clone(),
            name => format!("{name}: {}", correction.reason),
        };
        let by = correction.by.clone().unwrap_or_else(|| "the configuration".to_owned());
        let id = correction.id.as_str().into();
        vec![id, why.into(), span(correction.time).into(), by.into()]
    };
    (!slo.corrections.is_empty()).then(|| {
        Block::Table(Table {
            caption: format!("What was left out of {}", slo.slo.name),
            columns: vec![
                Column::text("Correction"),
                Column::text("Why"),
                Column::number("Left out"),
                Column::text("By"),
            ],
            rows: slo.corrections.iter().map(row).collect(),
        })
    })
}

fn rows(slo: &SloReport, report: &Report, blocks: &mut Vec<Block>) {
    let label = |row: &RowUse| report.step.label(&row.row, &report.period.zone);
    let with_data: Vec<_> = slo.rows.iter().filter(|row| row.has_data()).collect();
    if with_data.is_empty() {
        return;
    }
    let row = |row: &&RowUse| {
        let tone = if row.is_worst { Tone::Strong } else { Tone::Plain };
        vec![
            Cell::new(tone, label(row)),
            phrase::sli(row.sli, slo.slo.objective.percent()).into(),
            count(row.total.saturating_sub(row.good)).into(),
            count(row.total).into(),
            Cell::new(tone, phrase::spent(Some(row.spent))),
        ]
    };
    let n_empty = slo.rows.len() - with_data.len();
    if n_empty > 0 {
        let all = match report.step {
            super::Step::Bucket => things(n_empty as u64, "five-minute row"),
            step => things(n_empty as u64, step.as_str()),
        };
        blocks.push(Block::Text(format!("{all} without data left out of this table.")));
    }
    blocks.push(Block::Table(Table {
        caption: format!("{} by {}", slo.slo.name, report.step.as_str()),
        columns: vec![
            Column::text(heading(report.step)),
            Column::number("SLI"),
            Column::number("Bad"),
            Column::number("Total"),
            Column::number("Budget spent"),
        ],
        rows: with_data.iter().map(row).collect(),
    }));
}

const fn heading(step: super::Step) -> &'static str {
    match step {
        super::Step::Bucket => "From",
        super::Step::Hour => "Hour",
        super::Step::Day => "Day",
        super::Step::Week => "Week",
        super::Step::Month => "Month",
    }
}

fn incidents_in_short(slo: &SloReport) -> String {
    match slo.episodes.len() {
        0 => "0".to_owned(),
        n => format!("{n}, {}", span(slo.firing)),
    }
}

fn incidents_in_words(slo: &SloReport) -> String {
    let n = slo.episodes.len() as u64;
    if n == 0 {
        return "none told".to_owned();
    }
    let taken = slo
        .acknowledged_after()
        .map_or_else(String::new, |after| format!(", taken on after {}", span(after)));
    let ended = slo
        .resolved_after()
        .map_or_else(String::new, |after| format!(", over after {}", span(after)));
    let mean = if n > 1 && (slo.acknowledged_after().or(slo.resolved_after())).is_some() {
        " on the average"
    } else {
        ""
    };
    format!("{}, {} of the period{taken}{ended}{mean}", things(n, "incident"), span(slo.firing))
}

fn incidents(slo: &SloReport, report: &Report) -> Option<Block> {
    (!slo.episodes.is_empty()).then(|| {
        Block::Table(Table {
            caption: format!("Incidents of {}", slo.slo.name),
            columns: vec![
                Column::text("Incident"),
                Column::text("Opened"),
                Column::text("Lasted"),
                Column::text("Severity"),
                Column::text("Told"),
                Column::text("Taken on"),
            ],
            rows: slo.episodes.iter().map(|episode| incident(episode, report)).collect(),
        })
    })
}

fn incident(episode: &Episode, report: &Report) -> Vec<Cell> {
    let numbers: Vec<String> =
        episode.tellings.iter().map(|telling| format!("#{}", telling.incident)).collect();
    let lasted = span(episode.lasted(report.now));
    let lasted = match episode.closed {
        None => Cell::new(Tone::Bad, format!("{lasted}, goes on")),
        Some(_) => lasted.into(),
    };
    let told: Vec<String> = episode.tellings.iter().map(telling).collect();
    let taken = match (&episode.acknowledged, episode.acknowledged_after()) {
        (Some(ack), Some(after)) => format!("{} after {}", ack.by, span(after)),
        _ => NOTHING.to_owned(),
    };
    vec![
        numbers.join(", ").into(),
        phrase::moment(episode.opened, &report.period.zone).into(),
        lasted,
        severity(episode.severity).into(),
        told.join("; ").into(),
        taken.into(),
    ]
}

/// As an SLO's alert is told.
const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::Error => "page",
        Severity::Warning => "ticket",
        Severity::Info => "info",
        Severity::None => NOTHING,
    }
}

fn telling(telling: &Telling) -> String {
    let Telling { receiver, integration, state, n_told, n_failed, error, .. } = telling;
    let messages = match (n_told, n_failed) {
        (0, 0) => "nothing yet".to_owned(),
        (told, 0) => things(*told, "message"),
        (told, failed) => format!("{}, {failed} failed", things(*told, "message")),
    };
    let error = error.as_ref().map_or_else(String::new, |error| format!(" ({error})"));
    let state = match state {
        IncidentState::Abandoned => ", never closed there",
        IncidentState::Closing => ", not closed there yet",
        IncidentState::Opening | IncidentState::Open | IncidentState::Closed => "",
    };
    format!("{receiver} {integration}: {messages}{error}{state}")
}
