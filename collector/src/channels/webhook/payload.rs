//! The body of Alertmanager's webhook, version 4, field for field.
//!
//! Owns names, order and bounds of that JSON. Never sends it.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeeper_collector_core::notify::{Notification, NotifiedAlert};
use watchkeeper_model::Labels;

use crate::channels::text;

/// What stands for "not ended" in Alertmanager's JSON: Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Longest label value or annotation that is sent.
const MAX_VALUE_CHARS: usize = 16 * 1024;

/// Largest body: alerts beyond it are left out and counted, the least severe first.
pub(super) const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A body and what had to be left out of it.
pub(super) struct Encoded {
    pub(super) body: Vec<u8>,
    pub(super) n_left_out: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: u64,
    status: &'static str,
    receiver: String,
    group_labels: Pairs,
    common_labels: Pairs,
    common_annotations: Pairs,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    #[serde(rename = "notification_reason")]
    notification_reason: &'a str,
    alerts: &'a [Alert<'a>],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: Pairs,
    annotations: Pairs,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: &'a str,
}

type Pairs = BTreeMap<String, String>;

/// The body for a notification, with at most `max_alerts` alerts (0: any number) and [`MAX_BODY_BYTES`].
pub(super) fn encode(
    notification: &Notification,
    max_alerts: usize,
) -> serde_json::Result<Encoded> {
    let all = &notification.alerts;
    let mut n_kept = if max_alerts == 0 { all.len() } else { all.len().min(max_alerts) };
    let alerts: Vec<Alert<'_>> = all[..n_kept].iter().map(alert).collect();
    loop {
        let n_left_out = all.len() - n_kept;
        let body = serde_json::to_vec(&body(notification, &alerts[..n_kept], n_left_out))?;
        if body.len() <= MAX_BODY_BYTES || n_kept <= 1 {
            return Ok(Encoded { body, n_left_out });
        }
        n_kept = (n_kept * MAX_BODY_BYTES / body.len()).clamp(1, n_kept - 1);
    }
}

fn body<'a>(told: &'a Notification, alerts: &'a [Alert<'a>], n_left_out: usize) -> Body<'a> {
    Body {
        version: "4",
        group_key: &told.group_key,
        truncated_alerts: u64::from(told.n_truncated) + n_left_out as u64,
        status: status(told.alerts.iter().any(|alert| alert.firing)),
        receiver: quoted(&told.receiver),
        group_labels: pairs(&told.group_labels),
        common_labels: common(told.alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(told.alerts.iter().map(|alert| &alert.annotations)),
        external_url: &told.external_url,
        notification_reason: &told.reason,
        alerts,
    }
}

fn alert(alert: &NotifiedAlert) -> Alert<'_> {
    let ended = alert.ends_at.filter(|_| !alert.firing);
    Alert {
        status: status(alert.firing),
        labels: pairs(&alert.labels),
        annotations: pairs(&alert.annotations),
        starts_at: alert.starts_at.rfc3339(),
        ends_at: ended.map_or_else(|| NEVER.to_owned(), |at| at.rfc3339()),
        generator_url: &alert.generator_url,
        fingerprint: &alert.fingerprint,
    }
}

const fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

fn pairs(labels: &Labels) -> Pairs {
    labels.iter().map(|(name, value)| (name.to_owned(), bounded(value))).collect()
}

/// A value as it is, unless it is longer than anybody reads.
fn bounded(value: &str) -> String {
    if value.len() <= MAX_VALUE_CHARS {
        value.to_owned()
    } else {
        text::paragraph(value, MAX_VALUE_CHARS)
    }
}

/// What all of them share.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Pairs {
    let Some(first) = sets.next() else { return Pairs::new() };
    let mut shared: Vec<(&str, &str)> = first.iter().collect();
    for set in sets {
        shared.retain(|(name, value)| set.get(name) == *value);
    }
    shared.into_iter().map(|(name, value)| (name.to_owned(), bounded(value))).collect()
}

/// Alertmanager gives the receiver's name quoted as a regular expression; templates and scripts rely on it.
fn quoted(receiver: &str) -> String {
    let mut quoted = String::with_capacity(receiver.len());
    for c in receiver.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples;
    use serde_json::{Value, json};

    fn value(notification: &Notification, max_alerts: usize) -> Value {
        serde_json::from_slice(&encode(notification, max_alerts).unwrap().body).unwrap()
    }

    #[test]
    fn the_body_is_version_4_field_for_field() {
        assert_eq!(
            value(&samples::rule_page(), 0),
            json!({
                "version": "4",
                "groupKey": "{}:{alertname=\"ShopSlow\", service=\"shop\"}",
                "truncatedAlerts": 0,
                "status": "firing",
                "receiver": "chat",
                "groupLabels": {"alertname": "ShopSlow", "service": "shop"},
                "commonLabels": {"alertname": "ShopSlow", "service": "shop", "severity": "warning"},
                "commonAnnotations": {"summary": "Pages load slowly"},
                "externalURL": "http://127.0.0.1:7700",
                "notification_reason": "new alert in the group",
                "alerts": [{
                    "status": "firing",
                    "labels": {"alertname": "ShopSlow", "service": "shop", "severity": "warning"},
                    "annotations": {"summary": "Pages load slowly"},
                    "startsAt": "2026-11-22T18:03:07Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://127.0.0.1:7700/alerts/00000000000000aa",
                    "fingerprint": "00000000000000aa",
                }],
            })
        );
    }

    #[test]
    fn an_alert_that_ended_says_when() {
        let body = value(&samples::slo_close(), 0);
        assert_eq!(body["status"], "resolved");
        assert_eq!(body["alerts"][0]["status"], "resolved");
        assert_eq!(body["alerts"][0]["endsAt"], "2026-11-22T18:26:07Z");
    }

    #[test]
    fn only_what_all_alerts_share_is_common() {
        let body = value(&samples::group(3), 0);
        assert_eq!(body["commonLabels"], json!({"service": "shop", "severity": "warning"}));
    }

    #[test]
    fn alerts_beyond_the_limit_are_counted() {
        let mut notification = samples::group(10);
        notification.n_truncated = 5;
        let body = value(&notification, 4);
        assert_eq!(body["alerts"].as_array().unwrap().len(), 4);
        assert_eq!(body["truncatedAlerts"], 11);
    }

    #[test]
    fn a_body_too_large_loses_its_last_alerts_and_says_so() {
        let encoded = encode(&samples::hostile(1_000), 0).unwrap();
        assert!(encoded.body.len() <= MAX_BODY_BYTES, "{} bytes", encoded.body.len());
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        let n_told = body["alerts"].as_array().unwrap().len() as u64;
        assert!(n_told >= 1 && encoded.n_left_out > 0);
        assert_eq!(n_told + body["truncatedAlerts"].as_u64().unwrap(), 1_000);
    }

    #[test]
    fn the_receiver_is_quoted_as_alertmanager_does() {
        assert_eq!(quoted("team.web-1 (eu)"), r"team\.web-1 \(eu\)");
    }
}
