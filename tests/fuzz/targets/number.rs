//! Arbitrary text as a number and as a duration: exactly what it says in base units, rounded half up, the short way and
//! the long one.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use regex::Regex;
use watchkeeper_agent_core::observe::scaled;
use watchkeeper_expr::duration;
use watchkeeper_fuzz::Feed;
use watchkeeper_model::{Decimal, Unit};

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("an expression of ours")
}

static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\A([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?\z"));

static DURATION: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\A(?:[0-9.]+(?:w|d|h|m|s|ms|us|µs|μs|ns))+\z"));

static PART: LazyLock<Regex> = LazyLock::new(|| regex("([0-9.]+)([a-zµμ]+)"));

const UNITS: [(&str, i64); 10] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

/// So many base units, rounded half up; `Some(None)` if they are too many, `None` if 128 bits do not reach.
fn exact(digits: i128, power: i32, factor: i64) -> Option<Option<i64>> {
    let product = digits.checked_mul(factor.into())?;
    let ten = 10_i128.checked_pow(power.unsigned_abs())?;
    let scaled = match power {
        0.. => product.checked_mul(ten),
        _ => Some(product.checked_mul(2)?.checked_add(ten)?.div_euclid(ten.checked_mul(2)?)),
    };
    Some(scaled.and_then(|n| i64::try_from(n).ok()))
}

/// What a text says; `None` if it is longer than what can be said here.
fn reference(text: &str, factor: i64) -> Option<Option<i64>> {
    let Some(found) = NUMBER.captures(text) else { return Some(None) };
    let part = |n| found.get(n).map_or("", |m| m.as_str());
    let digits = [part(2), part(3)].concat();
    if digits.is_empty() {
        return Some(None);
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > 23 || part(4).len() > 4 {
        return None;
    }
    let digits: i128 = format!("{}0{digits}", part(1)).parse().ok()?;
    let power: i32 = if part(4).is_empty() { 0 } else { part(4).parse().ok()? };
    exact(digits, power - i32::try_from(part(3).len()).ok()?, factor)
}

// The unit in the first byte, then the text.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let factors = Unit::ALL.iter().map(|unit| unit.base_factor());
    let factors: Vec<i64> = factors.chain(UNITS.map(|(_, nanos)| nanos)).collect();
    let factor = factors[feed.choice(factors.len())];
    let Ok(text) = std::str::from_utf8(feed.rest()) else { return };
    let number = Decimal::parse(text);
    let long_way = number.and_then(|number| number.scale(factor));
    assert_eq!(scaled(text, factor), long_way, "{text:?} times {factor}");
    if let Some(wanted) = reference(text, factor) {
        assert_eq!(long_way, wanted, "{text:?} times {factor}");
    }
    if let (Some(number), Ok(theirs)) = (number, text.parse::<f64>()) {
        let ours = number.to_f64();
        let is_near = ours == theirs || (ours - theirs).abs() <= theirs.abs() * 1e-15;
        assert!(is_near, "{text:?}: {ours} and not {theirs}");
    }

    let sum = duration::parse(text);
    if text != "0" && !DURATION.is_match(text) {
        return assert!(sum.is_err(), "{text:?} is no duration");
    }
    let parts = PART.captures_iter(text).map(|found| {
        let (_, [number, unit]) = found.extract();
        scaled(number, UNITS.iter().find(|known| known.0 == unit)?.1)
    });
    let parts: Option<Vec<i64>> = parts.collect();
    let wanted = parts.and_then(|parts| parts.into_iter().try_fold(0_i64, i64::checked_add));
    assert_eq!(sum.ok(), wanted, "{text:?}");
});
