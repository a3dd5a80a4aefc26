//! What the PagerDuty channel tells about itself.
//!
//! Owns the wording of its log lines. Never logs a routing key.

/// An event went out without its details.
pub(super) struct DetailsLeftOut<'a> {
    pub(super) receiver: &'a str,
    pub(super) n_bytes: usize,
}

impl DetailsLeftOut<'_> {
    pub(super) fn emit(self) {
        tracing::warn!(
            receiver = self.receiver,
            n_bytes = self.n_bytes,
            "pagerduty event too large: its details were left out"
        );
    }
}

/// An incident goes on under another routing key than it was opened with.
pub(super) struct RoutingKeyChanged<'a> {
    pub(super) receiver: &'a str,
    pub(super) incident: u64,
}

impl RoutingKeyChanged<'_> {
    pub(super) fn emit(self) {
        tracing::warn!(
            receiver = self.receiver,
            incident = self.incident,
            "routing key changed while an incident was open: what was opened with the old one has to be resolved by hand"
        );
    }
}
