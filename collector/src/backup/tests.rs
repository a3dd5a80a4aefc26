//! Backups of a store in use, and restores of them: what fits together, what is refused, what is never lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use watchkeeper_model::{Kind, Severity, Timestamp};

use super::{BackupError, Backups, MANIFEST, Taken, restore, verify};
use crate::store::tests::contract::total;
use crate::store::tests::parts::{NOW, event, events, open, row, settings, stream, windows};
use crate::store::{
    EventFilter, LedgerWrite, OpenSettings, Page, RESTORING, Sequence, StateKind, Store, StoreError,
};

const AT: Timestamp = Timestamp::from_secs(NOW + 60);

fn backups(store: &Store) -> Backups {
    Backups::new(store.clone(), CancellationToken::new())
}

async fn take(store: &Store, to: &Path) -> Result<Taken, BackupError> {
    backups(store).take(to.to_owned(), AT).await
}

/// Windows, events and an incident with the same number, as the agent and the engine make them: one after the other.
async fn step(store: &Store, n: u64) {
    store.commit_windows(windows(n, vec![row("200", NOW, 1)])).await.unwrap();
    let one = event(NOW, "error", Severity::Error, "x");
    store.commit_events(events(n, vec![one])).await.unwrap();
    store.persist(incident(n, true), AT).await.unwrap();
}

fn incident(number: u64, live: bool) -> Vec<LedgerWrite> {
    let body = json!({
        "number": number, "group_key": "", "receiver": "oncall", "integration": "pagerduty[0]", "kind": "pagerduty",
        "send_resolved": true, "dedup_key": "ab", "state": "open", "opened_at": Timestamp::from_secs(NOW),
        "closed_at": null, "in_flight": null, "told_at": null, "told": {}, "maybe_open": true, "closing_since": null,
        "n_close_failures": 0, "retry_at": null,
    });
    let (kind, key) = (StateKind::Incident, number.to_string());
    vec![
        LedgerWrite::Save { kind, key, body: body.to_string(), live },
        LedgerWrite::Number { sequence: Sequence::Incident, number },
    ]
}

/// What a store holds: windows counted, events, the last incident.
fn held(dir: &Path) -> (u64, u64, u64) {
    let conn = |name: &str| rusqlite::Connection::open(dir.join(name)).unwrap();
    let one =
        |name: &str, sql: &str| -> i64 { conn(name).query_row(sql, [], |r| r.get(0)).unwrap() };
    let sql = "SELECT coalesce(max(last), 0) FROM sequences WHERE name = 'incident'";
    let counted = one("intake.db", "SELECT count(*) FROM journal");
    let happened = one("events.db", "SELECT count(*) FROM events");
    (counted as u64, happened as u64, one("ledger.db", sql) as u64)
}

fn reopened(dir: &Path, new_incarnation: u64) -> Store {
    Store::open(OpenSettings { new_incarnation, ..settings(dir) }).unwrap()
}

struct Places {
    _root: tempfile::TempDir,
    data: PathBuf,
    backup: PathBuf,
    fresh: PathBuf,
}

fn places() -> Places {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    Places { data: at("data"), backup: at("backup"), fresh: at("fresh"), _root: root }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_restored_is_what_was_backed_up_under_a_new_incarnation() {
    let at = places();
    let store = open(&at.data);
    for n in 1..=3 {
        step(&store, n).await;
    }
    let taken = take(&store, &at.backup).await.unwrap();
    assert_eq!(names(&at.backup), ["events.db", "intake.db", "ledger.db", MANIFEST]);
    assert_eq!((taken.manifest.last_incident, taken.manifest.made_at), (3, AT));
    step(&store, 4).await;
    assert_eq!(verify(&at.backup), Ok(taken.manifest.clone()));
    let text = std::fs::read_to_string(at.backup.join(MANIFEST)).unwrap();
    assert!(text.contains(&format!("\"made_at\": \"{}\"", AT.rfc3339())), "{text}");
    assert_eq!(names(&at.backup).len(), 4, "looking leaves nothing behind");
    let restored = restore(&at.backup, &at.fresh, false, AT).unwrap();
    assert_eq!((restored.set_aside, restored.orphans.len()), (None, 0));
    let again = reopened(&at.fresh, 77);
    assert_eq!((again.incarnation(), total(&again)), (77, 3));
    assert_ne!(store.incarnation(), again.incarnation());
    let known = again.reads().stream(&stream(Kind::Windows)).unwrap().unwrap();
    assert!(known.seen.contains(3) && !known.seen.contains(4));
    let found = again.reads().events(&EventFilter::default(), &Page::first(10)).unwrap();
    assert_eq!(found.rows.len(), 3);
    let ledger = again.reads().ledger().unwrap();
    let last = (ledger.last_incident, ledger.last_delivery);
    assert_eq!(last.0, restored.next_incident - 1);
    assert!(last.0 >= 1_000_003 && last.1 >= 1_000_000, "{last:?}");
    again.close();
    assert_eq!(reopened(&at.fresh, 78).incarnation(), 77, "it is bound where it lies now");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_files_of_a_backup_fit_together_while_work_goes_on() {
    let at = places();
    let store = open(&at.data);
    let stop = Arc::new(AtomicBool::new(false));
    let work = {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::spawn(async move {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                step(&store, n).await;
            }
            n
        })
    };
    let mut last = 0;
    for round in 0..25 {
        let to = at.backup.with_file_name(format!("backup-{round}"));
        let taken = take(&store, &to).await.unwrap();
        let (n_windows, n_events, n_ledger) = held(&to);
        assert!(
            n_ledger <= n_events && n_events <= n_windows,
            "an incident without its event, or an event without its counts: {n_ledger} {n_events} {n_windows}"
        );
        assert_eq!(taken.manifest.last_incident, n_ledger);
        assert!(n_windows >= last, "{n_windows} after {last}");
        last = n_windows;
    }
    stop.store(true, Ordering::Relaxed);
    let n = work.await.unwrap();
    assert!(n > 25, "{n} steps");
    assert_eq!(total(&store), n, "and nothing of the work was lost");
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_goes_only_where_it_may() {
    let at = places();
    let store = open(&at.data);
    take(&store, &at.backup).await.unwrap();
    let before = std::fs::read(at.backup.join(MANIFEST)).unwrap();
    let (root, file) = (at.backup.parent().unwrap(), at.backup.join("intake.db"));
    for (sentence, to, says) in [
        ("there is one already", at.backup.clone(), "is there already"),
        ("a relative path", PathBuf::from("backup"), "no absolute path"),
        ("a directory that is missing", root.join("missing/backup"), "make it first"),
        ("below a file", file.join("backup"), "make it first"),
        ("in data_dir", at.data.join("backup"), "another disk"),
        ("the root", PathBuf::from("/"), "is there already"),
    ] {
        let error = take(&store, &to).await.unwrap_err();
        assert!(error.is_askers() && error.to_string().contains(says), "{sentence}: {error}");
    }
    assert_eq!(std::fs::read(at.backup.join(MANIFEST)).unwrap(), before);
    assert_eq!(names(root), ["backup", "data"], "nothing else was left");
}

#[tokio::test]
async fn what_a_killed_backup_left_is_thrown_away_and_one_under_way_is_left_alone() {
    let at = places();
    let store = open(&at.data);
    let partial = at.backup.with_file_name(".backup.partial");
    std::fs::create_dir(&partial).unwrap();
    std::fs::write(partial.join("intake.db"), b"half").unwrap();
    let held = std::fs::File::open(&partial).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = take(&store, &at.backup).await.unwrap_err();
    assert!(matches!(error, BackupError::Busy { .. }), "{error}");
    drop(held);
    take(&store, &at.backup).await.unwrap();
    assert!(!partial.exists());
    verify(&at.backup).unwrap();
}

/// A small file system of its own, unmounted at the end.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).ok()?;
        let mut mount = std::process::Command::new("mount");
        let status =
            mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&at).status().ok()?;
        status.success().then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_disk_without_room_is_said_and_keeps_nothing() {
    let at = places();
    let store = open(&at.data);
    let rows = |n: u64| (0..3_000).map(|i| row(&format!("{n}-{i}"), NOW - i, 1)).collect();
    for n in 1..=8 {
        store.commit_windows(windows(n, rows(n))).await.unwrap();
    }
    let Some(small) = Small::mount(at.fresh.clone()) else {
        assert!(std::env::var_os("CI").is_none(), "mounting a tmpfs needs root");
        println!("left out: mounting a tmpfs needs root");
        return;
    };
    let error = take(&store, &small.0.join("backup")).await.unwrap_err();
    assert!(
        matches!(error, BackupError::NoRoom { .. }),
        "told before anything is written: {error}"
    );
    assert_eq!(names(&small.0), [""; 0]);
    // Somebody else was faster.
    let copied = store.snapshot().unwrap().copy_to(&small.0, &|| false).unwrap_err();
    let error = BackupError::of_copy(copied, &small.0);
    assert!(error.to_string().ends_with("the disk is full; nothing was left there"), "{error}");
    // And a restore onto such a disk.
    for name in names(&small.0) {
        std::fs::remove_file(small.0.join(name)).unwrap();
    }
    take(&store, &at.backup).await.unwrap();
    let error = restore(&at.backup, &small.0, false, AT).unwrap_err();
    assert!(matches!(error, BackupError::Full { .. }), "{error}");
    assert_eq!(names(&small.0), ["lock"]);
}

#[tokio::test]
async fn a_collector_that_stops_leaves_no_half_backup() {
    let at = places();
    let store = open(&at.data);
    step(&store, 1).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let taken = Backups::new(store, stop).take(at.backup.clone(), AT).await;
    assert_eq!(taken, Err(BackupError::Stopping));
    assert_eq!(names(at.backup.parent().unwrap()), ["data"]);
}

#[tokio::test]
async fn a_damaged_backup_is_named_and_nothing_is_changed() {
    let at = places();
    let store = open(&at.data);
    step(&store, 1).await;
    take(&store, &at.backup).await.unwrap();
    store.close();
    let data_before = held(&at.data);
    let whole = |name: &str| std::fs::read(at.backup.join(name)).unwrap();
    for name in ["events.db", "intake.db", "ledger.db", MANIFEST] {
        let good = whole(name);
        let mut flipped = good.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let cut = good[..good.len() / 2].to_vec();
        for (sentence, bytes) in [("a bit flipped", flipped), ("cut off", cut)] {
            std::fs::write(at.backup.join(name), &bytes).unwrap();
            let looked = verify(&at.backup);
            let restored = restore(&at.backup, &at.data, true, AT);
            let is_ours = name == MANIFEST && sentence == "a bit flipped";
            // A bit of the manifest may be one that nothing hangs on, such as of its time.
            assert!(is_ours || looked.is_err() && restored.is_err(), "{name}, {sentence}");
            if !is_ours {
                let error = restored.unwrap_err().to_string();
                assert!(error.contains(&*at.backup.to_string_lossy()), "{error}");
                assert_eq!(held(&at.data), data_before, "{name}, {sentence}");
            }
        }
        std::fs::write(at.backup.join(name), &good).unwrap();
        std::fs::rename(at.backup.join(name), at.backup.join("away")).unwrap();
        assert!(restore(&at.backup, &at.fresh, false, AT).is_err(), "{name} is missing");
        std::fs::rename(at.backup.join("away"), at.backup.join(name)).unwrap();
    }
    restore(&at.backup, &at.fresh, false, AT).unwrap();
    assert_eq!(held(&at.fresh).0, 1, "what a failed attempt left is in nobody's way");
}

#[tokio::test]
async fn a_backup_of_a_newer_version_is_left_to_that() {
    let at = places();
    take(&open(&at.data), &at.backup).await.unwrap();
    let path = at.backup.join(MANIFEST);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 2, \"news\": 3")).unwrap();
    let error = verify(&at.backup).unwrap_err();
    assert!(matches!(error, BackupError::Newer { .. }), "{error}");
}

#[tokio::test]
async fn data_that_are_there_are_put_aside_only_when_asked_and_tell_of_orphans() {
    let at = places();
    let store = open(&at.data);
    step(&store, 1).await;
    take(&store, &at.backup).await.unwrap();
    let error = restore(&at.backup, &at.data, true, AT).unwrap_err();
    assert!(matches!(error, BackupError::Store(StoreError::Locked { .. })), "{error}");
    // After the backup: one incident that stays open, one that is closed.
    step(&store, 2).await;
    step(&store, 3).await;
    store.persist(incident(3, false), AT).await.unwrap();
    let incarnation = store.incarnation();
    store.close();
    let error = restore(&at.backup, &at.data, false, AT).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    let restored = restore(&at.backup, &at.data, true, AT).unwrap();
    let aside = restored.set_aside.unwrap();
    assert_eq!(held(&aside).0, 3, "all that there was");
    assert!(restored.asked_replaced);
    let orphans: Vec<_> = restored.orphans.iter().map(|o| (o.number, &*o.receiver)).collect();
    assert_eq!(orphans, [(2, "oncall")]);
    let again = reopened(&at.data, 9);
    assert_eq!((total(&again), again.incarnation() == incarnation), (1, false));
    again.close();
    // Once more the same: nothing is in the way of what was put aside before.
    let second = restore(&at.backup, &at.data, true, AT).unwrap();
    assert_ne!(second.set_aside.unwrap(), aside);
    assert!(second.next_incident >= restored.next_incident);
}

#[tokio::test]
async fn numbers_of_incidents_never_come_again_however_often_a_backup_is_restored() {
    let at = places();
    let store = open(&at.data);
    step(&store, 1).await;
    take(&store, &at.backup).await.unwrap();
    store.close();
    let (mut given_out, mut now) = (1, AT);
    for round in 0..4 {
        let is_wiped = round % 2 == 1;
        if is_wiped {
            std::fs::remove_dir_all(&at.data).unwrap();
        }
        let restored = restore(&at.backup, &at.data, !is_wiped, now).unwrap();
        assert!(restored.next_incident > given_out, "round {round}");
        let store = reopened(&at.data, 9);
        given_out = restored.next_incident + 500;
        store.persist(incident(given_out, true), now).await.unwrap();
        store.close();
        now = now + Duration::from_secs(5);
    }
}

#[tokio::test]
async fn no_collector_opens_what_is_half_restored() {
    let at = places();
    let store = open(&at.data);
    step(&store, 1).await;
    take(&store, &at.backup).await.unwrap();
    store.close();
    // As a crash between two renames leaves it.
    std::fs::create_dir(&at.fresh).unwrap();
    std::fs::write(at.fresh.join(RESTORING), b"").unwrap();
    std::fs::copy(at.backup.join("intake.db"), at.fresh.join("intake.db")).unwrap();
    let error = Store::open(settings(&at.fresh)).err().unwrap();
    assert!(error.to_string().contains("run `watchkeeper restore` again"), "{error}");
    restore(&at.backup, &at.fresh, true, AT).unwrap();
    assert_eq!(total(&reopened(&at.fresh, 5)), 1);
}
