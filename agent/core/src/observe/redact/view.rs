//! A text with its escapes unfolded, and the way back to where a part of it stands.
//!
//! Owns which escapes there are: those of JSON, and `\xHH` and `\'` as some programs print them. A backslash that begins
//! none of them stands for itself. Never decides what is looked for.

use std::ops::Range;

/// An escape, and the character it stands for.
#[derive(Clone, Copy, Debug)]
struct Escape {
    /// Where it stands.
    from: usize,
    n_from: usize,
    /// Where its character stands in the view.
    at: usize,
    n_at: usize,
}

/// A text seen without its escapes.
#[derive(Debug)]
pub(super) struct View {
    pub(super) text: String,
    escapes: Vec<Escape>,
}

impl View {
    /// The view of a text; `None` if it has no escapes.
    pub(super) fn of(outer: &str) -> Option<Self> {
        let mut first = memchr::memchr(b'\\', outer.as_bytes())?;
        let mut view = Self { text: String::with_capacity(outer.len()), escapes: Vec::new() };
        let mut copied = 0;
        loop {
            let step = match unfolded(&outer[first..]) {
                Some((c, n_from)) => {
                    view.text.push_str(&outer[copied..first]);
                    let (at, n_at) = (view.text.len(), c.len_utf8());
                    view.escapes.push(Escape { from: first, n_from, at, n_at });
                    view.text.push(c);
                    copied = first + n_from;
                    n_from
                }
                None => 1,
            };
            match memchr::memchr(b'\\', &outer.as_bytes()[first + step..]) {
                Some(next) => first += step + next,
                None => break,
            }
        }
        view.text.push_str(&outer[copied..]);
        (!view.escapes.is_empty()).then_some(view)
    }

    /// Where a part of the view stands in the text, whole escapes.
    pub(super) fn outer(&self, part: Range<usize>) -> Range<usize> {
        self.outer_of(part.start)..self.outer_of(part.end)
    }

    fn outer_of(&self, at: usize) -> usize {
        match self.escapes.partition_point(|e| e.at <= at).checked_sub(1) {
            None => at,
            Some(n) => {
                let Escape { from, n_from, at: begin, n_at } = self.escapes[n];
                if at < begin + n_at { from } else { from + n_from + (at - begin - n_at) }
            }
        }
    }

    /// A part of the text, made larger where it cuts an escape.
    pub(super) fn whole(&self, part: Range<usize>) -> Range<usize> {
        let cut = |at: usize| {
            let n = self.escapes.partition_point(|e| e.from < at).checked_sub(1)?;
            let Escape { from, n_from, .. } = self.escapes[n];
            (at < from + n_from).then_some((from, from + n_from))
        };
        cut(part.start).map_or(part.start, |(from, _)| from)
            ..cut(part.end).map_or(part.end, |(_, to)| to)
    }
}

/// The character that the escape at the beginning of `text` stands for, and how long the escape is.
fn unfolded(text: &str) -> Option<(char, usize)> {
    let hex = |from: usize, n: usize| {
        let digits = text.as_bytes().get(from..from + n)?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        is_hex.then(|| u32::from_str_radix(&text[from..from + n], 16).ok()).flatten()
    };
    let c = match text.as_bytes().get(1)? {
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'x' => return Some((char::from_u32(hex(2, 2)?)?, 4)),
        b'u' => {
            let first = hex(2, 4)?;
            let second = text[6..].starts_with("\\u").then(|| hex(8, 4)).flatten();
            if let (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) = (first, second) {
                let c = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Some((char::from_u32(c)?, 12));
            }
            // A lone surrogate is no character.
            return Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6));
        }
        _ => return None,
    };
    Some((c, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_unfolded_and_found_again() {
        let outer = r#"a\u0040b\/\ud83d\ude00é\n\d800\ud800\x41\\u0040\"#;
        let view = View::of(outer).unwrap();
        assert_eq!(view.text, "a@b/😀é\n\\d800\u{fffd}A\\u0040\\");
        for (part, stands_at) in [
            ("a@b", r"a\u0040b"),
            ("@", r"\u0040"),
            ("😀é", r"\ud83d\ude00é"),
            ("\\u0040", r"\\u0040"),
        ] {
            let at = view.text.find(part).unwrap();
            assert_eq!(&outer[view.outer(at..at + part.len())], stands_at, "{part}");
        }
        assert_eq!(&outer[view.outer(0..view.text.len())], outer);
        assert!(View::of("no escape").is_none() && View::of(r"C:\dir \u12 \").is_none());
    }

    #[test]
    fn a_part_that_cuts_an_escape_takes_all_of_it() {
        let outer = r"x\nbob\u0040y";
        let view = View::of(outer).unwrap();
        assert_eq!(&outer[view.whole(2..8)], r"\nbob\u0040");
        assert_eq!(&outer[view.whole(3..6)], "bob");
        assert_eq!(&outer[view.whole(1..3)], r"\n");
    }
}
