//! The spool through restarts, receipts, forks and broken files.

use watchkeeper_agent_core::deliver::{Settled, StreamAnswer};
use watchkeeper_model::{Epoch, FileRef, Kind, SeqSet, Service, StreamKey, Timestamp};

use super::*;
use crate::wire::SealedBody;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

fn open(directory: &Path) -> Result<Opened, SpoolError> {
    let settings =
        SpoolSettings { max_bytes: 10_000, keep_bytes: 1_000, ..SpoolSettings::default() };
    Spool::open(directory, AgentId::new("web-1"), settings, 7, T0)
}

fn body(content: &str) -> SealedBody {
    let bytes = content.as_bytes().to_vec();
    SealedBody { digest: watchkeeper_model::Digest::of(&bytes), bytes }
}

fn request(batches: &[(Kind, &str)]) -> SealRequest {
    let service = Service::new("shop").unwrap();
    let file = FileRef { inode: u64::MAX, born: T0 };
    SealRequest {
        batches: batches.iter().map(|(kind, text)| (service.clone(), *kind, body(text))).collect(),
        checkpoints: vec![SourceCheckpoint {
            source: "log".into(),
            store: vec![(file, format!("after {}", batches.len()))],
            forget: vec![],
            looked_at: Some(T0),
        }],
        welcomed: true,
    }
}

fn pending(spool: &Spool, lane: Kind) -> Vec<(i64, u64)> {
    let (offers, complete) = spool.pending(lane, 0, 100).unwrap();
    assert!(complete);
    offers.iter().map(|o| (o.row, o.key.seq)).collect()
}

#[test]
fn batches_and_positions_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let opened = open(directory.path()).unwrap();
    assert!(opened.is_new && !opened.moved);
    let epoch = opened.spool.epoch().unwrap();
    opened.spool.seal(&request(&[(Kind::Windows, "a"), (Kind::Windows, "bb")]), T0).unwrap();
    drop(opened);
    let opened = open(directory.path()).unwrap();
    assert!(!opened.is_new && !opened.moved);
    assert_eq!(opened.spool.epoch().unwrap(), epoch);
    assert_eq!(pending(&opened.spool, Kind::Windows), [(1, 1), (2, 2)]);
    assert_eq!((opened.spool.pending_bytes(), opened.spool.bytes()), (3, 3));
    let stored = opened.spool.stored("log").unwrap();
    assert_eq!((stored.looked_at, stored.positions), (Some(T0), vec!["after 2".to_owned()]));
    assert_eq!(opened.spool.outgoing(2).unwrap().unwrap().body, b"bb");
}

#[test]
fn two_agents_do_not_share_a_spool() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path()).unwrap();
    assert!(matches!(open(directory.path()), Err(SpoolError::Locked { .. })));
}

#[test]
fn bodies_wait_for_the_counts_before_them() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    spool.seal(&request(&[(Kind::Windows, "a"), (Kind::Events, "e")]), T0).unwrap();
    spool.seal(&request(&[(Kind::Windows, "b"), (Kind::Events, "f")]), T0).unwrap();
    assert_eq!(pending(&spool, Kind::Events), []);
    spool.settle(1, &Settled::Durable, T0).unwrap();
    assert_eq!(pending(&spool, Kind::Events), [(2, 1)]);
    spool.settle(3, &Settled::Durable, T0).unwrap();
    assert_eq!(pending(&spool, Kind::Events), [(2, 1), (4, 2)]);
}

#[test]
fn receipted_batches_are_kept_for_a_while_and_offered_again_if_lacked() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    spool
        .seal(&request(&[(Kind::Windows, "a"), (Kind::Windows, "b"), (Kind::Windows, "c")]), T0)
        .unwrap();
    for row in 1..=3 {
        spool.settle(row, &Settled::Durable, T0).unwrap();
    }
    assert_eq!((spool.pending_bytes(), spool.bytes()), (0, 3));
    let stream = StreamKey {
        agent: AgentId::new("web-1"),
        epoch: spool.epoch().unwrap(),
        service: Service::new("shop").unwrap(),
        kind: Kind::Windows,
    };
    let answer = StreamAnswer { stream, answered: SeqSet::from_parts(1, [(3, 3)]) };
    assert_eq!(spool.reoffer(&[answer]).unwrap(), 1);
    assert_eq!(pending(&spool, Kind::Windows), [(2, 2)]);
    spool.forget_settled(T0 + std::time::Duration::from_secs(3601)).unwrap();
    assert_eq!(spool.bytes(), 1, "what waits is never forgotten");
    assert_eq!(spool.outgoing(2).unwrap().unwrap().settled_below, 2);
}

#[test]
fn kept_batches_make_room_when_there_are_too_many() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    let large = "x".repeat(600);
    for row in 1..=3 {
        spool.seal(&request(&[(Kind::Windows, &large)]), T0).unwrap();
        spool.settle(row, &Settled::Durable, T0.shifted(row)).unwrap();
    }
    spool.forget_settled(T0).unwrap();
    assert_eq!(spool.bytes(), 600);
}

#[test]
fn a_fork_becomes_an_orphan_and_begins_a_new_epoch_once() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    let first = spool.epoch().unwrap();
    spool.seal(&request(&[(Kind::Windows, "a"), (Kind::Windows, "b")]), T0).unwrap();
    spool.rekey(1, 8, T0).unwrap();
    let second = spool.epoch().unwrap();
    assert!(second.created_at > first.created_at && second != first);
    spool.rekey(2, 9, T0).unwrap();
    assert_eq!(spool.epoch().unwrap(), second, "its epoch was no longer the current one");
    let (offers, _) = spool.pending(Kind::Windows, 0, 10).unwrap();
    let orphans: Vec<Epoch> = offers.iter().map(|o| o.key.stream.epoch).collect();
    assert!(offers.iter().all(|o| o.key.seq == 1) && orphans[0] != orphans[1]);
    assert_eq!(spool.held_epochs().unwrap().len(), 3);
}

#[test]
fn a_copy_of_the_file_goes_on_under_a_new_epoch_and_keeps_its_batches() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spool = open(here.path()).unwrap().spool;
    spool.seal(&request(&[(Kind::Windows, "a")]), T0).unwrap();
    let epoch = spool.epoch().unwrap();
    drop(spool);
    std::fs::copy(here.path().join("spool.db"), there.path().join("spool.db")).unwrap();
    let opened = open(there.path()).unwrap();
    assert!(opened.moved && !opened.is_new);
    assert_ne!(opened.spool.epoch().unwrap(), epoch);
    let (offers, _) = opened.spool.pending(Kind::Windows, 0, 10).unwrap();
    assert_eq!(
        offers[0].key.stream.epoch, epoch,
        "what waited keeps its identity: the original may deliver it too"
    );
}

#[test]
fn a_batch_that_rotted_on_disk_is_taken_out_and_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    spool.seal(&request(&[(Kind::Windows, "a")]), T0).unwrap();
    schema::lock(&spool.serving).execute("UPDATE batch SET body = x'00'", []).unwrap();
    assert!(spool.outgoing(1).unwrap().is_none());
    assert_eq!(spool.bytes(), 0);
}

#[test]
fn a_file_that_is_no_spool_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    std::fs::write(&path, "not a database, though it is long enough to look like one".repeat(99))
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, SpoolError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("Set the file aside"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_full_disk_is_said_to_be_one_and_nothing_is_half_written() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    spool.seal(&request(&[(Kind::Windows, "a")]), T0).unwrap();
    schema::lock(&spool.sealing).pragma_update(None, "max_page_count", 16).unwrap();
    let large = "x".repeat(1 << 20);
    let error =
        spool.seal(&request(&[(Kind::Windows, "b"), (Kind::Windows, &large)]), T0).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(pending(&spool, Kind::Windows), [(1, 1)]);
    assert_eq!(spool.stored("log").unwrap().positions, ["after 1"]);
}
