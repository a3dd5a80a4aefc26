//! The event, field for field as in PagerDuty's Events API v2.
//!
//! Owns what stands in which field, and its limits. Never sends it.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeeper_collector_core::notify::{Action, Notification, NotifiedAlert};
use watchkeeper_model::{Labels, Severity};

use super::details::{Details, details};
use crate::channels::text;

/// Longest summary, by PagerDuty's documents.
const MAX_SUMMARY_CHARS: usize = 1_024;

/// Longest of the other texts; PagerDuty names no limit for them.
const MAX_FIELD_CHARS: usize = 255;

/// Largest event, encoded. PagerDuty's limit is 512 KB.
pub(super) const MAX_EVENT_BYTES: usize = 512_000;

/// What stands in the place of details that are too large; the wording is Alertmanager's, which people look for.
const TOO_LARGE: &str =
    "Custom details have been removed because the original event exceeds the maximum size of 512KB";

/// Fixed texts in the place of what Watchkeeper would say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wording {
    pub(super) client: Option<String>,
    pub(super) client_url: Option<String>,
    pub(super) description: Option<String>,
    pub(super) severity: Option<Severity>,
    pub(super) source: Option<String>,
    pub(super) class: Option<String>,
    pub(super) component: Option<String>,
    pub(super) group: Option<String>,
    /// Added to the details.
    pub(super) details: BTreeMap<String, String>,
    pub(super) images: Vec<Image>,
    /// Added to the links.
    pub(super) links: Vec<Link>,
}

/// A picture shown with the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Image {
    pub(super) src: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) href: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alt: Option<String>,
}

/// A link shown with the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) text: String,
}

/// An event, and whether its details had to go.
pub(super) struct Encoded {
    pub(super) body: Vec<u8>,
    /// How large it would have been.
    pub(super) too_large: Option<usize>,
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: &'a str,
    #[serde(flatten)]
    trigger: Option<Trigger<'a>>,
}

/// What a resolve does without.
#[derive(Serialize)]
struct Trigger<'a> {
    client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<&'a str>,
    payload: Payload<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    #[serde(skip_serializing_if = "<[Image]>::is_empty")]
    images: &'a [Image],
}

#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: String,
    severity: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    component: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    class: String,
    custom_details: CustomDetails<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CustomDetails<'a> {
    Whole(Box<Details<'a>>),
    TooLarge { error: &'static str },
}

/// The event for a notification, within [`MAX_EVENT_BYTES`].
pub(super) fn encode(
    told: &Notification,
    routing_key: &str,
    wording: &Wording,
    max_alerts: usize,
) -> serde_json::Result<Encoded> {
    let mut event = event(told, routing_key, wording, max_alerts);
    let body = serde_json::to_vec(&event)?;
    if body.len() <= MAX_EVENT_BYTES {
        return Ok(Encoded { body, too_large: None });
    }
    if let Some(trigger) = &mut event.trigger {
        trigger.payload.custom_details = CustomDetails::TooLarge { error: TOO_LARGE };
    }
    Ok(Encoded { body: serde_json::to_vec(&event)?, too_large: Some(body.len()) })
}

fn event<'a>(
    told: &'a Notification,
    routing_key: &'a str,
    wording: &'a Wording,
    max_alerts: usize,
) -> Event<'a> {
    let is_close = told.action == Action::Close;
    Event {
        routing_key,
        event_action: if is_close { "resolve" } else { "trigger" },
        dedup_key: &told.dedup_key,
        trigger: (!is_close).then(|| trigger(told, wording, max_alerts)),
    }
}

fn trigger<'a>(told: &'a Notification, wording: &'a Wording, max_alerts: usize) -> Trigger<'a> {
    let own_url = web_address(&told.external_url).map(|_| told.external_url.as_str());
    Trigger {
        client: wording.client.as_deref().unwrap_or("Watchkeeper"),
        client_url: wording.client_url.as_deref().or(own_url),
        payload: payload(told, wording, max_alerts),
        links: links(told, &wording.links),
        images: &wording.images,
    }
}

fn payload<'a>(told: &'a Notification, wording: &'a Wording, max_alerts: usize) -> Payload<'a> {
    let worst = told.alerts.iter().find(|alert| alert.firing).or(told.alerts.first());
    let label = |name| worst.map_or("", |alert| alert.labels.get(name));
    let or = |fixed: &Option<String>, ours: String| {
        text::line(fixed.as_deref().unwrap_or(&ours), MAX_FIELD_CHARS)
    };
    let severity =
        wording.severity.or(worst.map(NotifiedAlert::severity)).unwrap_or(Severity::Error);
    let summary = wording.description.clone().unwrap_or_else(|| summary(told, worst));
    let details = details(told, max_alerts, &wording.details);
    Payload {
        summary: text::line(&summary, MAX_SUMMARY_CHARS),
        source: or(&wording.source, source(worst)),
        severity: severity.as_str(),
        timestamp: told.at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        component: or(&wording.component, label("service").to_owned()),
        group: or(&wording.group, plain_labels(&told.group_labels)),
        class: or(&wording.class, label("alertname").to_owned()),
        custom_details: CustomDetails::Whole(Box::new(details)),
    }
}

/// What a telephone reads out: which alert, what it means, why it fires.
fn summary(told: &Notification, worst: Option<&NotifiedAlert>) -> String {
    let Some(worst) = worst else { return "alerts without a name".into() };
    let about = about(worst);
    let n_firing = told.alerts.iter().filter(|alert| alert.firing).count();
    let n_firing = n_firing + told.n_truncated as usize;
    if n_firing < 2 {
        return about;
    }
    let group = plain_labels(&told.group_labels);
    let of = if group.is_empty() { String::new() } else { format!(" of {group}") };
    format!("{n_firing} alerts{of}, the worst: {about}")
}

fn about(alert: &NotifiedAlert) -> String {
    let name = match alert.labels.get("alertname") {
        "" => "unnamed alert",
        name => name,
    };
    let summary = text::line(alert.annotations.get("summary"), 400);
    let reason = text::line(&alert.reason, 500);
    let name = text::line(name, 100);
    match (summary.is_empty(), reason.is_empty()) {
        (true, true) => name,
        (true, false) => format!("{name}: {reason}"),
        (false, true) => format!("{name}: {summary}"),
        (false, false) => format!("{name}: {summary} — {reason}"),
    }
}

/// Where it is seen: hosts if they are known, or the service.
fn source(worst: Option<&NotifiedAlert>) -> String {
    let Some(alert) = worst else { return "watchkeeper".into() };
    if !alert.agents.is_empty() {
        return alert.agents.join(", ");
    }
    match alert.labels.get("service") {
        "" => "watchkeeper".into(),
        service => service.to_owned(),
    }
}

/// Runbook first: that is what a person needs.
fn links(told: &Notification, own: &[Link]) -> Vec<Link> {
    let mut links = Vec::new();
    let mut add = |href: &str, text: &str| {
        let href = web_address(href).filter(|href| links.iter().all(|l: &Link| l.href != *href));
        links.extend(href.map(|href| Link { href, text: text.to_owned() }));
    };
    let worst = told.alerts.iter().find(|alert| alert.firing).or(told.alerts.first());
    if let Some(alert) = worst {
        add(alert.annotations.get("runbook_url"), "Runbook");
        add(alert.annotations.get("dashboard_url"), "Dashboard");
        add(&alert.generator_url, "Alert in Watchkeeper");
    }
    add(&told.external_url, "Watchkeeper");
    links.extend_from_slice(own);
    links
}

/// An address of the web, bounded.
fn web_address(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let fits = matches!(url.scheme(), "http" | "https") && url.as_str().len() <= 2_000;
    fits.then(|| url.into())
}

/// `alertname=Slow1 service=shop`.
fn plain_labels(labels: &Labels) -> String {
    let pairs = labels.iter().take(10);
    let shown: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={}", text::line(value, 60))).collect();
    text::line(&shown.join(" "), MAX_FIELD_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples;
    use serde_json::{Value, json};

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn sent(told: &Notification, wording: &Wording) -> Value {
        serde_json::from_slice(&encode(told, KEY, wording, 0).unwrap().body).unwrap()
    }

    #[test]
    fn events_read_as_the_golden_files_show() {
        for (name, told, golden) in [
            ("slo_page", samples::slo_page(), include_str!("golden/slo_page.json")),
            ("slo_update", samples::slo_update(), include_str!("golden/slo_update.json")),
            ("group", samples::group(3), include_str!("golden/group.json")),
            ("slo_close", samples::slo_close(), include_str!("golden/slo_close.json")),
        ] {
            let wording = Wording::default();
            let shown = serde_json::to_string_pretty(&event(&told, KEY, &wording, 0)).unwrap();
            let shown = shown + "\n";
            assert_eq!(shown, golden, "golden/{name}.json should now read:\n{shown}");
        }
    }

    #[test]
    fn severity_is_pagerduty_s_word_for_the_worst_that_fires() {
        for (word, want) in [
            ("page", "critical"),
            ("critical", "critical"),
            ("error", "error"),
            ("ticket", "warning"),
            ("warning", "warning"),
            ("info", "info"),
            ("sev1", "error"),
            ("", "error"),
        ] {
            let mut told = samples::rule_page();
            told.alerts[0].labels = told.alerts[0].labels.with_one("severity", word);
            assert_eq!(sent(&told, &Wording::default())["payload"]["severity"], want, "{word:?}");
        }
    }

    #[test]
    fn fixed_texts_take_the_place_of_ours() {
        let text = |text: &str| Some(text.to_owned());
        let link = Link { href: "https://wiki.example/".into(), text: "Wiki".into() };
        let image = Image { src: "https://i.example/a.png".into(), href: None, alt: None };
        let wording = Wording {
            client: text("Acme"),
            client_url: text("https://acme.example/"),
            description: text("The shop is down"),
            severity: Some(Severity::Info),
            source: text("rack-1"),
            class: text("web"),
            component: text("checkout"),
            group: text("eu"),
            details: BTreeMap::from([("playbook".into(), "P-12".into())]),
            images: vec![image],
            links: vec![link],
        };
        let event = sent(&samples::slo_page(), &wording);
        let payload = &event["payload"];
        assert_eq!(event["client"], "Acme");
        assert_eq!(event["client_url"], "https://acme.example/");
        for (field, want) in [
            ("summary", "The shop is down"),
            ("severity", "info"),
            ("source", "rack-1"),
            ("class", "web"),
            ("component", "checkout"),
            ("group", "eu"),
        ] {
            assert_eq!(payload[field], want, "{field}");
        }
        assert_eq!(payload["custom_details"]["playbook"], "P-12");
        assert_eq!(event["images"], json!([{"src": "https://i.example/a.png"}]));
        let links = event["links"].as_array().unwrap();
        assert_eq!(links.len(), 4);
        assert_eq!(links[3], json!({"href": "https://wiki.example/", "text": "Wiki"}));
    }

    #[test]
    fn a_resolve_says_no_more_than_it_must() {
        let event = sent(&samples::slo_close(), &Wording::default());
        let want =
            json!({"routing_key": KEY, "event_action": "resolve", "dedup_key": "5d1f".repeat(16)});
        assert_eq!(event, want);
    }

    #[test]
    fn limits_hold_whatever_is_told() {
        for n_alerts in [1, 40, 1_000] {
            let told = samples::hostile(n_alerts);
            let encoded = encode(&told, KEY, &Wording::default(), 0).unwrap();
            assert!(encoded.body.len() <= MAX_EVENT_BYTES, "{} bytes", encoded.body.len());
            let event: Value = serde_json::from_slice(&encoded.body).unwrap();
            let payload = &event["payload"];
            let n_chars = |text: &Value| text.as_str().unwrap().chars().count();
            assert!(n_chars(&payload["summary"]) <= MAX_SUMMARY_CHARS);
            for field in ["source", "component", "group", "class"] {
                assert!(n_chars(&payload[field]) <= MAX_FIELD_CHARS, "{field}");
            }
            let text = String::from_utf8(encoded.body).unwrap();
            for bad in ["javascript:", "\\u0007", "\u{202e}"] {
                assert!(!text.contains(bad), "{bad} for {n_alerts} alerts");
            }
            let is_whole = encoded.too_large.is_none();
            assert_eq!(is_whole, n_alerts < 1_000);
            assert_eq!(payload["custom_details"] == json!({"error": TOO_LARGE}), !is_whole);
        }
    }

    #[test]
    fn a_long_summary_ends_in_an_ellipsis() {
        let long = Some("ä".repeat(2_000));
        let wording = Wording { description: long, ..Wording::default() };
        let event = sent(&samples::slo_page(), &wording);
        let want = format!("{}…", "ä".repeat(1_023));
        assert_eq!(event["payload"]["summary"], want);
    }

    #[test]
    fn alerts_beyond_the_limit_are_counted() {
        let mut told = samples::group(10);
        told.n_truncated = 5;
        let body = encode(&told, KEY, &Wording::default(), 4).unwrap().body;
        let event: Value = serde_json::from_slice(&body).unwrap();
        let details = &event["payload"]["custom_details"];
        assert_eq!(details["firing"].as_array().unwrap().len(), 4);
        assert_eq!(details["num_not_shown"], 11);
        assert_eq!((&details["num_firing"], &details["num_resolved"]), (&json!(9), &json!(1)));
    }

    #[test]
    fn names_of_details_that_are_taken_are_all_known() {
        let mut told = samples::slo_page();
        told.n_truncated = 1;
        told.alerts.extend(samples::slo_close().alerts);
        let event = sent(&told, &Wording::default());
        let names = event["payload"]["custom_details"].as_object().unwrap().keys();
        let mut known = super::super::details::NAMES;
        known.sort_unstable();
        assert_eq!(names.collect::<Vec<_>>(), known);
    }
}
