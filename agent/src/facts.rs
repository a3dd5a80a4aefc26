//! What the agent tells about itself in its log: one function for each thing that happens.
//!
//! Owns wording and levels of the process, delivery, sealing and reloading. Sources have facts of their own.

use watchkeeper_agent_core::deliver::{Outcome, Settled};
use watchkeeper_config::Problems;
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

pub(crate) fn letters_offered(n: u64) {
    tracing::info!(n, "dead letters are offered again, as somebody asked");
}

pub(crate) fn batch_broken(row: i64) {
    tracing::error!(
        row,
        "a batch in the spool is not what was sealed; it is lost, reported as such, and kept as a dead letter"
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

pub(crate) fn configuration_warned(warnings: &Problems) {
    if !warnings.is_empty() {
        tracing::warn!("the configuration file is good, and yet:\n{warnings}");
    }
}

pub(crate) fn configuration_bad(problems: &Problems) {
    tracing::error!(
        "the configuration file is bad and not used; the settings before go on:\n{problems}"
    );
}

pub(crate) fn reload_while_stopping() {
    tracing::info!("the agent is stopping; the configuration is not reloaded");
}

pub(crate) fn reload_waits(why: &str) {
    tracing::warn!(%why, "the configuration file is good, and is used as soon as it can be");
}

pub(crate) fn reloaded(summary: &str, needs_restart: &[&str]) {
    if needs_restart.is_empty() {
        tracing::info!("configuration reloaded: {summary}");
    } else {
        let keys = needs_restart.join(", ");
        tracing::warn!("configuration reloaded: {summary}; these need a restart: {keys}");
    }
}

pub(crate) fn places_taken_over(from: &str, to: &str) {
    tracing::info!(
        source = to,
        before = from,
        "source goes on where another one stood that read the same"
    );
}
