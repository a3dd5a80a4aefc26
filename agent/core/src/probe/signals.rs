//! The signals of a probe.
//!
//! Owns their names, units and labels. Never counts.

use watchkeeper_model::Unit;

use crate::observe::Measure;

/// Label sets a service's probes may have for each signal: a few for each probe.
pub(super) const MAX_SERIES: usize = 10_000;

/// Each attempt; the value is how long it took, and absent if nothing is known.
pub(super) const PROBE: Measure =
    Measure { name: "probe", unit: Unit::S, labels: &["probe", "result", "reason"] };

/// Each part of the way of each attempt.
pub(super) const PHASE: Measure =
    Measure { name: "probe_phase", unit: Unit::S, labels: &["probe", "phase"] };

/// Each step of a journey, as far as it went.
pub(super) const STEP: Measure =
    Measure { name: "probe_step", unit: Unit::S, labels: &["probe", "step", "result", "reason"] };

/// For how long the certificate that was shown is still valid; below zero if it has expired.
pub(super) const CERTIFICATE: Measure =
    Measure { name: "probe_certificate_expires_in", unit: Unit::S, labels: &["probe"] };

/// All of them.
pub(super) const ALL: [Measure; 4] = [PROBE, PHASE, STEP, CERTIFICATE];
