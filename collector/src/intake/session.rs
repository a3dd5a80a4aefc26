//! One agent as the intake sees it, whichever road it came by: hello, receipts, beats, bye.
//!
//! Owns what messages of an agent mean. Never knows how they travel: a road reads and writes them, and ends a session.

use std::sync::Arc;

use watchkeeper_collector_core::engine::{Beat, ByeReason, Hello, Input, Road, SourceHealth};
use watchkeeper_daemon::clock;
use watchkeeper_model::{AgentId, Timestamp};
use watchkeeper_proto::v1::to_agent::Message;
use watchkeeper_proto::{Checked as _, v1};

use super::receive::{Intake, IntakeSettings, Reply, wanted_bounds};
use crate::{facts, wire};

/// The longest agent id.
const MAX_ID_BYTES: usize = 253;
/// Sources of one beat that are looked at.
const MAX_SOURCES: usize = 1_000;

/// The longest version that is kept, and the longest text of a source.
const MAX_VERSION_CHARS: usize = 64;
const MAX_TEXT_CHARS: usize = 1_024;

/// Why an agent is not welcomed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// What it says makes no sense: saying it again does not help.
    #[error("{0}")]
    Invalid(&'static str),
    /// The store does not answer at present.
    #[error("{0}")]
    Unavailable(String),
}

/// An agent that has been welcomed.
#[derive(Clone)]
pub(super) struct Session {
    intake: Arc<Intake>,
    agent: AgentId,
    road: Road,
}

impl Session {
    /// Takes in a hello; the welcome is to be sent.
    ///
    /// # Errors
    /// If the hello makes no sense or the store does not answer.
    pub(super) async fn greet(
        intake: &Arc<Intake>,
        hello: &v1::Hello,
        road: Road,
    ) -> Result<(Self, v1::Welcome), Refusal> {
        if hello.is_damaged() {
            return Err(Refusal::Unavailable("the hello was broken on its way".to_owned()));
        }
        let session = Self::resumed(intake, &hello.agent, road)?;
        let epoch = wire::epoch_from_wire(hello.epoch.as_ref())
            .ok_or(Refusal::Invalid("a hello names its epoch"))?;
        let agent = session.agent.clone();
        let welcome = intake.hello(&agent, hello).await;
        let welcome = welcome.map_err(|e| Refusal::Unavailable(e.to_string()))?;
        facts::agent_connected(&agent, &hello.version);
        let (instance, version) = (hello.instance, cut(hello.version.clone(), MAX_VERSION_CHARS));
        let said = Input::Hello(Hello { agent, epoch, instance, version });
        intake.hub().send(said).await;
        Ok((session, welcome.checked()))
    }

    /// An agent whose hello somebody else took in.
    ///
    /// # Errors
    /// If this is no agent's id.
    pub(super) fn resumed(intake: &Arc<Intake>, agent: &str, road: Road) -> Result<Self, Refusal> {
        let fits = (1..=MAX_ID_BYTES).contains(&agent.len())
            && agent.chars().all(|c| c.is_ascii_graphic());
        if !fits {
            let text = "an agent's id has 1 to 253 printable characters, no spaces";
            return Err(Refusal::Invalid(text));
        }
        Ok(Self { intake: intake.clone(), agent: AgentId::new(agent), road })
    }

    /// Takes in one batch; the receipt may be sent.
    pub(super) async fn receipt_for(&self, batch: v1::Batch) -> v1::Receipt {
        let mut receipt = v1::Receipt {
            epoch: batch.epoch,
            service: batch.service.clone(),
            kind: batch.kind,
            seq: batch.seq,
            incarnation: self.intake.incarnation(),
            ..v1::Receipt::default()
        };
        let Reply { outcome, reason } = self.intake.batch(&self.agent, batch).await;
        watchkeeper_daemon::crash::point("collector.before_receipt");
        receipt.outcome = outcome.into();
        receipt.reason = reason;
        receipt.checked()
    }

    /// Takes in a beat.
    pub(super) async fn beat(&self, beat: v1::Beat) {
        let Some(epoch) = wire::epoch_from_wire(beat.epoch.as_ref()) else { return };
        let skew_ns = beat.sent_at_ns.saturating_sub(clock::now().nanos());
        self.intake.note_skew(&self.agent, skew_ns);
        let sources = beat.sources.into_iter().take(MAX_SOURCES);
        let beat = Beat {
            agent: self.agent.clone(),
            epoch,
            instance: beat.instance,
            sent_at: Timestamp(beat.sent_at_ns),
            version: cut(beat.version, MAX_VERSION_CHARS),
            spool_bytes: beat.spool_bytes,
            spool_max_bytes: beat.spool_max_bytes,
            lag_bytes: beat.lag_bytes,
            road: self.road,
            sources: sources
                .map(|s| SourceHealth {
                    name: cut(s.name, MAX_TEXT_CHARS),
                    kind: cut(s.kind, MAX_TEXT_CHARS),
                    state: cut(s.state, MAX_TEXT_CHARS),
                    service: cut(s.service, MAX_TEXT_CHARS),
                })
                .collect(),
        };
        self.intake.hub().send(Input::Beat(Box::new(beat))).await;
    }

    /// Takes in a bye.
    pub(super) async fn bye(&self, bye: v1::Bye) {
        let reason = match v1::bye::Reason::try_from(bye.reason) {
            Ok(v1::bye::Reason::Upgrade) => ByeReason::Upgrade,
            Ok(v1::bye::Reason::Sleep) => ByeReason::Sleep,
            Ok(v1::bye::Reason::Shutdown) => ByeReason::Shutdown,
            _ => ByeReason::Stop,
        };
        self.intake.hub().send(Input::Bye { agent: self.agent.clone(), reason }).await;
    }

    /// The road has ended, or the agent has not been heard for too long; `reason` if it was not asked for.
    pub(super) async fn end(&self, reason: Option<&str>) {
        facts::agent_gone(&self.agent, reason);
        self.intake.hub().send(Input::Disconnected { agent: self.agent.clone() }).await;
    }
}

/// The first so many characters.
fn cut(mut text: String, max_chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        text.truncate(end);
    }
    text
}

/// The bounds that SLOs and rules want now, after a reload.
pub(super) fn changed_bounds(settings: &IntakeSettings) -> Message {
    let bounds = wanted_bounds(settings);
    notice(v1::notice::Notice::Bounds(v1::BoundsChanged { bounds }))
}

/// Asks the agent to connect again.
pub(super) fn reconnect(reason: &str) -> Message {
    notice(v1::notice::Notice::Reconnect(v1::Reconnect { reason: reason.to_owned() }))
}

fn notice(notice: v1::notice::Notice) -> Message {
    Message::Notice(v1::Notice { notice: Some(notice) })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use watchkeeper_model::{Digest, Kind};
    use watchkeeper_proto::v1::Outcome;

    use super::*;
    use crate::hub::{HubQueue, channel};
    use crate::intake::restoring::settings;
    use crate::store::Store;
    use crate::store::tests::contract::total;
    use crate::store::tests::parts::{NOW, open, stream};

    struct World {
        _directory: tempfile::TempDir,
        store: Store,
        intake: Arc<Intake>,
        told: HubQueue,
    }

    fn world() -> World {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let settings = tokio::sync::watch::channel(Arc::new(settings(Vec::new()))).1;
        let (hub, told) = channel();
        let intake = Arc::new(Intake::new(store.clone(), hub, settings));
        World { _directory: directory, store, intake, told }
    }

    impl World {
        fn session(&self) -> Session {
            Session::resumed(&self.intake, "web-1", Road::Amqp).unwrap()
        }
    }

    const fn epoch() -> v1::Epoch {
        v1::Epoch { created_at_ns: 5, random: 6 }
    }

    fn hello(agent: &str) -> v1::Hello {
        let (agent, epoch) = (agent.to_owned(), Some(epoch()));
        v1::Hello { agent, epoch, instance: 9, version: "ü".repeat(100), ..v1::Hello::default() }
    }

    #[tokio::test]
    async fn who_has_no_proper_name_or_epoch_is_not_welcomed_and_nobody_hears_of_it() {
        let mut world = world();
        let nameless = ["", "web 1", "wéb", "web\n1", "\u{7f}"].map(str::to_owned);
        for agent in nameless.into_iter().chain([String::from_utf8(vec![b'a'; 254]).unwrap()]) {
            let refused = Session::greet(&world.intake, &hello(&agent), Road::Grpc).await;
            let Err(Refusal::Invalid(why)) = refused else { panic!("{agent:?}: is welcomed") };
            assert!(why.contains("1 to 253"), "{agent:?}: {why}");
            assert!(Session::resumed(&world.intake, &agent, Road::Grpc).is_err(), "{agent:?}");
        }
        let lost = v1::Hello { epoch: None, ..hello("web-1") };
        let refused = Session::greet(&world.intake, &lost, Road::Grpc).await;
        assert!(matches!(refused, Err(Refusal::Invalid(why)) if why.contains("epoch")));
        assert_eq!(world.told.inputs().len(), 0);
    }

    #[tokio::test]
    async fn a_hello_is_told_with_its_epoch_and_a_version_that_is_not_too_long() {
        let mut world = world();
        let agent = "a".repeat(253);
        let (_, welcome) = Session::greet(&world.intake, &hello(&agent), Road::Grpc)
            .await
            .map_err(|e| e.to_string())
            .unwrap();
        assert_eq!(welcome.incarnation, world.intake.incarnation());
        let [Input::Hello(told)] = &world.told.inputs()[..] else { panic!("one hello") };
        assert_eq!((told.agent.as_str(), told.instance), (agent.as_str(), 9));
        assert_eq!((told.epoch.created_at, told.epoch.random), (Timestamp(5), 6));
        assert_eq!(told.version, "ü".repeat(64));
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_is_no_fault_of_the_agent() {
        let mut world = world();
        let file = world._directory.path().join("intake.db");
        let conn = rusqlite::Connection::open(file).unwrap();
        conn.execute_batch("ALTER TABLE streams RENAME TO gone").unwrap();
        let refused = Session::greet(&world.intake, &hello("web-1"), Road::Grpc).await;
        assert!(matches!(refused, Err(Refusal::Unavailable(why)) if why.contains("streams")));
        assert_eq!(world.told.inputs().len(), 0);
    }

    fn batch(seq: u64, unit: &str) -> v1::Batch {
        let start_ns = Timestamp::from_secs(NOW).nanos();
        let part = v1::WindowPart { start_ns, width_secs: 1, count: 3, values: None };
        let (signal, unit) = ("requests".into(), unit.into());
        let series = v1::Series { signal, unit, windows: vec![part], ..v1::Series::default() };
        let windows = v1::Windows { series: vec![series], ..v1::Windows::default() };
        let body = zstd::bulk::compress(&windows.encode_to_vec(), 3).unwrap();
        let epoch = stream(Kind::Windows).epoch;
        v1::Batch {
            epoch: Some(v1::Epoch {
                created_at_ns: epoch.created_at.nanos(),
                random: epoch.random,
            }),
            service: "shop".into(),
            kind: v1::Kind::Windows.into(),
            seq,
            digest: Digest::of(&body).0.to_vec(),
            format: watchkeeper_proto::FORMAT,
            body: body.into(),
            ..v1::Batch::default()
        }
    }

    #[tokio::test]
    async fn a_receipt_names_its_batch_whatever_became_of_it() {
        let world = world();
        let session = world.session();
        let nowhere = |mut batch: v1::Batch| {
            batch.epoch = None;
            batch
        };
        let newer = |mut batch: v1::Batch| {
            batch.format += 1;
            batch
        };
        let damaged = |mut batch: v1::Batch| {
            batch.digest[0] ^= 1;
            batch
        };
        for (sentence, batch, outcome, reason) in [
            ("good", batch(1, "ms"), Outcome::Durable, ""),
            ("again", batch(1, "ms"), Outcome::Durable, ""),
            ("another of this number", batch(1, "s"), Outcome::Forked, "has this number"),
            ("of a later version", newer(batch(2, "ms")), Outcome::NotYet, "newer"),
            ("broken on the way", damaged(batch(2, "ms")), Outcome::Damaged, "digest"),
            ("never acceptable", batch(3, "furlong"), Outcome::Refused, "furlong"),
            ("never acceptable, again", batch(3, "furlong"), Outcome::Refused, "dead letter"),
            ("of no stream", nowhere(batch(4, "ms")), Outcome::Refused, "without an epoch"),
        ] {
            let receipt = session.receipt_for(batch.clone()).await;
            assert_eq!(receipt.outcome(), outcome, "{sentence}: {receipt:?}");
            assert!(receipt.reason.contains(reason), "{sentence}: {receipt:?}");
            assert_eq!(receipt.reason.is_empty(), reason.is_empty(), "{sentence}: {receipt:?}");
            let of = (receipt.epoch, &receipt.service, receipt.kind, receipt.seq);
            assert_eq!(of, (batch.epoch, &batch.service, batch.kind, batch.seq), "{sentence}");
            assert_eq!(receipt.incarnation, world.store.incarnation(), "{sentence}");
        }
        assert_eq!(total(&world.store), 3);
    }

    #[tokio::test]
    async fn a_beat_says_how_an_agent_is_and_what_is_too_much_or_impossible_does_no_harm() {
        let mut world = world();
        let session = world.session();
        let source = |n: usize| v1::SourceHealth {
            name: n.to_string(),
            state: "ü".repeat(2_000),
            ..v1::SourceHealth::default()
        };
        let beat = |sent_at_ns| v1::Beat {
            epoch: Some(epoch()),
            instance: 9,
            sent_at_ns,
            version: "ü".repeat(100),
            lag_bytes: 4,
            sources: (0..1_500).map(source).collect(),
            ..v1::Beat::default()
        };
        session.beat(v1::Beat { epoch: None, ..beat(0) }).await;
        assert_eq!(world.told.inputs().len(), 0, "nobody's");
        for sent_at_ns in [i64::MIN, 0, i64::MAX] {
            session.beat(beat(sent_at_ns)).await;
            let [Input::Beat(told)] = &world.told.inputs()[..] else { panic!("one beat") };
            assert_eq!((told.agent.as_str(), told.instance, told.lag_bytes), ("web-1", 9, 4));
            assert_eq!((told.sent_at, told.road), (Timestamp(sent_at_ns), Road::Amqp));
            assert_eq!((told.version.chars().count(), told.sources.len()), (64, 1_000));
            assert!(told.sources.iter().all(|s| s.state.chars().count() == 1_024));
            assert_eq!(told.sources.last().map(|s| s.name.as_str()), Some("999"));
        }
    }

    #[tokio::test]
    async fn why_an_agent_goes_is_told_and_what_is_not_known_is_a_stop() {
        use v1::bye::Reason;
        let mut world = world();
        let session = world.session();
        for (reason, told) in [
            (Reason::Upgrade.into(), ByeReason::Upgrade),
            (Reason::Sleep.into(), ByeReason::Sleep),
            (Reason::Shutdown.into(), ByeReason::Shutdown),
            (Reason::Stop.into(), ByeReason::Stop),
            (Reason::Unspecified.into(), ByeReason::Stop),
            (77, ByeReason::Stop),
        ] {
            session.bye(v1::Bye { reason }).await;
            let [Input::Bye { agent, reason: said }] = &world.told.inputs()[..] else {
                panic!("one bye")
            };
            assert_eq!((agent.as_str(), *said), ("web-1", told), "{reason}");
        }
        session.end(None).await;
        assert!(
            matches!(&world.told.inputs()[..], [Input::Disconnected { agent }] if agent.as_str() == "web-1")
        );
    }
}
