//! What a condition is asked about and what it answers.
//!
//! Owns the types at this crate's edge. Never decides how a field's path is found in a line: the record does.

/// What names in a condition stand for.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Fields of a line, of any type; any name may occur in some line. `fields["a-b"]` and `has(fields.x)` besides.
    Line,
    /// Fields of a line whose format knows only strings: logfmt, regex, text. As [`Self::Line`], but comparing one with
    /// a number is an error.
    TextLine,
    /// As [`Self::TextLine`], and lines have just these fields; any other name is an error.
    TextFields(&'a [String]),
    /// Labels of a series: always strings, "" if absent. Comparing one with a number is an error.
    Labels,
    /// Just these variables; any other name is an error.
    Known(&'a [(&'a str, Type)]),
}

/// The type of a known variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// Text.
    String,
    /// True or false.
    Bool,
    /// A span of time, compared with `duration("…")`; its value is [`Value::Int`] nanoseconds.
    Duration,
    /// Anything JSON can hold; parts of it are named by paths.
    Json,
}

/// One value of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The record has no such field.
    Absent,
    /// JSON's null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction, or beyond 64 bits.
    Double(f64),
    /// Text.
    Str(&'a str),
    /// An object or array, as JSON text.
    Json(&'a str),
}

/// Where a condition finds its values: by the slot that [`Condition::bind`](crate::Condition::bind) gave each name.
pub trait Record {
    /// The value in a slot.
    fn value(&self, slot: usize) -> Value<'_>;
}

/// Values by slot, as they are; a slot beyond the end is absent.
impl Record for [Value<'_>] {
    fn value(&self, slot: usize) -> Value<'_> {
        self.get(slot).copied().unwrap_or(Value::Absent)
    }
}

/// What a condition says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Match,
    /// It does not.
    NoMatch,
    /// It ended in an error, an absent field among them: it does not match, and an SLO calls it unjudged.
    Unjudged,
}

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Self::Match } else { Self::NoMatch }
    }
}
