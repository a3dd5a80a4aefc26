//! The rules of gzip files, one by one, against a file system in memory.
//!
//! Owns one sentence per rule. Whose lines they hold is in `forms_tests`.

use super::agent::Agent;
use super::disk::Ending;
use super::{Compressed, StartAt};

pub(super) fn lines(n: std::ops::Range<usize>) -> String {
    n.map(|i| format!("line {i}\n")).collect()
}

pub(super) fn wanted(n: std::ops::Range<usize>) -> Vec<String> {
    n.map(|i| format!("line {i}")).collect()
}

/// Catches up, seals and says what is durable, in order of lines.
pub(super) fn settle(agent: &mut Agent) -> Vec<String> {
    agent.catch_up();
    agent.seal();
    let mut lines = agent.sealed.lines.clone();
    lines.sort_by_key(|l| (l.len(), l.clone()));
    lines
}

/// Long enough for everything that waits for quiet.
pub(super) fn wait(agent: &mut Agent) {
    for _ in 0..3 {
        agent.wait_for(700);
        settle(agent);
    }
}

pub(super) fn problems(agent: &mut Agent) -> Vec<String> {
    agent.tail().problems().map(|(path, why)| format!("{} {why}", path.display())).collect()
}

/// An agent that has read and sealed `/l/app.log` with these lines, and reads gzip files.
pub(super) fn following(n: usize) -> Agent {
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
    assert_eq!(
        told[1],
        "/l/b.gz is no gzip file, or is damaged before anything in it could be counted"
    );
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

#[test]
fn files_that_were_skipped_are_read_once_that_is_asked_for_and_not_again() {
    let mut agent = following(2);
    agent.settings.compressed = Compressed::Skip;
    agent.reconfigure();
    agent.world().append_compressed("/l/old.gz", lines(2..5), Ending::Whole);
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..2), "skipped");
    for (compressed, what) in [
        (Compressed::Read, "read"),
        (Compressed::Skip, "left alone"),
        (Compressed::Read, "read before"),
    ] {
        agent.settings.compressed = compressed;
        agent.reconfigure();
        wait(&mut agent);
        assert_eq!(settle(&mut agent), wanted(0..5), "{what}");
    }
}

#[test]
fn a_renamed_source_keeps_its_place_in_compressed_files_through_crashes() {
    let mut agent = Agent::reading_compressed();
    agent.world().append_compressed("/l/a.gz", lines(0..3), Ending::Whole);
    wait(&mut agent);
    agent.rename_source("t");
    // Its place is stored under the old name only.
    agent.crash();
    wait(&mut agent);
    agent.crash();
    wait(&mut agent);
    assert_eq!(settle(&mut agent), wanted(0..3));
}

#[test]
fn a_mark_of_the_byte_order_is_no_part_of_an_only_line_without_end() {
    for (content, wanted) in [("\u{feff}line", &["line"][..]), ("\u{feff}", &[])] {
        let mut agent = Agent::reading_compressed();
        agent.world().append_compressed("/l/a.gz", content, Ending::Whole);
        wait(&mut agent);
        assert_eq!(settle(&mut agent), wanted);
        assert_eq!(agent.sealed.bytes, content.len() as u64);

        let mut plain = Agent::new();
        plain.world().append("/l/app.log", content);
        settle(&mut plain);
        plain.world().rename("/l/app.log", "/l/app.log.1");
        wait(&mut plain);
        assert_eq!(settle(&mut plain), wanted);
    }
}
