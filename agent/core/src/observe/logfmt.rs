//! Lines of logfmt: `level=error msg="no luck" took=12ms retried`.
//!
//! Owns the scanner of its pairs. Never allocates for fields without escapes, never decides what a field means.
//!
//! The grammar is that of Go's kr/logfmt and go-logfmt/logfmt, which most writers follow:
//!
//! ```text
//! line   = { blank } , { pair , { blank } } ;
//! pair   = key , [ "=" , [ value ] ] ;                  a key alone is "true"
//! key    = key byte , { key byte } ;                    any byte but blanks, "=" and quotes
//! value  = plain byte , { plain byte }                  any byte but blanks and quotes
//!        | '"' , { byte | escape } , '"' ;
//! blank  = any byte up to the space ;
//! escape = \" \\ \/ \' \b \f \n \r \t \uXXXX            those of JSON
//!        | \a \v \xXX \UXXXXXXXX                        what strconv.Quote writes, and so log/slog
//! ```
//!
//! Two things differ. A plain value may hold `=`, which go-logfmt refuses: tokens and queries are written so, and it can't
//! be misread. A blank must follow a closing quote, or the quotes inside a value were not escaped. A line without a
//! single `key=` is no logfmt: any sentence would be.

use std::borrow::Cow;
use std::ops::Range;

use super::escapes::unescape;
use super::fields::{Found, Malformed, Shape};
use super::scan;
use super::slots::{Node, Slots};

/// Finds the fields of a slot table in one line of logfmt after another.
#[derive(Debug)]
pub(super) struct LogfmtParser {
    keys: Node,
}

impl LogfmtParser {
    /// A parser of these fields.
    pub(super) fn new(slots: &Slots) -> Self {
        Self { keys: slots.flat() }
    }

    /// Notes where the wanted fields of a line are. Of a key that stands twice the last holds.
    pub(super) fn read(&self, line: &str, found: &mut Found) -> Result<(), Malformed> {
        let mut pairs = Pairs::of(line);
        let mut has_value = false;
        while let Some(pair) = pairs.next()? {
            has_value |= pair.value != Value::None;
            let key = &line.as_bytes()[pair.key.clone()];
            if let Some(slot) = self.keys.find(key).and_then(|child| child.slot) {
                pair.note(line, slot, found)?;
            }
        }
        has_value.then_some(()).ok_or(Malformed)
    }
}

/// A key with what it is set to.
#[derive(Debug)]
pub(super) struct Pair {
    key: Range<usize>,
    value: Value,
}

#[derive(Debug, PartialEq, Eq)]
enum Value {
    /// A key alone.
    None,
    /// As it stands there.
    Plain(Range<usize>),
    /// The inside of quotes, with escapes.
    Escaped(Range<usize>),
}

impl Pair {
    fn note(&self, line: &str, slot: usize, found: &mut Found) -> Result<(), Malformed> {
        match &self.value {
            Value::None => {
                let beside = found.own(slot, Shape::Text);
                beside.clear();
                beside.push_str(FLAG);
            }
            Value::Plain(at) => found.note(slot, Shape::Text, at.clone()).ok_or(Malformed)?,
            Value::Escaped(at) => unescape(&line[at.clone()], found.own(slot, Shape::Text)),
        }
        Ok(())
    }

    /// Its key in the line it is of.
    pub(super) fn key<'a>(&self, line: &'a str) -> &'a str {
        &line[self.key.clone()]
    }

    /// Its value in the line it is of.
    pub(super) fn text<'a>(&self, line: &'a str) -> Cow<'a, str> {
        match &self.value {
            Value::None => FLAG.into(),
            Value::Plain(at) => line[at.clone()].into(),
            Value::Escaped(at) => {
                let mut text = String::new();
                unescape(&line[at.clone()], &mut text);
                text.into()
            }
        }
    }
}

/// What a key alone is set to.
const FLAG: &str = "true";

/// A cursor over the pairs of one line.
#[derive(Debug)]
pub(super) struct Pairs<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs of a line.
    pub(super) fn of(line: &'a str) -> Self {
        Self { bytes: line.as_bytes(), at: 0 }
    }

    /// The next pair, if there is one more.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Pair>, Malformed> {
        while self.bytes.get(self.at).is_some_and(|b| *b <= b' ') {
            self.at += 1;
        }
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        self.at = self.next_of::<0x21, b'=', b'"'>();
        let key = start..self.at;
        let value = match self.bytes.get(self.at) {
            _ if key.is_empty() => return Err(Malformed),
            Some(b'"') => return Err(Malformed),
            Some(b'=') => {
                self.at += 1;
                self.value()?
            }
            _ => Value::None,
        };
        Ok(Some(Pair { key, value }))
    }

    #[inline]
    fn value(&mut self) -> Result<Value, Malformed> {
        if self.bytes.get(self.at) == Some(&b'"') {
            return self.quoted();
        }
        let start = self.at;
        self.at = self.next_of::<0x21, b'"', b'"'>();
        if self.bytes.get(self.at) == Some(&b'"') {
            return Err(Malformed);
        }
        Ok(Value::Plain(start..self.at))
    }

    fn quoted(&mut self) -> Result<Value, Malformed> {
        self.at += 1;
        let (start, mut escaped) = (self.at, false);
        loop {
            self.at = self.next_of::<0, b'"', b'\\'>();
            match self.bytes.get(self.at) {
                None => return Err(Malformed),
                Some(b'"') => break,
                Some(_) => {
                    escaped = true;
                    self.escape()?;
                }
            }
        }
        let inside = start..self.at;
        self.at += 1;
        match self.bytes.get(self.at) {
            Some(b) if *b > b' ' => Err(Malformed),
            _ if escaped => Ok(Value::Escaped(inside)),
            _ => Ok(Value::Plain(inside)),
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let n_digits = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'\'' | b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v') => 0,
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => return Err(Malformed),
        };
        self.at += 2;
        let digits = self.bytes.get(self.at..self.at + n_digits).ok_or(Malformed)?;
        self.at += n_digits;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(()).ok_or(Malformed)
    }

    /// The next byte below `LOW`, or that is `A` or `B`; else the end.
    #[inline]
    fn next_of<const LOW: u8, const A: u8, const B: u8>(&self) -> usize {
        scan::next::<LOW, A, B>(self.bytes, self.at).unwrap_or(self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::Field;
    use super::super::parser::{Format, Parser};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn parser(names: &[&str]) -> Parser {
        let mut slots = Slots::default();
        for name in names {
            slots.slot(name);
        }
        Parser::new(&Format::Logfmt, slots)
    }

    #[test]
    fn fields_are_found_as_written() {
        for (line, a) in [
            ("a=1", Some("1")),
            ("x=0 a=1", Some("1")),
            ("a=1 x=0", Some("1")),
            ("  a=1\t\r", Some("1")),
            ("x=1\ta=2\r", Some("2")),
            ("x=1\0a=2\0", Some("2")),
            ("x=1 a", Some("true")),
            ("a x=1", Some("true")),
            ("a=", Some("")),
            ("a= x=1", Some("")),
            ("a=\"\"", Some("")),
            ("x=1", None),
            ("x.a=1 A=2 ab=3 ba=4", None),
            ("a=1 a=2", Some("2")),
            ("a=1 a", Some("true")),
            ("a a=1", Some("1")),
            (r#"a="x y" b=2"#, Some("x y")),
            (r#"a="key=value" b=2"#, Some("key=value")),
            (r#"a="say \"hi\"" b=2"#, Some("say \"hi\"")),
            (r#"a="\\" b=2"#, Some("\\")),
            (r#"a="tab\tline\nreturn\r\b\f\/\'""#, Some("tab\tline\nreturn\r\u{8}\u{c}/'")),
            (r#"a="\u00e9\ud83d\ude00\ud800x""#, Some("é😀\u{fffd}x")),
            (
                r#"a="\a\v\x1b[0m\xff\U0001F600\UFFFFFFFF""#,
                Some("\u{7}\u{b}\u{1b}[0m\u{fffd}😀\u{fffd}"),
            ),
            ("a=\"a\ttab and é\"", Some("a\ttab and é")),
            ("a=é😀 ü=1", Some("é😀")),
            ("a=/x?p=1&q=2 b=2", Some("/x?p=1&q=2")),
            ("a=dGV4dA== b=2", Some("dGV4dA==")),
            ("a=1, b=2", Some("1,")),
            ("a={\u{7f}} b=2", Some("{\u{7f}}")),
            ("a=\\n b=2", Some("\\n")),
        ] {
            let mut parser = parser(&["a"]);
            let field = parser.read(line).unwrap_or_else(|_| panic!("{line:?}")).get(0);
            assert_eq!(field, a.map_or(Field::Absent, Field::Text), "{line:?}");
        }
    }

    #[test]
    fn dots_are_part_of_a_key() {
        let mut parser = parser(&["http.status", "http"]);
        let fields = parser.read("http.status=500 http=x").unwrap();
        assert_eq!((fields.get(0), fields.get(1)), (Field::Text("500"), Field::Text("x")));
    }

    #[test]
    fn what_is_no_logfmt_is_malformed() {
        for line in [
            "",
            " ",
            "\r",
            "\0\0",
            "just a sentence",
            "flag",
            "=",
            "=1",
            "a=1 =2",
            "\"a\"=1",
            "a\"b=1",
            "a\" b=1",
            "a=x\"y",
            "a=x\"y\" b=1",
            "a=\"x",
            "a=\"x\\\"",
            "a=\"x\\",
            "a=\"x\"y",
            "a=\"x\"b=1",
            "a=\"he said \"hi\" to me\"",
            r#"a="\d" b=1"#,
            r#"a="\u12g4" b=1"#,
            r#"a="\x1" b=1"#,
            r#"a="\U0001F60" b=1"#,
            r#"{"a":"1"}"#,
            r#"10.0.0.1 - - [22/Nov/2026] "GET /?a=1 HTTP/1.1" 200"#,
        ] {
            assert_eq!(parser(&["a"]).read(line).err(), Some(Malformed), "{line:?}");
        }
    }

    /// As go-logfmt's encoder writes: quoted where it must be.
    fn written(value: &str) -> String {
        let plain = |c: char| c > ' ' && !"=\"\u{7f}\u{fffd}".contains(c);
        match value.chars().all(plain) && !value.is_empty() {
            true => value.to_owned(),
            false => serde_json::to_string(value).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            pairs in proptest::collection::vec(("[a-c.é]{1,3}", "[a-z0-9 =\"\\\\\n\t\u{1}é😀]{0,12}"), 1..8),
            blanks in "[ \t\r\0]{1,2}",
        ) {
            let all: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={}", written(v))).collect();
            let line = all.join(&blanks);
            let last: BTreeMap<&str, &str> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let names: Vec<&str> = last.keys().copied().collect();
            let mut parser = parser(&names);
            let fields = parser.read(&line).expect(&line);
            for (slot, wanted) in last.values().enumerate() {
                prop_assert_eq!(fields.get(slot), Field::Text(wanted), "{}", line);
            }
            let body: BTreeMap<String, String> = serde_json::from_str(&fields.body()).unwrap();
            let owned = last.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            prop_assert_eq!(body, owned);
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".{0,60}", more in "[a-c=\"\\\\ u0x]{0,40}") {
            for line in [format!("a={text}"), format!("a=\"{text}\""), text, more] {
                if let Ok(fields) = parser(&["a"]).read(&line) {
                    let _ = fields.get(0);
                    let body = fields.body();
                    prop_assert!(serde_json::from_str::<BTreeMap<String, String>>(&body).is_ok());
                }
            }
        }
    }
}
