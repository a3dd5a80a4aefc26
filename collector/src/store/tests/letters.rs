//! The bounds of dead letters: what is over goes, the oldest first, and is counted.

use std::time::Duration;

use watchkeeper_model::{Kind, Timestamp};

use super::parts::{NOW, batch, open};
use crate::store::letters::{BOUNDS, Bounds};
use crate::store::{Fate, Store, WindowsBody, WindowsCommit, intake};

fn buried(seq: u64, n_bytes: usize) -> WindowsCommit {
    let (reason, raw) = ("no such unit".to_owned(), vec![7; n_bytes]);
    let fate: Fate<WindowsBody> = Fate::Buried { reason, raw, fenced: false };
    let batches = vec![batch(Kind::Windows, seq, fate)];
    WindowsCommit { batches, ..WindowsCommit::default() }
}

fn seqs(store: &Store) -> Vec<u64> {
    store.reads().dead_letters(Kind::Windows).unwrap().iter().map(|letter| letter.seq).collect()
}

#[tokio::test]
async fn too_many_too_large_and_too_old_ones_go_oldest_first_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for seq in 1..=6 {
        store.commit_windows(buried(seq, 100)).await.unwrap();
    }
    let shrink = async |n_letters, n_bytes, n_more, n_more_bytes| {
        let bounds = Bounds { n_letters, n_bytes, ..BOUNDS };
        let writer = store.intake_writer();
        writer
            .run(move |db| {
                db.database.transact(|tx| intake::STREAMS.shrink(tx, bounds, n_more, n_more_bytes))
            })
            .await
            .unwrap()
            .unwrap();
    };
    shrink(6, 600, 0, 0).await;
    assert_eq!(seqs(&store), [1, 2, 3, 4, 5, 6], "just within");
    shrink(6, 600, 1, 0).await;
    assert_eq!(seqs(&store), [2, 3, 4, 5, 6], "room for one more");
    shrink(6, 500, 1, 150).await;
    assert_eq!(seqs(&store), [4, 5, 6], "room for more bytes");
    let now = Timestamp::from_secs(NOW) + BOUNDS.age;
    assert_eq!(store.maintain(now).await.letters.n_kept, 3, "just young enough");
    let report = store.maintain(now + Duration::from_secs(1)).await;
    assert_eq!((report.letters.n_kept, report.letters.n_dropped), (0, 6));
    store.close();
    let again = open(dir.path()).maintain(now).await;
    assert_eq!(again.letters.n_dropped, 6, "also after a restart");
}

#[tokio::test]
async fn a_dropped_letter_stays_answered_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for seq in 1..=BOUNDS.n_letters + 1 {
        store.commit_windows(buried(seq, 1)).await.unwrap();
    }
    assert_eq!(seqs(&store).first(), Some(&2));
    let stream = store.reads().stream(&super::parts::stream(Kind::Windows)).unwrap().unwrap();
    assert!(stream.dead.contains(1) && !stream.seen.contains(1));
}
