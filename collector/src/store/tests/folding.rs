//! Folding and expiry: the same answers before and after, and what goes goes in the order that is promised.

use proptest::prelude::*;
use std::time::Duration;
use watchkeeper_model::{Distribution, Timestamp};

use super::contract::total;
use super::parts::{self, NOW, any_distribution, open, row, row_of, settings, windows};
use crate::store::{Evicted, JournalRow, MaintenanceReport, Retention, Store, Wanted};

const DAY: i64 = 86_400;

async fn fold_all(store: &Store, now: i64) -> MaintenanceReport {
    loop {
        let report = store.maintain(Timestamp::from_secs(now)).await;
        assert_eq!(report.errors, []);
        if !report.folded.more {
            return report;
        }
    }
}

fn journal_rows(dir: &std::path::Path) -> i64 {
    let conn = rusqlite::Connection::open(dir.join("intake.db")).unwrap();
    conn.query_row("SELECT count(*) FROM journal", [], |r| r.get(0)).unwrap()
}

/// All there is between two seconds, by series.
fn sums(store: &Store, from: i64, to: i64, together_secs: i64) -> Vec<(String, Distribution)> {
    let wanted = Wanted {
        signal: Some("requests".to_owned()),
        service: None,
        from: Timestamp::from_secs(from),
        to: Timestamp::from_secs(to),
        together_secs,
    };
    let mut sums = std::collections::BTreeMap::<String, Distribution>::new();
    let mut add = |key: &crate::store::SeriesKey, (): &(), w: crate::store::StoredWindow<'_>| {
        sums.entry(key.labels.to_string()).or_default().merge(&w.distribution()?);
        Ok(())
    };
    store.reads().scan(&wanted, &mut |_| Some(()), &mut add).unwrap();
    sums.into_iter().collect()
}

fn any_rows() -> impl Strategy<Value = Vec<JournalRow>> {
    let widths = prop_oneof![Just(1_u32), Just(1), Just(10), Just(60)];
    let one = (0..4 * 3_600_i64, widths, 0..3_u8, any_distribution());
    proptest::collection::vec(one, 1..40).prop_map(|rows| {
        rows.into_iter()
            .map(|(ago, width, status, distribution)| {
                let start = (NOW - ago).div_euclid(i64::from(width)) * i64::from(width);
                row_of(parts::series("web-1", &status.to_string()), start, width, distribution)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn answers_over_aligned_stretches_are_the_same_before_and_after_folding(
        rows in any_rows(),
        late in any_rows(),
        hours in (0..4_i64, 1..4_i64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path());
            let hour = NOW.div_euclid(3_600) * 3_600;
            let (from, to) = (hour - hours.0 * 3_600, hour - hours.0 * 3_600 + hours.1 * 3_600);
            let n_rows = (rows.len() + late.len()) as i64;
            store.commit_windows(windows(1, rows)).await.unwrap();
            store.commit_windows(windows(2, late.clone())).await.unwrap();
            let before = sums(&store, from, to, 0);
            for now in [NOW + 600, NOW + 2_000, NOW + 7_200] {
                fold_all(&store, now).await;
                for together in [0, 60, 3_600, Wanted::WHOLE] {
                    assert_eq!(sums(&store, from, to, together), before, "at {now}, {together}");
                }
            }
            assert!(n_rows > 0 && journal_rows(dir.path()) == 0);
            // Late parts are added to what is folded already.
            store.commit_windows(windows(3, late)).await.unwrap();
            let before = sums(&store, from, to, 0);
            fold_all(&store, NOW + 7_200).await;
            assert_eq!(sums(&store, from, to, 3_600), before);
        });
    }
}

#[tokio::test]
async fn the_journal_keeps_a_quarter_of_an_hour_at_one_second() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = (0..1_200).map(|ago| row("200", NOW - ago, 1)).collect();
    store.commit_windows(windows(1, rows)).await.unwrap();
    let report = fold_all(&store, NOW).await;
    assert_eq!((report.folded.n_rows, journal_rows(dir.path())), (299, 901));
    assert_eq!(total(&store), 1_200);
}

#[tokio::test]
async fn a_journal_that_reaches_far_back_is_folded_whole_in_many_steps() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // Each of its own bucket in every tier.
    let rows = (0..5_000).map(|n| row("200", NOW - 3_600 * (n + 1), 1)).collect();
    store.commit_windows(windows(1, rows)).await.unwrap();
    fold_all(&store, NOW).await;
    assert_eq!((journal_rows(dir.path()), total(&store)), (0, 5_000));
}

#[tokio::test]
async fn each_age_is_answered_by_the_finest_that_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fold_all(&store, NOW).await;
    let ages = [0, DAY, 10 * DAY, 300 * DAY, 500 * DAY];
    let rows = ages.iter().map(|ago| row("200", NOW - ago + 3, 1)).collect();
    store.commit_windows(windows(1, rows)).await.unwrap();
    assert_eq!(total(&store), 5, "what was receipted is visible");
    let report = fold_all(&store, NOW + 60).await;
    assert_eq!((report.folded.n_rows, report.folded.n_too_old), (4, 1));
    for (ago, secs) in [(0, 1), (DAY, 10), (10 * DAY, 60), (300 * DAY, 3_600)] {
        let wanted = Wanted {
            signal: None,
            service: None,
            from: Timestamp::from_secs(NOW - ago - 3_600),
            to: Timestamp::from_secs(NOW - ago + 3_600),
            together_secs: 0,
        };
        let mut n = 0;
        let resolution = store
            .reads()
            .scan(&wanted, &mut |_| Some(()), &mut |_, (), _| {
                n += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!((n, resolution.secs), (1, secs), "{ago} s ago");
    }
}

#[tokio::test]
async fn data_go_when_they_are_old_enough_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = (0..300).map(|i| row("200", NOW - i * 10, 1)).collect();
    store.commit_windows(windows(1, rows)).await.unwrap();
    fold_all(&store, NOW + 3_600).await;
    let rows_of = |table: &str| -> i64 {
        let conn = rusqlite::Connection::open(dir.path().join("intake.db")).unwrap();
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap()
    };
    assert_eq!(rows_of("rollup_10"), 300);
    for (days, left) in
        [(1, [true, true, true]), (4, [false, true, true]), (20, [false, false, true])]
    {
        for _ in 0..10 {
            fold_all(&store, NOW + days * DAY).await;
        }
        let found = ["rollup_10", "rollup_60", "rollup_3600"].map(|t| rows_of(t) > 0);
        assert_eq!((found, total(&store)), (left, 300), "after {days} days");
    }
    for _ in 0..10 {
        fold_all(&store, NOW + 420 * DAY).await;
    }
    assert_eq!((total(&store), rows_of("series"), rows_of("streams")), (0, 0, 0));
}

#[tokio::test]
async fn a_clock_set_back_hides_and_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .commit_windows(windows(1, vec![row("200", NOW - 3 * DAY, 1), row("200", NOW, 1)]))
        .await
        .unwrap();
    fold_all(&store, NOW + 3_600).await;
    for now in [NOW - 10 * DAY, NOW + 3_600] {
        fold_all(&store, now).await;
        let found = sums(&store, NOW - 4 * DAY, NOW + 10, 0);
        assert_eq!(found[0].1.count, 2, "at {now}");
    }
}

#[tokio::test]
async fn a_store_over_its_size_gives_up_the_oldest_of_the_finest_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    settings.max_bytes = 600_000;
    settings.retention =
        Retention { fine: Duration::from_secs(30 * 86_400), ..Retention::default() };
    let store = Store::open(settings).unwrap();
    let values: Vec<i64> = (0..200).map(|i| i * 1_000_003).collect();
    let rows = (0..600)
        .map(|i| {
            let start = NOW - i * 600;
            row_of(parts::series("web-1", "200"), start, 1, parts::distribution(&values, start))
        })
        .collect();
    store.commit_windows(windows(1, rows)).await.unwrap();
    let before = total(&store);
    let mut evicted: Vec<Evicted> = Vec::new();
    for _ in 0..20 {
        evicted.extend(store.maintain(Timestamp::from_secs(NOW + 3_600)).await.evicted);
    }
    assert!(evicted.len() > 1 && evicted[0].what == "rollups 10s", "{evicted:?}");
    assert!(evicted.windows(2).all(|w| w[0].what != w[1].what || w[0].before < w[1].before));
    assert_eq!(total(&store), before, "coarser rollups still have every count");
    let report = store.maintain(Timestamp::from_secs(NOW + 3_600)).await;
    assert!(report.used_bytes <= 600_000 && report.evicted.is_empty(), "{report:?}");
    assert_eq!(store.health().used_bytes, report.used_bytes);
}

#[tokio::test]
async fn a_store_with_nothing_left_to_give_up_lets_the_intake_wait() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    settings.max_bytes = 250_000;
    let store = Store::open(settings).unwrap();
    let rows = |n: i64| (0..n).map(|i| row(&(i % 50).to_string(), NOW - i % 60, 1)).collect();
    store.commit_windows(windows(1, rows(6_000))).await.unwrap();
    assert_eq!(store.maintain(Timestamp::from_secs(NOW)).await.evicted, []);
    assert!(store.health().is_full);
    let error = store.commit_windows(windows(2, rows(1))).await.unwrap_err();
    assert!(error.is_full() && error.to_string().contains("storage.max_bytes"), "{error}");
    // Folding makes the journal small again.
    fold_all(&store, NOW + 3_600).await;
    store.commit_windows(windows(2, rows(1))).await.unwrap();
    assert_eq!(total(&store), 6_001);
}
