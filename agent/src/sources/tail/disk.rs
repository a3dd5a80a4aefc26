//! The real file system, as tailing asks about it.
//!
//! Owns which directories belong to a set of patterns. Never blocks on a pipe and never opens anything but regular
//! files; never decides what an answer means.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use glob::{MatchOptions, Pattern};
use rustix::fs::{Mode, OFlags};
use watchkeeper_agent_core::tail::{Disk, Entry, Kind, Listing, Named, Stat, classify};
use watchkeeper_model::Timestamp;

/// `*` stays within a directory; `**` does not.
const MATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What the driver of a tail asks its disk besides.
pub(crate) trait Places: Disk<Handle: Send> + Send {
    /// Directories in which changes are worth hearing of.
    fn directories(&self) -> &BTreeSet<PathBuf>;

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
    directories: BTreeSet<PathBuf>,
}

impl RealDisk {
    pub(super) fn new(paths: Vec<Pattern>, exclude: Vec<Pattern>) -> Self {
        Self { paths, exclude, directories: BTreeSet::new() }
    }

    fn matches(&self, path: &Path) -> bool {
        let any = |all: &[Pattern]| all.iter().any(|p| p.matches_path_with(path, MATCH));
        any(&self.paths) && !any(&self.exclude)
    }

    fn name(&self, path: &Path) -> Option<Named> {
        let is_excluded = self.exclude.iter().any(|p| p.matches_path_with(path, MATCH));
        if is_excluded { None } else { classify(path, |p| self.matches(p)) }
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
                    Err(error) => {
                        problems.push((error.path().to_owned(), error.error().to_string()))
                    }
                }
            }
        }
        found
    }

    fn list_directory(&self, directory: &Path, listing: &mut Listing) -> io::Result<()> {
        for name in std::fs::read_dir(directory)? {
            let path = directory.join(name?.file_name());
            let Some(named) = self.name(&path) else { continue };
            match std::fs::metadata(&path) {
                Ok(found) => listing.entries.push(Entry { path, named, stat: stat_of(&found) }),
                // Gone since, or a link to nothing.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => listing.problems.push((path, error.to_string())),
            }
        }
        Ok(())
    }
}

fn stat_of(found: &Metadata) -> Stat {
    let nanos = |t: std::time::SystemTime| {
        let after = t.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX))
    };
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
    fn directories(&self) -> &BTreeSet<PathBuf> {
        &self.directories
    }

    fn look_for(&mut self, paths: &[Pattern], exclude: &[Pattern]) -> bool {
        let changes = self.paths != paths || self.exclude != exclude;
        if changes {
            *self = Self::new(paths.to_vec(), exclude.to_vec());
        }
        changes
    }

    fn is_ours(&self, path: &Path) -> bool {
        self.name(path).is_some()
    }
}

impl Disk for RealDisk {
    type Handle = File;

    fn list(&mut self) -> Listing {
        let mut listing = Listing::default();
        self.directories = self.find_directories(&mut listing.problems);
        for directory in &self.directories {
            match self.list_directory(directory, &mut listing) {
                Ok(()) => {}
                // Not made yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => listing.problems.push((directory.clone(), error.to_string())),
            }
        }
        listing
    }

    fn open(&mut self, path: &Path) -> Result<(File, Stat), String> {
        open(path).map_err(|error| error.to_string())
    }

    fn stat(&mut self, handle: &File) -> Result<Stat, String> {
        handle.metadata().map(|found| stat_of(&found)).map_err(|error| error.to_string())
    }

    fn read_at(&mut self, handle: &File, offset: u64, into: &mut [u8]) -> Result<usize, String> {
        let mut n = 0;
        while n < into.len() {
            match handle.read_at(&mut into[n..], offset + n as u64) {
                Ok(0) => break,
                Ok(more) => n += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(n)
    }
}
