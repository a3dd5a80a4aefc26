//! What any store must do, whatever it is made of: each test opens an empty one and only uses what others see.

use watchkeeper_collector_core::dedupe::{Arrival, Content, Decision, StreamState};
use watchkeeper_model::{
    AgentId, Distribution, FileRef, Frontier, Guard, Kind, Severity, SkipReason, SourceTally,
    Timestamp,
};

use super::parts::{self, NOW, batch, digest, event, events, open, row, stream, windows};
use crate::store::{
    AgentRow, BatchCommit, DeliveryFilter, EventFilter, Fate, LedgerWrite, Page, Sequence,
    SloIncrement, StateKind, Store, Stored, StoredDelivery, Wanted, WindowsBody, WindowsCommit,
};

/// The sum of all counts.
pub(crate) fn total(store: &Store) -> u64 {
    let all = Wanted {
        signal: None,
        service: None,
        from: Timestamp(i64::MIN),
        to: Timestamp::MAX,
        together_secs: Wanted::WHOLE,
    };
    let mut sum = 0;
    let mut add = |count: u64| sum += count;
    store
        .reads()
        .scan(&all, &mut |_| Some(()), &mut |_, (), w| {
            add(w.head()?.count);
            Ok(())
        })
        .unwrap();
    sum
}

async fn stored(store: &Store, commit: WindowsCommit) -> Stored {
    store.commit_windows(commit).await.unwrap().batches[0]
}

#[tokio::test]
async fn a_batch_counts_once_however_often_it_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for expected in [Stored::Counted, Stored::Repeated, Stored::Repeated] {
        assert_eq!(stored(&store, windows(1, vec![row("200", NOW, 5)])).await, expected);
    }
    assert_eq!(total(&store), 5);
}

#[tokio::test]
async fn the_same_number_with_another_digest_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    stored(&store, windows(1, vec![row("200", NOW, 5)])).await;
    let mut other = windows(1, vec![row("200", NOW, 7)]);
    other.batches[0].digest = digest(99);
    assert_eq!(stored(&store, other).await, Stored::Forked);
    assert_eq!(total(&store), 5);
}

#[tokio::test]
async fn a_commit_that_fails_leaves_nothing_and_is_not_covered_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut failing = windows(5, vec![row("200", NOW, 5)]);
    failing.batches.push(batch(Kind::Events, 1, Fate::Counted(WindowsBody::default())));
    assert!(store.commit_windows(failing).await.is_err());
    assert_eq!(stored(&store, windows(6, vec![row("200", NOW, 6)])).await, Stored::Counted);
    assert_eq!(total(&store), 6);
    let known = store.reads().stream(&stream(Kind::Windows)).unwrap().unwrap();
    assert!(known.seen.contains(6) && !known.seen.contains(5));
    assert_eq!(stored(&store, windows(5, vec![row("200", NOW, 5)])).await, Stored::Counted);
    assert_eq!(total(&store), 11);
}

#[tokio::test]
async fn a_dead_letter_is_kept_answered_for_and_counted_when_retried() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bury = || WindowsCommit {
        batches: vec![batch(
            Kind::Windows,
            3,
            Fate::Buried { reason: "no such unit".to_owned(), raw: vec![1, 2, 3], fenced: true },
        )],
        ..WindowsCommit::default()
    };
    assert_eq!(stored(&store, bury()).await, Stored::Buried);
    assert_eq!(stored(&store, bury()).await, Stored::Repeated);
    let reads = store.reads();
    let letters = reads.dead_letters(Kind::Windows).unwrap();
    assert_eq!((letters.len(), reads.n_dead_letters()), (1, Ok(1)));
    assert_eq!((letters[0].seq, letters[0].n_bytes, letters[0].fenced), (3, 3, true));
    let opened = reads.dead_letter(Kind::Windows, letters[0].id).unwrap();
    assert_eq!(opened, Some((letters[0].clone(), vec![1, 2, 3])));
    assert_eq!(reads.dead_letter(Kind::Events, letters[0].id), Ok(None));
    assert_eq!(letters[0].stream, stream(Kind::Windows));
    let known = reads.stream(&stream(Kind::Windows)).unwrap().unwrap();
    assert!(!known.seen.contains(3) && known.dead.contains(3));

    assert_eq!(stored(&store, windows(3, vec![row("200", NOW, 2)])).await, Stored::Counted);
    assert_eq!((reads.n_dead_letters(), total(&store)), (Ok(0), 2));
}

#[tokio::test]
async fn a_discarded_dead_letter_is_gone_but_stays_answered_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let fate = Fate::Buried { reason: "x".to_owned(), raw: Vec::new(), fenced: false };
    let commit = crate::store::EventsCommit { batches: vec![batch(Kind::Events, 1, fate)] };
    store.commit_events(commit).await.unwrap();
    let letters = store.reads().dead_letters(Kind::Events).unwrap();
    assert_eq!(store.discard_dead_letter(Kind::Events, letters[0].id).await, Ok(true));
    assert_eq!(store.discard_dead_letter(Kind::Events, letters[0].id).await, Ok(false));
    assert!(store.reads().stream(&stream(Kind::Events)).unwrap().unwrap().dead.contains(1));
}

#[tokio::test]
async fn what_dedupe_decides_by_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for seq in [1, 2, 5, 4] {
        stored(&store, windows(seq, Vec::new())).await;
    }
    let mut repeated = batch(Kind::Windows, 2, Fate::Repeated);
    repeated.settled_below = 4;
    let commit = WindowsCommit { batches: vec![repeated], ..WindowsCommit::default() };
    assert_eq!(stored(&store, commit).await, Stored::Repeated);
    store.close();

    let store = open(dir.path());
    let rows = store.reads().streams_of(&AgentId::new("web-1")).unwrap();
    let [found] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&found.key, found.settled_below), (&stream(Kind::Windows), 4));
    let state = StreamState::restore(
        found.seen.clone(),
        found.dead.clone(),
        found.digests.clone(),
        found.settled_below,
    );
    assert_eq!(state.n_lost(), 1);
    for (seq, sent, decision) in [
        (5, digest(5), Decision::Repeat),
        (5, digest(6), Decision::Forked),
        (3, digest(3), Decision::Count),
    ] {
        let arrival = Arrival {
            seq,
            digest: sent,
            content: &Content::Good,
            frontiers: &[],
            sealed_at: Timestamp(0),
            fence: None,
        };
        assert_eq!(state.decide(&arrival), decision, "{seq}");
    }
}

#[tokio::test]
async fn digests_stay_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let limit = watchkeeper_collector_core::dedupe::RECENT_DIGESTS;
    for first in (1..limit + 200).step_by(100) {
        let batches = (first..first + 100)
            .map(|seq| batch(Kind::Windows, seq, Fate::Counted(WindowsBody::default())));
        let commit = WindowsCommit { batches: batches.collect(), ..WindowsCommit::default() };
        store.commit_windows(commit).await.unwrap();
    }
    let known = store.reads().stream(&stream(Kind::Windows)).unwrap().unwrap();
    assert_eq!(known.digests.len() as u64, limit);
    assert_eq!(known.digests.last().map(|d| d.0), Some(known.seen.max()));
}

#[tokio::test]
async fn what_sources_did_adds_up_whatever_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let frontier = |from, to| Frontier {
        source: "log".to_owned(),
        path: format!("/var/log/shop-{to}"),
        file: FileRef { inode: u64::MAX, born: Timestamp(7) },
        prefix: Guard { len: 5, hash: u64::MAX - 1 },
        begin: 10,
        from,
        to,
        guard: Guard { len: 1, hash: to },
    };
    let body = |read, from, to| WindowsBody {
        tallies: vec![SourceTally {
            source: "log".to_owned(),
            read,
            skipped: vec![(SkipReason::Blank, 1)],
            events: 2,
            overflowed: 3,
            redacted: 4,
            events_held_back: 5,
            ..SourceTally::default()
        }],
        frontiers: vec![frontier(from, to)],
        slo: vec![SloIncrement {
            slo: "up".to_owned(),
            definition: u64::MAX,
            bucket: Timestamp::from_secs(NOW),
            good: read,
            total: read + 1,
            unjudged: 1,
            estimated: 0,
        }],
        ..WindowsBody::default()
    };
    let mut continued = body(0, 30, 50);
    continued.continued = true;
    for (seq, body) in [(2, body(5, 30, 50)), (1, body(7, 10, 30)), (3, continued)] {
        let batches = vec![batch(Kind::Windows, seq, Fate::Counted(body))];
        store.commit_windows(WindowsCommit { batches, ..WindowsCommit::default() }).await.unwrap();
    }
    let reads = store.reads();
    let [totals] = &reads.source_totals().unwrap()[..] else { panic!() };
    assert_eq!((totals.agent.as_str(), totals.tally.read, totals.tally.events), ("web-1", 12, 6));
    assert_eq!(
        (totals.tally.overflowed, &totals.tally.skipped[..]),
        (9, &[(SkipReason::Blank, 3)][..])
    );
    assert_eq!((totals.tally.redacted, totals.tally.events_held_back), (12, 15));
    let [file] = &reads.frontiers_of(&AgentId::new("web-1")).unwrap()[..] else { panic!() };
    assert_eq!((file.file.inode, file.coverage.gap_bytes()), (u64::MAX, 0));
    assert_eq!((file.coverage.covered, file.coverage.guard.hash), (40, 50));
    assert_eq!((file.path.as_str(), file.epoch), ("/var/log/shop-50", stream(Kind::Windows).epoch));
    let [(_, slo)] = &reads.slo_counts("up", u64::MAX, Timestamp(0)).unwrap()[..] else { panic!() };
    assert_eq!((slo.good, slo.total, slo.unjudged), (12, 15, 3));
}

#[tokio::test]
async fn events_tell_how_far_files_were_read_before_their_counts_come() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut commit = events(1, Vec::new());
    let Fate::Counted(body) = &mut commit.batches[0].fate else { panic!() };
    body.frontiers.push(Frontier {
        source: "log".to_owned(),
        path: "/x".to_owned(),
        file: FileRef { inode: 1, born: Timestamp(7) },
        prefix: Guard::default(),
        begin: 0,
        from: 0,
        to: 100,
        guard: Guard { len: 1, hash: 9 },
    });
    store.commit_events(commit).await.unwrap();
    let [file] = &store.reads().frontiers_of(&AgentId::new("web-1")).unwrap()[..] else { panic!() };
    assert_eq!(
        (file.coverage.max_to, file.coverage.covered, file.coverage.gap_bytes()),
        (100, 0, 100)
    );
}

#[tokio::test]
async fn series_beyond_the_bound_count_under_one_agent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.intake_writer().run(|db| db.bound_series(2)).await.unwrap();
    let rows = (0..5)
        .map(|i| {
            let series = parts::series(&format!("web-{i}"), "200");
            parts::row_of(series, NOW, 1, Distribution::counted(1))
        })
        .collect();
    let done = store.commit_windows(windows(1, rows)).await.unwrap();
    assert_eq!(done.n_overflowed, 3);
    assert_eq!(total(&store), 5, "no count is lost");
    let mut agents = Vec::new();
    let all = Wanted {
        signal: None,
        service: None,
        from: Timestamp(0),
        to: Timestamp::MAX,
        together_secs: 0,
    };
    let mut note = |key: &crate::store::SeriesKey| {
        agents.push(key.labels.get("agent").to_owned());
        Some(())
    };
    store.reads().scan(&all, &mut note, &mut |_, (), _| Ok(())).unwrap();
    agents.sort();
    assert_eq!(agents, ["__overflow__", "web-0", "web-1"]);
}

#[tokio::test]
async fn what_the_intake_remembers_of_an_agent_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = AgentId::new("web-1");
    for body in ["{}", r#"{"a":1}"#] {
        let row = AgentRow { id: id.clone(), updated_at: Timestamp(1), body: body.to_owned() };
        let commit = WindowsCommit { agents: vec![row], ..WindowsCommit::default() };
        store.commit_windows(commit).await.unwrap();
    }
    assert_eq!(store.reads().agent(&id).unwrap().unwrap().body, r#"{"a":1}"#);
    assert_eq!(store.reads().agents().unwrap().len(), 1);
    assert_eq!(store.reads().agent(&AgentId::new("other")), Ok(None));
}

#[tokio::test]
async fn events_are_found_by_what_is_known_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all = vec![
        event(NOW, "error", Severity::Error, "payment refused 100%"),
        event(NOW + 1, "slow", Severity::Warning, "took 3 s"),
        event(NOW + 2, "error", Severity::Critical, "disk_full"),
    ];
    let mut body = events(1, all);
    store.commit_events(body.clone()).await.unwrap();
    body.batches[0].received_at = Timestamp(0);
    store.commit_events(body).await.unwrap();
    let at = |secs| Some(Timestamp::from_secs(secs));
    let text = |t: &str| Some(t.to_owned());
    for (sentence, filter, messages) in [
        (
            "all, newest first, each once",
            EventFilter::default(),
            &["disk_full", "took 3 s", "payment refused 100%"][..],
        ),
        ("by name", EventFilter { name: text("slow"), ..Default::default() }, &["took 3 s"]),
        (
            "by least severity",
            EventFilter { severity: Some(Severity::Error), ..Default::default() },
            &["disk_full", "payment refused 100%"],
        ),
        (
            "by text, in upper or lower case",
            EventFilter { text: text("PAYMENT"), ..Default::default() },
            &["payment refused 100%"],
        ),
        (
            "a % is a %",
            EventFilter { text: text("100%"), ..Default::default() },
            &["payment refused 100%"],
        ),
        ("a _ is a _", EventFilter { text: text("disk_"), ..Default::default() }, &["disk_full"]),
        (
            "by correlation",
            EventFilter { correlation: text(&format!("req-{NOW}")), ..Default::default() },
            &["payment refused 100%"],
        ),
        (
            "by correlation, or by trace",
            EventFilter { correlation: text("trace-1"), ..Default::default() },
            &["took 3 s"],
        ),
        ("no id is no id", EventFilter { correlation: text(""), ..Default::default() }, &[]),
        (
            "half-open in time",
            EventFilter { from: at(NOW + 1), to: at(NOW + 2), ..Default::default() },
            &["took 3 s"],
        ),
        ("by service", EventFilter { service: text("other"), ..Default::default() }, &[]),
    ] {
        let found = store.reads().events(&filter, &Page::first(10)).unwrap();
        let found: Vec<_> = found.rows.iter().map(|e| e.event.message.as_str()).collect();
        assert_eq!(found, messages, "{sentence}");
    }
}

#[tokio::test]
async fn pages_hold_each_row_once_also_at_equal_times() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all =
        (0..7).map(|i| event(NOW + i / 3, "error", Severity::Error, &i.to_string())).collect();
    store.commit_events(events(1, all)).await.unwrap();
    let (mut page, mut seen) = (Page::first(2), Vec::new());
    loop {
        let found = store.reads().events(&EventFilter::default(), &page).unwrap();
        seen.extend(found.rows.into_iter().map(|e| e.event.message));
        match found.next {
            Some(cursor) => page = Page::after(2, cursor.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
}

fn delivery(id: u64, receiver: &str, attempt: u32, outcome: &str) -> LedgerWrite {
    LedgerWrite::Delivery(Box::new(StoredDelivery {
        id,
        incident: 1,
        receiver: receiver.to_owned(),
        integration: "slack[0]".to_owned(),
        kind: "slack".to_owned(),
        action: "open".to_owned(),
        reason: "first word".to_owned(),
        at: Timestamp::from_secs(NOW + id as i64),
        attempt,
        outcome: outcome.to_owned(),
        status: Some(503),
        error: None,
        next_at: None,
        alerts: vec!["shop-availability".to_owned()],
        fingerprints: if attempt == 0 { vec!["00ff".to_owned()] } else { Vec::new() },
        body: None,
    }))
}

#[tokio::test]
async fn deliveries_show_their_latest_attempt_and_are_found_by_receiver_and_alert() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let now = Timestamp::from_secs(NOW);
    let steps = [
        vec![delivery(1, "chat", 0, "pending"), delivery(2, "oncall", 0, "pending")],
        vec![delivery(1, "chat", 1, "retry")],
        vec![delivery(1, "chat", 2, "ok")],
    ];
    for writes in steps {
        store.persist(writes, now).await.unwrap();
    }
    let find = |receiver: Option<&str>, alert: Option<&str>| -> Vec<(u64, u32, String)> {
        let filter =
            DeliveryFilter { receiver: receiver.map(Into::into), alert: alert.map(Into::into) };
        let found = store.reads().deliveries(&filter, &Page::first(10)).unwrap();
        found.rows.into_iter().map(|d| (d.id, d.attempt, d.outcome)).collect()
    };
    let first = (1, 2, "ok".to_owned());
    let second = (2, 0, "pending".to_owned());
    assert_eq!(find(None, None), [second.clone(), first.clone()]);
    assert_eq!(find(Some("chat"), None), std::slice::from_ref(&first));
    assert_eq!(find(None, Some("shop-availability")), [second.clone(), first.clone()]);
    assert_eq!(find(None, Some("00ff")), [second, first], "the fingerprint outlives the attempt");
    assert_eq!(find(None, Some("other")), []);
}

#[tokio::test]
async fn numbers_and_live_rows_are_found_again_and_history_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let number = |number| LedgerWrite::Number { sequence: Sequence::Incident, number };
    let writes = vec![
        LedgerWrite::Save {
            kind: StateKind::Incident,
            key: "7".to_owned(),
            body: "not even JSON".to_owned(),
            live: false,
        },
        number(7),
        number(3),
        LedgerWrite::Forget { kind: StateKind::Alert, key: "none".to_owned() },
        delivery(41, "chat", 1, "ok"),
    ];
    store.persist(writes, Timestamp::from_secs(NOW)).await.unwrap();
    store.close();
    let ledger = open(dir.path()).reads().ledger().unwrap();
    assert_eq!((ledger.last_incident, ledger.last_delivery), (7, 41));
    assert!(ledger.incidents.is_empty() && ledger.deliveries.is_empty());
}

#[tokio::test]
async fn a_batch_of_the_other_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let wrong: BatchCommit<WindowsBody> = batch(Kind::Events, 1, Fate::Repeated);
    let commit = WindowsCommit { batches: vec![wrong], ..WindowsCommit::default() };
    assert!(store.commit_windows(commit).await.unwrap_err().to_string().contains("bug"));
}
