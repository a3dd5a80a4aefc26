//! A notification as one line of JSON.
//!
//! Owns names and bounds of that line. Never writes it.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeeper_collector_core::notify::{Action, Notification, NotifiedAlert};
use watchkeeper_model::Labels;

use crate::channels::text;

/// The longest text that is kept of each value.
const MAX_CHARS: usize = 2_000;

/// The longest line: alerts beyond it are left out and counted, the least severe first.
pub(super) const MAX_LINE_BYTES: usize = 256 * 1024;

/// Names of alerts in the short form.
const MAX_NAMES: usize = 20;

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    receiver: &'a str,
    incident: u64,
    incident_key: &'a str,
    action: &'static str,
    reason: &'a str,
    group: BTreeMap<&'a str, String>,
    alerts: &'a [Alert<'a>],
    alerts_left_out: usize,
}

#[derive(Serialize)]
struct Alert<'a> {
    fingerprint: &'a str,
    firing: bool,
    labels: BTreeMap<&'a str, String>,
    annotations: BTreeMap<&'a str, String>,
    starts_at: String,
    ends_at: Option<String>,
    reason: String,
    value: Option<f64>,
    url: &'a str,
}

/// `open`, `update` or `close`.
pub(super) const fn action(told: &Notification) -> &'static str {
    match told.action {
        Action::Open => "open",
        Action::Update => "update",
        Action::Close => "close",
    }
}

/// `ShopSlow (3), NoCheckouts`, and how many more.
pub(super) fn names(told: &Notification) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for alert in &told.alerts {
        let name = alert.labels.get("alertname");
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, n)) => *n += 1,
            None => counts.push((name, 1)),
        }
    }
    let more = counts.len().saturating_sub(MAX_NAMES);
    let shown = counts.into_iter().take(MAX_NAMES).map(|(name, n)| match n {
        1 => text::line(name, 100),
        n => format!("{} ({n})", text::line(name, 100)),
    });
    let mut names: Vec<String> = shown.collect();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

/// The line, with the line break at its end.
pub(super) fn line(told: &Notification) -> serde_json::Result<Vec<u8>> {
    let alerts: Vec<Alert<'_>> = told.alerts.iter().map(alert).collect();
    let mut n_kept = alerts.len();
    loop {
        let n_left_out = alerts.len() - n_kept;
        let mut line = serde_json::to_vec(&Line {
            at: told.at.rfc3339(),
            receiver: &told.receiver,
            incident: told.incident,
            incident_key: &told.dedup_key,
            action: action(told),
            reason: &told.reason,
            group: pairs(&told.group_labels),
            alerts: &alerts[..n_kept],
            alerts_left_out: told.n_truncated as usize + n_left_out,
        })?;
        if line.len() < MAX_LINE_BYTES || n_kept <= 1 {
            line.push(b'\n');
            return Ok(line);
        }
        n_kept = (n_kept * MAX_LINE_BYTES / line.len()).clamp(1, n_kept - 1);
    }
}

fn alert(alert: &NotifiedAlert) -> Alert<'_> {
    Alert {
        fingerprint: &alert.fingerprint,
        firing: alert.firing,
        labels: pairs(&alert.labels),
        annotations: pairs(&alert.annotations),
        starts_at: alert.starts_at.rfc3339(),
        ends_at: alert.ends_at.map(watchkeeper_model::Timestamp::rfc3339),
        reason: text::line(&alert.reason, MAX_CHARS),
        value: alert.value.filter(|value| value.is_finite()),
        url: &alert.generator_url,
    }
}

fn pairs(labels: &Labels) -> BTreeMap<&str, String> {
    labels.iter().map(|(name, value)| (name, text::paragraph(value, MAX_CHARS))).collect()
}
