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
        let (instance, version) = (hello.instance, hello.version.chars().take(64).collect());
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
            version: beat.version,
            spool_bytes: beat.spool_bytes,
            spool_max_bytes: beat.spool_max_bytes,
            lag_bytes: beat.lag_bytes,
            road: self.road,
            sources: sources
                .map(|s| SourceHealth {
                    name: s.name,
                    kind: s.kind,
                    state: s.state,
                    service: s.service,
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
