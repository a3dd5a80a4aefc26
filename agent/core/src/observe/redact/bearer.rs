//! Tokens that let their bearer in: `Bearer xyz`, values of `Authorization` (RFC 9110, 11.6.2), JSON web tokens (RFC 7519).
//!
//! Owns where a token begins and ends. What scheme it is of stays; `bearer` in plain English is none. Looks at each
//! character a bounded number of times.

use memchr::memmem::Finder;

use super::span::{Found, Mark};

/// Words that follow `bearer` where people write about tokens.
const PROSE: [&str; 25] = [
    "and",
    "auth",
    "authentication",
    "authorization",
    "credential",
    "credentials",
    "error",
    "expired",
    "failed",
    "for",
    "header",
    "invalid",
    "is",
    "missing",
    "not",
    "of",
    "or",
    "realm",
    "required",
    "scheme",
    "scope",
    "token",
    "tokens",
    "type",
    "was",
];

/// Schemes of `Authorization` that may stay: what follows them is the secret.
const SCHEMES: [&str; 16] = [
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "concealed",
    "digest",
    "dpop",
    "gnap",
    "hawk",
    "hoba",
    "key",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "token",
];

/// Values that say that there is none.
const NOTHING: [&str; 6] = ["false", "nil", "none", "null", "true", "undefined"];

/// A word of plain English has no digit, or fewer letters than this.
const SHORTEST_AFTER_PROSE: usize = 8;

/// Finds tokens.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    bearer: [Finder<'static>; 2],
    authorization: [Finder<'static>; 2],
    jwt: Finder<'static>,
}

impl Bearer {
    pub(super) fn new() -> Self {
        Self {
            bearer: ["earer", "EARER"].map(Finder::new),
            authorization: ["uthorization", "UTHORIZATION"].map(Finder::new),
            jwt: Finder::new("eyJ"),
        }
    }

    pub(super) fn find(&self, text: &str, found: &mut Found<'_>) {
        for at in self.bearer.iter().flat_map(|f| f.find_iter(text.as_bytes())) {
            if begins_with(text, at, b'b', |c| c.is_ascii_alphanumeric()) {
                after_bearer(text, at + "earer".len(), found);
            }
        }
        for finder in &self.authorization {
            let mut floor = 0;
            for at in finder.find_iter(text.as_bytes()) {
                if at >= floor && begins_with(text, at, b'a', |c| c.is_ascii_alphabetic()) {
                    floor = authorization(text, at + "uthorization".len(), found);
                }
            }
        }
        let mut floor = 0;
        for at in self.jwt.find_iter(text.as_bytes()) {
            if at >= floor {
                floor = web_token(text, at, found);
            }
        }
    }
}

/// Whether this letter stands before `at`, and nothing of a word before that.
fn begins_with(text: &str, at: usize, letter: u8, is_word: fn(char) -> bool) -> bool {
    let Some(before) = at.checked_sub(1) else { return false };
    text.as_bytes()[before].eq_ignore_ascii_case(&letter)
        && !text[..before].chars().next_back().is_some_and(is_word)
}

/// The end of the longest run from `at` on.
fn run(text: &str, at: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let rest = &text.as_bytes()[at..];
    at + rest.iter().position(|&b| !is_part(b)).unwrap_or(rest.len())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 6750's `b64token`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

fn is_word_of(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// `at` is where the word has ended.
fn after_bearer(text: &str, at: usize, found: &mut Found<'_>) {
    let start = run(text, at, is_blank);
    let end = run(text, start, is_token);
    let word = text[start..end].trim_end_matches(['.', '=']);
    if start == at || word.is_empty() {
        return;
    }
    if !is_word_of(&PROSE, word) {
        found.add_in(text, start..end, Mark::Token);
    } else if word.to_ascii_lowercase().starts_with("token") {
        // `bearer token: abc123`
        let start = run(text, start + word.len(), |b| is_blank(b) || b":='\"".contains(&b));
        let end = run(text, start, is_token);
        let said = &text.as_bytes()[start..end];
        if said.len() >= SHORTEST_AFTER_PROSE && said.iter().any(u8::is_ascii_digit) {
            found.add_in(text, start..end, Mark::Token);
        }
    }
}

/// `at` is where the name of the field has ended: `Authorization: Basic abc`, `"authorization":"abc"`, or
/// `Authorization:[Bearer abc]` as some programs print it. Up to where all is found.
fn authorization(text: &str, at: usize, found: &mut Found<'_>) -> usize {
    let bytes = text.as_bytes();
    let quotes = |b| is_blank(b) || matches!(b, b'"' | b'\'' | b'\\');
    let is_done = |at: usize| found.is_mark(&text[at..]);
    let colon = run(text, at, quotes);
    let start = match &bytes[colon..] {
        [b'=', b'>', ..] => colon + 2,
        [b':' | b'=', ..] => colon + 1,
        _ => return at,
    };
    let mut start = run(text, start, quotes);
    while bytes.get(start) == Some(&b'[') && !is_done(start) {
        start = run(text, start + 1, quotes);
    }
    let quote = bytes[..start].last().copied().filter(|b| matches!(b, b'"' | b'\''));
    let first = run(text, start, is_value);
    let second = run(text, first, is_blank);
    let word = &text[start..first];
    if word.is_empty() || is_word_of(&NOTHING, word) || is_done(start) || is_done(second) {
        return at;
    }
    let has_second = second > first && bytes.get(second).is_some_and(|&b| is_value(b));
    let start = match (is_word_of(&SCHEMES, word), has_second) {
        (true, true) => second,
        (true, false) => return at,
        (false, _) => start,
    };
    let end = match quote {
        Some(quote) => run(text, start, |b| b != quote && b >= b' '),
        None if has_second => run(text, second, is_value),
        None => first,
    };
    let end = end.max(parameters(text, if has_second { second } else { start }));
    // A backslash in front of a quote is the quote's.
    let value = text[start..end].trim_end_matches('\\');
    found.add_in(text, start..start + value.len(), Mark::Token);
    end
}

fn is_value(byte: u8) -> bool {
    byte > b' ' && !b"\"'[]{}()<>,`".contains(&byte)
}

/// The end of `name=value, name="value"`, as in `Digest`; `at` if there are none.
fn parameters(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut end, mut next) = (at, at);
    loop {
        let equals = run(text, next, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if equals == next || bytes.get(equals) != Some(&b'=') {
            return end;
        }
        end = match bytes.get(equals + 1) {
            Some(b'"') => {
                let close = run(text, equals + 2, |b| b != b'"' && b >= b' ');
                close + usize::from(bytes.get(close) == Some(&b'"'))
            }
            _ => run(text, equals + 1, is_value),
        };
        let comma = run(text, end, is_blank);
        if bytes.get(comma) != Some(&b',') {
            return end;
        }
        next = run(text, comma + 1, is_blank);
    }
}

/// Three parts of which two are JSON in base64url, or five of an encrypted one. Up to where nothing else can begin.
fn web_token(text: &str, at: usize, found: &mut Found<'_>) -> usize {
    let part = |at| run(text, at, |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let follows = |end: usize| text.as_bytes().get(end) == Some(&b'.');
    let head = part(at);
    let mut ends = vec![head];
    while ends.len() < 5 && ends.last().is_some_and(|&end| follows(end)) {
        ends.push(part(ends[ends.len() - 1] + 1));
    }
    let is_signed = ends.len() > 1 && text[head + 1..].starts_with("eyJ");
    let end = match ends[..] {
        [_, payload] if is_signed => payload,
        [_, payload, signature, ..] if is_signed => {
            if signature > payload + 1 {
                signature
            } else {
                payload
            }
        }
        // Key, vector, text and tag of an encrypted one; the key may be empty.
        [_, key, vector, text, tag] if vector > key + 1 && text > vector + 1 && tag > text + 1 => {
            tag
        }
        _ => return head,
    };
    found.add_in(text, at..end, Mark::Token);
    end
}
