//! What the log channel writes to the collector's log.
//!
//! Owns the wording of that line. Never logs more than a line's worth of a notification.

use watchkeeper_collector_core::notify::Notification;

use crate::channels::text;

/// How much of foreign text is logged.
const MAX_CHARS: usize = 1_000;

/// A receiver is told by this line.
pub(super) struct NotificationTold<'a> {
    pub(super) told: &'a Notification,
    pub(super) action: &'static str,
    pub(super) alerts: String,
}

impl NotificationTold<'_> {
    pub(super) fn emit(self) {
        let Self { told, action, alerts } = self;
        let worst = told.alerts.first();
        let says = worst.map_or("", |alert| alert.reason.as_str());
        tracing::info!(
            receiver = told.receiver,
            incident = told.incident,
            action,
            why = text::line(&told.reason, MAX_CHARS),
            group = text::line(&told.group_key, MAX_CHARS),
            alerts,
            says = text::line(says, MAX_CHARS),
            url = worst.map_or("", |alert| alert.generator_url.as_str()),
            "notification"
        );
    }
}
