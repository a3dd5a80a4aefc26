//! `slack_configs` of a receiver: the part of Alertmanager's keys that a message of our own making needs.
//!
//! Owns its keys and defaults, whether it is a webhook or an app, and says clearly what does not work yet. Never opens
//! a connection.

use std::time::Duration;

use watchkeeper_config::{Located, Node, Place, Reader, Secret, read};

use super::client::Slack;
use super::payload::Look;
use crate::channels::Channel;
use crate::channels::http::{Authorization, Endpoint, HttpSettings};
use crate::channels::http_config;
use crate::channels::registry::{ChannelDefaults, ChannelSettings};

/// Where an app posts unless configured.
const APP_URL: &str = "https://slack.com/api/chat.postMessage";

/// The method of that API: an address that ends so is an app's.
const POST: &str = "chat.postMessage";

const KEYS: &[&str] = &[
    "api_url",
    "api_url_file",
    "app_token",
    "app_token_file",
    "app_url",
    "update_message",
    "channel",
    "username",
    "icon_emoji",
    "icon_url",
    "send_resolved",
    "timeout",
    "http_config",
    // Only to be refused with a reason.
    "title",
    "title_link",
    "pretext",
    "text",
    "message_text",
    "fallback",
    "fields",
    "color",
    "footer",
    "actions",
];

/// Keys of Alertmanager that hold templates.
const TEMPLATES: [&str; 10] = [
    "title",
    "title_link",
    "pretext",
    "text",
    "message_text",
    "fallback",
    "fields",
    "color",
    "footer",
    "actions",
];

/// Slack as written.
#[derive(Clone, Debug)]
pub struct SlackConfig {
    api_url: Option<Located<Secret>>,
    app_token: Option<Located<Secret>>,
    app_url: Option<Located<Secret>>,
    update_message: Option<Located<bool>>,
    look: Look,
    send_resolved: Option<bool>,
    timeout: Duration,
    http: HttpSettings,
    /// A way to get there is written, though it may be wrong.
    names_way: bool,
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
            let ways = ["api_url", "api_url_file", "app_token", "app_token_file", "app_url"];
            Some(Self {
                names_way: ways.iter().any(|key| f.has(key)),
                api_url: http_config::secret_or_file(f, "api_url", "api_url_file"),
                app_token: http_config::secret_or_file(f, "app_token", "app_token_file"),
                app_url: f.optional("app_url", read::located(read::secret)),
                update_message: f.optional("update_message", read::located(read::bool)),
                look: Look {
                    channel: f.optional("channel", read::string),
                    username: f.optional("username", read::string),
                    icon_emoji: f.optional("icon_emoji", read::string),
                    icon_url: f.optional("icon_url", read::string),
                    is_kept: false,
                },
                send_resolved: f.optional("send_resolved", read::bool),
                timeout: http_config::timeout(f),
                http: f.or("http_config", HttpSettings::default(), http_config::http_config),
                place: f.place().clone(),
            })
        })
    }

    /// What the channel needs. Without a way of its own `global` says which; Alertmanager's default of `send_resolved` for
    /// Slack is false.
    pub fn resolve(
        self,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<SlackSettings> {
        let settings = match self.token(defaults, reader)? {
            Some(token) => self.app(&token, defaults, reader)?,
            None => self.by_address(defaults, reader)?,
        };
        if let Some(update) = self.update_message.filter(|_| settings.way == Way::Webhook)
            && update.value
        {
            reader
                .error(&update.place, "a webhook can't change its messages")
                .help("leave `update_message` out, or use `app_token` and `channel`");
        }
        Some(settings)
    }

    /// The app's token, if it is an app: its own, or that of `global` if nothing else is said.
    fn token(
        &self,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<Option<Located<Secret>>> {
        let own = self.app_token.as_ref();
        if let (Some(api_url), true) = (&self.api_url, own.is_some() || self.app_url.is_some()) {
            let key = if own.is_some() { "app_token" } else { "app_url" };
            reader
                .error(&api_url.place, format!("`api_url` and `{key}` are both given"))
                .help("`api_url` is a webhook, `app_token` an app that keeps its messages up to date: leave one out");
            return None;
        }
        if let (Some(token), Some(_)) = (own, &self.http.authorization) {
            reader
                .error(&token.place, "more than one way to authorize")
                .help("leave the authorization in `http_config` out: `app_token` is one");
            return None;
        }
        let says_nothing = self.api_url.is_none() && self.http.authorization.is_none();
        let is_default = says_nothing && (!self.names_way || self.app_url.is_some());
        let default = defaults.slack_app_token.as_ref().filter(|_| is_default);
        Some(own.or(default).cloned())
    }

    /// An app with a token.
    fn app(
        &self,
        token: &Located<Secret>,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<SlackSettings> {
        let text = token.value.expose();
        if text.is_empty() || text.starts_with("xapp-") {
            let what = if text.is_empty() { "no token" } else { "an app-level token can't post" };
            reader
                .error(&token.place, what)
                .help("the bot token is needed, which begins with xoxb-: see \"OAuth & Permissions\" of the app");
            return None;
        }
        let endpoint = self.app_endpoint(defaults, reader)?;
        let authorization =
            Authorization::Scheme { scheme: "Bearer".into(), credentials: token.value.clone() };
        let http = HttpSettings { authorization: Some(authorization), ..self.http.clone() };
        self.settings(Way::App, endpoint, http, defaults, reader)
    }

    /// Where an app posts.
    fn app_endpoint(
        &self,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<Endpoint> {
        let Some(url) = self.app_url.as_ref().or(defaults.slack_app_url.as_ref()) else {
            return Some(Endpoint::parse(APP_URL).expect("the default is an address"));
        };
        let endpoint = http_config::endpoint(url, reader)?;
        if endpoint.method() != POST {
            reader
                .error(&url.place, format!("the address does not end in /{POST}"))
                .help(format!("such as {APP_URL}: `chat.update` is called beside it"));
            return None;
        }
        Some(endpoint)
    }

    /// A webhook, or an app that is authorized by `http_config`.
    fn by_address(
        &self,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<SlackSettings> {
        let http = self.http.clone();
        if self.app_url.is_some() {
            let endpoint = self.app_endpoint(defaults, reader)?;
            return self.settings(Way::App, endpoint, http, defaults, reader);
        }
        let default = defaults.slack_api_url.as_ref().filter(|_| !self.names_way);
        let Some(api_url) = self.api_url.as_ref().or(default) else {
            if !self.names_way {
                reader
                    .error(&self.place, "`api_url` is missing")
                    .help("or `api_url_file`, or `app_token` and `channel`, or `slack_api_url` or `slack_app_token` under `global`");
            }
            return None;
        };
        let endpoint = http_config::endpoint(api_url, reader)?;
        let way = if endpoint.method() == POST { Way::App } else { Way::Webhook };
        self.settings(way, endpoint, http, defaults, reader)
    }

    fn settings(
        &self,
        way: Way,
        endpoint: Endpoint,
        http: HttpSettings,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<SlackSettings> {
        let mut look = self.look.clone();
        if way == Way::App {
            let missing = |what: &str, help: &str, reader: &mut Reader<'_>| {
                reader.error(&self.place, format!("`{what}` is missing")).help(help);
            };
            if look.channel.as_deref().unwrap_or_default().is_empty() {
                missing(
                    "channel",
                    "an app has to know where to post: '#alerts', or C0123456789",
                    reader,
                );
                return None;
            }
            if http.authorization.is_none() {
                missing("app_token", "or `app_token_file`: the app's bot token", reader);
                return None;
            }
            look.is_kept = self.update_message.as_ref().is_none_or(|update| update.value);
        }
        Some(SlackSettings {
            way,
            endpoint,
            look,
            send_resolved: self.send_resolved.or(defaults.send_resolved).unwrap_or(false),
            timeout: self.timeout,
            http,
        })
    }
}

/// How messages get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By incoming webhook.
    Webhook,
    /// By the Web API.
    App,
}

/// Slack as needed.
#[derive(Clone, Debug)]
pub struct SlackSettings {
    pub(super) way: Way,
    pub(super) endpoint: Endpoint,
    pub(super) look: Look,
    pub(super) send_resolved: bool,
    pub(super) timeout: Duration,
    pub(super) http: HttpSettings,
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
    use crate::channels::registry::tests::{
        problems_of, problems_of_global, receiver, with_global,
    };

    /// What one integration needs, as its `Debug` shows it.
    fn settings(global: &str, text: &str) -> String {
        let receiver =
            with_global(global, &format!("name: r\nslack_configs: [{{{text}}}]\n")).unwrap();
        format!("{:?}", receiver.integrations[0].settings)
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, want) in [
            ("{}", "`api_url` is missing"),
            ("{api_url: 'hooks.slack.com/SECRET'}", "not a URL"),
            ("{api_url: 'http://h/', title: '{{ .Status }}'}", "templates come later"),
            ("{api_url: 'http://h/', chanel: x}", "chanel"),
            ("{api_url: 'http://h/', update_message: true}", "a webhook can't change"),
            ("{api_url: 'http://h/', app_token: xoxb-SECRET}", "are both given"),
            ("{api_url: 'http://h/', app_url: 'http://h/chat.postMessage'}", "are both given"),
            ("{api_url: 'http://h/chat.postMessage', channel: c}", "`app_token` is missing"),
            ("{app_url: 'http://h/chat.postMessage', channel: c}", "`app_token` is missing"),
            ("{app_token: xoxb-SECRET}", "`channel` is missing"),
            ("{app_token: xoxb-SECRET, channel: ''}", "`channel` is missing"),
            ("{app_token: xapp-SECRET, channel: c}", "app-level token can't post"),
            ("{app_token: '', channel: c}", "no token"),
            ("{app_token_file: /nowhere, channel: c}", "/nowhere"),
            (
                "{app_token: xoxb-SECRET, channel: c, app_url: 'http://h/api/SECRET'}",
                "chat.postMessage",
            ),
            (
                "{app_token: xoxb-SECRET, channel: c, http_config: {bearer_token: SECRET}}",
                "more than one way to authorize",
            ),
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

    #[test]
    fn one_of_several_ways_is_taken() {
        let hook = "slack_api_url: 'http://h/hook'";
        let token = "slack_app_token: xoxb-1";
        let post = "http://h/chat.postMessage";
        let auth = "http_config: {authorization: {credentials: x}}";
        for (global, text, want) in [
            ("", "api_url: 'http://h/'".to_owned(), "Webhook"),
            (hook, String::new(), "Webhook"),
            (hook, "app_token: xoxb-1, channel: c".into(), "App"),
            (token, "channel: c".into(), "App"),
            (token, "api_url: 'http://h/'".into(), "Webhook"),
            (token, format!("channel: c, app_url: '{post}'"), "App"),
            ("", format!("channel: c, app_url: '{post}', {auth}"), "App"),
            ("", format!("channel: c, api_url: '{post}', {auth}"), "App"),
        ] {
            let shown = settings(global, &text);
            assert!(shown.contains(&format!("way: {want}")), "{global} {text}: {shown}");
        }
        let shown = settings(token, "channel: c");
        assert!(
            shown.contains("Endpoint(https://slack.com)") && !shown.contains("xoxb"),
            "{shown}"
        );
        for (update, want) in [("", true), (", update_message: false", false)] {
            let shown = settings(token, &format!("channel: c{update}"));
            assert!(shown.contains(&format!("is_kept: {want}")), "{shown}");
        }
    }

    #[test]
    fn global_says_one_way_only() {
        let both = "slack_api_url: 'http://h/hook', slack_app_token: xoxb-SECRET";
        let problems = problems_of_global(both);
        assert!(
            problems.contains("`slack_api_url` and `slack_app_token` are both given"),
            "{problems}"
        );
        assert!(!problems.contains("SECRET"), "{problems}");
    }
}
