//! A made-up report in all forms. With `WATCHKEEPER_REPORTS=DIR` they are written there too, to be looked at; with
//! `WATCHKEEPER_REGENERATE=1` the golden files are written anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchkeeper_collector_core::alert::{AlertKey, Severity};
use watchkeeper_collector_core::engine::CorrectionView;
use watchkeeper_collector_core::notify::{Acknowledgement, IncidentRow, IncidentState};
use watchkeeper_collector_core::report::{
    AskedPeriod, Assembled, Figures, IncidentFacts, Report, Word, document_of, drafts_of, report_of,
};
use watchkeeper_collector_core::slo::{
    Component, Concerned, CorrectionRow, Counts, Method, Objective, SliceObjective, Slices,
    SloSettings, When,
};
use watchkeeper_model::{Decimal, Service, Timestamp};

use super::{html, markdown, shape};

fn at(text: &str) -> Timestamp {
    Timestamp::from_jiff(text.parse().unwrap())
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn slo(name: &str, service: &str, percent: &str) -> SloSettings {
    let objective = Objective::from_percent(decimal(percent)).unwrap();
    SloSettings::new(name, Service::new(service).unwrap(), "requests", objective)
}

fn slos() -> Vec<SloSettings> {
    let availability = slo("shop-availability", "shop", "99.9");
    let mut checkout = slo("checkout_minutes", "shop", "95");
    let objective = SliceObjective::from_percent(decimal("90")).unwrap();
    checkout.method = Method::Timeslices(Slices { length: Duration::from_secs(3_600), objective });
    let mut both = slo("shop", "shop", "97");
    let part = |of: &SloSettings, weight| {
        let (slo, definition, method) = (of.name.clone(), of.definition(), of.method);
        Component { slo, weight, definition, method }
    };
    both.composite = vec![part(&availability, 2.0), part(&checkout, 1.0)];
    vec![availability, checkout, both, slo("backup", "db", "99")]
}

fn correction() -> CorrectionView {
    let (from, to) = (at("2026-10-11T22:00:00Z"), at("2026-10-12T02:00:00Z"));
    let concerned = Concerned { slos: vec!["shop-availability".to_owned()], service: None };
    let (name, reason) = ("move".to_owned(), "the database | moves <b>".to_owned());
    let row = CorrectionRow {
        id: 3,
        name: name.clone(),
        concerned: concerned.clone(),
        from,
        to,
        reason: reason.clone(),
        by: "ann".to_owned(),
        created_at: from,
        ended: None,
    };
    let (id, when) = ("3".to_owned(), When::Once { from, to });
    let (covers, added) = (Vec::new(), Some(row));
    CorrectionView { id, name, concerned, when, covers, in_force: false, reason, added }
}

fn incident(number: u64, receiver: &str, opened: &str, closed: &str) -> IncidentFacts {
    let print = AlertKey::slo("shop-availability").fingerprint();
    let ack = Acknowledgement { by: "bob".to_owned(), at: at(opened) + Duration::from_secs(740) };
    let severity = if receiver == "oncall" { Severity::Critical } else { Severity::Warning };
    let word = |outcome: &str| Word {
        at: at(opened),
        outcome: outcome.to_owned(),
        error: (outcome == "failed").then(|| "status 500".to_owned()),
        alerts: vec!["shop-availability".to_owned()],
        fingerprints: vec![print.to_string()],
    };
    let failed = (receiver == "chat").then(|| word("failed"));
    IncidentFacts {
        row: IncidentRow {
            number,
            group_key: String::new(),
            receiver: receiver.to_owned(),
            integration: "webhook[0]".to_owned(),
            kind: "webhook".to_owned(),
            send_resolved: true,
            dedup_key: String::new(),
            state: IncidentState::Closed,
            opened_at: at(opened),
            closed_at: Some(at(closed)),
            in_flight: None,
            told_at: None,
            told: BTreeMap::from([(print, severity)]),
            maybe_open: true,
            closing_since: Some(at(closed)),
            n_close_failures: 0,
            retry_at: None,
            memory: None,
            acknowledged: BTreeMap::from([(print, ack)]),
        },
        words: failed.into_iter().chain([word("ok"), word("ok")]).collect(),
    }
}

/// October in Berlin, hour by hour: quiet, but for one bad evening and a planned night.
fn report(of: &[&str]) -> Report {
    let all = slos();
    let (now, zone) = (at("2026-11-23T04:30:00Z"), Some("Europe/Berlin".to_owned()));
    let asked =
        AskedPeriod { period: Some("last-month".to_owned()), zone, ..AskedPeriod::default() };
    let figures = Figures::new(asked.resolve(now).unwrap(), now);
    let wanted: Vec<&SloSettings> =
        all.iter().filter(|slo| of.is_empty() || of.contains(&slo.name.as_str())).collect();
    let mut drafts = drafts_of(&wanted, &all, &[correction()], &figures);
    for share in drafts.iter_mut().flat_map(|draft| &mut draft.shares) {
        if share.slo == "backup" {
            continue;
        }
        // Two quiet days: there is nothing at the beginning.
        let mut hour = figures.period.from + Duration::from_secs(48 * 3_600);
        share.kept_from = Some(hour);
        while hour < figures.period.to {
            let bad = match hour {
                hour if hour == at("2026-10-19T18:00:00Z") => 700,
                hour if hour == at("2026-10-12T00:00:00Z") => 4_000,
                hour if hour.secs() % 86_400 == 0 => 3,
                _ => 0,
            };
            let total = 5_000;
            let counts = Counts { good: total - bad, total, unjudged: bad / 300, estimated: 25 };
            share.add(hour, &counts, &figures.division);
            hour = hour + Duration::from_secs(3_600);
        }
    }
    let incidents = vec![
        incident(11, "chat", "2026-10-19T18:04:10Z", "2026-10-19T19:30:00Z"),
        incident(12, "oncall", "2026-10-19T18:06:00Z", "2026-10-19T19:10:00Z"),
    ];
    report_of(Assembled { drafts, incidents, told_from: Timestamp(0) }, figures)
}

fn compare(name: &str, text: &str) {
    if let Some(dir) = std::env::var_os("WATCHKEEPER_REPORTS") {
        std::fs::write(PathBuf::from(dir).join(name), text).unwrap();
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/reports/golden").join(name);
    if std::env::var_os("WATCHKEEPER_REGENERATE").is_some() {
        std::fs::write(&golden, text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(text, expected, "golden/{name} should now read:\n{text}");
}

#[test]
fn reports_read_as_the_golden_files_show() {
    let (all, one) = (report(&[]), report(&["shop-availability"]));
    compare("all.md", &markdown::text(&document_of(&all)));
    compare("one.md", &markdown::text(&document_of(&one)));
    compare("one.html", &html::page(&document_of(&one)));
    let json: serde_json::Value = serde_json::from_str(&shape::json(&one)).unwrap();
    compare("one.json", &format!("{json:#}\n"));
    if let Some(dir) = std::env::var_os("WATCHKEEPER_REPORTS") {
        let page = html::page(&document_of(&all));
        std::fs::write(PathBuf::from(dir).join("all.html"), page).unwrap();
    }
}

#[test]
fn a_page_holds_nothing_that_is_loaded_or_run_and_no_foreign_markup() {
    let page = html::page(&document_of(&report(&[])));
    for never in ["<script", "http:", "https:", "url(", "@import", "<img", "onclick", "moves <b>"] {
        let found = page.find(never).map(|at| &page[at.saturating_sub(30)..]);
        assert!(found.is_none(), "{never}: {:.80}", found.unwrap_or_default());
    }
    assert!(page.contains("the database | moves &lt;b&gt;"));
    for tag in ["table", "tr", "dl", "h2", "tbody", "thead"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}
