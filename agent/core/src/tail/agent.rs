//! An agent that tails files in memory, for tests.
//!
//! Owns what surrounds tailing there: time that passes, seals that succeed, fail or are lost in a crash, and what became
//! durable by them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use watchkeeper_model::Timestamp;

use super::memory::{MemoryDisk, World};
use super::names::classify;

/// An agent reduced to one tail and what is durable of it.
pub(super) struct Agent {
    pub(super) disk: MemoryDisk,
    pub(super) settings: super::TailSettings,
    tail: Option<super::Tail<MemoryDisk>>,
    rows: BTreeMap<watchkeeper_model::FileRef, String>,
    looked_at: Option<Timestamp>,
    pub(super) wait: bool,
    unsealed: Seen,
    pub(super) sealed: Seen,
    /// What the collector would know.
    pub(super) frontiers: BTreeMap<watchkeeper_model::FileRef, watchkeeper_model::Frontier>,
    /// By source and file, as the collector adds it up: where reading began, how far it went, how much has arrived.
    pub(super) coverage: BTreeMap<(String, watchkeeper_model::FileRef), (u64, u64, u64)>,
}

/// What came out of a tail.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) lines: Vec<String>,
    /// For each line the file it was said to be of, and what its wrapper said, if it had one.
    pub(super) origins: Vec<(PathBuf, Option<(super::Stream, String)>)>,
    path: PathBuf,
    pub(super) n_unparsable: u64,
    pub(super) n_too_long: u64,
    pub(super) n_blank: u64,
    pub(super) n_compressed: u64,
    pub(super) n_truncated: u64,
    pub(super) bytes: u64,
    pub(super) unknown: u64,
    pub(super) abandoned: u64,
    pub(super) n_damaged: u64,
}

impl super::Sink for Seen {
    fn file(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
    }

    fn record(&mut self, record: super::Record<'_>) {
        match record {
            super::Record::Line(line) => {
                self.lines.push(String::from_utf8_lossy(line).into_owned());
                self.origins.push((self.path.clone(), None));
            }
            super::Record::Wrapped(super::Wrapped { text, stream, time }) => {
                self.lines.push(String::from_utf8_lossy(text).into_owned());
                self.origins.push((self.path.clone(), Some((stream, time.to_owned()))));
            }
            super::Record::Unparsable(_) => self.n_unparsable += 1,
            super::Record::TooLong => self.n_too_long += 1,
            super::Record::Blank => self.n_blank += 1,
        }
    }

    fn report(&mut self, report: super::Report) {
        match report {
            super::Report::Read { bytes } => self.bytes += bytes,
            super::Report::Truncated { bytes_unknown } => {
                self.n_truncated += 1;
                self.unknown += bytes_unknown;
            }
            super::Report::Unknown { bytes } => self.unknown += bytes,
            super::Report::Abandoned { bytes } => self.abandoned += bytes,
            super::Report::Compressed => self.n_compressed += 1,
            super::Report::Damaged { bytes_unknown } => {
                self.n_damaged += 1;
                self.unknown += bytes_unknown;
            }
        }
    }
}

impl Agent {
    pub(super) fn new() -> Self {
        Self {
            disk: MemoryDisk::new(("/l/", ".log")),
            settings: super::TailSettings {
                start_at: super::StartAt::Beginning,
                ..super::TailSettings::new("s")
            },
            tail: None,
            rows: BTreeMap::new(),
            looked_at: None,
            wait: false,
            unsealed: Seen::default(),
            sealed: Seen::default(),
            frontiers: BTreeMap::new(),
            coverage: BTreeMap::new(),
        }
    }

    /// An agent that reads gzip files, in a directory where everything matches.
    pub(super) fn reading_compressed() -> Self {
        let mut agent = Self::new();
        agent.disk.pattern = ("/l/", "");
        agent.settings.compressed = super::Compressed::Read;
        agent
    }

    /// An agent that looks for a link to what another finds by its name.
    pub(super) fn behind_a_link() -> Self {
        let mut agent = Self::new();
        agent.disk.pattern = ("/c/", ".log");
        agent.disk.link = Some(("/c/web.log", "/l/app.log"));
        agent
    }

    /// Changes the world, a moment later.
    pub(super) fn world(&self) -> std::cell::RefMut<'_, World> {
        let mut world = self.disk.world.borrow_mut();
        world.now = world.now.shifted(1_000_000);
        world
    }

    pub(super) fn now(&self) -> Timestamp {
        self.disk.world.borrow().now
    }

    pub(super) fn wait_for(&self, secs: u64) {
        let mut world = self.disk.world.borrow_mut();
        world.now = world.now + std::time::Duration::from_secs(secs);
    }

    pub(super) fn tail(&mut self) -> &mut super::Tail<MemoryDisk> {
        if self.tail.is_none() {
            let bodies: Vec<String> = self.rows.values().cloned().collect();
            let stored = super::Stored::read(self.looked_at, bodies, self.wait);
            let tail = super::Tail::new(self.settings.clone(), stored, self.disk.clone());
            self.tail = Some(tail);
        }
        self.tail.as_mut().unwrap()
    }

    pub(super) fn poll_with(&mut self, may_read: bool) -> super::Progress {
        let now = self.now();
        self.tail();
        let (tail, unsealed) = (self.tail.as_mut().unwrap(), &mut self.unsealed);
        tail.poll(now, may_read, unsealed)
    }

    pub(super) fn poll(&mut self) -> super::Progress {
        self.poll_with(true)
    }

    /// Looks at everything until there is nothing more to do at once.
    pub(super) fn catch_up(&mut self) {
        self.tail().hint(None);
        for _ in 0..100 {
            let next = self.poll().next;
            if next > self.now() {
                return;
            }
        }
        panic!("never done");
    }

    pub(super) fn seal(&mut self) {
        let checkpoint = self.tail().checkpoint();
        for frontier in &checkpoint.frontiers {
            assert!(frontier.begin <= frontier.from && frontier.from <= frontier.to);
            let covered = self
                .coverage
                .entry((frontier.source.clone(), frontier.file))
                .or_insert((frontier.begin, frontier.to, 0));
            covered.0 = covered.0.min(frontier.begin);
            covered.1 = covered.1.max(frontier.to);
            covered.2 += frontier.to - frontier.from;
            self.frontiers.insert(frontier.file, frontier.clone());
        }
        for file in &checkpoint.forget {
            self.rows.remove(file);
        }
        for position in &checkpoint.store {
            self.rows.insert(position.file, position.encode());
        }
        self.looked_at = checkpoint.looked_at;
        self.tail().committed();
        let Seen {
            lines,
            origins,
            path: _,
            n_unparsable,
            n_too_long,
            n_blank,
            n_compressed,
            n_truncated,
            bytes,
            unknown,
            abandoned,
            n_damaged,
        } = std::mem::take(&mut self.unsealed);
        self.sealed.lines.extend(lines);
        self.sealed.origins.extend(origins);
        self.sealed.n_unparsable += n_unparsable;
        self.sealed.n_too_long += n_too_long;
        self.sealed.n_blank += n_blank;
        self.sealed.n_compressed += n_compressed;
        self.sealed.n_truncated += n_truncated;
        self.sealed.bytes += bytes;
        self.sealed.unknown += unknown;
        self.sealed.abandoned += abandoned;
        self.sealed.n_damaged += n_damaged;
    }

    /// A seal that fails: the accumulator keeps what was counted, the positions stay where they were.
    pub(super) fn fail_to_seal(&mut self) {
        let _ = self.tail().checkpoint();
    }

    /// `kill -9`: whatever was not sealed is gone.
    pub(super) fn crash(&mut self) {
        self.tail = None;
        self.unsealed = Seen::default();
    }

    /// Goes on under another name: at once if it runs, else with the next start.
    pub(super) fn rename_source(&mut self, name: &str) {
        name.clone_into(&mut self.settings.source);
        self.reconfigure();
    }

    /// Goes on by the settings as they are now.
    pub(super) fn reconfigure(&mut self) {
        if self.tail.is_some() {
            self.seal();
            let settings = self.settings.clone();
            self.tail().reconfigure(settings);
        }
    }

    /// Looks for other paths from now on.
    pub(super) fn look_for(&mut self, pattern: (&'static str, &'static str)) {
        self.tail();
        self.seal();
        self.disk.pattern = pattern;
        let disk = self.disk.clone();
        *self.tail().disk_mut() = disk;
        self.tail().keep_ours(|disk, path| classify(path, |p| disk.matches(p)).is_some());
    }

    pub(super) fn lose_spool(&mut self) {
        self.crash();
        self.rows.clear();
        self.looked_at = None;
        self.wait = true;
    }

    pub(super) fn adopt(&mut self) {
        let frontiers: Vec<_> = self.frontiers.values().cloned().collect();
        let now = self.now();
        self.tail();
        let (tail, unsealed) = (self.tail.as_mut().unwrap(), &mut self.unsealed);
        tail.adopt(now, &frontiers, unsealed);
    }

    pub(super) fn corrupt_rows(&mut self) {
        self.rows.values_mut().for_each(|row| row.truncate(10));
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &str> {
        self.rows.values().map(String::as_str)
    }

    /// An older copy of what was stored, instead of what is.
    pub(super) fn put_back(&mut self, rows: Vec<String>) {
        let decode = |row: &String| super::Position::decode(row).unwrap().file;
        self.rows = rows.into_iter().map(|row| (decode(&row), row)).collect();
    }

    pub(super) fn n_rows(&self) -> usize {
        self.rows.len()
    }
}
