//! What the agent tells about itself in its log: one function for each thing that happens.
//!
//! Owns wording and levels of the process, delivery and sealing. Sources have facts of their own.

use watchkeeper_agent_core::deliver::{Outcome, Settled};
use watchkeeper_model::BatchKey;

use crate::spool::SpoolError;
use crate::transports::TransportError;

pub(crate) fn few_descriptors(most: u64) {
    tracing::info!(
        most,
        "log files that can be open at a time; if there are more to follow, raise `LimitNOFILE`"
    );
}

pub(crate) fn connected(road: &str) {
    tracing::info!(%road, "connected");
}

pub(crate) fn disconnected(road: &str, reason: &str) {
    tracing::info!(%road, %reason, "disconnected");
}

pub(crate) fn connection_failed(error: &TransportError) {
    if error.is_permanent {
        tracing::error!(%error, "the collector refuses this agent; batches wait in the spool");
    } else {
        tracing::warn!(%error, "no connection; batches wait in the spool");
    }
}

pub(crate) fn receipt(key: &BatchKey, outcome: &Outcome, reason: &str) {
    match outcome {
        Outcome::Durable => tracing::trace!(%key, "receipt"),
        Outcome::NotYet | Outcome::Damaged => {
            tracing::warn!(%key, ?outcome, %reason, "batch to be offered again")
        }
        Outcome::Forked | Outcome::Refused => {
            tracing::error!(%key, ?outcome, %reason, "batch not accepted")
        }
    }
}

pub(crate) fn settled(key: &BatchKey, settled: &Settled) {
    if let Settled::Refused { reason } = settled {
        tracing::error!(%key, %reason, "batch refused for good; the collector keeps it as a dead letter");
    }
}

pub(crate) fn forked(key: &BatchKey) {
    tracing::error!(%key, "another agent uses this spool's numbers (a copied machine?); going on under a new epoch");
}

pub(crate) fn reoffered(n_batches: u64) {
    tracing::warn!(
        n_batches,
        "the collector lacks batches it had receipted (restored?); offering them again"
    );
}

pub(crate) fn batch_broken(row: i64) {
    tracing::error!(
        row,
        "a batch in the spool is not what was sealed; it is lost, and reported as such"
    );
}

pub(crate) fn spool_failed(error: &SpoolError) {
    tracing::error!(%error, "spool");
}

pub(crate) fn seal_failed(error: &SpoolError) {
    tracing::error!(%error, "nothing can be sealed; counts are kept in memory and files are not read on");
}

pub(crate) fn sealing_again() {
    tracing::info!("sealing works again");
}

pub(crate) fn spool_moved() {
    tracing::warn!(
        "the spool was made on another machine or in another file; going on under a new epoch"
    );
}

pub(crate) fn source_panicked(name: &str) {
    tracing::error!(source = name, "bug: a source panicked; it is tried again");
}

pub(crate) fn patience_lost() {
    tracing::info!("no collector has answered yet; files are read from where the spool says");
}
