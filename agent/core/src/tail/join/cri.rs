//! Lines as container runtimes under Kubernetes write them.
//!
//! Owns the form `2016-10-06T00:17:09.669794202Z stdout F text`, as the kubelet reads it (`parseCRILog` in
//! `pkg/kubelet/kuberuntime/logs`): a time, a stream, tags with colons between them of which the first is `P` for a part or
//! `F` for a whole line or its last part, and the text, with one space after each. Never joins, never keeps anything.

use memchr::memchr;

use super::part::{MAX_TIME_BYTES, Part, time};
use crate::tail::record::Stream;

/// What a line says; `None` if it is not of this form.
pub fn parse_cri(line: &[u8]) -> Option<Part<'_>> {
    let end = memchr(b' ', &line[..line.len().min(MAX_TIME_BYTES + 1)])?;
    let time = time(&line[..end])?;
    let rest = &line[end + 1..];
    // Both words are of one length.
    let stream = Stream::parse(rest.get(..6)?)?;
    let rest = rest[6..].strip_prefix(b" ")?;
    let (tags, text) = match rest {
        // By far the most lines.
        [tag, b' ', text @ ..] => (std::slice::from_ref(tag), text),
        _ => {
            let end = memchr(b' ', rest)?;
            (&rest[..end], &rest[end + 1..])
        }
    };
    let ends = match tags {
        [b'F'] | [b'F', b':', ..] => true,
        [b'P'] | [b'P', b':', ..] => false,
        _ => return None,
    };
    Some(Part { stream: Some(stream), time, text, ends })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIME: &str = "2016-10-06T00:17:09.669794202Z";

    #[test]
    fn lines_of_the_form_are_taken_apart_and_no_others() {
        let part = |stream, text: &'static str, ends| Some((TIME, stream, text, ends));
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        for (line, wanted) in [
            ("stdout F log content 1", part(out, "log content 1", true)),
            ("stderr F log content 3", part(err, "log content 3", true)),
            ("stdout P a part", part(out, "a part", false)),
            ("stdout F ", part(out, "", true)),
            ("stdout P ", part(out, "", false)),
            ("stdout F  two spaces ", part(out, " two spaces ", true)),
            ("stdout P:TAG1:TAG2 text", part(out, "text", false)),
            ("stderr F:TAG1 text\r", part(err, "text\r", true)),
            ("stdout F", None),
            ("stdout", None),
            ("", None),
            ("stdout X text", None),
            ("stdout FP text", None),
            ("stdout  F text", None),
            ("stdlog F text", None),
            ("stdoutF text", None),
            ("STDOUT F text", None),
        ] {
            let line = format!("{TIME} {line}");
            let parsed = parse_cri(line.as_bytes())
                .map(|p| (p.time, p.stream.unwrap(), std::str::from_utf8(p.text).unwrap(), p.ends));
            assert_eq!(parsed, wanted, "{line}");
        }
    }

    #[test]
    fn times_are_told_from_other_words_by_their_form() {
        for (time, is_one) in [
            (TIME, true),
            ("2016-10-06T00:17:09Z", true),
            ("2016-10-06T00:17:09.6+02:00", true),
            ("2016-10-06T00:17:09.669794202-11:30", true),
            ("2016-10-06T00:17:09", false),
            ("2016-10-06T00:17:09.Z", false),
            ("2016-10-06 00:17:09Z", false),
            ("2016-10-06T00:17:09.669794202+0200", false),
            ("2016-10-06T00:17:09.6697942020000000000Z", false),
            ("{\"a\":1}", false),
            ("", false),
        ] {
            let line = format!("{time} stdout F x");
            assert_eq!(parse_cri(line.as_bytes()).is_some(), is_one, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            parse_cri(&line);
        }

        #[test]
        fn any_text_comes_out_as_it_went_in(text in proptest::collection::vec(any::<u8>(), 0..80), ends: bool) {
            let head = format!("{TIME} stderr {} ", if ends { "F" } else { "P" });
            let line = [head.as_bytes(), &text].concat();
            let part = parse_cri(&line).unwrap();
            prop_assert_eq!((part.text, part.ends), (&text[..], ends));
        }
    }
}
