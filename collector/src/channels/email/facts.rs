//! What e-mail tells about itself.
//!
//! Owns the wording of its log lines. Never logs a mail's content or credentials.

/// Some recipients were told, these were not and won't be.
pub(super) struct RecipientsRefused<'a> {
    pub(super) receiver: &'a str,
    pub(super) incident: u64,
    pub(super) n_lost: usize,
    pub(super) n_recipients: usize,
    pub(super) refused: &'a str,
}

impl RecipientsRefused<'_> {
    pub(super) fn emit(self) {
        tracing::warn!(
            receiver = self.receiver,
            incident = self.incident,
            n_lost = self.n_lost,
            n_recipients = self.n_recipients,
            refused = self.refused,
            "mail refused for some of its recipients"
        );
    }
}
