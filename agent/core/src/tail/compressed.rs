//! Reading gzip files.
//!
//! Owns what a compressed file has beside what every file has: whether it is open, how far it is decoded, and the
//! version of it of which nothing more can be had. To everything else its bytes are the uncompressed ones. Never opens
//! more of them than fit a bound on memory, and never one again that has not changed. Whose lines it holds is decided
//! in `forms`.

use std::path::Path;
use std::time::Duration;

use watchkeeper_model::{FileRef, Timestamp};

use super::disk::{Disk, End, Ending, Entry, Reached, Stat, Version};
use super::file::{File, Sight};
use super::follow::{Missing, Report, Sink, Tail};
use super::forms::Ruled;
use super::names::{Compression, Named};
use super::position::{MAX_PREFIX_BYTES, Position};
use super::scan::MAX_FILES;
use super::settings::Compressed;
use super::turn::{Broken, Looked};

/// What all open decoders may hold of uncompressed bytes, and what each needs beside a line.
const MAX_DECODED_BYTES: usize = 32 << 20;
const DECODER_BYTES: usize = 1 << 20;

/// How long a file that ends in the middle is held open for the rest of it.
const UNFINISHED_FOR: Duration = Duration::from_secs(60);

/// What a compressed file has beside what every file has.
#[derive(Debug, Default)]
pub(super) struct Decoding {
    /// It is known whether it is the compressed form of a life that we know.
    pub(super) decided: bool,
    /// What was found out towards that.
    pub(super) ruled: Ruled,
    /// There is something in it that was not read, and it is not open.
    wanted: bool,
    /// It is open, and what was read of it before stands in it.
    checked: bool,
    /// Others have to be looked at before that can be known.
    pub(super) later: bool,
    /// How its content ends, once that is known.
    pub(super) end: Option<End>,
    /// Nothing more can be had of this version of it.
    pub(super) exhausted: Option<End>,
}

impl Decoding {
    /// Whether it is not known whose lines it holds, or whether that still holds.
    pub(super) fn is_open_question(&self) -> bool {
        !self.decided || self.wanted || self.exhausted.is_none() && !self.checked
    }

    fn note(&mut self, version: Version) {
        self.wanted = self.exhausted.is_none_or(|end| end.version != version);
    }
}

impl<H> File<H> {
    /// Where to read next, behind what is checked before that.
    fn checked_from(&self) -> (u64, u64) {
        let (at, before) = self.next_read();
        (at - before.len() as u64, at)
    }

    /// Takes a place that the collector knows.
    pub(super) fn adopt_compressed(&mut self, position: &Position) {
        let Some(decoding) = &mut self.decoding else { return };
        **decoding = Decoding { decided: true, wanted: true, ..Decoding::default() };
        (self.prefix, self.copy_of) = (position.prefix, None);
        self.size = self.size.max(position.offset);
    }

    /// Why part of it can't be read, if so.
    fn damage(&self) -> Option<String> {
        let (n, decoding) = (self.offset, self.decoding.as_ref()?);
        match decoding.exhausted?.ending {
            // It has changed, and may be whole by now.
            _ if decoding.wanted => None,
            Ending::Whole => None,
            Ending::Unfinished => Some(format!(
                "ends in the middle of its compressed data; read up to byte {n} of its content, and on when it changes"
            )),
            Ending::Damaged { .. } if n == 0 => Some(
                "is no gzip file, or is damaged before anything in it could be counted".to_owned(),
            ),
            Ending::Damaged { .. } => {
                Some(format!("is damaged after byte {n} of its content; the rest is not counted"))
            }
        }
    }
}

impl<D: Disk> Tail<D> {
    /// Whether a file of this name is decoded and read.
    pub(super) fn reads(&self, named: &Named) -> bool {
        self.settings.compressed == Compressed::Read
            && named.matched
            && named.compressed == Some(Compression::Gzip)
    }

    /// Follows a compressed file that is not known. It is opened in its turn.
    pub(super) fn take_compressed(&mut self, entry: &Entry, now: Timestamp) {
        if self.files.len() >= MAX_FILES {
            self.tell_too_many(entry);
            return;
        }
        let id = FileRef { inode: entry.stat.inode, born: now };
        let mut file = File::new(id, entry.path.clone(), &entry.stat, None, now);
        file.size = 0;
        file.behind.clone_from(&entry.behind);
        file.decoding = Some(Box::new(Decoding { wanted: true, ..Decoding::default() }));
        self.files.push(file);
    }

    /// Goes on with a stored position of a compressed file, if there is one. It need not be opened for that: whether
    /// what was read still stands there is found out when it is, and it is not if it has not changed.
    pub(super) fn attach_compressed(&mut self, entry: &Entry, now: Timestamp) {
        let is_its = |p: &Position| {
            let is_other = matches!((p.created, entry.stat.created), (Some(a), Some(b)) if a != b);
            p.compressed && p.file.inode == entry.stat.inode && !is_other
        };
        let all = self.missing.extract_if(.., |m| is_its(&m.position));
        let mut all: Vec<Missing> = all.collect();
        all.sort_by_key(|m| m.position.offset);
        let Some(Missing { position, dirty, .. }) = all.pop() else { return };
        for Missing { position: other, .. } in all {
            self.forget.push(other.file);
            self.bury(other);
        }
        let mut file = File::new(position.file, entry.path.clone(), &entry.stat, None, now);
        file.resume(&position, &self.settings, now);
        file.size = position.size;
        file.behind.clone_from(&entry.behind);
        if self.waiting {
            file.begin = file.offset;
        }
        file.dirty = self.waiting
            || dirty
            || position.dev != entry.stat.dev
            || Path::new(&position.path) != entry.path
            || position.behind != entry.behind
            || position.created != entry.stat.created;
        let decided = position.offset > 0 || position.copy_of.is_some();
        let mut decoding =
            Decoding { decided, exhausted: position.exhausted, ..Decoding::default() };
        decoding.note(version_of(&entry.stat));
        file.decoding = Some(Box::new(decoding));
        if let (Some(since), true) = (position.rotated, entry.named.base.is_some()) {
            file.sight = Sight::Rotated { since, listed: true };
        }
        self.files.push(file);
    }

    /// Takes note of what the directory says of a compressed file that is not open.
    pub(super) fn note_version(&mut self, i: usize, stat: &Stat) {
        let file = &mut self.files[i];
        if let (Some(decoding), None) = (&mut file.decoding, file.copy_of) {
            decoding.note(version_of(stat));
        }
    }

    /// Opens compressed files that wait for it, as many as may be open.
    pub(super) fn open_compressed(&mut self, now: Timestamp, may_read: bool) {
        if self.waiting || !may_read {
            return;
        }
        let is_open = |f: &File<_>| f.decoding.is_some() && f.handle.is_some();
        let mut n_open = self.files.iter().filter(|f| is_open(f)).count();
        let line_bytes = self.settings.max_line_bytes;
        let most = (MAX_DECODED_BYTES / (line_bytes + DECODER_BYTES)).clamp(2, 16);
        for i in 0..self.files.len() {
            if !self.files[i].decoding.as_ref().is_some_and(|d| d.wanted) {
                continue;
            }
            if n_open >= most && !self.close_one_that_waits() {
                return;
            }
            n_open = most.min(n_open + 1);
            self.open_one(i, now);
        }
    }

    fn open_one(&mut self, i: usize, now: Timestamp) {
        let file = &mut self.files[i];
        let Some(decoding) = &mut file.decoding else { return };
        // Whatever comes of it: the next scan says again if it is still wanted.
        decoding.wanted = false;
        match self.disk.open_compressed(&file.path) {
            Ok((handle, stat)) if stat.inode == file.id.inode => {
                let decided = file.offset > 0 && decoding.decided;
                **decoding = Decoding { decided, ..Decoding::default() };
                file.handle = Some(handle);
                file.modified = stat.modified;
                file.grown_at = now;
                // Nothing beyond is known of it yet.
                file.size = file.next_read().0;
                file.held_at = None;
                file.ended = false;
                file.pace.more();
            }
            Ok(_) => {}
            Err(why) => drop(self.problems.insert(file.path.clone(), why)),
        }
    }

    /// Makes room for another by closing the file that has waited longest, for the rest of it or for others.
    fn close_one_that_waits(&mut self) -> bool {
        let unfinished = |d: &Decoding| d.end.filter(|end| end.ending == Ending::Unfinished);
        let waits = |f: &File<_>| {
            let waits = |d: &Decoding| d.later || unfinished(d).is_some();
            f.handle.is_some() && f.decoding.as_deref().is_some_and(waits)
        };
        let waiting = self.files.iter().enumerate().filter(|(_, f)| waits(f));
        let Some((i, _)) = waiting.min_by_key(|(_, f)| f.grown_at) else { return false };
        match self.files[i].decoding.as_deref().and_then(unfinished) {
            Some(end) => self.exhaust(i, end),
            None => self.files[i].handle = None,
        }
        true
    }

    /// One look at one file, compressed or not.
    pub(super) fn look_into(
        &mut self,
        i: usize,
        now: Timestamp,
        may_read: bool,
        sink: &mut impl Sink,
    ) -> Looked {
        let file = &mut self.files[i];
        if file.decoding.is_none() {
            return self.look(i, now, may_read, sink);
        }
        if file.handle.is_none() {
            file.pace.idle(now);
            return Looked::Idle;
        }
        if !may_read || self.waiting {
            file.pace.grown(now);
            return Looked::Idle;
        }
        let looked = self.look_at_decoded(i, now, sink);
        looked.unwrap_or_else(|broken| self.broken(i, now, broken))
    }

    fn look_at_decoded(
        &mut self,
        i: usize,
        now: Timestamp,
        sink: &mut impl Sink,
    ) -> Result<Looked, Broken> {
        let is_decided = self.files[i].decoding.as_ref().is_some_and(|d| d.decided);
        if !is_decided && !self.decide(i, now)? {
            return Ok(Looked::Idle);
        }
        if !self.decode_to_next_read(i, now)? {
            return Ok(Looked::Idle);
        }
        let looked = self.look(i, now, true, sink);
        let file = &mut self.files[i];
        if looked == Looked::Idle && file.has_unread() {
            // It could not be read.
            return Ok(looked);
        }
        // Unless it was cut, and is another life by now.
        if let Some(decoding) = file.decoding.as_mut().filter(|d| d.decided) {
            decoding.checked = true;
            if looked != Looked::More {
                self.settle_end(i, now, sink)?;
            }
        }
        Ok(looked)
    }

    /// Gets what is read next decoded, and what is checked before; whether it is.
    fn decode_to_next_read(&mut self, i: usize, now: Timestamp) -> Result<bool, Broken> {
        let Self { files, disk, .. } = self;
        let file = &mut files[i];
        let (from, at) = file.checked_from();
        let (Some(handle), Some(decoding)) = (&file.handle, &mut file.decoding) else {
            return Ok(false);
        };
        // More than the first bytes, which are kept whatever is asked for.
        let to = at + MAX_PREFIX_BYTES as u64 + 1;
        let reached = disk.reach(handle, from..to).map_err(Broken::Problem)?;
        if !decoding.take_note(reached) {
            file.pace.more();
            return Ok(false);
        }
        let known = disk.stat(handle).map_err(Broken::Problem)?.size;
        if known < at && decoding.end.is_some_and(|end| end.ending != Ending::Whole) {
            // It is being written anew, or was damaged since; only what it is when it is whole tells which.
            self.wait_for_rest(i, now);
            return Ok(false);
        }
        if known.max(at) < file.size {
            // The decoder had to begin anew and has not come as far again: that is no cut.
            file.size = known.max(at);
            file.held_at = None;
        }
        Ok(true)
    }

    /// After everything decoded was read: whether there is more.
    fn settle_end(&mut self, i: usize, now: Timestamp, sink: &mut impl Sink) -> Result<(), Broken> {
        let Self { files, disk, .. } = self;
        let file = &mut files[i];
        let (from, at) = file.checked_from();
        let (Some(handle), Some(decoding)) = (&file.handle, &mut file.decoding) else {
            return Ok(());
        };
        let span = from..file.size.max(at) + 1;
        let reached = disk.reach(handle, span).map_err(Broken::Problem)?;
        decoding.take_note(reached);
        let end = decoding.end;
        match end {
            Some(end) if !file.has_unread() => self.settle_at_end(i, end, now, sink),
            _ => file.pace.more(),
        }
        Ok(())
    }

    /// What becomes of a file of which everything that can be had was read.
    fn settle_at_end(&mut self, i: usize, end: End, now: Timestamp, sink: &mut impl Sink) {
        let file = &mut self.files[i];
        let quiet = |wait: Duration| {
            now.since(end.version.modified) >= wait || now.since(file.grown_at) >= wait
        };
        match end.ending {
            Ending::Whole if file.unread_bytes() == 0 && !file.holds() => self.exhaust(i, end),
            Ending::Whole if quiet(self.settings.rotate_wait) => {
                self.end(i, now, sink);
                if self.files[i].unread_bytes() == 0 {
                    self.exhaust(i, end);
                }
            }
            Ending::Unfinished if quiet(UNFINISHED_FOR) => self.exhaust(i, end),
            Ending::Whole | Ending::Unfinished => {}
            Ending::Damaged { lost_bytes } => {
                self.give_all(i, now, sink);
                let file = &mut self.files[i];
                let bytes_unknown = lost_bytes + file.unread_bytes();
                file.size = file.offset;
                sink.report(Report::Damaged { bytes_unknown });
                self.exhaust(i, end);
            }
        }
    }

    /// A file whose lines can't be told yet waits for the rest of it, open for a while.
    pub(super) fn wait_for_rest(&mut self, i: usize, now: Timestamp) {
        let file = &mut self.files[i];
        file.pace.idle(now);
        let Some(end) = file.decoding.as_ref().and_then(|d| d.end) else { return };
        let is_old = now.since(end.version.modified) >= UNFINISHED_FOR
            || now.since(file.grown_at) >= UNFINISHED_FOR;
        if is_old || matches!(end.ending, Ending::Damaged { .. }) {
            self.exhaust(i, end);
        }
    }

    /// Closes a file of which nothing more can be had until it changes.
    pub(super) fn exhaust(&mut self, i: usize, end: End) {
        let file = &mut self.files[i];
        let Some(decoding) = &mut file.decoding else { return };
        decoding.exhausted = Some(end);
        file.handle = None;
        file.dirty = true;
        self.tell_damage(i);
    }

    fn tell_damage(&mut self, i: usize) {
        let file = &self.files[i];
        if let Some(why) = file.damage() {
            self.problems.insert(file.path.clone(), why);
        }
    }

    /// What was found damaged stays a problem as long as it is there as it is.
    pub(super) fn tell_damages(&mut self) {
        (0..self.files.len()).for_each(|i| self.tell_damage(i));
    }
}

impl Decoding {
    /// Takes note of how far was decoded; whether it was as far as asked, or to the end.
    pub(super) fn take_note(&mut self, reached: Reached) -> bool {
        self.end = match reached {
            Reached::End(end) => Some(end),
            Reached::There | Reached::NotYet => None,
        };
        reached != Reached::NotYet
    }
}

fn version_of(stat: &Stat) -> Version {
    Version { bytes: stat.size, modified: stat.modified }
}
