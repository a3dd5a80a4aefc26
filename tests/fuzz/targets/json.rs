//! The scanner of JSON lines against serde_json: the same texts are one object, and the same fields are found.
#![no_main]

use std::collections::BTreeMap;
use std::fmt;

use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use watchkeeper_agent_core::observe::{Field, Format, Parser, Slots};

const NAMES: [&str; 5] = ["a", "b", "b.c", "b.c.d", "e-f"];

/// How deep a line may be nested.
const MAX_DEPTH: usize = 128;

/// An object's entries in the order written, values as they stand.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(InOrder).map(Entries)
    }
}

/// One wanted key of an object: the key, the field's name, and what is wanted inside it.
struct Wanted(&'static str, &'static str, &'static [Wanted]);

/// A dotted name is that part of an object, or a key written with the dots at the top.
const WANTED: &[Wanted] = &[
    Wanted("a", "a", &[]),
    Wanted("b", "b", &[Wanted("c", "b.c", &[Wanted("d", "b.c.d", &[])])]),
    Wanted("b.c", "b.c", &[]),
    Wanted("b.c.d", "b.c.d", &[]),
    Wanted("e-f", "e-f", &[]),
];

type Found = BTreeMap<&'static str, String>;

/// How many strings deep an object is looked for.
const MAX_STRINGS: usize = 2;

/// The wanted fields as serde_json sees them; `None` where a key or a text is no Unicode, which serde_json refuses.
fn reference(text: &str, wanted: &[Wanted], n_strings: usize, into: &mut Found) -> Option<()> {
    for (key, value) in serde_json::from_str::<Entries<'_>>(text).ok()?.0 {
        let raw = value.get();
        let Some(Wanted(_, name, inside)) = wanted.iter().find(|w| w.0 == key) else { continue };
        // The key replaces an earlier one together with everything below it.
        clear(inside, into);
        if raw.starts_with('{') && !inside.is_empty() {
            reference(raw, inside, n_strings, into)?;
        }
        if raw.starts_with('"') && !inside.is_empty() && n_strings < MAX_STRINGS {
            let held: String = serde_json::from_str(raw).ok()?;
            if is_object(&held) {
                // How deep such an object may be is not said here.
                (depth(&held) <= MAX_DEPTH).then_some(())?;
                reference(&held, inside, n_strings + 1, into)?;
            }
        }
        into.insert(name, raw.to_owned());
    }
    Some(())
}

fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{')
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn clear(wanted: &[Wanted], found: &mut Found) {
    for Wanted(_, name, inside) in wanted {
        found.remove(name);
        clear(inside, found);
    }
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for b in text.bytes() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn same(field: Field<'_>, raw: Option<&str>) -> bool {
    match (field, raw) {
        (Field::Absent, None) => true,
        (Field::Null, Some(raw)) => raw == "null",
        (Field::Bool(b), Some(raw)) => raw == b.to_string(),
        (Field::Number(text) | Field::Json(text), Some(raw)) => text == raw,
        (Field::Text(text), Some(raw)) => match serde_json::from_str::<String>(raw) {
            Ok(theirs) => text == theirs,
            // A lone surrogate: no text for serde_json, U+FFFD for us.
            Err(_) => raw.starts_with('"') && text.contains('\u{fffd}'),
        },
        _ => false,
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut slots = Slots::default();
    for name in NAMES {
        slots.slot(name);
    }
    let mut parser = Parser::new(&Format::Json, slots);
    let is_json = is_object(text);
    let Ok(fields) = parser.read(text) else {
        assert!(!is_json || depth(text) > MAX_DEPTH, "serde_json reads it, we do not");
        return;
    };
    assert!(is_json, "we read it, serde_json does not");
    let mut wanted = Found::new();
    if reference(text, WANTED, 0, &mut wanted).is_none() {
        return;
    }
    for (slot, name) in NAMES.into_iter().enumerate() {
        let (field, raw) = (fields.get(slot), wanted.get(name).map(String::as_str));
        assert!(same(field, raw), "{name}: {field:?} is not {raw:?}");
    }
});
