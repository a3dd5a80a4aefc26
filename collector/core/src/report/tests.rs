//! Reports of made-up counts: what they say is what budgets say.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_model::{Decimal, Service, Timestamp};

use super::*;
use crate::alert::{AlertKey, Severity};
use crate::engine::CorrectionView;
use crate::notify::{Acknowledgement, IncidentRow, IncidentState};
use crate::slo::{
    Component, Concerned, CorrectionRow, Counts, Ended, Method, Objective, SliceObjective, Slices,
    SloSettings, When,
};

const MIN: u64 = 60;

fn at(text: &str) -> Timestamp {
    Timestamp::from_jiff(text.parse().unwrap())
}

fn slo(name: &str, service: &str, percent: &str) -> SloSettings {
    let objective = Objective::from_percent(Decimal::parse(percent).unwrap()).unwrap();
    SloSettings::new(name, Service::new(service).unwrap(), "requests", objective)
}

fn part_of(slo: &SloSettings, weight: f64) -> Component {
    let (name, definition, method) = (slo.name.clone(), slo.definition(), slo.method);
    Component { slo: name, weight, definition, method }
}

fn figures(period: &str, now: &str) -> Figures {
    let asked = AskedPeriod { period: Some(period.to_owned()), ..AskedPeriod::default() };
    Figures::new(asked.resolve(at(now)).unwrap(), at(now))
}

const fn counts(good: u64, bad: u64) -> Counts {
    Counts { good, total: good + bad, unjudged: 0, estimated: 0 }
}

fn correction(id: u64, slo: &str, from: &str, minutes: u64) -> CorrectionView {
    let (from, name) = (at(from), "move".to_owned());
    let to = from + Duration::from_secs(minutes * MIN);
    let concerned = Concerned { slos: vec![slo.to_owned()], service: None };
    let row = CorrectionRow {
        id,
        name: name.clone(),
        concerned: concerned.clone(),
        from,
        to,
        reason: "the database moves".to_owned(),
        by: "ann".to_owned(),
        created_at: from,
        ended: None,
    };
    CorrectionView {
        id: id.to_string(),
        name,
        concerned,
        when: When::Once { from, to },
        covers: Vec::new(),
        in_force: false,
        reason: row.reason.clone(),
        added: Some(row),
    }
}

fn add(draft: &mut Draft, figures: &Figures, share: usize, all: &[(&str, Counts)]) {
    for (bucket, counts) in all {
        draft.shares[share].add(at(bucket), counts, &figures.division);
    }
}

fn report(drafts: Vec<Draft>, incidents: Vec<IncidentFacts>, figures: Figures) -> Report {
    report_of(Assembled { drafts, incidents, told_from: Timestamp(i64::MIN) }, figures)
}

const NOW: &str = "2026-11-23T04:30:00Z";

#[test]
fn counts_are_those_of_the_period_and_corrections_are_left_out() {
    let a = slo("a", "shop", "99");
    let figures = figures("2026-10", NOW);
    let mut ended = correction(2, "a", "2026-10-05T00:00:00Z", 60);
    ended.added.as_mut().unwrap().ended = Some(Ended { by: "bob".to_owned(), at: at(NOW) });
    let corrections = [
        correction(1, "a", "2026-10-03T00:01:00Z", 3),
        ended,
        correction(3, "other", "2026-10-05T00:00:00Z", 60),
        correction(4, "a", "2026-11-05T00:00:00Z", 60),
    ];
    let mut drafts = drafts_of(&[&a], std::slice::from_ref(&a), &corrections, &figures);
    add(
        &mut drafts[0],
        &figures,
        0,
        &[
            ("2026-09-30T23:55:00Z", counts(0, 1_000)),
            ("2026-10-01T00:00:00Z", counts(500, 0)),
            ("2026-10-03T00:00:00Z", counts(0, 70)),
            ("2026-10-03T00:05:00Z", counts(485, 4)),
            ("2026-10-31T23:55:00Z", counts(10, 1)),
        ],
    );
    let report = report(drafts, Vec::new(), figures);
    let found = &report.services[0].slos[0];
    assert_eq!(found.counted.counts, counts(995, 5));
    assert_eq!(found.observed.counts, counts(995, 75));
    assert_eq!((found.allowed(), found.verdict), (Some(10.0), Verdict::Met));
    assert!((found.counted.left.unwrap() - 0.5).abs() < 1e-9);
    assert!(!found.observed.is_met);
    assert_eq!(found.corrected, Duration::from_secs(5 * MIN));
    let used: Vec<_> = found.corrections.iter().map(|c| (c.id.as_str(), c.time)).collect();
    assert_eq!(used, [("1", Duration::from_secs(5 * MIN))], "whole buckets, in force, in October");
    let spent: Vec<_> = found.rows.iter().enumerate().filter(|(_, r)| r.spent > 0.0).collect();
    assert_eq!(
        spent.iter().map(|(day, r)| (*day, r.is_worst)).collect::<Vec<_>>(),
        [(2, true), (30, true)]
    );
    assert!((spent.iter().map(|(_, r)| r.spent).sum::<f64>() - 0.5).abs() < 1e-9);
}

#[test]
fn a_budget_is_exhausted_where_the_last_of_it_goes() {
    let a = slo("a", "shop", "90");
    for (bad, met, exhausted, day) in
        [(99, true, false, None), (100, true, true, Some(10)), (101, false, true, Some(10))]
    {
        let figures = figures("2026-10", NOW);
        let mut drafts = drafts_of(&[&a], std::slice::from_ref(&a), &[], &figures);
        add(
            &mut drafts[0],
            &figures,
            0,
            &[
                ("2026-10-01T00:00:00Z", counts(950 - bad, 50)),
                ("2026-10-11T00:00:00Z", counts(0, bad - 50)),
            ],
        );
        add(&mut drafts[0], &figures, 0, &[("2026-10-31T00:00:00Z", counts(50, 0))]);
        let report = report(drafts, Vec::new(), figures);
        let found = &report.services[0].slos[0];
        assert_eq!((found.verdict == Verdict::Met, found.is_exhausted), (met, exhausted), "{bad}");
        let found =
            found.exhausted_in.map(|row| found.rows.iter().position(|r| r.row == row).unwrap());
        assert_eq!(found, day, "{bad}");
    }
}

#[test]
fn slices_are_verdicts_and_composites_means_of_their_parts() {
    let mut sliced = slo("sliced", "shop", "90");
    let objective = SliceObjective::from_percent(Decimal::parse("50").unwrap()).unwrap();
    sliced.method = Method::Timeslices(Slices { length: Duration::from_secs(60), objective });
    let plain = slo("plain", "shop", "99");
    let mut both = slo("both", "shop", "80");
    both.composite = vec![part_of(&plain, 3.0), part_of(&sliced, 1.0)];
    let all = [sliced.clone(), plain, both.clone()];
    let figures = figures("2026-10-01", NOW);
    let correction = correction(1, "both", "2026-10-01T10:00:00Z", 5);
    let mut drafts = drafts_of(&[&both, &sliced], &all, &[correction], &figures);
    let plainly =
        [("2026-10-01T09:00:00Z", counts(90, 10)), ("2026-10-01T10:00:00Z", counts(0, 500))];
    let slices = [
        ("2026-10-01T09:00:00Z", counts(50, 50)),
        ("2026-10-01T09:01:00Z", counts(49, 51)),
        ("2026-10-01T10:04:00Z", counts(0, 1)),
    ];
    add(&mut drafts[0], &figures, 0, &plainly);
    add(&mut drafts[0], &figures, 1, &slices);
    add(&mut drafts[1], &figures, 0, &slices);
    let report = report(drafts, Vec::new(), figures);
    let [worst, best] = report.services[0].slos.as_slice() else { panic!("{report:?}") };
    assert_eq!((worst.slo.name.as_str(), best.slo.name.as_str()), ("sliced", "both"));
    assert_eq!(worst.counted.counts, counts(1, 2), "what concerns the composite is not its part's");
    // (3 · 0.9 + 1 · 0.5) ÷ 4, and all but the sum of the parts is 0.2 of 0.2.
    assert!((best.counted.sli.unwrap() - 0.8).abs() < 1e-9, "{:?}", best.counted);
    assert_eq!((best.verdict, best.allowed(), best.is_exhausted), (Verdict::Met, None, true));
    assert_eq!(
        best.parts.iter().map(|p| (p.good, p.total)).collect::<Vec<_>>(),
        [(90, 100), (1, 2)]
    );
    assert!((best.rows.iter().map(|r| r.spent).sum::<f64>() - 1.0).abs() < 1e-9);
    assert_eq!(best.corrections[0].time, Duration::from_secs(300));
}

fn incident(number: u64, receiver: &str, opened: &str, closed: Option<&str>) -> IncidentFacts {
    let print = AlertKey::slo("a").fingerprint();
    let closed = closed.map(at);
    let word = |at: Timestamp, outcome: &str| Word {
        at,
        outcome: outcome.to_owned(),
        error: (outcome == "failed").then(|| "HTTP 500".to_owned()),
        alerts: vec!["a".to_owned()],
        fingerprints: vec![print.to_string()],
    };
    IncidentFacts {
        row: IncidentRow {
            number,
            group_key: String::new(),
            receiver: receiver.to_owned(),
            integration: "slack[0]".to_owned(),
            kind: "slack".to_owned(),
            send_resolved: true,
            dedup_key: String::new(),
            state: closed.map_or(IncidentState::Open, |_| IncidentState::Closed),
            opened_at: at(opened),
            closed_at: closed.map(|at| at + Duration::from_secs(5)),
            in_flight: None,
            told_at: None,
            told: BTreeMap::from([(print, Severity::Warning)]),
            maybe_open: true,
            closing_since: closed,
            n_close_failures: 0,
            retry_at: None,
            memory: None,
            acknowledged: BTreeMap::new(),
        },
        words: vec![word(at(opened), "failed"), word(at(opened), "ok")],
    }
}

#[test]
fn what_overlaps_is_one_problem_told_to_several() {
    let print = AlertKey::slo("a").fingerprint();
    let mut page = incident(2, "oncall", "2026-10-01T10:05:00Z", Some("2026-10-01T11:00:00Z"));
    page.row.told.insert(print, Severity::Critical);
    let ack = Acknowledgement { by: "ann".to_owned(), at: at("2026-10-01T10:20:00Z") };
    page.row.acknowledged.insert(print, ack);
    let mut other = incident(5, "chat", "2026-10-01T12:00:00Z", None);
    for word in &mut other.words {
        word.fingerprints = vec!["0000000000000000".to_owned()];
    }
    let mut old = incident(6, "chat", "2026-10-03T23:00:00Z", Some("2026-10-04T01:00:00Z"));
    old.words.iter_mut().for_each(|word| word.fingerprints.clear());
    let all = vec![
        old,
        page,
        incident(1, "chat", "2026-10-01T10:00:00Z", Some("2026-10-01T10:50:00Z")),
        incident(3, "chat", "2026-09-30T23:00:00Z", Some("2026-10-01T01:00:00Z")),
        incident(4, "chat", "2026-09-29T23:00:00Z", Some("2026-09-30T01:00:00Z")),
        incident(7, "chat", "2026-10-31T23:00:00Z", None),
        incident(8, "chat", "2026-11-02T00:00:00Z", Some("2026-11-02T01:00:00Z")),
        other,
    ];
    let a = slo("a", "shop", "99");
    let figures = figures("2026-10", NOW);
    let drafts = drafts_of(&[&a], std::slice::from_ref(&a), &[], &figures);
    let report = report(drafts, all, figures);
    let found = &report.services[0].slos[0];
    let numbers: Vec<Vec<u64>> =
        found.episodes.iter().map(|e| e.tellings.iter().map(|t| t.incident).collect()).collect();
    assert_eq!(numbers, [vec![3], vec![1, 2], vec![6], vec![7, 8]]);
    let problem = &found.episodes[1];
    assert_eq!(problem.closed, Some(at("2026-10-01T11:00:00Z")));
    assert_eq!(problem.severity, Severity::Critical);
    assert_eq!(found.acknowledged_after(), Some(Duration::from_secs(20 * MIN)));
    assert_eq!(problem.tellings[0].n_told, 1);
    assert_eq!(
        (problem.tellings[0].n_failed, problem.tellings[0].error.as_deref()),
        (1, Some("HTTP 500"))
    );
    // An hour of the first, one of the second, two of the third and one of the last.
    assert_eq!(found.firing, Duration::from_secs(5 * 3_600));
}

#[test]
fn what_is_not_known_is_said() {
    let (a, b) = (slo("a", "shop", "99"), slo("b", "db", "99"));
    let figures = figures("2026-10", NOW);
    let mut drafts = drafts_of(&[&a, &b], &[a.clone(), b.clone()], &[], &figures);
    drafts[0].shares[0].kept_from = Some(at("2026-10-20T12:05:00Z"));
    drafts[0].shares[0].counted_otherwise = true;
    drafts[1].shares[0].kept_from = Some(at("2026-09-20T12:05:00Z"));
    add(&mut drafts[1], &figures, 0, &[("2026-10-20T12:05:00Z", counts(1, 9))]);
    let assembled =
        Assembled { drafts, incidents: Vec::new(), told_from: at("2026-10-02T00:00:00Z") };
    let report = report_of(assembled, figures);
    let order: Vec<_> = report.services.iter().map(|s| s.service.as_str()).collect();
    assert_eq!(order, ["db", "shop"], "the worst first, those without data last");
    let document = document_of(&report);
    let notes: Vec<&str> = document
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Note(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].contains("Incidents are known from 2026-10-02 00:00 on only"), "{notes:?}");
    assert!(notes[1].contains("Data from 2026-10-20 12:05 on only"), "{notes:?}");
    assert!(notes[2].contains("another definition"), "{notes:?}");
}
