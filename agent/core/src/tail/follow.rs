//! Following all files of one source.
//!
//! Owns which files there are, the order in which they get their turns, and what is stored at a seal. A position moves
//! on only when the seal that covers it is durable: after a failed seal or a crash the same lines are read again
//! and counted for the first time. Bounded: so many files, so many files per seal, so many bytes per turn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use watchkeeper_model::{FileRef, Frontier, Timestamp};

use super::disk::Disk;
use super::file::File;
use super::join::Joining;
use super::position::{Corrupt, Position};
use super::record::Record;
use super::settings::TailSettings;
use super::turn::Looked;

/// The most bytes one file gets per turn.
pub(super) const TURN_BYTES: usize = 256 * 1024;

/// The most bytes one poll reads, so that sealing is never kept waiting.
const POLL_BYTES: usize = 4 << 20;

/// What a look costs, in bytes read.
const LOOK_BYTES: usize = 1024;

/// The most files one seal covers: their frontiers have to leave room in a batch.
pub(super) const MAX_UNSEALED_FILES: usize = 500;

/// Takes what tailing finds.
pub trait Sink {
    /// A chunk of this file is read from this byte on: where the next records stand, for those who want to know.
    fn reading(&mut self, _file: FileRef, _path: &Path, _from: u64) {}
    /// The records that follow are of this file, said before the first one of a turn: one of the paths configured, whatever
    /// rotation calls the file by now.
    fn file(&mut self, path: &Path);
    /// A record; those of one stream of one file in its order.
    fn record(&mut self, record: Record<'_>);
    /// Something that happened to a file.
    fn report(&mut self, report: Report);
}

/// What happens to files, in numbers that add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// So many bytes were made into records.
    Read {
        /// Line ends included.
        bytes: u64,
    },
    /// A file was cut in place.
    Truncated {
        /// Bytes seen but not counted before, and found in no copy.
        bytes_unknown: u64,
    },
    /// Bytes that neither we nor the collector know anything about.
    Unknown {
        /// How many.
        bytes: u64,
    },
    /// Bytes given up: gone while nobody could read, or held too long.
    Abandoned {
        /// How many.
        bytes: u64,
    },
    /// A file was rotated away in a compressed form that is not read.
    Compressed,
    /// A compressed file is damaged.
    Damaged {
        /// Compressed bytes behind the damage, and what was read of the line before it.
        bytes_unknown: u64,
    },
}

/// One file that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// Everything before this byte was made into records.
    pub read_bytes: u64,
    /// Bytes behind it as of the last look: of a file read to its end, a line without its end.
    pub left_bytes: u64,
}

/// What a source has stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// How far its files were read.
    pub positions: Vec<Position>,
    /// Up to when its directories were looked through, as of its last seal; `None` if it never ran before.
    pub looked_at: Option<Timestamp>,
    /// The spool is new or not the one of before: nothing is read until the collector has said what it knows.
    pub wait: bool,
    /// Why what is stored can't be used. The source then stands still.
    pub corrupt: Option<Corrupt>,
}

impl Stored {
    /// Decodes what was stored; one position that does not decode makes all of it unusable.
    pub fn read(
        looked_at: Option<Timestamp>,
        bodies: impl IntoIterator<Item = String>,
        wait: bool,
    ) -> Self {
        let decoded: Result<Vec<_>, _> =
            bodies.into_iter().map(|body| Position::decode(&body)).collect();
        match decoded {
            Ok(positions) => Self { positions, looked_at, wait, corrupt: None },
            Err(corrupt) => Self { positions: Vec::new(), looked_at, wait, corrupt: Some(corrupt) },
        }
    }
}

/// What to do after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When to poll again, unless there is a hint.
    pub next: Timestamp,
    /// There are positions worth storing even if nothing was counted.
    pub dirty: bool,
}

/// What to store with a seal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// How far files were read since the last seal: goes into the batches.
    pub frontiers: Vec<Frontier>,
    /// Positions to insert or replace.
    pub store: Vec<Position>,
    /// Positions to delete.
    pub forget: Vec<FileRef>,
    /// Up to when the directories were looked through: to be stored for the source.
    pub looked_at: Option<Timestamp>,
}

/// A stored position whose file has not been found.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub(super) position: Position,
    pub(super) since: Timestamp,
    pub(super) dirty: bool,
}

/// A life of a file that has ended by a cut or because its inode is used again.
#[derive(Clone, Debug)]
pub(super) struct Dead {
    pub(super) position: Position,
    /// The file itself is gone, and another has its inode.
    pub(super) recycled: bool,
    /// Up to where its bytes were found in a copy.
    pub(super) continued_to: u64,
    /// Bytes that are made into records with what is held, and were not reported yet.
    pub(super) held_bytes: u64,
}

/// A file as a listing knows it.
pub(super) type Inode = (u64, u64, Option<Timestamp>);

/// Follows all files of one source.
#[derive(Debug)]
pub struct Tail<D: Disk> {
    pub(super) settings: TailSettings,
    /// If lines are joined at all.
    pub(super) joining: Option<Joining>,
    pub(super) disk: D,
    pub(super) files: Vec<File<D::Handle>>,
    pub(super) missing: Vec<Missing>,
    pub(super) dead: Vec<Dead>,
    /// Siblings that are not ours to read, as long as they are listed.
    pub(super) ignored: BTreeSet<Inode>,
    /// Compressed files that are not read, as long as they are listed, and their paths if those are configured.
    pub(super) skipped: BTreeMap<Inode, Option<PathBuf>>,
    /// Siblings that may become copies, and whether they were new when first seen.
    pub(super) undecided: BTreeMap<Inode, bool>,
    /// Frontiers of lives that ended since the last seal.
    pub(super) closing: Vec<Frontier>,
    pub(super) forget: Vec<FileRef>,
    /// Unknown siblings made after this are read whole; `None` on the very first start.
    pub(super) reference: Option<Timestamp>,
    /// The same while `reference` is ahead, because the clock was set back: by the clock of now.
    pub(super) set_back: Option<Timestamp>,
    pub(super) is_first_scan: bool,
    pub(super) waiting: bool,
    pub(super) next_scan: Timestamp,
    pub(super) problems: BTreeMap<PathBuf, String>,
    pub(super) corrupt: Option<Corrupt>,
    pub(super) buffer: Vec<u8>,
    /// How much of `closing` and `forget` the last checkpoint covers.
    checkpointed: (usize, usize),
    /// The source itself has to be stored: it has never been.
    dirty: bool,
    first_turn: usize,
}

impl<D: Disk> Tail<D> {
    /// Follows the files of a source on from what was stored.
    pub fn new(settings: TailSettings, stored: Stored, disk: D) -> Self {
        let missing = |position| Missing { position, since: Timestamp::MAX, dirty: false };
        let joining = Joining::by(&settings);
        let mut tail = Self {
            settings,
            joining,
            disk,
            files: Vec::new(),
            missing: stored.positions.into_iter().map(missing).collect(),
            dead: Vec::new(),
            ignored: BTreeSet::new(),
            skipped: BTreeMap::new(),
            undecided: BTreeMap::new(),
            closing: Vec::new(),
            forget: Vec::new(),
            reference: stored.looked_at,
            set_back: None,
            is_first_scan: true,
            waiting: stored.wait,
            next_scan: Timestamp(i64::MIN),
            problems: BTreeMap::new(),
            corrupt: stored.corrupt,
            buffer: Vec::new(),
            checkpointed: (0, 0),
            dirty: stored.looked_at.is_none(),
            first_turn: 0,
        };
        tail.claim_stored();
        tail
    }

    /// Looks at what is due and reads a bounded amount of it.
    pub fn poll(&mut self, now: Timestamp, may_read: bool, sink: &mut impl Sink) -> Progress {
        if self.corrupt.is_some() {
            return Progress { next: Timestamp::MAX, dirty: false };
        }
        if now >= self.next_scan || self.next_scan > now + super::pace::IDLE * 6 {
            self.scan(now, sink);
        }
        let may_give = may_read && !self.waiting;
        if may_give {
            self.before_turns(now, sink);
        }
        self.take_turns(now, may_read, sink);
        if !self.dead.is_empty() {
            self.scan(now, sink);
        }
        if may_give {
            self.give_due(now, sink);
        }
        self.let_go(now, may_read, sink);
        self.open_compressed(now, may_read);
        self.progress(now, may_give)
    }

    fn progress(&self, now: Timestamp, may_give: bool) -> Progress {
        let looks = self.files.iter().filter(|f| f.handle.is_some()).map(|f| f.pace.next());
        let due = self.next_due(now).filter(|_| may_give);
        Progress {
            next: looks.chain(due).fold(self.next_scan, Timestamp::min),
            dirty: self.dirty
                || !self.forget.is_empty()
                || self.files.iter().any(|f| f.dirty)
                || self.missing.iter().any(|m| m.dirty),
        }
    }

    /// Rotated files first, because they may go; the others in turn, each a bounded amount at a time.
    fn take_turns(&mut self, now: Timestamp, may_read: bool, sink: &mut impl Sink) {
        let n_files = self.files.len();
        let mut due: Vec<usize> =
            (0..n_files).filter(|&i| self.files[i].pace.is_due(now)).collect();
        let first = self.first_turn;
        self.first_turn = first.wrapping_add(1);
        due.sort_by_key(|&i| {
            let rotated_since = self.files[i].sight.rotated_since().unwrap_or(Timestamp::MAX);
            (rotated_since, (i + n_files - first % n_files) % n_files)
        });
        let mut n_unsealed = self.files.iter().filter(|f| f.is_unsealed()).count();
        let mut budget = POLL_BYTES;
        while budget > 0 && !due.is_empty() {
            due.retain(|&i| {
                if budget == 0 {
                    return false;
                }
                let (was_unsealed, at) = (self.files[i].is_unsealed(), self.files[i].next_read().0);
                let has_room = was_unsealed || n_unsealed < MAX_UNSEALED_FILES;
                let looked = self.look_into(i, now, may_read && has_room, sink);
                n_unsealed += usize::from(!was_unsealed && self.files[i].is_unsealed());
                let n_read = self.files[i].next_read().0.saturating_sub(at);
                budget = budget.saturating_sub(LOOK_BYTES + n_read as usize);
                looked == Looked::More
            });
        }
    }

    /// Something happened to this path, or, without one, somewhere.
    pub fn hint(&mut self, path: Option<&Path>) {
        let mut known = false;
        for file in &mut self.files {
            if path.is_none_or(|p| p == file.path || p == file.place()) {
                file.pace.more();
                known |= path.is_some();
            }
        }
        if !known {
            self.next_scan = Timestamp(i64::MIN);
        }
    }

    /// Something was made, renamed or removed: what is known under a name may be another file by now.
    pub fn names_changed(&mut self) {
        self.next_scan = Timestamp(i64::MIN);
    }

    /// What to store with the seal that is made now. Nothing may be polled until it is known whether it was stored.
    pub fn checkpoint(&mut self) -> Checkpoint {
        let source = &self.settings.source;
        let mut checkpoint = Checkpoint {
            frontiers: self.closing.clone(),
            store: Vec::new(),
            forget: self.forget.clone(),
            looked_at: self.reference,
        };
        for file in &mut self.files {
            file.checkpointed = file.offset;
            if file.is_unsealed() {
                checkpoint.frontiers.push(file.frontier(source));
            }
            if file.is_unsealed() || file.dirty {
                checkpoint.store.push(file.position(&self.settings));
            }
        }
        let missing = self.missing.iter().filter(|m| m.dirty);
        checkpoint.store.extend(missing.map(|m| m.position.clone()));
        self.checkpointed = (self.closing.len(), self.forget.len());
        checkpoint
    }

    /// The last checkpoint is durable.
    pub fn committed(&mut self) {
        for file in &mut self.files {
            file.sealed = file.checkpointed;
            file.dirty = false;
        }
        self.missing.iter_mut().for_each(|m| m.dirty = false);
        self.closing.drain(..self.checkpointed.0);
        self.forget.drain(..self.checkpointed.1);
        self.checkpointed = (0, 0);
        self.dirty = false;
    }

    /// What is read from now on is sealed under another epoch.
    pub fn epoch_changed(&mut self) {
        for file in &mut self.files {
            file.begin = file.sealed;
            file.dirty = true;
        }
        for missing in &mut self.missing {
            missing.position.begin = missing.position.offset;
            missing.dirty = true;
        }
    }

    /// Bytes written and not yet counted.
    pub fn lag_bytes(&self) -> u64 {
        self.files.iter().map(File::unread_bytes).sum()
    }

    /// Whether there are bytes that it could read and has not looked at.
    pub fn is_behind(&self) -> bool {
        let readable = |f: &&File<_>| f.handle.is_some() && !self.problems.contains_key(&f.path);
        self.files.iter().filter(readable).any(File::has_unread)
    }

    /// The files that are followed.
    pub fn files(&self) -> impl Iterator<Item = Followed<'_>> {
        self.files.iter().filter(|f| f.copy_of.is_none()).map(|f| Followed {
            path: &f.path,
            read_bytes: f.offset,
            left_bytes: f.unread_bytes(),
        })
    }

    /// How many files are followed.
    pub fn n_files(&self) -> usize {
        self.files.iter().filter(|f| f.copy_of.is_none()).count()
    }

    /// Files that are compressed and not read, though their own paths are configured.
    pub fn skipped(&self) -> impl Iterator<Item = &Path> {
        self.skipped.values().flatten().map(PathBuf::as_path)
    }

    /// Whether nothing is read until the collector has said what it knows.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Why the source stands still for good, if it does.
    pub fn corrupt(&self) -> Option<&Corrupt> {
        self.corrupt.as_ref()
    }

    /// What can't be read at present, by path, and why.
    pub fn problems(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.problems.iter().map(|(path, why)| (path.as_path(), why.as_str()))
    }

    /// The disk, for the driver's own needs.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The disk, to be asked anew.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }
}
