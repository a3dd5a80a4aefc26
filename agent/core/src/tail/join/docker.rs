//! Lines as Docker's `json-file` driver writes them.
//!
//! Owns the form `{"log":"text\n","stream":"stdout","time":"…"}`: the text of a line that goes on in the next one has no LF
//! at its end. Other keys, such as `attrs`, are passed over. Never joins; what it unescapes is valid until the next line.

use super::part::{Part, time};
use crate::observe::{Field, Format, Parser, Slots};
use crate::tail::record::Stream;

const LOG: usize = 0;
const STREAM: usize = 1;
const TIME: usize = 2;

/// Reads one line after another.
#[derive(Debug)]
pub struct DockerParser {
    parser: Parser,
}

impl Default for DockerParser {
    fn default() -> Self {
        let mut slots = Slots::default();
        let at = ["log", "stream", "time"].map(|key| slots.slot(key));
        debug_assert_eq!(at, [LOG, STREAM, TIME]);
        Self { parser: Parser::new(&Format::Json, slots) }
    }
}

impl DockerParser {
    /// What a line says; `None` if it is not of this form.
    pub fn parse<'a>(&'a mut self, line: &'a [u8]) -> Option<Part<'a>> {
        let fields = self.parser.read(std::str::from_utf8(line).ok()?).ok()?;
        let text = |slot| match fields.get(slot) {
            Field::Text(text) => Some(text),
            _ => None,
        };
        let stream = Stream::parse(text(STREAM)?.as_bytes())?;
        let (time, log) = (time(text(TIME)?.as_bytes())?, text(LOG)?);
        let (text, ends) = match log.strip_suffix('\n') {
            Some(text) => (text, true),
            None => (log, false),
        };
        Some(Part { stream: Some(stream), time, text: text.as_bytes(), ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_the_form_are_taken_apart_and_no_others() {
        let mut parser = DockerParser::default();
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        for (line, wanted) in [
            (
                r#"{"log":"a\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}"#,
                Some((out, "a", true)),
            ),
            (
                r#"{"log":"a","stream":"stderr","time":"2016-10-06T00:17:09.669794202Z"}"#,
                Some((err, "a", false)),
            ),
            (
                r#"{"log":"\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}"#,
                Some((out, "", true)),
            ),
            (
                r#"{"log":"","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}"#,
                Some((out, "", false)),
            ),
            (
                r#"{"log":"{\"n\":1,\"s\":\"\\n\\u00e9\"}\r\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}"#,
                Some((out, "{\"n\":1,\"s\":\"\\n\\u00e9\"}\r", true)),
            ),
            (
                r#" {"attrs":{"log":"x","tag":["y"]},"time":"2016-10-06T00:17:09.669794202Z","stream":"stderr","log":"\u00e9\ud83d\ude00\n"}"#,
                Some((err, "é😀", true)),
            ),
            (r#"{"log":"a\n","stream":"stdin","time":"2016-10-06T00:17:09.669794202Z"}"#, None),
            (r#"{"log":"a\n","stream":"stdout"}"#, None),
            (r#"{"log":"a\n","time":"2016-10-06T00:17:09.669794202Z"}"#, None),
            (r#"{"stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}"#, None),
            (r#"{"log":1,"stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}"#, None),
            (r#"{"log":"a\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z""#, None),
            (r#"{"log":"a\n","stream":"stdout","time":"yesterday"}"#, None),
            ("a", None),
            ("", None),
        ] {
            let part = parser.parse(line.as_bytes());
            let part = part.map(|p| {
                assert_eq!(p.time, "2016-10-06T00:17:09.669794202Z");
                (p.stream.unwrap(), std::str::from_utf8(p.text).unwrap().to_owned(), p.ends)
            });
            assert_eq!(part, wanted.map(|(s, t, e)| (s, t.to_owned(), e)), "{line}");
        }
        assert_eq!(
            parser.parse(
                b"{\"log\":\"\xff\\n\",\"stream\":\"stdout\",\"time\":\"2016-10-06T00:17:09Z\"}"
            ),
            None
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_out_as_it_went_in(text in ".{0,80}", ends: bool) {
            let log = if ends { format!("{text}\n") } else { text.clone() };
            let line = serde_json::json!({"log": log, "stream": "stderr", "time": "2016-10-06T00:17:09Z"}).to_string();
            let mut parser = DockerParser::default();
            let part = parser.parse(line.as_bytes()).unwrap();
            // Text that itself ends in LF can't be told from a line's end.
            let (wanted, wanted_ends) = match log.strip_suffix('\n') { Some(t) => (t, true), None => (log.as_str(), false) };
            prop_assert_eq!((part.text, part.ends), (wanted.as_bytes(), wanted_ends));
        }

        #[test]
        fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            DockerParser::default().parse(&line);
        }
    }
}
