//! The spool through restarts, receipts, forks and broken files.

use watchkeeper_agent_core::deliver::{RowId, Settled, StreamAnswer};
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
    let (offers, complete) = spool.pending(lane, 1..=RowId::MAX, 100).unwrap();
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
    assert_eq!(opened.spool.outgoing(2, T0).unwrap().unwrap().body, b"bb");
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
    assert_eq!(spool.outgoing(2, T0).unwrap().unwrap().settled_below, 2);
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
    let (offers, _) = spool.pending(Kind::Windows, 1..=RowId::MAX, 10).unwrap();
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
    let (offers, _) = opened.spool.pending(Kind::Windows, 1..=RowId::MAX, 10).unwrap();
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
    assert!(spool.outgoing(1, T0).unwrap().is_none());
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

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// `name:paths`, each.
fn sources(text: &str) -> Vec<Reading> {
    let one = |source: &str| {
        let (name, paths) = source.split_once(':').unwrap();
        let reads = format!("tail\n{}", paths.replace('+', "\n"));
        Reading { name: name.to_owned(), reads }
    };
    text.split_whitespace().map(one).collect()
}

/// Configures these sources, and each new one stores one position that bears its name.
fn configure(spool: &Spool, text: &str, now: Timestamp) -> Vec<String> {
    let wanted = sources(text);
    let moves = crate::reload::moves(spool.known().unwrap(), &wanted);
    let names = wanted.iter().map(|s| s.name.clone()).collect();
    for (name, stored) in &spool.configure(&wanted, &moves, &names, now).unwrap() {
        assert_eq!(*stored, spool.stored(name).unwrap(), "what is given is what is there");
        if stored.positions.is_empty() {
            store(spool, name, 1);
        }
    }
    moves.iter().map(|m| format!("{}>{}", m.from, m.to)).collect()
}

fn store(spool: &Spool, source: &str, n_positions: u64) {
    let position = |i| (FileRef { inode: i, born: T0 }, format!("by {source}"));
    let checkpoint = SourceCheckpoint {
        source: source.to_owned(),
        store: (0..n_positions).map(position).collect(),
        forget: vec![],
        looked_at: Some(T0),
    };
    let request = SealRequest { checkpoints: vec![checkpoint], ..SealRequest::default() };
    spool.seal(&request, T0).unwrap();
}

fn stored_by(spool: &Spool, name: &str) -> String {
    spool.stored(name).unwrap().positions.join(", ")
}

#[test]
fn a_spool_of_version_1_is_taken_further_with_everything_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("migrations/spool_0001.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO meta VALUES ('version', '1'), ('welcomed', 'long ago');
         INSERT INTO source VALUES ('b', 7), ('a', 8);
         INSERT INTO position VALUES ('b', -1, 5, 'where b stood'), ('a', 2, 6, 'where a stood');
         INSERT INTO stream VALUES (1, '1.0000000000000001', 'shop', 0, 3);
         INSERT INTO batch VALUES (4, 1, 0, 2, x'0102', x'0304', 2, NULL, NULL);",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let opened = open(directory.path()).unwrap();
        assert!(!opened.is_new);
        let spool = opened.spool;
        assert_eq!(spool.pending_bytes(), 2);
        assert_eq!(stored_by(&spool, "b"), "where b stood");
        let known = spool.known().unwrap().configured;
        let known: Vec<&str> = known.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(known, ["b", "a"]);
        drop(spool);
    }
    let spool = open(directory.path()).unwrap().spool;
    assert_eq!(configure(&spool, "a:P c:Q", T0), [""; 0], "nobody has said what b read");
    assert_eq!(spool.stored("a").unwrap().looked_at, Some(Timestamp(8)));
    assert_eq!(configure(&spool, "a:P d:Q", T0), ["c>d"]);
    assert_eq!(stored_by(&spool, "d"), "by c");
    assert_eq!(stored_by(&spool, "a"), "where a stood");
}

#[test]
fn a_spool_of_a_newer_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    schema::put(&schema::lock(&spool.sealing), "version", "99").unwrap();
    drop(spool);
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(&error, SpoolError::Newer { version, .. } if version == "99"), "{error}");
}

#[test]
fn places_go_where_what_they_are_of_is_read() {
    let rows: [(&str, &[&str], &str); 10] = [
        ("nothing changes", &["a:P b:Q", "b:Q a:P"], "a=a b=b"),
        ("renamed", &["a:P b:Q", "c:P b:Q"], "c=a b=b a="),
        ("renamed there and back", &["a:P", "b:P", "a:P"], "a=a b="),
        ("swapped", &["a:P b:Q", "a:Q b:P"], "a=b b=a"),
        ("moved up", &["s:P s-2:Q", "s:R s-2:P s-3:Q"], "s=s s-2=s s-3=s-2"),
        ("gone and back", &["a:P b:Q", "b:Q", "a:P b:Q"], "a=a b=b"),
        ("gone and back under another name", &["a:P", "b:Q", "c:P b:Q"], "c=a b=b a="),
        ("gone, and its name is another's", &["a:P b:Q", "b:P", "b:P c:Q"], "b=a c=b"),
        ("its own places come first", &["a:P+R b:Q+R", "b:Q+R", "b:P+R"], "b=b a=a"),
        ("but not if it reads something else", &["a:P b:Q", "b:Q", "b:P", "b:P c:Q"], "b=a c=b"),
    ];
    for (sentence, steps, wanted) in rows {
        let directory = tempfile::tempdir().unwrap();
        let spool = open(directory.path()).unwrap().spool;
        for step in steps {
            configure(&spool, step, T0);
        }
        for (name, by) in wanted.split_whitespace().map(|w| w.split_once('=').unwrap()) {
            let by = if by.is_empty() { String::new() } else { format!("by {by}") };
            assert_eq!(stored_by(&spool, name), by, "{sentence}: {name}");
        }
    }
}

#[test]
fn of_those_that_read_the_same_the_one_that_went_last_is_taken_over_once() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    configure(&spool, "a:P b:P", T0);
    configure(&spool, "b:P", T0);
    configure(&spool, "", T0 + DAY);
    assert_eq!(configure(&spool, "c:P d:P e:P", T0 + DAY), ["b>c", "a>d"]);
    assert_eq!(stored_by(&spool, "e"), "by e");
}

#[test]
fn places_of_another_kind_of_source_mean_nothing_and_are_kept_aside() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    configure(&spool, "a:P", T0);
    let other = [Reading { name: "a".into(), reads: "journal\nP".into() }];
    let asked = ["a".to_owned()].into();
    let stored = spool.configure(&other, &[], &asked, T0).unwrap();
    assert_eq!(stored["a"], StoredSource::default());
    configure(&spool, "b:P", T0);
    assert_eq!(stored_by(&spool, "b"), "by a");
}

#[test]
fn what_is_gone_is_kept_for_30_days_and_not_without_bound() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    configure(&spool, "a:P b:Q c:R", T0);
    configure(&spool, "b:Q c:R", T0);
    configure(&spool, "c:R", T0 + DAY);
    configure(&spool, "c:R", T0 + 30 * DAY);
    assert_eq!((stored_by(&spool, "a"), stored_by(&spool, "b")), ("by a".into(), "by b".into()));
    configure(&spool, "c:R", T0 + 31 * DAY);
    assert_eq!((stored_by(&spool, "a"), stored_by(&spool, "b")), (String::new(), "by b".into()));
    for (n, name) in (0..).zip(["x", "y", "z"]) {
        let now = (T0 + 31 * DAY).shifted(n);
        configure(&spool, &format!("c:R {name}:{name}"), now);
        store(&spool, name, 40_000);
        configure(&spool, "c:R", now);
    }
    let kept = ["b", "x", "y", "z"].map(|name| spool.stored(name).unwrap().positions.len());
    assert_eq!(kept, [0, 0, 40_000, 40_000], "those that went first go first");
    assert_eq!(stored_by(&spool, "c"), "by c");
}

#[test]
fn a_change_of_sources_that_does_not_fit_the_disk_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path()).unwrap().spool;
    configure(&spool, "a:P", T0);
    schema::lock(&spool.sealing).pragma_update(None, "max_page_count", 1).unwrap();
    let long = sources(&format!("b:P c:{}", "x".repeat(1 << 20)));
    let moves = [Move { from: "a".into(), to: "b".into() }];
    let error = spool.configure(&long, &moves, &Default::default(), T0).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!((stored_by(&spool, "a"), stored_by(&spool, "b")), ("by a".into(), String::new()));
}
