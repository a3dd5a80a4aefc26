//! Secrets in URLs: `scheme://user:password@host`, and parameters such as `?access_token=…`.
//!
//! Owns where a password begins and ends, also one that should have been percent-encoded and is not. Looks at each
//! character a bounded number of times.

use memchr::memchr_iter;
use memchr::memmem::Finder;

use super::span::{Found, Mark};

/// What the names of parameters with secrets end in, in lower case and without `-` and `_`.
const NAMES: [&str; 6] = ["apikey", "passwd", "password", "pwd", "secret", "token"];

/// The longest name looked at.
const MAX_NAME_BYTES: usize = 64;

/// How far an `@` is looked for behind a `/` that may be part of a password.
const MAX_PASSWORD_BYTES: usize = 256;

/// Finds passwords in URLs.
#[derive(Clone, Debug)]
pub(super) struct Url {
    scheme: Finder<'static>,
}

impl Url {
    pub(super) fn new() -> Self {
        Self { scheme: Finder::new("://") }
    }

    pub(super) fn find(&self, text: &str, found: &mut Found<'_>) {
        for at in self.scheme.find_iter(text.as_bytes()) {
            if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
                user_part(text, at + "://".len(), found);
            }
        }
        let mut end = 0;
        for equals in memchr_iter(b'=', text.as_bytes()) {
            parameter(text, equals, &mut end, found);
        }
    }
}

fn ends_url(byte: u8) -> bool {
    byte <= b' ' || b"\"'<>`".contains(&byte)
}

/// The URL's part before the path begins at `start`.
fn user_part(text: &str, start: usize, found: &mut Found<'_>) {
    let bytes = &text.as_bytes()[start..];
    let end = |ends: fn(u8) -> bool, within: &[u8]| {
        within.iter().position(|&b| ends(b)).unwrap_or(within.len())
    };
    let authority = end(|b| ends_url(b) || matches!(b, b'/' | b'?' | b'#'), bytes);
    let Some(colon) = memchr::memchr(b':', &bytes[..authority]) else { return };
    let at = memchr::memrchr(b'@', &bytes[..authority]).or_else(|| {
        // A port has digits only; anything else is a password with a `/` in it.
        let is_port = bytes[colon + 1..authority].iter().all(u8::is_ascii_digit);
        let within = &bytes[..bytes.len().min(authority + MAX_PASSWORD_BYTES)];
        let within = &within[..end(ends_url, within)];
        memchr::memrchr(b'@', within).filter(|_| !is_port && bytes[0] != b'[')
    });
    if let Some(at) = at.filter(|&at| at > colon) {
        found.add_in(text, start + colon + 1..start + at, Mark::Password);
    }
}

/// `name=value` with this equals sign, behind `?`, `&`, `;` or `#`, or at the beginning of a form: before `&`.
///
/// `end` is that of the value looked at last: what is still in it has the same.
fn parameter(text: &str, equals: usize, end: &mut usize, found: &mut Found<'_>) {
    let bytes = text.as_bytes();
    let from = equals.saturating_sub(MAX_NAME_BYTES);
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"-_.[]%".contains(b);
    let name_len = bytes[from..equals].iter().rev().take_while(|b| is_name(b)).count();
    let name = &bytes[equals - name_len..equals];
    if !is_secret(name) {
        return;
    }
    let start = equals + 1;
    if start > *end {
        let rest = &bytes[start..];
        let len = rest.iter().position(|&b| ends_url(b) || b == b'&' || b == b'#');
        *end = start + len.unwrap_or(rest.len());
    }
    let is_behind = |b: &u8| matches!(b, b'?' | b'&' | b';' | b'#');
    let before = bytes[..equals - name_len].last();
    if before.is_some_and(is_behind) || bytes.get(*end) == Some(&b'&') {
        // A backslash in front of a quote is the quote's.
        let value = text[start..*end].trim_end_matches('\\');
        found.add_in(text, start..start + value.len(), Mark::Password);
    }
}

/// Whether a parameter of this name holds a secret: `access_token`, `api-key`, `user[password]`.
fn is_secret(name: &[u8]) -> bool {
    let name = name.strip_suffix(b"]").or_else(|| name.strip_suffix(b"%5D")).unwrap_or(name);
    let plain: Vec<u8> =
        name.iter().filter(|b| !matches!(b, b'-' | b'_')).map(u8::to_ascii_lowercase).collect();
    NAMES.iter().any(|known| plain.ends_with(known.as_bytes()))
}
