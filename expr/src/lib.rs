//! Conditions in CEL, checked and compiled once, cheap per line.
//!
//! Owns what a condition means: how names resolve, what an absent field does, which comparisons are refused. Never
//! reads a line or a label set itself: a [`Record`] gives it values by slot.

use std::fmt;

/// What names in a condition stand for.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Fields of a line, of any type; any name may occur in some line. `fields["a-b"]` and `has(fields.x)` besides.
    Line,
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

/// Where a condition finds its values: by the slot that [`Condition::bind`] gave each name.
pub trait Record {
    /// The value in a slot.
    fn value(&self, slot: usize) -> Value<'_>;
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

/// What is wrong with a condition's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprProblem {
    /// Byte offset into the text.
    pub offset: usize,
    /// Bytes concerned; at least 1 where there is text.
    pub len: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right; "" if there is nothing to say.
    pub help: String,
}

impl fmt::Display for ExprProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
