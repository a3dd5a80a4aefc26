//! What is said about one alert.
//!
//! Owns its mood, its words and the blocks of a message that is about it alone. Never knows of other alerts.

use watchkeeper_collector_core::notify::{
    Action, Notification, NotifiedAlert, SampleEvent, SloFacts, reason_in_words,
};
use watchkeeper_model::Severity;

use super::markup::{self, Block, Sheet};
use crate::channels::text;

/// What a message or a line of it is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Firing(Severity),
    Resolved,
    /// Closed here although it goes on: routed elsewhere, or deleted.
    Closed,
}

impl Mood {
    pub(super) fn of(told: &Notification) -> Self {
        match (told.worst_firing(), told.action) {
            (Some(_), Action::Close) => Self::Closed,
            (Some(severity), _) => Self::Firing(severity),
            // What it was about is not known any more: nobody can say that it is well.
            (None, Action::Close) if told.alerts.is_empty() => Self::Closed,
            (None, _) => Self::Resolved,
        }
    }

    pub(super) fn of_alert(alert: &NotifiedAlert) -> Self {
        if alert.firing { Self::Firing(alert.severity()) } else { Self::Resolved }
    }

    pub(super) const fn emoji(self) -> &'static str {
        match self {
            Self::Firing(Severity::Critical) => "🔴",
            Self::Firing(Severity::Error) => "🟠",
            Self::Firing(Severity::Warning) => "🟡",
            Self::Firing(Severity::Info) => "🔵",
            Self::Resolved => "✅",
            Self::Closed => "⚪",
        }
    }

    pub(super) const fn color(self) -> &'static str {
        match self {
            Self::Firing(Severity::Critical) => "#d32f2f",
            Self::Firing(Severity::Error) => "#f57c00",
            Self::Firing(Severity::Warning) => "#fbc02d",
            Self::Firing(Severity::Info) => "#1976d2",
            Self::Resolved => "#2e7d32",
            Self::Closed => "#9e9e9e",
        }
    }
}

/// The severity as the alert's owner calls it.
pub(super) fn severity_word(alert: &NotifiedAlert) -> String {
    match alert.labels.get("severity") {
        "" => "ALERT".into(),
        word => text::line(word, 20).to_uppercase(),
    }
}

pub(super) fn name(alert: &NotifiedAlert) -> &str {
    match alert.labels.get("alertname") {
        "" => "unnamed alert",
        name => name,
    }
}

/// What is the matter, in words: our reason, or what its owner says.
pub(super) fn matter(alert: &NotifiedAlert) -> &str {
    match (alert.reason.as_str(), alert.annotations.get("summary")) {
        ("", summary) => summary,
        (reason, _) => reason,
    }
}

/// Everything about one alert.
pub(super) fn single(sheet: &mut Sheet, told: &Notification, alert: &NotifiedAlert) {
    let mood = Mood::of(told);
    sheet.add_text(lead(told, alert, mood));
    sheet.add(Block::fields(fields(told, alert, mood)));
    if matches!(mood, Mood::Firing(_)) {
        sheet.add_text(events(&alert.events));
        sheet.add_text(markup::paragraph(alert.annotations.get("description"), 1_500));
    }
}

fn lead(told: &Notification, alert: &NotifiedAlert, mood: Mood) -> String {
    let mut lines = Vec::new();
    let summary = markup::line(alert.annotations.get("summary"), 500);
    if !summary.is_empty() {
        lines.push(format!("*{summary}*"));
    }
    let is_cut = alert.reason.chars().count() > 80;
    match mood {
        Mood::Closed => {
            let why = markup::line(reason_in_words(&told.reason), 300);
            lines.push(format!("It is still firing, but no longer told here: {why}"));
        }
        Mood::Firing(_) if !is_cut => {}
        Mood::Firing(_) | Mood::Resolved => lines.push(markup::line(&alert.reason, 600)),
    }
    if alert.firing && alert.stale {
        lines.push("⚠️ Its data have stopped: it is held as it was, not confirmed.".into());
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn fields(told: &Notification, alert: &NotifiedAlert, mood: Mood) -> Vec<String> {
    let mut fields = Vec::new();
    let mut add = |label: &str, value: String| {
        if !value.is_empty() {
            fields.push(format!("*{label}*\n{value}"));
        }
    };
    if let Some(slo) = &alert.slo {
        if matches!(mood, Mood::Firing(_)) {
            add("Burn rate", text::burn(slo));
        }
        let is_firing = matches!(mood, Mood::Firing(_));
        let window = markup::line(&slo.window, 40);
        let left = text::budget(slo, is_firing, told.at, &window, markup::moment);
        add("Error budget left", left);
    }
    match mood {
        Mood::Resolved => {
            let until = alert.ends_at.unwrap_or(told.at);
            let (from, until) = (markup::moment(alert.starts_at), markup::clock(until));
            add("Lasted", format!("{} ({from} to {until})", lasted(told, alert)));
        }
        _ => add("Since", markup::since(alert.starts_at)),
    }
    if let Some(slo) = &alert.slo {
        add("Objective", objective(slo));
    }
    if let (Some(value), true) = (alert.value, alert.reason.is_empty()) {
        add("Value", format!("{value}"));
    }
    add("Service", markup::code(alert.labels.get("service"), 70));
    add(if alert.agents.len() == 1 { "Host" } else { "Hosts" }, hosts(&alert.agents));
    fields
}

fn objective(slo: &SloFacts) -> String {
    let (bad, total) = (slo.total.saturating_sub(slo.good), slo.total);
    let window = markup::line(&slo.window, 40);
    let (bad, total) = (text::count(bad), text::count(total));
    format!("{}% over {window}: {bad} bad of {total}", slo.objective)
}

pub(super) fn hosts(agents: &[String]) -> String {
    let shown: Vec<String> = agents.iter().take(10).map(|agent| markup::code(agent, 50)).collect();
    shown.join(" ")
}

/// The latest events with the ids that tie them to traces.
pub(super) fn events(events: &[SampleEvent]) -> String {
    if events.is_empty() {
        return String::new();
    }
    let mut lines = vec!["*Latest events*".to_owned()];
    lines.extend(events.iter().take(3).map(|event| {
        let (at, agent) = (markup::clock(event.at), markup::code(&event.agent, 40));
        let (name, message) = (markup::line(&event.name, 40), markup::line(&event.message, 300));
        let mut line = format!("• {at} {agent} {name}: {message}");
        for (what, id) in [("", &event.correlation), ("trace ", &event.trace)] {
            if !id.is_empty() {
                line = format!("{line}  {what}{}", markup::code(id, 120));
            }
        }
        line
    }));
    lines.join("\n")
}

/// How long a resolved alert was firing.
pub(super) fn lasted(told: &Notification, alert: &NotifiedAlert) -> String {
    text::span(alert.ends_at.unwrap_or(told.at).since(alert.starts_at))
}

pub(super) fn runbook(alert: &NotifiedAlert) -> Option<String> {
    let url = alert.annotations.get("runbook_url");
    markup::web_address(url).map(|_| markup::link(url, "Runbook"))
}
