//! The line in the thread: what has changed since the last word.
//!
//! Owns what is worth a line and whom it should reach. Never says what the message itself says.

use watchkeeper_collector_core::notify::{Action, Notification, NotifiedAlert, reason_in_words};
use watchkeeper_model::Severity;

use super::alert::{Mood, lasted, matter, name, severity_word};
use super::listing::own_labels;
use super::markup::{self, Block, Message};
use super::memory::Memory;
use super::payload::Look;
use crate::channels::text;

/// Alerts that are named; more are counted.
const MAX_NAMED: usize = 5;

/// Longest reason in a line.
const MAX_MATTER_CHARS: usize = 220;

/// A line for the thread.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// With markup.
    lines: Vec<String>,
    /// Whether it has to be seen in the channel too: nobody is told of a message that changes in place, and of answers
    /// in a thread only those who have written there.
    is_loud: bool,
}

impl Change {
    /// What is different from what is remembered.
    pub(super) fn since(before: &Memory, told: &Notification) -> Self {
        if told.action == Action::Close {
            return Self { lines: vec![ending(told)], is_loud: false };
        }
        if !before.knows_alerts() {
            return Self::in_numbers(told);
        }
        let firing = || told.alerts.iter().filter(|alert| alert.firing);
        let rise =
            |alert: &&NotifiedAlert| before.before(alert).is_some_and(|it| it < alert.severity());
        let fall =
            |alert: &&NotifiedAlert| before.before(alert).is_some_and(|it| it > alert.severity());
        let worse: Vec<_> = firing().filter(rise).map(|alert| moved(told, alert, before)).collect();
        let new = firing().filter(|alert| before.before(alert).is_none());
        let new: Vec<_> = new.map(|alert| fresh(told, alert)).collect();
        let better: Vec<_> =
            firing().filter(fall).map(|alert| moved(told, alert, before)).collect();
        let over =
            told.alerts.iter().filter(|alert| !alert.firing && before.before(alert).is_some());
        let over: Vec<_> = over.map(|alert| ended(told, alert)).collect();
        let is_loud = !worse.is_empty() || !new.is_empty();
        let lines: Vec<String> = [worse, new, over, better].concat();
        if lines.is_empty() {
            return Self { lines: vec![still(told)], is_loud: true };
        }
        Self { lines: named(lines, told), is_loud }
    }

    /// Of so many alerts nobody remembers which they were.
    fn in_numbers(told: &Notification) -> Self {
        let why = capitalized(&markup::line(reason_in_words(&told.reason), 200));
        let n_firing = told.alerts.iter().filter(|alert| alert.firing).count();
        let n_firing = n_firing + told.n_truncated as usize;
        let line = format!("{} {why}: {n_firing} firing now", Mood::of(told).emoji());
        let is_loud = !matches!(told.reason.as_str(), "resolved_some" | "severity_down");
        Self { lines: vec![line], is_loud }
    }

    /// The answer to the message.
    pub(super) fn message(self, channel: &str, thread_ts: &str, look: &Look) -> Message {
        Message {
            channel: Some(channel.to_owned()),
            username: look.username.clone(),
            icon_emoji: look.icon_emoji.clone(),
            icon_url: look.icon_url.clone(),
            thread_ts: Some(thread_ts.to_owned()),
            reply_broadcast: self.is_loud.then_some(true),
            text: self.lines.first().cloned().unwrap_or_default(),
            blocks: self.lines.into_iter().map(Block::section).collect(),
            unfurl_links: Some(false),
            unfurl_media: Some(false),
            ..Message::default()
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// The first of these lines, and how many there are besides.
fn named(mut lines: Vec<String>, told: &Notification) -> Vec<String> {
    let n_more = lines.len().saturating_sub(MAX_NAMED);
    if n_more > 0 {
        lines.truncate(MAX_NAMED);
        let all = markup::link(&told.external_url, "all of them");
        lines.push(format!("… and {n_more} more: {all}"));
    }
    lines
}

/// `🔴 New · *Slow3*: WARNING p95 of requests is 203ms`
fn fresh(told: &Notification, alert: &NotifiedAlert) -> String {
    let word = markup::line(&severity_word(alert), 30);
    let (emoji, who) = (Mood::of_alert(alert).emoji(), who(told, alert));
    match markup::line(matter(alert), MAX_MATTER_CHARS) {
        matter if matter.is_empty() => format!("{emoji} New · {who}: {word}"),
        matter => format!("{emoji} New · {who}: {word} {matter}"),
    }
}

/// `🔴 Worse · *shop-availability* is PAGE now, it was TICKET: burning 21.3x over 5m`
fn moved(told: &Notification, alert: &NotifiedAlert, memory: &Memory) -> String {
    let before = memory.before(alert).unwrap_or_default();
    let turn = if before < alert.severity() { "Worse" } else { "Better" };
    let (emoji, who) = (Mood::of_alert(alert).emoji(), who(told, alert));
    let (is, was) = (markup::line(&severity_word(alert), 30), word_before(before, alert));
    let line = format!("{emoji} {turn} · {who} is {is} now, it was {was}");
    match markup::line(matter(alert), MAX_MATTER_CHARS) {
        matter if matter.is_empty() => line,
        matter => format!("{line}: {matter}"),
    }
}

/// The severity before, in the words this alert uses now.
fn word_before(before: Severity, alert: &NotifiedAlert) -> String {
    let is_slo = matches!(alert.labels.get("severity"), "page" | "ticket");
    let word = match before {
        Severity::Critical if is_slo => "page",
        Severity::Warning if is_slo => "ticket",
        other => other.as_str(),
    };
    word.to_uppercase()
}

/// `✅ Resolved · *Slow1* after 23m`
fn ended(told: &Notification, alert: &NotifiedAlert) -> String {
    format!("✅ Resolved · {} after {}", who(told, alert), lasted(told, alert))
}

/// The whole incident is over, here at least.
fn ending(told: &Notification) -> String {
    let mood = Mood::of(told);
    let emoji = mood.emoji();
    if mood == Mood::Closed {
        let why = markup::line(reason_in_words(&told.reason), 300);
        return format!("{emoji} Closed here: {why}");
    }
    match told.alerts.as_slice() {
        [only] if told.n_truncated == 0 => {
            let mut line =
                format!("{emoji} Resolved · {} after {}", who(told, only), lasted(told, only));
            let left = only.slo.as_ref().and_then(|slo| text::budget_left(slo.budget_remaining));
            line.extend(left.map(|left| format!(", error budget left {left}")));
            line
        }
        alerts => {
            let longest = alerts.iter().min_by_key(|alert| alert.starts_at);
            let after = longest.map_or_else(String::new, |alert| {
                format!(" after {}", text::span(told.at.since(alert.starts_at)))
            });
            let n = alerts.len() + told.n_truncated as usize;
            format!("{emoji} Resolved · all {n} alerts{after}")
        }
    }
}

/// Nothing is different: a reminder, or it fires again before its end was told.
fn still(told: &Notification) -> String {
    let firing: Vec<&NotifiedAlert> = told.alerts.iter().filter(|alert| alert.firing).collect();
    let again = told.reason == "fired_again";
    let (emoji, word) =
        if again { (Mood::of(told).emoji(), "It fires again") } else { ("⏰", "Still firing") };
    let since = firing.iter().map(|alert| alert.starts_at).min().unwrap_or(told.at);
    let time = text::span(told.at.since(since));
    let time = if again { String::new() } else { format!(" for {time}") };
    let [only] = firing.as_slice() else {
        let n = firing.len() + told.n_truncated as usize;
        return format!("{emoji} {word}{time} · {n} alerts");
    };
    let mut line = format!("{emoji} {word}{time} · {}", who(told, only));
    let matter = markup::line(matter(only), MAX_MATTER_CHARS);
    if !matter.is_empty() {
        line = format!("{line}: {matter}");
    }
    if only.stale {
        line.push_str(" · ⚠️ its data have stopped");
    }
    line
}

/// Which alert: its name as a link, and what tells it from others of the group.
fn who(told: &Notification, alert: &NotifiedAlert) -> String {
    let name = markup::link(&alert.generator_url, &text::line(name(alert), 60));
    let own = if told.alerts.len() > 1 { own_labels(told, alert) } else { String::new() };
    format!("*{name}*{own}")
}
