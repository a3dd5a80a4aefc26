//! Lines that are taken as they are.
//!
//! Owns the two names a whole line has. Never looks inside.

use super::fields::{Found, Malformed, Shape};
use super::parser::is_blank;
use super::slots::Slots;

/// The fields of such a line: both are all of it.
pub(super) const FIELDS: [&str; 2] = ["message", "line"];

/// Finds the fields of a slot table in one line after another.
#[derive(Debug)]
pub(super) struct TextParser {
    slots: Vec<usize>,
}

impl TextParser {
    /// A parser of these fields.
    pub(super) fn new(slots: &Slots) -> Self {
        let wanted = slots.of_line().filter(|(name, _)| FIELDS.contains(name));
        Self { slots: wanted.map(|(_, slot)| slot).collect() }
    }

    /// Notes the whole line; a blank one says nothing.
    pub(super) fn read(&self, line: &str, found: &mut Found) -> Result<(), Malformed> {
        if is_blank(line) {
            return Err(Malformed);
        }
        self.slots
            .iter()
            .try_for_each(|slot| found.note(*slot, Shape::Text, 0..line.len()).ok_or(Malformed))
    }
}
