//! Finding files and recognising them.
//!
//! Owns identity: a file is known by inode, first bytes and the bytes before the place read last, wherever it is now;
//! a device number alone proves nothing. What a name suggests is checked against content, and content alone never
//! makes two files one: only a rotated sibling, younger than the file it resembles, can be a copy of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use watchkeeper_model::{FileRef, Guard, Timestamp};

use super::copies::{Resemblance, related};
use super::disk::{Behind, Disk, Entry, Kind, Stat};
use super::file::{File, Sight, is_guarded_by};
use super::follow::{Dead, Inode, Missing, Report, Sink, Tail};
use super::names::Compression;
use super::position::{MAX_GUARD_BYTES, Position};
use super::rotated::MISSING_GRACE;
use super::settings::{Compressed, StartAt};
use super::turn::{Broken, extend_prefix, is_intact, read_exact};

/// How often directories are looked through, at least; rarer if they are large.
const SCAN_EVERY: Duration = Duration::from_secs(1);
const ENTRIES_PER_SCAN_SECOND: usize = 1_000;
const MAX_SCAN_WAIT: Duration = Duration::from_secs(30);

/// A file system's clock may lag behind ours by a tick.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// More files than this in one source are a mistake in `paths`: the others are not followed, and a problem.
pub const MAX_FILES: usize = 20_000;

fn inode_of(stat: &Stat) -> Inode {
    (stat.dev, stat.inode, stat.created)
}

impl<D: Disk> Tail<D> {
    /// Looks through the directories.
    pub(super) fn scan(&mut self, now: Timestamp, sink: &mut impl Sink) {
        let is_set_back = self.mind_the_clock(now);
        let known = self.behind_links(now);
        let listing = self.disk.list(&known);
        self.problems = listing.problems.into_iter().collect();
        let wait = SCAN_EVERY * (listing.entries.len() / ENTRIES_PER_SCAN_SECOND + 1) as u32;
        let is_complete = self.problems.is_empty();
        let entries = self.one_per_file(listing.entries);
        self.place_known(&entries, is_complete, now);
        self.attach_stored(&entries, now);
        self.take_new(&entries, now, sink);
        self.settle_dead(now, sink);
        let listed = |inode: &Inode| {
            entries.get(&(inode.0, inode.1)).is_some_and(|e| e.stat.created == inode.2)
        };
        self.ignored.retain(|inode| listed(inode));
        self.skipped.retain(|inode, _| listed(inode));
        self.undecided.retain(|inode, _| listed(inode));
        self.watch_missing(now, sink);
        self.tell_damages();
        self.is_first_scan = false;
        self.reference = self.reference.max(Some(now));
        self.set_back = is_set_back.then_some(now);
        self.next_scan = now + wait.min(MAX_SCAN_WAIT);
    }

    /// Whether the clock was set back behind the last look. What was there at that look is decided, so what is unknown now
    /// and was made since then, by either clock, is new. At a start nobody knows what was decided.
    fn mind_the_clock(&mut self, now: Timestamp) -> bool {
        let is_set_back = self.reference.is_some_and(|reference| now < reference);
        let is_seen_first = self.set_back.is_none_or(|last| now < last);
        if is_set_back && is_seen_first && !self.is_first_scan {
            let between_looks = i64::try_from(2 * MAX_SCAN_WAIT.as_nanos()).unwrap_or(i64::MAX);
            self.set_back = Some(now.shifted(-between_looks));
        }
        is_set_back
    }

    /// Where links lead that lead to what is followed, or led when it was last. What is gone for so long that this was
    /// told is not looked for.
    fn behind_links(&self, now: Timestamp) -> BTreeSet<Behind> {
        let followed = self.files.iter().filter_map(|f| f.behind.as_ref());
        let gone = self.missing.iter().filter(|m| now.since(m.since) < MISSING_GRACE);
        followed.chain(gone.filter_map(|m| m.position.behind.as_ref())).cloned().collect()
    }

    /// One entry for each file, under its best path. What is no file is a problem if it was asked for by name.
    fn one_per_file(&mut self, entries: Vec<Entry>) -> BTreeMap<(u64, u64), Entry> {
        let mut files: BTreeMap<(u64, u64), Entry> = BTreeMap::new();
        let rank = |e: &Entry| (!e.named.matched, e.named.base.is_some(), e.path.clone());
        for entry in entries {
            match entry.stat.kind {
                Kind::Regular => {}
                _ if !entry.named.matched => continue,
                kind => {
                    let what = if kind == Kind::Directory { "a directory" } else { "not a file" };
                    self.problems.insert(entry.path, format!("is {what}"));
                    continue;
                }
            }
            let key = (entry.stat.dev, entry.stat.inode);
            match files.get(&key) {
                Some(known) if rank(known) <= rank(&entry) => {}
                _ => drop(files.insert(key, entry)),
            }
        }
        files
    }

    /// Where the files are now that we follow.
    fn place_known(
        &mut self,
        entries: &BTreeMap<(u64, u64), Entry>,
        is_complete: bool,
        now: Timestamp,
    ) {
        let mut gone = Vec::new();
        for i in 0..self.files.len() {
            let file = &mut self.files[i];
            let entry = entries.get(&(file.dev, file.id.inode));
            let is_open = file.handle.is_some();
            // Without a handle the inode may be another file's by now.
            let is_same = |e: &&Entry| {
                let is_decoded = self.settings.compressed == Compressed::Read
                    && e.named.compressed == Some(Compression::Gzip);
                e.stat.created == file.created && is_decoded == file.decoding.is_some()
            };
            let entry = entry.filter(|e| is_open || is_same(e));
            let since = file.sight.rotated_since().unwrap_or(now);
            let Some(entry) = entry else {
                let stat = file.handle.as_ref().and_then(|h| self.disk.stat(h).ok());
                match stat {
                    Some(stat) if stat.n_links == 0 => file.sight = Sight::Deleted { since },
                    // What could not be looked through may still hold it.
                    _ if !is_complete => {}
                    _ if is_open => file.sight = Sight::Rotated { since, listed: false },
                    _ => gone.push(i),
                }
                continue;
            };
            let moved = entry.path != file.path;
            let is_rotated = entry.named.base.is_some()
                && (moved || !entry.named.matched || file.sight != Sight::Present);
            let moved_behind = entry.behind != file.behind;
            file.named_by(entry);
            let was = file.sight;
            file.sight =
                if is_rotated { Sight::Rotated { since, listed: true } } else { Sight::Present };
            file.dirty |= moved_behind;
            if file.sight != was || moved {
                file.dirty = true;
                file.pace.more();
            }
            if !is_open {
                self.reopen(i, &entry.stat, now);
            }
        }
        for i in gone.into_iter().rev() {
            self.lose_sight(i, now);
        }
    }

    /// Opens a file again that was let go, if it has grown.
    fn reopen(&mut self, i: usize, stat: &Stat, now: Timestamp) {
        let file = &mut self.files[i];
        if file.decoding.is_some() {
            self.note_version(i, stat);
            return;
        }
        if stat.size == file.size {
            return;
        }
        if file.copy_of.is_some() {
            // Still being copied, or written to as a file of its own: what a copy says is never read.
            file.size = stat.size;
            return;
        }
        match self.disk.open(&file.path) {
            Ok((handle, opened)) if opened.inode == file.id.inode => {
                file.handle = Some(handle);
                let intact = opened.size >= file.offset && is_intact(&mut self.disk, file);
                if intact {
                    file.pace.more();
                } else {
                    self.cut(i, now);
                }
            }
            Ok(_) => {}
            Err(why) => drop(self.problems.insert(file.path.clone(), why)),
        }
    }

    /// Forgets a file that is neither listed nor open, but not its position: it may come back.
    pub(super) fn lose_sight(&mut self, i: usize, now: Timestamp) {
        let file = self.files.remove(i);
        if file.is_unsealed() {
            self.closing.push(file.frontier(&self.settings.source));
        }
        let position = file.position(&self.settings);
        if self.hand_over(&position, now).is_some_and(|reaches| reaches > position.offset) {
            self.forget.push(position.file);
            return;
        }
        self.missing.push(Missing { position, since: now, dirty: true });
    }

    fn is_new(&self, stat: &Stat) -> bool {
        let is_followed = |f: &File<_>| f.id.inode == stat.inode && f.dev == stat.dev;
        let inode = inode_of(stat);
        let is_left = self.ignored.contains(&inode) || self.skipped.contains_key(&inode);
        !is_left && !self.files.iter().any(is_followed)
    }

    pub(super) fn tell_too_many(&mut self, entry: &Entry) {
        let why = format!("is beyond the {MAX_FILES} files a source can follow");
        self.problems.insert(entry.path.clone(), why);
    }

    /// Opens what is listed and not known; `None` if it can't be, or is another file by now that is known.
    fn open_new(&mut self, entry: &Entry) -> Option<(D::Handle, Stat)> {
        if self.files.len() >= MAX_FILES {
            self.tell_too_many(entry);
            return None;
        }
        match self.disk.open(&entry.path) {
            Ok((handle, stat)) => self.is_new(&stat).then_some((handle, stat)),
            Err(why) => {
                self.problems.insert(entry.path.clone(), why);
                None
            }
        }
    }

    /// Goes on with stored positions in files of the same inode, if their content says that they are the same.
    fn attach_stored(&mut self, entries: &BTreeMap<(u64, u64), Entry>, now: Timestamp) {
        for entry in entries.values() {
            let same_inode =
                |m: &Missing| m.position.file.inode == entry.stat.inode && !m.position.compressed;
            if entry.named.compressed.is_some() {
                if self.reads(&entry.named) && self.is_new(&entry.stat) {
                    self.attach_compressed(entry, now);
                }
                continue;
            }
            if !self.missing.iter().any(same_inode) || !self.is_new(&entry.stat) {
                continue;
            }
            let Some((handle, stat)) = self.open_new(entry) else { continue };
            let mut best: Option<usize> = None;
            for (m, missing) in self.missing.iter().enumerate() {
                let position = &missing.position;
                let further =
                    best.is_none_or(|b| self.missing[b].position.offset < position.offset);
                if position.file.inode == stat.inode
                    && !position.compressed
                    && further
                    && is_same(&mut self.disk, &handle, &stat, position)
                {
                    best = Some(m);
                }
            }
            match best {
                Some(m) => {
                    let missing = self.missing.remove(m);
                    self.resume(entry, handle, &stat, &missing, now);
                }
                None => self.replace(entry, handle, &stat, now),
            }
        }
    }

    fn resume(
        &mut self,
        entry: &Entry,
        handle: D::Handle,
        stat: &Stat,
        missing: &Missing,
        now: Timestamp,
    ) {
        let position = &missing.position;
        // Other lives known under this inode are older: the collector's word for the same file, mostly.
        let others = self.missing.extract_if(.., |m| {
            m.position.file.inode == stat.inode && [position.dev, 0].contains(&m.position.dev)
        });
        let others: Vec<Position> = others.map(|m| m.position).collect();
        for other in others.into_iter().filter(|o| o.file != position.file) {
            self.forget.push(other.file);
            self.bury(other);
        }
        let mut file = File::new(position.file, entry.path.clone(), stat, Some(handle), now);
        file.named_by(entry);
        file.resume(position, &self.settings, now);
        if self.waiting {
            file.begin = file.offset;
        }
        file.dirty = self.waiting
            || missing.dirty
            || position.dev != stat.dev
            || Path::new(&position.path) != entry.path
            || position.behind != entry.behind
            || position.created != stat.created;
        if entry.named.base.is_some() && (!entry.named.matched || position.rotated.is_some()) {
            let since = position.rotated.unwrap_or(now);
            file.sight = Sight::Rotated { since, listed: true };
        }
        if file.copy_of.is_some() {
            file.handle = None;
        }
        self.files.push(file);
    }

    /// The inode is that of a stored position but the content is not: the file was cut, or its inode is used again.
    fn replace(&mut self, entry: &Entry, handle: D::Handle, stat: &Stat, now: Timestamp) {
        let same_inode =
            |m: &Missing| m.position.file.inode == stat.inode && !m.position.compressed;
        let on_same_device = |m: &Missing| same_inode(m) && m.position.dev == stat.dev;
        let m = self.missing.iter().position(on_same_device);
        let m = m.or_else(|| self.missing.iter().position(same_inode));
        let Some(m) = m else { return };
        let Missing { position, .. } = self.missing.remove(m);
        let recycled = matches!((position.created, stat.created), (Some(a), Some(b)) if a != b);
        let born = now.max(position.file.born.shifted(1));
        self.forget.push(position.file);
        let is_copy = position.copy_of.is_some();
        let continued_to = if is_copy { position.size } else { position.offset };
        self.dead.push(Dead { continued_to, position, recycled, held_bytes: 0 });
        if recycled {
            // Not the file that we knew, so it has to answer for itself: it may be a copy.
            return;
        }
        let id = FileRef { inode: stat.inode, born };
        let mut file = File::new(id, entry.path.clone(), stat, Some(handle), now);
        file.named_by(entry);
        if entry.named.base.is_some() && !entry.named.matched {
            file.sight = Sight::Rotated { since: now, listed: true };
        }
        self.files.push(file);
    }

    /// Decides about every file that is listed and not known.
    fn take_new(
        &mut self,
        entries: &BTreeMap<(u64, u64), Entry>,
        now: Timestamp,
        sink: &mut impl Sink,
    ) {
        // Originals first: a copy is told by the file that it resembles.
        let (copies, originals): (Vec<_>, Vec<_>) =
            entries.values().partition(|e| e.named.base.is_some());
        for entry in originals.into_iter().chain(copies) {
            if !self.is_new(&entry.stat) {
                continue;
            }
            let inode = inode_of(&entry.stat);
            let fresh = match self.undecided.get(&inode) {
                Some(fresh) => *fresh,
                None => self.is_fresh(&entry.stat),
            };
            if self.reads(&entry.named) {
                self.take_compressed(entry, now);
            } else if entry.named.compressed.is_some() {
                let path = entry.named.matched.then(|| entry.path.clone());
                self.skipped.insert(inode, path);
                if fresh && !self.was_followed(entry) {
                    sink.report(Report::Compressed);
                }
            } else if let Some((handle, stat)) = self.open_new(entry) {
                self.take(entry, handle, &stat, fresh, now);
            }
        }
    }

    fn is_fresh(&self, stat: &Stat) -> bool {
        let born = stat.created.unwrap_or(stat.modified) + CLOCK_TICK;
        [self.reference, self.set_back].into_iter().flatten().any(|since| born >= since)
    }

    /// Whether this process followed the file that a compressed one was made of: then its lines are counted.
    fn was_followed(&self, entry: &Entry) -> bool {
        let is_its = |f: &File<_>| entry.original().is_some_and(|base| related(f.place(), base));
        !self.is_first_scan && self.files.iter().any(is_its)
    }

    fn take(&mut self, entry: &Entry, handle: D::Handle, stat: &Stat, fresh: bool, now: Timestamp) {
        let is_first_start = self.reference.is_none();
        let resemblance = match entry.original() {
            Some(base) if !is_first_start => self.resemblance(base, &handle, stat, now),
            _ => Resemblance::None,
        };
        let id = FileRef { inode: stat.inode, born: now };
        let mut file = File::new(id, entry.path.clone(), stat, None, now);
        file.named_by(entry);
        if entry.named.base.is_some() && !entry.named.matched {
            file.sight = Sight::Rotated { since: now, listed: true };
        }
        match resemblance {
            Resemblance::TooEarly => {
                self.undecided.insert(inode_of(stat), fresh);
                return;
            }
            Resemblance::CopyOf(original) => {
                file.copy_of = Some(original);
                // Its offset means nothing until its original is cut; so it has no guard to keep.
            }
            Resemblance::Continues { life, offset, guard } => {
                file.jump(offset, guard);
                file.begin = offset;
                file.handle = Some(handle);
                if let Some(held) = self.take_held(life, offset) {
                    file.hold(held, &self.settings, now);
                }
            }
            Resemblance::None if entry.named.matched || fresh => {
                if is_first_start && self.settings.start_at == StartAt::End {
                    let Ok((offset, guard)) = end_of(&mut self.disk, &handle, stat) else { return };
                    file.jump(offset, guard);
                    file.begin = offset;
                }
                file.placed_by_start = is_first_start;
                file.handle = Some(handle);
            }
            Resemblance::None => {
                self.ignored.insert(inode_of(stat));
                return;
            }
        }
        if file.handle.is_some() && extend_prefix(&mut self.disk, &mut file).is_err() {
            // Cut between two questions: the next scan asks again.
            return;
        }
        self.files.push(file);
    }
}

/// Whether an open file is the one a position speaks of: what was read of it still stands there.
pub(super) fn is_same<D: Disk>(
    disk: &mut D,
    handle: &D::Handle,
    stat: &Stat,
    position: &Position,
) -> bool {
    // An inode is made once: another time is another file, however alike.
    let is_other = matches!((position.created, stat.created), (Some(a), Some(b)) if a != b);
    if is_other || stat.size < position.offset.max(u64::from(position.prefix.len)) {
        return false;
    }
    let mut stands = |at: u64, guard: Guard| {
        read_exact(disk, handle, at, guard.len as usize).is_ok_and(|b| is_guarded_by(&b, guard))
    };
    stands(0, position.prefix)
        && stands(position.offset - u64::from(position.guard.len), position.guard)
}

/// A file's present end and its guard.
pub(super) fn end_of<D: Disk>(
    disk: &mut D,
    handle: &D::Handle,
    stat: &Stat,
) -> Result<(u64, Guard), Broken> {
    let len = stat.size.min(MAX_GUARD_BYTES as u64);
    let bytes = read_exact(disk, handle, stat.size - len, len as usize)?;
    if (bytes.len() as u64) < len { Err(Broken::Cut) } else { Ok((stat.size, Guard::of(&bytes))) }
}
