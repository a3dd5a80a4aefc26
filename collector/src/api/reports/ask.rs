//! The question: which SLOs, which time, in which form.
//!
//! Owns its bounds and what is read for it. Reads and renders where blocking is allowed: a report may be long.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use watchkeeper_collector_core::engine::CorrectionView;
use watchkeeper_collector_core::report::{
    AskedPeriod, Assembled, Draft, Figures, Report, document_of, drafts_of, report_of,
};
use watchkeeper_collector_core::slo::SloSettings;
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::Timestamp;

use super::super::endpoints;
use super::super::error::ApiError;
use super::super::params::Params;
use super::super::state::ApiState;
use super::{html, markdown, shape};
use crate::store::{PastLimits, PastWanted, Reads};

/// SLOs in one report.
const MAX_SLOS: usize = 1_000;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Markdown,
    Html,
}

impl Format {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "json" => Self::Json,
            "markdown" => Self::Markdown,
            "html" => Self::Html,
            _ => return None,
        })
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// What a report is to be made of.
struct Wanted {
    slos: Vec<SloSettings>,
    all: Vec<SloSettings>,
    corrections: Vec<CorrectionView>,
    figures: Figures,
    format: Format,
}

pub(in super::super) async fn get(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::read(&endpoints::REPORTS, query.as_deref())?;
    let format = params.parsed("format", "json, markdown or html", Format::parse)?;
    let format = format.unwrap_or(Format::Json);
    let figures = figures(&params, state.now())?;
    let all = state.settings.borrow().slos.clone();
    let slos = wanted(&params, &all)?;
    let corrections = state.engine.snapshot().await?.corrections;
    let wanted = Wanted { slos, all, corrections, figures, format };
    let text = state.ask(move |reads| written(&wanted, reads)).await?;
    let style = [(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")];
    Ok((style, [(CONTENT_TYPE, format.content_type())], text).into_response())
}

fn figures(params: &Params, now: Timestamp) -> Result<Figures, ApiError> {
    let asked = AskedPeriod {
        from: params.time("from")?,
        to: params.time("to")?,
        period: params.owned("period"),
        zone: params.owned("zone"),
    };
    let period = asked.resolve(now).map_err(|bad| ApiError::bad(bad.parameter, bad.problem))?;
    Ok(Figures::new(period, now))
}

fn wanted(params: &Params, all: &[SloSettings]) -> Result<Vec<SloSettings>, ApiError> {
    let (slo, service) = (params.text("slo"), params.text("service"));
    if slo.is_some() && service.is_some() {
        return Err(ApiError::bad("service", "either slo or service; all SLOs without both"));
    }
    let fits = |known: &&SloSettings| {
        slo.is_none_or(|name| known.name == name)
            && service.is_none_or(|name| known.service.as_str() == name)
    };
    let found: Vec<SloSettings> = all.iter().filter(fits).cloned().collect();
    if found.len() > MAX_SLOS {
        let error = format!("{} SLOs; at most {MAX_SLOS}: ask for one service", found.len());
        return Err(ApiError::bad("service", error));
    }
    match (slo, service) {
        (Some(name), _) if found.is_empty() => {
            Err(unknown("slo", "SLO", name, all.iter().map(|slo| slo.name.as_str())))
        }
        (_, Some(name)) if found.is_empty() => {
            let services = all.iter().map(|slo| slo.service.as_str());
            Err(unknown("service", "SLO's service", name, services))
        }
        _ => Ok(found),
    }
}

fn unknown<'a>(
    parameter: &str,
    noun: &str,
    name: &str,
    all: impl Iterator<Item = &'a str>,
) -> ApiError {
    let meant =
        closest(name, all).map_or_else(String::new, |near| format!(": did you mean {near}?"));
    ApiError::missing(parameter, format!("no {noun} is named {name:?}{meant}"))
}

fn written(wanted: &Wanted, reads: &Reads) -> Result<String, ApiError> {
    let report = read(wanted, reads)?;
    Ok(match wanted.format {
        Format::Json => shape::json(&report),
        Format::Markdown => markdown::text(&document_of(&report)),
        Format::Html => html::page(&document_of(&report)),
    })
}

fn read(wanted: &Wanted, reads: &Reads) -> Result<Report, ApiError> {
    let Wanted { slos, all, corrections, figures, .. } = wanted;
    let (from, to) = (figures.period.from, figures.period.to);
    let slos: Vec<&SloSettings> = slos.iter().collect();
    let mut drafts = drafts_of(&slos, all, corrections, figures);
    // The counts of an SLO are read once, however many composites it is a part of.
    let mut shares: BTreeMap<(String, u64), Vec<(usize, usize)>> = BTreeMap::new();
    for (draft, share, of) in places(&drafts) {
        shares.entry(of).or_default().push((draft, share));
    }
    let (asked, shares): (Vec<_>, Vec<_>) = shares.into_iter().unzip();
    let limits = PastLimits::default();
    let past = PastWanted { slos: asked, from, to };
    let extents = reads.past_counts(&past, &limits, &mut |at, bucket, counts| {
        for (draft, share) in &shares[at] {
            drafts[*draft].shares[*share].add(bucket, counts, &figures.division);
        }
    })?;
    for (extent, places) in extents.ok_or_else(too_much)?.into_iter().zip(&shares) {
        for (draft, share) in places {
            let share = &mut drafts[*draft].shares[*share];
            (share.kept_from, share.counted_otherwise) =
                (extent.kept_from, extent.counted_otherwise);
        }
    }
    let incidents = reads.past_incidents(from, to, &limits)?.ok_or_else(too_much)?;
    let told_from = reads.told_from(figures.now);
    Ok(report_of(Assembled { drafts, incidents, told_from }, figures.clone()))
}

/// Every share: whose draft, its place in it, and whose counts.
fn places(drafts: &[Draft]) -> Vec<(usize, usize, (String, u64))> {
    let of = |(at, draft): (usize, &Draft)| {
        let shares = draft.shares.iter().enumerate();
        let of = shares.map(|(share, of)| (at, share, (of.slo.clone(), of.definition)));
        of.collect::<Vec<_>>()
    };
    drafts.iter().enumerate().flat_map(of).collect()
}

fn too_much() -> ApiError {
    ApiError::bad("from", "too much is stored of this time: ask for one SLO, or for less time")
}
