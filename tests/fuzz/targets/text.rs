//! Arbitrary lines as text: all of it is the message, and its body gives it back.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use watchkeeper_agent_core::observe::{Field, Format, Parser, Slots};

fuzz_target!(|data: &[u8]| {
    let Ok(line) = std::str::from_utf8(data) else { return };
    let mut slots = Slots::default();
    let [message, whole, other] = ["message", "line", "level"].map(|name| slots.slot(name));
    let mut parser = Parser::new(&Format::Text, slots);
    let is_blank = line.trim_matches(['\0', ' ', '\t', '\n', '\r', '\u{c}']).is_empty();
    let Ok(fields) = parser.read(line) else { return assert!(is_blank, "{line:?} says something") };
    assert!(!is_blank, "{line:?} says nothing");
    assert_eq!([message, whole].map(|slot| fields.get(slot)), [Field::Text(line); 2]);
    assert_eq!(fields.get(other), Field::Absent);
    let body: BTreeMap<String, String> =
        serde_json::from_str(&fields.body()).expect("a body is an object of texts");
    assert_eq!(body, BTreeMap::from([("message".to_owned(), line.to_owned())]));
});
