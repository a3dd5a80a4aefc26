//! Lines that a regular expression takes apart.
//!
//! Owns how its groups become fields: by name, absent where a group took no part. Never compiles what the user wrote:
//! that was done when it was read.

use regex::{CaptureLocations, Regex};

use super::fields::{Found, Malformed, Shape};
use super::parser::is_blank;
use super::pattern::Pattern;
use super::slots::Slots;

/// Finds the fields of a slot table in one line after another.
#[derive(Debug)]
pub(super) struct RegexParser {
    /// In the order to be tried.
    searches: Vec<Search>,
    /// Number of each wanted group, and its slot.
    groups: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Search {
    regex: Regex,
    at: CaptureLocations,
}

impl RegexParser {
    /// A parser of these fields.
    pub(super) fn new(pattern: &Pattern, slots: &Slots) -> Self {
        let slot_of = |name: &str| slots.of_line().find(|(n, _)| *n == name).map(|(_, slot)| slot);
        let searches = pattern.searches(|name| slot_of(name).is_some());
        let names = searches.first().map(|regex| regex.capture_names().enumerate());
        let groups = names.into_iter().flatten();
        let groups = groups.filter_map(|(group, name)| Some((group, slot_of(name?)?))).collect();
        let searches = searches.into_iter().map(|regex| {
            let at = regex.capture_locations();
            Search { regex, at }
        });
        Self { searches: searches.collect(), groups }
    }

    /// Notes where the wanted fields of a line are.
    pub(super) fn read(&mut self, line: &str, found: &mut Found) -> Result<(), Malformed> {
        if is_blank(line) {
            return Err(Malformed);
        }
        if self.groups.is_empty() {
            let matches = self.searches.iter().any(|search| search.regex.is_match(line));
            return matches.then_some(()).ok_or(Malformed);
        }
        let matching = self.searches.iter_mut().find_map(|search| {
            search.regex.captures_read(&mut search.at, line).map(|_| &search.at)
        });
        let at = matching.ok_or(Malformed)?;
        for &(group, slot) in &self.groups {
            if let Some((start, end)) = at.get(group) {
                found.note(slot, Shape::Text, start..end).ok_or(Malformed)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::Field;
    use super::super::parser::{Format, Parser};
    use super::*;
    use proptest::prelude::*;
    use std::cell::RefCell;

    fn parser(pattern: &str, names: &[&str]) -> Parser {
        let mut slots = Slots::default();
        for name in names {
            slots.slot(name);
        }
        Parser::new(&Format::Regex(Pattern::new(pattern).unwrap()), slots)
    }

    const ACCESS: &str = r#"^(?P<remote>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>[^" ]+)(?: (?P<proto>[^"]+))?" (?P<status>\d+) (?P<bytes>\d+|-)(?: (?P<took>[0-9.]+))?$"#;

    #[test]
    fn groups_become_fields() {
        let line = r#"::1 - é [22/Nov/2026:18:07:09 +0000] "GET /ü?a=%20 HTTP/1.1" 200 -"#;
        let mut parser = parser(ACCESS, &["status", "took", "user", "path", "bytes", "nope"]);
        let fields = parser.read(line).unwrap();
        let all: Vec<Field<'_>> = (0..6).map(|slot| fields.get(slot)).collect();
        let text = Field::Text;
        let wanted =
            [text("200"), Field::Absent, text("é"), text("/ü?a=%20"), text("-"), Field::Absent];
        assert_eq!(all, wanted);
        assert!(fields.body().contains(r#""proto":"HTTP/1.1""#), "with groups nobody asked for");
        let longer = format!("{line} 0.012");
        let fields = parser.read(&longer).unwrap();
        assert_eq!(fields.get(1), Field::Text("0.012"));
    }

    #[test]
    fn nginx_writes_lines_that_the_example_reads() {
        let pattern = r#"^\S+ - \S+ \[(?P<time>[^\]]+)\] "(?:(?P<method>[A-Z]+) (?P<path>\S+)[^"]*|[^"]*)" (?P<status>\d+) (?P<bytes>\d+) "#;
        let example = include_str!("../../../../examples/nginx/agent.yaml");
        assert!(example.contains(&format!("pattern: '{pattern}'")));
        let mut parser = parser(pattern, &["method", "path", "status"]);
        let text = Field::Text;
        for (request, method, path) in [
            ("GET /a?b=%20 HTTP/1.1", text("GET"), text("/a?b=%20")),
            ("GET /", text("GET"), text("/")),
            (r"\x16\x03\x01 \x22", Field::Absent, Field::Absent),
            ("", Field::Absent, Field::Absent),
            ("-", Field::Absent, Field::Absent),
        ] {
            let line = format!(
                r#"2001:db8::1 - - [22/Nov/2026:18:07:09 +0000] "{request}" 400 150 "-" "curl/8.5 \x22x\x22""#
            );
            let fields = parser.read(&line).expect(&line);
            assert_eq!((fields.get(0), fields.get(1)), (method, path), "{request}");
            assert_eq!(fields.get(2), text("400"));
        }
    }

    #[test]
    fn a_line_that_does_not_match_is_malformed_and_a_blank_one_never_matches() {
        for (pattern, line, is_read) in [
            (ACCESS, "", false),
            (ACCESS, "::1 - - [x] \"GET /\" 200 -", true),
            (ACCESS, "::1 - - [x] \"GET /\" 200 -\r", false),
            (ACCESS, "::1 - - [x] \"get /\" 200 -", false),
            ("(?P<a>.*)", " \t\0\r", false),
            ("(?P<a>.*)", "x", true),
            ("(?P<a>x*)", "y", true),
            ("b(?P<a>.)", "ab c", true),
            ("b(?P<a>.)", "ab", false),
            ("^b(?P<a>.)", "abc", false),
            ("(?P<a>c)$", "one\nabc", true),
            ("(?P<a>.+)$", "one\ntwo", true),
            ("^(?P<a>.+)$", "one\ntwo", false),
            ("(?s)^(?P<a>.+)$", "one\ntwo", true),
        ] {
            for names in [&["a", "took"][..], &[]] {
                assert_eq!(
                    parser(pattern, names).read(line).is_ok(),
                    is_read,
                    "{pattern} {line:?}"
                );
            }
        }
    }

    #[test]
    fn more_groups_than_the_engine_finds_in_one_pass_are_found() {
        let groups: Vec<String> = (0..40).map(|n| format!("(?P<g{n}>[a-z]+)")).collect();
        let names: Vec<String> = (0..40).map(|n| format!("g{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut all = parser(&groups.join(" "), &names);
        let line = vec!["ab"; 40].join(" ");
        let fields = all.read(&line).unwrap();
        assert!((0..40).all(|slot| fields.get(slot) == Field::Text("ab")));
    }

    const PATTERNS: [&str; 12] = [
        r"(?P<a>\w+) (?P<b>\d+)",
        r"^(?P<a>\w+)(?: (?P<b>\d+))?$",
        r"(?P<a>.*?)(?P<b>[ab]+)",
        r"(?P<a>a|ab)(?P<b>c|bcd)?",
        r"(?i)(?P<b>A(?P<a>b+)?)+",
        r"(?P<a>a*)(?P<b>a*?)",
        r"(?m)^(?P<a>b).*(?P<b>\d)$",
        r"\b(?P<a>[a-c]{2,3})\b|(?P<b>\d)",
        r"(?x) (?P<a> a ) # the first
            (b) (?P<b> \  . )",
        r"(?P<a>é+|\s)(?P<b>\S)",
        r"(?P<b>(?:(?P<a>a)|b)*)c",
        r"(?s)(?P<a>.)$(?P<b>)",
    ];

    /// Each pattern, the fields asked for, and the parser of both; compiled once.
    type Case = (&'static str, &'static [&'static str], Regex, Parser);

    thread_local! {
        static CASES: RefCell<Vec<Case>> = RefCell::new(
            PATTERNS
                .into_iter()
                .flat_map(|pattern| [&["a", "b"][..], &["a"], &["b"], &[]].map(|names| (pattern, names)))
                .map(|(pattern, names)| {
                    (pattern, names, Regex::new(pattern).unwrap(), parser(pattern, names))
                })
                .collect(),
        );
    }

    fn agrees(case: &mut Case, text: &str) -> Result<(), TestCaseError> {
        let (pattern, names, whole, parser) = case;
        let captures = whole.captures(text).filter(|_| !is_blank(text));
        let fields = parser.read(text);
        prop_assert_eq!(fields.is_ok(), captures.is_some(), "{} {:?}", pattern, text);
        let (Ok(fields), Some(captures)) = (fields, captures) else { return Ok(()) };
        for (slot, name) in names.iter().enumerate() {
            let wanted = captures.name(name).map_or(Field::Absent, |m| Field::Text(m.as_str()));
            prop_assert_eq!(fields.get(slot), wanted, "{} {:?}", pattern, text);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn fields_are_what_the_whole_expression_captures(text in "[abcAB12 é\\n]{0,16}") {
            CASES.with_borrow_mut(|all| all.iter_mut().try_for_each(|case| agrees(case, &text)))?;
        }
    }
}
