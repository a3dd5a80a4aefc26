//! The real file system, as tailing asks about it.
//!
//! Owns which directories belong to a set of patterns, and that some descriptors stay free for others than files. Never
//! blocks on a pipe and never opens anything but regular files; never decides what an answer means.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use glob::{MatchOptions, Pattern};
use rustix::fs::{Mode, OFlags};
use watchkeeper_agent_core::tail::{
    Behind, Disk, Entry, Kind, Listing, Named, Reached, Stat, classify,
};
use watchkeeper_model::Timestamp;

use super::gzip::{Gzip, read_full};
use super::hints::MAX_DIRECTORIES;
use super::links::{Beside, Links, Targets};
use crate::descriptors;

/// `*` stays within a directory; `**` does not.
const MATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Which directory a path led to: device, number, and when it was made. One made anew under the same path is another.
pub(crate) type DirectoryId = (u64, u64, Option<Timestamp>);

/// What the driver of a tail asks its disk besides.
pub(crate) trait Places: Disk<Handle: Send> + Send {
    /// Directories in which changes are worth hearing of.
    fn directories(&self) -> &BTreeMap<PathBuf, DirectoryId>;

    /// Whether there is something new that nobody else tells of.
    fn has_news(&mut self) -> bool {
        false
    }

    /// Looks for other paths from now on; whether that changes anything.
    fn look_for(&mut self, _paths: &[Pattern], _exclude: &[Pattern]) -> bool {
        false
    }

    /// Whether a path is one of those looked for, or a rotated sibling of one.
    fn is_ours(&self, _path: &Path) -> bool {
        true
    }

    /// Whether it matters that something was written to this path.
    fn matters(&self, _path: &Path) -> bool {
        true
    }

    /// Whether who wants to read to the end has to wait: there is more, or there may be.
    fn is_open(&self) -> bool {
        false
    }
}

/// The files of some patterns.
#[derive(Debug)]
pub(crate) struct RealDisk {
    paths: Vec<Pattern>,
    exclude: Vec<Pattern>,
    /// Directories that the last listing looked through.
    directories: BTreeMap<PathBuf, DirectoryId>,
    /// Where links led then, and what lies beside that.
    links: Links,
    beside: BTreeMap<PathBuf, Beside>,
    /// How many descriptors this process may have.
    pub(super) limit: fn() -> u64,
}

/// An open file.
#[derive(Debug)]
pub(crate) enum Open {
    /// Its bytes are its content.
    Plain(File),
    /// Its content is decoded.
    Gzip(RefCell<Box<Gzip>>),
}

impl Open {
    fn file<T>(&self, ask: impl FnOnce(&File) -> T) -> T {
        match self {
            Self::Plain(file) => ask(file),
            Self::Gzip(gzip) => ask(gzip.borrow().file()),
        }
    }
}

impl RealDisk {
    pub(super) fn new(paths: Vec<Pattern>, exclude: Vec<Pattern>) -> Self {
        Self {
            paths,
            exclude,
            directories: BTreeMap::new(),
            links: Links::default(),
            beside: BTreeMap::new(),
            limit: descriptors::limit,
        }
    }

    /// Opens a regular file, unless it would take one of the descriptors that are kept free.
    fn open_file(&self, path: &Path) -> io::Result<(File, Stat)> {
        let (file, stat) = open(path)?;
        // The system gives out the lowest number that is free.
        let number = u64::try_from(file.as_raw_fd()).unwrap_or(0);
        if number >= descriptors::for_files((self.limit)()) {
            return Err(descriptors::too_many());
        }
        Ok((file, stat))
    }

    fn matches(&self, path: &Path) -> bool {
        let any = |all: &[Pattern]| all.iter().any(|p| p.matches_path_with(path, MATCH));
        any(&self.paths) && !any(&self.exclude)
    }

    fn name(&self, path: &Path) -> Option<Named> {
        if self.excludes(path) { None } else { classify(path, |p| self.matches(p)) }
    }

    fn excludes(&self, path: &Path) -> bool {
        self.exclude.iter().any(|p| p.matches_path_with(path, MATCH))
    }

    fn find_directories(&self, problems: &mut Vec<(PathBuf, String)>) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for pattern in &self.paths {
            let parent = Path::new(pattern.as_str()).parent().unwrap_or(Path::new("/"));
            let text = parent.to_string_lossy();
            if !text.contains(['*', '?', '[']) {
                found.insert(parent.to_owned());
                continue;
            }
            // `a/**` also means `a` itself.
            let above = text.split("/**").next().filter(|_| text.ends_with("/**"));
            let patterns = above.into_iter().chain([&*text]);
            for each in patterns.filter_map(|p| glob::glob_with(p, MATCH).ok()).flatten() {
                match each {
                    Ok(path) if path.is_dir() => drop(found.insert(path)),
                    Ok(_) => {}
                    Err(error) => problems.push((error.path().to_owned(), told(error.error()))),
                }
            }
        }
        found
    }

    fn list_directory(
        &self,
        directory: &Path,
        listing: &mut Listing,
        targets: &mut Targets,
    ) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            let Some(named) = self.name(&path) else { continue };
            let is_link = named.matched && entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let stat = stat_at(&path, &mut listing.problems);
            let is_file = stat.as_ref().is_none_or(|stat| stat.kind == Kind::Regular);
            // Where a link to nothing leads, there may be what was rotated just now.
            let target =
                if is_link && is_file { self.links.target_of(&path, stat.as_ref()) } else { None };
            if let Some(target) = &target {
                targets.leads(&path, target);
            }
            let behind = target.map(|target| Behind { link: path.clone(), target });
            listing.entries.extend(stat.map(|stat| Entry { path, named, behind, stat }));
        }
        Ok(())
    }

    /// Looks beside what links lead to, in directories that are watched too as long as there are not too many.
    fn list_behind(&mut self, listing: &mut Listing) {
        let mut watched: BTreeSet<DirectoryId> = self.directories.values().copied().collect();
        let beside = std::mem::take(&mut self.beside);
        for (directory, there) in &beside {
            let listed = id_of(directory).and_then(|id| {
                if self.directories.len() < MAX_DIRECTORIES && watched.insert(id) {
                    self.directories.insert(directory.clone(), id);
                }
                self.list_beside(directory, there, listing)
            });
            note(directory.clone(), listed, listing);
        }
        self.beside = beside;
    }

    fn list_beside(
        &self,
        directory: &Path,
        there: &Beside,
        listing: &mut Listing,
    ) -> io::Result<()> {
        for name in std::fs::read_dir(directory)? {
            let path = directory.join(name?.file_name());
            let Some((named, behind)) = there.name(&path) else { continue };
            if !self.excludes(&path)
                && let Some(stat) = stat_at(&path, &mut listing.problems)
            {
                listing.entries.push(Entry { path, named, behind: Some(behind), stat });
            }
        }
        Ok(())
    }
}

/// What is at a path; `None` if it is gone since, or a link to nothing.
pub(super) fn stat_at(path: &Path, problems: &mut Vec<(PathBuf, String)>) -> Option<Stat> {
    match std::fs::metadata(path) {
        Ok(found) => Some(stat_of(&found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            problems.push((path.to_owned(), told(&error)));
            None
        }
    }
}

/// What came of looking through a directory.
fn note(directory: PathBuf, listed: io::Result<()>, listing: &mut Listing) {
    match listed {
        Ok(()) => {}
        // Not made yet, or gone.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => listing.problems.push((directory, told(&error))),
    }
}

pub(super) fn nanos(at: SystemTime) -> Timestamp {
    let after = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX))
}

fn stat_of(found: &Metadata) -> Stat {
    let kind = found.file_type();
    let is_special =
        kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device();
    Stat {
        dev: found.dev(),
        inode: found.ino(),
        size: found.size(),
        created: found.created().ok().map(nanos),
        modified: found.modified().map_or(Timestamp::EPOCH, nanos),
        n_links: found.nlink(),
        kind: match () {
            () if kind.is_dir() => Kind::Directory,
            () if is_special => Kind::Other,
            () => Kind::Regular,
        },
    }
}

fn open(path: &Path) -> io::Result<(File, Stat)> {
    let regular = |stat: &Stat| {
        let refused = || io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file");
        if stat.kind == Kind::Regular { Ok(()) } else { Err(refused()) }
    };
    regular(&stat_of(&std::fs::metadata(path)?))?;
    // It may be a pipe by now: never wait for its writer, and never become its terminal's owner.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let stat = stat_of(&file.metadata()?);
    regular(&stat)?;
    Ok((file, stat))
}

impl Places for RealDisk {
    fn directories(&self) -> &BTreeMap<PathBuf, DirectoryId> {
        &self.directories
    }

    fn look_for(&mut self, paths: &[Pattern], exclude: &[Pattern]) -> bool {
        let changes = self.paths != paths || self.exclude != exclude;
        if changes {
            (self.paths, self.exclude) = (paths.to_vec(), exclude.to_vec());
        }
        changes
    }

    fn is_ours(&self, path: &Path) -> bool {
        self.name(path).is_some()
    }

    fn matters(&self, path: &Path) -> bool {
        let beside = path.parent().and_then(|directory| self.beside.get(directory));
        self.is_ours(path)
            || self.directories.contains_key(path)
            || beside.is_some_and(|there| there.knows(path))
    }
}

impl Disk for RealDisk {
    type Handle = Open;

    fn list(&mut self, known: &BTreeSet<Behind>) -> Listing {
        let mut listing = Listing::default();
        let directories = self.find_directories(&mut listing.problems);
        self.directories.clear();
        let mut targets = Targets::default();
        for directory in directories {
            let listed = id_of(&directory).and_then(|id| {
                self.directories.insert(directory.clone(), id);
                self.list_directory(&directory, &mut listing, &mut targets)
            });
            note(directory, listed, &mut listing);
        }
        known.iter().filter(|b| self.matches(&b.link)).for_each(|b| targets.led(b));
        (self.links, self.beside) = targets.take();
        self.list_behind(&mut listing);
        listing
    }

    fn open(&mut self, path: &Path) -> Result<(Open, Stat), String> {
        let opened = self.open_file(path);
        opened.map(|(file, stat)| (Open::Plain(file), stat)).map_err(|error| told(&error))
    }

    fn open_compressed(&mut self, path: &Path) -> Result<(Open, Stat), String> {
        let opened = self.open_file(path).and_then(|(file, stat)| {
            let gzip = Gzip::new(file)?;
            let stat = Stat { size: gzip.known(), ..stat };
            Ok((Open::Gzip(RefCell::new(Box::new(gzip))), stat))
        });
        opened.map_err(|error| told(&error))
    }

    fn reach(&mut self, handle: &Open, span: Range<u64>) -> Result<Reached, String> {
        match handle {
            Open::Plain(_) => Ok(Reached::There),
            Open::Gzip(gzip) => gzip.borrow_mut().reach(span).map_err(|error| told(&error)),
        }
    }

    fn stat(&mut self, handle: &Open) -> Result<Stat, String> {
        let found = handle.file(File::metadata).map_err(|error| told(&error))?;
        let stat = stat_of(&found);
        Ok(match handle {
            Open::Plain(_) => stat,
            Open::Gzip(gzip) => Stat { size: gzip.borrow().known(), ..stat },
        })
    }

    fn read_at(&mut self, handle: &Open, offset: u64, into: &mut [u8]) -> Result<usize, String> {
        let read = match handle {
            Open::Plain(file) => read_full(file, offset, into),
            Open::Gzip(gzip) => gzip.borrow_mut().read_at(offset, into),
        };
        read.map_err(|error| told(&error))
    }
}

fn id_of(directory: &Path) -> io::Result<DirectoryId> {
    let found = std::fs::metadata(directory)?;
    Ok((found.dev(), found.ino(), found.created().ok().map(nanos)))
}

/// What an error means for a person.
fn told(error: &io::Error) -> String {
    descriptors::explain(error).unwrap_or_else(|| error.to_string())
}
