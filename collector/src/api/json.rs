//! The shapes of answers.
//!
//! Owns what all answers have in common: times as RFC 3339 in UTC, whole numbers without a fraction, labels as an object in
//! the order they were asked for. Never a domain type: those may change without the API.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use watchkeeper_model::Timestamp;

/// RFC 3339 in UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// A number as a person would write it: `42` and not `42.0`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub(super) f64);

/// Up to here each whole number has a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < EXACT {
            to.serialize_i64(self.0 as i64)
        } else {
            to.serialize_f64(self.0)
        }
    }
}

/// Names with values, in their order.
#[derive(Clone, Debug)]
pub(super) struct Pairs<V>(pub(super) Vec<(String, V)>);

impl<V: Serialize> Serialize for Pairs<V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// One page of what is sorted by a unique key: the rows, and the key to go on after.
pub(super) fn page_by_key<T>(
    rows: Vec<T>,
    key: impl Fn(&T) -> String,
    after: Option<&str>,
    limit: u32,
) -> (Vec<T>, Option<String>) {
    let mut rest: Vec<T> = rows
        .into_iter()
        .filter(|row| after.is_none_or(|after| key(row).as_str() > after))
        .collect();
    rest.sort_by_key(&key);
    let limit = limit as usize;
    let next = (rest.len() > limit).then(|| key(&rest[limit - 1]));
    rest.truncate(limit);
    (rest, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction() {
        for (value, text) in
            [(42.0, "42"), (-1.0, "-1"), (0.5, "0.5"), (1e300, "1e+300"), (-0.0, "0")]
        {
            assert_eq!(serde_json::to_string(&Number(value)).unwrap(), text);
        }
        assert_eq!(serde_json::to_string(&Number(f64::NAN)).unwrap(), "null");
    }

    #[test]
    fn pages_by_key_hold_each_row_once() {
        let rows = || vec!["b", "a", "c"];
        let page = |after, limit| page_by_key(rows(), |r| (*r).to_owned(), after, limit);
        assert_eq!(page(None, 2), (vec!["a", "b"], Some("b".to_owned())));
        assert_eq!(page(Some("b"), 2), (vec!["c"], None));
        assert_eq!(page(None, 3), (vec!["a", "b", "c"], None));
    }
}
