//! Addresses: those written in the configuration, and who has been told while others have not.
//!
//! Owns what an address may be. Never sends.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use tokio::time::Instant;
use watchkeeper_config::{Node, Reader, read};

/// The most recipients of one mail: servers must take 100 (RFC 5321, section 4.5.3.1.8).
const MAX_RECIPIENTS: usize = 100;

/// Deliveries that are remembered; beyond it the oldest is forgotten, and its recipients may be told twice.
const MAX_REMEMBERED: usize = 256;

/// How long recipients that are put off are tried once others have been told. Shorter than dispatch tries a delivery,
/// so that one full mailbox never makes it fail for all.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);

/// One address: `ops@example.com`, or `Operations <ops@example.com>`.
pub(super) fn mailbox(node: &Node, reader: &mut Reader<'_>) -> Option<Mailbox> {
    let text = read::string(node, reader)?;
    let mut found = parse(&text, node, reader)?;
    if found.len() > 1 {
        reader.error(node.place(), "one address is needed, and this is several");
        return None;
    }
    found.pop()
}

/// One or several, as a text with commas or as a list.
pub(super) fn mailboxes(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Mailbox>> {
    let one = |node: &Node, reader: &mut Reader<'_>| {
        let text = read::string(node, reader)?;
        parse(&text, node, reader)
    };
    let found: Vec<Mailbox> = if node.is_list() {
        read::non_empty(one)(node, reader)?.into_iter().flatten().collect()
    } else {
        one(node, reader)?
    };
    let mut seen = BTreeSet::new();
    let found: Vec<Mailbox> =
        found.into_iter().filter(|mailbox| seen.insert(mailbox.email.clone())).collect();
    if found.len() > MAX_RECIPIENTS {
        let why = format!("{} recipients are too many for one mail", found.len());
        reader.error(node.place(), why).help("put at most 100 here; a mailing list takes more");
        return None;
    }
    Some(found)
}

fn parse(text: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Mailbox>> {
    let mut found = Vec::new();
    for part in split(text) {
        match address(part) {
            Ok(mailbox) => found.push(mailbox),
            Err(why) => {
                let shown = crate::channels::text::line(part, 80);
                reader.error(node.place(), format!("{shown:?} {why}")).help(
                    "such as ops@example.com, or Operations <ops@example.com>; several with commas",
                );
                return None;
            }
        }
    }
    Some(found)
}

/// Parts between commas that stand neither in quotes nor in angle brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped, mut is_angled) = (false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '<' if !is_quoted => is_angled = true,
            '>' if !is_quoted => is_angled = false,
            ',' if !is_quoted && !is_angled => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// An address that every mail server takes: its domain in ASCII form, nothing but ASCII before the `@`.
fn address(text: &str) -> Result<Mailbox, &'static str> {
    const NONE: &str = "is no e-mail address";
    if text.chars().any(char::is_control) {
        return Err(NONE);
    }
    let mailbox: Mailbox = text.parse().map_err(|_| NONE)?;
    if !mailbox.email.user().is_ascii() {
        return Err("has characters before the `@` that not every mail server takes");
    }
    let domain = mailbox.email.domain();
    if domain.is_ascii() {
        return Ok(mailbox);
    }
    let url = reqwest::Url::parse(&format!("http://{domain}/")).map_err(|_| NONE)?;
    let domain = url.host_str().ok_or(NONE)?;
    let email = Address::new(mailbox.email.user(), domain).map_err(|_| NONE)?;
    Ok(Mailbox::new(mailbox.name, email))
}

/// Who of several recipients is done with a delivery that is still being tried for the others.
#[derive(Debug, Default)]
pub(super) struct Progress(VecDeque<Entry>);

#[derive(Debug)]
struct Entry {
    delivery: String,
    since: Instant,
    done: BTreeSet<Address>,
    /// Those of them that won't be told, with what the server said.
    lost: Vec<String>,
}

impl Progress {
    /// Those of `to` that are not done with the delivery yet.
    pub(super) fn open<'a>(&self, delivery: &str, to: &'a [Mailbox]) -> Vec<&'a Address> {
        let done = self.entry(delivery).map(|entry| &entry.done);
        let addresses = to.iter().map(|mailbox| &mailbox.email);
        addresses.filter(|to| done.is_none_or(|done| !done.contains(*to))).collect()
    }

    /// Some are done, told or refused for good, and then among the `lost`; answers for how long the delivery has been partly
    /// done.
    pub(super) fn note(
        &mut self,
        delivery: &str,
        done: &[&Address],
        lost: &[String],
        now: Instant,
    ) -> Duration {
        if self.entry(delivery).is_none() {
            if self.0.len() == MAX_REMEMBERED {
                self.0.pop_front();
            }
            let (delivery, done, lost) = (delivery.to_owned(), BTreeSet::new(), Vec::new());
            self.0.push_back(Entry { delivery, since: now, done, lost });
        }
        let Some(entry) = self.0.iter_mut().find(|entry| entry.delivery == delivery) else {
            return Duration::ZERO;
        };
        entry.lost.extend_from_slice(lost);
        entry.done.extend(done.iter().map(|address| (*address).clone()));
        now.saturating_duration_since(entry.since)
    }

    /// Nobody is left; answers who was lost on the way.
    pub(super) fn end(&mut self, delivery: &str) -> Vec<String> {
        let at = self.0.iter().position(|entry| entry.delivery == delivery);
        at.and_then(|at| self.0.remove(at)).map(|entry| entry.lost).unwrap_or_default()
    }

    fn entry(&self, delivery: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.delivery == delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_every_server_takes() {
        for (text, want) in [
            ("ops@example.com", Ok("ops@example.com")),
            ("Ops Team <ops@example.com>", Ok("ops@example.com")),
            ("\"Doe, Jane\" <jane@example.com>", Ok("jane@example.com")),
            ("root@localhost", Ok("root@localhost")),
            ("ops+page@bücher.example", Ok("ops+page@xn--bcher-kva.example")),
            ("öps@example.com", Err("not every mail server")),
            ("ops", Err("is no e-mail")),
            ("ops@", Err("is no e-mail")),
            ("@example.com", Err("is no e-mail")),
            ("a@b@c", Err("is no e-mail")),
            ("ops@exa mple.com", Err("is no e-mail")),
            ("ops@example.com\r\nBcc: x@y.z", Err("is no e-mail")),
            ("", Err("is no e-mail")),
        ] {
            match (address(text), want) {
                (Ok(mailbox), Ok(want)) => assert_eq!(mailbox.email.to_string(), want),
                (Err(why), Err(want)) => assert!(why.contains(want), "{text}: {why}"),
                (got, _) => panic!("{text:?} became {got:?}"),
            }
        }
    }

    #[test]
    fn commas_part_addresses_but_not_names() {
        assert_eq!(split("a@b, c@d"), ["a@b", "c@d"]);
        assert_eq!(split(r#""Doe, Jane" <j@d>, x@y"#), [r#""Doe, Jane" <j@d>"#, "x@y"]);
        assert_eq!(split(r#""a\", b" <j@d>"#), [r#""a\", b" <j@d>"#]);
        assert_eq!(split("a@b,"), ["a@b", ""]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_done_is_remembered_within_a_bound() {
        let to: Vec<Mailbox> = ["a@x.y", "b@x.y"].map(|one| one.parse().unwrap()).into();
        let mut progress = Progress::default();
        let a = &to[0].email;
        assert_eq!(progress.open("d", &to).len(), 2);
        assert_eq!(progress.note("d", &[a], &["a: no".into()], Instant::now()), Duration::ZERO);
        assert_eq!(progress.open("d", &to), [&to[1].email]);
        assert_eq!(progress.open("other", &to).len(), 2);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(progress.note("d", &[], &[], Instant::now()), Duration::from_secs(9));
        assert_eq!(progress.end("d"), ["a: no"]);
        assert_eq!(progress.open("d", &to).len(), 2);
        for n in 0..2_000 {
            progress.note(&n.to_string(), &[a], &[], Instant::now());
        }
        assert_eq!(progress.0.len(), MAX_REMEMBERED);
    }
}
