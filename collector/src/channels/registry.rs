//! Every kind of channel, and how a receiver of Alertmanager's schema becomes integrations.
//!
//! Owns the list of kinds: adding one adds its `use` and one line of [`KINDS`]. Never knows what a kind needs.

use std::fmt;
use std::sync::Arc;

use watchkeeper_config::{Fields, Located, Node, Reader, Secret, read};

use super::channel::Channel;
use super::email::{EmailConfig, SmtpDefaults};
use super::http_config::secret_or_file;
use super::log::LogConfig;
use super::pagerduty::PagerDutyConfig;
use super::slack::SlackConfig;
use super::webhook::WebhookConfig;

/// Every kind, by its key in a receiver.
const KINDS: &[Kind] = &[
    Kind::new("webhook_configs", |node, defaults, reader| {
        Some(Arc::new(WebhookConfig::read(node, reader)?.resolve(defaults, reader)?))
    }),
    Kind::new("slack_configs", |node, defaults, reader| {
        Some(Arc::new(SlackConfig::read(node, reader)?.resolve(defaults, reader)?))
    }),
    Kind::new("pagerduty_configs", |node, defaults, reader| {
        Some(Arc::new(PagerDutyConfig::read(node, reader)?.resolve(defaults, reader)?))
    }),
    Kind::new("email_configs", |node, defaults, reader| {
        Some(Arc::new(EmailConfig::read(node, reader)?.resolve(defaults, reader)?))
    }),
    Kind::new("log_configs", |node, defaults, reader| {
        Some(Arc::new(LogConfig::read(node, reader)?.resolve(defaults, reader)?))
    }),
];

type Settings = Arc<dyn ChannelSettings>;
type ReadSettings = fn(&Node, &ChannelDefaults, &mut Reader<'_>) -> Option<Settings>;

/// One kind of channel.
struct Kind {
    key: &'static str,
    read: ReadSettings,
}

impl Kind {
    const fn new(key: &'static str, read: ReadSettings) -> Self {
        Self { key, read }
    }

    /// `slack` for `slack_configs`.
    fn name(&self) -> &'static str {
        self.key.trim_end_matches("_configs")
    }
}

/// What one integration needs, checked.
pub trait ChannelSettings: fmt::Debug + Send + Sync {
    /// Whether it wants to hear that a problem has ended.
    fn send_resolved(&self) -> bool;

    /// How many alerts one notification may carry; 0 for any number.
    fn max_alerts(&self) -> usize;

    /// The channel, with connections of its own.
    fn build(&self) -> Result<Box<dyn Channel>, String>;
}

/// What receivers take from elsewhere in the file.
#[derive(Clone, Debug, Default)]
pub struct ChannelDefaults {
    /// `send_resolved` where it is not written: `Some(true)` in our files, `None` for each kind's default in an
    /// `alertmanager.yml`.
    pub send_resolved: Option<bool>,
    /// `global.slack_api_url`.
    pub slack_api_url: Option<Located<Secret>>,
    /// `global.slack_app_token`.
    pub slack_app_token: Option<Located<Secret>>,
    /// `global.slack_app_url`.
    pub slack_app_url: Option<Located<Secret>>,
    /// `global.pagerduty_url`.
    pub pagerduty_url: Option<Located<Secret>>,
    /// `global.smtp_…`.
    pub smtp: SmtpDefaults,
}

/// The keys of `global` that [`ChannelDefaults::read`] asks for.
pub const GLOBAL_KEYS: &[&str] = &[
    "slack_api_url",
    "slack_api_url_file",
    "slack_app_token",
    "slack_app_token_file",
    "slack_app_url",
    "pagerduty_url",
    "smtp_from",
    "smtp_smarthost",
    "smtp_hello",
    "smtp_auth_username",
    "smtp_auth_password",
    "smtp_auth_password_file",
    "smtp_auth_secret",
    "smtp_auth_secret_file",
    "smtp_auth_identity",
    "smtp_require_tls",
    "smtp_force_implicit_tls",
    "smtp_tls_config",
];

impl ChannelDefaults {
    /// Reads [`GLOBAL_KEYS`] of the map under `global`.
    pub fn read(f: &mut Fields<'_, '_, '_>, send_resolved: Option<bool>) -> Self {
        let slack_api_url = secret_or_file(f, "slack_api_url", "slack_api_url_file");
        let slack_app_token = secret_or_file(f, "slack_app_token", "slack_app_token_file");
        if let (Some(_), Some(token)) = (&slack_api_url, &slack_app_token) {
            f.reader()
                .error(&token.place, "`slack_api_url` and `slack_app_token` are both given")
                .help("leave one out, and give the other to those receivers that need it");
        }
        Self {
            send_resolved,
            slack_api_url,
            slack_app_token,
            slack_app_url: f.optional("slack_app_url", read::located(read::secret)),
            pagerduty_url: f.optional("pagerduty_url", read::located(read::secret)),
            smtp: SmtpDefaults::read(f),
        }
    }
}

/// Which integration of which receiver: the same as long as its place in the file is. Shown as `chat/slack[0]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntegrationKey {
    /// The receiver's name.
    pub receiver: Arc<str>,
    /// Kind and which of that kind: `slack[0]`.
    pub integration: Arc<str>,
}

impl IntegrationKey {
    /// The integration of a receiver.
    pub fn new(receiver: &str, integration: &str) -> Self {
        Self { receiver: receiver.into(), integration: integration.into() }
    }
}

impl fmt::Display for IntegrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.receiver, self.integration)
    }
}

/// An integration, ready to send.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Which one.
    pub key: IntegrationKey,
    /// What sends.
    pub channel: Arc<dyn Channel>,
}

/// One integration of a receiver, checked and not yet built.
#[derive(Clone, Debug)]
pub struct IntegrationSettings {
    /// Which one.
    pub key: IntegrationKey,
    /// `slack` for `slack_configs`.
    pub kind: &'static str,
    /// What it needs.
    pub settings: Arc<dyn ChannelSettings>,
}

impl IntegrationSettings {
    /// Builds the channel.
    pub fn build(&self) -> Result<Integration, String> {
        let channel = self.settings.build().map_err(|error| format!("{}: {error}", self.key))?;
        Ok(Integration { key: self.key.clone(), channel: channel.into() })
    }
}

/// A receiver: somebody to tell, in one or several ways. One without integrations is told nothing.
#[derive(Clone, Debug)]
pub struct ReceiverSettings {
    /// Its name, as routes use it.
    pub name: Located<String>,
    /// How it is told, in the order of kinds and of the file.
    pub integrations: Vec<IntegrationSettings>,
}

impl ReceiverSettings {
    /// Reads one entry of `receivers`; problems are reported to the reader.
    pub fn read(node: &Node, defaults: &ChannelDefaults, reader: &mut Reader<'_>) -> Option<Self> {
        let keys: Vec<&'static str> =
            std::iter::once("name").chain(KINDS.iter().map(|kind| kind.key)).collect();
        node.fields(reader, &keys, |f| {
            let name = f.required("name", read::located(read::string));
            let receiver = name.as_ref().map_or("", |name| name.value.as_str());
            let mut integrations = Vec::new();
            for kind in KINDS {
                let read =
                    |node: &Node, reader: &mut Reader<'_>| (kind.read)(node, defaults, reader);
                for (index, settings) in f.list(kind.key, read).into_iter().enumerate() {
                    let kind = kind.name();
                    let key = IntegrationKey::new(receiver, &format!("{kind}[{index}]"));
                    integrations.push(IntegrationSettings { key, kind, settings });
                }
            }
            Some(Self { name: name?, integrations })
        })
    }
}

/// The keys of all kinds, for the suite that must cover them.
#[cfg(test)]
pub(super) fn kind_keys() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.key)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use watchkeeper_config::{ProcessEnv, load_str};

    /// A receiver read with defaults, or what is wrong with it.
    fn read(text: &str, send_resolved: Option<bool>) -> Result<ReceiverSettings, String> {
        let defaults = ChannelDefaults { send_resolved, ..ChannelDefaults::default() };
        let mut reader = Reader::new(&ProcessEnv);
        let receiver = load_str("receiver.yml", text, &mut reader)
            .and_then(|document| ReceiverSettings::read(document.root(), &defaults, &mut reader));
        let read = reader.finish(receiver).map_err(|problems| problems.render())?;
        Ok(read.0)
    }

    /// A receiver read with the defaults that this map under `global` gives, or what is wrong.
    pub(in crate::channels) fn with_global(
        global: &str,
        text: &str,
    ) -> Result<ReceiverSettings, String> {
        let mut reader = Reader::new(&ProcessEnv);
        let defaults = load_str("global.yml", &format!("{{{global}}}"), &mut reader)
            .and_then(|document| {
                document
                    .root()
                    .fields(&mut reader, GLOBAL_KEYS, |f| Some(ChannelDefaults::read(f, None)))
            })
            .unwrap_or_default();
        let receiver = load_str("receiver.yml", text, &mut reader)
            .and_then(|document| ReceiverSettings::read(document.root(), &defaults, &mut reader));
        let read = reader.finish(receiver).map_err(|problems| problems.render())?;
        Ok(read.0)
    }

    pub(in crate::channels) fn problems_of_global(global: &str) -> String {
        with_global(global, "name: nobody\n").unwrap_err()
    }

    pub(in crate::channels) fn receiver(
        text: &str,
        send_resolved: Option<bool>,
    ) -> ReceiverSettings {
        read(text, send_resolved).unwrap()
    }

    pub(in crate::channels) fn problems_of(text: &str) -> String {
        read(text, None).unwrap_err()
    }

    #[test]
    fn integrations_are_named_by_kind_and_place() {
        let hook = "{url: 'http://h/'}";
        let text = format!(
            "name: oncall\nslack_configs: [{{api_url: 'http://h/'}}]\nwebhook_configs: [{hook}, {hook}]\n"
        );
        let receiver = receiver(&text, Some(true));
        let names: Vec<String> =
            receiver.integrations.iter().map(|integration| integration.key.to_string()).collect();
        assert_eq!(names, ["oncall/webhook[0]", "oncall/webhook[1]", "oncall/slack[0]"]);
        assert_eq!(receiver.integrations[2].kind, "slack");
    }

    #[test]
    fn a_receiver_may_be_silent_but_not_nameless() {
        assert_eq!(receiver("name: nobody\n", None).integrations.len(), 0);
        assert!(problems_of("webhook_configs: []\n").contains("name"));
        assert!(problems_of("name: r\npager_configs: []\n").contains("pager_configs"));
    }
}
