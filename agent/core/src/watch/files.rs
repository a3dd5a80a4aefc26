//! What is known of files, and what changed from one look to the next.
//!
//! Owns which file is which: the same name and the same inode are the same file; a name that is gone and one that is new are
//! one file renamed if inode, device and the time it was made agree. And when a change is told: what is being written is no
//! finished file, so a new one, or new content, waits until nothing was written for the settle time, for certain: a look that
//! takes long has seen a file somewhere in between. Permissions and owners are told at once. What could not be looked at
//! stays as it was. Each change is told once: what was told is what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::listing::{Hash, Stat, Sums, Unseen};
use super::name::FileName;

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the clock.
    pub now: Timestamp,
    /// For how long the agent had been awake.
    pub running: Duration,
}

/// When a look was. What it has seen, it has seen somewhere in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookSpan {
    /// Before anything was seen.
    pub began: Moment,
    /// After everything was.
    pub ended: Moment,
}

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, and finished.
    Created {
        /// Its name.
        name: FileName,
        /// What it is like.
        after: Stat,
    },
    /// It is gone.
    Deleted {
        /// Its name.
        name: FileName,
        /// What it was like.
        before: Stat,
    },
    /// It has another name.
    Renamed {
        /// The name it had.
        from: FileName,
        /// The name it has.
        to: FileName,
        /// What it was like.
        before: Stat,
    },
    /// It is not as it was.
    Changed {
        /// Its name.
        name: FileName,
        /// What it was like.
        before: Stat,
        /// What it is like.
        after: Stat,
    },
}

/// What is known of one file.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// As it was seen last.
    pub(super) seen: Stat,
    /// As it was told last; `None` while it is new and being written.
    pub(super) told: Option<Stat>,
    /// Since when it has been where it is.
    pub(super) came: Timestamp,
    /// Since when, at the latest, it has looked as it does.
    quiet_since: Duration,
    /// The number of the look that saw it last.
    look: u64,
}

/// Where files may turn up that were there before anybody looked: they are no news.
#[derive(Clone, Debug)]
enum Old {
    Everywhere,
    /// Where the first look could not see.
    Within(Vec<FileName>),
}

/// The files of one source.
#[derive(Clone, Debug)]
pub(super) struct Files {
    known: BTreeMap<FileName, File>,
    settle: Duration,
    old: Old,
    look: u64,
    /// What is not stored as it was told.
    unsaved: BTreeSet<FileName>,
    /// When the first of those that are being written will be finished, if nothing is written.
    next_settled: Option<Duration>,
}

impl Files {
    /// Those that were stored, and whether unknown ones are news from the first look on.
    pub(super) fn new(
        stored: Vec<(FileName, Stat, Timestamp)>,
        is_new: bool,
        settle: Duration,
    ) -> Self {
        let file = |(name, told, came): (FileName, Stat, Timestamp)| {
            let seen = told.clone();
            (name, File { seen, told: Some(told), came, quiet_since: Duration::ZERO, look: 0 })
        };
        Self {
            known: stored.into_iter().map(file).collect(),
            settle,
            old: if is_new { Old::Everywhere } else { Old::Within(Vec::new()) },
            look: 0,
            unsaved: BTreeSet::new(),
            next_settled: None,
        }
    }

    pub(super) fn set_settle(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// When to look again, by the time awake, because something that is being written may be finished then.
    pub(super) fn next_settled(&self) -> Option<Duration> {
        self.next_settled
    }

    /// Takes in a look; what it tells.
    pub(super) fn look(
        &mut self,
        listed: &[(FileName, Stat)],
        unseen: &[Unseen],
        span: LookSpan,
    ) -> Vec<Change> {
        self.look += 1;
        let mut came = Vec::new();
        let mut replaced = BTreeSet::new();
        for (name, stat) in listed {
            match self.known.get_mut(name) {
                Some(file) if file.seen.is_same(stat) => file.see(stat, span, self.look),
                Some(file) => {
                    file.look = self.look;
                    replaced.insert(name.clone());
                    came.push((name, stat));
                }
                None => came.push((name, stat)),
            }
        }
        let left = self.take_left(replaced, unseen);
        let mut changes = self.place(came, left, span);
        self.settle(span.began, &mut changes);
        self.old.look(unseen);
        changes
    }

    /// Takes out what is not under its name any more. What could not be looked at is.
    fn take_left(
        &mut self,
        replaced: BTreeSet<FileName>,
        unseen: &[Unseen],
    ) -> BTreeMap<FileName, File> {
        let mut gone = replaced;
        for (name, file) in &mut self.known {
            if file.look == self.look {
                continue;
            }
            if unseen.iter().any(|unseen| name.is_within(&unseen.at)) {
                file.look = self.look;
            } else {
                gone.insert(name.clone());
            }
        }
        let take = |name: FileName| self.known.remove(&name).map(|file| (name, file));
        gone.into_iter().filter_map(take).collect()
    }

    /// Finds out what became of those that left, and where those came from that came.
    fn place(
        &mut self,
        came: Vec<(&FileName, &Stat)>,
        mut left: BTreeMap<FileName, File>,
        span: LookSpan,
    ) -> Vec<Change> {
        let mut by_inode: BTreeMap<u64, Vec<FileName>> = BTreeMap::new();
        for (name, file) in &left {
            by_inode.entry(file.seen.inode).or_default().push(name.clone());
        }
        let (mut renamed, mut moved, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (name, stat) in came {
            let is_it = |from: &FileName| {
                left.get(from).is_some_and(|file| file.seen.is_same_elsewhere(stat))
            };
            let from =
                by_inode.get(&stat.inode).and_then(|all| all.iter().find(|from| is_it(from)));
            match from.and_then(|from| left.remove_entry(from)) {
                Some((from, file)) if file.told.is_some() => {
                    renamed.push((from, name, stat, file));
                }
                Some((_, file)) => moved.push((name, stat, file)),
                None => others.push((name, stat)),
            }
        }
        let mut come = Vec::new();
        for (name, stat) in others {
            let before = left.remove(name);
            let told = before.and_then(|file| file.told);
            come.push((name, File::new(stat, told, span, self.look)));
        }
        for (name, stat, mut file) in moved {
            // Nobody was told of it: for people it is new content of what was there.
            file.see(stat, span, self.look);
            file.told = left.remove(name).and_then(|before| before.told);
            come.push((name, file));
        }
        let mut changes = self.let_go(left);
        for (from, to, stat, mut file) in renamed {
            file.see(stat, span, self.look);
            if let Some(before) = file.told.clone() {
                self.unsaved.extend([from.clone(), to.clone()]);
                changes.push(Change::Renamed { from, to: to.clone(), before });
            }
            self.known.insert(to.clone(), file);
        }
        self.known.extend(come.into_iter().map(|(name, file)| (name.clone(), file)));
        changes
    }

    fn let_go(&mut self, left: BTreeMap<FileName, File>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, file) in left {
            // One that was never finished was never told.
            let Some(before) = file.told else { continue };
            self.unsaved.insert(name.clone());
            changes.push(Change::Deleted { name, before });
        }
        changes
    }

    /// Tells what is finished, and what needs no time to be.
    fn settle(&mut self, began: Moment, changes: &mut Vec<Change>) {
        let (settle, old) = (self.settle, &self.old);
        self.next_settled = None;
        for (name, file) in &mut self.known {
            if file.told.as_ref() == Some(&file.seen) {
                continue;
            }
            let is_settled = file.is_settled(settle, began);
            if !is_settled && file.is_being_written() {
                let until = file.quiet_since + settle;
                self.next_settled = Some(self.next_settled.map_or(until, |next| next.min(until)));
            }
            let told = file.tell(is_settled);
            let Some(before) = told else { continue };
            self.unsaved.insert(name.clone());
            let after = file.told.clone().unwrap_or_else(|| file.seen.clone());
            match before {
                Some(before) if before.differences(&after).is_empty() => {}
                Some(before) => {
                    changes.push(Change::Changed { name: name.clone(), before, after });
                }
                None if old.holds(name) => {}
                None => changes.push(Change::Created { name: name.clone(), after }),
            }
        }
    }

    /// How many are finished or were before, and how many are being written for the first time.
    pub(super) fn sums(&self) -> (Sums, u64) {
        let (mut sums, mut n_writing) = (Sums::default(), 0);
        for file in self.known.values() {
            if file.told.is_some() {
                sums.add(&file.seen, file.came);
            } else {
                n_writing += 1;
            }
        }
        (sums, n_writing)
    }

    /// The finished file for which this is least.
    pub(super) fn first_by(&self, key: impl Fn(&File) -> Timestamp) -> Option<&FileName> {
        let finished = self.known.iter().filter(|(_, file)| file.told.is_some());
        finished.min_by_key(|(_, file)| key(file)).map(|(name, _)| name)
    }

    /// What is to be stored or, where there is no file, to be forgotten.
    pub(super) fn unsaved(&self) -> impl Iterator<Item = (&FileName, Option<(&Stat, Timestamp)>)> {
        self.unsaved.iter().map(|name| {
            let file = self.known.get(name);
            (name, file.and_then(|file| file.told.as_ref().map(|told| (told, file.came))))
        })
    }

    /// It is stored.
    pub(super) fn saved(&mut self) {
        self.unsaved.clear();
    }

    pub(super) fn has_unsaved(&self) -> bool {
        !self.unsaved.is_empty()
    }
}

impl Old {
    /// Whether a file that is seen for the first time was there before anybody looked.
    fn holds(&self, name: &FileName) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Within(places) => places.iter().any(|place| name.is_within(place)),
        }
    }

    /// What this look could see is known now.
    fn look(&mut self, unseen: &[Unseen]) {
        let places = match self {
            Self::Everywhere => unseen.iter().map(|unseen| unseen.at.clone()).collect(),
            Self::Within(places) if places.is_empty() => return,
            Self::Within(places) => {
                let hidden = |place: &FileName| unseen.iter().any(|u| place.is_within(&u.at));
                let parts = unseen.iter().filter(|u| places.iter().any(|p| u.at.is_within(p)));
                let parts = parts.map(|unseen| unseen.at.clone());
                let wholes = places.iter().filter(|place| hidden(place)).cloned();
                let all: BTreeSet<FileName> = wholes.chain(parts).collect();
                all.into_iter().collect()
            }
        };
        *self = Self::Within(places);
    }
}

impl File {
    fn new(seen: &Stat, told: Option<Stat>, span: LookSpan, look: u64) -> Self {
        let came = seen.came().min(span.ended.now);
        Self { seen: seen.clone(), told, came, quiet_since: span.ended.running, look }
    }

    fn see(&mut self, stat: &Stat, span: LookSpan, look: u64) {
        if !self.seen.is_as_written(stat) {
            self.quiet_since = span.ended.running;
        }
        self.seen.clone_from(stat);
        self.look = look;
    }

    /// Whether it was quiet for long enough when the look began that saw it last.
    fn is_settled(&self, settle: Duration, began: Moment) -> bool {
        let is_old = |time: Timestamp| began.now >= time && began.now.since(time) >= settle;
        began.running.saturating_sub(self.quiet_since) >= settle || is_old(self.seen.came())
    }

    /// Whether there is content that was not told.
    fn is_being_written(&self) -> bool {
        self.told.as_ref().is_none_or(|told| !told.is_as_written(&self.seen))
    }

    /// Tells what may be told; what was told before.
    fn tell(&mut self, is_settled: bool) -> Option<Option<Stat>> {
        let Some(told) = &mut self.told else {
            return is_settled.then(|| self.told.replace(self.seen.clone()));
        };
        let waits_for_hash = matches!(told.hash, Hash::Known(_)) && self.seen.hash == Hash::Pending;
        if told.is_as_written(&self.seen) {
            // Nothing was written that could be seen from outside: what is left is owners and content.
            let hash = match self.seen.hash {
                Hash::Known(_) => self.seen.hash,
                // What can't be read stays as it was.
                Hash::None | Hash::Pending => told.hash,
            };
            let now = Stat { hash, ..self.seen.clone() };
            return (now != *told).then(|| Some(std::mem::replace(told, now)));
        }
        if is_settled && !waits_for_hash {
            return Some(self.told.replace(self.seen.clone()));
        }
        if !told.is_same(&self.seen) || told.is_as_owned(&self.seen) {
            return None;
        }
        let Stat { mode, owner, group, .. } = self.seen;
        let now = Stat { mode, owner, group, ..told.clone() };
        Some(Some(std::mem::replace(told, now)))
    }
}
