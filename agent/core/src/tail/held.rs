//! Giving out what joiners hold.
//!
//! Owns when that is: in time, when settings have changed, and when its file or its life has ended. What is given out and
//! the position without it go into the same seal. Never gives out a part because of the time while more of its file can be
//! read.

use std::path::Path;

use watchkeeper_model::{FileRef, Timestamp};

use super::disk::Disk;
use super::file::File;
use super::follow::{Dead, MAX_UNSEALED_FILES, Report, Sink, Tail};
use super::join::{Held, Joiner, Joining};
use super::pace;
use super::position::Position;

impl<D: Disk> Tail<D> {
    /// What comes before anything is read: parts that no line can go on with under these settings are given out, and
    /// files of which something is due are looked at once more.
    pub(super) fn before_turns(&mut self, now: Timestamp, sink: &mut impl Sink) {
        for i in 0..self.files.len() {
            let file = &mut self.files[i];
            file.joiner.not_after(now);
            if let Some(stale) = file.stale.take() {
                file.dirty = true;
                self.give_held(stale, now, sink);
            } else if is_due(file, self.joining.as_ref(), now) {
                file.pace.more();
            }
        }
    }

    /// Gives out what was waited for long enough, of files that were read to their end just now.
    pub(super) fn give_due(&mut self, now: Timestamp, sink: &mut impl Sink) {
        let Self { files, joining: Some(joining), .. } = self else { return };
        let mut n_unsealed = files.iter().filter(|f| f.is_unsealed()).count();
        for file in files {
            let can_wait = file.has_unread() || file.pace.is_due(now) || file.is_not_decoded();
            if can_wait || !is_due(file, Some(joining), now) {
                continue;
            }
            if !file.is_unsealed() && file.ahead.is_some() {
                if n_unsealed >= MAX_UNSEALED_FILES {
                    continue;
                }
                n_unsealed += 1;
            }
            sink.file(file.configured());
            sink.reading(file.id, &file.path, file.read_to());
            file.joiner.give_due(joining, now, &mut |r| sink.record(r));
            let bytes = file.catch_up();
            if bytes > 0 {
                sink.report(Report::Read { bytes });
            }
            file.dirty = true;
        }
    }

    /// When the next part is due in a file that has nothing to be read first.
    pub(super) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let joining = self.joining.as_ref()?;
        let waiting = self.files.iter().filter(|f| !f.joiner.is_empty() && !f.has_unread());
        let next = waiting.filter_map(|f| f.joiner.deadline(joining)).min()?;
        // What is due and has to wait for the next seal is not asked for all the time.
        Some(next.max(now + pace::ACTIVE))
    }

    /// Gives out everything that is held of a file.
    pub(super) fn give_all(&mut self, i: usize, now: Timestamp, sink: &mut impl Sink) {
        let file = &mut self.files[i];
        if !file.holds() {
            return;
        }
        let bytes = file.catch_up();
        if bytes > 0 {
            sink.report(Report::Read { bytes });
        }
        sink.reading(file.id, &file.path, file.read_to());
        let held = file.held(&self.settings);
        (file.joiner, file.stale, file.dirty) = (Joiner::default(), None, true);
        held.into_iter().for_each(|held| self.give_held(held, now, sink));
    }

    /// Gives out what was held of a file that is not read on.
    pub(super) fn give_held(&mut self, held: Held, now: Timestamp, sink: &mut impl Sink) {
        sink.file(Path::new(&held.path));
        let mut joiner = Joiner::restored(held.streams, 0, now);
        match &self.joining {
            Some(joining) if held.join == joining.settings().key() => {
                joiner.finish(joining, now, &mut |r| sink.record(r));
            }
            _ => joiner.finish_apart(&mut |r| sink.record(r)),
        }
    }

    /// What is held of a life that goes on at this place of another file. If it goes on elsewhere, the life keeps it.
    pub(super) fn take_held(&mut self, life: FileRef, offset: u64) -> Option<Held> {
        let is_it = |p: &Position| p.file == life && p.offset == offset && p.held.is_some();
        if let Some(dead) = self.dead.iter_mut().find(|d| is_it(&d.position)) {
            return dead.position.held.take();
        }
        let missing = self.missing.iter_mut().find(|m| is_it(&m.position))?;
        missing.dirty = true;
        missing.position.held.take()
    }

    /// Forgets a life whose file is another one's by now, but not what is held of it.
    pub(super) fn bury(&mut self, position: Position) {
        if position.held.is_some() {
            let continued_to = position.size;
            self.dead.push(Dead { position, recycled: true, continued_to, held_bytes: 0 });
        }
    }
}

fn is_due<H>(file: &File<H>, joining: Option<&Joining>, now: Timestamp) -> bool {
    let deadline = joining.and_then(|joining| file.joiner.deadline(joining));
    deadline.is_some_and(|at| at <= now)
}
