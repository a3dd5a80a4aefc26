//! Files by name and by pattern: their text, or why it can't be had.
//!
//! Owns what a file may be (its size, its encoding) and what a pattern finds. Never knows what stands in one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format;
use crate::place::{Located, Place, Source};
use crate::reader::Reader;
use crate::yaml::MAX_FILE;

/// The most files that one document may have, or name.
pub(crate) const MAX_FILES: usize = 1_000;

/// A file's text; `asked` is where it was asked for.
pub(crate) fn source(path: &Path, asked: &Place, reader: &mut Reader<'_>) -> Option<Arc<Source>> {
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            reader.error(asked, format!("cannot read {}: {error}", path.display()));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
            Some(Source::new(path, text))
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let place = Place::new(&Source::new(path, text), at..at + 1);
            reader.error(&place, "not UTF-8: this is no text file, or one in another encoding");
            None
        }
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.len() > MAX_FILE as u64 {
        let limit = format::size(MAX_FILE as u64);
        return Err(std::io::Error::other(format!("larger than {limit}")));
    }
    std::fs::read(path)
}

/// The files of a pattern, by name. A pattern may match nothing yet; a name without `*` is a file that must be there.
pub(crate) fn matching(pattern: &Located<String>, reader: &mut Reader<'_>) -> Option<Vec<PathBuf>> {
    let place = &pattern.place;
    let whole = place.beside(pattern);
    let paths = match glob::glob(&whole.to_string_lossy()) {
        Ok(paths) => paths,
        Err(error) => {
            reader.error(place, format!("not a pattern: {}", error.msg));
            return None;
        }
    };
    let mut found: Vec<PathBuf> = paths.filter_map(Result::ok).filter(|p| p.is_file()).collect();
    found.sort();
    if found.is_empty() {
        if !pattern.contains(['*', '?', '[']) {
            reader.error(place, format!("there is no file `{}`", pattern.value));
            return None;
        }
        reader.warning(place, format!("no file matches `{}`", pattern.value));
    }
    Some(found)
}

/// The name by which two paths of one file are the same.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
