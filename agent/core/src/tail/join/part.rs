//! What a wrapper says of one line.
//!
//! Owns the word that both wrappers share, and what a time looks like in both. Never reads a line.

use crate::tail::record::Stream;

/// RFC 3339 with nanoseconds and an offset has 35 characters.
pub(super) const MAX_TIME_BYTES: usize = 35;

/// One line of a file without its wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Where it was written; `None` without a wrapper.
    pub stream: Option<Stream>,
    /// When; empty without a wrapper.
    pub time: &'a str,
    /// What was written, without the line's end.
    pub text: &'a [u8],
    /// Whether the line ends here, or goes on with the next part of the same stream.
    pub ends: bool,
}

/// Text that has the form of RFC 3339, of whatever calendar.
pub(super) fn time(text: &[u8]) -> Option<&str> {
    if text.len() > MAX_TIME_BYTES {
        return None;
    }
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    for (byte, form) in date_time.iter().zip(b"0000-00-00T00:00:00") {
        let fits = if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
        if !fits {
            return None;
        }
    }
    let zone = match rest.split_first() {
        Some((b'.', fraction)) => {
            let n = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if n == 0 {
                return None;
            }
            &fraction[n..]
        }
        _ => rest,
    };
    let is_zone = match zone {
        [b'Z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    if is_zone { std::str::from_utf8(text).ok() } else { None }
}
