//! Files by name and by pattern: their text, or why it can't be had.
//!
//! Owns what a file may be (its kind, its size, its encoding) and what a pattern finds. Never knows what stands in one.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::format;
use crate::place::{Located, Place, Source};
use crate::reader::Reader;
use crate::yaml::MAX_FILE;

/// The most files that one document may have, or name.
pub(crate) const MAX_FILES: usize = 1_000;

/// A file's text; `asked` is where it was asked for.
pub(crate) fn source(path: &Path, asked: &Place, reader: &mut Reader<'_>) -> Option<Arc<Source>> {
    let bytes = match document(path) {
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

/// A file that is typed may be a pipe, such as a shell makes of `<(…)`; those that a pattern finds are files.
fn document(path: &Path) -> io::Result<Vec<u8>> {
    const MAX: u64 = MAX_FILE as u64;
    match std::fs::metadata(path)?.is_file() {
        true => content(path, MAX),
        false => bounded(File::open(path)?, MAX),
    }
}

/// The text of a file that configuration names.
pub(crate) fn text(path: &Path, max_bytes: u64) -> io::Result<String> {
    String::from_utf8(content(path, max_bytes)?).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// A pipe or a device would let a daemon wait, or have no end.
fn content(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    // It may have become a pipe since it was looked at: opening that would wait.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    bounded(rustix::fs::open(path, flags, Mode::empty())?.into(), max_bytes)
}

fn bounded(file: File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("larger than {}", format::size(max_bytes))));
    }
    Ok(bytes)
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
