//! Answers, asked of real counts: exact boundaries, empty steps, groups, units, and what may not be asked.

use std::time::Duration;

use watchkeeper_collector_core::series::{Filter, Stat};
use watchkeeper_model::{Distribution, Labels, Service, Timestamp, Unit};

use super::{Answer, Ask, QueryError, run};
use crate::store::tests::parts::{self, NOW, distribution, open, row_of, windows};
use crate::store::{JournalRow, SeriesKey, Store};

const MS: i64 = 1_000_000;

fn series(agent: &str, labels: &[(&'static str, &'static str)]) -> SeriesKey {
    let labels = Labels::new(labels.iter().copied()).with_one("agent", agent);
    SeriesKey { labels, ..parts::series(agent, "") }
}

/// Requests: `count` of them at `start` that took `ms` each.
fn requests(status: &'static str, start: i64, count: usize, ms: i64) -> JournalRow {
    let values = vec![ms * MS; count];
    row_of(series("web-1", &[("status", status)]), start, 1, distribution(&values, start))
}

async fn store(rows: Vec<JournalRow>) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit_windows(windows(1, rows)).await.unwrap();
    (dir, store)
}

fn ask(stat: &str, from: i64, to: i64) -> Ask {
    Ask {
        signal: "requests".to_owned(),
        service: None,
        matching: Filter::all(),
        good: Filter::all(),
        stat: Stat::parse(stat).unwrap(),
        by: Vec::new(),
        from: Timestamp::from_secs(from),
        to: Timestamp::from_secs(to),
        step: None,
    }
}

fn step(mut ask: Ask, secs: u64) -> Ask {
    ask.step = Some(Duration::from_secs(secs));
    ask
}

/// Points as seconds after [`NOW`] and value, by group.
fn points(answer: &Answer) -> Vec<Vec<(i64, f64)>> {
    let of = |s: &super::Series| s.points.iter().map(|p| (p.at.secs() - NOW, p.value)).collect();
    answer.series.iter().map(of).collect()
}

fn problem(ask: &Ask, store: &Store) -> (&'static str, String) {
    match run(ask, store.reads()) {
        Err(QueryError::Bad(bad)) => (bad.parameter, bad.problem),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_statistic_says_what_it_means() {
    let mut rows: Vec<_> = (1..=100).map(|ms| requests("200", NOW + ms % 10, 1, ms)).collect();
    rows.push(requests("500", NOW + 3, 4, 1_000));
    let (_dir, store) = store(rows).await;
    for (stat, value) in [
        ("count", 104.0),
        ("rate", 10.4),
        ("sum", 9.05),
        ("avg", 9.05 / 104.0),
        ("min", 0.001),
        ("max", 1.0),
        ("last", 0.099),
        ("p50", 0.052),
        ("p95", 0.099),
        ("p99.9", 1.0),
        ("bad_ratio", 4.0 / 104.0),
    ] {
        let mut ask = ask(stat, NOW, NOW + 10);
        if stat == "bad_ratio" {
            ask.good = Filter::compile("int(status) < 500").unwrap();
        }
        let answer = run(&ask, store.reads()).unwrap();
        let [(at, found)] = points(&answer)[0][..] else { panic!("{stat}: {answer:?}") };
        assert_eq!((at, answer.resolution_secs), (10, 1), "{stat}");
        assert!((found - value).abs() <= value / 128.0 + 1e-12, "{stat}: {found} is not {value}");
    }
}

#[tokio::test]
async fn a_window_belongs_where_its_start_lies() {
    let rows = vec![
        requests("200", NOW, 1, 1),
        requests("200", NOW + 10, 2, 1),
        requests("200", NOW + 19, 4, 1),
    ];
    let (_dir, store) = store(rows).await;
    for (from, to, count) in
        [(0, 10, Some(1.0)), (0, 11, Some(3.0)), (10, 20, Some(6.0)), (1, 10, None), (20, 30, None)]
    {
        let answer = run(&ask("count", NOW + from, NOW + to), store.reads()).unwrap();
        assert_eq!(points(&answer).first().map(|p| p[0].1), count, "[{from}, {to})");
    }
    let mut fraction = ask("count", NOW, NOW + 20);
    fraction.from = Timestamp::from_secs(NOW).shifted(1);
    fraction.to = Timestamp::from_secs(NOW + 19).shifted(1);
    assert_eq!(points(&run(&fraction, store.reads()).unwrap())[0][0].1, 6.0);
}

#[tokio::test]
async fn steps_are_multiples_since_the_epoch_and_empty_ones_are_zero_or_left_out() {
    let rows = vec![requests("200", NOW + 1, 2, 50), requests("200", NOW + 27, 3, 70)];
    let (_dir, store) = store(rows).await;
    assert_eq!(NOW % 10, 0);
    for (stat, expected) in [
        ("count", vec![(-10, 0.0), (0, 2.0), (10, 0.0), (20, 3.0)]),
        ("rate", vec![(-10, 0.0), (0, 0.2), (10, 0.0), (20, 3.0 / 8.0)]),
        ("sum", vec![(-10, 0.0), (0, 0.1), (10, 0.0), (20, 0.21)]),
        ("max", vec![(0, 0.05), (20, 0.07)]),
    ] {
        let answer = run(&step(ask(stat, NOW - 5, NOW + 28), 10), store.reads()).unwrap();
        assert_eq!(points(&answer), [expected], "{stat}");
    }
}

#[tokio::test]
async fn groups_have_a_value_for_each_label_asked_for() {
    let mut rows = vec![requests("200", NOW, 1, 1), requests("500", NOW, 2, 1)];
    rows.push(row_of(series("web-2", &[]), NOW, 1, Distribution::counted(4)));
    let (_dir, store) = store(rows).await;
    let by = |names: &[&str], condition: &str| {
        let mut ask = ask("count", NOW, NOW + 1);
        ask.by = names.iter().map(|n| (*n).to_owned()).collect();
        ask.matching = Filter::compile(condition).unwrap();
        let groups = run(&ask, store.reads()).unwrap().series;
        let show = |s: super::Series| {
            let values: Vec<_> = s.labels.into_iter().map(|l| l.1).collect();
            format!("{}={}", values.join(","), s.points[0].value)
        };
        groups.into_iter().map(show).collect::<Vec<_>>()
    };
    assert_eq!(by(&[], ""), ["=7"]);
    assert_eq!(by(&["status"], ""), ["=4", "200=1", "500=2"]);
    assert_eq!(by(&["agent", "service"], ""), ["web-1,shop=3", "web-2,shop=4"]);
    assert_eq!(
        by(&["status"], "int(status) >= 500"),
        ["500=2"],
        "what can't be judged does not match"
    );
    assert_eq!(by(&[], "agent == 'web-2'"), ["=4"]);
    assert_eq!(by(&[], "service == 'other'"), [""; 0]);
}

#[tokio::test]
async fn what_can_not_be_judged_is_in_no_ratio() {
    let mut rows = vec![requests("200", NOW, 6, 1), requests("500", NOW, 2, 1)];
    rows.push(row_of(series("web-2", &[("status", "none")]), NOW, 1, Distribution::counted(4)));
    let (_dir, store) = store(rows).await;
    let mut ask = ask("bad_ratio", NOW, NOW + 1);
    ask.good = Filter::compile("int(status) < 500").unwrap();
    assert_eq!(points(&run(&ask, store.reads()).unwrap()), [[(1, 0.25)]]);
    ask.matching = Filter::compile("status == 'none'").unwrap();
    assert_eq!(run(&ask, store.reads()).unwrap().series, []);
}

#[tokio::test]
async fn nothing_found_is_an_empty_answer() {
    let (_dir, store) = store(Vec::new()).await;
    let answer = run(&ask("count", NOW, NOW + 60), store.reads()).unwrap();
    assert_eq!(answer, Answer { resolution_secs: 1, series: Vec::new() });
}

#[tokio::test]
async fn values_come_in_outside_units_and_are_never_mixed() {
    let of = |service: &str, unit, value: i64| {
        let key =
            SeriesKey { service: Service::new(service).unwrap(), unit, ..series("web-1", &[]) };
        row_of(key, NOW, 1, distribution(&[value], NOW))
    };
    let rows = vec![
        of("a", Unit::Ms, 1_500 * MS),
        of("b", Unit::KiB, 2_048),
        of("c", Unit::Percent, 990_000_000),
    ];
    let (_dir, store) = store(rows).await;
    for (service, value) in [("a", 1.5), ("b", 2_048.0), ("c", 0.99)] {
        let mut ask = ask("max", NOW, NOW + 1);
        ask.service = Some(service.to_owned());
        assert_eq!(points(&run(&ask, store.reads()).unwrap()), [[(1, value)]], "{service}");
    }
    let mut all = ask("max", NOW, NOW + 1);
    assert_eq!(problem(&all, &store).0, "signal");
    all.by = vec!["service".to_owned()];
    assert_eq!(run(&all, store.reads()).unwrap().series.len(), 3);
    assert_eq!(points(&run(&ask("count", NOW, NOW + 1), store.reads()).unwrap()), [[(1, 3.0)]]);
}

#[tokio::test]
async fn what_may_not_be_asked_is_refused_by_name() {
    let (_dir, store) = store(Vec::new()).await;
    assert!(run(&step(ask("count", 0, 11_000), 1), store.reads()).is_ok());
    for (ask, parameter, says) in [
        (step(ask("count", 0, 11_001), 1), "step", "11001 points; at most 11000"),
        (step(ask("count", i64::MIN, i64::MAX), 1), "step", "at most 11000"),
        (ask("count", 10, 10), "to", "after from"),
        (ask("absent", 0, 10), "stat", "absent is for rules"),
        (
            Ask { good: Filter::compile("a == ''").unwrap(), ..ask("count", 0, 10) },
            "good",
            "stat=bad_ratio",
        ),
    ] {
        let (found, text) = problem(&ask, &store);
        assert_eq!(found, parameter, "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn folded_counts_answer_alike_and_say_how_exact_they_are() {
    let rows = (0..7_200).step_by(7).map(|ago| requests("200", NOW - ago, 1, ago % 100)).collect();
    let (_dir, store) = store(rows).await;
    let asks = [
        ask("count", NOW - 7_200, NOW - 3_600),
        ask("p95", NOW - 7_200, NOW),
        step(ask("sum", NOW - 7_200, NOW - 1_200), 60),
        step(ask("last", NOW - 7_210, NOW), 3_600),
    ];
    let before: Vec<_> = asks.iter().map(|ask| run(ask, store.reads()).unwrap()).collect();
    while store.maintain(Timestamp::from_secs(NOW)).await.folded.more {}
    for (ask, before) in asks.iter().zip(before) {
        let after = run(ask, store.reads()).unwrap();
        assert_eq!(after.series, before.series, "{ask:?}");
        assert_eq!((before.resolution_secs, after.resolution_secs), (1, 10));
    }
    // Not aligned to ten seconds: counts at the edges lie where their bucket starts.
    let (from, to) = (NOW - 5_555, NOW - 1_003);
    let inside = |ago: &i64| (from..to).contains(&((NOW - ago).div_euclid(10) * 10));
    let expected = (0..7_200).step_by(7).filter(inside).count() as f64;
    let answer = run(&ask("count", from, to), store.reads()).unwrap();
    assert_eq!(points(&answer)[0][0].1, expected);
}
