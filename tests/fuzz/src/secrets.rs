//! Secrets that nobody takes for anything else.
//!
//! Owns a narrow idea of each: what it knows must never be left, and what it does not know may be one all the same.
//! Knows nothing of how the redactor looks for them.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

static MAIL: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?:^|[ \t\n])([a-z][a-z0-9.]*@[a-z]{3,20}\.(?:com|de|org))(?:$|[ \t\n,;])")
});

static BEARER: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:^|[ \t\n])[Bb]earer ([A-Za-z0-9]*[0-9][A-Za-z0-9]*)(?:$|[ \t\n])"));

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?:^|[ \t\n])(4[0-9]{15}|5[1-5][0-9]{14}|3[47][0-9]{13})(?:$|[ \t\n])")
});

static PASSWORD: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:^|[ \t\n])[a-z]+://[a-z]*:([A-Za-z0-9]+)@[a-z]+(?:$|[ \t\n/])"));

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("an expression of ours")
}

/// ISO/IEC 7812-1: from the right every second digit twice, all their digits added up.
fn luhn(number: &str) -> bool {
    let digits = number.bytes().rev().zip(0..).map(|(b, n)| u32::from(b - b'0') << (n % 2));
    digits.map(|d| d / 10 + d % 10).sum::<u32>() % 10 == 0
}

/// A secret in plain text, if there is one. Findings may touch each other, so each is looked for from every place.
fn secret_in(text: &str) -> Option<&str> {
    let find = |regex: &Regex, is_one: fn(&str) -> bool| {
        let mut at = 0;
        while let Some(found) = regex.captures_at(text, at) {
            let secret = found.get(1).expect("a group that always takes part");
            if is_one(secret.as_str()) {
                return Some(secret.range());
            }
            at = secret.end();
        }
        None
    };
    let found = find(&MAIL, |_| true)
        .or_else(|| find(&BEARER, |_| true))
        .or_else(|| find(&NUMBER, luhn))
        .or_else(|| find(&PASSWORD, |_| true));
    found.map(|at| &text[at])
}

fn within(value: &Value, depth: usize) -> Option<String> {
    match value {
        Value::String(text) => at_depth(text, depth + 1),
        Value::Number(number) => secret_in(&number.to_string()).map(str::to_owned),
        Value::Array(items) => items.iter().find_map(|item| within(item, depth)),
        Value::Object(entries) => entries
            .iter()
            .find_map(|(key, value)| at_depth(key, depth + 1).or_else(|| within(value, depth))),
        Value::Null | Value::Bool(_) => None,
    }
}

fn at_depth(text: &str, depth: usize) -> Option<String> {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) if depth < MAX_DEPTH => {
            within(&value, depth)
        }
        _ => secret_in(text).map(str::to_owned),
    }
}

/// JSON in JSON in JSON.
const MAX_DEPTH: usize = 3;

/// A secret in a text: in the strings of JSON and of JSON in it, or in the text as it stands.
pub fn secret(text: &str) -> Option<String> {
    at_depth(text, 0)
}
