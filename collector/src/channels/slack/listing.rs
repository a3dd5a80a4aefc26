//! What is said about several alerts of one group.
//!
//! Owns how many are listed and what tells them from each other. Never says more of one than two lines.

use watchkeeper_collector_core::notify::{Notification, NotifiedAlert, reason_in_words};

use super::alert::{Mood, events, hosts, lasted, matter, name, runbook, severity_word};
use super::markup::{self, Sheet};
use crate::channels::text;

/// Alerts of a group that are listed one by one.
const MAX_LISTED: usize = 10;

/// Kept free for the line that says how many more there are.
const MORE_CHARS: usize = 700;

/// Labels everybody sees elsewhere in the message.
const SHOWN_ELSEWHERE: [&str; 3] = ["alertname", "severity", "service"];

/// One line or two for each alert of a group, then the events of the worst.
pub(super) fn listing(sheet: &mut Sheet, told: &Notification) {
    let mut n_listed = 0;
    if Mood::of(told) == Mood::Closed {
        let why = markup::line(reason_in_words(&told.reason), 300);
        let still = if told.alerts.is_empty() { "No" } else { "Still firing, but no" };
        sheet.add_text(format!("{still} longer told here: {why}"));
    }
    sheet.left_chars -= MORE_CHARS;
    for alert in told.alerts.iter().take(MAX_LISTED) {
        if !sheet.add_text(listed(told, alert)) {
            break;
        }
        n_listed += 1;
    }
    sheet.left_chars += MORE_CHARS;
    let n_more = told.alerts.len() - n_listed + told.n_truncated as usize;
    if n_more > 0 {
        let all = markup::link(&told.external_url, "all of them");
        sheet.add_text(format!("… and {n_more} more: {all}"));
    }
    if let Some(worst) = told.alerts.first().filter(|alert| alert.firing) {
        sheet.add_text(events(&worst.events));
    }
}

fn listed(told: &Notification, alert: &NotifiedAlert) -> String {
    let mood = Mood::of_alert(alert);
    let name = markup::link(&alert.generator_url, &text::line(name(alert), 60));
    let own = own_labels(told, alert);
    let matter = markup::line(matter(alert), 250);
    let first = match mood {
        Mood::Resolved => format!("resolved after {}", lasted(told, alert)),
        _ => format!("{} {matter}", markup::line(&severity_word(alert), 30)),
    };
    let mut second = match mood {
        Mood::Resolved => Vec::new(),
        _ => vec![format!("since {}", markup::since(alert.starts_at))],
    };
    let left = alert.slo.as_ref().and_then(|slo| text::budget_left(slo.budget_remaining));
    second.extend(left.map(|left| format!("budget left {left}")));
    if alert.firing && alert.stale {
        second.push("⚠️ data stopped".into());
    }
    second.extend(Some(hosts(&alert.agents[..alert.agents.len().min(3)])));
    second.extend(runbook(alert));
    second.retain(|part| !part.is_empty());
    let line = format!("{} *{name}*{own}: {first}\n{}", mood.emoji(), second.join(" · "));
    line.trim_end().to_owned()
}

/// What tells this alert from the others of its group.
pub(super) fn own_labels(told: &Notification, alert: &NotifiedAlert) -> String {
    let own: Vec<(&str, &str)> = alert
        .labels
        .iter()
        .filter(|(name, value)| told.group_labels.get(name) != *value)
        .filter(|(name, _)| !SHOWN_ELSEWHERE.contains(name))
        .take(4)
        .collect();
    let shown = own.iter().map(|(name, value)| markup::code(&format!("{name}={value}"), 60));
    shown.fold(String::new(), |all, one| format!("{all} {one}"))
}
