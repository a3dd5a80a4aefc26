//! Entries of real journals, through restarts, kills and damage.

use std::fs;
use std::time::Duration;

use watchkeeper_model::{SkipReason, Timestamp};

use super::super::queue::MAX_WAITING_BYTES;
use super::worker::{Worker, export, kill, make};
use crate::sources::{Source as _, Stored};

/// A repeatable source of chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        // Xorshift64 (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[test]
fn entries_become_counts_events_tallies_and_a_frontier() {
    let events = ", events: [{name: error, where: 'PRIORITY == \"3\"', message: MESSAGE}]";
    let Some(mut w) = Worker::new(events) else { return };
    w.plain(3);
    w.write("system.journal", 1, &[("MESSAGE", b"it broke"), ("PRIORITY", b"3")]);
    let at = w.at;
    w.settle(4);
    assert_eq!((w.events.len(), w.tally.read, w.tally.skipped.len()), (1, 4, 0));
    assert_eq!((w.events[0].message.as_str(), w.events[0].at), ("it broke", micros(at)));
    let last = w.frontiers.last().unwrap().clone();
    assert_eq!((w.frontiers[0].from, last.to), (0, w.tally.bytes));
    assert!(last.path.contains(";i=4;"), "{last:?}");
    assert!(w.rows.values().all(|row| row.contains(&last.path)), "stored with its seal");
    assert_eq!((w.health().as_str(), w.source.lag_bytes()), ("ok", 0));
    w.poll();
    assert!(w.acc.is_empty(), "an idle source counts nothing");
    assert!(w.source.checkpoint().store.is_empty());
}

fn micros(at: Timestamp) -> Timestamp {
    Timestamp(at.nanos() / 1_000 * 1_000)
}

#[test]
fn every_entry_is_counted_once_through_restarts_kills_and_new_files() {
    let seed = std::env::var("STORM_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x5eed_0042);
    let n_rounds = std::env::var("STORM_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(40);
    println!("STORM_SEED={seed} STORM_ROUNDS={n_rounds}");
    let mut chance = Chance(seed);
    let Some(mut w) = Worker::new("") else { return };
    let mut n_kills = 0;
    for round in 0..n_rounds {
        let n = chance.below(60);
        w.plain(n);
        for _ in 0..chance.below(4) {
            w.poll();
            w.wakes.wait(Duration::from_millis(chance.below(15)));
        }
        match chance.below(8) {
            0 | 1 => w.seal(),
            2 => {
                w.seal();
                w.restart();
            }
            3 => w.restart(),
            4 | 5 => {
                if let Some(id) = w.source.child_id() {
                    kill(id);
                    n_kills += 1;
                }
            }
            6 => {
                let archived = format!("system@{round}.journal");
                // There is nothing to archive yet in the first rounds.
                let _ = fs::rename(w.path("system.journal"), w.path(&archived));
            }
            _ => w.may_read = !w.may_read,
        }
    }
    w.may_read = true;
    w.settle_exactly();
    assert_eq!(w.tally.read, w.next);
    assert_eq!(w.frontiers.first().map(|f| f.from), Some(0));
    assert!(w.frontiers.windows(2).all(|f| f[0].to == f[1].from), "no gap and no overlap");
    println!("{} entries, {n_kills} times journalctl was killed", w.next);
}

#[test]
fn a_journalctl_killed_in_the_middle_of_an_entry_costs_nothing() {
    let Some(mut w) = Worker::new("") else { return };
    // Far more than fits into the queue and the pipe, so that it is always in the middle of something.
    let long = vec![b'x'; 20_000];
    w.write("system.journal", 3_000, &[("MESSAGE", &long)]);
    let mut killed = None;
    for _ in 0..5 {
        w.until("the next one has started", |w| {
            w.source.child_id().is_some() && w.source.child_id() != killed
        });
        w.may_read = false;
        w.until("the queue is full", |w| w.source.lag_bytes() >= MAX_WAITING_BYTES);
        killed = w.source.child_id();
        kill(killed.unwrap());
        w.may_read = true;
        w.poll();
        w.seal();
    }
    assert!(w.n_counted() > 5 * 200);
    w.settle_exactly();
}

#[test]
fn start_at_end_means_the_moment_of_the_first_start_for_ever() {
    let Some(mut w) = Worker::with("start_at: end", "") else { return };
    w.plain(5);
    w.poll();
    w.seal();
    assert!(w.rows.values().all(|row| row.contains("\"since\":1")), "{:?}", w.rows);
    // Stopped before anything came: what comes meanwhile is not before the first start.
    w.restart();
    w.at = w.now;
    w.plain(3);
    w.now = w.now + Duration::from_secs(5);
    w.settle(3);
    assert_eq!(w.counted.keys().map(String::as_str).collect::<Vec<_>>(), ["5", "6", "7"]);
}

#[test]
fn units_and_matches_choose_entries_and_a_changed_choice_loses_none() {
    let more = ", units: [nginx.service, redis.service], matches: [PRIORITY=3, PRIORITY=4, _TRANSPORT=stdout]";
    let Some(mut w) = Worker::new(more) else { return };
    let write = |w: &mut Worker, unit: &[u8], priority: &[u8], transport: &[u8]| {
        let fields = [("_SYSTEMD_UNIT", unit), ("PRIORITY", priority), ("_TRANSPORT", transport)];
        w.write("system.journal", 1, &fields);
    };
    write(&mut w, b"nginx.service", b"3", b"stdout");
    write(&mut w, b"nginx.service", b"6", b"stdout");
    write(&mut w, b"redis.service", b"4", b"stdout");
    write(&mut w, b"redis.service", b"4", b"kernel");
    write(&mut w, b"other.service", b"3", b"stdout");
    write(&mut w, b"nginx.service", b"3", b"stdout");
    w.settle(3);
    assert_eq!(w.counted.keys().map(String::as_str).collect::<Vec<_>>(), ["0", "2", "5"]);
    // The entry read last does not fit any more: `journalctl --after-cursor` of systemd 252 would pass over one.
    w.settings.units = vec!["other.service".to_owned()];
    w.restart();
    write(&mut w, b"other.service", b"3", b"stdout");
    write(&mut w, b"other.service", b"3", b"stdout");
    w.settle(5);
}

#[test]
fn another_boot_and_another_machine_in_the_same_directory_are_read_too() {
    let Some(mut w) = Worker::new("") else { return };
    w.write("system.journal", 2, &[("MESSAGE", b"a")]);
    // `journalctl --follow` alone shows the last boot only.
    let boot = export(w.at + Duration::from_secs(1), 2, &[("N", b"2")]);
    let boot = String::from_utf8(boot).unwrap().replace("_BOOT_ID=0", "_BOOT_ID=f");
    make(&w.maker, &w.path("system.journal"), boot.as_bytes());
    w.next += 1;
    w.at = w.at + Duration::from_secs(2);
    fs::create_dir(w.path("0123456789abcdef0123456789abcdef")).unwrap();
    w.settle(3);
    w.write("0123456789abcdef0123456789abcdef/system.journal", 2, &[("MESSAGE", b"b")]);
    w.settle(5);
}

#[test]
fn bytes_colours_repeated_fields_and_very_long_messages_are_counted_once_each() {
    let more = ", max_line: 1MiB, events: [{name: all, where: 'MESSAGE.contains(\"red\")', message: MESSAGE}]";
    let Some(mut w) = Worker::new(more) else { return };
    w.plain(1);
    w.write("system.journal", 1, &[("MESSAGE", b"\x1b[31mred\x1b[0m")]);
    w.write("system.journal", 1, &[("MESSAGE", b"\xff\xfered\nline two")]);
    w.write("system.journal", 1, &[("MESSAGE", b"blue"), ("X", b"1"), ("X", b"2"), ("X", b"\xff")]);
    let long = vec![b'y'; 3 << 20];
    w.write("system.journal", 2, &[("MESSAGE", &long)]);
    w.write("system.journal", 1, &[("MESSAGE", b"{\"status\":500,\"list\":[1,2]}")]);
    w.plain(1);
    w.settle(6);
    assert_eq!((w.tally.read, &w.tally.skipped[..]), (8, &[(SkipReason::TooLong, 2)][..]));
    let said: Vec<&str> = w.events.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(said, ["\u{1b}[31mred\u{1b}[0m", "\u{fffd}\u{fffd}red\nline two"]);
    // The place behind an entry that was not kept is a place like any other.
    w.write("system.journal", 1, &[("MESSAGE", &long)]);
    w.until("the long one is skipped", |w| {
        w.seal();
        w.tally.read == 9
    });
    w.restart();
    w.next = 7;
    w.settle_exactly_by_marker();
}

impl Worker {
    /// As `settle_exactly`, where some entries were skipped.
    fn settle_exactly_by_marker(&mut self) {
        let before = self.tally.read;
        self.next = 1_000;
        self.plain(1);
        self.until("the marker is counted", |w| {
            w.seal();
            w.counted.contains_key("1000")
        });
        assert_eq!(self.tally.read, before + 1);
    }
}

#[test]
fn a_damaged_file_is_told_and_the_others_are_read() {
    let Some(mut w) = Worker::new("") else { return };
    w.write("system@1.journal", 300, &[("MESSAGE", b"hello")]);
    let damaged = w.path("system@1.journal");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[..64].fill(0);
    fs::write(&damaged, bytes).unwrap();
    w.next = 0;
    w.until("the damage is told", |w| w.health().contains("system@1.journal corrupted"));
    assert!(w.health().starts_with("failing: "), "{}", w.health());
    w.plain(5);
    w.settle(5);
    assert_eq!(w.health(), "ok", "it is observed");
    // A file that ends in the middle is damaged while it is being read.
    let cut = fs::File::options().write(true).open(w.path("system.journal")).unwrap();
    cut.set_len(70_000).unwrap();
    w.write("new.journal", 5, &[("MESSAGE", b"hello")]);
    w.settle(10);
}

#[test]
fn a_journal_that_was_emptied_past_the_place_goes_on_with_the_oldest_there_is() {
    let Some(mut w) = Worker::new("") else { return };
    w.write("system@1.journal", 5, &[("MESSAGE", b"hello")]);
    w.settle(5);
    let rows = w.rows.values().cloned().collect();
    w.start_with(Stored { rows, ..Stored::default() });
    w.write("system@2.journal", 5, &[("MESSAGE", b"hello")]);
    fs::remove_file(w.path("system@1.journal")).unwrap();
    w.settle_exactly();
}

#[test]
fn a_lost_spool_goes_on_where_the_collector_says_and_an_older_one_too() {
    let Some(mut w) = Worker::new("") else { return };
    w.plain(4);
    w.settle(4);
    let older: Vec<String> = w.rows.values().cloned().collect();
    w.plain(6);
    w.settle(10);
    for rows in [vec![], older] {
        let told = w.frontiers.clone();
        let to = told.last().unwrap().to;
        w.start_with(Stored { rows, wait: true, ..Stored::default() });
        for _ in 0..3 {
            w.poll();
        }
        assert_eq!(w.source.child_id(), None, "nothing is read before the collector has spoken");
        assert!(w.health().starts_with("waiting: the collector"), "{}", w.health());
        w.source.adopt(w.now, &told);
        w.settle_exactly();
        let next = &w.frontiers[told.len()];
        assert_eq!((next.begin, next.from), (to, to), "its coverage begins anew");
    }
}

#[test]
fn a_corrupt_position_fails_closed() {
    let Some(mut w) = Worker::new("") else { return };
    w.plain(3);
    w.settle(3);
    let rows = vec!["{\"v\":1,\"source\":\"sys\",\"inode\":7}".to_owned()];
    w.start_with(Stored { rows, ..Stored::default() });
    for _ in 0..3 {
        w.poll();
    }
    assert_eq!(w.source.child_id(), None);
    assert!(w.acc.is_empty() && w.source.checkpoint().store.is_empty());
    assert!(w.health().starts_with("failing: stored position is corrupt"), "{}", w.health());
}
