//! `slack_configs` of a receiver: the part of Alertmanager's keys that a message of our own making needs.
//!
//! Owns its keys and defaults, and says clearly what does not work yet. Never opens a connection.

use std::time::Duration;

use watchkeeper_config::{Located, Node, Place, Reader, Secret, read};

use super::client::Slack;
use super::payload::Look;
use crate::channels::Channel;
use crate::channels::http::{Authorization, Endpoint};
use crate::channels::http_config;
use crate::channels::registry::{ChannelDefaults, ChannelSettings};

const KEYS: &[&str] = &[
    "api_url",
    "api_url_file",
    "channel",
    "username",
    "icon_emoji",
    "send_resolved",
    "timeout",
    "http_config",
    // Only to be refused with a reason.
    "title",
    "title_link",
    "pretext",
    "text",
    "fallback",
    "fields",
    "color",
    "footer",
    "actions",
];

/// Keys of Alertmanager that hold templates.
const TEMPLATES: [&str; 9] =
    ["title", "title_link", "pretext", "text", "fallback", "fields", "color", "footer", "actions"];

/// A Slack webhook as written.
#[derive(Clone, Debug)]
pub struct SlackConfig {
    api_url: Option<Located<Secret>>,
    look: Look,
    send_resolved: Option<bool>,
    timeout: Duration,
    authorization: Option<Authorization>,
    place: Place,
}

impl SlackConfig {
    /// Reads it; problems are reported to the reader.
    pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        for key in TEMPLATES {
            if let Some(value) = node.get(key) {
                reader
                    .error(value.place(), format!("`{key}`: templates come later"))
                    .help("leave it out: messages are made by Watchkeeper for now");
            }
        }
        node.fields(reader, KEYS, |f| {
            Some(Self {
                api_url: http_config::secret_or_file(f, "api_url", "api_url_file"),
                look: Look {
                    channel: f.optional("channel", read::string),
                    username: f.optional("username", read::string),
                    icon_emoji: f.optional("icon_emoji", read::string),
                },
                send_resolved: f.optional("send_resolved", read::bool),
                timeout: http_config::timeout(f),
                authorization: f.or("http_config", None, http_config::http_config),
                place: f.place().clone(),
            })
        })
    }

    /// What the channel needs. Without an address of its own `global.slack_api_url` holds; Alertmanager's default of
    /// `send_resolved` for Slack is false.
    pub fn resolve(
        self,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<SlackSettings> {
        let Some(api_url) = self.api_url.or_else(|| defaults.slack_api_url.clone()) else {
            reader
                .error(&self.place, "`api_url` is missing")
                .help("or `api_url_file`, or `slack_api_url` under `global`");
            return None;
        };
        Some(SlackSettings {
            endpoint: http_config::endpoint(&api_url, reader)?,
            look: self.look,
            send_resolved: self.send_resolved.or(defaults.send_resolved).unwrap_or(false),
            timeout: self.timeout,
            authorization: self.authorization,
        })
    }
}

/// A Slack webhook as needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackSettings {
    pub(super) endpoint: Endpoint,
    pub(super) look: Look,
    pub(super) send_resolved: bool,
    pub(super) timeout: Duration,
    pub(super) authorization: Option<Authorization>,
}

impl ChannelSettings for SlackSettings {
    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn max_alerts(&self) -> usize {
        0
    }

    fn build(&self) -> Result<Box<dyn Channel>, String> {
        Ok(Box::new(Slack::build(self)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::channels::registry::tests::{problems_of, receiver};

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, want) in [
            ("{}", "`api_url` is missing"),
            ("{api_url: 'hooks.slack.com/SECRET'}", "not a URL"),
            ("{api_url: 'http://h/', title: '{{ .Status }}'}", "templates come later"),
            ("{api_url: 'http://h/', chanel: x}", "chanel"),
        ] {
            let problems = problems_of(&format!("name: r\nslack_configs: [{text}]\n"));
            assert!(problems.contains(want), "{text}:\n{problems}");
            assert!(!problems.contains("SECRET"), "{problems}");
        }
    }

    #[test]
    fn send_resolved_follows_the_file_then_the_defaults() {
        for (text, defaults, want) in [
            ("{api_url: 'http://h/'}", None, false),
            ("{api_url: 'http://h/'}", Some(true), true),
            ("{api_url: 'http://h/', send_resolved: false}", Some(true), false),
        ] {
            let text = format!("name: r\nslack_configs: [{text}]\n");
            let settings = &receiver(&text, defaults).integrations[0].settings;
            assert_eq!(settings.send_resolved(), want, "{text}");
        }
    }
}
