//! Gzip files read by the `tail` source, on real files and as `gzip` itself makes them.
//!
//! Owns what only real files can show; the rules themselves are tested in the core, and decoding beside the decoder.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use watchkeeper_model::SkipReason;

use super::tests::Worker;
use crate::sources::{Health, Stored};

fn member(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn lines(n: std::ops::Range<u32>) -> Vec<u8> {
    n.flat_map(|i| format!("{{\"n\":{i}}}\n").into_bytes()).collect()
}

/// A worker that reads everything in its directory.
fn reading(start_at: &str) -> Worker {
    Worker::starting_at(start_at, TempDir::new().unwrap(), "*", ", compressed: read")
}

/// Whatever is there is older than any wait for quiet, and known as such.
fn settle(w: &mut Worker) -> u64 {
    for _ in 0..100 {
        w.poll();
    }
    w.seal();
    w.counted
}

fn gzip(w: &Worker, name: &str) {
    let done = Command::new("gzip").arg(w.path(name)).status().unwrap();
    assert!(done.success());
}

#[test]
fn gzip_files_become_counts_whatever_start_at_says() {
    for start_at in ["end", "beginning"] {
        let mut w = reading(start_at);
        let members = [member(&lines(0..100)), member(&lines(100..150))].concat();
        fs::write(w.path("two-members.gz"), members).unwrap();
        fs::write(w.path("empty.gz"), member(b"")).unwrap();
        fs::write(w.path("nothing.gz"), b"").unwrap();
        fs::write(w.path("without-end.gz"), member(b"{\"n\":1}\n{\"n\":2}")).unwrap();
        fs::write(w.path("other.xz"), b"anything").unwrap();
        fs::write(w.path("plain"), lines(0..1_000)).unwrap();
        let n_plain = if start_at == "end" { 0 } else { 1_000 };
        assert_eq!(settle(&mut w), 152 + n_plain, "{start_at}");
        assert_eq!(w.source.health(), Health::Ok);
        assert_eq!(w.source.lag_bytes(), 0);
        w.restart();
        assert_eq!(settle(&mut w), 152 + n_plain, "{start_at}");
        fs::write(w.path("later.gz"), member(&lines(0..7))).unwrap();
        assert_eq!(settle(&mut w), 159 + n_plain, "{start_at}");
    }
}

#[test]
fn what_is_compressed_otherwise_is_skipped_and_counted() {
    let mut w = reading("end");
    w.source.poll(w.now, true, &mut w.acc);
    fs::write(w.path("a.bz2"), b"anything").unwrap();
    fs::write(w.path("a.log.1.zst"), b"anything").unwrap();
    fs::write(w.path("a.gz"), member(&lines(0..7))).unwrap();
    assert_eq!(settle(&mut w), 7);
    assert_eq!(w.tally.skipped, [(SkipReason::Compressed, 2)]);
    assert_eq!(w.source.health(), Health::Ok);
}

#[test]
fn files_cut_off_or_damaged_are_told_and_what_stands_before_is_counted() {
    let whole = member(&lines(0..30_000));
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    damaged[whole.len() / 2 + 1] ^= 0xff;
    let mut wrong_checksum = whole.clone();
    wrong_checksum[whole.len() - 5] ^= 1;
    for (what, bytes, told, least, is_reported) in [
        ("cut off", &whole[..whole.len() / 2], "ends in the middle", 10_000, false),
        ("damaged", &damaged[..], "is damaged after byte", 10_000, true),
        ("checksum", &wrong_checksum[..], "is damaged after byte", 30_000, false),
        ("no gzip", &b"{\"n\":1}\n"[..], "is no gzip file", 0, true),
    ] {
        let mut w = reading("end");
        fs::write(w.path("a.gz"), bytes).unwrap();
        let n = settle(&mut w);
        assert!((least..=30_000).contains(&n), "{what}: {n}");
        let health = w.source.health().to_string();
        assert!(health.contains("a.gz: ") && health.contains(told), "{what}: {health}");
        assert_eq!(w.tally.bytes_unknown > 0, is_reported, "{what}: {}", w.tally.bytes_unknown);
        assert_eq!((w.tally.bytes_abandoned, w.tally.truncations), (0, 0), "{what}");
        let reported = w.tally.bytes_unknown;
        w.restart();
        assert_eq!(settle(&mut w), n, "{what}");
        assert!(w.source.health().to_string().contains(told), "{what}: after a restart too");
        assert_eq!(w.tally.bytes_unknown, reported, "{what}: reported once");
        fs::remove_file(w.path("a.gz")).unwrap();
        fs::write(w.path("b.gz"), member(b"")).unwrap();
        settle(&mut w);
        assert_eq!(w.source.health(), Health::Ok, "{what}");
    }
}

#[test]
fn a_file_that_grows_is_read_on() {
    let mut w = reading("end");
    let whole = [member(&lines(0..20_000)), member(&lines(20_000..20_100))].concat();
    let mut file = fs::File::create(w.path("a.gz")).unwrap();
    let mut counted = 0;
    for (k, part) in whole.chunks(whole.len() / 7).enumerate() {
        file.write_all(part).unwrap();
        w.poll();
        w.seal();
        assert!(w.counted >= counted);
        counted = w.counted;
        if k % 3 == 2 {
            w.restart();
        }
    }
    assert_eq!(settle(&mut w), 20_100);
    assert_eq!(w.source.health(), Health::Ok);
    assert_eq!((w.tally.truncations, w.tally.bytes_unknown), (0, 0));
}

#[test]
fn a_bomb_of_zeros_is_a_blank_line_and_does_not_keep_the_worker() {
    let mut w = reading("end");
    fs::write(w.path("bomb.gz"), member(&vec![0; 50 << 20])).unwrap();
    w.lines("a.log", 0..1);
    settle_once(&mut w);
    w.lines("a.log", 1..3);
    let mut n_polls = 0;
    while w.tally.skipped.is_empty() {
        n_polls += 1;
        settle_once(&mut w);
        assert!(n_polls < 1_000);
    }
    assert!(n_polls >= 10, "a poll reads 4 MiB: {n_polls}");
    assert_eq!(w.tally.skipped, [(SkipReason::Blank, 1)]);
    assert_eq!((w.counted, w.tally.bytes), (2, (50 << 20) + 2 * 8));
}

fn settle_once(w: &mut Worker) {
    w.now = w.now + Duration::from_secs(1);
    w.source.poll(w.now, true, &mut w.acc);
    w.seal();
}

#[test]
fn a_restart_in_the_middle_counts_each_line_once() {
    let mut w = reading("end");
    fs::write(w.path("a.gz"), member(&lines(0..1_000_000))).unwrap();
    let mut n_restarts = 0;
    while w.counted < 1_000_000 {
        for _ in 0..3 {
            settle_once(&mut w);
        }
        // Counted, and lost with the process.
        w.now = w.now + Duration::from_secs(1);
        w.source.poll(w.now, true, &mut w.acc);
        w.restart();
        // A place far behind is not reached in one poll.
        n_restarts += 1;
        for _ in 0..30 {
            w.now = w.now + Duration::from_millis(20);
            w.source.poll(w.now, true, &mut w.acc);
            if !w.acc.is_empty() {
                break;
            }
        }
        assert!(n_restarts < 20, "{} counted", w.counted);
    }
    assert!(n_restarts >= 2);
    assert_eq!(settle(&mut w), 1_000_000);
    assert_eq!((w.tally.truncations, w.tally.bytes_unknown, w.tally.bytes_abandoned), (0, 0, 0));
}

#[test]
fn what_gzip_makes_of_a_file_that_was_read_is_not_counted_again() {
    for start_at in ["end", "beginning"] {
        for down in [false, true] {
            for n_unread in [0, 3, 20_000] {
                let case = format!("{start_at} {down} {n_unread}");
                let mut w = reading(start_at);
                w.append("app.log", "{\"n\":0}\n");
                settle_once(&mut w);
                let n = if start_at == "end" { 0 } else { 1 };
                w.append("app.log", &String::from_utf8(lines(1..9_000)).unwrap());
                settle_once(&mut w);
                settle_once(&mut w);
                assert_eq!(w.counted, n + 8_999, "{case}");
                let more = String::from_utf8(lines(0..n_unread)).unwrap();
                w.append("app.log", &more);
                fs::rename(w.path("app.log"), w.path("app.log.1")).unwrap();
                w.append("app.log", "{\"n\":5}\n");
                if !down {
                    settle_once(&mut w);
                }
                gzip(&w, "app.log.1");
                if down {
                    w.restart();
                }
                let wanted = n + 9_000 + u64::from(n_unread);
                assert_eq!(settle(&mut w), wanted, "{case}");
                w.restart();
                fs::rename(w.path("app.log.1.gz"), w.path("app.log.2.gz")).unwrap();
                assert_eq!(settle(&mut w), wanted, "{case}");
                assert_eq!((w.tally.bytes_abandoned, w.tally.bytes_unknown), (0, 0), "{case}");
                assert_eq!(w.source.health(), Health::Ok, "{case}");
            }
        }
    }
}

#[test]
fn stopped_during_the_compression_each_line_counts_once() {
    let content = lines(0..50_000);
    let whole = member(&content);
    for written in [0, 5, whole.len() / 2, whole.len() - 3, whole.len()] {
        for restart_with_part in [false, true] {
            let case = format!("{written} {restart_with_part}");
            let mut w = reading("beginning");
            fs::write(w.path("app.log"), &content).unwrap();
            for _ in 0..5 {
                settle_once(&mut w);
            }
            fs::rename(w.path("app.log"), w.path("app.log.1")).unwrap();
            settle_once(&mut w);
            fs::write(w.path("app.log.1.gz"), &whole[..written]).unwrap();
            settle_once(&mut w);
            w.restart();
            if restart_with_part {
                settle_once(&mut w);
                w.restart();
            }
            let mut rest =
                fs::OpenOptions::new().append(true).open(w.path("app.log.1.gz")).unwrap();
            rest.write_all(&whole[written..]).unwrap();
            fs::remove_file(w.path("app.log.1")).unwrap();
            assert_eq!(settle(&mut w), 50_000, "{case}");
            assert_eq!(w.source.health(), Health::Ok, "{case}");
            assert_eq!((w.tally.bytes_abandoned, w.tally.bytes_unknown), (0, 0), "{case}");
        }
    }
}

#[test]
fn hundreds_of_files_are_closed_and_not_touched_again() {
    let mut w = reading("end");
    for i in 0..300 {
        fs::write(w.path(&format!("{i}.gz")), member(&lines(i..i + 10))).unwrap();
    }
    let ours = |w: &Worker| {
        let Ok(all) = fs::read_dir("/proc/self/fd") else { return 0 };
        let targets = all.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        targets.filter(|path| path.starts_with(w.dir.path())).count()
    };
    assert_eq!(settle(&mut w), 3_000);
    assert_eq!(ours(&w), 0);
    let rows = w.rows.values().cloned().collect();
    w.start_with(Stored { rows, looked_at: w.looked_at, wait: false });
    // They can't be opened any more, and need not be.
    for i in 0..300 {
        let path = w.path(&format!("{i}.gz"));
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes.reverse();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
        file.set_modified(modified).unwrap();
    }
    assert_eq!(settle(&mut w), 3_000);
    assert_eq!(w.source.health(), Health::Ok);
}
