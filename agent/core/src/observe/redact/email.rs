//! Addresses of e-mail: `bob@example.com`, also with `%40`, as addresses stand in URLs.
//!
//! Owns what is one. Not every text with an `@` is: `a@b`, `react@18.2.0`, `icon@2x.png`, `getty@tty1.service` and the user of
//! `ssh://git@host` are none. Looks at each character a bounded number of times.

use memchr::memchr2_iter;

use super::span::{Found, Mark};

/// Last labels of names that are units of systemd and no addresses.
const UNITS: [&str; 11] = [
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];

/// Last labels of names that are pictures: `icon@2x.png`.
const PICTURES: [&str; 8] = ["avif", "gif", "ico", "jpeg", "jpg", "png", "svg", "webp"];

pub(super) fn find(text: &str, found: &mut Found<'_>) {
    let bytes = text.as_bytes();
    // The end of the sign before: what is left of it belongs to another address.
    let mut floor = 0;
    let mut in_authority = false;
    for sign in memchr2_iter(b'@', b'%', bytes) {
        let after = match bytes[sign] {
            b'@' => sign + 1,
            _ if bytes[sign..].starts_with(b"%40") => sign + 3,
            _ => continue,
        };
        let start = local_start(text, floor, sign);
        in_authority = is_user_of_url(text, floor, start, in_authority);
        floor = after;
        let is_delimiter = in_authority && bytes[sign] == b'@' && is_last(&text[after..]);
        if start < sign
            && !is_delimiter
            && let Some(len) = domain_len(&text[after..])
        {
            found.add_in(text, start..after + len, Mark::Email);
        }
    }
}

/// Where the part before the sign begins; `sign` if there is none.
fn local_start(text: &str, floor: usize, sign: usize) -> usize {
    let is_local = |c: char| c.is_alphanumeric() || "._%+-'".contains(c);
    let before = &text[floor..sign];
    let local = &before[before.trim_end_matches(is_local).len()..];
    // Quotes and dots around an address are not part of it.
    sign - local.trim_start_matches(['.', '\'', '-', '%', '+']).len()
}

/// What is not in the part of a URL between `://` and the path.
fn ends_authority(c: char) -> bool {
    c.is_whitespace() || "/?#\"'<>`".contains(c)
}

/// Whether what begins at `start` is in the user part of a URL: `scheme://user@host`. So was what lies before `floor`, if
/// `before` says so.
fn is_user_of_url(text: &str, floor: usize, start: usize, before: bool) -> bool {
    let between = &text[floor..start];
    match between.rfind(ends_authority) {
        Some(at) => between[at..].starts_with('/') && between[..=at].ends_with("://"),
        None => before,
    }
}

/// Whether no other sign follows in the same part of a URL.
fn is_last(after: &str) -> bool {
    let next = after.find(|c| c == '@' || ends_authority(c));
    !next.is_some_and(|at| after[at..].starts_with('@'))
}

/// How long the name of a host is that `text` begins with, if it is one that mail is sent to.
fn domain_len(text: &str) -> Option<usize> {
    let is_host = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
    let run = text.find(|c| !is_host(c)).map_or(text, |end| &text[..end]);
    let (mut at, mut end, mut last) = (0, None, "");
    for (n, label) in run.split('.').enumerate() {
        if label.is_empty() || (n == 0 && label.starts_with('-')) {
            break;
        }
        let letters = match label {
            idn if idn.starts_with("xn--") => idn.trim_end_matches('-'),
            _ => label.find(|c: char| !c.is_alphabetic()).map_or(label, |other| &label[..other]),
        };
        if n > 0 && letters.chars().nth(1).is_some() {
            end = Some(at + letters.len());
            last = letters;
        }
        at += label.len() + 1;
    }
    let end = end?;
    let mut labels = run[..end].split('.');
    let (first, second) = (labels.next()?, labels.next()?);
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    let is_version = is_number(first) && is_number(second);
    let is_picture = matches!(first.as_bytes(), [b'1'..=b'9', b'x']) && PICTURES.contains(&last);
    (!is_version && !is_picture && !UNITS.contains(&last)).then_some(end)
}
