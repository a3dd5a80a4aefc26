//! Where something stands in a file.
//!
//! Owns lines and columns, both from 1, columns in characters. Never reads a file.

use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file as it was read.
#[derive(Debug)]
pub(crate) struct Source {
    /// As the user named it, or as an include found it.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// The byte at which each line begins.
    line_starts: Vec<usize>,
    /// Whether it lies at its path: a text that was given is no neighbour of other files.
    pub(crate) is_file: bool,
}

impl Source {
    pub(crate) fn new(path: &Path, text: String) -> Arc<Self> {
        Self::of(path, text, true)
    }

    /// A text that only has a name.
    pub(crate) fn in_memory(name: &str, text: String) -> Arc<Self> {
        Self::of(Path::new(name), text, false)
    }

    fn of(path: &Path, text: String, is_file: bool) -> Arc<Self> {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let line_starts = [0].into_iter().chain(ends).collect();
        Arc::new(Self { path: path.to_owned(), text, line_starts, is_file })
    }

    /// The line that holds a byte, from 0.
    pub(crate) fn line_of(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// The bytes of a line, without its end.
    pub(crate) fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        let end = self.line_starts.get(line + 1).copied().unwrap_or(self.text.len());
        start..start + self.text[start..end].trim_end_matches(['\n', '\r']).len()
    }
}

/// A stretch of a file; cheap to clone.
#[derive(Clone)]
pub struct Place {
    pub(crate) source: Arc<Source>,
    pub(crate) span: Range<usize>,
}

impl Place {
    /// A stretch of bytes, moved to where characters begin and end.
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let text = &source.text;
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        Self { source: Arc::clone(source), span: start..end }
    }

    /// The beginning of a file that need not have been read.
    pub fn start_of(path: &Path) -> Self {
        Self::new(&Source::new(path, String::new()), 0..0)
    }

    /// The file, as it was named.
    pub fn file(&self) -> &Path {
        &self.source.path
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.source.line_of(self.span.start) + 1
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        let line = self.source.line_range(self.line() - 1);
        self.source.text[line.start.min(self.span.start)..self.span.start].chars().count() + 1
    }

    /// What is written there.
    pub fn text(&self) -> &str {
        &self.source.text[self.span.clone()]
    }

    /// A path that is written here: relative to the file.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.file().parent().unwrap_or(Path::new("")).join(path)
    }

    /// Part of this place; bytes beyond its end are cut off.
    pub(crate) fn part(&self, within: Range<usize>) -> Self {
        let start = (self.span.start + within.start).min(self.span.end);
        let end = (self.span.start + within.end).clamp(start, self.span.end);
        Self::new(&self.source, start..end)
    }
}

/// `agent.yaml:3:5`.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file().display(), self.line(), self.column())
    }
}

/// The position only: a file may hold secrets.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({self})")
    }
}

/// The same stretch of a file of the same name.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.span == other.span && self.source.path == other.source.path
    }
}

impl Eq for Place {}

/// A value with the place where it was written, for checks that need more than one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_end_anyhow() {
        let source = Source::new(Path::new("a"), "é: x\r\nb: y".to_owned());
        let at = |text: &str| {
            let start = source.text.find(text).unwrap();
            let place = Place::new(&source, start..start + 1);
            (place.line(), place.column())
        };
        assert_eq!(at("x"), (1, 4));
        assert_eq!(at("y"), (2, 4));
        assert_eq!(source.line_range(0), 0..5);
        assert_eq!(Place::new(&source, 1..99).span, 0..11);
    }
}
