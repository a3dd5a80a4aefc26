//! What a mail says, before it has a form.
//!
//! Owns which facts stand in it, in which words, and what is left out when there is too much. Everything here is plain
//! text within bounds, without control characters; `plain` and `html` give it a form, and `html` escapes it.

use std::time::Duration;

use watchkeeper_collector_core::notify::{
    Action, Notification, NotifiedAlert, SampleEvent, SloFacts, reason_in_words,
};
use watchkeeper_model::{Labels, Severity, Timestamp};

use crate::channels::text;

/// Alerts of a group that are listed one by one.
const MAX_LISTED: usize = 20;

/// The longest address that is made a link.
const MAX_LINK_CHARS: usize = 1_000;

/// Labels everybody sees elsewhere in the mail.
const SHOWN_ELSEWHERE: [&str; 3] = ["alertname", "severity", "service"];

/// What a mail or a line of it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Firing(Severity),
    Resolved,
    /// Closed here although it goes on: routed elsewhere, or deleted.
    Closed,
}

impl Tone {
    pub(super) fn of(told: &Notification) -> Self {
        match (told.worst_firing(), told.action) {
            (Some(_), Action::Close) => Self::Closed,
            (Some(severity), _) => Self::Firing(severity),
            (None, _) => Self::Resolved,
        }
    }

    fn of_alert(alert: &NotifiedAlert) -> Self {
        if alert.firing { Self::Firing(alert.severity()) } else { Self::Resolved }
    }
}

/// A word and what it stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) value: String,
    /// The share of the error budget left, to be drawn.
    pub(super) bar: Option<f64>,
}

/// One of several alerts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) tone: Tone,
    pub(super) badge: String,
    pub(super) title: String,
    pub(super) matter: String,
    pub(super) details: String,
    pub(super) link: Option<String>,
}

/// An event of the service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    /// Time, agent and name.
    pub(super) head: String,
    pub(super) message: String,
    /// Ids that tie it to a request or trace; "" if none.
    pub(super) ids: String,
}

/// Where to go from here.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link {
    pub(super) label: &'static str,
    pub(super) url: String,
}

/// The content of a mail.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) tone: Tone,
    /// `PAGE`, `RESOLVED`, `CLOSED HERE`.
    pub(super) badge: String,
    pub(super) title: String,
    /// What is the matter, in one sentence with numbers.
    pub(super) matter: String,
    /// What its owner calls it.
    pub(super) summary: String,
    /// What must not be overlooked.
    pub(super) notes: Vec<String>,
    pub(super) facts: Vec<Fact>,
    pub(super) items: Vec<Item>,
    pub(super) n_more: usize,
    pub(super) events: Vec<Event>,
    pub(super) description: String,
    pub(super) links: Vec<Link>,
    pub(super) footer: Vec<String>,
}

impl Report {
    /// The content for a notification; `refused` are recipients the server did not take.
    pub(super) fn of(told: &Notification, refused: &[String]) -> Self {
        let tone = Tone::of(told);
        let mut report = match told.alerts.as_slice() {
            [only] if told.n_truncated == 0 => single(told, only, tone),
            _ => group(told, tone),
        };
        if tone == Tone::Closed {
            let why = text::line(reason_in_words(&told.reason), 300);
            report.notes.insert(0, format!("Still firing, but no longer told here: {why}."));
        }
        if !refused.is_empty() {
            let who = text::line(&refused.join(", "), 300);
            report.notes.push(format!("The mail server refused this mail for {who}."));
        }
        let link = |(label, url)| web_address(url).map(|url| Link { label, url });
        let own = match told.alerts.as_slice() {
            [only] => vec![
                ("Runbook", only.annotations.get("runbook_url")),
                ("Dashboard", only.annotations.get("dashboard_url")),
                ("Alert", only.generator_url.as_str()),
            ],
            _ => Vec::new(),
        };
        let all = own.into_iter().chain([("Watchkeeper", told.external_url.as_str())]);
        report.links = all.filter_map(link).collect();
        report
    }

    /// The first words, for lists of mails and lock screens.
    pub(super) fn opening(&self) -> String {
        let parts = [&self.matter, &self.summary];
        let parts: Vec<&str> =
            parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
        text::line(&parts.join(" — "), 200)
    }
}

/// A badge with the word for an update, where it is one.
fn badge(told: &Notification, word: &str) -> String {
    if told.action == Action::Update { format!("{word} · UPDATE") } else { word.to_owned() }
}

fn single(told: &Notification, alert: &NotifiedAlert, tone: Tone) -> Report {
    let is_firing = matches!(tone, Tone::Firing(_));
    let summary = text::line(alert.annotations.get("summary"), 500);
    let reason = text::line(&alert.reason, 600);
    let (badge, matter) = match tone {
        Tone::Firing(_) => (badge(told, &severity_word(alert)), reason),
        Tone::Resolved => ("RESOLVED".into(), format!("over after {}", lasted(told, alert))),
        Tone::Closed => ("CLOSED HERE".into(), reason),
    };
    let mut notes = Vec::new();
    if alert.firing && alert.stale {
        notes.push("Its data have stopped: it is held as it was, not confirmed.".to_owned());
    }
    let description = text::paragraph(alert.annotations.get("description"), 3_000);
    Report {
        tone,
        badge,
        title: text::line(name(alert), 100),
        matter,
        summary,
        notes,
        facts: facts(told, alert, tone),
        items: Vec::new(),
        n_more: 0,
        events: if is_firing { events(&alert.events) } else { Vec::new() },
        description: if is_firing { description } else { String::new() },
        links: Vec::new(),
        footer: footer(told, &alert.labels),
    }
}

fn group(told: &Notification, tone: Tone) -> Report {
    let n_firing = told.alerts.iter().filter(|alert| alert.firing).count();
    let n_resolved = told.alerts.len() - n_firing;
    let (badge, mut matter) = match tone {
        Tone::Firing(worst) => {
            let worst = told.alerts.iter().find(|alert| alert.firing && alert.severity() == worst);
            let word = worst.map_or_else(String::new, severity_word);
            let resolved =
                if n_resolved > 0 { format!(", {n_resolved} resolved") } else { String::new() };
            (self::badge(told, &word), format!("{n_firing} firing{resolved}"))
        }
        Tone::Resolved => ("RESOLVED".into(), format!("all {} alerts are over", n_resolved)),
        Tone::Closed => ("CLOSED HERE".into(), format!("{n_firing} still firing")),
    };
    if told.n_truncated > 0 {
        matter = format!("{matter}, {} more", told.n_truncated);
    }
    let items: Vec<Item> =
        told.alerts.iter().take(MAX_LISTED).map(|alert| item(told, alert)).collect();
    let worst = told.alerts.first().filter(|alert| alert.firing);
    Report {
        tone,
        badge,
        title: group_title(told),
        matter,
        summary: String::new(),
        notes: Vec::new(),
        facts: Vec::new(),
        n_more: told.alerts.len() - items.len() + told.n_truncated as usize,
        items,
        events: worst.map_or_else(Vec::new, |alert| events(&alert.events)),
        description: String::new(),
        links: Vec::new(),
        footer: footer(told, &told.group_labels),
    }
}

/// What a group is called as long as it lives: `shop-availability (shop)`, `Alerts (shop)`.
pub(super) fn group_title(told: &Notification) -> String {
    let labels = &told.group_labels;
    let name = match labels.get("alertname") {
        "" => "Alerts".to_owned(),
        name => text::line(name, 80),
    };
    let service = Some(labels.get("service")).filter(|service| !service.is_empty());
    let others = labels.iter().filter(|(name, _)| !matches!(*name, "alertname" | "service"));
    let others = others.take(4).map(|(name, value)| format!("{name}={value}"));
    let about: Vec<String> = service.map(str::to_owned).into_iter().chain(others).collect();
    let about = text::line(&about.join(", "), 100);
    if about.is_empty() { name } else { format!("{name} ({about})") }
}

/// The alert's name where there is only one and the group's title does not have it; "" otherwise.
pub(super) fn only_name(told: &Notification) -> String {
    match told.alerts.as_slice() {
        [only] if told.n_truncated == 0 && told.group_labels.get("alertname").is_empty() => {
            text::line(name(only), 80)
        }
        _ => String::new(),
    }
}

fn item(told: &Notification, alert: &NotifiedAlert) -> Item {
    let tone = Tone::of_alert(alert);
    let own: Vec<String> = alert
        .labels
        .iter()
        .filter(|(name, value)| told.group_labels.get(name) != *value)
        .filter(|(name, _)| !SHOWN_ELSEWHERE.contains(name))
        .take(4)
        .map(|(name, value)| text::line(&format!("{name}={value}"), 60))
        .collect();
    let (badge, matter) = match tone {
        Tone::Resolved => ("RESOLVED".into(), format!("over after {}", lasted(told, alert))),
        _ => (severity_word(alert), text::line(matter(alert), 300)),
    };
    let mut details = Vec::new();
    if tone != Tone::Resolved {
        details.push(format!("since {}", moment(alert.starts_at)));
        if alert.stale {
            details.push("data stopped".into());
        }
    }
    let left = alert.slo.as_ref().and_then(|slo| text::budget_left(slo.budget_remaining));
    details.extend(left.map(|left| format!("budget left {left}")));
    details.push(hosts(&alert.agents[..alert.agents.len().min(3)]));
    details.push(own.join(", "));
    details.retain(|part| !part.is_empty());
    Item {
        tone,
        badge,
        title: text::line(name(alert), 80),
        matter,
        details: details.join(" · "),
        link: web_address(&alert.generator_url),
    }
}

fn facts(told: &Notification, alert: &NotifiedAlert, tone: Tone) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |label, value: String, bar| {
        if !value.is_empty() {
            facts.push(Fact { label, value, bar });
        }
    };
    let is_firing = matches!(tone, Tone::Firing(_));
    if let Some(slo) = &alert.slo {
        if is_firing {
            add("Burn rate", text::burn(slo), None);
        }
        let bar = Some(slo.budget_remaining).filter(|left| left.is_finite());
        let soon = |at: Timestamp| {
            let is_today = at.since(told.at) < Duration::from_secs(86_400);
            if is_today { clock(at) } else { moment(at) }
        };
        let window = text::line(&slo.window, 40);
        add("Budget left", text::budget(slo, is_firing, told.at, &window, soon), bar);
    }
    match tone {
        Tone::Resolved => {
            let until = alert.ends_at.unwrap_or(told.at);
            let during = between(alert.starts_at, until);
            add("Lasted", format!("{}, {during}", lasted(told, alert)), None);
        }
        _ => {
            let for_now = text::span(told.at.since(alert.starts_at));
            add("Since", format!("{} ({for_now})", moment(alert.starts_at)), None);
        }
    }
    if let Some(slo) = &alert.slo {
        add("Objective", objective(slo), None);
    }
    if let (Some(value), true) = (alert.value, alert.reason.is_empty()) {
        add("Value", format!("{value}"), None);
    }
    add("Service", text::line(alert.labels.get("service"), 70), None);
    add(if alert.agents.len() == 1 { "Host" } else { "Hosts" }, hosts(&alert.agents), None);
    facts
}

fn objective(slo: &SloFacts) -> String {
    let (bad, total) = (slo.total.saturating_sub(slo.good), slo.total);
    let window = text::line(&slo.window, 40);
    let (bad, total) = (text::count(bad), text::count(total));
    format!("{}% over {window}: {bad} bad of {total}", slo.objective)
}

fn hosts(agents: &[String]) -> String {
    let shown: Vec<String> = agents.iter().take(10).map(|agent| text::line(agent, 50)).collect();
    shown.join(", ")
}

fn events(events: &[SampleEvent]) -> Vec<Event> {
    let shown = events.iter().take(3).map(|event| {
        let at = event.at.to_jiff().strftime("%H:%M:%S");
        let (agent, name) = (text::line(&event.agent, 40), text::line(&event.name, 40));
        let ids = [("", &event.correlation), ("trace ", &event.trace)];
        let ids = ids.iter().filter(|(_, id)| !id.is_empty());
        let ids: Vec<String> =
            ids.map(|(what, id)| format!("{what}{}", text::line(id, 120))).collect();
        let message = text::line(&event.message, 600);
        Event { head: format!("{at} {agent} {name}"), message, ids: ids.join(", ") }
    });
    shown.collect()
}

/// Good to know besides: labels, and why this was sent.
fn footer(told: &Notification, labels: &Labels) -> Vec<String> {
    let shown = labels.iter().filter(|(name, _)| *name != "severity").take(30);
    let shown: Vec<String> =
        shown.map(|(name, value)| format!("{name}={}", text::line(value, 60))).collect();
    let why = text::line(reason_in_words(&told.reason), 200);
    let place = text::whereabouts(told).replacen("incident", "Incident", 1);
    let mut lines = vec![text::line(&shown.join(" "), 500)];
    lines.push(format!("{place}: {why}."));
    lines.retain(|line| !line.is_empty());
    lines
}

/// The severity as the alert's owner calls it.
fn severity_word(alert: &NotifiedAlert) -> String {
    match alert.labels.get("severity") {
        "" | "none" => "ALERT".into(),
        word => text::line(word, 20).to_uppercase(),
    }
}

fn name(alert: &NotifiedAlert) -> &str {
    match alert.labels.get("alertname") {
        "" => "unnamed alert",
        name => name,
    }
}

/// What is the matter, in words: our reason, or what its owner says.
fn matter(alert: &NotifiedAlert) -> &str {
    match (alert.reason.as_str(), alert.annotations.get("summary")) {
        ("", summary) => summary,
        (reason, _) => reason,
    }
}

/// How long a resolved alert was firing.
fn lasted(told: &Notification, alert: &NotifiedAlert) -> String {
    text::span(alert.ends_at.unwrap_or(told.at).since(alert.starts_at))
}

/// A point in time; nobody knows in which zone a mail is read.
fn moment(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// From then to then, the date once if it is one.
fn between(from: Timestamp, until: Timestamp) -> String {
    let day = |at: Timestamp| at.to_jiff().strftime("%Y-%m-%d").to_string();
    let time = |at: Timestamp| at.to_jiff().strftime("%H:%M:%S").to_string();
    if day(from) == day(until) {
        return format!("{} {} to {} UTC", day(from), time(from), time(until));
    }
    format!("{} {} to {}", day(from), time(from), moment(until))
}

/// A point in time within a day.
fn clock(at: Timestamp) -> String {
    at.to_jiff().strftime("%H:%M UTC").to_string()
}

/// `url` if it is an address of the web: http or https, and bounded.
fn web_address(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let is_fit = matches!(url.scheme(), "http" | "https") && url.as_str().len() <= MAX_LINK_CHARS;
    is_fit.then(|| url.to_string())
}
