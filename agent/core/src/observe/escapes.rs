//! Text without its escapes.
//!
//! Owns what an escape stands for, in JSON and in the quoted values of logfmt. Never decides which escapes a format
//! allows: that was checked before.

/// Writes checked text without its escapes. A lone surrogate, and a byte that is no character, become U+FFFD.
pub(super) fn unescape(raw: &str, into: &mut String) {
    into.clear();
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        into.push_str(&rest[..at]);
        let kind = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut used = 2;
        into.push(match kind {
            b'a' => '\u{7}',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'v' => '\u{b}',
            b'u' => {
                let (c, n) = code_point(&rest[at..]);
                used = n;
                c
            }
            b'U' => {
                used = 10;
                hex(&rest[at + 2..], 8).and_then(char::from_u32).unwrap_or('\u{FFFD}')
            }
            b'x' => {
                used = 4;
                let byte = hex(&rest[at + 2..], 2).filter(|byte| *byte < 0x80);
                byte.and_then(char::from_u32).unwrap_or('\u{FFFD}')
            }
            other => char::from(other),
        });
        rest = &rest[at + used..];
    }
    into.push_str(rest);
}

/// The number that the first `n` digits of a text are.
fn hex(text: &str, n: usize) -> Option<u32> {
    u32::from_str_radix(text.get(..n)?, 16).ok()
}

/// The character of the `\uXXXX` that `text` begins with, or of two that are a surrogate pair, and their length.
fn code_point(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(hex, 16).ok()
    };
    let first = unit(0).unwrap_or(0xFFFD);
    if let Some(second) = unit(6)
        && let Some(Ok(c)) = char::decode_utf16([first, second]).next()
        && c.len_utf16() == 2
    {
        return (c, 12);
    }
    (char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}
