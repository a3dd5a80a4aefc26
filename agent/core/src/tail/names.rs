//! How rotation names files.
//!
//! Owns what a rotated sibling looks like: `<match>.N`, `<match>-DATE` and the like, perhaps compressed. Never looks at
//! a file: a name is only a reason to look.

use std::path::{Path, PathBuf};

/// Forms that are not read.
const COMPRESSED: [&str; 8] = ["gz", "bz2", "xz", "zst", "lz4", "Z", "zip", "br"];

/// What a path is to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// It is one of the paths configured.
    pub matched: bool,
    /// The configured path whose rotated sibling it is by its name.
    pub base: Option<PathBuf>,
    /// By its name it is compressed.
    pub compressed: bool,
}

/// What a path is to a source that has the paths for which `matches` holds; `None` if nothing.
pub fn classify(path: &Path, matches: impl Fn(&Path) -> bool) -> Option<Named> {
    let name = path.file_name()?.to_str();
    let (plain, compressed) = match name.and_then(|n| n.rsplit_once('.')) {
        Some((plain, ending)) if COMPRESSED.contains(&ending) => (Some(plain), true),
        _ => (name, false),
    };
    let sibling = |base: &str| {
        let base = path.with_file_name(base);
        matches(&base).then_some(base)
    };
    let whole = plain.filter(|_| compressed);
    let base = plain.and_then(|plain| whole.into_iter().chain(bases_of(plain)).find_map(sibling));
    let matched = matches(path);
    (matched || base.is_some()).then_some(Named { matched, base, compressed })
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
        for (path, named) in [
            ("/l/app.log", Some((true, None, false))),
            ("/l/app.log.1", Some((false, Some("/l/app.log"), false))),
            ("/l/app.log.10.gz", Some((false, Some("/l/app.log"), true))),
            ("/l/app.log-20261122", Some((false, Some("/l/app.log"), false))),
            ("/l/app.log-2026-11-22T03:04", Some((false, Some("/l/app.log"), false))),
            ("/l/app.log.2026-11-22.1", Some((false, Some("/l/app.log"), false))),
            ("/l/app.log-1793491200.zst", Some((false, Some("/l/app.log"), true))),
            ("/l/app.log.gz", Some((false, Some("/l/app.log"), true))),
            ("/l/app.log-old", None),
            ("/l/app.log-1", None),
            ("/l/app.log~", None),
            ("/l/other", None),
            ("/l/web.txt", Some((true, None, false))),
            ("/l/web.1.txt", Some((true, None, false))),
            ("/l/any/x.1", Some((true, Some("/l/any/x"), false))),
            ("/l/any/x.gz", Some((true, Some("/l/any/x"), true))),
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
}
