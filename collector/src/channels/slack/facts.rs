//! What the Slack channel tells about itself.
//!
//! Owns the wording of its log lines. Never logs the webhook's address or a token.

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

/// The message of an incident can't be changed any more.
pub(super) struct MessageGone<'a> {
    pub(super) receiver: &'a str,
    pub(super) incident: u64,
    pub(super) error: &'a str,
}

impl MessageGone<'_> {
    pub(super) fn emit(self) {
        tracing::warn!(
            receiver = self.receiver,
            incident = self.incident,
            error = self.error,
            "slack message can't be changed any more: a new one is posted"
        );
    }
}
