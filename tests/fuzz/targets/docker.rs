//! Lines of Docker's `json-file` against serde_json: the same lines are of its form, with the same parts.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use regex::Regex;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use watchkeeper_agent_core::tail::Stream;
use watchkeeper_agent_core::tail::join::DockerParser;
use watchkeeper_fuzz::{MAX_WRAPPER_TIME, WRAPPER_TIME};

static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(r"\A(?-u:{WRAPPER_TIME})\z")).expect("an expression of ours")
});

#[derive(Debug, PartialEq, Eq)]
struct Part {
    stream: String,
    time: String,
    log: String,
}

/// What serde_json reads; an error if it reads JSON that we may read otherwise: with half a surrogate pair.
fn reference(text: &str) -> Result<Option<Part>, ()> {
    let is_object = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    if !is_object || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Ok(None);
    }
    if text.bytes().filter(|b| b"[{".contains(b)).count() > 100 {
        // It may be deeper than we go.
        return Err(());
    }
    let entries: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|_| ())?;
    let field = |name: &str| match entries.get(name).map(|raw| raw.get()) {
        Some(raw) if raw.starts_with('"') => {
            serde_json::from_str::<String>(raw).map(Some).map_err(drop)
        }
        _ => Ok(None),
    };
    let part = [field("stream")?, field("time")?, field("log")?];
    let [Some(stream), Some(time), Some(log)] = part else { return Ok(None) };
    let is_part = ["stdout", "stderr"].contains(&&*stream)
        && TIME.is_match(&time)
        && time.len() <= MAX_WRAPPER_TIME;
    Ok(is_part.then_some(Part { stream, time, log }))
}

// Lines one after another: what is left of one must not show in the next.
fuzz_target!(|data: &[u8]| {
    let mut parser = DockerParser::default();
    for line in data.split(|b| *b == b'\n') {
        let Ok(Ok(wanted)) = std::str::from_utf8(line).map(reference) else {
            let _ = parser.parse(line);
            continue;
        };
        let ours = parser.parse(line).map(|part| Part {
            stream: part.stream.map(Stream::as_str).unwrap_or_default().to_owned(),
            time: part.time.to_owned(),
            log: [
                std::str::from_utf8(part.text).expect("it was text"),
                if part.ends { "\n" } else { "" },
            ]
            .concat(),
        });
        assert_eq!(ours, wanted, "{:?}", std::str::from_utf8(line));
    }
});
