//! What the collector tells about itself in its log: one function for each thing that happens at intake and around the
//! engine. Channels have facts of their own.
//!
//! Owns wording and levels.

use watchkeeper_collector_core::engine::Fact;
use watchkeeper_model::{AgentId, BatchKey, Epoch};
use watchkeeper_proto::v1::Outcome;

use crate::intake::Reply;
use crate::store::StoreError;

pub(crate) fn agent_connected(agent: &AgentId, version: &str) {
    tracing::info!(%agent, version, "agent connected");
}

pub(crate) fn agent_gone(agent: &AgentId, reason: Option<&str>) {
    match reason {
        None => tracing::info!(%agent, "agent disconnected"),
        Some(reason) => tracing::info!(%agent, reason, "agent's connection broke"),
    }
}

pub(crate) fn batch_answered(key: &BatchKey, reply: &Reply, traceparent: &str) {
    match reply.outcome {
        Outcome::Durable => tracing::debug!(%key, traceparent, "batch counted"),
        Outcome::NotYet | Outcome::Damaged => {
            tracing::warn!(%key, traceparent, reason = reply.reason, "batch to be offered again");
        }
        _ => {
            tracing::error!(%key, traceparent, outcome = ?reply.outcome, reason = reply.reason, "batch not accepted")
        }
    }
}

pub(crate) fn intake_failed(key: &BatchKey, error: &StoreError) {
    tracing::error!(%key, %error, "batch could not be stored");
}

pub(crate) fn dead_letters_uncounted(error: &StoreError) {
    tracing::error!(%error, "dead letters could not be counted");
}

pub(crate) fn agent_row_unreadable(agent: &AgentId, error: &serde_json::Error) {
    tracing::error!(%agent, %error, "bug: what was stored of this agent cannot be read; its fences are gone");
}

pub(crate) fn fenced_off(agent: &AgentId, epoch: Epoch, n_lost: usize) {
    if n_lost == 0 {
        tracing::info!(%agent, %epoch, "an agent nobody knew");
    } else {
        tracing::warn!(
            %agent, %epoch, n_lost,
            "this agent lost its spool; batches of earlier ones that reach further than it was told are not counted"
        );
    }
}

pub(crate) fn ledger_failed(error: &StoreError) {
    tracing::error!(%error, "the ledger cannot be written; pages go out all the same, marked unrecorded");
}

pub(crate) fn decided(fact: &Fact) {
    match fact {
        Fact::AlertMoved { .. } => tracing::info!("{fact}"),
        Fact::WordingFailed { .. } => tracing::warn!("{fact}"),
        _ => tracing::debug!("{fact}"),
    }
}

pub(crate) fn letters_dropped(n: u64) {
    tracing::error!(
        n,
        "dead letters were given up: there were too many, too large or too old ones; they are not counted"
    );
}

pub(crate) fn upkeep_failed(error: &StoreError) {
    tracing::error!(%error, "upkeep of the store");
}
