//! Cutting bytes into lines.
//!
//! Owns record boundaries: a line ends with LF or CRLF; one longer than its form allows is one record that is passed over
//! without being kept; a run of NUL bytes, as a sparse file has it, is one blank record whatever its length. A line
//! without its end is never given out, so what is held is simply read again, and nothing of it needs storing. Never
//! decodes text, and never gives out anything but lines, lines too long and blanks.

use memchr::memchr;

use super::record::Record;

/// What a line of a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineForm {
    /// A longer one is [`Record::TooLong`]; in bytes, without its end.
    pub max_bytes: usize,
    /// A CR before the LF belongs to the line: a part of a line may end in one that is no line's end.
    pub keeps_cr: bool,
}

/// Inside of what the framer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Boundary,
    TooLong,
    Nuls,
}

/// How far a chunk was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed {
    /// Bytes up to the last record's end; `None` if no record ended in this chunk.
    pub boundary: Option<usize>,
    /// Bytes that need not be given again: up to the boundary, or all of them inside a record that is passed over.
    pub used: usize,
}

/// The state between two chunks of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framer {
    within: Within,
}

impl Framer {
    /// Whether the last chunk ended at a record's end, what is held aside.
    pub fn at_boundary(self) -> bool {
        self.within == Within::Boundary
    }

    /// Gives out every record that ends in `chunk`, each with the place behind its end. The next chunk has to go on
    /// behind the bytes used.
    pub fn frame(
        &mut self,
        chunk: &[u8],
        form: LineForm,
        mut out: impl FnMut(Record<'_>, usize),
    ) -> Framed {
        let (mut at, mut boundary) = (0, None);
        while at < chunk.len() {
            match self.within {
                Within::Boundary if chunk[at] == 0 => self.within = Within::Nuls,
                Within::Boundary => match memchr(b'\n', &chunk[at..]) {
                    Some(len) => {
                        out(form.line(&chunk[at..at + len]), at + len + 1);
                        at += len + 1;
                        boundary = Some(at);
                    }
                    None if chunk.len() - at > form.max_bytes + 1 => self.within = Within::TooLong,
                    None => return Framed { boundary, used: at },
                },
                Within::TooLong => match memchr(b'\n', &chunk[at..]) {
                    Some(len) => {
                        at += len + 1;
                        out(Record::TooLong, at);
                        boundary = Some(at);
                        self.within = Within::Boundary;
                    }
                    None => at = chunk.len(),
                },
                Within::Nuls => match chunk[at..].iter().position(|&b| b != 0) {
                    Some(len) => {
                        // The end of a line of nothing but NULs belongs to it.
                        at += len + usize::from(chunk[at + len] == b'\n');
                        out(Record::Blank, at);
                        boundary = Some(at);
                        self.within = Within::Boundary;
                    }
                    None => at = chunk.len(),
                },
            }
        }
        Framed { boundary, used: at }
    }

    /// Gives out the last record of a file that will not grow any more; `rest` is what was held.
    pub fn finish(&mut self, rest: &[u8], form: LineForm, mut out: impl FnMut(Record<'_>)) {
        match std::mem::take(&mut self.within) {
            Within::TooLong => out(Record::TooLong),
            Within::Nuls => out(Record::Blank),
            Within::Boundary if rest.is_empty() => {}
            Within::Boundary => out(form.line(rest)),
        }
    }
}

impl LineForm {
    fn line(self, bytes: &[u8]) -> Record<'_> {
        let bytes = if self.keeps_cr { bytes } else { without_cr(bytes) };
        if bytes.len() > self.max_bytes { Record::TooLong } else { Record::Line(bytes) }
    }
}

/// A line without the CR of its end.
pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Owned {
        Line(Vec<u8>),
        TooLong,
        Blank,
    }

    fn owned(record: Record<'_>) -> Owned {
        match record {
            Record::Line(line) => Owned::Line(line.to_vec()),
            Record::TooLong => Owned::TooLong,
            Record::Blank => Owned::Blank,
            other => panic!("{other:?}"),
        }
    }

    const fn form(max_bytes: usize) -> LineForm {
        LineForm { max_bytes, keeps_cr: false }
    }

    fn text(line: &str) -> Owned {
        Owned::Line(line.as_bytes().to_vec())
    }

    /// Feeds `bytes` as a file that is read `step` bytes at a time, at least as many as a held line needs.
    fn frames(bytes: &[u8], max_line: usize, step: usize) -> (Vec<Owned>, usize) {
        let (mut framer, mut at, mut boundary, mut records) = (Framer::default(), 0, 0, Vec::new());
        let mut step_now = step;
        while at < bytes.len() {
            let end = (at + step_now).min(bytes.len());
            let framed =
                framer.frame(&bytes[at..end], form(max_line), |r, _| records.push(owned(r)));
            if let Some(b) = framed.boundary {
                boundary = at + b;
            }
            if framed.used == 0 && end == bytes.len() {
                break;
            }
            step_now = if framed.used == 0 { step_now + 1 } else { step };
            assert!(step_now <= step + max_line + 2, "more is held than one line");
            at += framed.used;
        }
        (records, boundary)
    }

    #[test]
    fn bytes_become_records() {
        for (bytes, records, boundary) in [
            ("", vec![], 0),
            ("a\nb\r\nc", vec![text("a"), text("b")], 5),
            ("\n\r\n", vec![text(""), text("")], 3),
            ("12345678\n", vec![text("12345678")], 9),
            ("12345678\r\n", vec![text("12345678")], 10),
            ("123456789\nx\n", vec![Owned::TooLong, text("x")], 12),
            ("123456789012345", vec![], 0),
            ("\0\0\0{}\n", vec![Owned::Blank, text("{}")], 6),
            ("\0\0\0\0\0\0\0\0\0\0\0\0\nx\n", vec![Owned::Blank, text("x")], 15),
            ("a\n\0\0", vec![text("a")], 2),
            ("a\0b\n", vec![text("a\0b")], 4),
        ] {
            for step in 1..20 {
                let got = frames(bytes.as_bytes(), 8, step);
                assert_eq!((&got.0, got.1), (&records, boundary), "{bytes:?} by {step}");
            }
        }
    }

    #[test]
    fn the_last_record_of_a_finished_file_needs_no_end() {
        for (bytes, record) in [
            ("abc", Some(text("abc"))),
            ("", None),
            ("abc\r", Some(text("abc"))),
            ("1234567890123", Some(Owned::TooLong)),
            ("\0\0", Some(Owned::Blank)),
        ] {
            let (mut framer, mut records) = (Framer::default(), Vec::new());
            let framed = framer.frame(bytes.as_bytes(), form(8), |r, _| records.push(owned(r)));
            framer.finish(&bytes.as_bytes()[framed.used..], form(8), |r| records.push(owned(r)));
            assert_eq!(records, Vec::from_iter(record), "{bytes:?}");
        }
    }

    #[test]
    fn each_record_comes_with_the_place_behind_it_and_a_form_may_keep_the_cr() {
        let (mut framer, mut seen) = (Framer::default(), Vec::new());
        let form = LineForm { max_bytes: 3, keeps_cr: true };
        let bytes = b"a\r\n\0\0\n\0x\r\n12345\nb\r\nrest";
        let framed = framer.frame(bytes, form, |r, end| seen.push((owned(r), end)));
        let wanted = [
            (text("a\r"), 3),
            (Owned::Blank, 6),
            (Owned::Blank, 7),
            (text("x\r"), 10),
            (Owned::TooLong, 16),
        ];
        assert_eq!(seen[..5], wanted);
        assert_eq!((&seen[5], framed.boundary), (&(text("b\r"), 19), Some(19)));
    }

    #[test]
    fn a_hundred_megabytes_without_line_end_are_one_record_and_none_of_it_is_held() {
        let (mut framer, mut records) = (Framer::default(), 0);
        let chunk = vec![b'x'; 1 << 20];
        for i in 0..100 {
            let framed = framer.frame(&chunk, form(1_000), |_, _| records += 1);
            assert_eq!(framed, Framed { boundary: None, used: 1 << 20 }, "{i}");
        }
        let framed = framer.frame(b"\nshort\n", form(1_000), |_, _| records += 1);
        assert_eq!((framed.boundary, records), (Some(7), 2));
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_records_however_they_are_read(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(0), Just(b'\r'), any::<u8>()], 0..120),
            max_line in 1..20_usize,
            step in 1..40_usize,
        ) {
            let whole = frames(&bytes, max_line, 1_000);
            prop_assert_eq!(&frames(&bytes, max_line, step), &whole);
            let n_ends = bytes.iter().filter(|&&b| b == b'\n').count();
            let n_lines = whole.0.iter().filter(|r| **r != Owned::Blank).count();
            prop_assert!(n_lines <= n_ends);
        }
    }
}
