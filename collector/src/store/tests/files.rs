//! Files that are missing, damaged, foreign, newer, copied or in use, and what a crash leaves.

use std::path::Path;

use watchkeeper_model::{Kind, Severity, SourceTally};

use super::contract::total;
use super::parts::{NOW, event, events, open, row, settings, stream, windows};
use crate::store::{EventFilter, Fate, Page, Store, StoreError};

fn error(dir: &Path) -> StoreError {
    Store::open(settings(dir)).expect_err("the file is not usable")
}

#[test]
fn a_directory_has_one_collector_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(error(dir.path()), StoreError::Locked { .. }));
    let other = store.clone();
    store.close();
    open(dir.path());
    assert!(other.health().used_bytes == 0, "a clone left over holds nothing");
}

#[tokio::test]
async fn damaged_files_are_named_and_never_replaced() {
    for name in ["intake.db", "ledger.db", "events.db"] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.commit_windows(windows(1, vec![row("200", NOW, 1)])).await.unwrap();
        store.close();
        let path = dir.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut torn = whole.clone();
        for page in torn.chunks_mut(4096).skip(1) {
            page[..64].fill(0xa5);
        }
        let cut = whole[..whole.len() / 2].to_vec();
        for (sentence, bytes) in
            [("garbage", b"no database at all".to_vec()), ("torn pages", torn), ("cut off", cut)]
        {
            std::fs::write(&path, &bytes).unwrap();
            let error = error(dir.path());
            assert!(matches!(error, StoreError::Corrupt { .. }), "{name}, {sentence}: {error:?}");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains("put a backup in its place"), "{text}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}, {sentence}");
        }
        std::fs::write(&path, &whole).unwrap();
        open(dir.path());
    }
}

#[test]
fn a_file_under_anothers_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close();
    std::fs::copy(dir.path().join("events.db"), dir.path().join("intake.db")).unwrap();
    assert!(error(dir.path()).to_string().contains("events.db under another name"));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close();
    let conn = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    conn.execute("UPDATE meta SET value = '99' WHERE key = 'schema'", []).unwrap();
    drop(conn);
    let error = error(dir.path());
    assert!(matches!(error, StoreError::Newer { found: 99, known: 1, .. }), "{error:?}");
}

/// Makes the file as the first version left it, with these rows.
fn first_version(dir: &Path, file: &str, schema: &str, rows: &str) {
    std::fs::create_dir_all(dir).unwrap();
    let conn = rusqlite::Connection::open(dir.join(format!("{file}.db"))).unwrap();
    conn.execute_batch(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
    )
    .unwrap();
    conn.execute_batch(schema).unwrap();
    conn.execute_batch(&format!(
        "INSERT INTO meta VALUES ('schema', '1'), ('file', '{file}'); {rows}"
    ))
    .unwrap();
}

#[tokio::test]
async fn files_of_the_first_version_are_read_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    first_version(
        dir.path(),
        "events",
        include_str!("../migrations/events_0001.sql"),
        "INSERT INTO events VALUES (1, 1793491200000000000, 'shop', 'web-1', 'log', 'error', 2, 'old', 'req-1', '{}', 0);",
    );
    first_version(
        dir.path(),
        "intake",
        include_str!("../migrations/intake_0001.sql"),
        "INSERT INTO source_totals VALUES ('web-1', 'log', 1, 2, 3, 4, 5, 6, 7, 8, 9);",
    );
    let store = open(dir.path());
    store
        .commit_events(events(1, vec![event(NOW + 1, "error", Severity::Error, "new")]))
        .await
        .unwrap();
    let tally = SourceTally { source: "log".into(), redacted: 2, ..SourceTally::default() };
    let mut commit = windows(1, vec![row("200", NOW, 1)]);
    let Fate::Counted(body) = &mut commit.batches[0].fate else { panic!("counted") };
    body.tallies.push(tally);
    store.commit_windows(commit).await.unwrap();
    let reads = store.reads();
    let found = reads.events(&EventFilter::default(), &Page::first(10)).unwrap().rows;
    let found: Vec<_> = found.iter().map(|e| (&*e.event.message, &*e.event.trace)).collect();
    assert_eq!(found, [("new", "trace-1"), ("old", "")]);
    let [totals] = &reads.source_totals().unwrap()[..] else { panic!("one source") };
    let SourceTally { read, overflowed, redacted, events_held_back, .. } = totals.tally;
    assert_eq!((read, overflowed, redacted, events_held_back), (1, 9, 2, 0));
    store.close();
    open(dir.path());
}

#[tokio::test]
async fn a_missing_file_is_made_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit_windows(windows(1, vec![row("200", NOW, 5)])).await.unwrap();
    store.close();
    std::fs::remove_file(dir.path().join("events.db")).unwrap();
    let store = open(dir.path());
    assert_eq!(total(&store), 5);
    assert_eq!(store.reads().stream(&stream(Kind::Events)), Ok(None));
}

#[test]
fn the_incarnation_changes_when_the_file_is_not_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let with = |machine: &str, new: u64| {
        let mut settings = settings(dir.path());
        settings.machine_id = machine.to_owned();
        settings.new_incarnation = new;
        let store = Store::open(settings).unwrap();
        let incarnation = store.incarnation();
        store.close();
        incarnation
    };
    assert_eq!(with("a", u64::MAX), u64::MAX);
    assert_eq!(with("a", 2), u64::MAX, "nothing has changed");
    assert_eq!(with("b", 3), 3, "another machine");
    let (file, copy) = (dir.path().join("intake.db"), dir.path().join("copy"));
    std::fs::copy(&file, &copy).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    assert_eq!(with("b", 4), 4, "another file");
    assert_eq!(with("b", 5), 4);
}

/// A copy taken while the store is writing is what a crash leaves: a file and a log that may end anywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_crash_leaves_holds_each_answered_batch_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for round in 0..10_u64 {
        let first = round * 20 + 1;
        for seq in first..first + 20 {
            store.commit_windows(windows(seq, vec![row("200", NOW, 1)])).await.unwrap();
            let one = event(NOW, "error", Severity::Error, "x");
            store.commit_events(events(seq, vec![one])).await.unwrap();
        }
        // More are under way while the copy is taken.
        let background: Vec<_> = (first + 20..first + 40)
            .map(|seq| {
                let store = store.clone();
                tokio::spawn(async move {
                    store.commit_windows(windows(seq, vec![row("200", NOW, 1)])).await.unwrap();
                })
            })
            .collect();
        let copy = tempfile::tempdir().unwrap();
        // The log last: what it holds beyond the file is what a crash would leave.
        for name in ["intake.db", "events.db", "ledger.db"] {
            for suffix in ["", "-wal"] {
                let name = format!("{name}{suffix}");
                std::fs::copy(dir.path().join(&name), copy.path().join(&name)).unwrap();
            }
        }
        for task in background {
            task.await.unwrap();
        }
        let crashed = open(copy.path());
        let row = crashed.reads().stream(&stream(Kind::Windows)).unwrap().unwrap();
        let n_seen = row.seen.count_below(u64::MAX);
        assert!(n_seen >= first + 19, "answered batches are there");
        assert_eq!(total(&crashed), n_seen, "a batch is there with its counts or not at all");
        let found = crashed.reads().events(&EventFilter::default(), &Page::first(1_000)).unwrap();
        assert_eq!(found.rows.len() as u64, first + 19);
        crashed.close();
    }
}
