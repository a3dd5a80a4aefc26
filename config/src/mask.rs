//! Hides secrets in what is shown of a file.
//!
//! Owns the guess at which keys hold secrets, for lines that were never read as such: a file may be broken before its
//! secrets are reached. Never changes the length of a line, so that marks under it stay where they belong.

use std::ops::Range;

/// What a secret looks like in a report.
const MASK: char = '*';

/// Parts of key names whose values are never shown.
const SECRET_KEYS: [&str; 14] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "api_url",
    "routing_key",
    "service_key",
    "api_key",
    "apikey",
    "credential",
    "webhook",
    "authorization",
    "private_key",
];

/// A line with the bytes of `hidden` and everything that looks like a secret overwritten.
pub(crate) fn mask(line: &str, hidden: &[Range<usize>]) -> String {
    let mut spans: Vec<Range<usize>> = hidden.to_vec();
    spans.extend(values_of_secret_keys(line));
    spans.extend(userinfo(line));
    line.char_indices()
        .flat_map(|(at, c)| {
            let inside = spans.iter().any(|span| span.contains(&at));
            let (c, n) = if inside { (MASK, c.len_utf8()) } else { (c, 1) };
            std::iter::repeat_n(c, n)
        })
        .collect()
}

/// Whether a key's value is probably secret.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|part| key.contains(part))
}

/// A text without the password that a URL in it may carry.
pub(crate) fn without_userinfo(text: &str) -> String {
    mask_spans(text, userinfo(text))
}

fn mask_spans(text: &str, spans: Vec<Range<usize>>) -> String {
    text.char_indices()
        .map(|(at, c)| if spans.iter().any(|span| span.contains(&at)) { MASK } else { c })
        .collect()
}

/// From each `key:` with a telling name: the rest of the line, or in `{…}` up to the next comma or brace. References
/// to secrets are no secrets.
fn values_of_secret_keys(line: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(colon) = line[from..].find(':').map(|at| from + at) {
        from = colon + 1;
        let before = line[..colon].trim_end_matches(['"', '\'', ' ']);
        let key_start = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        if !is_secret_key(&before[key_start..]) {
            continue;
        }
        let value = colon + 1 + (line[colon + 1..].len() - line[colon + 1..].trim_start().len());
        let written = &line[value..];
        let reference = written.starts_with('{')
            && ["env", "file"].iter().any(|way| written[1..].trim_start().starts_with(way));
        if written.is_empty() || written.starts_with('#') || reference {
            continue;
        }
        spans.push(value..value + value_len(written, line[..colon].contains('{')));
    }
    spans
}

fn value_len(written: &str, in_flow: bool) -> usize {
    let quote = written.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        return written[1..].find(quote).map_or(written.len(), |end| end + 2);
    }
    if in_flow {
        return written.find([',', '}']).unwrap_or(written.len());
    }
    written.len()
}

/// The `user:password` of each URL.
fn userinfo(line: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(at) = line[from..].find("://").map(|at| from + at + 3) {
        let authority = line[at..].find(['/', ' ', '"', '\'', '?']).map_or(line.len(), |n| at + n);
        if let Some(end) = line[at..authority].rfind('@') {
            spans.push(at..at + end);
        }
        from = authority;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        for (line, shown) in [
            ("token: abc", "token: ***"),
            ("  smtp_auth_password: 'a b' # x", "  smtp_auth_password: ***** # x"),
            ("grpc: {token: abc, endpoint: x}", "grpc: {token: ***, endpoint: x}"),
            ("token: {env: NAME}", "token: {env: NAME}"),
            ("token: {file: a/b}", "token: {file: a/b}"),
            ("uri: amqp://guest:guest@host/%2f", "uri: amqp://***********@host/%2f"),
            ("path: /a", "path: /a"),
            ("\"api_key\": é", "\"api_key\": **"),
            ("tokens: []", "tokens: **"),
        ] {
            assert_eq!(mask(line, &[]), shown);
        }
        assert_eq!(mask("a: secret", std::slice::from_ref(&(3..9))), "a: ******");
    }
}
