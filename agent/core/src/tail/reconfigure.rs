//! Other settings for a source that goes on.
//!
//! Owns what becomes of what is known: under another name it is told to the collector anew, under other paths the files
//! that do not belong to them are let go. Never closes a file that is still ours: what it has left unread may stand
//! nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use watchkeeper_model::{FileRef, Frontier, Timestamp};

use super::disk::{Behind, Disk};
use super::file::shown;
use super::follow::Tail;
use super::join::Joining;
use super::position::Position;
use super::settings::TailSettings;

/// The most files whose place is told at once under a new name: they have to leave room in a batch. What is beyond is
/// told when it grows.
const MAX_TOLD: usize = 500;

/// Files under the names they had and those they get.
type Renamed = BTreeMap<FileRef, FileRef>;

impl<D: Disk> Tail<D> {
    /// Follows by these settings from now on. `start_at` is the business of a first start and changes nothing.
    ///
    /// To be called when everything is sealed: what was read under the old name has to be told under it.
    pub fn reconfigure(&mut self, settings: TailSettings) {
        // The others take effect where they are looked at: none is kept elsewhere, with a file or a framer.
        let TailSettings {
            source,
            start_at: _,
            max_line_bytes,
            join,
            rotate_wait: _,
            linger: _,
            compressed,
            max_held_bytes: _,
            max_held_age: _,
        } = &settings;
        let renamed = *source != self.settings.source;
        let joins_otherwise =
            (join, max_line_bytes) != (&self.settings.join, &self.settings.max_line_bytes);
        if joins_otherwise {
            self.files.iter_mut().for_each(|file| file.join_anew(&self.settings));
            self.joining = Joining::by(&settings);
        }
        if *compressed != self.settings.compressed {
            self.skipped.clear();
        }
        self.settings = settings;
        if renamed {
            self.rename_files();
            self.claim_stored();
        }
    }

    /// Gives what is followed to the source's new name, where reading begins anew: the collector adds up by source and
    /// file, and what it has under the other name is no gap under this one. A file's number changes too, or it would
    /// be one if the source got its old name back.
    fn rename_files(&mut self) {
        let (mut renamed, mut told) = (Renamed::new(), Vec::new());
        for file in &mut self.files {
            renamed.insert(file.id, reborn(file.id));
            file.id = reborn(file.id);
            file.begin = file.sealed;
            file.dirty = true;
            if file.copy_of.is_none() && !file.is_unsealed() {
                told.push(file.frontier(&self.settings.source));
            }
        }
        self.renamed(renamed, told);
    }

    /// Gives positions that were stored under another name to this source.
    pub(super) fn claim_stored(&mut self) {
        let source = &self.settings.source;
        let (mut renamed, mut told) = (Renamed::new(), Vec::new());
        for missing in self.missing.iter_mut().filter(|m| m.position.source != *source) {
            let position = &mut missing.position;
            renamed.insert(position.file, reborn(position.file));
            position.source.clone_from(source);
            position.file = reborn(position.file);
            position.begin = position.offset;
            missing.dirty = true;
            if position.copy_of.is_none() {
                told.push(frontier_of(position));
            }
        }
        self.renamed(renamed, told);
    }

    /// Tells the collector under which name it will hear of files, the latest first, even if they never grow again:
    /// should the spool be lost, it knows them.
    fn renamed(&mut self, renamed: Renamed, mut told: Vec<Frontier>) {
        let copies = self.files.iter_mut().map(|f| &mut f.copy_of);
        let gone = self.missing.iter_mut().map(|m| &mut m.position.copy_of);
        for original in copies.chain(gone).flatten() {
            *original = renamed.get(original).copied().unwrap_or(*original);
        }
        self.forget.extend(renamed.into_keys());
        told.sort_by_key(|f| std::cmp::Reverse((f.file.born, f.file.inode)));
        told.truncate(MAX_TOLD.saturating_sub(self.closing.len()));
        self.closing.extend(told);
    }

    /// The disk looks for other paths by now. Files are let go whose last path is none of them: what they have unread is
    /// not ours and no loss, and their places are kept in case they become ours again. The directories are looked
    /// through with the next poll.
    pub fn keep_ours(&mut self, is_ours: impl Fn(&D, &Path) -> bool) {
        for i in (0..self.files.len()).rev() {
            let file = &self.files[i];
            if !is_ours(&self.disk, Behind::ours(file.behind.as_ref(), &file.path)) {
                self.lose_sight(i, Timestamp::MAX);
            }
        }
        for missing in &mut self.missing {
            let position = &mut missing.position;
            let is_owed = position.copy_of.is_none() && position.size > position.offset;
            let path = Behind::ours(position.behind.as_ref(), Path::new(&position.path));
            if is_owed && !is_ours(&self.disk, path) {
                position.size = position.offset;
                missing.dirty = true;
            }
        }
        // A sibling that was not ours to read may be one of the paths now.
        self.ignored.clear();
        self.skipped.clear();
        self.next_scan = Timestamp(i64::MIN);
    }
}

/// The number of the same life of a file under another name of its source.
fn reborn(file: FileRef) -> FileRef {
    FileRef { born: file.born.shifted(1), ..file }
}

fn frontier_of(position: &Position) -> Frontier {
    Frontier {
        source: position.source.clone(),
        path: shown(&position.path),
        file: position.file,
        prefix: position.prefix,
        begin: position.begin,
        from: position.offset,
        to: position.offset,
        guard: position.guard,
    }
}
