//! `pagerduty_configs` of a receiver: Alertmanager's keys, with fixed texts where it has templates.
//!
//! Owns its keys and defaults, and says clearly what does not work yet. Never opens a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_config::{Fields, Located, Node, Reader, Secret, read};
use watchkeeper_model::Severity;

use super::client::PagerDuty;
use super::details::NAMES;
use super::payload::{Image, Link, Wording};
use crate::channels::Channel;
use crate::channels::http::{Endpoint, HttpSettings};
use crate::channels::http_config;
use crate::channels::registry::{ChannelDefaults, ChannelSettings};

/// Where events go unless configured.
const DEFAULT_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// Characters of a routing key.
const KEY_CHARS: usize = 32;

const KEYS: &[&str] = &[
    "routing_key",
    "routing_key_file",
    "url",
    "send_resolved",
    "client",
    "client_url",
    "description",
    "severity",
    "source",
    "class",
    "component",
    "group",
    "details",
    "images",
    "links",
    "max_alerts",
    "timeout",
    "http_config",
    // Only to be refused with a reason.
    "service_key",
    "service_key_file",
];

/// A PagerDuty integration as written.
#[derive(Clone, Debug)]
pub struct PagerDutyConfig {
    routing_key: Secret,
    url: Option<Located<Secret>>,
    wording: Wording,
    send_resolved: Option<bool>,
    max_alerts: i64,
    timeout: Duration,
    http: HttpSettings,
}

impl PagerDutyConfig {
    /// Reads it; problems are reported to the reader.
    pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, KEYS, |f| {
            let routing_key = routing_key(f);
            let url = f.optional("url", read::located(read::secret));
            let wording = wording(f);
            let send_resolved = f.optional("send_resolved", read::bool);
            let max_alerts = f.or("max_alerts", 0, read::integer(0..=1_000_000));
            let timeout = http_config::timeout(f);
            let http = f.or("http_config", HttpSettings::default(), http_config::http_config);
            let routing_key = routing_key?;
            Some(Self { routing_key, url, wording, send_resolved, max_alerts, timeout, http })
        })
    }

    /// What the channel needs. Without an address of its own `global.pagerduty_url` holds, then PagerDuty's; Alertmanager's
    /// default of `send_resolved` for PagerDuty is true.
    pub fn resolve(
        self,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<PagerDutySettings> {
        let endpoint = match self.url.as_ref().or(defaults.pagerduty_url.as_ref()) {
            Some(url) => http_config::endpoint(url, reader)?,
            None => Endpoint::parse(DEFAULT_URL).expect("the default is an address"),
        };
        Some(PagerDutySettings {
            endpoint,
            routing_key: self.routing_key,
            wording: self.wording,
            send_resolved: self.send_resolved.or(defaults.send_resolved).unwrap_or(true),
            max_alerts: usize::try_from(self.max_alerts).unwrap_or(0),
            timeout: self.timeout,
            http: self.http,
        })
    }
}

/// The key, which is neither absent nor of another API.
fn routing_key(f: &mut Fields<'_, '_, '_>) -> Option<Secret> {
    let mut is_old = false;
    for key in ["service_key", "service_key_file"] {
        if let Some(node) = f.node(key) {
            let place = node.place().clone();
            f.reader().hide(&place);
            f.reader()
                .error(&place, format!("`{key}` is of Events API v1, which is not supported"))
                .help("add an integration \"Events API v2\" to the service in PagerDuty and give its key as `routing_key`");
            is_old = true;
        }
    }
    let key = http_config::secret_or_file(f, "routing_key", "routing_key_file");
    if !is_old && !f.has("routing_key") && !f.has("routing_key_file") {
        let place = f.place().clone();
        f.reader()
            .error(&place, "`routing_key` is missing")
            .help("or `routing_key_file`: the integration key of \"Events API v2\" in PagerDuty");
    }
    let Located { value, place } = key?;
    let key = value.expose().trim();
    if key.is_empty() {
        f.reader().error(&place, "the routing key is empty").help("such as {env: PAGERDUTY_KEY}");
        return None;
    }
    let n_chars = key.chars().count();
    if n_chars != KEY_CHARS || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
        f.reader()
            .warning(&place, format!("a routing key of {n_chars} characters"))
            .help(format!("PagerDuty's have {KEY_CHARS} letters and digits; it refuses others"));
    }
    Some(Secret::new(key))
}

fn wording(f: &mut Fields<'_, '_, '_>) -> Wording {
    Wording {
        client: f.optional("client", fixed("client")),
        client_url: f.optional("client_url", fixed("client_url")),
        description: f.optional("description", fixed("description")),
        severity: f.optional("severity", severity),
        source: f.optional("source", fixed("source")),
        class: f.optional("class", fixed("class")),
        component: f.optional("component", fixed("component")),
        group: f.optional("group", fixed("group")),
        details: details(f),
        images: f.list("images", image),
        links: f.list("links", link),
    }
}

/// A text that says the same of every incident.
fn fixed(key: &'static str) -> impl Fn(&Node, &mut Reader<'_>) -> Option<String> {
    move |node, reader| {
        let text = read::string(node, reader)?;
        if text.contains("{{") {
            reader
                .error(node.place(), format!("`{key}`: templates come later"))
                .help("write a fixed text, or leave it out: Watchkeeper fills it in for now");
            return None;
        }
        Some(text)
    }
}

fn severity(node: &Node, reader: &mut Reader<'_>) -> Option<Severity> {
    const WORDS: [Severity; 4] =
        [Severity::Critical, Severity::Error, Severity::Warning, Severity::Info];
    if node.as_scalar().is_some_and(|text| text.contains("{{")) {
        fixed("severity")(node, reader)?;
    }
    read::choice(&WORDS.map(|severity| (severity.as_str(), severity)))(node, reader)
}

fn details(f: &mut Fields<'_, '_, '_>) -> BTreeMap<String, String> {
    let entries = f.or("details", Vec::new(), read::map_of(read::located(read::text)));
    let mut details = BTreeMap::new();
    for (name, Located { value, place }) in entries {
        if value.contains("{{") {
            f.reader()
                .error(&place, "`details`: templates come later")
                .help("write a fixed text, or leave it out: alerts, SLO and events are in the details anyway");
        } else if NAMES.contains(&name.value.as_str()) {
            f.reader()
                .error(&name.place, format!("Watchkeeper fills in `{}` itself", name.value))
                .help("choose another name");
        }
        details.insert(name.value, value);
    }
    details
}

fn image(node: &Node, reader: &mut Reader<'_>) -> Option<Image> {
    node.fields(reader, &["src", "href", "alt"], |f| {
        let src = f.required("src", |node, reader| web(node, reader, "src", &["https"]));
        let href = f.optional("href", |node, reader| web(node, reader, "href", &["https", "http"]));
        let alt = f.optional("alt", fixed("alt"));
        Some(Image { src: src?, href, alt })
    })
}

fn link(node: &Node, reader: &mut Reader<'_>) -> Option<Link> {
    node.fields(reader, &["href", "text"], |f| {
        let href = f.required("href", |node, reader| web(node, reader, "href", &["https", "http"]));
        let text = f.optional("text", fixed("text"));
        let href = href?;
        let text = text.unwrap_or_else(|| href.clone());
        Some(Link { href, text })
    })
}

/// A fixed address that a browser opens.
fn web(
    node: &Node,
    reader: &mut Reader<'_>,
    key: &'static str,
    schemes: &[&str],
) -> Option<String> {
    let text = fixed(key)(node, reader)?;
    let scheme = reqwest::Url::parse(&text).ok().map(|url| url.scheme().to_owned());
    if scheme.is_none_or(|scheme| !schemes.contains(&scheme.as_str())) {
        let schemes = schemes.join(" or ");
        reader
            .error(node.place(), format!("no {schemes} address"))
            .help("such as https://wiki.example.com/page");
        return None;
    }
    Some(text)
}

/// A PagerDuty integration as needed.
#[derive(Clone, Debug)]
pub struct PagerDutySettings {
    pub(super) endpoint: Endpoint,
    pub(super) routing_key: Secret,
    pub(super) wording: Wording,
    pub(super) send_resolved: bool,
    pub(super) max_alerts: usize,
    pub(super) timeout: Duration,
    pub(super) http: HttpSettings,
}

impl ChannelSettings for PagerDutySettings {
    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn max_alerts(&self) -> usize {
        self.max_alerts
    }

    fn build(&self) -> Result<Box<dyn Channel>, String> {
        Ok(Box::new(PagerDuty::build(self)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::channels::registry::tests::{problems_of, receiver};

    const KEY: &str = "routing_key: 0123456789abcdef0123456789abcdef";

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, want) in [
            ("{}", "`routing_key` is missing"),
            ("{routing_key: ''}", "is empty"),
            ("{routing_key: {file: /nowhere}}", "/nowhere"),
            ("{routing_key_file: /nowhere}", "/nowhere"),
            ("{service_key: SECRET}", "Events API v1"),
            ("{K, url: 'events.pagerduty.com/SECRET'}", "not a URL"),
            ("{K, severity: page}", "page"),
            ("{K, severity: '{{ .x }}'}", "templates come later"),
            ("{K, description: '{{ .x }}'}", "`description`: templates come later"),
            ("{K, details: {firing: '{{ .x }}'}}", "`details`: templates come later"),
            ("{K, details: {playbook: [1]}}", "playbook"),
            ("{K, details: {firing: x}}", "fills in `firing` itself"),
            ("{K, images: [{src: 'http://h/i.png'}]}", "no https address"),
            ("{K, links: [{text: x}]}", "href"),
            ("{K, links: [{href: 'javascript:x'}]}", "no https or http address"),
            ("{K, routing_keys: x}", "routing_keys"),
            ("{K, timeout: 1h}", "1h"),
        ] {
            let text = text.replace('K', KEY);
            let problems = problems_of(&format!("name: r\npagerduty_configs: [{text}]\n"));
            assert!(problems.contains(want), "{text}:\n{problems}");
            assert!(!problems.contains("SECRET"), "{problems}");
            assert!(!problems.contains("0123456789abcdef0123"), "{problems}");
        }
    }

    #[test]
    fn send_resolved_is_true_unless_said_otherwise() {
        for (text, defaults, want) in
            [("", None, true), (", send_resolved: false", Some(true), false)]
        {
            let text = format!("name: r\npagerduty_configs: [{{{KEY}{text}}}]\n");
            let settings = &receiver(&text, defaults).integrations[0].settings;
            assert_eq!(settings.send_resolved(), want, "{text}");
        }
    }
}
