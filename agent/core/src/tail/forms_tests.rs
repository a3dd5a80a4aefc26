//! Whose lines gzip files hold, rule by rule, against a file system in memory.
//!
//! Owns one sentence per rule. Random mixtures with rotation are in `property`.

use super::agent::Agent;
use super::compressed_tests::{following, lines, problems, settle, wait, wanted};
use super::disk::Ending;
use super::join::Wrap;

#[test]
fn a_file_that_was_read_is_not_counted_again_when_it_is_compressed() {
    for n in [1, 30, 1_000] {
        for (n_unread, down, whole_at_once) in [
            (0, false, true),
            (0, false, false),
            (0, true, true),
            (3, false, true),
            (3, true, true),
            (500, true, true),
        ] {
            let case = format!("{n} {n_unread} {down} {whole_at_once}");
            let mut agent = following(n);
            if down {
                agent.crash();
            }
            agent.world().append("/l/app.log", lines(n..n + n_unread));
            let n = n + n_unread;
            agent.world().rename("/l/app.log", "/l/app.log.1");
            agent.world().append("/l/app.log", lines(n..n + 1));
            if whole_at_once {
                agent.world().gzip("/l/app.log.1");
            } else {
                agent.catch_up();
                let bytes = agent.world().content("/l/app.log.1");
                for part in bytes.chunks(bytes.len().div_ceil(3)) {
                    agent.world().append_compressed("/l/app.log.1.gz", part, Ending::Unfinished);
                    agent.wait_for(1);
                    agent.catch_up();
                }
                agent.world().append_compressed("/l/app.log.1.gz", "", Ending::Whole);
                settle(&mut agent);
                agent.world().remove("/l/app.log.1");
            }
            assert_eq!(settle(&mut agent), wanted(0..n + 1), "{case}");
            wait(&mut agent);
            agent.crash();
            wait(&mut agent);
            agent.world().rename("/l/app.log.1.gz", "/l/app.log.2.gz");
            wait(&mut agent);
            assert_eq!(settle(&mut agent), wanted(0..n + 1), "{case}");
            assert_eq!((agent.sealed.abandoned, agent.sealed.unknown), (0, 0), "{case}");
            assert_eq!(agent.tail().lag_bytes(), 0);
        }
    }
}

#[test]
fn a_crash_at_any_moment_of_a_compression_counts_nothing_twice() {
    // After so many steps the process is killed, with or without a seal before.
    for crash_after in 0..6 {
        for seal in [false, true] {
            let case = format!("{crash_after} {seal}");
            let mut agent = following(100);
            let step = |agent: &mut Agent, k: usize| {
                agent.wait_for(1);
                agent.catch_up();
                if k == crash_after {
                    if seal {
                        agent.seal();
                    }
                    agent.crash();
                }
            };
            agent.world().append("/l/app.log", lines(100..200));
            step(&mut agent, 0);
            agent.world().rename("/l/app.log", "/l/app.log.1");
            step(&mut agent, 1);
            let content = agent.world().content("/l/app.log.1");
            let half = &content[..content.len() / 2];
            agent.world().append_compressed("/l/app.log.1.gz", half, Ending::Unfinished);
            step(&mut agent, 2);
            let rest = &content[half.len()..];
            agent.world().append_compressed("/l/app.log.1.gz", rest, Ending::Whole);
            step(&mut agent, 3);
            agent.world().remove("/l/app.log.1");
            step(&mut agent, 4);
            agent.wait_for(700);
            step(&mut agent, 5);
            wait(&mut agent);
            assert_eq!(settle(&mut agent), wanted(0..200), "{case}");
            assert_eq!((agent.sealed.abandoned, agent.sealed.unknown), (0, 0), "{case}");
        }
    }
}

#[test]
fn what_was_not_read_of_a_file_when_it_went_is_read_from_its_compressed_form() {
    let mut agent = following(10);
    agent.world().append("/l/app.log", lines(10..400));
    agent.tail().hint(None);
    agent.poll_with(false);
    agent.world().rename("/l/app.log", "/l/app.log.1");
    agent.wait_for(2);
    agent.poll_with(false);
    agent.world().gzip("/l/app.log.1");
    agent.wait_for(2);
    agent.poll_with(false);
    // Nobody could read for longer than it may be held.
    agent.wait_for(90_000);
    agent.poll_with(false);
    agent.seal();
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..400));
    assert_eq!((agent.sealed.abandoned, agent.sealed.unknown), (0, 0));
}

#[test]
fn copytruncate_and_compression_at_once_count_each_line_once() {
    for n_unread in [0, 3, 300] {
        for look_between in [0, 1, 2, 3] {
            for down in [false, true] {
                let case = format!("{n_unread} {look_between} {down}");
                let mut agent = following(50);
                if down {
                    agent.crash();
                }
                let n = 50 + n_unread;
                agent.world().append("/l/app.log", lines(50..n));
                agent.world().copy("/l/app.log", "/l/app.log.1");
                if look_between == 1 {
                    settle(&mut agent);
                }
                agent.world().truncate("/l/app.log", 0);
                agent.world().append("/l/app.log", lines(n..n + 2));
                if look_between == 2 {
                    settle(&mut agent);
                }
                agent.world().gzip("/l/app.log.1");
                if look_between == 3 {
                    agent.wait_for(2);
                    agent.catch_up();
                    agent.crash();
                }
                assert_eq!(settle(&mut agent), wanted(0..n + 2), "{case}");
                agent.crash();
                wait(&mut agent);
                assert_eq!(settle(&mut agent), wanted(0..n + 2), "{case}");
                assert_eq!((agent.sealed.abandoned, agent.sealed.unknown), (0, 0), "{case}");
            }
        }
    }
}

#[test]
fn a_compressed_copy_beside_a_file_that_goes_on_is_not_read() {
    let mut agent = following(200);
    let content = agent.world().content("/l/app.log");
    agent.world().append_compressed("/l/app.log-20261122.gz", &content, Ending::Whole);
    assert_eq!(settle(&mut agent), wanted(0..200));
    agent.world().append("/l/app.log", lines(200..201));
    agent.wait_for(86_400);
    let content = agent.world().content("/l/app.log");
    agent.world().append_compressed("/l/app.log-20261123.gz", &content, Ending::Whole);
    agent.crash();
    assert_eq!(settle(&mut agent), wanted(0..201));
    agent.world().truncate("/l/app.log", 0);
    agent.world().append("/l/app.log", lines(201..202));
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..202));
}

#[test]
fn what_only_begins_like_a_file_we_know_is_read() {
    let banner = "b".repeat(2_000) + "\n";
    let seen = |agent: &mut Agent| {
        let lines = settle(agent);
        lines.into_iter().filter(|l| l.starts_with("line")).collect::<Vec<_>>()
    };
    let mut agent = Agent::reading_compressed();
    agent.world().append("/l/app.log", banner.clone() + &lines(0..50));
    agent.world().append("/l/app.log.1", banner.clone() + &lines(50..100));
    assert_eq!(seen(&mut agent), wanted(0..100));
    agent.crash();
    agent.world().remove("/l/app.log.1");
    // Longer and shorter than what is there, and than what is gone.
    let first = banner.clone() + &lines(100..900);
    agent.world().append_compressed("/l/app.log.1.gz", &first, Ending::Whole);
    let second = banner.clone() + &lines(900..901);
    agent.world().append_compressed("/l/app.log.2.gz", &second, Ending::Whole);
    let third = banner + &lines(901..951);
    agent.world().append_compressed("/l/app.log.3.gz", &third, Ending::Whole);
    assert_eq!(seen(&mut agent), wanted(0..951));
}

#[test]
fn an_older_file_is_no_form_of_a_younger_one() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/app.log.1.gz", "started\n", Ending::Whole);
    agent.world().append("/l/app.log", "started\n");
    assert_eq!(settle(&mut agent), ["started", "started"]);
}

#[test]
fn a_compressed_file_that_is_copied_and_removed_goes_on_in_its_copy() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/app.log.1.gz", lines(0..300), Ending::Whole);
    assert_eq!(settle(&mut agent), wanted(0..300));
    agent.world().remove("/l/app.log.1.gz");
    agent.wait_for(3);
    settle(&mut agent);
    agent.world().append_compressed("/l/app.log.1.gz", lines(0..301), Ending::Whole);
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..301));
    assert_eq!((agent.sealed.abandoned, agent.n_rows()), (0, 1));
}

#[test]
fn a_form_whose_original_can_not_be_compared_waits_and_says_so() {
    let mut agent = following(100);
    agent.world().rename("/l/app.log", "/l/app.log.1");
    wait(&mut agent);
    assert_eq!(agent.world().n_handles(), 0);
    let content = agent.world().content("/l/app.log.1");
    agent.world().append_compressed("/l/app.log.1.gz", content, Ending::Whole);
    agent.world().unreadable.insert("/l/app.log.1".into());
    wait(&mut agent);
    assert_eq!(problems(&mut agent), ["/l/app.log.1 permission denied"]);
    agent.world().unreadable.clear();
    agent.world().append("/l/app.log.1", lines(100..101));
    wait(&mut agent);
    agent.world().remove("/l/app.log.1");
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..101));
}

#[test]
fn each_life_has_one_form_once_it_is_gone() {
    let mut agent = Agent::reading_compressed();
    agent.world().append("/l/app.log.1", "started\n");
    assert_eq!(settle(&mut agent).len(), 1);
    agent.crash();
    agent.world().gzip("/l/app.log.1");
    agent.world().rename("/l/app.log.1.gz", "/l/app.log.2.gz");
    // One more day that looks the same, and that nobody has seen.
    agent.world().append_compressed("/l/app.log.1.gz", "started\n", Ending::Whole);
    wait(&mut agent);
    assert_eq!(settle(&mut agent).len(), 2);
}

#[test]
fn a_form_written_over_another_is_told_anew() {
    let mut agent = Agent::reading_compressed();
    let mut n = 0;
    for day in 0..4 {
        agent.world().append("/l/app.log", lines(n..n + 100));
        n += 100;
        settle(&mut agent);
        let content = agent.world().content("/l/app.log");
        if day == 0 {
            agent.world().append_compressed("/l/app.log.gz", content, Ending::Whole);
        } else {
            agent.world().replace_compressed("/l/app.log.gz", content, Ending::Whole);
        }
        if day % 2 == 0 {
            settle(&mut agent);
        }
        agent.world().truncate("/l/app.log", 0);
        agent.world().append("/l/app.log", lines(n..n + 1));
        n += 1;
        wait(&mut agent);
        assert_eq!(settle(&mut agent), wanted(0..n), "day {day}");
    }
}

#[test]
fn an_agent_without_spool_goes_on_in_compressed_files_where_the_collector_says() {
    let mut agent = following(100);
    agent.world().append_compressed("/l/own.gz", lines(100..300), Ending::Whole);
    settle(&mut agent);
    agent.world().rename("/l/app.log", "/l/app.log.1");
    agent.world().append("/l/app.log", lines(300..301));
    settle(&mut agent);
    agent.lose_spool();
    agent.world().gzip("/l/app.log.1");
    agent.world().append_compressed("/l/own.gz", lines(301..302), Ending::Whole);
    agent.catch_up();
    agent.seal();
    agent.adopt();
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..302));
    assert_eq!(agent.sealed.unknown, 0);
}

#[test]
fn what_is_held_of_a_file_goes_on_in_its_form() {
    let mut agent = Agent::reading_compressed();
    agent.settings.join.wrap = Wrap::Cri;
    let line = |rest: &str| format!("2016-10-06T00:17:09.669794202Z {rest}\n");
    agent.world().append("/l/app.log", line("stdout P a") + &line("stderr F x"));
    assert_eq!(settle(&mut agent), ["x"]);
    agent.crash();
    agent.world().append("/l/app.log", line("stdout F b"));
    agent.world().rename("/l/app.log", "/l/app.log.1");
    agent.world().gzip("/l/app.log.1");
    wait(&mut agent);
    assert_eq!(settle(&mut agent), ["x", "ab"]);
}
