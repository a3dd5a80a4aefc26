//! Lines by an arbitrary expression against the crate `regex` with the whole of it: the same lines match, with the same
//! groups, whichever of them are wanted.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use regex::{Regex, RegexBuilder};
use watchkeeper_agent_core::observe::{Field, Format, Parser, Pattern, Slots};
use watchkeeper_fuzz::Feed;

/// Small enough for thousands of expressions in a second; ours may be larger.
const MAX_PATTERN_BYTES: usize = 120;
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// The expression, by us and by the crate alone. What is refused is refused by both, or has no name, or is too large.
fn compiled(text: &str) -> Option<(Pattern, Regex)> {
    let theirs = RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build();
    if matches!(theirs, Err(regex::Error::CompiledTooBig(_))) {
        return None;
    }
    match (Pattern::new(text), theirs) {
        (Ok(ours), Ok(theirs)) => Some((ours, theirs)),
        (Ok(_), Err(error)) => panic!("{text:?} was taken: {error}"),
        (Err(flaw), theirs) => {
            assert!(!flaw.message.is_empty());
            assert!(text.get(flaw.span).is_some(), "{text:?}: wrong somewhere else");
            let n_names = theirs.map_or(0, |regex| regex.capture_names().flatten().count());
            assert_eq!(n_names, 0, "{text:?} was refused: {}", flaw.message);
            None
        }
    }
}

// Which groups are wanted in the first byte, bit by bit, the expression up to the line end, then lines.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let wanted = feed.byte();
    let Ok(text) = std::str::from_utf8(feed.line()) else { return };
    let text = text.get(..text.floor_char_boundary(MAX_PATTERN_BYTES)).unwrap_or(text);
    let Some((pattern, whole)) = compiled(text) else { return };
    let all: Vec<&str> = whole.capture_names().flatten().collect();
    assert_eq!(pattern.fields(), all);

    let is_wanted = |n: usize| wanted >> (n % 8) & 1 == 1;
    let mut names: Vec<&str> =
        (0..).zip(&all).filter(|(n, _)| is_wanted(*n)).map(|(_, n)| *n).collect();
    names.push("no group of this name");
    let mut slots = Slots::default();
    names.iter().for_each(|name| _ = slots.slot(name));
    let mut parser = Parser::new(&Format::Regex(pattern), slots);
    while !feed.is_empty() {
        let Ok(line) = std::str::from_utf8(feed.line()) else { continue };
        let is_blank = line.bytes().all(|b| b == 0 || b.is_ascii_whitespace());
        let found = whole.captures(line).filter(|_| !is_blank);
        let Ok(fields) = parser.read(line) else {
            assert!(found.is_none(), "{text:?} matches {line:?}");
            continue;
        };
        let found = found.unwrap_or_else(|| panic!("{text:?} does not match {line:?}"));
        for (slot, name) in names.iter().enumerate() {
            let value = found.name(name).map_or(Field::Absent, |m| Field::Text(m.as_str()));
            assert_eq!(fields.get(slot), value, "{name} of {text:?} in {line:?}");
        }
        let body: BTreeMap<String, String> =
            serde_json::from_str(&fields.body()).expect("a body is an object of texts");
        let groups = all.iter().filter_map(|name| Some((*name, found.name(name)?.as_str())));
        let groups = groups.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        assert_eq!(body, groups, "{text:?} in {line:?}");
    }
});
