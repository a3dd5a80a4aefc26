//! A line read by its format.
//!
//! Owns which formats there are, and that each answers the same way: the wanted fields by slot, or malformed. How a
//! format is written is its own module's business.

use super::body::Body;
use super::fields::{Fields, Found, Malformed};
use super::json::JsonParser;
use super::logfmt::LogfmtParser;
use super::pattern::Pattern;
use super::regex::RegexParser;
use super::slots::Slots;
use super::text::{self, TextParser};

/// How lines are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, RFC 8259.
    #[default]
    Json,
    /// `key=value key="another value"`.
    Logfmt,
    /// Whatever a regular expression takes apart.
    Regex(Pattern),
    /// Anything; the line has the fields `message` and `line`, both all of it.
    Text,
}

impl Format {
    /// Whether every field is text, so that only a conversion makes a number of one.
    pub fn has_only_text(&self) -> bool {
        *self != Self::Json
    }

    /// The names of the fields a line can have, if the format knows them.
    pub fn fields(&self) -> Option<Vec<String>> {
        match self {
            Self::Json | Self::Logfmt => None,
            Self::Regex(pattern) => Some(pattern.fields().to_vec()),
            Self::Text => Some(text::FIELDS.map(str::to_owned).to_vec()),
        }
    }
}

/// Whether a line says nothing: only white space, or what a hole in a file reads as.
pub(super) fn is_blank(line: &str) -> bool {
    line.bytes().all(|b| b == 0 || b.is_ascii_whitespace())
}

/// Reads one line after another.
#[derive(Debug)]
pub struct Parser {
    read: Read,
    found: Found,
    body: Body,
}

#[derive(Debug)]
enum Read {
    Json(JsonParser),
    Logfmt(LogfmtParser),
    Regex(RegexParser),
    Text(TextParser),
}

impl Parser {
    /// A parser of the fields in the table.
    pub fn new(format: &Format, slots: Slots) -> Self {
        let found = Found::new(slots.len(), slots.given().to_vec());
        let (read, body) = match format {
            Format::Json => (Read::Json(JsonParser::new(slots)), Body::Line),
            Format::Logfmt => (Read::Logfmt(LogfmtParser::new(&slots)), Body::Pairs),
            Format::Regex(pattern) => {
                let body = Body::Groups(pattern.clone());
                (Read::Regex(RegexParser::new(pattern, &slots)), body)
            }
            Format::Text => (Read::Text(TextParser::new(&slots)), Body::Message),
        };
        Self { read, found, body }
    }

    /// Reads a line; the fields found are valid for this very line only.
    pub fn read<'a>(&'a mut self, line: &'a str) -> Result<Fields<'a>, Malformed> {
        self.found.begin();
        match &mut self.read {
            Read::Json(json) => json.read(line, &mut self.found)?,
            Read::Logfmt(logfmt) => logfmt.read(line, &mut self.found)?,
            Read::Regex(regex) => regex.read(line, &mut self.found)?,
            Read::Text(text) => text.read(line, &mut self.found)?,
        }
        Ok(self.found.of(line, &self.body))
    }

    /// Gives a field that does not come from the line, from the next line on; an empty text is absent.
    pub fn give(&mut self, slot: usize, text: &str) {
        self.found.give(slot, text);
    }
}
