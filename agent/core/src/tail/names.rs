//! How rotation names files.
//!
//! Owns what a rotated sibling looks like: `<match>.N`, `<match>-DATE` and the like, perhaps compressed. Never looks at
//! a file: a name is only a reason to look.

use std::path::{Path, PathBuf};

/// Endings of compressed files.
const COMPRESSED: [&str; 8] = [GZIP, "bz2", "xz", "zst", "lz4", "Z", "zip", "br"];

/// The one that can be read.
const GZIP: &str = "gz";

/// What a file is compressed with, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip.
    Gzip,
    /// Anything else, which is never read.
    Other,
}

/// What a path is to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// It is one of the paths configured.
    pub matched: bool,
    /// The configured path whose rotated sibling it is by its name.
    pub base: Option<PathBuf>,
    /// How it is compressed, by its name.
    pub compressed: Option<Compression>,
}

/// What a path is to a source that has the paths for which `matches` holds; `None` if nothing.
pub fn classify(path: &Path, matches: impl Fn(&Path) -> bool) -> Option<Named> {
    let name = path.file_name()?.to_str();
    let (plain, compressed) = name.map_or((None, None), |name| {
        let (plain, compressed) = uncompressed(name);
        (Some(plain), compressed)
    });
    let sibling = |base: &str| {
        let base = path.with_file_name(base);
        matches(&base).then_some(base)
    };
    let whole = plain.filter(|_| compressed.is_some());
    let base = plain.and_then(|plain| whole.into_iter().chain(bases_of(plain)).find_map(sibling));
    let matched = matches(path);
    (matched || base.is_some()).then_some(Named { matched, base, compressed })
}

/// A name without the ending that says how it is compressed.
fn uncompressed(name: &str) -> (&str, Option<Compression>) {
    match name.rsplit_once('.') {
        Some((plain, GZIP)) => (plain, Some(Compression::Gzip)),
        Some((plain, ending)) if COMPRESSED.contains(&ending) => (plain, Some(Compression::Other)),
        _ => (name, None),
    }
}

/// Whether a file is a gzip file by its name.
pub(super) fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == GZIP)
}

/// Whether two paths may be one life before and after rotations and compression.
pub(super) fn is_one_log(a: &Path, b: &Path) -> bool {
    a.parent() == b.parent() && stem(a).is_some_and(|stem_of_a| Some(stem_of_a) == stem(b))
}

/// A file's name without anything that rotation and compression put behind it.
fn stem(path: &Path) -> Option<&str> {
    let (mut name, _) = uncompressed(path.file_name()?.to_str()?);
    while let Some(base) = bases_of(name).last() {
        name = base;
    }
    Some(name)
}

/// The names that this one may be a rotated sibling of, longest first.
fn bases_of(name: &str) -> impl Iterator<Item = &str> {
    let cuts = name.char_indices().rev().filter(|(at, c)| *at > 0 && ".-_".contains(*c));
    cuts.filter_map(move |(at, separator)| {
        let rest = &name[at + 1..];
        let n_digits = rest.bytes().filter(u8::is_ascii_digit).count();
        let only = |also: &str| rest.chars().all(|c| c.is_ascii_digit() || also.contains(c));
        let number = separator == '.' && n_digits > 0 && only("");
        let date =
            n_digits >= 6 && rest.starts_with(|c: char| c.is_ascii_digit()) && only("-_.T:Z");
        (number || date).then(|| &name[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_file_may_be() {
        const GZ: Option<Compression> = Some(Compression::Gzip);
        const OTHER: Option<Compression> = Some(Compression::Other);
        for (path, named) in [
            ("/l/app.log", Some((true, None, None))),
            ("/l/app.log.1", Some((false, Some("/l/app.log"), None))),
            ("/l/app.log.10.gz", Some((false, Some("/l/app.log"), GZ))),
            ("/l/app.log-20261122", Some((false, Some("/l/app.log"), None))),
            ("/l/app.log-2026-11-22T03:04", Some((false, Some("/l/app.log"), None))),
            ("/l/app.log.2026-11-22.1", Some((false, Some("/l/app.log"), None))),
            ("/l/app.log-1793491200.zst", Some((false, Some("/l/app.log"), OTHER))),
            ("/l/app.log.gz", Some((false, Some("/l/app.log"), GZ))),
            ("/l/app.log-old", None),
            ("/l/app.log-1", None),
            ("/l/app.log~", None),
            ("/l/other", None),
            ("/l/web.txt", Some((true, None, None))),
            ("/l/web.1.txt", Some((true, None, None))),
            ("/l/any/x.1", Some((true, Some("/l/any/x"), None))),
            ("/l/any/x.gz", Some((true, Some("/l/any/x"), GZ))),
            ("/l/any/x.xz", Some((true, Some("/l/any/x"), OTHER))),
        ] {
            let matches = |p: &Path| {
                p == Path::new("/l/app.log")
                    || p.extension().is_some_and(|e| e == "txt")
                    || p.starts_with("/l/any/")
            };
            let wanted = named.map(|(matched, base, compressed): (_, Option<&str>, _)| Named {
                matched,
                base: base.map(PathBuf::from),
                compressed,
            });
            assert_eq!(classify(Path::new(path), matches), wanted, "{path}");
        }
    }

    #[test]
    fn names_of_one_log_differ_only_by_what_rotation_puts_behind_them() {
        let is_one = |a: &str, b: &str| is_one_log(Path::new(a), Path::new(b));
        for same in [
            "/l/app.log",
            "/l/app.log.1",
            "/l/app.log.1.gz",
            "/l/app.log-20261122.gz",
            "/l/app.log.2026-11-22.1.gz",
            "/l/app.log.gz",
        ] {
            assert!(is_one(same, "/l/app.log.7.gz") && is_one("/l/app.log", same), "{same}");
        }
        for other in ["/m/app.log.1", "/l/app.log-old", "/l/app.logger", "/l/other.log.1.gz", "/"] {
            assert!(!is_one(other, "/l/app.log.1.gz"), "{other}");
        }
    }
}
