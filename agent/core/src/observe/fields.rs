//! The fields found in one line, by slot.
//!
//! Owns what a field can be, whatever format it was written in, and where its text lies: in the line itself, or, where it
//! had to be unescaped or does not come from the line at all, beside it. Never reads a line.

use std::ops::Range;

use watchkeeper_expr::{Record, Value};

use super::body::Body;

/// The line is not of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// One field of a line, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// The line has no such field.
    Absent,
    /// JSON's null.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// Text, unescaped.
    Text(&'a str),
    /// An object or array, as written.
    Json(&'a str),
}

impl<'a> Field<'a> {
    /// The field as a label's value: text as it is, numbers as written, `true`, `false`; the rest is no label.
    pub fn as_label(self) -> &'a str {
        match self {
            Self::Number(text) | Self::Text(text) => text,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Absent | Self::Null | Self::Json(_) => "",
        }
    }
}

/// What a field is, without its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    Absent,
    Null,
    True,
    False,
    Number,
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    shape: Shape,
    /// Its text lies beside the line.
    is_owned: bool,
    start: u32,
    end: u32,
}

/// What was found in a line, slot by slot.
#[derive(Debug)]
pub(super) struct Found {
    spans: Vec<Span>,
    owned: Vec<String>,
    /// Slots whose text does not come from the line.
    given: Vec<usize>,
}

impl Found {
    /// Nothing yet, for so many slots; those `given` keep their text from line to line.
    pub(super) fn new(n_slots: usize, given: Vec<usize>) -> Self {
        Self { spans: vec![Span::default(); n_slots], owned: vec![String::new(); n_slots], given }
    }

    /// Forgets the last line.
    pub(super) fn begin(&mut self) {
        self.spans.fill(Span::default());
        for &slot in &self.given {
            if !self.owned[slot].is_empty() {
                self.spans[slot] = Span { shape: Shape::Text, is_owned: true, ..Span::default() };
            }
        }
    }

    /// Forgets one slot.
    pub(super) fn clear(&mut self, slot: usize) {
        self.spans[slot] = Span::default();
    }

    /// The slot's text stands there in the line; `None` if the line is longer than 4 GiB.
    pub(super) fn note(&mut self, slot: usize, shape: Shape, at: Range<usize>) -> Option<()> {
        let (start, end) = (u32::try_from(at.start).ok()?, u32::try_from(at.end).ok()?);
        self.spans[slot] = Span { shape, is_owned: false, start, end };
        Some(())
    }

    /// The slot's text is what the caller writes here, beside the line. It may hold an earlier line's.
    pub(super) fn own(&mut self, slot: usize, shape: Shape) -> &mut String {
        self.spans[slot] = Span { shape, is_owned: true, ..Span::default() };
        &mut self.owned[slot]
    }

    /// Gives a field that does not come from the line; it holds for every line from the next on.
    pub(super) fn give(&mut self, slot: usize, text: &str) {
        self.owned[slot].clear();
        self.owned[slot].push_str(text);
    }

    /// The fields of this very line.
    pub(super) fn of<'a>(&'a self, line: &'a str, body: &'a Body) -> Fields<'a> {
        Fields { line, spans: &self.spans, owned: &self.owned, body }
    }
}

/// The fields found in one line.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    line: &'a str,
    spans: &'a [Span],
    owned: &'a [String],
    body: &'a Body,
}

impl<'a> Fields<'a> {
    /// The field of a slot.
    pub fn get(&self, slot: usize) -> Field<'a> {
        let Some(span) = self.spans.get(slot) else { return Field::Absent };
        let written = || match span.is_owned {
            true => &self.owned[slot],
            false => self.line.get(span.start as usize..span.end as usize).unwrap_or(""),
        };
        match span.shape {
            Shape::Absent => Field::Absent,
            Shape::Null => Field::Null,
            Shape::True => Field::Bool(true),
            Shape::False => Field::Bool(false),
            Shape::Number => Field::Number(written()),
            Shape::Text => Field::Text(written()),
            Shape::Json => Field::Json(written()),
        }
    }
}

impl Fields<'_> {
    /// Everything the line says, as a JSON object: what an event keeps. A line of JSON is one as it stands.
    pub fn body(&self) -> String {
        self.body.of(self.line)
    }
}

impl Record for Fields<'_> {
    fn value(&self, slot: usize) -> Value<'_> {
        match self.get(slot) {
            Field::Absent => Value::Absent,
            Field::Null => Value::Null,
            Field::Bool(b) => Value::Bool(b),
            Field::Text(text) => Value::Str(text),
            Field::Json(text) => Value::Json(text),
            Field::Number(text) => match text.parse::<i64>() {
                Ok(whole) => Value::Int(whole),
                Err(_) => Value::Double(text.parse().unwrap_or(f64::NAN)),
            },
        }
    }
}
