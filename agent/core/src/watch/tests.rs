//! Looks at files in virtual time.

use std::slice::from_ref;
use std::time::Duration;

use serde_json::Value as Json;
use watchkeeper_expr::{Condition, Scope};
use watchkeeper_model::{AgentId, Body, FileRef, Labels, Service, Timestamp};

use super::*;
use crate::observe::Accumulator;
use crate::polling::{Gap, GapCause};
use crate::seal::SealOrder;

const HOUR: u64 = 3_600;

fn at(secs: u64) -> Moment {
    Moment {
        now: Timestamp::from_secs(1_000_000 + secs as i64),
        running: Duration::from_secs(secs),
    }
}

/// A look that takes no time.
fn once(secs: u64) -> LookSpan {
    LookSpan { began: at(secs), ended: at(secs) }
}

/// Written so many seconds after the start; may be before it.
fn file(inode: u64, size: u64, written: i64) -> Stat {
    let modified = Timestamp::from_secs(1_000_000 + written);
    Stat {
        device: 1,
        inode,
        born: None,
        mode: 0o644,
        owner: 0,
        group: 0,
        size,
        modified,
        touched: modified,
        hash: Hash::None,
    }
}

fn listing(files: &[(&str, Stat)]) -> Listing {
    let named = |(name, stat): &(&str, Stat)| {
        (FileName::new(format!("/in/{name}").as_bytes()), stat.clone())
    };
    let space = Some(Space { bytes: 1 << 30, inodes: Some(9) });
    Listing { files: files.iter().map(named).collect(), space, ..Listing::default() }
}

/// An event's name and message.
type Told = (String, String);

/// A signal, its labels and its last value.
type Counted = (String, Labels, i64);

struct Scene {
    acc: Accumulator,
    observer: WatchObserver,
    rows: std::collections::BTreeMap<FileRef, String>,
}

fn settings(expect: &[&str]) -> WatchSettings {
    let compile = |text: &&str| Condition::compile(text, Scope::Known(&VARIABLES)).unwrap();
    WatchSettings {
        name: "inbox".into(),
        service: Service::new("vtt").unwrap(),
        settle: Duration::from_secs(2),
        expect: expect.iter().map(compile).map(Expectation::new).collect(),
    }
}

impl Scene {
    fn new(expect: &[&str]) -> Self {
        let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
        let observer =
            WatchObserver::new(settings(expect), "/in/*", Stored::default(), Vec::new(), &mut acc);
        Self { acc, observer, rows: std::collections::BTreeMap::new() }
    }

    fn store(&mut self) {
        let (store, forget) = self.observer.checkpoint();
        self.rows.extend(store);
        forget.iter().for_each(|key| _ = self.rows.remove(key));
        self.observer.committed();
        assert!(!self.observer.has_unsaved());
    }

    fn restart(&mut self, expect: &[&str], reads: &str) {
        self.store();
        let rows: Vec<String> = self.rows.values().cloned().collect();
        let stored = Stored::read(&rows);
        self.observer =
            WatchObserver::new(settings(expect), reads, stored, Vec::new(), &mut self.acc);
    }

    /// Looks; what is told.
    fn look(&mut self, listing: &Listing, secs: u64) -> Vec<(String, String)> {
        self.look_within(listing, once(secs))
    }

    fn look_within(&mut self, listing: &Listing, span: LookSpan) -> Vec<(String, String)> {
        self.observer.look(listing, span, &mut self.acc);
        self.sealed().0
    }

    /// Events, and the last value of signals.
    fn sealed(&mut self) -> (Vec<Told>, Vec<Counted>) {
        let (mut told, mut values) = (Vec::new(), Vec::new());
        for service in self.acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services {
            for body in service.bodies {
                match body {
                    Body::Windows { series, .. } => values.extend(series.into_iter().map(|s| {
                        let last = s.windows.last().unwrap().distribution.values.as_ref().unwrap();
                        (s.signal, s.labels, last.last.value)
                    })),
                    Body::Events { events, .. } => {
                        for event in events {
                            assert!(
                                serde_json::from_str::<Json>(&event.fields).unwrap().is_object()
                            );
                            told.push((event.name, event.message));
                        }
                    }
                }
            }
        }
        (told, values)
    }
}

fn told(events: &[(String, String)]) -> Vec<&str> {
    events.iter().map(|(_, message)| message.as_str()).collect()
}

#[test]
fn a_write_in_progress_is_no_finished_file() {
    let mut scene = Scene::new(&[]);
    let old = ("old", file(1, 10, -100));
    assert_eq!(scene.look(&listing(from_ref(&old)), 0), [], "what was there is no news");
    for (secs, size, written) in [(10, 1, 10), (11, 2, 11), (12, 3, 12)] {
        let all = [old.clone(), ("new", file(2, size, written))];
        assert_eq!(scene.look(&listing(&all), secs), [], "{secs}");
        assert_eq!(scene.observer.next_settled(), Some(Duration::from_secs(secs + 2)));
    }
    let all = [old.clone(), ("new", file(2, 3, 12))];
    let events = scene.look(&listing(&all), 14);
    assert_eq!(told(&events), ["/in/new was created, 3 B"]);
    assert_eq!(scene.observer.next_settled(), None);
    // Written again: told when it is quiet. Its mode is told at once.
    let writing = Stat { mode: 0o600, ..file(2, 5, 20) };
    let events = scene.look(&listing(&[old.clone(), ("new", writing.clone())]), 20);
    assert_eq!(told(&events), ["/in/new was changed: mode"]);
    let events = scene.look(&listing(&[old, ("new", writing)]), 22);
    assert_eq!(told(&events), ["/in/new was changed: size, modified"]);
}

#[test]
fn what_a_long_look_has_seen_may_be_written_since() {
    let ahead = 1_000;
    for (sentence, written, looks, finished) in [
        ("by the file's time", [10, 15, 15], [(10, 13), (15, 18)], (18, 21)),
        ("by the time awake, if that says nothing", [ahead; 3], [(10, 13), (14, 17)], (17, 18)),
    ] {
        let mut scene = Scene::new(&[]);
        scene.look(&listing(&[]), 0);
        let mut look = |written: i64, (began, ended)| {
            let span = LookSpan { began: at(began), ended: at(ended) };
            scene.look_within(&listing(&[("new", file(1, 5, written))]), span)
        };
        for (written, span) in written.into_iter().zip(looks) {
            assert_eq!(look(written, span), [], "{sentence} {span:?}");
        }
        let events = look(written[2], finished);
        assert_eq!(told(&events), ["/in/new was created, 5 B"], "{sentence}");
    }
}

#[test]
fn content_that_could_not_be_read_for_a_while_is_compared_with_what_it_was_before() {
    let mut scene = Scene::new(&[]);
    let with = |hash| Stat { hash, ..file(1, 5, -100) };
    for (secs, hash) in [Hash::Known(1), Hash::None, Hash::Pending].into_iter().enumerate() {
        assert_eq!(scene.look(&listing(&[("a", with(hash))]), secs as u64), []);
    }
    scene.restart(&[], "/in/*");
    let events = scene.look(&listing(&[("a", with(Hash::Known(2)))]), 10);
    assert_eq!(told(&events), ["/in/a was changed: hash while nobody looked"]);
    // What was written is told even if it can't be read.
    let events = scene.look(&listing(&[("a", file(1, 6, -50))]), 20);
    assert_eq!(told(&events), ["/in/a was changed: size, modified"]);
}

#[test]
fn renaming_swapping_replacing_and_recycling_are_told_apart() {
    let (a, b) = (file(1, 10, -100), file(2, 20, -200));
    let born = |n, stat: &Stat| Stat { born: Some(Timestamp(n)), ..stat.clone() };
    for (sentence, before, after, events) in [
        (
            "renamed",
            vec![("a", a.clone())],
            vec![("b", a.clone())],
            vec!["/in/a was renamed to /in/b"],
        ),
        (
            "swapped",
            vec![("a", a.clone()), ("b", b.clone())],
            vec![("a", b.clone()), ("b", a.clone())],
            vec!["/in/b was renamed to /in/a", "/in/a was renamed to /in/b"],
        ),
        (
            "renamed over another",
            vec![("a", a.clone()), ("b", b.clone())],
            vec![("b", a.clone())],
            vec!["/in/b was deleted", "/in/a was renamed to /in/b"],
        ),
        (
            "rotated, and made anew",
            vec![("a", a.clone())],
            vec![("a.1", a.clone()), ("a", file(3, 1, -50))],
            vec!["/in/a was renamed to /in/a.1", "/in/a was created, 1 B"],
        ),
        (
            "replaced, as editors save",
            vec![("a", a.clone())],
            vec![("a", file(3, 12, -50))],
            vec!["/in/a was changed: replaced, size, modified"],
        ),
        (
            "an inode that is given to another file is no renaming",
            vec![("a", born(1, &a))],
            vec![("b", born(2, &a))],
            vec!["/in/a was deleted", "/in/b was created, 10 B"],
        ),
        (
            "an inode that may have been given to another file is no renaming",
            vec![("a", a.clone())],
            vec![("b", file(1, 11, -50))],
            vec!["/in/a was deleted", "/in/b was created, 11 B"],
        ),
        (
            "renamed and written, where the time of making is known",
            vec![("a", born(1, &a))],
            vec![("b", born(1, &file(1, 11, -50)))],
            vec!["/in/a was renamed to /in/b", "/in/b was changed: size, modified"],
        ),
        (
            "a device has another number after a restart of the machine",
            vec![("a", a.clone())],
            vec![("a", Stat { device: 7, ..a.clone() })],
            vec![],
        ),
        (
            "content that was changed and given its old time",
            vec![("a", Stat { hash: Hash::Known(1), ..a.clone() })],
            vec![("a", Stat { hash: Hash::Known(2), ..a.clone() })],
            vec!["/in/a was changed: hash"],
        ),
    ] {
        for while_away in [false, true] {
            let mut scene = Scene::new(&[]);
            assert_eq!(scene.look(&listing(&before), 0), [], "{sentence}");
            if while_away {
                scene.restart(&[], "/in/*");
            }
            let mut wanted: Vec<String> = events.iter().map(|&text| text.to_owned()).collect();
            if while_away {
                wanted.iter_mut().for_each(|text| *text += " while nobody looked");
            }
            let events = scene.look(&listing(&after), 10);
            assert_eq!(told(&events), wanted, "{sentence}");
            assert_eq!(scene.look(&listing(&after), 20), [], "{sentence}");
        }
    }
}

#[test]
fn a_file_that_is_written_beside_its_place_and_moved_there_replaces_what_was_there() {
    let old = file(1, 10, -100);
    for looks_before in [0, 1] {
        let mut scene = Scene::new(&["deleted == 0", "created == 0"]);
        assert_eq!(scene.look(&listing(&[("a", old.clone())]), 0), []);
        // Whether it is seen on the way makes no difference.
        for secs in 1..=looks_before {
            let both = [("a", old.clone()), ("a.tmp", file(2, 5, 1))];
            assert_eq!(scene.look(&listing(&both), secs), []);
        }
        let after = [("a", file(2, 5, 1))];
        assert_eq!(scene.look(&listing(&after), 2), []);
        let events = scene.look(&listing(&after), 9);
        assert_eq!(told(&events), ["/in/a was changed: replaced, size, modified"]);
    }
}

#[test]
fn what_is_not_seen_is_not_judged_and_not_deleted() {
    let mut scene = Scene::new(&["count > 0"]);
    let all = listing(&[("a", file(1, 1, -9)), ("b/c", file(2, 1, -9))]);
    assert_eq!(scene.look(&all, 0), []);
    let unseen = |at: &str, why| Unseen {
        at: FileName::new(at.as_bytes()),
        why,
        problem: format!("{at} is not seen"),
    };
    let blind = Listing { unseen: vec![unseen("/in", Blindness::Missing)], ..Listing::default() };
    let events = scene.look(&blind, 10);
    assert_eq!(told(&events), ["inbox: not known: /in is not seen"]);
    assert_eq!(scene.look(&blind, 20), []);
    let half = Listing { unseen: vec![unseen("/in/b", Blindness::Denied)], ..listing(&[]) };
    let events = scene.look(&half, 30);
    assert_eq!(told(&events), ["/in/a was deleted", "inbox: not known: /in/b is not seen"]);
    let events = scene.look(&listing(&[("b/c", file(2, 1, -9))]), 40);
    assert_eq!(told(&events), ["inbox: as expected again"]);
}

#[test]
fn what_the_first_look_could_not_see_is_no_news_when_it_is_seen() {
    let mut scene = Scene::new(&[]);
    let unseen = |at: &[u8]| Unseen {
        at: FileName::new(at),
        why: Blindness::Missing,
        problem: String::new(),
    };
    let c = ("b/c", file(2, 1, -9));
    scene.look(&Listing { unseen: vec![unseen(b"/in")], ..Listing::default() }, 0);
    let half = Listing { unseen: vec![unseen(b"/in/b")], ..listing(&[("a", file(1, 1, -9))]) };
    assert!(scene.look(&half, 10).is_empty());
    assert_eq!(
        told(&scene.look(&listing(&[("a", file(1, 1, -9)), c.clone()]), 20)),
        ["inbox: as expected again"]
    );
    let more = listing(&[("a", file(1, 1, -9)), c, ("b/d", file(3, 1, -9))]);
    assert_eq!(told(&scene.look(&more, 30)), ["/in/b/d was created, 1 B"]);
}

#[test]
fn a_turn_is_told_once_with_the_condition_and_what_was_seen_also_over_a_restart() {
    let expect = &["oldest < duration(\"1h\")", "count <= 1"];
    let mut scene = Scene::new(expect);
    let a = ("a\nb", file(1, 1, 0));
    assert_eq!(scene.look(&listing(from_ref(&a)), 10), []);
    let events = scene.look(&listing(from_ref(&a)), 2 * HOUR);
    assert_eq!(
        told(&events),
        ["inbox: oldest < duration(\"1h\") does not hold: oldest is 2h (/in/a\\nb)"]
    );
    assert_eq!(events[0].0, "watch_failed");
    assert_eq!(scene.look(&listing(from_ref(&a)), 3 * HOUR), []);
    scene.restart(expect, "/in/*");
    assert_eq!(scene.look(&listing(from_ref(&a)), 4 * HOUR), []);
    let events = scene.look(&listing(&[]), 5 * HOUR);
    assert_eq!(told(&events), ["/in/a\\nb was deleted", "inbox: as expected again"]);
}

#[test]
fn no_files_are_zero_and_not_nothing() {
    let mut scene = Scene::new(&["newest < duration('1h')"]);
    scene.observer.look(&listing(&[]), once(0), &mut scene.acc);
    let (_, mut values) = scene.sealed();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<_> = values.iter().map(|(name, _, value)| (name.as_str(), *value)).collect();
    assert_eq!(
        names,
        [
            ("watch", 0),
            ("watch_bytes", 0),
            ("watch_count", 0),
            ("watch_free_bytes", 1 << 30),
            ("watch_free_inodes", 9_000_000),
            ("watch_newest", 0),
            ("watch_oldest", 0),
            ("watch_waited", 0),
        ]
    );
    let labels = Labels::new([("watch", "inbox"), ("result", "ok")]);
    assert_eq!(values[0].1, labels);
}

#[test]
fn time_asleep_makes_no_inbox_stuck() {
    let mut scene = Scene::new(&["oldest < duration('1h')", "waited < duration('1h')"]);
    let a = [("a", file(1, 1, 0))];
    assert_eq!(scene.look(&listing(&a), 10), []);
    let gap = Gap { length: Duration::from_secs(8 * HOUR), cause: GapCause::Slept };
    scene.observer.gap(&gap, at(8 * HOUR + 10).now, &mut scene.acc);
    let events = scene.look(&listing(&a), 8 * HOUR + 20);
    assert_eq!(events.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["gap"]);
    let events = scene.look(&listing(&a), 9 * HOUR + 20);
    assert_eq!(events[0].0, "watch_failed");
}

#[test]
fn a_file_that_is_moved_in_has_waited_since_then() {
    let mut scene = Scene::new(&[]);
    scene.look(&listing(&[]), 0);
    let moved = Stat { touched: at(100).now, ..file(1, 1, -1_000_000) };
    for secs in [101, 160] {
        scene.observer.look(&listing(&[("a", moved.clone())]), once(secs), &mut scene.acc);
    }
    let values = scene.sealed().1;
    let last = |name: &str| values.iter().find(|(n, ..)| n == name).unwrap().2 / 1_000_000_000;
    assert_eq!((last("watch_waited"), last("watch_oldest")), (60, 1_000_160));
}

#[test]
fn a_storm_is_summed_up_and_every_change_is_counted() {
    let mut scene = Scene::new(&[]);
    scene.look(&listing(&[]), 0);
    let names: Vec<String> = (0..5_000).map(|n| format!("{n:04}")).collect();
    let all: Vec<(&str, Stat)> =
        names.iter().enumerate().map(|(n, name)| (name.as_str(), file(n as u64, 1, 0))).collect();
    scene.observer.look(&listing(&all), once(10), &mut scene.acc);
    let (events, values) = scene.sealed();
    assert_eq!(events.len(), 31);
    assert_eq!(events[30].0, "files_changed");
    assert_eq!(events[30].1, "4,970 more changes: 4,970 created");
    let changes = values.iter().find(|(name, ..)| name == "watch_changes").unwrap();
    assert_eq!((changes.1.get("change"), changes.2), ("created", 5_000_000_000));
    // What comes within the next seconds waits for the next summary, but for what has room by then.
    let mut events = scene.look(&listing(&all[..3_000]), 12);
    events.extend(scene.look(&listing(&all[..2_000]), 21));
    let (name, message) = events.pop().unwrap();
    assert_eq!(name, "files_changed");
    assert!(events.iter().all(|(name, _)| name == "file_deleted") && events.len() < 10);
    let n = watchkeeper_model::readable::count(3_000 - events.len() as u64);
    assert_eq!(message, format!("{n} more changes: {n} deleted"));
    assert!(scene.acc.held_back().is_empty());
}

#[test]
fn beyond_the_limit_files_are_added_up_and_changes_told_when_it_is_over() {
    let mut scene = Scene::new(&["count <= 100"]);
    let one = listing(&[("a", file(1, 1, -9))]);
    scene.look(&one, 0);
    let mut sums = Sums::default();
    for n in 0..50_000 {
        sums.add(&file(n, 2, -(n as i64)), Timestamp(0));
    }
    let many = Listing { too_many: Some(sums), ..listing(&[]) };
    let events = scene.look(&many, 10);
    assert_eq!(told(&events), ["inbox: count <= 100 does not hold: count is 50,000"]);
    let events = scene.look(&one, 20);
    assert_eq!(told(&events), ["inbox: as expected again"]);
}

#[test]
fn beyond_the_limit_nobody_knows_what_changed() {
    let many = Listing { too_many: Some(Sums::default()), ..listing(&[]) };
    for variable in ["created", "deleted", "renamed", "changed", "writing"] {
        let mut scene = Scene::new(&[&format!("{variable} == 0")]);
        scene.look(&listing(&[]), 0);
        let unknown =
            format!("inbox: not known: {variable} == 0 has no answer: {variable} is not known");
        assert_eq!(told(&scene.look(&many, 10)), [unknown]);
        assert_eq!(told(&scene.look(&listing(&[]), 20)), ["inbox: as expected again"]);
    }
}

#[test]
fn files_that_were_not_looked_for_before_are_no_news() {
    let mut scene = Scene::new(&[]);
    scene.look(&listing(&[("a", file(1, 1, -9))]), 0);
    scene.restart(&[], "/in/* /in/more/*");
    let all = listing(&[("a", file(1, 2, -8)), ("more/b", file(2, 1, -9))]);
    assert_eq!(
        told(&scene.look(&all, 10)),
        ["/in/a was changed: size, modified while nobody looked"]
    );
    scene.restart(&[], "/in/* /in/more/*");
    assert_eq!(scene.look(&all, 20), []);
}

#[test]
fn a_look_that_does_not_end_is_unknown() {
    let mut scene = Scene::new(&["count <= 1"]);
    scene.look(&listing(&[]), 0);
    let hangs = Duration::from_secs(60);
    scene.observer.no_answer(hangs, at(60).now, &mut scene.acc);
    let (events, values) = scene.sealed();
    assert_eq!(told(&events), ["inbox: not known: a look has not ended for 1m"]);
    let labels = Labels::new([("watch", "inbox"), ("result", "unknown"), ("reason", "no_answer")]);
    assert_eq!(values, [("watch".to_owned(), labels, 60_000_000_000)]);
}
