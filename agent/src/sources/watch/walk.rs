//! Looking at the files of one source, beside the worker.
//!
//! Owns how a look goes from folder to folder, and its bounds: entries and folders that are looked at, files that are known
//! one by one, problems that are told. A file is a regular one, or a link to one; what else is there is not counted. What
//! goes away while it is looked at was not there. Never decides what a look means.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use watchkeeper_agent_core::watch::{
    Blindness, FileName, Hash, Listing, MAX_FILES, Space, Stat, Sums, Unseen,
};
use watchkeeper_daemon::clock;
use watchkeeper_model::{Timestamp, readable};

use super::ear::{FolderId, Watches};
use super::hash::Hashes;
use super::patterns::{Patterns, Way};

/// How much one look may look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Names in all folders together.
    pub(super) entries: u64,
    /// Folders.
    pub(super) folders: usize,
    /// Places that can't be looked at and are told one by one.
    pub(super) unseen: usize,
}

/// What a source is bounded by.
pub(super) const BOUNDS: Bounds = Bounds { entries: 1_000_000, folders: 20_000, unseen: 100 };

/// Who looks.
pub(super) trait Sight: Send {
    /// Looks; may take for ever.
    fn look(&mut self) -> Listing;
}

/// Looks at the real files.
#[derive(Debug)]
pub(super) struct Walker {
    patterns: Arc<Patterns>,
    hashes: Option<Hashes>,
    watches: Watches,
    bounds: Bounds,
}

impl Walker {
    pub(super) fn new(
        patterns: Arc<Patterns>,
        hash: bool,
        watches: Watches,
        bounds: Bounds,
    ) -> Self {
        Self { patterns, hashes: hash.then(Hashes::default), watches, bounds }
    }
}

impl Sight for Walker {
    fn look(&mut self) -> Listing {
        let since = clock::running();
        self.hashes.iter_mut().for_each(Hashes::begin);
        let mut walk = Walk::new(&self.patterns, self.hashes.as_mut(), self.bounds);
        walk.run();
        let Walk { folders, sums, mut listing, .. } = walk;
        self.hashes.iter_mut().for_each(Hashes::end);
        self.watches.watch(&folders);
        if sums.n > MAX_FILES as u64 {
            listing.too_many = Some(sums);
        }
        listing.took = clock::running().saturating_sub(since);
        listing
    }
}

/// One look under way.
struct Walk<'a> {
    patterns: &'a Patterns,
    hashes: Option<&'a mut Hashes>,
    bounds: Bounds,
    /// In the order of paths, a folder before what is in it: all ways to a folder are known when its turn comes.
    to_do: BTreeMap<PathBuf, Way>,
    /// Folders that were looked through.
    folders: BTreeMap<PathBuf, FolderId>,
    n_folders: usize,
    n_entries: u64,
    /// There is more than the bounds allow.
    is_beyond: bool,
    sums: Sums,
    listing: Listing,
}

impl<'a> Walk<'a> {
    fn new(patterns: &'a Patterns, hashes: Option<&'a mut Hashes>, bounds: Bounds) -> Self {
        Self {
            patterns,
            hashes,
            bounds,
            to_do: BTreeMap::new(),
            folders: BTreeMap::new(),
            n_folders: 0,
            n_entries: 0,
            is_beyond: false,
            sums: Sums::default(),
            listing: Listing::default(),
        }
    }

    fn run(&mut self) {
        let bases = self.patterns.bases();
        for (base, way) in &bases {
            self.go_to((*base).to_owned(), way.clone());
            self.listing.space = least(self.listing.space, space(base));
        }
        while let Some((folder, way)) = self.to_do.pop_first() {
            self.is_beyond |= self.n_folders >= self.bounds.folders;
            if self.is_beyond {
                break;
            }
            self.n_folders += 1;
            match self.folder(&folder, &way) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if bases.contains_key(&*folder) {
                        let problem = format!("{} does not exist", name(&folder));
                        self.unseen(&folder, Blindness::Missing, problem);
                    }
                }
                Err(error) => self.refused(&folder, &error),
            }
        }
        if self.is_beyond {
            self.give_up();
        }
    }

    /// Patterns may overlap: a folder is looked through once, for all of them.
    fn go_to(&mut self, folder: PathBuf, way: Way) {
        if !way.is_end() {
            self.to_do.entry(folder).or_default().join(way);
        }
    }

    fn folder(&mut self, folder: &Path, way: &Way) -> io::Result<()> {
        let found = fs::metadata(folder)?;
        self.folders.insert(folder.to_owned(), (found.dev(), found.ino()));
        if let Some(names) = self.patterns.only(way) {
            for name in names {
                let found = fs::symlink_metadata(folder.join(name));
                let found = found.map(|found| (found.file_type(), || Ok(found)));
                self.entry(folder, way, name.as_ref(), found);
            }
            return Ok(());
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if self.n_entries >= self.bounds.entries {
                self.is_beyond = true;
                return Ok(());
            }
            self.n_entries += 1;
            // Not every file system tells the kind with the name: it may be gone by now.
            let found = entry.file_type().map(|kind| (kind, || entry.metadata()));
            self.entry(folder, way, &entry.file_name(), found);
        }
        Ok(())
    }

    /// What there is under a name: its kind, and how to ask for the rest.
    fn entry<A>(&mut self, folder: &Path, way: &Way, name: &OsStr, found: io::Result<(FileType, A)>)
    where
        A: FnOnce() -> io::Result<Metadata>,
    {
        let met = self.patterns.meet(way, name);
        if !met.matches && met.way.is_end() {
            return;
        }
        let path = folder.join(name);
        if self.patterns.leaves_out(&path) {
            return;
        }
        let leads_on = !met.way_by_link.is_end();
        // What has no wildcard means one file.
        let is_meant = met.matches && self.patterns.only(way).is_some();
        let found = match found {
            Ok((kind, _)) if kind.is_dir() && is_meant => return self.no_file(&path),
            Ok((kind, _)) if kind.is_dir() => return self.go_to(path, met.way),
            Ok((kind, _)) if kind.is_symlink() && (met.matches || leads_on) => fs::metadata(&path),
            Ok(_) if !met.matches => return,
            Ok((_, ask)) => ask(),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) if found.is_dir() && is_meant => self.no_file(&path),
            Ok(found) if found.is_dir() => self.go_to(path, met.way_by_link),
            Ok(found) if found.is_file() && met.matches => self.file(&path, &found),
            Ok(_) => {}
            // Gone since, or a link to nothing.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.refused(&path, &error),
        }
    }

    fn file(&mut self, path: &Path, found: &Metadata) {
        let mut stat = stat(found);
        self.sums.add(&stat, stat.came());
        if self.sums.n > MAX_FILES as u64 {
            self.listing.files = Vec::new();
            return;
        }
        let name = name(path);
        match self.hashes.as_mut().map(|hashes| hashes.of(&name, &stat)) {
            Some(Ok(hash)) => stat.hash = hash,
            Some(Err(error)) => self.unread(&name, &error),
            None => {}
        }
        self.listing.files.push((name, stat));
    }

    fn no_file(&mut self, folder: &Path) {
        let shown = name(folder);
        let problem = format!("{shown} is a folder: name the files in it, such as {shown}/*");
        self.unseen(folder, Blindness::Unreadable, problem);
    }

    fn refused(&mut self, at: &Path, error: &io::Error) {
        self.unseen(at, blindness(error), format!("{}: {error}", name(at)));
    }

    /// A file is seen, and what is in it is not. Beyond the bound that is not told, but hides nothing else.
    fn unread(&mut self, file: &FileName, error: &io::Error) {
        if self.listing.unseen.len() < self.bounds.unseen {
            let problem = format!("the content of {file} can't be compared: {error}");
            let unseen = Unseen { at: file.clone(), why: blindness(error), problem };
            self.listing.unseen.push(unseen);
        }
    }

    fn unseen(&mut self, at: &Path, why: Blindness, problem: String) {
        // Beyond the bound nothing is known for sure.
        let n = self.listing.unseen.len();
        let at = if n < self.bounds.unseen { at } else { Path::new("/") };
        if n <= self.bounds.unseen {
            self.listing.unseen.push(Unseen { at: name(at), why, problem });
        }
    }

    fn give_up(&mut self) {
        let Bounds { entries, folders, .. } = self.bounds;
        let (entries, folders) = (readable::count(entries), readable::count(folders as u64));
        let problem = format!(
            "`paths` lead to more than {entries} entries or {folders} folders, which is all that is looked at: \
             name fewer folders, or leave some out with `exclude`"
        );
        let unseen = Unseen { at: name(Path::new("/")), why: Blindness::TooMany, problem };
        // What else could not be seen matters less.
        self.listing.unseen.insert(0, unseen);
    }
}

fn blindness(error: &io::Error) -> Blindness {
    match error.kind() {
        ErrorKind::PermissionDenied => Blindness::Denied,
        _ => Blindness::Unreadable,
    }
}

fn name(path: &Path) -> FileName {
    FileName::new(path.as_os_str().as_bytes())
}

fn stat(found: &Metadata) -> Stat {
    let at =
        |secs: i64, nanos: i64| Timestamp(secs.saturating_mul(1_000_000_000).saturating_add(nanos));
    let born = found.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Stat {
        device: found.dev(),
        inode: found.ino(),
        born: born.map(|since| Timestamp::EPOCH + since),
        mode: found.mode() & 0o7777,
        owner: found.uid(),
        group: found.gid(),
        size: found.size(),
        modified: at(found.mtime(), found.mtime_nsec()),
        touched: at(found.ctime(), found.ctime_nsec()),
        hash: Hash::None,
    }
}

/// How much room there is; `None` if the file system does not say.
fn space(folder: &Path) -> Option<Space> {
    let told = rustix::fs::statvfs(folder).ok()?;
    Some(Space {
        bytes: told.f_bavail.saturating_mul(told.f_frsize),
        inodes: (told.f_files > 0).then_some(told.f_ffree),
    })
}

fn least(a: Option<Space>, b: Option<Space>) -> Option<Space> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    let inodes = match (a.inodes, b.inodes) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Some(Space { bytes: a.bytes.min(b.bytes), inodes })
}

#[cfg(test)]
mod tests {
    use glob::Pattern;

    use super::*;

    #[test]
    fn what_is_gone_since_its_name_was_read_was_not_there() {
        let patterns = Patterns::new(&[Pattern::new("/in/**/*.vtt").unwrap()], &[]);
        let folder = Path::new("/in");
        let way = patterns.bases().remove(folder).unwrap();
        // Where folders do not tell what kind of thing a name is, asking for it fails.
        for (name, kind, unseen) in [
            ("a.vtt", ErrorKind::NotFound, None),
            ("a.vtt", ErrorKind::PermissionDenied, Some("/in/a.vtt")),
            // What may be a folder.
            ("b", ErrorKind::NotFound, None),
            ("b", ErrorKind::PermissionDenied, Some("/in/b")),
        ] {
            let mut walk = Walk::new(&patterns, None, BOUNDS);
            let found = Err(kind.into());
            walk.entry::<fn() -> io::Result<Metadata>>(folder, &way, name.as_ref(), found);
            let told = walk.listing.unseen.first().map(|unseen| unseen.at.to_string());
            assert_eq!(told.as_deref(), unseen, "{name} {kind}");
        }
    }
}
