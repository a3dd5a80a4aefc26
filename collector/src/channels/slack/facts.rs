//! What the Slack channel tells about itself.
//!
//! Owns the wording of its log lines. Never logs the webhook's address.

/// Slack, or something in front of it, answered what no webhook answers.
pub(super) struct StrangeAnswerSeen<'a> {
    pub(super) receiver: &'a str,
    pub(super) status: u16,
}

impl StrangeAnswerSeen<'_> {
    pub(super) fn emit(self) {
        tracing::warn!(
            receiver = self.receiver,
            status = self.status,
            "slack answered neither \"ok\" nor an error of its own: is a proxy in the way?"
        );
    }
}
