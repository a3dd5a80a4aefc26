//! The mail as it goes over the wire: headers, and both forms of its content.
//!
//! Owns ids, threads and subjects. Never decides what is said: `report` does.

use std::fmt::Write as _;
use std::time::SystemTime;

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use sha2::{Digest, Sha256};
use watchkeeper_collector_core::notify::{Action, Notification};

use super::html;
use super::plain;
use super::report::{Report, Tone, group_title, only_name};

/// How mails form threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threading {
    /// Those of one incident, under its first mail.
    Incident,
    /// Those of one group and day, as Alertmanager's `daily`.
    Daily,
}

/// Who writes to whom, and how.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    /// In addition, or instead of ours of the same name.
    pub(super) headers: Vec<HeaderValue>,
    pub(super) threading: Option<Threading>,
}

/// The mail for a notification; `refused` are recipients the server did not take. What is wrong with it is a mistake of
/// ours: addresses and headers were checked before.
pub(super) fn mail(
    told: &Notification,
    look: &Look,
    refused: &[String],
) -> Result<Vec<u8>, String> {
    let report = Report::of(told, refused);
    let id = message_id(told, look);
    let mut mail = Message::builder()
        .from(look.from.clone())
        .subject(subject(told, &report))
        .date(SystemTime::from(told.at.to_jiff()))
        .message_id(Some(id));
    for to in &look.to {
        mail = mail.to(to.clone());
    }
    if let Some(root) = thread_root(told, look) {
        mail = mail.in_reply_to(root.clone()).references(root);
    }
    for (name, value) in own_headers(told) {
        mail = mail.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    for header in &look.headers {
        mail = mail.raw_header(header.clone());
    }
    let content = MultiPart::alternative()
        .singlepart(SinglePart::plain(plain::text(&report)))
        .singlepart(SinglePart::html(html::page(&report)));
    let mail = mail.multipart(content).map_err(|error| error.to_string())?;
    Ok(mail.formatted())
}

/// The same for every attempt of one delivery, and no other mail's: servers drop what they have seen. Told apart from
/// other collectors' and from earlier lives of this one by the moment it was decided.
pub(super) fn message_id(told: &Notification, look: &Look) -> String {
    let Notification { dedup_key, at, .. } = told;
    let key: String = dedup_key.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    format!("<{}.{}.{key}@{}>", action(told.action), at.nanos(), domain(look))
}

/// What the mail answers to; `None` for the first of an incident.
fn thread_root(told: &Notification, look: &Look) -> Option<String> {
    match look.threading? {
        Threading::Incident => {
            let first = told.memory.as_deref()?;
            is_message_id(first).then(|| first.to_owned())
        }
        Threading::Daily => {
            let digest = Sha256::digest(told.group_key.as_bytes());
            let hex = digest.iter().take(8).fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            let day = told.at.to_jiff().strftime("%Y-%m-%d");
            Some(format!("<alert-{hex}-{day}@{}>", domain(look)))
        }
    }
}

/// What was remembered may be of another version, or of another kind of channel.
fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    inner.is_some_and(|id| {
        id.contains('@') && id.len() <= 512 && id.bytes().all(|b| b.is_ascii_graphic() && b != b'<')
    })
}

fn domain(look: &Look) -> &str {
    look.from.email.domain().trim_matches(['[', ']'])
}

/// `[FIRING] shop-availability (shop)`. What follows the brackets stays the same for an incident's whole life, and mail
/// programs leave what stands in brackets out when they compare subjects (RFC 5256, section 2.1), so threads hold.
fn subject(told: &Notification, report: &Report) -> String {
    let n_firing = told.alerts.iter().filter(|alert| alert.firing).count();
    let n_firing = n_firing + told.n_truncated as usize;
    let state = match report.tone {
        Tone::Firing(_) if n_firing > 1 => format!("FIRING:{n_firing}"),
        Tone::Firing(_) => "FIRING".into(),
        Tone::Resolved => "RESOLVED".into(),
        Tone::Closed => "CLOSED HERE".into(),
    };
    let only = only_name(told).replace(['[', ']'], "");
    let colon = if only.is_empty() { "" } else { ": " };
    format!("[{state}{colon}{only}] {}", group_title(told))
}

/// That no person wrote this, so that nobody's absence note answers, and what programs sort by.
fn own_headers(told: &Notification) -> [(&'static str, String); 4] {
    [
        ("Auto-Submitted", "auto-generated".into()),
        ("X-Auto-Response-Suppress", "All".into()),
        (
            "X-Watchkeeper-Incident-Key",
            told.dedup_key.chars().filter(char::is_ascii_graphic).collect(),
        ),
        ("X-Watchkeeper-Action", action(told.action).into()),
    ]
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Open => "open",
        Action::Update => "update",
        Action::Close => "close",
    }
}
