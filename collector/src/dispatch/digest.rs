//! Many deliveries as one: the notification that tells of all of them.
//!
//! Owns what stands in it: their alerts, the worst first, up to a bound, and how many there are. Never decides when: `queue`
//! does. It belongs to no incident, so no channel remembers anything of it.

use std::cmp::Reverse;

use sha2::{Digest as _, Sha256};
use watchkeeper_collector_core::notify::{Action, Notification, NotifiedAlert};
use watchkeeper_model::Labels;

use super::queue::Attempt;

/// Alerts that are named: channels show fewer still, and count the rest.
const MAX_ALERTS: usize = 100;

/// The one notification for all of them; they are not none.
pub(super) fn notification(attempts: &[Attempt]) -> Option<Notification> {
    let told = || attempts.iter().map(|attempt| &*attempt.delivery.notification);
    let latest = told().max_by_key(|told| told.at)?;
    let mut alerts: Vec<NotifiedAlert> = told().flat_map(|told| told.alerts.clone()).collect();
    let n_before: usize = told().map(|told| told.n_truncated as usize).sum();
    alerts.sort_by_key(|alert| (Reverse(alert.firing), Reverse(alert.severity()), alert.starts_at));
    let n_truncated = n_before + alerts.len().saturating_sub(MAX_ALERTS);
    alerts.truncate(MAX_ALERTS);
    let is_over = told().all(|told| told.action == Action::Close);
    let n = attempts.len();
    Some(Notification {
        receiver: latest.receiver.clone(),
        group_key: format!("digest of {n}"),
        dedup_key: dedup_key(attempts),
        incident: 0,
        action: if is_over { Action::Close } else { Action::Open },
        reason: format!("{n} incidents in one message: too many at once for one each"),
        at: latest.at,
        group_labels: common(told().map(|told| &told.group_labels)),
        alerts,
        n_truncated: u32::try_from(n_truncated).unwrap_or(u32::MAX),
        external_url: latest.external_url.clone(),
        memory: None,
    })
}

/// The same when the same are told together again.
fn dedup_key(attempts: &[Attempt]) -> String {
    let mut hash = Sha256::new();
    for attempt in attempts {
        hash.update(attempt.delivery.id.to_be_bytes());
        hash.update(&attempt.delivery.notification.dedup_key);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What all groups share.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else { return Labels::default() };
    let mut shared: Vec<(&str, &str)> = first.iter().collect();
    for set in sets {
        shared.retain(|(name, value)| set.get(name) == *value);
    }
    Labels::new(shared)
}
