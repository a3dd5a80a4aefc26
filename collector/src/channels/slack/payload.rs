//! What a person sees in Slack.
//!
//! Owns which facts stand where and what is left out when there is too much. Never sends anything, and leaves the
//! rules of Slack's markup to `markup`.

use watchkeeper_collector_core::notify::{Action, Notification, reason_in_words};
use watchkeeper_model::Labels;

use super::alert::{Mood, lasted, matter, name, runbook, severity_word, single};
use super::listing::listing;
use super::markup::{self, Attachment, Block, MAX_MESSAGE_CHARS, Message, Sheet};
use crate::channels::text;

/// Kept free for the links.
const LINKS_CHARS: usize = 2_200;

/// Kept free for what stands beside the colour.
const FOOTER_CHARS: usize = 900;

/// How the message is signed and where it goes, if not as the webhook was set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) channel: Option<String>,
    pub(super) username: Option<String>,
    pub(super) icon_emoji: Option<String>,
    pub(super) icon_url: Option<String>,
    /// It is one message that is kept up to date: what it says holds until it is changed.
    pub(super) is_kept: bool,
}

/// The message for a notification.
pub(super) fn message(told: &Notification, look: &Look) -> Message {
    let mood = Mood::of(told);
    let headline = headline(told, mood, look);
    let mut sheet = Sheet::new(MAX_MESSAGE_CHARS - FOOTER_CHARS - LINKS_CHARS);
    sheet.add(Block::header(&headline));
    match told.alerts.as_slice() {
        [only] if told.n_truncated == 0 => single(&mut sheet, told, only),
        _ => listing(&mut sheet, told),
    }
    sheet.left_chars += LINKS_CHARS;
    sheet.add(Block::context(links(told)));
    Message {
        channel: look.channel.clone(),
        username: look.username.clone(),
        icon_emoji: look.icon_emoji.clone(),
        icon_url: look.icon_url.clone(),
        text: markup::line(&fallback(told, &headline), 500),
        blocks: sheet.blocks,
        attachments: vec![Attachment {
            color: mood.color(),
            blocks: vec![Block::context(footer(told, look))],
        }],
        unfurl_links: Some(false),
        unfurl_media: Some(false),
        ..Message::default()
    }
}

/// The same message, for the place where it stands already.
pub(super) fn changed(told: &Notification, look: &Look, channel: &str, ts: &str) -> Message {
    Message {
        channel: Some(channel.to_owned()),
        ts: Some(ts.to_owned()),
        // Whoever posted it stays.
        username: None,
        icon_emoji: None,
        icon_url: None,
        unfurl_links: None,
        unfurl_media: None,
        ..message(told, look)
    }
}

fn headline(told: &Notification, mood: Mood, look: &Look) -> String {
    let emoji = mood.emoji();
    // A message that is kept up to date is no update of another one.
    let is_update = told.action == Action::Update && !look.is_kept;
    let update = if is_update { " (update)" } else { "" };
    let [only] = told.alerts.as_slice() else { return group_headline(told, mood, update) };
    let name = text::line(name(only), 60);
    match mood {
        Mood::Resolved => format!("{emoji} Resolved · {name} after {}", lasted(told, only)),
        Mood::Closed => format!("{emoji} Closed here · {name}"),
        Mood::Firing(_) => {
            let word = severity_word(only);
            let matter = text::line(matter(only), markup::MAX_HEADER_CHARS);
            let colon = if matter.is_empty() { "" } else { ": " };
            format!("{emoji} {word}{update} · {name}{colon}{matter}")
        }
    }
}

fn group_headline(told: &Notification, mood: Mood, update: &str) -> String {
    let n_firing = told.alerts.iter().filter(|alert| alert.firing).count();
    let n_resolved = told.alerts.len() - n_firing;
    let emoji = mood.emoji();
    let what = match mood {
        Mood::Resolved => format!("Resolved · {} alerts", told.alerts.len()),
        Mood::Closed if n_firing == 0 => "Closed here".to_owned(),
        Mood::Closed => format!("Closed here · {n_firing} still firing"),
        Mood::Firing(severity) => {
            let worst = told.alerts.iter().find(|a| a.firing && a.severity() == severity);
            let word = worst.map_or_else(String::new, severity_word);
            format!("{word}{update} · {n_firing} firing")
        }
    };
    let resolved = match mood {
        Mood::Firing(_) if n_resolved > 0 => format!(", {n_resolved} resolved"),
        _ => String::new(),
    };
    let more = match told.n_truncated {
        0 => String::new(),
        n => format!(", {n} more"),
    };
    let group = plain_labels(&told.group_labels);
    let dot = if group.is_empty() { "" } else { " · " };
    format!("{emoji} {what}{resolved}{more}{dot}{group}")
}

/// The headline and what its owner calls it: for lock screens.
fn fallback(told: &Notification, headline: &str) -> String {
    match told.alerts.as_slice() {
        [only] if only.annotations.get("summary") != matter(only) => {
            let summary = text::line(only.annotations.get("summary"), 200);
            if summary.is_empty() {
                headline.to_owned()
            } else {
                format!("{headline} — {summary}")
            }
        }
        _ => headline.to_owned(),
    }
}

/// Where to go from here.
fn links(told: &Notification) -> String {
    let mut links = Vec::new();
    if let [only] = told.alerts.as_slice() {
        links.extend(runbook(only));
        let addresses =
            [("Dashboard", only.annotations.get("dashboard_url")), ("Alert", &only.generator_url)];
        links.extend(addresses.iter().filter_map(|(label, url)| web_link(url, label)));
    }
    links.extend(web_link(&told.external_url, "Watchkeeper"));
    links.join("  ·  ")
}

fn web_link(url: &str, label: &str) -> Option<String> {
    markup::web_address(url).map(|_| markup::link(url, label))
}

/// Good to know besides: labels, and why this was sent.
fn footer(told: &Notification, look: &Look) -> String {
    let labels = match told.alerts.as_slice() {
        [only] => &only.labels,
        _ => &told.group_labels,
    };
    let labels = markup::line(&plain_labels(labels), 400);
    let why = markup::line(reason_in_words(&told.reason), 200);
    let place = markup::line(&text::whereabouts(told), 100);
    let as_of = match look.is_kept {
        true => format!(" · as of {}", markup::moment(told.at)),
        false => String::new(),
    };
    let footer = format!("{labels}\n{place}: {why}{as_of}");
    footer.trim_start().to_owned()
}

/// `service=shop team=web`, without what the message shows anyway.
fn plain_labels(labels: &Labels) -> String {
    let mut shown = String::new();
    for (name, value) in labels.iter().filter(|(name, _)| !matches!(*name, "severity")) {
        let value = text::line(value, 60);
        shown.push_str(if shown.is_empty() { "" } else { " " });
        shown.push_str(&format!("{name}={value}"));
        if shown.len() > 400 {
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples;
    use serde_json::json;

    #[test]
    fn look_and_colour_stand_beside_the_blocks() {
        let look = Look {
            channel: Some("#oncall".into()),
            username: Some("Watchkeeper".into()),
            icon_emoji: Some(":lighthouse:".into()),
            ..Look::default()
        };
        let sent = serde_json::to_value(message(&samples::slo_page(), &look)).unwrap();
        assert_eq!(sent["channel"], "#oncall");
        assert_eq!(sent["username"], "Watchkeeper");
        assert_eq!(sent["icon_emoji"], ":lighthouse:");
        assert_eq!(sent["attachments"][0]["color"], "#d32f2f");
        let plain = serde_json::to_value(message(&samples::slo_close(), &Look::default())).unwrap();
        assert_eq!(plain.get("channel"), None);
        assert_eq!(plain["attachments"][0]["color"], "#2e7d32");
    }

    #[test]
    fn a_lock_screen_says_what_and_how_bad() {
        let sent = serde_json::to_value(message(&samples::slo_page(), &Look::default())).unwrap();
        let text = "🔴 PAGE · shop-availability: burning 21.3x over 5m and 18.9x over 1h (limit 14.4x) \
                    — Customers cannot check out";
        assert_eq!(sent["text"], text);
        assert_eq!(sent["unfurl_links"], json!(false));
    }
}
