//! A disk without room, by a limit on pages: the intake is refused first, the ledger goes on, and it ends by itself.

use watchkeeper_model::Timestamp;

use super::contract::total;
use super::parts::{NOW, open, row, windows};
use crate::store::{LedgerWrite, StateKind, Store, Stored};

async fn limit_intake(store: &Store, more_pages: Option<i64>) {
    let limit = move |conn: &rusqlite::Connection| {
        let used: i64 = conn.pragma_query_value(None, "page_count", |r| r.get(0)).unwrap();
        let pages = more_pages.map_or(1_000_000, |more| used + more);
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    store.intake_writer().run(move |db| limit(&db.database.conn)).await.unwrap();
}

async fn limit_ledger(store: &Store, more_pages: Option<i64>) {
    let limit = move |conn: &rusqlite::Connection| {
        let used: i64 = conn.pragma_query_value(None, "page_count", |r| r.get(0)).unwrap();
        let pages = more_pages.map_or(1_000_000, |more| used + more);
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    store.ledger_writer().run(move |db| limit(&db.database.conn)).await.unwrap();
}

fn many(seq: u64) -> crate::store::WindowsCommit {
    windows(seq, (0..3_000).map(|i| row(&(i % 7).to_string(), NOW - i, 1)).collect())
}

fn save(key: &str, bytes: usize) -> Vec<LedgerWrite> {
    vec![LedgerWrite::Save {
        kind: StateKind::Alert,
        key: key.to_owned(),
        body: "x".repeat(bytes),
        live: false,
    }]
}

#[tokio::test]
async fn a_batch_without_room_is_refused_whole_and_accepted_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit_windows(windows(1, vec![row("200", NOW, 1)])).await.unwrap();
    limit_intake(&store, Some(4)).await;
    let error = store.commit_windows(many(2)).await.unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(total(&store), 1);
    assert!(
        store
            .reads()
            .stream(&super::parts::stream(watchkeeper_model::Kind::Windows))
            .unwrap()
            .unwrap()
            .seen
            .max()
            == 1
    );

    limit_intake(&store, None).await;
    assert_eq!(store.commit_windows(many(2)).await.unwrap().batches, [Stored::Counted]);
    assert_eq!(total(&store), 3_001);
}

#[tokio::test]
async fn the_ledger_goes_on_while_the_intake_waits_and_all_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let ballast = dir.path().join("ballast");
    assert!(ballast.exists() && !store.health().is_full);
    let now = Timestamp::from_secs(NOW);

    limit_ledger(&store, Some(2)).await;
    // Letting go of the ballast frees no pages under this limit, but it must be let go.
    let error = store.persist(save("a", 100_000), now).await.unwrap_err();
    assert!(error.is_full() && !ballast.exists() && store.health().is_full);
    let refused = store.commit_windows(windows(1, vec![row("200", NOW, 1)])).await.unwrap_err();
    assert!(refused.is_full(), "the room left is the ledger's");

    limit_ledger(&store, None).await;
    store.persist(save("a", 100_000), now).await.unwrap();
    let refused = store.commit_windows(windows(1, vec![row("200", NOW, 1)])).await;
    assert!(refused.is_err(), "until the ballast is back");

    assert_eq!(store.maintain(now).await.errors, []);
    assert!(ballast.exists() && !store.health().is_full);
    store.commit_windows(windows(1, vec![row("200", NOW, 1)])).await.unwrap();
    assert_eq!(total(&store), 1);
}

/// A file system of its own with that little room, unmounted at the end; `None` where only root may mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(at.path())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a database of it may still be open.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_disk_that_is_really_full_refuses_batches_and_keeps_the_ledger() {
    let Some(small) = SmallDisk::mount("12m") else {
        assert!(std::env::var_os("CI").is_none(), "mounting a small file system needs root");
        println!("left out: mounting a small file system needs root");
        return;
    };
    let dir = tempfile::tempdir_in(small.0.path()).unwrap();
    let mut settings = super::parts::settings(dir.path());
    settings.ballast_bytes = 2 << 20;
    let store = Store::open(settings.clone()).unwrap();
    let now = Timestamp::from_secs(NOW);
    let filler = dir.path().join("filler");
    let mut n_counted = 0;
    std::fs::write(&filler, vec![1; 4 << 20]).unwrap();
    let error = loop {
        match store.commit_windows(many(n_counted + 1)).await {
            Ok(_) => n_counted += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_full(), "{error}");
    assert_eq!(total(&store), n_counted * 3_000, "what was answered is there, and nothing else");
    fill_to_the_brim(&dir.path().join("brim"));
    for i in 0..20 {
        store.persist(save(&i.to_string(), 20_000), now).await.unwrap();
    }
    assert!(store.health().is_full, "the ledger lives on the ballast");
    fill_to_the_brim(&dir.path().join("brim2"));
    store.close();
    let store = Store::open(settings).unwrap();
    assert_eq!(total(&store), n_counted * 3_000, "it starts");

    for name in ["brim", "brim2"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    std::fs::remove_file(&filler).unwrap();
    store.maintain(now).await;
    assert!(!store.health().is_full);
    store.commit_windows(many(n_counted + 1)).await.unwrap();
    assert_eq!(total(&store), (n_counted + 1) * 3_000);
}

fn fill_to_the_brim(path: &std::path::Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[1; 4_096]).is_ok() {}
}
