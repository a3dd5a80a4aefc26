//! Values while a condition is evaluated: equality, order and arithmetic.
//!
//! Owns what may be compared with what: numbers across their types, everything else with its own kind only; the
//! rest is a [`Fault`]. Never allocates for scalars.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::record::Value;

/// Why there is no value: an absent field, kinds that do not compare, a number out of range. The reason is not kept,
/// because on a line that does not fit nobody reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault;

/// A value; it borrows from the record and from the condition.
#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(Cow<'a, str>),
    List(Rc<Vec<Val<'a>>>),
    Map(Rc<BTreeMap<String, Val<'a>>>),
}

impl<'a> Val<'a> {
    /// The value of a field; absent is a fault.
    pub(crate) fn of(value: Value<'a>) -> Result<Self, Fault> {
        Ok(match value {
            Value::Absent => return Err(Fault),
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(b),
            Value::Int(i) => Self::Int(i),
            Value::Double(d) => Self::Double(d),
            Value::Str(s) => Self::Str(Cow::Borrowed(s)),
            Value::Json(text) => Self::from_json(serde_json::from_str(text).map_err(|_| Fault)?),
        })
    }

    fn from_json(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => {
                n.as_i64().map_or_else(|| Self::Double(n.as_f64().unwrap_or(f64::NAN)), Self::Int)
            }
            Json::String(s) => Self::Str(Cow::Owned(s)),
            Json::Array(items) => {
                Self::List(Rc::new(items.into_iter().map(Self::from_json).collect()))
            }
            Json::Object(parts) => Self::Map(Rc::new(
                parts.into_iter().map(|(name, part)| (name, Self::from_json(part))).collect(),
            )),
        }
    }

    /// Whether two values are equal; those of different kinds cannot be compared.
    pub(crate) fn equals(&self, other: &Self) -> Result<bool, Fault> {
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && all(a.iter().zip(b.iter()).map(|(x, y)| x.equals(y)))?
            }
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len()
                    && a.keys().eq(b.keys())
                    && all(a.values().zip(b.values()).map(|(x, y)| x.equals(y)))?
            }
            _ => self.compare(other)? == Some(Ordering::Equal),
        })
    }

    /// How two values of one kind are ordered; `None` where one is no number.
    pub(crate) fn compare(&self, other: &Self) -> Result<Option<Ordering>, Fault> {
        Ok(match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Int(a), Self::Double(b)) => int_and_double(*a, *b),
            (Self::Double(a), Self::Int(b)) => int_and_double(*b, *a).map(Ordering::reverse),
            (Self::Str(a), Self::Str(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            _ => return Err(Fault),
        })
    }
}

/// Whether all hold; one that does not settles it, whatever the others are.
fn all(results: impl Iterator<Item = Result<bool, Fault>>) -> Result<bool, Fault> {
    let mut fault = false;
    for result in results {
        match result {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(Fault) => fault = true,
        }
    }
    if fault { Err(Fault) } else { Ok(true) }
}

/// Compares without rounding the integer to a float.
pub(crate) fn int_and_double(int: i64, double: f64) -> Option<Ordering> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        None
    } else if double >= TWO_TO_63 {
        Some(Ordering::Less)
    } else if double < -TWO_TO_63 {
        Some(Ordering::Greater)
    } else {
        let whole = double.trunc();
        Some(int.cmp(&(whole as i64)).then(if double > whole {
            Ordering::Less
        } else if double < whole {
            Ordering::Greater
        } else {
            Ordering::Equal
        }))
    }
}

/// An operator between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    /// Applies it. Whole numbers stay whole and never wrap; one with a fraction makes the result one, because a line
    /// may say `1` or `1.0`.
    pub(crate) fn apply<'a>(self, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>, Fault> {
        match (left, right) {
            (Val::Int(a), Val::Int(b)) => self.whole(*a, *b).map(Val::Int).ok_or(Fault),
            (Val::Double(a), Val::Double(b)) => self.fractional(*a, *b),
            (Val::Int(a), Val::Double(b)) => self.fractional(*a as f64, *b),
            (Val::Double(a), Val::Int(b)) => self.fractional(*a, *b as f64),
            (Val::Str(a), Val::Str(b)) if self == Self::Add => {
                Ok(Val::Str(Cow::Owned(format!("{a}{b}"))))
            }
            (Val::List(a), Val::List(b)) if self == Self::Add => {
                Ok(Val::List(Rc::new(a.iter().chain(b.iter()).cloned().collect())))
            }
            _ => Err(Fault),
        }
    }

    fn whole(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Subtract => a.checked_sub(b),
            Self::Multiply => a.checked_mul(b),
            Self::Divide => a.checked_div(b),
            Self::Remainder => a.checked_rem(b),
        }
    }

    fn fractional<'a>(self, a: f64, b: f64) -> Result<Val<'a>, Fault> {
        Ok(Val::Double(match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => return Err(Fault),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_and_fractions_compare_without_rounding() {
        for (int, double, order) in [
            (500, 500.0, Some(Ordering::Equal)),
            (500, 500.5, Some(Ordering::Less)),
            (-500, -500.5, Some(Ordering::Greater)),
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Some(Ordering::Greater)),
            (i64::MAX, 9_223_372_036_854_775_807.0, Some(Ordering::Less)),
            (i64::MIN, f64::NEG_INFINITY, Some(Ordering::Greater)),
            (0, f64::NAN, None),
        ] {
            assert_eq!(int_and_double(int, double), order, "{int} {double}");
        }
    }

    #[test]
    fn values_of_different_kinds_do_not_compare() {
        assert_eq!(Val::Int(500).equals(&Val::Str("500".into())), Err(Fault));
        assert_eq!(Val::Null.equals(&Val::Int(1)), Err(Fault));
        assert_eq!(Val::Int(1).equals(&Val::Double(1.0)), Ok(true));
    }

    #[test]
    fn overflow_is_a_fault() {
        assert!(Arithmetic::Add.apply(&Val::Int(i64::MAX), &Val::Int(1)).is_err());
        assert!(Arithmetic::Divide.apply(&Val::Int(1), &Val::Int(0)).is_err());
        assert!(Arithmetic::Divide.apply(&Val::Int(i64::MIN), &Val::Int(-1)).is_err());
    }
}
