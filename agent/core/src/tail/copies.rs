//! Telling copies from originals.
//!
//! Owns what copytruncate leaves behind: a copy of an intact file is not read; a copy of a life that has ended is where
//! that life goes on. Never takes two files for one because they are alike: a copy has a rotated sibling's name and is
//! younger than what it resembles.

use std::collections::BTreeMap;
use std::path::Path;

use watchkeeper_model::{FileRef, Guard, Timestamp};

use super::disk::{Disk, Stat};
use super::file::{Before, is_guarded_by};
use super::follow::{Report, Sink, Tail};
use super::position::{MAX_GUARD_BYTES, MAX_PREFIX_BYTES, Position};
use super::scan::end_of;
use super::turn::{extend_prefix, is_intact, read_exact};

/// What an unknown sibling turns out to be.
pub(super) enum Resemblance {
    /// Nothing we know.
    None,
    /// It has no content yet to tell by.
    TooEarly,
    /// A copy of a file that is intact.
    CopyOf(FileRef),
    /// What is left of a life of a file that was cut or is gone, from this offset on.
    Continues { life: FileRef, offset: u64, guard: Guard },
}

impl<D: Disk> Tail<D> {
    /// What an unknown file beside `base`, its sibling, has in common with what we know.
    pub(super) fn resemblance(
        &mut self,
        base: &Path,
        handle: &D::Handle,
        stat: &Stat,
        now: Timestamp,
    ) -> Resemblance {
        for i in 0..self.files.len() {
            let file = &self.files[i];
            let Some(original) = &file.handle else { continue };
            if file.copy_of.is_some()
                || file.decoding.is_some()
                || !related(file.place(), base)
                || stat.created < file.created
            {
                continue;
            }
            let size = self.disk.stat(original).map_or(0, |s| s.size);
            if size < file.next_read().0 || !is_intact(&mut self.disk, file) {
                // It may be a copy of the life before, see below, or already of the one that begins now.
                self.cut(i, now);
            } else if stat.size == 0 {
                return Resemblance::TooEarly;
            }
            let Some(original) = &self.files[i].handle else { continue };
            if begins_like(&mut self.disk, handle, stat.size, original) {
                return Resemblance::CopyOf(self.files[i].id);
            }
        }
        let gone = self.missing.iter().map(|m| &m.position);
        let mut lives: Vec<Position> =
            self.dead.iter().map(|d| &d.position).chain(gone).cloned().collect();
        // Many files begin with the same few bytes: the one with the most in common is the one.
        lives.sort_by_key(|life| std::cmp::Reverse((life.prefix.len, life.offset)));
        for life in lives.iter().filter(|l| related(l.place(), base)) {
            if let Some(offset) = self.goes_on(life, handle, stat) {
                self.continued(life.file, stat.size);
                let guard = if offset == life.offset {
                    life.guard
                } else {
                    match end_of(&mut self.disk, handle, stat) {
                        Ok((_, guard)) => guard,
                        Err(_) => continue,
                    }
                };
                return Resemblance::Continues { life: life.file, offset, guard };
            }
        }
        Resemblance::None
    }

    /// Where to go on in a copy of a life that has ended: where that life was left, or, if the copy does not reach so
    /// far, at its end.
    pub(super) fn goes_on(
        &mut self,
        life: &Position,
        copy: &D::Handle,
        stat: &Stat,
    ) -> Option<u64> {
        let prefix = life.prefix.len as usize;
        let first = read_exact(&mut self.disk, copy, 0, prefix).ok()?;
        if prefix == 0 || !is_guarded_by(&first, life.prefix) {
            return None;
        }
        if stat.size < life.offset {
            return Some(stat.size);
        }
        self.stands_there(life, copy)
    }

    /// Where a life was left, if the bytes before that place stand there in its copy too.
    fn stands_there(&mut self, life: &Position, copy: &D::Handle) -> Option<u64> {
        let len = life.guard.len as usize;
        let before = read_exact(&mut self.disk, copy, life.offset - len as u64, len).ok()?;
        is_guarded_by(&before, life.guard).then_some(life.offset)
    }

    /// The rest of a life was found in a copy of `size` bytes.
    pub(super) fn continued(&mut self, life: FileRef, size: u64) {
        for dead in self.dead.iter_mut().filter(|d| d.position.file == life) {
            dead.continued_to = dead.continued_to.max(size);
        }
        for missing in self.missing.iter_mut().filter(|m| m.position.file == life) {
            missing.position.size = missing.position.offset;
            missing.dirty = true;
        }
    }

    /// Looks for what is left of lives that ended in copies known as such, and reports what is left nowhere.
    pub(super) fn settle_dead(&mut self, now: Timestamp, sink: &mut impl Sink) {
        let mut taken_over = BTreeMap::new();
        for i in 0..self.files.len() {
            let Some(original) = self.files[i].copy_of else { continue };
            if self.files[i].decoding.is_some() {
                continue;
            }
            let ended = self.dead.iter().map(|d| &d.position);
            let gone = self.missing.iter().map(|m| &m.position);
            let life = ended.chain(gone).find(|life| life.file == original).cloned();
            if let Some(life) = life {
                self.take_over(i, &life, now);
                if self.files[i].copy_of.is_none() {
                    taken_over.insert(original, self.files[i].id);
                }
            }
        }
        self.settle_forms(&taken_over, now);
        for dead in std::mem::take(&mut self.dead) {
            if dead.held_bytes > 0 {
                sink.report(Report::Read { bytes: dead.held_bytes });
            }
            let mut bytes = dead.position.size.saturating_sub(dead.continued_to);
            let mut held = dead.position.held.clone();
            if self.may_have_form(&dead.position) {
                held = None;
                let size = dead.position.offset + std::mem::take(&mut bytes);
                self.remember(Position { size, ..dead.position });
            }
            if !dead.recycled {
                sink.report(Report::Truncated { bytes_unknown: bytes });
            } else if bytes > 0 {
                sink.report(Report::Abandoned { bytes });
            }
            if let Some(held) = held {
                self.give_held(held, now, sink);
            }
        }
    }

    /// Makes a copy the successor of the life it was copied from.
    pub(super) fn take_over(&mut self, i: usize, life: &Position, now: Timestamp) {
        let Ok((handle, stat)) = self.disk.open(&self.files[i].path) else { return };
        if stat.inode != self.files[i].id.inode {
            return;
        }
        // Made before its original had all its first bytes, it is a copy nevertheless.
        let offset = match self.goes_on(life, &handle, &stat) {
            None if stat.size < u64::from(life.prefix.len) => self.stands_there(life, &handle),
            offset => offset,
        };
        let offset = offset.unwrap_or(stat.size);
        let before = offset.min(MAX_GUARD_BYTES as u64);
        let Ok(bytes) = read_exact(&mut self.disk, &handle, offset - before, before as usize)
        else {
            return;
        };
        let file = &mut self.files[i];
        file.copy_of = None;
        file.size = stat.size;
        file.jump(offset, Guard::of(&bytes));
        file.begin = offset;
        file.before = Before::of(&bytes);
        file.handle = Some(handle);
        // A prefix that can't be read now is read with the next growth.
        let _ = extend_prefix(&mut self.disk, &mut self.files[i]);
        self.continued(life.file, stat.size);
        if let Some(held) = self.take_held(life.file, offset) {
            self.files[i].hold(held, &self.settings, now);
        }
    }
}

/// Whether two paths may be one file before and after a rotation.
pub(super) fn related(path: &Path, base: &Path) -> bool {
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned());
    path.parent() == base.parent()
        && match (name(path), name(base)) {
            (Some(path), Some(base)) => path.starts_with(&base),
            _ => false,
        }
}

/// Whether what there is of `copy` stands at the same place in `original`: its first bytes and its last.
fn begins_like<D: Disk>(disk: &mut D, copy: &D::Handle, size: u64, original: &D::Handle) -> bool {
    let last = size.min(MAX_GUARD_BYTES as u64);
    let mut equal = |at: u64, len: usize| {
        let mut read = |handle| read_exact(disk, handle, at, len);
        matches!((read(copy), read(original)), (Ok(a), Ok(b)) if a == b && !a.is_empty())
    };
    let first = usize::try_from(size).map_or(MAX_PREFIX_BYTES, |s| s.min(MAX_PREFIX_BYTES));
    equal(0, first) && equal(size - last, last as usize)
}
