//! The rules of gzip files, one by one, against a file system in memory.
//!
//! Owns one sentence per rule. Random mixtures with rotation are in `property`.

use super::disk::Ending;
use super::memory::Agent;
use super::{Compressed, StartAt};

fn lines(n: std::ops::Range<usize>) -> String {
    n.map(|i| format!("line {i}\n")).collect()
}

fn wanted(n: std::ops::Range<usize>) -> Vec<String> {
    n.map(|i| format!("line {i}")).collect()
}

/// Catches up, seals and says what is durable, in order of lines.
fn settle(agent: &mut Agent) -> Vec<String> {
    agent.catch_up();
    agent.seal();
    let mut lines = agent.sealed.lines.clone();
    lines.sort_by_key(|l| (l.len(), l.clone()));
    lines
}

/// Long enough for everything that waits for quiet.
fn wait(agent: &mut Agent) {
    for _ in 0..3 {
        agent.wait_for(700);
        settle(agent);
    }
}

fn problems(agent: &mut Agent) -> Vec<String> {
    agent.tail().problems().map(|(path, why)| format!("{} {why}", path.display())).collect()
}

/// An agent that has read and sealed `/l/app.log` with these lines, and reads gzip files.
fn following(n: usize) -> Agent {
    let mut agent = Agent::reading_compressed();
    agent.world().append("/l/app.log", lines(0..n));
    assert_eq!(settle(&mut agent), wanted(0..n));
    agent
}

#[test]
fn gzip_files_that_match_are_read_whole_and_once_wherever_reading_starts() {
    for start_at in [StartAt::End, StartAt::Beginning] {
        let mut agent = Agent::reading_compressed();
        agent.settings.start_at = start_at;
        agent.world().append_compressed("/l/a.gz", lines(0..300), Ending::Whole);
        agent.wait_for(60);
        assert_eq!(settle(&mut agent), wanted(0..300));
        agent.world().append_compressed("/l/b.gz", lines(300..302), Ending::Whole);
        assert_eq!(settle(&mut agent), wanted(0..302));
        agent.crash();
        wait(&mut agent);
        assert_eq!(settle(&mut agent), wanted(0..302));
        assert_eq!(agent.tail().lag_bytes(), 0);
        assert_eq!(agent.sealed.bytes, lines(0..302).len() as u64);
    }
}

#[test]
fn what_is_compressed_otherwise_or_only_looks_rotated_is_skipped_and_counted() {
    let mut agent = following(1);
    agent.disk.pattern = ("/l/", "log");
    agent.crash();
    agent.wait_for(1);
    agent.world().append("/l/app.log.1.gz", "a sibling");
    agent.world().append("/l/app.log.2.xz", "a sibling");
    agent.wait_for(1);
    settle(&mut agent);
    agent.crash();
    agent.disk.pattern = ("/l/", "");
    agent.wait_for(1);
    agent.world().append("/l/x.zst", "matches");
    agent.wait_for(1);
    settle(&mut agent);
    agent.crash();
    agent.settings.compressed = Compressed::Skip;
    agent.wait_for(1);
    agent.world().append("/l/x.gz", "matches");
    assert_eq!(settle(&mut agent), wanted(0..1));
    assert_eq!(agent.sealed.n_compressed, 4);
}

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
fn a_last_line_without_end_is_taken_once_the_file_is_quiet() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", "line 0\nline 1", Ending::Whole);
    agent.wait_for(1);
    assert_eq!(settle(&mut agent), wanted(0..1));
    agent.wait_for(5);
    assert_eq!(settle(&mut agent), wanted(0..2));
    agent.crash();
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..2));
    // Another member behind it.
    agent.world().append_compressed("/l/a.gz", "line 2\n", Ending::Whole);
    assert_eq!(settle(&mut agent), wanted(0..3));
}

#[test]
fn a_file_still_being_written_is_read_on_when_it_changes_and_not_before() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", "line 0\nlin", Ending::Unfinished);
    assert_eq!(settle(&mut agent), wanted(0..1));
    assert_eq!(problems(&mut agent).len(), 0);
    agent.wait_for(61);
    settle(&mut agent);
    agent.wait_for(10);
    settle(&mut agent);
    let told = "/l/a.gz ends in the middle of its compressed data; read up to byte 7 of its content, \
                and on when it changes";
    assert_eq!(problems(&mut agent), [told]);
    let n_opened = agent.world().n_opened;
    wait(&mut agent);
    agent.crash();
    wait(&mut agent);
    assert_eq!(problems(&mut agent), [told], "after a restart too");
    assert_eq!(agent.world().n_opened, n_opened, "it was not opened again");
    agent.world().append_compressed("/l/a.gz", "e 1\n", Ending::Unfinished);
    agent.wait_for(1);
    assert_eq!(settle(&mut agent), wanted(0..2));
    assert_eq!(problems(&mut agent).len(), 0);
    agent.world().append_compressed("/l/a.gz", "line 2\n", Ending::Whole);
    agent.wait_for(1);
    assert_eq!(settle(&mut agent), wanted(0..3));
    assert_eq!((agent.sealed.unknown, agent.sealed.n_damaged), (0, 0));
}

#[test]
fn what_a_cut_off_file_held_of_a_line_is_reported_when_the_file_goes() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", "line 0\nline", Ending::Unfinished);
    wait(&mut agent);
    agent.world().remove("/l/a.gz");
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..1));
    assert_eq!((agent.sealed.abandoned, agent.sealed.unknown), (4, 0));
}

#[test]
fn damage_is_told_and_counted_once_and_what_stands_before_it_is_read() {
    let mut agent = Agent::reading_compressed();
    let damaged = Ending::Damaged { lost_bytes: 1_000 };
    agent.world().append_compressed("/l/a.gz", lines(0..2_000) + "half", damaged);
    assert_eq!(settle(&mut agent), wanted(0..2_000));
    let told = format!(
        "/l/a.gz is damaged after byte {} of its content; the rest is not counted",
        lines(0..2_000).len()
    );
    agent.wait_for(2);
    settle(&mut agent);
    assert_eq!(problems(&mut agent), std::slice::from_ref(&told));
    agent.crash();
    wait(&mut agent);
    assert_eq!(problems(&mut agent), [told]);
    assert_eq!((agent.sealed.n_damaged, agent.sealed.unknown), (1, 1_004));
    assert_eq!((agent.tail().lag_bytes(), agent.sealed.abandoned), (0, 0));
    agent.world().append_compressed("/l/b.gz", "", Ending::Damaged { lost_bytes: 9 });
    wait(&mut agent);
    let told = problems(&mut agent);
    assert_eq!(told[1], "/l/b.gz is no gzip file, or is damaged at its beginning; not counted");
    agent.world().remove("/l/a.gz");
    agent.world().remove("/l/b.gz");
    wait(&mut agent);
    assert_eq!(problems(&mut agent).len(), 0);
    assert_eq!((agent.sealed.n_damaged, agent.sealed.unknown), (2, 1_013));
    assert_eq!(agent.sealed.abandoned, 0);
}

#[test]
fn an_empty_file_is_nothing_and_costs_nothing() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", "", Ending::Whole);
    assert!(settle(&mut agent).is_empty());
    let n_opened = agent.world().n_opened;
    wait(&mut agent);
    assert_eq!(problems(&mut agent).len(), 0);
    assert_eq!(agent.world().n_opened, n_opened);
}

#[test]
fn a_file_replaced_in_place_is_another_life() {
    for open in [false, true] {
        let mut agent = Agent::reading_compressed();
        let ending = if open { Ending::Unfinished } else { Ending::Whole };
        agent.world().append_compressed("/l/a.gz", lines(0..50), ending);
        agent.wait_for(1);
        assert_eq!(settle(&mut agent), wanted(0..50));
        agent.world().replace_compressed("/l/a.gz", lines(50..150), Ending::Whole);
        agent.wait_for(1);
        assert_eq!(settle(&mut agent), wanted(0..150), "{open}");
        agent.world().replace_compressed("/l/a.gz", lines(150..151), Ending::Whole);
        agent.crash();
        assert_eq!(settle(&mut agent), wanted(0..151), "{open}");
    }
}

#[test]
fn a_file_written_over_with_what_it_held_is_the_same_life() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", lines(0..500), Ending::Whole);
    settle(&mut agent);
    for down in [false, true] {
        for ending in [Ending::Unfinished, Ending::Damaged { lost_bytes: 7 }] {
            agent.world().replace_compressed("/l/a.gz", lines(0..100), ending);
            agent.wait_for(2);
            settle(&mut agent);
            if down {
                agent.crash();
            }
            agent.wait_for(100);
            settle(&mut agent);
            assert_eq!(problems(&mut agent).len(), 1);
            agent.world().replace_compressed("/l/a.gz", lines(0..500), Ending::Whole);
            wait(&mut agent);
            assert_eq!(settle(&mut agent), wanted(0..500));
            assert_eq!((problems(&mut agent).len(), agent.sealed.n_truncated), (0, 0));
        }
    }
}

#[test]
fn holes_in_compressed_files_are_one_blank_record() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", vec![0; 40_000], Ending::Whole);
    assert!(settle(&mut agent).is_empty());
    wait(&mut agent);
    assert_eq!((agent.sealed.n_blank, agent.sealed.bytes), (1, 40_000));
    assert_eq!(agent.tail().lag_bytes(), 0);
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
fn a_restart_in_the_middle_goes_on_there_a_step_at_a_time() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", lines(0..3_000), Ending::Whole);
    for _ in 0..30 {
        agent.poll();
    }
    agent.seal();
    let n_read = agent.sealed.lines.len();
    assert!((10..2_900).contains(&n_read), "{n_read}");
    agent.crash();
    for _ in 0..10 {
        let before = agent.world().n_steps;
        agent.poll();
        assert!(agent.world().n_steps - before < 20, "one poll's work is bounded");
    }
    assert_eq!(settle(&mut agent), wanted(0..3_000));
}

#[test]
fn thousands_are_read_few_at_a_time_and_cost_nothing_afterwards() {
    let mut agent = Agent::reading_compressed();
    for i in 0..1_000 {
        let name = format!("/l/{i}.gz");
        agent.world().append_compressed(&name, lines(i..i + 1), Ending::Whole);
    }
    for i in 0..40 {
        let name = format!("/l/unfinished-{i}.gz");
        agent.world().append_compressed(&name, lines(1_000 + i..1_001 + i), Ending::Unfinished);
    }
    for _ in 0..20 {
        agent.wait_for(1);
        settle(&mut agent);
        assert!(agent.world().n_handles() <= 16);
    }
    assert_eq!(settle(&mut agent), wanted(0..1_040));
    wait(&mut agent);
    assert_eq!(agent.world().n_handles(), 0);
    let spent = |agent: &Agent| {
        let world = agent.world();
        (world.n_opened, world.n_steps)
    };
    let before = spent(&agent);
    agent.crash();
    wait(&mut agent);
    assert_eq!(spent(&agent), before);
    assert_eq!(settle(&mut agent), wanted(0..1_040));
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
fn a_deleted_compressed_file_is_let_go_and_its_inode_may_be_used_again() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", lines(0..5), Ending::Whole);
    settle(&mut agent);
    agent.world().remove("/l/a.gz");
    agent.world().append_compressed("/l/b.gz", lines(5..10), Ending::Whole);
    settle(&mut agent);
    agent.crash();
    agent.world().remove("/l/b.gz");
    agent.world().append("/l/c", lines(10..15));
    settle(&mut agent);
    agent.crash();
    agent.world().remove("/l/c");
    agent.world().append_compressed("/l/d.gz", lines(15..20), Ending::Whole);
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..20));
    assert_eq!((agent.sealed.abandoned, agent.sealed.unknown), (0, 0));
    agent.wait_for(8 * 86_400);
    settle(&mut agent);
    assert_eq!(agent.n_rows(), 1);
}

#[test]
fn a_compressed_file_that_can_not_be_opened_is_a_problem_and_tried_again() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", lines(0..5), Ending::Whole);
    agent.world().unreadable.insert("/l/a.gz".into());
    agent.catch_up();
    assert_eq!(problems(&mut agent), ["/l/a.gz permission denied"]);
    agent.world().unreadable.clear();
    agent.wait_for(2);
    assert_eq!(settle(&mut agent), wanted(0..5));
    agent.wait_for(2);
    settle(&mut agent);
    assert_eq!(problems(&mut agent).len(), 0);
}

#[test]
fn long_lines_of_compressed_files_are_passed_over_too() {
    let mut agent = Agent::reading_compressed();
    agent.settings.max_line_bytes = 5_000;
    let text = "z".repeat(5_000) + "\n" + &"w".repeat(9_000) + "\nx\n";
    agent.world().append_compressed("/l/a.gz", &text, Ending::Whole);
    settle(&mut agent);
    assert_eq!(agent.sealed.n_too_long, 1);
    assert_eq!(agent.sealed.lines.iter().map(String::len).collect::<Vec<_>>(), [5_000, 1]);
    assert_eq!(agent.sealed.bytes, text.len() as u64);
}
