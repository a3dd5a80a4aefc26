//! How far one journal was read, and where reading goes on.
//!
//! Owns the position from entry to seal. It moves on only when the seal that covers it is durable: after a failed seal or
//! a crash the same entries are read again and counted for the first time. How far is a cursor; a running number of
//! bytes goes with it, so that the collector can add up what arrived and tell what is further. An entry that comes
//! again right behind itself is known: reading goes on *at* the last cursor and not behind it, because
//! `journalctl --after-cursor` before systemd 256 passes over one entry when the cursor's own is gone
//! (systemd issue 30288).

use watchkeeper_model::{FileRef, Frontier, Timestamp};

use super::cursor::is_cursor;
use super::position::{Corrupt, FILE, Place, Position, guard};
use super::split::Entry;
use crate::tail::StartAt;

/// What a source has stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// How far it had read; `None` if it never ran before.
    pub position: Option<Position>,
    /// The spool is new or not the one of before: nothing is read until the collector has said what it knows.
    pub wait: bool,
    /// Why what is stored can't be used. The source then stands still.
    pub corrupt: Option<Corrupt>,
}

impl Stored {
    /// Decodes what was stored: one row, or none.
    pub fn read(rows: &[String], wait: bool) -> Self {
        let decoded = match rows {
            [] => Ok(None),
            [row] => Position::decode(row).map(Some),
            _ => Err(Corrupt(format!("a journal has one position and not {}", rows.len()))),
        };
        match decoded {
            Ok(position) => Self { position, wait, corrupt: None },
            Err(corrupt) => Self { position: None, wait, corrupt: Some(corrupt) },
        }
    }
}

/// Where to begin reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin<'a> {
    /// With the first entry there is.
    Beginning,
    /// With the first entry of this time or later.
    Since(Timestamp),
    /// With the entry of this cursor, which is known, or with the first one behind it if that is gone.
    At(&'a str),
}

/// What to store with a seal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// How far was read since the last seal: goes into the batches.
    pub frontier: Option<Frontier>,
    /// The position, if it has to be stored.
    pub store: Option<(FileRef, Position)>,
}

/// How far one journal was read.
#[derive(Clone, Debug)]
pub struct Journal {
    source: String,
    start_at: StartAt,
    /// `None` before the first look.
    position: Option<Position>,
    /// Everything before this many bytes is sealed.
    sealed: u64,
    /// What the last checkpoint covers.
    checkpointed: u64,
    waiting: bool,
    corrupt: Option<Corrupt>,
    dirty: bool,
}

impl Journal {
    /// Goes on from what the source of this name had stored.
    pub fn new(source: &str, start_at: StartAt, stored: Stored) -> Self {
        let read = stored.position.as_ref().map_or(0, |p| p.read);
        Self {
            source: source.to_owned(),
            start_at,
            position: stored.position,
            sealed: read,
            checkpointed: read,
            waiting: stored.wait,
            corrupt: stored.corrupt,
            dirty: false,
        }
    }

    /// Looks at the time: the first look of a source that never ran before is what `start_at: end` means.
    pub fn look(&mut self, now: Timestamp) {
        if self.position.is_none() && self.corrupt.is_none() {
            let place = match self.start_at {
                StartAt::Beginning => Place::Beginning,
                StartAt::End => Place::Since(now),
            };
            self.position = Some(Position { place, begin: 0, read: 0 });
            self.dirty = true;
        }
    }

    /// Where to begin reading; `None` while nothing may be read.
    pub fn begin(&self) -> Option<Begin<'_>> {
        if self.waiting || self.corrupt.is_some() {
            return None;
        }
        Some(match &self.position.as_ref()?.place {
            Place::Beginning => Begin::Beginning,
            Place::Since(at) => Begin::Since(*at),
            Place::Behind(cursor) => Begin::At(cursor),
        })
    }

    /// Whether this is the entry that was read last.
    pub fn knows(&self, entry: &Entry) -> bool {
        self.position.as_ref().and_then(Position::cursor) == Some(&entry.cursor)
    }

    /// Takes an entry; whether it is to be counted. One that was read last and comes again is not.
    pub fn take(&mut self, entry: &Entry) -> bool {
        if self.knows(entry) {
            return false;
        }
        let Some(position) = &mut self.position else { return false };
        position.place = Place::Behind(entry.cursor.clone());
        position.read += entry.n_bytes;
        true
    }

    /// Whether there is something to store even if nothing was counted.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// What to store with the seal that is made now. Nothing may be taken until it is known whether it was stored.
    pub fn checkpoint(&mut self) -> Checkpoint {
        let Some(position) = &self.position else { return Checkpoint::default() };
        self.checkpointed = position.read;
        let is_unsealed = position.read != self.sealed;
        let frontier = position.cursor().filter(|_| is_unsealed).map(|cursor| Frontier {
            source: self.source.clone(),
            path: cursor.to_owned(),
            file: FILE,
            prefix: guard(cursor),
            begin: position.begin,
            from: self.sealed,
            to: position.read,
            guard: guard(cursor),
        });
        let store = (is_unsealed || self.dirty).then(|| (FILE, position.clone()));
        Checkpoint { frontier, store }
    }

    /// The last checkpoint is durable.
    pub fn committed(&mut self) {
        self.sealed = self.checkpointed;
        self.dirty = false;
    }

    /// What the collector knows of this agent's sources: only asked by a source that waits, and then once. Its word is
    /// taken if it is further than ours.
    pub fn adopt(&mut self, frontiers: &[Frontier]) {
        if !std::mem::replace(&mut self.waiting, false) {
            return;
        }
        let read = self.position.as_ref().map_or(0, |p| p.read);
        let ours = |f: &&Frontier| {
            f.source == self.source
                && f.file == FILE
                && is_cursor(&f.path)
                && f.guard == guard(&f.path)
        };
        let furthest = frontiers.iter().filter(ours).max_by_key(|f| f.to);
        if let Some(told) = furthest.filter(|f| f.to > read) {
            let place = Place::Behind(told.path.clone());
            self.position = Some(Position { place, begin: told.to, read: told.to });
            (self.sealed, self.checkpointed) = (told.to, told.to);
            self.dirty = true;
        }
    }

    /// What is read from now on is sealed under another epoch.
    pub fn epoch_changed(&mut self) {
        if let Some(position) = &mut self.position {
            position.begin = self.sealed;
            self.dirty = true;
        }
    }

    /// Whether nothing is read until the collector has said what it knows.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Why the source stands still for good, if it does.
    pub fn corrupt(&self) -> Option<&Corrupt> {
        self.corrupt.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn entry(n: u64) -> Entry {
        Entry { cursor: format!("c{n}"), n_bytes: 100, json: Some(Vec::new()) }
    }

    fn journal(start_at: StartAt, rows: &[String], wait: bool) -> Journal {
        let mut journal = Journal::new("sys", start_at, Stored::read(rows, wait));
        journal.look(T0);
        journal
    }

    /// One seal that succeeds: what was stored, and the frontier.
    fn seal(journal: &mut Journal) -> (Vec<String>, Option<Frontier>) {
        let checkpoint = journal.checkpoint();
        journal.committed();
        (checkpoint.store.iter().map(|(_, p)| p.encode()).collect(), checkpoint.frontier)
    }

    #[test]
    fn the_moment_of_the_first_start_holds_until_there_is_a_cursor() {
        let mut first = journal(StartAt::End, &[], false);
        assert_eq!(first.begin(), Some(Begin::Since(T0)));
        assert!(first.is_dirty());
        let (rows, frontier) = seal(&mut first);
        assert!(frontier.is_none() && !first.is_dirty());
        let mut second = Journal::new("sys", StartAt::Beginning, Stored::read(&rows, false));
        second.look(Timestamp(T0.nanos() + 1));
        assert_eq!(second.begin(), Some(Begin::Since(T0)), "not the moment of the second start");
        assert_eq!(seal(&mut second).0.len(), 0, "nothing new");
        assert!(second.take(&entry(1)));
        assert_eq!(second.begin(), Some(Begin::At("c1")));
        assert_eq!(journal(StartAt::Beginning, &[], false).begin(), Some(Begin::Beginning));
    }

    #[test]
    fn a_position_moves_on_when_its_seal_is_durable_and_frontiers_join() {
        let mut j = journal(StartAt::Beginning, &[], false);
        assert!(j.take(&entry(1)) && j.take(&entry(2)));
        let failed = j.checkpoint();
        assert!(j.take(&entry(3)));
        let (rows, frontier) = seal(&mut j);
        let frontier = frontier.unwrap();
        assert_eq!(
            failed.frontier.unwrap().from,
            frontier.from,
            "covered again after a failed seal"
        );
        assert_eq!((frontier.begin, frontier.from, frontier.to), (0, 0, 300));
        assert_eq!((frontier.path.as_str(), frontier.guard), ("c3", guard("c3")));
        let mut again = journal(StartAt::End, &rows, false);
        assert_eq!(again.begin(), Some(Begin::At("c3")));
        assert!(!again.take(&entry(3)), "it comes again, because reading goes on at it");
        assert!(again.checkpoint().frontier.is_none());
        assert!(again.take(&entry(4)));
        assert!(!again.take(&entry(4)));
        let frontier = seal(&mut again).1.unwrap();
        assert_eq!((frontier.begin, frontier.from, frontier.to), (0, 300, 400));
    }

    #[test]
    fn a_corrupt_position_is_never_guessed() {
        let rows = ["{\"v\":1".to_owned()];
        let mut j = journal(StartAt::Beginning, &rows, true);
        j.adopt(&[]);
        assert_eq!(j.begin(), None);
        assert_eq!(j.checkpoint(), Checkpoint::default());
        assert!(j.corrupt().is_some());
        let good = Position { place: Place::Beginning, begin: 0, read: 0 }.encode();
        assert!(
            Stored::read(&[good.clone(), good], false).corrupt.is_some(),
            "two are one too many"
        );
    }

    fn told(source: &str, cursor: &str, to: u64) -> Frontier {
        Frontier {
            source: source.to_owned(),
            path: cursor.to_owned(),
            file: FILE,
            prefix: guard(cursor),
            begin: 0,
            from: to,
            to,
            guard: guard(cursor),
        }
    }

    #[test]
    fn a_lost_spool_goes_on_at_the_furthest_place_the_collector_knows_of_this_source() {
        let tailed =
            Frontier { file: FileRef { inode: 7, ..FILE }, ..told("sys", "/var/log/x", 999) };
        let damaged = Frontier { path: "c77".to_owned(), ..told("sys", "c7", 777) };
        let all = [
            told("sys", "c5", 500),
            told("sys", "c6", 600),
            told("other", "c9", 900),
            tailed,
            damaged,
        ];
        let mut lost = journal(StartAt::End, &[], true);
        assert_eq!(lost.begin(), None, "waits");
        lost.adopt(&all);
        assert_eq!(lost.begin(), Some(Begin::At("c6")));
        let (rows, frontier) = seal(&mut lost);
        assert!(frontier.is_none(), "nothing was read under this epoch yet");
        assert!(lost.take(&entry(7)));
        let frontier = seal(&mut lost).1.unwrap();
        assert_eq!((frontier.begin, frontier.from, frontier.to), (600, 600, 700));
        lost.adopt(&[told("sys", "c99", 9_900)]);
        assert_eq!(lost.begin(), Some(Begin::At("c7")), "only asked once");

        let mut known = journal(StartAt::End, &rows, true);
        known.adopt(&[told("sys", "c5", 500)]);
        assert_eq!(
            known.begin(),
            Some(Begin::At("c6")),
            "never goes back behind a place of its own"
        );
        let mut nobody_knows = journal(StartAt::End, &[], true);
        nobody_knows.adopt(&[]);
        assert_eq!(nobody_knows.begin(), Some(Begin::Since(T0)));
    }

    #[test]
    fn under_another_epoch_reading_begins_where_the_last_seal_ended() {
        let mut j = journal(StartAt::Beginning, &[], false);
        j.take(&entry(1));
        seal(&mut j);
        j.take(&entry(2));
        j.epoch_changed();
        assert!(j.is_dirty());
        let frontier = seal(&mut j).1.unwrap();
        assert_eq!((frontier.begin, frontier.from, frontier.to), (100, 100, 200));
    }
}
