//! Taking the collector's word for how far files were read.
//!
//! Owns what happens once after a start with a spool that is not the old one. Never takes a place whose bytes differ, and
//! never goes back behind a place of our own.

use std::path::Path;

use watchkeeper_model::{Frontier, Guard, Timestamp};

use super::disk::Disk;
use super::file::{Before, File};
use super::follow::{Missing, Report, Sink, Tail};
use super::names::is_gzip;
use super::position::Position;
use super::scan::is_same;

impl<D: Disk> Tail<D> {
    /// What the collector knows of our files: only asked by a source that waits, and then once. A place it knows is
    /// taken if first bytes and guard stand there; what neither side knows is reported.
    pub fn adopt(&mut self, now: Timestamp, frontiers: &[Frontier], sink: &mut impl Sink) {
        if !std::mem::replace(&mut self.waiting, false) {
            return;
        }
        let source = self.settings.source.clone();
        let known: Vec<Position> =
            frontiers.iter().filter(|f| f.source == source).map(position_of).collect();
        let newest = known.iter().map(|p| p.file.born).max();
        for i in 0..self.files.len() {
            let best = self.best_of(&known, i);
            let file = &mut self.files[i];
            let placed_by_start = std::mem::take(&mut file.placed_by_start);
            match (best, newest) {
                (Some(p), _) if p.offset > file.offset || placed_by_start => {
                    file.id = p.file;
                    file.jump(p.offset, p.guard);
                    file.begin = p.offset;
                    file.adopt_compressed(&p);
                }
                (None, Some(newest)) if placed_by_start && file.offset > 0 => {
                    if file.created.is_some_and(|c| c > newest) {
                        file.jump(0, Guard::of(&[]));
                        file.before = Before::nothing();
                        file.begin = 0;
                    } else {
                        sink.report(Report::Unknown { bytes: file.offset });
                    }
                }
                _ => {}
            }
            file.pace.more();
        }
        for position in known {
            let its = |f: &&File<_>| f.id.inode == position.file.inode;
            match self.files.iter().find(its) {
                None => {
                    self.missing.push(Missing { position, since: Timestamp::MAX, dirty: false })
                }
                // Another file has its inode by now, and it may be there in a compressed form.
                Some(f) if f.id != position.file && self.may_have_form(&position) => {
                    self.remember(position);
                }
                Some(_) => {}
            }
        }
        if newest.is_some() {
            self.ignored.clear();
            self.reference = newest;
        }
        self.next_scan = now;
    }

    fn best_of(&mut self, known: &[Position], i: usize) -> Option<Position> {
        let Self { files, disk, .. } = self;
        let file = &files[i];
        if file.decoding.is_some() {
            // What stands before the place is checked when it is read on.
            let same = known.iter().filter(|p| {
                p.compressed
                    && p.file.inode == file.id.inode
                    && (file.prefix.len == 0 || file.prefix == p.prefix)
            });
            return same.max_by_key(|p| p.offset).cloned();
        }
        let handle = file.handle.as_ref()?;
        let stat = disk.stat(handle).ok()?;
        let same = known.iter().filter(|p| p.file.inode == stat.inode);
        let same: Vec<&Position> = same.filter(|p| is_same(disk, handle, &stat, p)).collect();
        same.into_iter().max_by_key(|p| p.offset).cloned()
    }
}

fn position_of(frontier: &Frontier) -> Position {
    Position {
        source: frontier.source.clone(),
        file: frontier.file,
        dev: 0,
        path: frontier.path.clone(),
        behind: None,
        created: None,
        size: frontier.to,
        begin: frontier.to,
        offset: frontier.to,
        prefix: frontier.prefix,
        guard: frontier.guard,
        rotated: None,
        copy_of: None,
        held: None,
        compressed: is_gzip(Path::new(&frontier.path)),
        exhausted: None,
    }
}
