//! How a file is called.
//!
//! Owns that a path is bytes: it may be no UTF-8, and hold anything but NUL. What people see of it hides nothing and breaks
//! no line; what is stored of it comes back as it was.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use watchkeeper_model::readable::is_hidden;

/// An absolute path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName(Arc<[u8]>);

/// Begins what is stored of a path that is no UTF-8; every other one begins with `/`.
const HEX: char = 'x';

impl FileName {
    /// The file with this path.
    pub fn new(path: &[u8]) -> Self {
        Self(path.into())
    }

    /// The path.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is this path, or lies below it.
    pub fn is_within(&self, above: &Self) -> bool {
        let above = above.0.strip_suffix(b"/").unwrap_or(&above.0);
        match self.0.strip_prefix(above) {
            Some(rest) => rest.first().is_none_or(|first| *first == b'/'),
            None => false,
        }
    }

    /// As it is stored.
    pub fn encode(&self) -> String {
        match std::str::from_utf8(&self.0) {
            Ok(path) if path.starts_with('/') => path.to_owned(),
            _ => self.0.iter().fold(HEX.to_string(), |mut text, byte| {
                // Writing to a text can't fail.
                let _ = write!(text, "{byte:02x}");
                text
            }),
        }
    }

    /// Out of its stored form; `None` if it is none.
    pub fn decode(stored: &str) -> Option<Self> {
        let Some(hex) = stored.strip_prefix(HEX) else {
            return stored.starts_with('/').then(|| Self::new(stored.as_bytes()));
        };
        let byte = |pair: &[u8]| {
            let digit = |c: u8| char::from(c).to_digit(16).and_then(|n| u8::try_from(n).ok());
            match *pair {
                [high, low] => Some(digit(high)? << 4 | digit(low)?),
                _ => None,
            }
        };
        hex.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>().map(|path| Self::new(&path))
    }
}

/// Without what would break a line or hide something; what is no UTF-8 is `\xNN`.
impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' => f.write_str("\\n")?,
                    '\\' => f.write_str("\\\\")?,
                    c if is_hidden(c) => write!(f, "{}", c.escape_unicode())?,
                    c => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_see_breaks_no_line_and_hides_nothing() {
        for (path, seen) in [
            (&b"/in/a b.vtt"[..], "/in/a b.vtt"),
            (b"/in/a\nb", "/in/a\\nb"),
            (b"/in/\x1b[31mred", "/in/\\u{1b}[31mred"),
            (b"/in/\xff\xc3\xa9", "/in/\\xff\u{e9}"),
            ("/in/\u{202e}ttv.exe".as_bytes(), "/in/\\u{202e}ttv.exe"),
            (b"/in/a\\n", "/in/a\\\\n"),
        ] {
            assert_eq!(FileName::new(path).to_string(), seen);
        }
    }

    #[test]
    fn within_goes_by_whole_names() {
        for (path, above, within) in [
            ("/a/b/c", "/a/b", true),
            ("/a/b/c", "/a/b/", true),
            ("/a/b", "/a/b", true),
            ("/a/bc", "/a/b", false),
            ("/a", "/a/b", false),
            ("/a", "/", true),
        ] {
            let [path, above] = [path, above].map(|text| FileName::new(text.as_bytes()));
            assert_eq!(path.is_within(&above), within, "{path} {above}");
        }
    }

    proptest! {
        #[test]
        fn any_name_comes_back_as_it_was_stored(mut path in prop::collection::vec(any::<u8>(), 0..40)) {
            path.insert(0, b'/');
            let name = FileName::new(&path);
            prop_assert_eq!(FileName::decode(&name.encode()), Some(name));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}|x[0-9a-fx]{0,9}") {
            let _ = FileName::decode(&text);
        }
    }
}
