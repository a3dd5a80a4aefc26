//! Any sequence of looks: what is told is what happened, no more and no less.
//!
//! Owns a model that knows nothing but what was told. After each look it has to be what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_model::Timestamp;

use super::files::{Change, Files, LookSpan, Moment};
use super::listing::{Blindness, Hash, Stat, Unseen};
use super::name::FileName;
use super::row::{self, Head, Stored};

/// What somebody does between two looks.
#[derive(Clone, Debug)]
enum Deed {
    /// A file is made; whether its inode is one that was given up.
    Make(u8, bool),
    Write(u8),
    Delete(u8),
    Rename(u8, u8),
    Own(u8),
    /// The agent is restarted.
    Restart,
    /// A folder can't be seen at the next look.
    Hide,
    /// Time passes, and somebody looks.
    Look(u64),
}

/// The real files.
#[derive(Default)]
struct World {
    files: BTreeMap<FileName, Stat>,
    given_up: Vec<u64>,
    n: u64,
    secs: u64,
}

fn name(n: u8) -> FileName {
    let folder = if n.is_multiple_of(2) { "a" } else { "b" };
    FileName::new(format!("/in/{folder}/{}", n % 12).as_bytes())
}

impl World {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_000_000 + self.secs as i64)
    }

    fn make(&mut self, n: u8, recycled: bool) {
        self.delete(n);
        self.n += 1;
        let old = if recycled { self.given_up.pop() } else { None };
        let stat = Stat {
            device: 1,
            inode: old.unwrap_or(1_000 + self.n),
            born: Some(Timestamp(self.n as i64)),
            mode: 0o644,
            owner: 0,
            group: 0,
            size: 0,
            modified: self.now(),
            touched: self.now(),
            hash: Hash::None,
        };
        self.files.insert(name(n), stat);
    }

    fn delete(&mut self, n: u8) {
        if let Some(stat) = self.files.remove(&name(n)) {
            self.given_up.push(stat.inode);
        }
    }

    fn act(&mut self, deed: &Deed) {
        let now = self.now();
        match *deed {
            Deed::Make(n, recycled) => self.make(n, recycled),
            Deed::Delete(n) => self.delete(n),
            Deed::Write(n) => {
                if let Some(stat) = self.files.get_mut(&name(n)) {
                    (stat.size, stat.modified, stat.touched) = (stat.size + 1, now, now);
                }
            }
            Deed::Own(n) => {
                if let Some(stat) = self.files.get_mut(&name(n)) {
                    (stat.mode, stat.touched) = (stat.mode ^ 1, now);
                }
            }
            Deed::Rename(from, to) if name(from) != name(to) => {
                if let Some(mut stat) = self.files.remove(&name(from)) {
                    self.delete(to);
                    stat.touched = now;
                    self.files.insert(name(to), stat);
                }
            }
            Deed::Look(secs) => self.secs += secs,
            Deed::Rename(..) | Deed::Restart | Deed::Hide => {}
        }
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    let n = || 0..24_u8;
    prop_oneof![
        3 => (n(), any::<bool>()).prop_map(|(n, recycled)| Deed::Make(n, recycled)),
        2 => n().prop_map(Deed::Write),
        2 => n().prop_map(Deed::Delete),
        2 => (n(), n()).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => n().prop_map(Deed::Own),
        1 => Just(Deed::Restart),
        1 => Just(Deed::Hide),
        6 => (0..8_u64).prop_map(Deed::Look),
    ]
}

/// Takes in what was told, all of one look at once.
fn apply(told: &mut BTreeMap<FileName, Stat>, changes: &[Change]) {
    let mut renamed = Vec::new();
    for change in changes {
        match change {
            Change::Deleted { name, before } => {
                assert_eq!(
                    told.remove(name).as_ref().map(known),
                    Some(known(before)),
                    "{change:?}"
                );
            }
            Change::Renamed { from, to, before } => {
                let file = told.remove(from);
                assert_eq!(file.as_ref().map(known), Some(known(before)), "{change:?}");
                renamed.push((to.clone(), before.clone()));
            }
            Change::Created { .. } | Change::Changed { .. } => {}
        }
    }
    for (name, stat) in renamed {
        assert!(told.insert(name, stat).is_none(), "two files of one name: {changes:?}");
    }
    for change in changes {
        match change {
            Change::Created { name, after } => {
                assert!(told.insert(name.clone(), after.clone()).is_none(), "{change:?}");
            }
            Change::Changed { name, before, after } => {
                let was = told.insert(name.clone(), after.clone());
                assert_eq!(was.as_ref().map(known), Some(known(before)), "{change:?}");
                assert!(!before.differences(after).is_empty(), "nothing changed: {change:?}");
            }
            Change::Deleted { .. } | Change::Renamed { .. } => {}
        }
    }
}

/// What a person is told of a file.
fn known(stat: &Stat) -> (u64, u64, Timestamp, u32) {
    (stat.inode, stat.size, stat.modified, stat.mode)
}

/// The store: rows by key.
type Rows = BTreeMap<watchkeeper_model::FileRef, String>;

fn save(files: &mut Files, rows: &mut Rows) {
    for (name, file) in files.unsaved() {
        match file {
            Some((stat, came)) => _ = rows.insert(row::key(name), row::encode(name, stat, came)),
            None => _ = rows.remove(&row::key(name)),
        }
    }
    files.saved();
}

fn load(rows: &Rows, settle: Duration) -> Files {
    let head = Head { reads: String::new(), turn: None }.encode();
    let all: Vec<String> = rows.values().cloned().chain([head]).collect();
    let stored = Stored::read(&all);
    assert_eq!(stored.corrupt, None);
    Files::new(stored.files, false, settle)
}

proptest! {
    #[test]
    fn what_is_told_is_what_happened(
        deeds in prop::collection::vec(deed(), 1..80),
        settle in prop_oneof![Just(0_u64), Just(2), Just(5)],
    ) {
        let settle = Duration::from_secs(settle);
        let (mut world, mut rows, mut told) = (World::default(), Rows::new(), BTreeMap::new());
        let mut files = Files::new(Vec::new(), false, settle);
        let (mut n_created, mut n_deleted, mut awake_since, mut hidden) = (0, 0, 0, false);
        // At the end everything is quiet for long enough.
        let end = [Deed::Look(0), Deed::Look(10), Deed::Look(10)];
        for deed in deeds.iter().chain(&end) {
            world.act(deed);
            match deed {
                Deed::Restart => {
                    save(&mut files, &mut rows);
                    files = load(&rows, settle);
                    awake_since = world.secs;
                }
                Deed::Hide => hidden = true,
                Deed::Look(_) => {
                    let running = Duration::from_secs(world.secs - awake_since);
                    let at = Moment { now: world.now(), running };
                    let span = LookSpan { began: at, ended: at };
                    let blind = FileName::new(b"/in/a");
                    let sees = |name: &FileName| !hidden || !name.is_within(&blind);
                    let all = world.files.iter().filter(|(name, _)| sees(name));
                    let listed: Vec<_> = all.map(|(name, stat)| (name.clone(), stat.clone())).collect();
                    let (why, problem) = (Blindness::Denied, String::new());
                    let unseen = Unseen { at: blind.clone(), why, problem };
                    let unseen = if hidden { vec![unseen] } else { Vec::new() };
                    let changes = files.look(&listed, &unseen, span);
                    apply(&mut told, &changes);
                    for change in &changes {
                        n_created += u64::from(matches!(change, Change::Created { .. }));
                        n_deleted += u64::from(matches!(change, Change::Deleted { .. }));
                    }
                    prop_assert_eq!(n_created - n_deleted, files.sums().0.n);
                    prop_assert_eq!(told.len() as u64, files.sums().0.n);
                    // The same look again tells nothing.
                    prop_assert_eq!(files.look(&listed, &unseen, span), []);
                    hidden = false;
                }
                _ => {}
            }
        }
        let there: BTreeMap<_, _> = world.files.iter().map(|(name, s)| (name, known(s))).collect();
        let told: BTreeMap<_, _> = told.iter().map(|(name, s)| (name, known(s))).collect();
        prop_assert_eq!(told, there);
        prop_assert_eq!(files.next_settled(), None);
    }
}
