//! Files read for what they say of the past: each by itself, from its beginning, so that they can be put in order of time.
//!
//! Owns which files there are, rotated ones among them, and a disk that holds one of them. A file is read by the very code
//! that follows files live; what can't be known here is what happens between files, and nothing does: they only lie
//! there. Never writes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::tail::{
    Behind, Compressed, Compression, Disk, Entry, Kind, Listing, Named, Reached, Stat,
};
use watchkeeper_model::{AgentId, Guard, Labels, Timestamp};

use super::config::TailSourceSettings;
use super::disk::{DirectoryId, Open, Places, RealDisk, stat_at};
use super::hints::Hints;
use super::source::TailSource;
use crate::sources::{Source, Stored, Waker};

/// How much of a file is looked at to find its first time.
const LOOK_BYTES: usize = 64 << 10;

/// What two files have in common if they hold the same lines.
const HEAD_BYTES: usize = 1024;

/// A file with lines of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PastFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The path it is configured under: its own, or that of the file whose rotated sibling it is.
    pub(crate) configured: PathBuf,
    /// Its content is decoded.
    pub(crate) is_gzip: bool,
    /// As it lies there, compressed or not.
    pub(crate) bytes: u64,
}

/// The files of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PastFiles {
    /// Those to be read, by path.
    pub(crate) files: Vec<PastFile>,
    /// Compressed ones that are not.
    pub(crate) skipped: Vec<PathBuf>,
    /// What could not be looked at, and why.
    pub(crate) problems: Vec<(PathBuf, String)>,
}

/// What the first lines of a file say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// When they were written; `None` if none of them says so.
    pub(crate) first: Option<Timestamp>,
    /// The first bytes, if there are enough of them to tell it from others.
    pub(crate) head: Option<Guard>,
}

impl PastFiles {
    /// The files of these settings, each once.
    pub(crate) fn find(settings: &TailSourceSettings) -> Self {
        let mut disk = RealDisk::new(settings.paths.clone(), settings.exclude.clone());
        let Listing { entries, problems } = disk.list(&BTreeSet::new());
        let mut found = Self { problems, ..Self::default() };
        let mut by_inode: BTreeMap<(u64, u64), Entry> = BTreeMap::new();
        let rank = |e: &Entry| (!e.named.matched, e.named.base.is_some(), e.path.clone());
        for entry in entries.into_iter().filter(|e| e.stat.kind == Kind::Regular) {
            let inode = (entry.stat.dev, entry.stat.inode);
            if by_inode.get(&inode).is_none_or(|known| rank(&entry) < rank(known)) {
                by_inode.insert(inode, entry);
            }
        }
        let reads_gzip = settings.tail.compressed == Compressed::Read;
        for entry in by_inode.into_values() {
            let is_gzip = entry.named.compressed == Some(Compression::Gzip);
            let is_left =
                entry.named.compressed.is_some() && !(is_gzip && reads_gzip && entry.named.matched);
            if is_left {
                found.skipped.push(entry.path);
                continue;
            }
            let configured = match (entry.named.base, entry.behind) {
                (Some(base), _) => base,
                (None, Some(behind)) => behind.link,
                (None, None) => entry.path.clone(),
            };
            let (path, bytes) = (entry.path, entry.stat.size);
            found.files.push(PastFile { path, configured, is_gzip, bytes });
        }
        found.files.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }
}

impl PastFile {
    /// What its first lines say.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) fn beginning(
        &self,
        settings: &TailSourceSettings,
        now: Timestamp,
        waker: Waker,
    ) -> Result<Beginning, String> {
        let mut bytes = vec![0; LOOK_BYTES];
        let n = self.read_first(&mut bytes)?;
        bytes.truncate(n);
        let head = (n >= HEAD_BYTES).then(|| Guard::of(&bytes[..HEAD_BYTES]));
        if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n').filter(|_| n == LOOK_BYTES)
        {
            bytes.truncate(end + 1);
        }
        let mut nobody = Accumulator::new(AgentId::new("nobody"), Labels::default());
        let (mut source, pipe) =
            TailSource::of_stream(settings.clone(), "a beginning", &mut nobody, waker);
        source.read_as_past(Timestamp(i64::MIN)..Timestamp::MAX);
        pipe.write(&bytes);
        drop(pipe);
        for _ in 0..3 {
            source.poll(now, true, &mut nobody);
        }
        Ok(Beginning { first: source.past_mut().and_then(|past| past.known()), head })
    }

    fn read_first(&self, into: &mut [u8]) -> Result<usize, String> {
        let mut disk = RealDisk::new(Vec::new(), Vec::new());
        if !self.is_gzip {
            let (handle, _) = disk.open(&self.path)?;
            return disk.read_at(&handle, 0, into);
        }
        let (handle, _) = disk.open_compressed(&self.path)?;
        let len = into.len() as u64;
        // Each step decodes a bounded amount, and so little is wanted that few are needed.
        let is_there = |reached| reached != Reached::NotYet;
        for _ in 0..64 {
            if is_there(disk.reach(&handle, 0..len)?) {
                break;
            }
        }
        disk.read_at(&handle, 0, into)
    }
}

/// A disk that holds one file.
#[derive(Debug)]
pub(crate) struct OneFile {
    real: RealDisk,
    path: PathBuf,
    compressed: Option<Compression>,
    directories: BTreeMap<PathBuf, DirectoryId>,
}

impl TailSource<OneFile> {
    /// A source of these settings that reads one file from its beginning.
    pub(crate) fn of_file(
        mut settings: TailSourceSettings,
        file: &PastFile,
        into: &mut Accumulator,
    ) -> Self {
        // That it was found means that it is to be read.
        settings.tail.compressed = Compressed::Read;
        let disk = OneFile {
            real: RealDisk::new(Vec::new(), Vec::new()),
            path: file.path.clone(),
            compressed: file.is_gzip.then_some(Compression::Gzip),
            directories: BTreeMap::new(),
        };
        let name = file.path.display().to_string();
        let parts = (settings.lines, settings.tail, settings.given);
        let mut source = Self::on(parts, Stored::default(), disk, name, into, Hints::none());
        source.stands_for(file.configured.clone());
        source
    }
}

impl Places for OneFile {
    fn directories(&self) -> &BTreeMap<PathBuf, DirectoryId> {
        &self.directories
    }
}

impl Disk for OneFile {
    type Handle = Open;

    fn list(&mut self, _: &BTreeSet<Behind>) -> Listing {
        let mut listing = Listing::default();
        let stat = stat_at(&self.path, &mut listing.problems);
        let named = Named { matched: true, base: None, compressed: self.compressed };
        let path = self.path.clone();
        listing.entries.extend(stat.map(|stat| Entry { path, named, behind: None, stat }));
        listing
    }

    fn open(&mut self, path: &Path) -> Result<(Open, Stat), String> {
        self.real.open(path)
    }

    fn open_compressed(&mut self, path: &Path) -> Result<(Open, Stat), String> {
        self.real.open_compressed(path)
    }

    fn reach(&mut self, handle: &Open, span: Range<u64>) -> Result<Reached, String> {
        self.real.reach(handle, span)
    }

    fn stat(&mut self, handle: &Open) -> Result<Stat, String> {
        self.real.stat(handle)
    }

    fn read_at(&mut self, handle: &Open, offset: u64, into: &mut [u8]) -> Result<usize, String> {
        self.real.read_at(handle, offset, into)
    }
}
