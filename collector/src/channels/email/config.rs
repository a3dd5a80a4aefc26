//! `email_configs` of a receiver, in Alertmanager's keys.
//!
//! Owns its keys and defaults, and says clearly what does not work yet. Never opens a connection.

use std::collections::BTreeSet;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{HeaderName, HeaderValue};
use watchkeeper_config::{Located, Node, Place, Reader, read};

use super::client::Email;
use super::message::{Look, Threading};
use super::recipients;
use super::server::{SERVER_KEYS, ServerConfig};
use super::smtp::Server;
use crate::channels::Channel;
use crate::channels::registry::{ChannelDefaults, ChannelSettings};

/// How long one attempt may take unless configured: some servers let strangers wait for their greeting.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// The keys besides those about the server.
const OWN_KEYS: [&str; 7] =
    ["to", "headers", "threading", "send_resolved", "timeout", "html", "text"];

/// Keys of Alertmanager that hold templates.
const TEMPLATES: [&str; 2] = ["html", "text"];

/// Headers that say how the mail is made, or that would tell everybody who else is told.
const OURS: [&str; 7] = [
    "message-id",
    "date",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "bcc",
    "auto-submitted",
];

/// Headers that threads are made of.
const THREADS: [&str; 2] = ["references", "in-reply-to"];

/// An e-mail integration as written.
#[derive(Clone, Debug)]
pub struct EmailConfig {
    to: Option<Vec<Mailbox>>,
    server: ServerConfig,
    headers: Vec<HeaderValue>,
    threading: Option<Threading>,
    send_resolved: Option<bool>,
    timeout: Duration,
    place: Place,
}

impl EmailConfig {
    /// Reads it; problems are reported to the reader.
    pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        for key in TEMPLATES {
            if let Some(value) = node.get(key) {
                reader
                    .error(value.place(), format!("`{key}`: templates come later"))
                    .help("leave it out: mails are made by Watchkeeper for now");
            }
        }
        let keys: Vec<&'static str> = OWN_KEYS.into_iter().chain(SERVER_KEYS).collect();
        node.fields(reader, &keys, |f| {
            let to = f.required("to", recipients::mailboxes);
            let server = ServerConfig::read(f, &SERVER_KEYS);
            let threading = f.or("threading", Some(Threading::Incident), threading);
            let headers = f.or("headers", Vec::new(), |node, reader| {
                headers(node, reader, threading.is_some())
            });
            let send_resolved = f.optional("send_resolved", read::bool);
            let timeout =
                f.or("timeout", Duration::ZERO, read::duration_in(Duration::ZERO..=MAX_TIMEOUT));
            let timeout = if timeout.is_zero() { DEFAULT_TIMEOUT } else { timeout };
            let place = f.place().clone();
            Some(Self { to, server, headers, threading, send_resolved, timeout, place })
        })
    }

    /// What the channel needs. What is not written comes from `global`; Alertmanager's default of `send_resolved` for
    /// e-mail is false.
    pub fn resolve(
        self,
        defaults: &ChannelDefaults,
        reader: &mut Reader<'_>,
    ) -> Option<EmailSettings> {
        let (from, server) = self.server.or(&defaults.smtp).resolve(&self.place, reader)?;
        let to = self.to?;
        Some(EmailSettings {
            look: Look { from, to, headers: self.headers, threading: self.threading },
            server,
            send_resolved: self.send_resolved.or(defaults.send_resolved).unwrap_or(false),
            timeout: self.timeout,
        })
    }
}

/// `threading`: on unless `enabled: false`; by incident, or with `daily` by group and day.
fn threading(node: &Node, reader: &mut Reader<'_>) -> Option<Option<Threading>> {
    node.fields(reader, &["enabled", "thread_by_date"], |f| {
        let enabled = f.or("enabled", true, read::bool);
        let choices = [("none", Threading::Incident), ("daily", Threading::Daily)];
        let by = f.or("thread_by_date", Threading::Incident, read::choice(&choices));
        Some(enabled.then_some(by))
    })
}

/// `headers`: more of them, or others than ours.
fn headers(node: &Node, reader: &mut Reader<'_>, has_threads: bool) -> Option<Vec<HeaderValue>> {
    let mut headers = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, value) in read::map_of(read::located(read::text))(node, reader)? {
        if !seen.insert(name.value.to_ascii_lowercase()) {
            reader.error(&name.place, format!("another header is called {:?} too", name.value));
            continue;
        }
        headers.extend(header(&name, &value, has_threads, reader));
    }
    Some(headers)
}

fn header(
    name: &Located<String>,
    value: &Located<String>,
    has_threads: bool,
    reader: &mut Reader<'_>,
) -> Option<HeaderValue> {
    let lower = name.value.to_ascii_lowercase();
    // RFC 5322, section 2.2: printable ASCII without the colon.
    let is_name = name.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    let header = HeaderName::new_from_ascii(name.value.clone()).ok().filter(|_| is_name);
    let Some(header) = header else {
        reader.error(&name.place, "this is no name of a header").help("such as Reply-To");
        return None;
    };
    if OURS.contains(&lower.as_str()) {
        let why = format!("`{}` is made for each mail and can't be set", name.value);
        reader.error(&name.place, why).help("leave it out");
        return None;
    }
    if has_threads && THREADS.contains(&lower.as_str()) {
        let why = format!("`{}` is what threads are made of", name.value);
        reader.error(&name.place, why).help("leave it out, or set `threading: {enabled: false}`");
        return None;
    }
    if value.value.contains("{{") {
        reader
            .error(&value.place, format!("`{}`: templates come later", name.value))
            .help("leave it out, or write a text that is the same in every mail");
        return None;
    }
    if value.value.chars().any(char::is_control) {
        reader
            .error(&value.place, "a header is one line without control characters")
            .help("take line breaks and tabs away");
        return None;
    }
    Some(HeaderValue::new(header, value.value.clone()))
}

/// An e-mail integration as needed.
#[derive(Clone, Debug)]
pub struct EmailSettings {
    pub(super) look: Look,
    pub(super) server: Server,
    pub(super) send_resolved: bool,
    pub(super) timeout: Duration,
}

impl ChannelSettings for EmailSettings {
    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn max_alerts(&self) -> usize {
        0
    }

    fn build(&self) -> Result<Box<dyn Channel>, String> {
        Ok(Box::new(Email::build(self)))
    }
}

#[cfg(test)]
mod tests {
    use crate::channels::registry::GLOBAL_KEYS;
    use crate::channels::registry::tests::{problems_of, receiver};
    use crate::channels::{ChannelDefaults, ReceiverSettings};
    use watchkeeper_config::{ProcessEnv, Reader, load_str};

    const GOOD: &str = "to: a@x.y, from: f@x.y, smarthost: 'h:25'";

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, want) in [
            ("{}", "`to` is missing"),
            ("{to: a@x.y}", "`smarthost` is missing"),
            ("{to: a@x.y}", "`smtp_from` under `global`"),
            ("{to: a@, from: f@x.y, smarthost: 'h:25'}", "\"a@\" is no e-mail address"),
            ("{to: 'a@x.y, b', from: f@x.y, smarthost: 'h:25'}", "\"b\" is no e-mail address"),
            ("{to: [], from: f@x.y, smarthost: 'h:25'}", "at least one"),
            ("{to: a@x.y, from: 'f@x.y, g@x.y', smarthost: 'h:25'}", "one address is needed"),
            ("{to: a@x.y, from: f@x.y, smarthost: h}", "a host and its port"),
            ("{to: a@x.y, from: f@x.y, smarthost: '::1:25'}", "a host and its port"),
            ("{to: a@x.y, from: f@x.y, smarthost: 'h:0'}", "a host and its port"),
            ("{@, hello: 'a b'}", "no name that a computer can have"),
            ("{@, html: '{{ x }}'}", "`html`: templates come later"),
            ("{@, headers: {Subject: '{{ x }}'}}", "templates come later"),
            ("{@, headers: {'X Y': a}}", "no name of a header"),
            ("{@, headers: {X-A: 'a\\nBcc: b@x.y'}}", ""),
            ("{@, headers: {X-A: \"a\\nBcc: b@x.y\"}}", "one line without control"),
            ("{@, headers: {Bcc: b@x.y}}", "can't be set"),
            ("{@, headers: {x-a: b, X-A: c}}", "another header is called"),
            ("{@, headers: {References: '<a@b>'}}", "what threads are made of"),
            ("{@, threading: {thread_by_date: weekly}}", "valid are none, daily"),
            ("{@, auth_username: u}", "a user without a password"),
            ("{@, auth_password: SECRET}", "a password without a user"),
            ("{@, auth_username: u, auth_password: SECRET, auth_password_file: /no}", "/no"),
            ("{@, tls_config: {ca_file: /nowhere.pem}}", "/nowhere.pem"),
            ("{@, tls_config: {cert_file: /nowhere.pem}}", "useless without `key_file`"),
            ("{@, tls_config: {server_name: 'a b'}}", "can't be in a certificate"),
            ("{@, tls_config: {min_version: TLS10}}", "TLS12, TLS13"),
            ("{@, timeout: 1h}", "1h"),
            ("{@, subject: x}", "subject"),
        ] {
            let text = text.replacen("{@", &format!("{{{GOOD}"), 1);
            let yaml = format!("name: r\nemail_configs: [{text}]\n");
            if want.is_empty() {
                receiver(&yaml, None);
                continue;
            }
            let problems = problems_of(&yaml);
            assert!(problems.contains(want), "{text}:\n{problems}");
            assert!(problems.contains("receiver.yml:2:"), "{problems}");
            assert!(!problems.contains("SECRET"), "{problems}");
        }
    }

    #[test]
    fn send_resolved_follows_the_file_then_the_defaults() {
        for (more, defaults, want) in [
            ("", None, false),
            ("", Some(true), true),
            (", send_resolved: false", Some(true), false),
        ] {
            let text = format!("name: r\nemail_configs: [{{{GOOD}{more}}}]\n");
            let settings = &receiver(&text, defaults).integrations[0].settings;
            assert_eq!(settings.send_resolved(), want, "{more}");
        }
    }

    /// A receiver beside `global`, as its settings show, or what is wrong.
    fn beside(global: &str, email: &str) -> String {
        let text =
            format!("global: {{{global}}}\nreceiver:\n  name: r\n  email_configs: [{{{email}}}]\n");
        let mut reader = Reader::new(&ProcessEnv);
        let document = load_str("c.yml", &text, &mut reader).unwrap();
        let global = document.root().get("global").unwrap();
        let defaults =
            global.fields(&mut reader, GLOBAL_KEYS, |f| Some(ChannelDefaults::read(f, Some(true))));
        let node = document.root().get("receiver").unwrap();
        let settings = ReceiverSettings::read(node, &defaults.unwrap(), &mut reader);
        match reader.finish(settings) {
            Ok((settings, problems)) => format!("{settings:?}\n{}", problems.render()),
            Err(problems) => problems.render(),
        }
    }

    #[test]
    fn what_a_receiver_does_not_say_comes_from_global() {
        let global = "smtp_from: w@x.y, smtp_smarthost: 'mx.x.y:587', smtp_hello: me.x.y, \
                      smtp_auth_username: user, smtp_auth_password: SECRET";
        for (global, email, wants) in [
            (global, "to: a@x.y", &["mx.x.y", "587", "me.x.y", "\"user\"", "StartTls"][..]),
            (
                global,
                "to: a@x.y, smarthost: 'h:465', auth_username: other",
                &["465", "Implicit", "\"other\""],
            ),
            (global, "to: a@x.y, force_implicit_tls: true", &["Implicit"]),
            (global, "to: a@x.y, smarthost: 'h:465', force_implicit_tls: false", &["StartTls"]),
            (
                global,
                "to: a@x.y, require_tls: false",
                &["security: None", "is not sent without TLS"],
            ),
            (
                global,
                "to: a@x.y, smarthost: 'h:465', require_tls: false",
                &["Implicit", "from the first byte"],
            ),
            (
                "smtp_require_tls: false",
                "to: a@x.y, from: w@x.y, smarthost: '[::1]:25'",
                &["\"::1\"", "security: None"],
            ),
            (
                "smtp_require_tls: false",
                "to: a@x.y, from: w@x.y, smarthost: 'h:25', require_tls: true",
                &["StartTls"],
            ),
            ("smtp_from: nobody", "to: a@x.y", &["c.yml:1:", "no e-mail address"]),
            ("smtp_tls_config: {ca_file: /no}", "to: a@x.y", &["c.yml:1:", "/no"]),
        ] {
            let shown = beside(global, email);
            for want in wants {
                assert!(shown.contains(want), "{email}: no {want} in {shown}");
            }
            assert!(!shown.contains("SECRET"), "{shown}");
        }
    }

    #[test]
    fn what_is_wrong_is_not_said_to_be_missing_too() {
        let shown = beside("smtp_from: x, smtp_smarthost: y", "to: a@x.y");
        assert!(!shown.contains("is missing"), "{shown}");
        let shown = beside(
            "smtp_from: w@x.y, smtp_smarthost: 'localhost:25', smtp_require_tls: false, \
            smtp_auth_username: u",
            "to: a@x.y, auth_password_file: /no",
        );
        assert!(shown.contains("/no") && !shown.contains("without"), "{shown}");
        let shown = beside(
            "smtp_from: w@x.y, smtp_smarthost: 'localhost:25', smtp_require_tls: false, \
            smtp_auth_username: u, smtp_auth_password: p",
            "to: a@x.y",
        );
        assert!(!shown.contains("warning"), "{shown}");
    }
}
