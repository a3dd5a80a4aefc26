//! `custom_details`: what the person who was woken reads first.
//!
//! Owns what is in them, their order and bounds. Never sends them.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeeper_collector_core::notify::{
    Notification, NotifiedAlert, SampleEvent, SloFacts, reason_in_words,
};
use watchkeeper_model::{Labels, Timestamp};

use crate::channels::text;

/// Longest label or annotation.
const MAX_VALUE_CHARS: usize = 1_000;

/// What details are called here; the configuration can't add others under these names.
pub(super) const NAMES: [&str; 18] = [
    "alert",
    "summary",
    "reason",
    "burn_rate",
    "error_budget_left",
    "objective",
    "latest_events",
    "description",
    "hosts",
    "since",
    "told_because",
    "incident",
    "receiver",
    "num_firing",
    "num_resolved",
    "num_not_shown",
    "firing",
    "resolved",
];

/// PagerDuty shows these as a table: the worst alert in words first, then all of them for machines and the curious.
#[derive(Serialize)]
pub(super) struct Details<'a> {
    #[serde(flatten)]
    worst: Option<Worst>,
    told_because: String,
    incident: u64,
    receiver: &'a str,
    num_firing: usize,
    num_resolved: usize,
    #[serde(skip_serializing_if = "is_zero")]
    num_not_shown: usize,
    firing: Vec<Alert>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resolved: Vec<Alert>,
    /// What the configuration adds.
    #[serde(flatten)]
    own: &'a BTreeMap<String, String>,
}

/// The worst alert that fires.
#[derive(Serialize)]
struct Worst {
    alert: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    summary: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(flatten)]
    slo: Option<Slo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest_events: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hosts: String,
    since: String,
}

/// An SLO in words.
#[derive(Serialize)]
struct Slo {
    #[serde(skip_serializing_if = "String::is_empty")]
    burn_rate: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    error_budget_left: String,
    objective: String,
}

/// One alert of the group.
#[derive(Serialize)]
struct Alert {
    alert: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    severity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    data_stopped: bool,
    #[serde(flatten)]
    slo: Option<Slo>,
    #[serde(skip_serializing_if = "String::is_empty")]
    hosts: String,
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    url: String,
}

/// The details of a notification, with at most `max_alerts` alerts (0: any number).
pub(super) fn details<'a>(
    told: &'a Notification,
    max_alerts: usize,
    own: &'a BTreeMap<String, String>,
) -> Details<'a> {
    let n_kept = if max_alerts == 0 { told.alerts.len() } else { max_alerts };
    let n_kept = n_kept.min(told.alerts.len());
    let (firing, resolved): (Vec<_>, Vec<_>) =
        told.alerts[..n_kept].iter().partition(|alert| alert.firing);
    let n_firing = told.alerts.iter().filter(|alert| alert.firing).count();
    Details {
        worst: told.alerts.iter().find(|alert| alert.firing).map(|alert| worst(told, alert)),
        told_because: text::line(reason_in_words(&told.reason), 300),
        incident: told.incident,
        receiver: &told.receiver,
        num_firing: n_firing,
        num_resolved: told.alerts.len() - n_firing,
        num_not_shown: told.alerts.len() - n_kept + told.n_truncated as usize,
        firing: firing.into_iter().map(|it| alert(told, it)).collect(),
        resolved: resolved.into_iter().map(|it| alert(told, it)).collect(),
        own,
    }
}

fn worst(told: &Notification, alert: &NotifiedAlert) -> Worst {
    let mut reason = text::line(&alert.reason, 600);
    if alert.stale {
        let dot = if reason.is_empty() { "" } else { ". " };
        reason = format!("{reason}{dot}Its data have stopped: it is held as it was, not confirmed");
    }
    Worst {
        alert: text::line(alert.labels.get("alertname"), 200),
        summary: text::line(alert.annotations.get("summary"), MAX_VALUE_CHARS),
        reason,
        slo: alert.slo.as_ref().map(|facts| slo(facts, told.at, true)),
        latest_events: alert.events.iter().take(3).map(event).collect(),
        description: text::paragraph(alert.annotations.get("description"), 2_000),
        hosts: hosts(&alert.agents),
        since: since(alert.starts_at, told.at),
    }
}

fn alert(told: &Notification, alert: &NotifiedAlert) -> Alert {
    let ended = alert.ends_at.filter(|_| !alert.firing);
    Alert {
        alert: text::line(alert.labels.get("alertname"), 200),
        severity: text::line(alert.labels.get("severity"), 40),
        reason: text::line(&alert.reason, 600),
        value: alert.value.filter(|value| value.is_finite()),
        since: moment(alert.starts_at),
        until: ended.map(moment),
        data_stopped: alert.firing && alert.stale,
        slo: alert.slo.as_ref().map(|facts| slo(facts, told.at, alert.firing)),
        hosts: hosts(&alert.agents),
        labels: pairs(&alert.labels),
        annotations: pairs(&alert.annotations),
        url: text::line(&alert.generator_url, 500),
    }
}

fn slo(facts: &SloFacts, now: Timestamp, is_firing: bool) -> Slo {
    let window = text::line(&facts.window, 40);
    let rates = facts.burn.iter().filter(|(_, rate)| rate.is_finite()).take(6);
    let rates: Vec<String> = rates
        .map(|(window, rate)| format!("{} over {}", text::factor(*rate), text::span(*window)))
        .collect();
    let bad = facts.total.saturating_sub(facts.good);
    Slo {
        burn_rate: rates.join(", "),
        error_budget_left: text::budget(facts, is_firing, now, &window, moment),
        objective: format!(
            "{}% over {window}: {} bad of {}",
            facts.objective,
            text::count(bad),
            text::count(facts.total)
        ),
    }
}

/// `18:07:16 web-1 error: payment gateway timed out [req-4711, trace 4bf9…]`
fn event(event: &SampleEvent) -> String {
    let at = event.at.to_jiff().strftime("%H:%M:%S UTC");
    let (agent, name) = (text::line(&event.agent, 60), text::line(&event.name, 40));
    let message = text::line(&event.message, 400);
    let correlation = text::line(&event.correlation, 120);
    let trace = text::line(&event.trace, 120);
    let trace = if trace.is_empty() { trace } else { format!("trace {trace}") };
    let ids: Vec<String> = [correlation, trace].into_iter().filter(|id| !id.is_empty()).collect();
    let ids = if ids.is_empty() { String::new() } else { format!(" [{}]", ids.join(", ")) };
    format!("{at} {agent} {name}: {message}{ids}")
}

fn hosts(agents: &[String]) -> String {
    let shown: Vec<String> = agents.iter().take(10).map(|agent| text::line(agent, 100)).collect();
    shown.join(", ")
}

fn since(from: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", moment(from), text::span(now.since(from)))
}

/// PagerDuty shows details as they are: no reader's zone, so UTC is said.
fn moment(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    let bounded = |(name, value): (&str, &str)| {
        (text::line(name, 200), text::paragraph(value, MAX_VALUE_CHARS))
    };
    labels.iter().map(bounded).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(n: &usize) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(yes: &bool) -> bool {
    !*yes
}
