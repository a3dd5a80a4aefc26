//! A line read by its format.
//!
//! Owns which formats there are, and that each answers the same way: the wanted fields by slot, or malformed. How a
//! format is written is its own module's business.

use super::fields::{Fields, Found, Malformed};
use super::json::JsonParser;
use super::slots::Slots;

/// How lines are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, RFC 8259.
    #[default]
    Json,
}

/// Reads one line after another.
#[derive(Debug)]
pub struct Parser {
    read: Read,
    found: Found,
}

#[derive(Debug)]
enum Read {
    Json(JsonParser),
}

impl Parser {
    /// A parser of the fields in the table.
    pub fn new(format: &Format, slots: Slots) -> Self {
        let found = Found::new(slots.len(), slots.given().to_vec());
        let read = match format {
            Format::Json => Read::Json(JsonParser::new(slots)),
        };
        Self { read, found }
    }

    /// Reads a line; the fields found are valid for this very line only.
    pub fn read<'a>(&'a mut self, line: &'a str) -> Result<Fields<'a>, Malformed> {
        self.found.begin();
        match &mut self.read {
            Read::Json(json) => json.read(line, &mut self.found)?,
        }
        Ok(self.found.of(line))
    }

    /// Gives a field that does not come from the line, from the next line on; an empty text is absent.
    pub fn give(&mut self, slot: usize, text: &str) {
        self.found.give(slot, text);
    }
}
