//! One look at one file, and one bounded read.
//!
//! Owns the check before every read: the bytes before the place read last must still stand there, in the very same
//! read, or the file was cut and this is another life of it.

use watchkeeper_model::{FileRef, Guard, Timestamp};

use super::disk::{Disk, Kind, Stat};
use super::file::{File, is_guarded_by};
use super::follow::{Dead, Report, Sink, TURN_BYTES, Tail};
use super::join::{Joining, Piece};
use super::position::MAX_PREFIX_BYTES;

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// Nothing new, or nothing that may be read.
    Idle,
    /// Something was read, and that was all.
    Read,
    /// Something was read, and there is more.
    More,
}

/// Why a look ended early.
pub(super) enum Broken {
    /// This life has ended: the file was cut.
    Cut,
    /// The file can't be looked at.
    Problem(String),
}

impl<D: Disk> Tail<D> {
    pub(super) fn look(
        &mut self,
        i: usize,
        now: Timestamp,
        may_read: bool,
        sink: &mut impl Sink,
    ) -> Looked {
        let looked = self.notice_growth(i, now, sink).and_then(|()| {
            let may_read = may_read && !self.waiting;
            if may_read && self.files[i].has_unread() {
                self.turn(i, now, sink)
            } else {
                Ok(Looked::Idle)
            }
        });
        match looked {
            Ok(looked) => {
                let file = &mut self.files[i];
                match looked {
                    Looked::More => file.pace.more(),
                    Looked::Read => file.pace.grown(now),
                    // It may not be read just now: no reason to look at it more rarely.
                    Looked::Idle if file.has_unread() => file.pace.grown(now),
                    Looked::Idle => file.pace.idle(now),
                }
                looked
            }
            Err(broken) => self.broken(i, now, broken),
        }
    }

    /// What a look that ended early comes to.
    pub(super) fn broken(&mut self, i: usize, now: Timestamp, broken: Broken) -> Looked {
        match broken {
            Broken::Cut => {
                self.cut(i, now);
                Looked::Read
            }
            Broken::Problem(why) => {
                let file = &mut self.files[i];
                file.pace.idle(now);
                self.problems.insert(file.path.clone(), why);
                Looked::Idle
            }
        }
    }

    /// Takes note of size, first bytes and age, and of a file that was cut.
    fn notice_growth(
        &mut self,
        i: usize,
        now: Timestamp,
        sink: &mut impl Sink,
    ) -> Result<(), Broken> {
        let Self { files, disk, .. } = self;
        let file = &mut files[i];
        let Some(handle) = &file.handle else { return Ok(()) };
        let stat = disk.stat(handle).map_err(Broken::Problem)?;
        if stat.size < file.next_read().0 {
            return Err(Broken::Cut);
        }
        let touched = stat.modified != file.modified;
        if stat.size < u64::from(file.prefix.len) && file.next_read().0 > 0 {
            // Cut, but perhaps not as far as we have read.
            verify(disk, file)?;
            file.prefix = Guard::default();
        } else if stat.size < file.size || (touched && stat.size == file.size) {
            is_intact(disk, file).then_some(()).ok_or(Broken::Cut)?;
        }
        if stat.size < file.size {
            let bytes_unknown = file.size - stat.size;
            file.held_at = None;
            sink.report(Report::Truncated { bytes_unknown });
        }
        if stat.size > file.size {
            file.grown_at = now;
            file.ended = false;
            file.pace.grown(now);
        }
        let size = std::mem::replace(&mut file.size, stat.size);
        file.modified = stat.modified;
        // What was cut counts by the size it had in its own life.
        extend_prefix(disk, file).inspect_err(|_| file.size = size)
    }

    /// Reads once and gives out what it made.
    fn turn(&mut self, i: usize, now: Timestamp, sink: &mut impl Sink) -> Result<Looked, Broken> {
        let Self { files, disk, buffer, settings, joining, .. } = self;
        let file = &mut files[i];
        let Some(handle) = &file.handle else { return Ok(Looked::Idle) };
        let form = joining.as_ref().map_or(settings.line_form(), Joining::line_form);
        let stored_held = file.stores_held();
        sink.file(file.configured());
        let mut want = TURN_BYTES;
        loop {
            let (from, before) = file.next_read();
            let n_before = before.len();
            buffer.resize(buffer.len().max(n_before + want), 0);
            let into = &mut buffer[..n_before + want];
            let n = disk.read_at(handle, from - n_before as u64, into).map_err(Broken::Problem)?;
            if n < n_before || !before.is(&buffer[..n_before]) {
                return Err(Broken::Cut);
            }
            // Little or nothing stands before the first bytes, but what they are is known.
            let n_first = file.prefix.len as usize;
            let is_first = from == n_before as u64;
            if is_first && (n < n_first || !is_guarded_by(&buffer[..n_first], file.prefix)) {
                return Err(Broken::Cut);
            }
            let chunk = &buffer[n_before..n];
            let mark = if from == 0 && chunk.starts_with(BYTE_ORDER_MARK) {
                BYTE_ORDER_MARK.len()
            } else {
                0
            };
            sink.reading(file.id, &file.path, from);
            let mut framed = match joining {
                None => file.framer.frame(&chunk[mark..], form, |r, _| sink.record(r)),
                Some(joining) => {
                    let (place, mut start) = (from + mark as u64, file.read_to());
                    let (framer, joiner) = (&mut file.framer, &mut file.joiner);
                    framer.frame(&chunk[mark..], form, |record, end| {
                        let end = place + end as u64;
                        let piece = Piece { record, start, end };
                        joiner.take(joining, now, piece, &mut |r| sink.record(r));
                        start = end;
                    })
                }
            };
            if framed.used > 0 {
                framed.used += mark;
                framed.boundary = framed.boundary.map(|b| b + mark);
            }
            let is_full = chunk.len() == want;
            if framed.used == 0 && is_full {
                // The line is longer than a turn; the next size up tells whether it is too long.
                want = (want * 4).min(form.max_bytes + 2 + BYTE_ORDER_MARK.len()).max(want + 1);
                continue;
            }
            let read_to = from + chunk.len() as u64;
            let offset = file.offset;
            file.size = file.size.max(read_to);
            file.advance(from, &buffer[..n], n_before, framed, settings.max_reread_bytes());
            // What was stored may have been given out though the offset is the same.
            file.dirty |= stored_held && framed.boundary.is_some();
            file.grown_at = now;
            file.held_at = (!is_full).then_some(file.size);
            if file.offset > offset {
                sink.report(Report::Read { bytes: file.offset - offset });
            }
            buffer.truncate(TURN_BYTES * 2);
            return Ok(if is_full { Looked::More } else { Looked::Read });
        }
    }

    /// Ends this life of a file and begins its next one. What was left of the old one is settled by the next scan,
    /// which looks for a copy.
    pub(super) fn cut(&mut self, i: usize, now: Timestamp) {
        let settings = &self.settings;
        let file = &mut self.files[i];
        // What is held was read, and goes with the position: either a copy goes on with it, or it is given out.
        let held_bytes = file.catch_up();
        let continued_to = file.offset;
        let position = file.position(settings);
        self.dead.push(Dead { position, recycled: false, continued_to, held_bytes });
        if file.is_unsealed() {
            self.closing.push(file.frontier(&settings.source));
        }
        self.forget.push(file.id);
        let born = now.max(file.id.born.shifted(1));
        let id = FileRef { inode: file.id.inode, born };
        let handle = file.handle.take();
        let stat = handle.as_ref().and_then(|h| self.disk.stat(h).ok());
        let (path, sight) = (file.path.clone(), file.sight);
        let (base, behind) = (file.base.take(), file.behind.take());
        let decoding = file.decoding.take().map(|_| Box::default());
        let stat = stat.unwrap_or(Stat {
            dev: file.dev,
            inode: id.inode,
            size: 0,
            created: file.created,
            modified: file.modified,
            n_links: 1,
            kind: Kind::Regular,
        });
        *file = File::new(id, path, &stat, handle, now);
        file.sight = sight;
        (file.base, file.behind) = (base, behind);
        file.decoding = decoding;
        // So that this life can be told from the next even if it is cut again before it is read. If it can't be read
        // now, it is with the next growth.
        let _ = extend_prefix(&mut self.disk, file);
    }
}

/// The file's first bytes and those before the place read last still stand there.
pub(super) fn is_intact<D: Disk>(disk: &mut D, file: &File<D::Handle>) -> bool {
    let Some(handle) = &file.handle else { return true };
    let prefix = read_exact(disk, handle, 0, file.prefix.len as usize);
    prefix.is_ok_and(|bytes| is_guarded_by(&bytes, file.prefix)) && verify(disk, file).is_ok()
}

/// The bytes before the place read last still stand there.
fn verify<D: Disk>(disk: &mut D, file: &File<D::Handle>) -> Result<(), Broken> {
    let Some(handle) = &file.handle else { return Ok(()) };
    let (at, before) = file.next_read();
    let bytes = read_exact(disk, handle, at - before.len() as u64, before.len())?;
    if before.is(&bytes) { Ok(()) } else { Err(Broken::Cut) }
}

/// Hashes more of the first bytes as long as there are not enough, and checks that the old ones have stayed.
pub(super) fn extend_prefix<D: Disk>(
    disk: &mut D,
    file: &mut File<D::Handle>,
) -> Result<(), Broken> {
    let len = file.prefix.len as usize;
    let Some(handle) = &file.handle else { return Ok(()) };
    if len >= MAX_PREFIX_BYTES || file.size <= len as u64 {
        return Ok(());
    }
    let bytes = read_exact(disk, handle, 0, MAX_PREFIX_BYTES)?;
    if bytes.len() < len || !is_guarded_by(&bytes[..len], file.prefix) {
        return Err(Broken::Cut);
    }
    if bytes.len() > len {
        file.prefix = Guard::of(&bytes);
        file.dirty = true;
    }
    Ok(())
}

/// Up to `len` bytes at an offset; fewer only at the file's end.
pub(super) fn read_exact<D: Disk>(
    disk: &mut D,
    handle: &D::Handle,
    offset: u64,
    len: usize,
) -> Result<Vec<u8>, Broken> {
    let mut bytes = vec![0; len];
    let n = disk.read_at(handle, offset, &mut bytes).map_err(Broken::Problem)?;
    bytes.truncate(n);
    Ok(bytes)
}
