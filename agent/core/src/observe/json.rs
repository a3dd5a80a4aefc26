//! One pass over a line of JSON that picks the wanted fields and checks the rest.
//!
//! Owns the scanner: strict JSON, an object at the top, nothing behind it, at most 128 levels deep. A field is found
//! by its path; of a key that stands twice the last one holds. A string on a wanted path is read as an object if it
//! holds one: frameworks write JSON into a string of JSON. Never allocates for fields without escapes, never decides
//! what a field means.

use std::ops::Range;

use super::escapes::unescape;
use super::fields::{Found, Malformed, Shape};
use super::scan;
use super::slots::{Child, Node, Slots};

/// Nesting beyond this makes a line unparsable.
const MAX_DEPTH: u32 = 128;

/// How many strings deep an object may be, each inside the last.
const MAX_STRINGS: usize = 2;

/// Finds the fields of a slot table in one line of JSON after another.
#[derive(Debug)]
pub(super) struct JsonParser {
    slots: Slots,
    /// The strings that are being read as objects, without their escapes.
    strings: [String; MAX_STRINGS],
}

impl JsonParser {
    /// A parser of these fields.
    pub(super) fn new(slots: Slots) -> Self {
        Self { slots, strings: Default::default() }
    }

    /// Notes where the wanted fields of a line are.
    pub(super) fn read(&mut self, line: &str, found: &mut Found) -> Result<(), Malformed> {
        let strings = &mut self.strings;
        let mut scan =
            Scan { text: line, bytes: line.as_bytes(), at: 0, is_line: true, found, strings };
        scan.whole(self.slots.root()).ok_or(Malformed)
    }
}

/// A cursor over one line, or over a string of it. `None` from any step means: malformed.
struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    is_line: bool,
    found: &'a mut Found,
    /// Room for strings inside this one.
    strings: &'a mut [String],
}

/// The inside of a string and whether it holds escapes.
struct Quoted {
    start: usize,
    end: usize,
    escaped: bool,
}

impl Scan<'_> {
    fn whole(&mut self, root: &Node) -> Option<()> {
        self.space();
        if self.peek()? != b'{' {
            return None;
        }
        self.object(root, 1)?;
        self.space();
        (self.at == self.bytes.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// An object of which some fields are wanted. Recurses only as deep as wanted paths go.
    fn object(&mut self, node: &Node, depth: u32) -> Option<()> {
        self.at += 1;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            match self.child(node, &key) {
                Some(child) => self.wanted(child, depth)?,
                None => self.skip(depth)?,
            }
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
            self.space();
        }
    }

    fn child<'n>(&self, node: &'n Node, key: &Quoted) -> Option<&'n Child> {
        let raw = &self.text[key.start..key.end];
        if key.escaped {
            let mut plain = String::new();
            unescape(raw, &mut plain);
            node.find(plain.as_bytes())
        } else {
            node.find(raw.as_bytes())
        }
    }

    /// A value that somebody asked for, or for something inside it.
    fn wanted(&mut self, child: &Child, depth: u32) -> Option<()> {
        if let Some(inside) = &child.inside {
            // This occurrence of the key replaces an earlier one together with everything below it.
            inside.each_slot(&mut |slot| self.found.clear(slot));
        }
        let start = self.at;
        let (shape, start, end) = match self.peek()? {
            b'"' => {
                let quoted = self.string()?;
                if quoted.escaped {
                    self.escaped(child, &quoted);
                    return Some(());
                }
                (Shape::Text, quoted.start, quoted.end)
            }
            b'{' if depth < MAX_DEPTH && child.inside.is_some() => {
                let inside = child.inside.as_ref()?;
                self.object(inside, depth + 1)?;
                (Shape::Json, start, self.at)
            }
            first => {
                self.skip(depth)?;
                let shape = match first {
                    b'{' | b'[' => Shape::Json,
                    b't' => Shape::True,
                    b'f' => Shape::False,
                    b'n' => Shape::Null,
                    _ => Shape::Number,
                };
                (shape, start, self.at)
            }
        };
        match child.slot {
            Some(slot) => self.note(slot, shape, start..end),
            None => Some(()),
        }
    }

    /// Notes where a field stands; what is not in the line itself is copied beside it.
    fn note(&mut self, slot: usize, shape: Shape, at: Range<usize>) -> Option<()> {
        if self.is_line {
            return self.found.note(slot, shape, at);
        }
        let beside = self.found.own(slot, shape);
        beside.clear();
        beside.push_str(&self.text[at]);
        Some(())
    }

    /// A wanted string with escapes. One without can't hold an object with keys.
    fn escaped(&mut self, child: &Child, quoted: &Quoted) {
        let raw = &self.text[quoted.start..quoted.end];
        if let Some(slot) = child.slot {
            unescape(raw, self.found.own(slot, Shape::Text));
        }
        let first = raw.bytes().find(|b| *b != b' ');
        if let Some(inside) = &child.inside
            && let Some(b'{' | b'\\') = first
        {
            self.object_in(inside, raw);
        }
    }

    /// Reads a string as an object; one that is none has no fields, and the line is fine.
    fn object_in(&mut self, inside: &Node, raw: &str) {
        let Some((text, strings)) = self.strings.split_first_mut() else { return };
        unescape(raw, text);
        let (bytes, found) = (text.as_bytes(), &mut *self.found);
        let mut scan = Scan { text, bytes, at: 0, is_line: false, found, strings };
        if scan.whole(inside).is_none() {
            inside.each_slot(&mut |slot| self.found.clear(slot));
        }
    }

    /// Any value, checked and passed over. Keeps one bit per level instead of recursing.
    fn skip(&mut self, depth: u32) -> Option<()> {
        // The lowest bit says whether the innermost container is an object.
        let (mut objects, mut level) = (0_u128, 0_u32);
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    self.space();
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.peek()? == close {
                        self.at += 1;
                    } else {
                        if depth + level >= MAX_DEPTH {
                            return None;
                        }
                        level += 1;
                        objects = (objects << 1) | u128::from(open == b'{');
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            // A value has ended: so may its containers.
            loop {
                if level == 0 {
                    return Some(());
                }
                self.space();
                let in_object = objects & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        self.space();
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return None,
                }
                self.at += 1;
                level -= 1;
                objects >>= 1;
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn string(&mut self) -> Option<Quoted> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = scan::next::<0x20, b'"', b'\\'>(self.bytes, self.at)?;
            match self.bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Some(Quoted { start, end: self.at - 1, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                // A control character has to be escaped.
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let kind = *self.bytes.get(self.at + 1)?;
        self.at += 2;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let hex = self.bytes.get(self.at..self.at + 4)?;
                self.at += 4;
                hex.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::Field;
    use super::super::parser::{Format, Parser};
    use super::*;
    use proptest::prelude::*;

    fn parser(names: &[&str]) -> Parser {
        let mut slots = Slots::default();
        for name in names {
            slots.slot(name);
        }
        Parser::new(&Format::Json, slots)
    }

    #[test]
    fn fields_are_found_as_written() {
        let mut e = parser(&["a", "b", "n.x", "n", "no", "t", "z", "d.o.t", "q"]);
        let line = r#" {"a":"x\n\u00e9\ud83d\ude00\ud800","b":-1.50e+3,"n":{"x":[1,{"y":2}],"w":{}},
            "t":true,"z":null,"d.o.t":"1","\u0071":false} "#;
        let f = e.read(line).unwrap();
        assert_eq!(f.get(0), Field::Text("x\né😀\u{fffd}"));
        assert_eq!(f.get(1), Field::Number("-1.50e+3"));
        assert_eq!(f.get(2), Field::Json(r#"[1,{"y":2}]"#));
        assert_eq!(f.get(3), Field::Json(r#"{"x":[1,{"y":2}],"w":{}}"#));
        assert_eq!(f.get(4), Field::Absent);
        assert_eq!(f.get(5), Field::Bool(true));
        assert_eq!(f.get(6), Field::Null);
        assert_eq!(f.get(7), Field::Text("1"), "a key with dots is found as it stands");
        assert_eq!(f.get(8), Field::Bool(false), "an escaped key is the same key");
        assert_eq!(f.get(99), Field::Absent);
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_holds() {
        let mut e = parser(&["a", "n.x", "n.y"]);
        let f = e.read(r#"{"a":1,"n":{"x":1,"y":1},"a":"\t","a":2,"n":{"y":2}}"#).unwrap();
        assert_eq!(f.get(0), Field::Number("2"));
        assert_eq!((f.get(1), f.get(2)), (Field::Absent, Field::Number("2")));
    }

    #[test]
    fn a_string_on_a_wanted_path_is_read_as_the_object_it_holds() {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let one = r#"{"level":"error","n":1.50,"deep":{"x":[1]},"t":true,"z":null,"e":"a\tb"}"#;
        let names = [
            "log.level",
            "log",
            "log.n",
            "log.deep.x",
            "log.t",
            "log.z",
            "log.e",
            "log.deep",
            "log.no",
        ];
        let line = format!(r#"{{"log":{},"stream":"stdout"}}"#, quoted(&format!(" \n{one}\n")));
        let mut e = parser(&names);
        let f = e.read(&line).unwrap();
        let all: Vec<Field<'_>> = (0..names.len()).map(|slot| f.get(slot)).collect();
        let wanted = [
            Field::Text("error"),
            Field::Text(&format!(" \n{one}\n")),
            Field::Number("1.50"),
            Field::Json("[1]"),
            Field::Bool(true),
            Field::Null,
            Field::Text("a\tb"),
            Field::Json(r#"{"x":[1]}"#),
            Field::Absent,
        ];
        assert_eq!(all, wanted);
        for (level, found) in [
            (r#"{"a":{"b":{"c":"d"}}}"#.to_owned(), Field::Text("d")),
            (format!(r#"{{"a":{}}}"#, quoted(r#"{"b":{"c":"d"}}"#)), Field::Text("d")),
            (format!(r#"{{"a":{{"b":{}}}}}"#, quoted(r#"{"c":"d"}"#)), Field::Text("d")),
            (
                format!(r#"{{"a":{}}}"#, quoted(&format!(r#"{{"b":{}}}"#, quoted(r#"{"c":"d"}"#)))),
                Field::Text("d"),
            ),
            (r#"{"a":"{\u0022b\u0022:{\"c\":\"\\u00e9\"}}"}"#.to_owned(), Field::Text("é")),
            (r#"{"a":"\u007b\"b\":{\"c\":1}}"}"#.to_owned(), Field::Number("1")),
        ] {
            assert_eq!(parser(&["a.b.c"]).read(&level).unwrap().get(0), found, "{level}");
        }
    }

    #[test]
    fn a_string_that_is_no_object_has_no_fields_and_the_line_is_fine() {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let nested = |n: usize| format!(r#"{{"x":"1","b":{}1{}}}"#, "[".repeat(n), "]".repeat(n));
        for inside in [
            "",
            "{",
            "{}",
            "[\"x\"]",
            "1",
            "\"x\"",
            r#"{"x":"1""#,
            r#"{"x":"1"} x"#,
            r#"{"x":"1"}{"x":"1"}"#,
            r#"say {"x":"1"}"#,
            "{\"x\":\"1\n\"}",
            r#"{"x":"1","y":tru}"#,
            &nested(10_000),
        ] {
            let line = format!(r#"{{"a":{{"x":"old"}},"a":{},"c":2}}"#, quoted(inside));
            let mut e = parser(&["a.x", "c", "a"]);
            let f = e.read(&line).expect(&line);
            assert_eq!((f.get(0), f.get(1)), (Field::Absent, Field::Number("2")), "{inside}");
            assert_eq!(f.get(2), Field::Text(inside));
        }
        let (mut line, mut names) = (r#"{"a":"x"}"#.to_owned(), vec!["a".to_owned()]);
        for n in 1..5 {
            line = format!(r#"{{"a":{}}}"#, quoted(&line));
            names.push(format!("{}.a", names[n - 1]));
            let mut e = parser(&[&names[n]]);
            let found = e.read(&line).unwrap().get(0);
            let wanted = if n <= 2 { Field::Text("x") } else { Field::Absent };
            assert_eq!(found, wanted, "{n} strings deep");
        }
    }

    #[test]
    fn of_strings_and_objects_under_one_key_the_last_holds() {
        for (line, x, y) in [
            (r#"{"a":{"x":1,"y":1},"a":"{\"x\":2}"}"#, Field::Number("2"), Field::Absent),
            (r#"{"a":"{\"x\":2}","a":{"y":1}}"#, Field::Absent, Field::Number("1")),
            (r#"{"a":"{\"x\":2,\"y\":3}","a":"{\"x\":4}"}"#, Field::Number("4"), Field::Absent),
            (r#"{"a":"{\"x\":2}","a.x":3}"#, Field::Number("3"), Field::Absent),
        ] {
            let mut e = parser(&["a.x", "a.y"]);
            let f = e.read(line).unwrap();
            assert_eq!((f.get(0), f.get(1)), (x, y), "{line}");
        }
    }

    #[test]
    fn what_is_not_one_object_and_nothing_else_is_malformed() {
        let mut e = parser(&["a"]);
        for line in [
            "",
            " ",
            "1",
            "[]",
            "null",
            "{",
            "}",
            "{}}",
            "{} x",
            "{}{}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"x}",
            "{\"a\":tru}",
            "{\"a\":[1,]}",
            "{\"a\":[1}}",
            "{\"b\":{\"c\":1]}",
            "{\"b\":{1:2}}",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"b\":[,]}",
            "{\"a\":1 \"b\":2}",
        ] {
            assert_eq!(e.read(line).err(), Some(Malformed), "{line:?}");
        }
    }

    #[test]
    fn deep_nesting_is_malformed_and_costs_no_stack() {
        let mut e = parser(&["a", "n.x"]);
        for key in ["a", "b", "n"] {
            for (open, close) in [("[", "]"), ("{\"k\":", "}")] {
                let deep =
                    |n: usize| format!("{{\"{key}\":{}1{}}}", open.repeat(n), close.repeat(n));
                assert!(e.read(&deep(100)).is_ok());
                assert!(e.read(&deep(10_000)).is_err());
            }
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            (-1e9..1e9_f64).prop_map(Into::into),
            "[a-z\"\\\\\u{1}é😀]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::hash_map("[abc]", inner, 0..4)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_what_is_json(value in json(), cut in 0..400_usize, with in "[{}\\[\\],:\"a1\\\\ ]{0,2}") {
            let mut text = value.to_string();
            let cut = (0..=cut.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap();
            text.insert_str(cut, &with);
            let reference = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
            let mut e = parser(&["a", "b.c", "c"]);
            let got = e.read(&text);
            prop_assert_eq!(got.is_ok(), reference.is_ok(), "{}", text);
            if let (Ok(fields), Ok(map)) = (got, reference) {
                for (slot, wanted) in [map.get("a"), map.get("b").and_then(|b| b.get("c")), map.get("c")].into_iter().enumerate() {
                    let same = match (fields.get(slot), wanted) {
                        (Field::Absent, None) => true,
                        (Field::Null, Some(v)) => v.is_null(),
                        (Field::Bool(b), Some(v)) => v.as_bool() == Some(b),
                        (Field::Text(t), Some(v)) => v.as_str() == Some(t),
                        (Field::Number(t) | Field::Json(t), Some(v)) => serde_json::from_str::<serde_json::Value>(t).ok().as_ref() == Some(v),
                        _ => false,
                    };
                    prop_assert!(same, "{text}: {:?} is not {wanted:?}", fields.get(slot));
                }
            }
        }

        #[test]
        fn an_object_in_a_string_is_read_as_the_object_itself(value in json()) {
            let text = serde_json::to_string(&value.to_string()).unwrap();
            let (mut plain, mut within) = (parser(&["v.a", "v.b.c"]), parser(&["v.a", "v.b.c"]));
            let (plain_line, line) = (format!("{{\"v\":{value}}}"), format!("{{\"v\":{text}}}"));
            let (plain, within) = (plain.read(&plain_line).unwrap(), within.read(&line).unwrap());
            for slot in 0..2 {
                prop_assert_eq!(plain.get(slot), within.get(slot), "{}", line);
            }
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".{0,80}", more in r#"[{}:,"\\a0 u]{0,40}"#) {
            for text in [text, more] {
                let _ = parser(&["a", "a.a"]).read(&text);
                let _ = parser(&["a", "a.a"]).read(&format!("{{\"a\":\"{text}\"}}"));
                let quoted = serde_json::to_string(&text).unwrap();
                let line = format!("{{\"a\":{quoted}}}");
                prop_assert!(parser(&["a", "a.a"]).read(&line).is_ok());
            }
        }
    }
}
