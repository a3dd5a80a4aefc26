//! One life of one file while it is followed.
//!
//! Owns what is known of it between two looks: how far it was read, what stands just before, what is held of it, whether
//! it was rotated. Never looks itself.

use std::path::{Path, PathBuf};

use watchkeeper_model::{FileRef, Frontier, Guard, Timestamp};

use super::compressed::Decoding;
use super::disk::{Behind, Entry, Stat};
use super::framer::{Framed, Framer};
use super::join::{Held, Joiner, Keep};
use super::pace::Pace;
use super::position::{MAX_GUARD_BYTES, Position};
use super::settings::TailSettings;

/// Paths in frontiers are for people; a longer one keeps its end.
const MAX_PATH_BYTES: usize = 200;

/// The bytes just before a place in a file, or their guard if they were not read by this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Bytes(Vec<u8>),
    Guard(Guard),
}

impl Before {
    pub(super) fn nothing() -> Self {
        Self::Bytes(Vec::new())
    }

    /// The last bytes of what was read up to a place.
    pub(super) fn of(read: &[u8]) -> Self {
        Self::Bytes(read[read.len().saturating_sub(MAX_GUARD_BYTES)..].to_vec())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Guard(guard) => guard.len as usize,
        }
    }

    pub(super) fn guard(&self) -> Guard {
        match self {
            Self::Bytes(bytes) => Guard::of(bytes),
            Self::Guard(guard) => *guard,
        }
    }

    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Bytes(known) => known == bytes,
            Self::Guard(guard) => is_guarded_by(bytes, *guard),
        }
    }
}

/// A path as it stands in a frontier.
pub(super) fn shown(path: &str) -> String {
    path[path.ceil_char_boundary(path.len().saturating_sub(MAX_PATH_BYTES))..].to_owned()
}

/// Whether these are the bytes that a guard was made of. No bytes guard nothing, whatever the hash says.
pub(super) fn is_guarded_by(bytes: &[u8], guard: Guard) -> bool {
    bytes.len() == guard.len as usize && (bytes.is_empty() || Guard::of(bytes) == guard)
}

/// Where a file stands with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Under one of the source's paths.
    Present,
    /// Renamed, to a name of a rotated sibling (`listed`) or out of sight.
    Rotated { since: Timestamp, listed: bool },
    /// Without a name; only our handle keeps it.
    Deleted { since: Timestamp },
}

impl Sight {
    pub(super) fn rotated_since(self) -> Option<Timestamp> {
        match self {
            Self::Present => None,
            Self::Rotated { since, .. } | Self::Deleted { since } => Some(since),
        }
    }
}

/// One life of one file.
#[derive(Debug)]
pub(super) struct File<H> {
    pub(super) id: FileRef,
    pub(super) dev: u64,
    pub(super) path: PathBuf,
    /// The configured path whose rotated sibling it is by its name.
    pub(super) base: Option<PathBuf>,
    /// The link that led to it.
    pub(super) behind: Option<Behind>,
    pub(super) created: Option<Timestamp>,
    pub(super) modified: Timestamp,
    pub(super) handle: Option<H>,
    /// As last seen.
    pub(super) size: u64,
    /// Where reading began under this epoch.
    pub(super) begin: u64,
    /// Everything before is counted, or held and stored with the position.
    pub(super) offset: u64,
    /// Everything before is sealed.
    pub(super) sealed: u64,
    /// The offset that the last checkpoint covers.
    pub(super) checkpointed: u64,
    pub(super) before: Before,
    pub(super) framer: Framer,
    pub(super) joiner: Joiner,
    /// What is held stands behind the offset: up to this line's end it was read, and would be again.
    pub(super) ahead: Option<(u64, Before)>,
    /// Held under other settings; to be given out before anything is read.
    pub(super) stale: Option<Held>,
    /// Inside a record that is passed over: how far, and what stands before that place.
    pub(super) beyond: Option<(u64, Before)>,
    /// The size at which everything that is left was found to be a line without end.
    pub(super) held_at: Option<u64>,
    pub(super) prefix: Guard,
    pub(super) sight: Sight,
    pub(super) grown_at: Timestamp,
    pub(super) pace: Pace,
    pub(super) copy_of: Option<FileRef>,
    /// It is a gzip file, and its bytes and offsets are those of what is in it.
    pub(super) decoding: Option<Box<Decoding>>,
    /// Its offset is that of `start_at`: nothing is known of it, here at least.
    pub(super) placed_by_start: bool,
    /// Its last record without line end was taken.
    pub(super) ended: bool,
    /// Its position has to be stored though nothing was read.
    pub(super) dirty: bool,
}

impl<H> File<H> {
    /// A life that nothing is known of yet, to be read from its beginning.
    pub(super) fn new(
        id: FileRef,
        path: PathBuf,
        stat: &Stat,
        handle: Option<H>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            dev: stat.dev,
            path,
            base: None,
            behind: None,
            created: stat.created,
            modified: stat.modified,
            handle,
            size: stat.size,
            begin: 0,
            offset: 0,
            sealed: 0,
            checkpointed: 0,
            before: Before::nothing(),
            framer: Framer::default(),
            joiner: Joiner::default(),
            ahead: None,
            stale: None,
            beyond: None,
            held_at: None,
            prefix: Guard::default(),
            sight: Sight::Present,
            grown_at: now,
            pace: Pace::new(),
            copy_of: None,
            decoding: None,
            placed_by_start: false,
            ended: false,
            dirty: true,
        }
    }

    /// Goes on where a position says.
    pub(super) fn resume(&mut self, position: &Position, settings: &TailSettings, now: Timestamp) {
        self.id = position.file;
        self.begin = position.begin;
        self.prefix = position.prefix;
        self.copy_of = position.copy_of;
        self.jump(position.offset, position.guard);
        if let Some(held) = &position.held {
            self.hold(held.clone(), settings, now);
        }
    }

    /// Goes on with what was held up to the place where it is, if that still means the same.
    pub(super) fn hold(&mut self, held: Held, settings: &TailSettings, now: Timestamp) {
        if held.join == settings.join.key() {
            self.joiner = Joiner::restored(held.streams, self.offset, now);
        } else {
            self.stale = Some(held);
        }
        self.dirty = true;
    }

    /// Goes on at a record's end up to which everything is counted and sealed elsewhere.
    pub(super) fn jump(&mut self, offset: u64, guard: Guard) {
        self.offset = offset;
        self.sealed = offset;
        self.checkpointed = offset;
        self.before = Before::Guard(guard);
        self.framer = Framer::default();
        self.joiner = Joiner::default();
        self.ahead = None;
        self.stale = None;
        self.beyond = None;
        self.held_at = None;
        self.ended = false;
        self.dirty = true;
        self.pace.more();
    }

    /// What a listing says of its names.
    pub(super) fn named_by(&mut self, entry: &Entry) {
        self.path.clone_from(&entry.path);
        self.base.clone_from(&entry.named.base);
        self.behind.clone_from(&entry.behind);
    }

    /// Where it lies.
    pub(super) fn place(&self) -> &Path {
        Behind::place(self.behind.as_ref(), &self.path)
    }

    /// The path it is configured under: its own, or that of the file whose rotated sibling it is.
    pub(super) fn configured(&self) -> &Path {
        match &self.base {
            Some(base) if self.sight != Sight::Present => base,
            _ => &self.path,
        }
    }

    /// The end of the last line that was understood.
    pub(super) fn read_to(&self) -> u64 {
        self.ahead.as_ref().map_or(self.offset, |(at, _)| *at)
    }

    /// Where to read next, and what has to stand before that place.
    pub(super) fn next_read(&self) -> (u64, &Before) {
        let ahead = self.beyond.as_ref().or(self.ahead.as_ref());
        ahead.map_or((self.offset, &self.before), |(at, before)| (*at, before))
    }

    /// Whether what is held is stored with the position, and not read again.
    pub(super) fn stores_held(&self) -> bool {
        self.ahead.is_none() && !self.joiner.is_empty()
    }

    /// Whether it may hold more and was not opened yet.
    pub(super) fn is_not_decoded(&self) -> bool {
        self.decoding.as_ref().is_some_and(|d| d.is_open_question())
    }

    /// Whether something was read and not given out.
    pub(super) fn holds(&self) -> bool {
        !self.joiner.is_empty() || self.stale.is_some()
    }

    /// Whether there are bytes that were not looked at.
    pub(super) fn has_unread(&self) -> bool {
        self.copy_of.is_none() && self.size > self.next_read().0 && self.held_at != Some(self.size)
    }

    /// Bytes that are not counted yet.
    pub(super) fn unread_bytes(&self) -> u64 {
        if self.copy_of.is_some() || self.ended { 0 } else { self.size.saturating_sub(self.offset) }
    }

    pub(super) fn is_unsealed(&self) -> bool {
        self.offset != self.sealed
    }

    /// Takes note of how far `seen`, read from `n_before` bytes before `from`, was understood.
    pub(super) fn advance(
        &mut self,
        from: u64,
        seen: &[u8],
        n_before: usize,
        framed: Framed,
        max_reread_bytes: u64,
    ) {
        let before = |n: usize| Before::of(&seen[..n_before + n]);
        if let Some(boundary) = framed.boundary {
            let read_to = from + boundary as u64;
            self.ahead = Some((read_to, before(boundary)));
            match self.joiner.keep() {
                Keep::From(start) if read_to - start > max_reread_bytes => drop(self.catch_up()),
                Keep::From(start) if start == self.offset => {}
                // What stands before any other place is not known any more.
                Keep::From(start) if start >= from => {
                    self.offset = start;
                    self.before = before((start - from) as usize);
                }
                Keep::Nothing | Keep::From(_) | Keep::Itself => drop(self.catch_up()),
            }
        }
        self.beyond =
            (!self.framer.at_boundary()).then(|| (from + framed.used as u64, before(framed.used)));
    }

    /// Lets the offset follow how far was read: what is held from now on is kept by itself. Says how many bytes that is.
    pub(super) fn catch_up(&mut self) -> u64 {
        let Some((read_to, before)) = self.ahead.take() else { return 0 };
        let n_bytes = read_to - self.offset;
        self.offset = read_to;
        self.before = before;
        n_bytes
    }

    /// What is held and would not be read again from the offset on.
    pub(super) fn held(&self, settings: &TailSettings) -> Option<Held> {
        if self.stale.is_some() || self.joiner.is_empty() || self.ahead.is_some() {
            return self.stale.clone();
        }
        Some(Held {
            join: settings.join.key(),
            path: self.configured().to_string_lossy().into_owned(),
            streams: self.joiner.held().to_vec(),
        })
    }

    /// Its lines are joined otherwise from now on: what is held and stands behind the offset is read again, the rest is
    /// given out as it is.
    pub(super) fn join_anew(&mut self, before: &TailSettings) {
        self.stale = self.held(before);
        self.joiner = Joiner::default();
        self.framer = Framer::default();
        (self.ahead, self.beyond, self.held_at) = (None, None, None);
        self.pace.more();
    }

    /// Its position, everything counted so far being sealed with it.
    pub(super) fn position(&self, settings: &TailSettings) -> Position {
        Position {
            source: settings.source.clone(),
            file: self.id,
            dev: self.dev,
            path: self.path.to_string_lossy().into_owned(),
            behind: self.behind.clone(),
            created: self.created,
            size: self.size,
            begin: self.begin,
            offset: self.offset,
            prefix: self.prefix,
            guard: self.before.guard(),
            rotated: self.sight.rotated_since(),
            copy_of: self.copy_of,
            held: self.held(settings),
            compressed: self.decoding.is_some(),
            exhausted: self.decoding.as_ref().and_then(|d| d.exhausted),
        }
    }

    /// How far it was read since the last seal.
    pub(super) fn frontier(&self, source: &str) -> Frontier {
        Frontier {
            source: source.to_owned(),
            path: shown(&self.path.to_string_lossy()),
            file: self.id,
            prefix: self.prefix,
            begin: self.begin,
            from: self.sealed,
            to: self.offset,
            guard: self.before.guard(),
        }
    }
}
