//! `webhook_configs` of a receiver.
//!
//! Owns its keys and defaults. Never opens a connection.

use std::time::Duration;

use watchkeeper_config::{Fields, Located, Node, Reader, Secret, read};

use super::client::Webhook;
use super::signature::SigningKey;
use crate::channels::Channel;
use crate::channels::http::{Endpoint, HttpSettings};
use crate::channels::http_config;
use crate::channels::registry::{ChannelDefaults, ChannelSettings};

/// A webhook as written.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    url: Located<Secret>,
    max_alerts: i64,
    send_resolved: Option<bool>,
    timeout: Duration,
    http: HttpSettings,
    signing_keys: Vec<SigningKey>,
}

/// Most secrets at a time: two while they are changed, and some for several who listen.
const MAX_SIGNING_SECRETS: usize = 8;

impl WebhookConfig {
    /// Reads it; problems are reported to the reader.
    pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const KEYS: &[&str] = &[
            "url",
            "url_file",
            "max_alerts",
            "send_resolved",
            "timeout",
            "http_config",
            "signing_secrets",
        ];
        node.fields(reader, KEYS, |f| {
            let url = http_config::secret_or_file(f, "url", "url_file");
            if !f.has("url") && !f.has("url_file") {
                let place = f.place().clone();
                f.reader().error(&place, "`url` is missing").help("or `url_file`");
            }
            let max_alerts = f.or("max_alerts", 0, read::integer(0..=1_000_000));
            let send_resolved = f.optional("send_resolved", read::bool);
            let timeout = http_config::timeout(f);
            let http = f.or("http_config", HttpSettings::default(), http_config::http_config);
            let signing_keys = signing_keys(f);
            Some(Self { url: url?, max_alerts, send_resolved, timeout, http, signing_keys })
        })
    }

    /// What the channel needs. Alertmanager's default of `send_resolved` for webhooks is true.
    pub fn resolve(
        self,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<WebhookSettings> {
        Some(WebhookSettings {
            endpoint: http_config::endpoint(&self.url, reader)?,
            max_alerts: usize::try_from(self.max_alerts).unwrap_or(0),
            send_resolved: self.send_resolved.or(defaults.send_resolved).unwrap_or(true),
            timeout: self.timeout,
            http: self.http,
            signing_keys: self.signing_keys,
        })
    }
}

fn signing_keys(f: &mut Fields<'_, '_, '_>) -> Vec<SigningKey> {
    let keys = f.list("signing_secrets", signing_key);
    if keys.len() > MAX_SIGNING_SECRETS {
        let place = f.node("signing_secrets").map_or_else(|| f.place(), Node::place).clone();
        f.reader()
            .error(&place, format!("more than {MAX_SIGNING_SECRETS} secrets"))
            .help("those that nobody checks with any more can go");
    }
    keys
}

fn signing_key(node: &Node, reader: &mut Reader<'_>) -> Option<SigningKey> {
    let secret = read::secret(node, reader)?;
    SigningKey::parse(secret.expose())
        .map_err(|problem| {
            reader
                .error(node.place(), problem)
                .help("such as what `echo whsec_$(openssl rand -base64 32)` prints");
        })
        .ok()
}

/// A webhook as needed.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    pub(super) endpoint: Endpoint,
    pub(super) max_alerts: usize,
    pub(super) send_resolved: bool,
    pub(super) timeout: Duration,
    pub(super) http: HttpSettings,
    pub(super) signing_keys: Vec<SigningKey>,
}

impl ChannelSettings for WebhookSettings {
    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn max_alerts(&self) -> usize {
        self.max_alerts
    }

    fn build(&self) -> Result<Box<dyn Channel>, String> {
        Ok(Box::new(Webhook::build(self)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::channels::registry::tests::problems_of;

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, want) in [
            ("{}", "`url` is missing"),
            ("{url: 'http://h/', max_alert: 3}", "max_alert"),
            ("{url: 'ftp://h/SECRET'}", "neither http nor https"),
            ("{url: 'http://h/', timeout: 1h}", "1h"),
            ("{url: 'http://h/', url_file: /nowhere}", "/nowhere"),
            ("{url: 'http://h/', signing_secrets: [SECRET]}", "does not begin with whsec_"),
            ("{url: 'http://h/', signing_secrets: SECRET}", "list"),
            (
                "{url: 'http://h/', http_config: {proxy_url: 'ftp://SECRET'}}",
                "not a proxy's address",
            ),
            ("{url: 'http://h/', http_config: {no_proxy: h}}", "useless without `proxy_url`"),
            ("{url: 'http://h/', http_config: {http_headers: {Host: {values: [x]}}}}", "`Host`"),
            (
                "{url: 'http://h/', http_config: {http_headers: {'a b': {values: [x]}}}}",
                "name of a header",
            ),
            ("{url: 'http://h/', http_config: {http_headers: {X: {}}}}", "no value"),
            (
                "{url: 'http://h/', http_config: {http_headers: {X: {secrets: [\"SECRET\\n\"]}}}}",
                "no header can carry",
            ),
            (
                "{url: 'http://h/', http_config: {tls_config: {server_name: h}}}",
                "not followed for HTTP",
            ),
            ("{url: 'http://h/', http_config: {tls_config: {ca_file: /nowhere}}}", "/nowhere"),
            (
                "{url: 'http://h/', http_config: {bearer_token: a, basic_auth: {username: b}}}",
                "more than one way to authorize",
            ),
        ] {
            let problems = problems_of(&format!("name: r\nwebhook_configs: [{text}]\n"));
            assert!(problems.contains(want), "{text}:\n{problems}");
            assert!(!problems.contains("SECRET"), "{problems}");
        }
    }
}
