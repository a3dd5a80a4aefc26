//! Arbitrary text redacted: no secret that is plainly one is left, nothing else is changed, JSON stays JSON, and a second
//! time there is nothing to find.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use regex::Regex;
use serde::de::IgnoredAny;
use watchkeeper_agent_core::observe::{OwnPattern, RedactSettings, Redactor};
use watchkeeper_fuzz::{Feed, secret};

/// A mark, with the quotes it has where it stands for a number.
static MARK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""?\[(?:email|card|token|password|session)\]"?"#).expect("an expression of ours")
});

/// The usual one, and one with an expression of the user's own.
static REDACTORS: LazyLock<[Redactor; 2]> = LazyLock::new(|| {
    let own = OwnPattern::new("session", r#""?sid"?[=:]\s*(?P<secret>"?[0-9a-f]+"?)"#);
    let also = vec![own.expect("an expression of ours")];
    [Redactor::default(), Redactor::new(&RedactSettings { also, ..RedactSettings::default() })]
});

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What stands between marks stands in the text too, in the same order.
fn is_of(redacted: &str, mut text: &str) -> bool {
    MARK.split(redacted).all(|kept| match text.find(kept) {
        Some(at) => {
            text = &text[at + kept.len()..];
            true
        }
        None => false,
    })
}

// Which redactor in the first byte, then the text.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let n = feed.choice(2);
    let Ok(text) = std::str::from_utf8(feed.rest()) else { return };
    let Some((redacted, n_found)) = REDACTORS[n].redact(text) else {
        return assert_eq!(secret(text), None, "left in {text:?}");
    };
    assert!(n_found > 0 && n_found <= 8 * text.len() as u64, "{n_found} in {text:?}");
    assert_eq!(secret(&redacted), None, "left in {redacted:?} of {text:?}");
    assert!(redacted.len() <= 12 * text.len() + 12, "{redacted:?} of {text:?}");
    assert!(is_of(&redacted, text), "{redacted:?} is not of {text:?}");
    assert!(!is_json(text) || is_json(&redacted), "{redacted:?} is no JSON, {text:?} was");
    if n == 0 {
        assert_eq!(REDACTORS[0].redact(&redacted), None, "a second time, of {text:?}");
    }
});
