//! Letting files go.
//!
//! Owns the end of a file's life with us: its last line without line end, how long late writers are waited for, and
//! what is given up when it can't be read in time. Never lets go of bytes without counting them.

use std::time::Duration;

use watchkeeper_model::{FileRef, Timestamp};

use super::disk::Disk;
use super::file::{Before, File, Sight};
use super::follow::{Missing, Report, Sink, Tail};
use super::join::Piece;
use super::position::MAX_GUARD_BYTES;
use super::turn::{BYTE_ORDER_MARK, read_exact};

/// How long a stored position may stand without its file before what was left of it is reported.
pub(super) const MISSING_GRACE: Duration = Duration::from_secs(60);

/// How long it is kept in case its file system comes back.
const MISSING_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// The most positions kept for that.
const MAX_MISSING: usize = 10_000;

impl<D: Disk> Tail<D> {
    /// Looks after files that are rotated or deleted.
    pub(super) fn let_go(&mut self, now: Timestamp, may_read: bool, sink: &mut impl Sink) {
        let may_read = may_read && !self.waiting;
        for i in 0..self.files.len() {
            if may_read && self.is_quiet(&self.files[i], now, self.settings.rotate_wait) {
                self.end(i, now, sink);
            }
        }
        self.give_up(now, may_read, sink);
        self.close_quiet(now, sink);
        self.free_copies();
    }

    /// Whether a file has lost its name, was read to its end and has not grown since.
    fn is_quiet(&self, file: &File<D::Handle>, now: Timestamp, wait: Duration) -> bool {
        let Some(since) = file.sight.rotated_since() else { return false };
        // Compressed files have an end of their own.
        let is_plain = file.decoding.is_none();
        is_plain
            && file.handle.is_some()
            && !file.has_unread()
            && now.since(since.max(file.grown_at)) >= wait
    }

    /// Takes the last line, which has no line end and will not get one, and whatever waits for more lines.
    pub(super) fn end(&mut self, i: usize, now: Timestamp, sink: &mut impl Sink) {
        let Self { files, disk, settings, joining, .. } = self;
        let file = &mut files[i];
        let len = file.size.saturating_sub(file.offset);
        if !file.holds() && (file.ended || len == 0) {
            return;
        }
        let Some(handle) = &file.handle else { return };
        let start = file.read_to();
        let len_held =
            if file.framer.at_boundary() { file.size.saturating_sub(start) as usize } else { 0 };
        let before_len = file.size.min(MAX_GUARD_BYTES as u64);
        let (Ok(rest), Ok(before)) = (
            read_exact(disk, handle, start, len_held),
            read_exact(disk, handle, file.size - before_len, before_len as usize),
        ) else {
            return;
        };
        if rest.len() < len_held || (before.len() as u64) < before_len {
            // It was cut just now: the next look finds that out.
            return;
        }
        let mark = if start == 0 { BYTE_ORDER_MARK } else { &[] };
        let rest = rest.strip_prefix(mark).unwrap_or(&rest);
        sink.file(file.configured());
        sink.reading(file.id, &file.path, file.offset);
        match joining {
            None => file.framer.finish(rest, settings.line_form(), |r| sink.record(r)),
            Some(joining) => {
                let (form, end) = (joining.line_form(), file.size);
                let File { framer, joiner, .. } = file;
                framer.finish(rest, form, |record| {
                    joiner
                        .take(joining, now, Piece { record, start, end }, &mut |r| sink.record(r));
                });
                joiner.finish(joining, now, &mut |r| sink.record(r));
            }
        }
        if len > 0 {
            sink.report(Report::Read { bytes: len });
        }
        file.offset = file.size;
        file.before = Before::of(&before);
        (file.ahead, file.beyond) = (None, None);
        (file.ended, file.dirty) = (true, true);
    }

    /// Gives up unread bytes of files that have no name any more and were held too long, or, while files are not
    /// read, hold too much.
    fn give_up(&mut self, now: Timestamp, may_read: bool, sink: &mut impl Sink) {
        let nameless = |f: &File<D::Handle>| {
            let listed = matches!(f.sight, Sight::Present | Sight::Rotated { listed: true, .. });
            !listed && f.unread_bytes() > 0
        };
        let mut held: Vec<(Timestamp, FileRef, u64)> = Vec::new();
        for file in self.files.iter().filter(|f| nameless(f)) {
            let since = file.sight.rotated_since().unwrap_or(now);
            held.push((since, file.id, file.unread_bytes()));
        }
        held.sort_unstable();
        let mut total: u64 = held.iter().map(|h| h.2).sum();
        for (since, id, bytes) in held {
            let too_old = now.since(since) > self.settings.max_held_age;
            let too_much = !may_read && total > self.settings.max_held_bytes;
            if too_old || too_much {
                total -= bytes;
                if let Some(i) = self.files.iter().position(|f| f.id == id) {
                    self.give_up_one(i, now, sink);
                }
            }
        }
    }

    /// What is left of it, and held, goes on in its compressed form if there is one.
    fn give_up_one(&mut self, i: usize, now: Timestamp, sink: &mut impl Sink) {
        let file = &self.files[i];
        let in_form = self.bytes_in_form(file.id, file.offset);
        let may_go_on = self.may_have_form(&file.position(&self.settings));
        if !may_go_on {
            if in_form == 0 {
                // What is held of it was read.
                self.give_all(i, now, sink);
            }
            let file = &mut self.files[i];
            let bytes = file.unread_bytes().saturating_sub(in_form);
            if bytes > 0 {
                sink.report(Report::Abandoned { bytes });
            }
            file.size = file.offset;
        }
        self.close(i, now);
    }

    /// Closes files that late writers had long enough for.
    fn close_quiet(&mut self, now: Timestamp, sink: &mut impl Sink) {
        let wait = self.settings.rotate_wait + self.settings.linger;
        for i in (0..self.files.len()).rev() {
            let file = &self.files[i];
            if file.unread_bytes() > 0 || !self.is_quiet(file, now, wait) {
                continue;
            }
            self.give_all(i, now, sink);
            match self.files[i].sight {
                Sight::Present => {}
                // Should it grow after all, the next scan opens it again.
                Sight::Rotated { listed: true, .. } => self.files[i].handle = None,
                Sight::Rotated { listed: false, .. } => self.lose_sight(i, now),
                Sight::Deleted { .. } => self.close(i, now),
            }
        }
    }

    /// Ends a file's life with us.
    fn close(&mut self, i: usize, now: Timestamp) {
        let file = self.files.remove(i);
        if file.is_unsealed() {
            self.closing.push(file.frontier(&self.settings.source));
        }
        self.forget.push(file.id);
        let position = file.position(&self.settings);
        if self.hand_over(&position, now).is_none() && self.may_have_form(&position) {
            self.remember(position);
        }
    }

    /// A copy whose original is no longer followed has nothing more to wait for: its lines are counted.
    fn free_copies(&mut self) {
        for i in 0..self.files.len() {
            let Some(original) = self.files[i].copy_of else { continue };
            let known = self.files.iter().any(|f| f.id == original)
                || self.missing.iter().any(|m| m.position.file == original)
                || self.dead.iter().any(|d| d.position.file == original);
            if !known && self.files[i].decoding.is_some() {
                (self.files[i].copy_of, self.files[i].dirty) = (None, true);
            } else if !known {
                let (dev, id, created) =
                    (self.files[i].dev, self.files[i].id, self.files[i].created);
                self.ignored.insert((dev, id.inode, created));
            }
        }
        let ignored = &self.ignored;
        let gone = self.files.extract_if(.., |f| {
            f.copy_of.is_some() && ignored.contains(&(f.dev, f.id.inode, f.created))
        });
        self.forget.extend(gone.map(|f| f.id));
    }

    /// Reports what was left of files that are gone, and forgets them at last.
    pub(super) fn watch_missing(&mut self, now: Timestamp, sink: &mut impl Sink) {
        if self.waiting {
            return;
        }
        let mut held = Vec::new();
        for m in 0..self.missing.len() {
            let Missing { position, since, .. } = &mut self.missing[m];
            *since = (*since).min(now);
            if now.since(*since) < MISSING_GRACE {
                continue;
            }
            let unread = position.size.saturating_sub(position.offset);
            if self.may_have_form(&self.missing[m].position) {
                continue;
            }
            let Missing { position, dirty, .. } = &mut self.missing[m];
            if unread > 0 && position.copy_of.is_none() {
                sink.report(Report::Abandoned { bytes: unread });
                position.size = position.offset;
                *dirty = true;
            }
            if let Some(left) = position.held.take() {
                held.push(left);
                *dirty = true;
            }
        }
        self.missing.sort_by_key(|m| std::cmp::Reverse(m.since));
        let keep = self.missing.partition_point(|m| now.since(m.since) < MISSING_KEPT);
        let dropped = self.missing.split_off(keep.min(MAX_MISSING).min(self.missing.len()));
        for Missing { position, .. } in dropped {
            self.forget.push(position.file);
            held.extend(position.held);
        }
        held.into_iter().for_each(|held| self.give_held(held, now, sink));
    }
}
