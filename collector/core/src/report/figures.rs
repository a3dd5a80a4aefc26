//! A report: everything it says, as numbers.
//!
//! Owns how drafts are made, filled with counts by whoever reads them, and put together; and the order: the worst first.
//! Never words anything.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::division::{Division, Row, Step};
use super::incidents::{self, Episode, IncidentFacts, episodes_of};
use super::period::Period;
use super::share::{Sums, TimeShare, sli_of_row, spent_by_row};
use crate::engine::CorrectionView;
use crate::slo::{Excluded, Method, SloSettings, When};

/// Rows that are pointed out as the worst: so many, of those that took at least this share of what the worst one did.
const MOST_WORST: usize = 3;
const WORTH_A_LOOK: f64 = 0.1;

/// An SLO whose counts are still to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Which.
    pub slo: SloSettings,
    /// Its own counts, or those of its parts.
    pub shares: Vec<TimeShare>,
    corrections: Vec<CorrectionUse>,
}

/// What all of a report goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Which time.
    pub period: Period,
    /// In which rows.
    pub division: Division,
    /// When it is made.
    pub now: Timestamp,
}

/// What a report is put together from.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembled {
    /// SLOs with their counts.
    pub drafts: Vec<Draft>,
    /// What was told in the period, and perhaps more.
    pub incidents: Vec<IncidentFacts>,
    /// From when on the ledger keeps what was told.
    pub told_from: Timestamp,
}

/// What SLOs were worth over a period.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Which time.
    pub period: Period,
    /// How long a row is.
    pub step: Step,
    /// When it was made.
    pub now: Timestamp,
    /// From when on the ledger keeps what was told.
    pub told_from: Timestamp,
    /// Services, that with the worst SLO first.
    pub services: Vec<ServiceReport>,
}

/// The SLOs of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceReport {
    /// Its name.
    pub service: String,
    /// The worst first.
    pub slos: Vec<SloReport>,
}

/// How an SLO came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The objective was met.
    Met,
    /// It was not.
    Missed,
    /// Nothing was counted.
    NoData,
}

impl Verdict {
    /// As in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NoData => "no_data",
        }
    }
}

/// One SLO.
#[derive(Clone, Debug, PartialEq)]
pub struct SloReport {
    /// Which.
    pub slo: SloSettings,
    /// How it came out.
    pub verdict: Verdict,
    /// What counts.
    pub counted: Sums,
    /// What would count without corrections.
    pub observed: Sums,
    /// Whether nothing of the budget was left at the end.
    pub is_exhausted: bool,
    /// The row in which it ran out.
    pub exhausted_in: Option<Row>,
    /// From when on there are counts, where that is after the beginning.
    pub data_from: Option<Timestamp>,
    /// In the period it was also counted by another definition, which is not in here.
    pub counted_otherwise: bool,
    /// How much time corrections leave out.
    pub corrected: Duration,
    /// Which.
    pub corrections: Vec<CorrectionUse>,
    /// Of a composite: its parts.
    pub parts: Vec<PartUse>,
    /// All rows up to now.
    pub rows: Vec<RowUse>,
    /// What people were told, the oldest first.
    pub episodes: Vec<Episode>,
    /// How long some of it was on in the period.
    pub firing: Duration,
}

/// A correction that leaves something out of an SLO.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrectionUse {
    /// `file-1` or its number.
    pub id: String,
    /// What it is called; "" if nothing.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Who added it; `None` if it is in the file.
    pub by: Option<String>,
    /// How much of the period it leaves out, in whole buckets.
    pub time: Duration,
}

/// A part of a composite.
#[derive(Clone, Debug, PartialEq)]
pub struct PartUse {
    /// The SLO's name.
    pub slo: String,
    /// How much it weighs among the others.
    pub weight: f64,
    /// What counts of it.
    pub good: u64,
    /// What was judged of it.
    pub total: u64,
    /// good ÷ total.
    pub sli: Option<f64>,
}

/// What an SLO was in one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowUse {
    /// When.
    pub row: Row,
    /// Good.
    pub good: u64,
    /// Judged.
    pub total: u64,
    /// Not judged.
    pub unjudged: u64,
    /// The SLI of the row alone.
    pub sli: Option<f64>,
    /// What it took of the whole period's budget, as a share of it.
    pub spent: f64,
    /// Whether it is one of the worst.
    pub is_worst: bool,
}

impl RowUse {
    /// Whether anything was seen in it.
    pub const fn has_data(&self) -> bool {
        self.total > 0 || self.unjudged > 0
    }
}

impl Figures {
    /// For a period as of `now`.
    pub fn new(period: Period, now: Timestamp) -> Self {
        Self { division: Division::of(&period, now), period, now }
    }

    /// How much of the period is left out by stretches of time, in whole buckets.
    fn left_out(&self, excluded: &Excluded) -> Duration {
        excluded.within(self.period.from, self.period.end_by(self.now))
    }

    fn excluded(&self, whens: impl Iterator<Item = When>, slo: &SloSettings) -> Excluded {
        let (from, to) = (self.period.from, self.period.to);
        Excluded::of(whens.flat_map(|when| when.stretches(from, to)), slo.method.bucket())
    }
}

/// SLOs of `all` by name, with everything but counts.
pub fn drafts_of(
    wanted: &[&SloSettings],
    all: &[SloSettings],
    corrections: &[CorrectionView],
    figures: &Figures,
) -> Vec<Draft> {
    let in_force: Vec<&CorrectionView> = corrections
        .iter()
        .filter(|c| c.added.as_ref().is_none_or(|row| row.ended.is_none()))
        .collect();
    wanted.iter().map(|slo| draft(slo, all, &in_force, figures)).collect()
}

fn draft(
    slo: &SloSettings,
    all: &[SloSettings],
    corrections: &[&CorrectionView],
    figures: &Figures,
) -> Draft {
    let counted: Vec<(&SloSettings, f64)> = match slo.composite.is_empty() {
        true => vec![(slo, 1.0)],
        false => {
            let part = |name: &str| all.iter().find(|slo| slo.name == name);
            slo.composite.iter().filter_map(|p| Some((part(&p.slo)?, p.weight))).collect()
        }
    };
    // What concerns a composite or a part of it is left out of that part.
    let concerns = |c: &CorrectionView, part: &SloSettings| {
        c.concerned.includes(part) || c.concerned.includes(slo)
    };
    let share = |(part, weight): &(&SloSettings, f64)| {
        let whens = corrections.iter().filter(|c| concerns(c, part)).map(|c| c.when.clone());
        TimeShare::new(part, *weight, figures.excluded(whens, part), figures.division.rows.len())
    };
    let used = |c: &&CorrectionView| {
        let parts = counted.iter().filter(|(part, _)| concerns(c, part));
        let one = |part| figures.excluded(std::iter::once(c.when.clone()), part);
        let time = parts.map(|(part, _)| figures.left_out(&one(part))).max()?;
        let by = c.added.as_ref().map(|row| row.by.clone());
        let (id, name, reason) = (c.id.clone(), c.name.clone(), c.reason.clone());
        (!time.is_zero()).then_some(CorrectionUse { id, name, reason, by, time })
    };
    Draft {
        slo: slo.clone(),
        shares: counted.iter().map(share).collect(),
        corrections: corrections.iter().filter_map(used).collect(),
    }
}

/// Puts a report together.
pub fn report_of(assembled: Assembled, figures: Figures) -> Report {
    let Assembled { drafts, incidents, told_from } = assembled;
    let mut services: Vec<ServiceReport> = Vec::new();
    let mut slos: Vec<SloReport> =
        drafts.into_iter().map(|draft| slo_report(draft, &incidents, &figures)).collect();
    // Those without data last, others by what is left.
    let rank = |slo: &SloReport| slo.counted.left.unwrap_or(f64::INFINITY);
    slos.sort_by(|a, b| rank(a).total_cmp(&rank(b)).then_with(|| a.slo.name.cmp(&b.slo.name)));
    for slo in slos {
        let service = slo.slo.service.as_str();
        match services.iter_mut().find(|known| known.service == service) {
            Some(known) => known.slos.push(slo),
            None => {
                let service = service.to_owned();
                services.push(ServiceReport { service, slos: vec![slo] });
            }
        }
    }
    let Figures { period, division, now } = figures;
    Report { period, step: division.step, now, told_from, services }
}

fn slo_report(draft: Draft, incidents: &[IncidentFacts], figures: &Figures) -> SloReport {
    let Draft { slo, shares, corrections } = draft;
    let (counted, observed) = (Sums::counted(&slo, &shares), Sums::observed(&slo, &shares));
    let rows = rows_of(&slo, &shares, figures);
    let is_exhausted = counted.left.is_some_and(|left| left <= 1e-12) && counted.counts.bad() > 0;
    let episodes = episodes_of(&slo.name, incidents, &figures.period);
    let late = |share: &TimeShare| share.kept_from.filter(|from| *from > figures.period.from);
    SloReport {
        verdict: match (counted.counts.total, counted.is_met) {
            (0, _) => Verdict::NoData,
            (_, true) => Verdict::Met,
            (_, false) => Verdict::Missed,
        },
        exhausted_in: is_exhausted.then(|| exhausted_in(&rows)).flatten(),
        is_exhausted,
        counted,
        observed,
        data_from: shares.iter().filter_map(late).max(),
        counted_otherwise: shares.iter().any(|share| share.counted_otherwise),
        corrected: shares.iter().map(|s| figures.left_out(s.excluded())).max().unwrap_or_default(),
        corrections,
        parts: if slo.composite.is_empty() { Vec::new() } else { parts_of(&shares) },
        firing: incidents::firing(&episodes, &figures.period, figures.now),
        rows,
        episodes,
        slo,
    }
}

fn parts_of(shares: &[TimeShare]) -> Vec<PartUse> {
    let part = |share: &TimeShare| {
        let counts = share.counted();
        let (slo, weight) = (share.slo.clone(), share.weight);
        PartUse { slo, weight, good: counts.good, total: counts.total, sli: counts.ratio() }
    };
    shares.iter().map(part).collect()
}

fn rows_of(slo: &SloSettings, shares: &[TimeShare], figures: &Figures) -> Vec<RowUse> {
    let spent = spent_by_row(slo, shares, figures.division.rows.len());
    let mut rows: Vec<RowUse> = figures
        .division
        .rows
        .iter()
        .zip(spent)
        .enumerate()
        .map(|(at, (row, spent))| {
            let (counts, sli) = sli_of_row(shares, at);
            let (good, total, unjudged) = (counts.good, counts.total, counts.unjudged);
            RowUse { row: *row, good, total, unjudged, sli, spent, is_worst: false }
        })
        .collect();
    let mut worst: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].spent > 0.0).collect();
    worst.sort_by(|a, b| rows[*b].spent.total_cmp(&rows[*a].spent).then(a.cmp(b)));
    let least = worst.first().map_or(0.0, |at| rows[*at].spent * WORTH_A_LOOK);
    worst.retain(|at| rows[*at].spent >= least);
    worst.into_iter().take(MOST_WORST).for_each(|at| rows[at].is_worst = true);
    rows
}

/// The row in which all of the budget was gone: that of the whole period, as is known afterwards.
fn exhausted_in(rows: &[RowUse]) -> Option<Row> {
    let mut spent = 0.0;
    let gone = rows.iter().find(|row| {
        spent += row.spent;
        spent >= 1.0 - 1e-9
    });
    gone.map(|row| row.row)
}

impl SloReport {
    /// What is counted, in one word.
    pub fn noun(&self) -> &'static str {
        match self.slo.method {
            Method::Occurrences => "observation",
            Method::Timeslices(_) => "slice",
        }
    }

    /// How many may be bad; `None` for a composite, whose parts count different things, and without data.
    pub fn allowed(&self) -> Option<f64> {
        let total = self.counted.counts.total;
        let is_one = self.slo.composite.is_empty() && total > 0;
        // In integers: a tenth percent of 1000 is 1 and not a little less.
        let nano = u128::from(total) * u128::from(self.slo.objective.allowed_nano());
        is_one.then(|| nano as f64 / 1e9)
    }

    /// The share of what was judged that is estimated.
    pub fn approximate(&self) -> f64 {
        self.counted.counts.estimated as f64 / self.counted.counts.total.max(1) as f64
    }

    /// How long it took on the average until somebody took a problem on, of those that somebody did.
    pub fn acknowledged_after(&self) -> Option<Duration> {
        mean(self.episodes.iter().filter_map(Episode::acknowledged_after))
    }

    /// How long problems lasted on the average, of those that are over.
    pub fn resolved_after(&self) -> Option<Duration> {
        mean(self.episodes.iter().filter_map(|e| Some(e.closed?.since(e.opened))))
    }
}

fn mean(spans: impl Iterator<Item = Duration>) -> Option<Duration> {
    let (n, sum) = spans.fold((0_u32, Duration::ZERO), |(n, sum), span| (n + 1, sum + span));
    (n > 0).then(|| sum / n)
}
