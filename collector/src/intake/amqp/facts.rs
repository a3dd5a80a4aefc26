//! What the RabbitMQ road tells about itself in the log.
//!
//! Owns wording and levels.

use watchkeeper_amqp::BrokerError;

pub(super) fn listening(address: &str) {
    tracing::info!(%address, "takes in batches from RabbitMQ");
}

pub(super) fn failed(error: &BrokerError) {
    if error.is_permanent {
        tracing::error!(%error, "no batches from RabbitMQ until this is put right; it is tried again");
    } else {
        tracing::warn!(%error, "no batches from RabbitMQ at present; it is tried again");
    }
}

pub(super) fn parked(reason: &str, n_before: u64) {
    tracing::warn!(
        %reason, n_more_before = n_before,
        "a message that can't be used was parked in the queue of dead letters at the broker"
    );
}

pub(super) fn blocked(reason: &str) {
    tracing::warn!(%reason, "the broker takes in nothing: answers to agents are left out until it does");
}

pub(super) fn unblocked(n_left_out: u64) {
    tracing::info!(n_left_out, "the broker takes in answers again");
}
