//! Telling compressed forms from files of their own.
//!
//! Owns one question: whose lines does a gzip file hold? The compressed form of a file that is followed is not read; in
//! the form of a life that is gone, that life goes on where it was left; anything else is read from its beginning.
//! Decides by content, a bounded piece of work at a time, and never by a name alone: a form has a name of the same log
//! and is younger than what it was made of, begins with the same bytes, and has the same bytes before the place that
//! was read last. Beside a file that is still there, it has to end with the same bytes too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use watchkeeper_model::{FileRef, Guard, Timestamp};

use super::disk::{Disk, End, Ending, Reached};
use super::file::{File, is_guarded_by};
use super::follow::{Missing, Tail};
use super::names::is_one_log;
use super::position::{MAX_GUARD_BYTES, MAX_PREFIX_BYTES, Position};
use super::settings::Compressed;
use super::turn::{Broken, is_intact, read_exact};

/// Lives that one file was compared with.
#[derive(Debug, Default)]
pub(super) struct Ruled {
    /// The first bytes that it had then.
    first: Guard,
    /// Gone ones that go on in it.
    confirmed: BTreeSet<FileRef>,
    /// It is no form of these.
    refuted: BTreeSet<FileRef>,
}

/// Whose lines a compressed file holds.
enum Verdict {
    /// One call's piece of work was not enough.
    NotYet,
    /// It can't be told before more of it is written.
    Wait,
    /// It can't be told before more is known of the others.
    Later,
    /// Its own.
    Own,
    /// Those of a file that is followed.
    FormOf(FileRef),
    /// Those of a life that is gone.
    GoesOn(FileRef),
}

/// Whether it is the form of one life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    NotYet,
    Wait,
    Later,
    Yes,
    No,
}

/// What a compressed file begins with.
struct Beginning {
    /// Its first bytes, as many as are known.
    first: Vec<u8>,
    /// Its end, if it is not further.
    end: Option<End>,
}

impl Beginning {
    fn is_unfinished(&self) -> bool {
        self.end.is_some_and(|end| end.ending == Ending::Unfinished)
    }
}

/// What beginnings are compared with; most have the same length.
struct Likeness<'a> {
    beginning: &'a Beginning,
    hashes: BTreeMap<u32, Guard>,
}

impl Likeness<'_> {
    fn begins_like(&mut self, prefix: Guard) -> bool {
        match self.beginning.first.get(..prefix.len as usize) {
            Some(bytes) => {
                let hash = self.hashes.entry(prefix.len).or_insert_with(|| Guard::of(bytes));
                prefix.len > 0 && *hash == prefix
            }
            // It may once more of it is written.
            None => self.beginning.is_unfinished(),
        }
    }

    /// It is whole and can't be told by hashes.
    fn is_shorter_than(&self, prefix: Guard) -> bool {
        self.beginning.first.len() < prefix.len as usize
    }
}

/// What may be in a compressed file.
#[derive(Default)]
struct Suspects {
    /// Lives that are gone, by how far they were read and reached.
    gone: Vec<Position>,
    /// Files that are followed.
    followed: Vec<usize>,
    /// One can't be compared yet.
    later: bool,
}

impl<D: Disk> Tail<D> {
    /// Finds out whose lines a compressed file holds; whether it can be read now.
    pub(super) fn decide(&mut self, i: usize, now: Timestamp) -> Result<bool, Broken> {
        let verdict = self.judge(i)?;
        if let Some(decoding) = &mut self.files[i].decoding {
            decoding.later = matches!(verdict, Verdict::Later);
        }
        match verdict {
            Verdict::NotYet => self.files[i].pace.more(),
            Verdict::Wait => self.wait_for_rest(i, now),
            Verdict::Later => self.files[i].pace.idle(now),
            Verdict::FormOf(original) => self.become_form(i, original)?,
            Verdict::Own => {
                if let Some(decoding) = &mut self.files[i].decoding {
                    decoding.decided = true;
                }
                return Ok(true);
            }
            Verdict::GoesOn(life) => {
                self.become_successor(i, life, now);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn judge(&mut self, i: usize) -> Result<Verdict, Broken> {
        let Some(beginning) = self.beginning(i)? else { return Ok(Verdict::NotYet) };
        if beginning.first.is_empty() {
            return Ok(if beginning.is_unfinished() { Verdict::Wait } else { Verdict::Own });
        }
        let suspects = self.suspects(i, &beginning);
        let (mut goes_on, mut wait, mut later) = (None, false, suspects.later);
        for life in &suspects.gone {
            match self.goes_on_in(i, life)? {
                Answer::NotYet => return Ok(Verdict::NotYet),
                Answer::Wait => wait = true,
                Answer::Later => later = true,
                Answer::Yes => goes_on = Some(life.file),
                Answer::No => {}
            }
        }
        for j in suspects.followed {
            match self.is_form_of(i, j)? {
                Answer::NotYet => return Ok(Verdict::NotYet),
                Answer::Wait => wait = true,
                Answer::Later => later = true,
                Answer::Yes => return Ok(Verdict::FormOf(self.files[j].id)),
                Answer::No => {}
            }
        }
        Ok(match goes_on {
            _ if later => Verdict::Later,
            _ if wait => Verdict::Wait,
            Some(life) => Verdict::GoesOn(life),
            None => Verdict::Own,
        })
    }

    /// What a compressed file begins with; `None` if that takes another call.
    fn beginning(&mut self, i: usize) -> Result<Option<Beginning>, Broken> {
        let Self { files, disk, .. } = self;
        let File { handle: Some(handle), decoding: Some(decoding), .. } = &mut files[i] else {
            return Ok(None);
        };
        // What was compared before may have left the beginning behind; that is kept, and costs nothing.
        let reached = disk.reach(handle, 0..MAX_PREFIX_BYTES as u64).map_err(Broken::Problem)?;
        if !decoding.take_note(reached) {
            return Ok(None);
        }
        let first = read_exact(disk, handle, 0, MAX_PREFIX_BYTES)?;
        let guard = Guard::of(&first);
        if decoding.ruled.first != guard {
            // More of it, or something else: what was found out before was about another beginning.
            decoding.ruled = Ruled { first: guard, ..Ruled::default() };
        }
        Ok(Some(Beginning { first, end: decoding.end }))
    }

    /// The lives that begin like this file.
    fn suspects(&self, i: usize, beginning: &Beginning) -> Suspects {
        let file = &self.files[i];
        let Some(decoding) = &file.decoding else { return Suspects::default() };
        let mut likeness = Likeness { beginning, hashes: BTreeMap::new() };
        let is_made_of = |id: FileRef, path: &Path, created: Option<Timestamp>| {
            let is_older =
                matches!((file.created, created), (Some(form), Some(life)) if form < life);
            !is_older && !decoding.ruled.refuted.contains(&id) && is_one_log(path, file.place())
        };
        let mut suspects = Suspects::default();
        for (j, f) in self.files.iter().enumerate() {
            if f.decoding.is_none()
                && f.copy_of.is_none()
                && (likeness.begins_like(f.prefix) || likeness.is_shorter_than(f.prefix))
                && is_made_of(f.id, f.place(), f.created)
            {
                suspects.followed.push(j);
            }
        }
        // The file of its very name, first.
        let plain = file.place().with_extension("");
        suspects.followed.sort_by_key(|&j| self.files[j].place() != plain);
        let mut is_suspect = |p: &Position| {
            p.copy_of.is_none()
                && likeness.begins_like(p.prefix)
                && is_made_of(p.file, p.place(), p.created)
        };
        // What has just ended is remembered by the next scan.
        suspects.later = self.dead.iter().any(|d| is_suspect(&d.position));
        let gone = self.missing.iter().map(|m| &m.position).filter(|p| is_suspect(p));
        suspects.gone = gone.cloned().collect();
        // Of a life and its copy, both gone, the copy: what was left of the other is owed by it.
        suspects.gone.sort_by_key(|p| (p.offset, p.size, p.held.is_some(), p.file.born));
        suspects
    }

    /// Whether what was read of a life that is gone stands in a compressed file.
    fn goes_on_in(&mut self, i: usize, life: &Position) -> Result<Answer, Broken> {
        let Self { files, disk, .. } = self;
        let File { handle: Some(handle), decoding: Some(decoding), .. } = &mut files[i] else {
            return Ok(Answer::Later);
        };
        if decoding.ruled.confirmed.contains(&life.file) {
            return Ok(Answer::Yes);
        }
        let len = life.guard.len as usize;
        let from = life.offset - len as u64;
        let reached = disk.reach(handle, from..life.offset).map_err(Broken::Problem)?;
        if !decoding.take_note(reached) {
            return Ok(Answer::NotYet);
        }
        let known = disk.stat(handle).map_err(Broken::Problem)?.size;
        if known < life.offset && decoding.end.is_none_or(|e| e.ending != Ending::Whole) {
            return Ok(Answer::Wait);
        }
        let stands = known >= life.offset && {
            is_guarded_by(&read_exact(disk, handle, from, len)?, life.guard)
        };
        let ruled = &mut decoding.ruled;
        (if stands { &mut ruled.confirmed } else { &mut ruled.refuted }).insert(life.file);
        Ok(if stands { Answer::Yes } else { Answer::No })
    }

    /// Whether a compressed file holds nothing but what stands in a file that is followed, from its beginning on.
    fn is_form_of(&mut self, i: usize, j: usize) -> Result<Answer, Broken> {
        let Self { files, disk, problems, .. } = self;
        let Ok([form, original]) = files.get_disjoint_mut([i, j]) else { return Ok(Answer::No) };
        let opened = match &original.handle {
            Some(_) => None,
            None => match disk.open(&original.path) {
                Ok((handle, stat)) if stat.inode == original.id.inode => Some(handle),
                Ok(_) => return Ok(Answer::Later),
                Err(why) => {
                    problems.insert(original.path.clone(), why);
                    return Ok(Answer::Later);
                }
            },
        };
        let there = original.handle.as_ref().or(opened.as_ref());
        let (Some(there), Some(here), Some(decoding)) = (there, &form.handle, &mut form.decoding)
        else {
            return Ok(Answer::Later);
        };
        let size = disk.stat(there).map_err(Broken::Problem)?.size;
        if size < original.next_read().0 || !is_intact(disk, original) {
            // It was cut, which its own next look finds out.
            return Ok(Answer::Later);
        }
        let reached = disk.reach(here, size..size + 1).map_err(Broken::Problem)?;
        decoding.take_note(reached);
        let answer = match reached {
            Reached::NotYet => Answer::NotYet,
            // There is more in it.
            Reached::There => Answer::No,
            Reached::End(End { ending: Ending::Unfinished, .. }) => Answer::Wait,
            Reached::End(_) if is_beginning_of(disk, here, there)? => Answer::Yes,
            Reached::End(_) => Answer::No,
        };
        if answer == Answer::No {
            decoding.ruled.refuted.insert(original.id);
        }
        Ok(answer)
    }

    /// Lets a compressed file wait for the end of the file that it was made of.
    fn become_form(&mut self, i: usize, original: FileRef) -> Result<(), Broken> {
        let Self { files, disk, .. } = self;
        let file = &mut files[i];
        let Some(handle) = &file.handle else { return Ok(()) };
        let size = disk.stat(handle).map_err(Broken::Problem)?.size;
        let len = size.min(MAX_GUARD_BYTES as u64);
        let last = read_exact(disk, handle, size - len, len as usize)?;
        let first = read_exact(disk, handle, 0, MAX_PREFIX_BYTES)?;
        file.jump(size, Guard::of(&last));
        (file.prefix, file.begin, file.size) = (Guard::of(&first), size, size);
        file.copy_of = Some(original);
        let Some(decoding) = &mut file.decoding else { return Ok(()) };
        decoding.decided = true;
        if let Some(end) = decoding.end {
            self.exhaust(i, end);
        }
        Ok(())
    }

    /// Makes a compressed file the place where a life goes on that is gone.
    fn become_successor(&mut self, i: usize, life: FileRef, now: Timestamp) {
        let Some(m) = self.missing.iter().position(|m| m.position.file == life) else { return };
        let Missing { position, .. } = self.missing.remove(m);
        self.forget.push(position.file);
        let file = &mut self.files[i];
        file.jump(position.offset, position.guard);
        (file.prefix, file.begin) = (position.prefix, position.offset);
        file.size = position.offset;
        if let Some(held) = position.held {
            file.hold(held, &self.settings, now);
        }
        if let Some(decoding) = &mut file.decoding {
            decoding.decided = true;
        }
    }

    /// The life of a file ends here: its compressed form goes on with what was not read of it. Says how far that form
    /// reaches, if there is one.
    pub(super) fn hand_over(&mut self, life: &Position, now: Timestamp) -> Option<u64> {
        let (mut successor, mut reaches) = (None, None);
        let Self { files, settings, .. } = self;
        for file in files {
            if file.decoding.is_none() || file.copy_of != Some(life.file) {
                continue;
            }
            // Only one of several goes on; the others are forms of that one.
            file.copy_of = successor;
            file.dirty = true;
            if successor.is_none() {
                (successor, reaches) = (Some(file.id), Some(file.offset));
                if life.offset < file.offset {
                    let size = file.offset;
                    file.jump(life.offset, life.guard);
                    (file.begin, file.size) = (life.offset, size);
                    if let Some(held) = &life.held {
                        file.hold(held.clone(), settings, now);
                    }
                    if let Some(decoding) = &mut file.decoding {
                        decoding.exhausted = None;
                    }
                }
            }
        }
        reaches
    }

    /// How many bytes beyond the place where a file stands are kept in its compressed form.
    pub(super) fn bytes_in_form(&self, id: FileRef, offset: u64) -> u64 {
        let forms = self.files.iter().filter(|f| f.decoding.is_some() && f.copy_of == Some(id));
        forms.map(|f| f.offset.saturating_sub(offset)).max().unwrap_or(0)
    }

    /// Lets forms of lives that are gone go on. `taken_over` are those that go on in a plain copy.
    pub(super) fn settle_forms(&mut self, taken_over: &BTreeMap<FileRef, FileRef>, now: Timestamp) {
        let forms = self.files.iter().filter(|f| f.decoding.is_some());
        let originals: BTreeSet<FileRef> = forms.filter_map(|f| f.copy_of).collect();
        for original in originals {
            if let Some(copy) = taken_over.get(&original) {
                for file in self.files.iter_mut().filter(|f| f.decoding.is_some()) {
                    if file.copy_of == Some(original) {
                        (file.copy_of, file.dirty) = (Some(*copy), true);
                    }
                }
                continue;
            }
            let dead = self.dead.iter().map(|d| &d.position);
            let gone = self.missing.iter().map(|m| &m.position);
            let life = dead.chain(gone).find(|life| life.file == original).cloned();
            let Some(life) = life else { continue };
            let Some(reaches) = self.hand_over(&life, now) else { continue };
            for dead in self.dead.iter_mut().filter(|d| d.position.file == original) {
                dead.continued_to = dead.continued_to.max(reaches);
                if reaches > life.offset {
                    dead.position.held = None;
                }
            }
            if reaches > life.offset {
                let over = self.missing.extract_if(.., |m| m.position.file == original);
                self.forget.extend(over.map(|m| m.position.file));
            }
        }
    }

    /// Whether a life may go on in a compressed file of which that is not known yet.
    pub(super) fn may_have_form(&self, life: &Position) -> bool {
        self.settings.compressed == Compressed::Read
            && !life.compressed
            && life.copy_of.is_none()
            && life.prefix.len > 0
            && self.files.iter().any(|f| {
                f.copy_of.is_none()
                    && f.decoding.as_ref().is_some_and(|d| d.is_open_question())
                    && is_one_log(life.place(), f.place())
            })
    }

    /// Remembers a life that has ended, apart from whatever has its inode now.
    pub(super) fn remember(&mut self, mut life: Position) {
        let mut id = FileRef { inode: 0, born: life.file.born };
        while self.missing.iter().any(|m| m.position.file == id) {
            id.born = id.born.shifted(1);
        }
        life.file = id;
        self.missing.push(Missing { position: life, since: Timestamp::MAX, dirty: true });
    }
}

/// Whether all that there is of one file stands in another, by its first bytes and its last.
fn is_beginning_of<D: Disk>(
    disk: &mut D,
    one: &D::Handle,
    other: &D::Handle,
) -> Result<bool, Broken> {
    let size = disk.stat(one).map_err(Broken::Problem)?.size;
    let last = size.min(MAX_GUARD_BYTES as u64);
    for (at, len) in [(0, size.min(MAX_PREFIX_BYTES as u64)), (size - last, last)] {
        let len = len as usize;
        if read_exact(disk, one, at, len)? != read_exact(disk, other, at, len)? {
            return Ok(false);
        }
    }
    Ok(true)
}
