//! Dead letters from their burial to the end: retried, counted once, dropped, and never counted behind a fence.

use std::sync::Arc;

use prost::Message as _;
use watchkeeper_model::{AgentId, BatchKey, Digest, Kind, Timestamp};
use watchkeeper_proto::v1;

use futures_util::future::BoxFuture;

use super::{KeptLetters, Listed, Opened, Place, PlaceError, Places, Retried, RetryOutcome};
use crate::intake::Intake;
use crate::intake::restoring::settings;
use crate::store::tests::contract::total;
use crate::store::tests::parts::{NOW, batch, open, stream};
use crate::store::{Fate, Store, Stored, WindowsBody, WindowsCommit};

struct World {
    _dir: tempfile::TempDir,
    store: Store,
    intake: Arc<Intake>,
    letters: Places,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let settings = tokio::sync::watch::channel(Arc::new(settings(Vec::new()))).1;
    let intake = Arc::new(Intake::new(store.clone(), crate::hub::channel().0, settings));
    let kept = |kind| -> Box<dyn Place> {
        Box::new(KeptLetters::new(kind, store.clone(), intake.clone()))
    };
    let letters = Places::new(vec![kept(Kind::Windows), kept(Kind::Events)]);
    World { _dir: dir, store, intake, letters }
}

/// A sealed body that counts so much under a unit.
fn sealed(unit: &str, count: u64) -> Vec<u8> {
    let start_ns = Timestamp::from_secs(NOW).nanos();
    let part = v1::WindowPart { start_ns, width_secs: 1, count, values: None };
    let series = v1::Series {
        signal: "requests".into(),
        unit: unit.into(),
        windows: vec![part],
        ..v1::Series::default()
    };
    let windows = v1::Windows { series: vec![series], ..v1::Windows::default() };
    zstd::bulk::compress(&windows.encode_to_vec(), 3).unwrap()
}

fn wire(seq: u64, body: &[u8]) -> v1::Batch {
    let epoch = stream(Kind::Windows).epoch;
    v1::Batch {
        epoch: Some(v1::Epoch { created_at_ns: epoch.created_at.nanos(), random: epoch.random }),
        service: "shop".into(),
        kind: v1::Kind::Windows.into(),
        seq,
        digest: Digest::of(body).0.to_vec(),
        format: watchkeeper_proto::FORMAT,
        body: body.to_vec().into(),
        ..v1::Batch::default()
    }
}

impl World {
    /// Buries what would count, as a version that could not read it did.
    async fn bury(&self, seq: u64, raw: Vec<u8>, fenced: bool) -> String {
        let digest = Digest::of(&raw);
        let fate = Fate::Buried { reason: "no such unit".into(), raw, fenced };
        let mut letter = batch(Kind::Windows, seq, fate);
        letter.digest = digest;
        self.commit(vec![letter]).await;
        let found = self.letters.letters().await.unwrap();
        found.letters.into_iter().find(|letter| letter.seq == seq).unwrap().id
    }

    async fn commit(&self, batches: Vec<crate::store::BatchCommit<WindowsBody>>) -> Vec<Stored> {
        let commit = WindowsCommit { batches, ..WindowsCommit::default() };
        self.store.commit_windows(commit).await.unwrap().batches
    }

    async fn retry(&self, id: &str) -> Option<Retried> {
        let (place, number) = self.letters.find(id).unwrap();
        place.retry(number).await.unwrap()
    }

    async fn n_letters(&self) -> usize {
        self.letters.letters().await.unwrap().letters.len()
    }
}

#[tokio::test]
async fn an_unreadable_batch_is_kept_and_can_be_looked_at_and_dropped() {
    let world = world();
    let body = sealed("furlong", 3);
    let reply = world.intake.batch(&AgentId::new("web-1"), wire(4, &body)).await;
    assert_eq!(reply.outcome, v1::Outcome::Refused);
    let [letter] = &world.letters.letters().await.unwrap().letters[..] else {
        panic!("one letter")
    };
    assert_eq!(
        (letter.id.as_str(), letter.place.as_str(), letter.seq),
        ("windows-1", "collector", 4)
    );
    assert!(letter.reason.contains("furlong") && letter.retryable, "{letter:?}");
    assert_eq!((letter.agent.as_str(), letter.service.as_str()), ("web-1", "shop"));
    let (place, number) = world.letters.find("windows-1").unwrap();
    assert_eq!(place.open(number).await.unwrap().unwrap().sealed, body);
    let retried = world.retry("windows-1").await.unwrap();
    assert_eq!(retried.outcome, RetryOutcome::Refused, "it is as unreadable as before");
    assert!(retried.reason.contains("furlong"), "{retried:?}");
    assert_eq!(world.n_letters().await, 1);
    assert!(place.drop_letter(number).await.unwrap());
    assert!(!place.drop_letter(number).await.unwrap());
    assert_eq!((world.n_letters().await, world.retry("windows-1").await), (0, None));
    let again = world.intake.batch(&AgentId::new("web-1"), wire(4, &body)).await;
    assert_eq!((again.outcome, world.n_letters().await), (v1::Outcome::Refused, 0));
}

#[tokio::test]
async fn what_is_readable_by_now_counts_once_however_often_it_is_tried_and_offered() {
    let world = world();
    let body = sealed("ms", 5);
    let id = world.bury(4, body.clone(), false).await;
    let agent = AgentId::new("web-1");
    let offered = || world.intake.batch(&agent, wire(4, &body));
    assert_eq!(offered().await.outcome, v1::Outcome::Refused, "by itself nothing changes");
    let (one, other) = tokio::join!(world.retry(&id), world.retry(&id));
    for retried in [one, other].into_iter().flatten() {
        assert_eq!(retried.outcome, RetryOutcome::Counted, "{retried:?}");
    }
    assert_eq!((total(&world.store), world.n_letters().await), (5, 0));
    assert_eq!(offered().await.outcome, v1::Outcome::Durable);
    assert_eq!(total(&world.store), 5);
}

#[tokio::test]
async fn behind_a_fence_no_retry_counts_also_when_the_fence_is_forgotten() {
    let world = world();
    let id = world.bury(4, sealed("ms", 5), true).await;
    let retried = world.retry(&id).await.unwrap();
    assert_eq!(retried.outcome, RetryOutcome::Refused);
    assert!(retried.reason.contains("was read again"), "{}", retried.reason);
    assert_eq!((total(&world.store), world.n_letters().await), (0, 1));
    assert!(!world.letters.letters().await.unwrap().letters[0].retryable);
}

#[tokio::test]
async fn a_letter_that_rotted_stays() {
    let world = world();
    let id = world.bury(4, sealed("ms", 5), false).await;
    let conn = rusqlite::Connection::open(world._dir.path().join("intake.db")).unwrap();
    conn.execute("UPDATE dead_letters SET body = x'00ff'", []).unwrap();
    assert_eq!(world.retry(&id).await.unwrap().outcome, RetryOutcome::Damaged);
    assert_eq!((total(&world.store), world.n_letters().await), (0, 1));
}

#[tokio::test]
async fn ids_that_name_no_place_or_number_are_nobodys() {
    let world = world();
    for id in ["", "windows", "windows-", "windows-x", "broker-1", "-1", "windows--1"] {
        assert!(world.letters.find(id).is_none(), "{id:?}");
    }
    let key = BatchKey { stream: stream(Kind::Windows), seq: 1 };
    assert!(super::Letter::of("x-1".into(), "x", &key, Digest([0; 16]), Timestamp(0)).retryable);
}

/// A place at the other end of a cable.
struct Away;

impl Place for Away {
    fn name(&self) -> &'static str {
        "broker"
    }

    fn letters(&self) -> BoxFuture<'_, Result<Listed, PlaceError>> {
        let detail = "connection refused".to_owned();
        Box::pin(async { Err(PlaceError::Unreachable { place: "broker", detail }) })
    }

    fn open(&self, _: u64) -> BoxFuture<'_, Result<Option<Opened>, PlaceError>> {
        Box::pin(async { Ok(None) })
    }

    fn retry(&self, _: u64) -> BoxFuture<'_, Result<Option<Retried>, PlaceError>> {
        Box::pin(async { Ok(None) })
    }

    fn drop_letter(&self, _: u64) -> BoxFuture<'_, Result<bool, PlaceError>> {
        Box::pin(async { Ok(false) })
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_reached_hides_nobody_elses_letters_and_is_named() {
    let world = world();
    world.bury(4, sealed("ms", 5), false).await;
    let kept = KeptLetters::new(Kind::Windows, world.store.clone(), world.intake.clone());
    let places = Places::new(vec![Box::new(Away), Box::new(kept)]);
    let found = places.letters().await.unwrap();
    assert_eq!((found.letters.len(), places.find("broker-7").is_some()), (1, true));
    assert_eq!(found.unreachable, ["dead letters of the broker: connection refused"]);
}
