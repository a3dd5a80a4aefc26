//! From an offset in a scalar's text to its place in the file.
//!
//! Owns what YAML does to a text in between: quotes, escapes, the indent of blocks. Never knows what the text means.

use std::ops::Range;

use crate::node::{Content, Node};
use crate::place::Place;

impl Node {
    /// Where a stretch of `text`, which was read from this scalar, stands in the file. The whole scalar, if its text is
    /// not in the file as it is.
    pub fn place_within(&self, text: &str, span: Range<usize>) -> Place {
        let raw = self.place.text();
        let Content::Scalar { text: written, .. } = &self.content else {
            return self.place.clone();
        };
        let trimmed = text.trim_end();
        if written.trim_end() != trimmed {
            return self.place.clone();
        }
        if let Some(base) = raw.find(trimmed) {
            return self.place.part(base + span.start..base + span.end);
        }
        // A block of several lines is indented in the file: look for the line alone.
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        match raw.find(line) {
            Some(base) if !line.trim().is_empty() => {
                let end = span.end.min(line_start + line.len());
                self.place.part(base + start - line_start..base + end.saturating_sub(line_start))
            }
            _ => self.place.clone(),
        }
    }
}
