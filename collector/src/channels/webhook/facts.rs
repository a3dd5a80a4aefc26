//! What the webhook tells about itself.
//!
//! Owns the wording of its log lines. Never logs a URL or a body.

/// A body went out without some of its alerts.
pub(super) struct AlertsLeftOut<'a> {
    pub(super) receiver: &'a str,
    pub(super) n_left_out: usize,
    pub(super) max_alerts: usize,
}

impl AlertsLeftOut<'_> {
    pub(super) fn emit(self) {
        tracing::debug!(
            receiver = self.receiver,
            n_left_out = self.n_left_out,
            max_alerts = self.max_alerts,
            "webhook body left alerts out"
        );
    }
}
