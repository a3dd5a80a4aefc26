//! Sources that get another name or other paths.

use super::scene::{following, lines, settle, wanted};
use crate::tail::agent::Agent;

#[test]
fn a_source_that_is_renamed_reads_on_and_is_told_under_its_new_name() {
    for down in [false, true] {
        let mut agent = following(3);
        agent.world().append("/l/idle.log", lines(3..5));
        agent.catch_up();
        agent.world().append("/l/app.log", lines(5..6));
        agent.catch_up();
        if down {
            agent.seal();
            agent.crash();
        }
        agent.rename_source("t");
        agent.catch_up();
        agent.seal();
        let of_t = |agent: &Agent| {
            let ranges = agent.coverage.iter().filter(|((source, _), _)| source == "t");
            ranges.map(|(_, (begin, to, covered))| (*begin, *to, *covered)).collect::<Vec<_>>()
        };
        assert_eq!(of_t(&agent), [(28, 28, 0), (14, 14, 0)], "both, and neither has a gap");
        agent.world().append("/l/app.log", lines(6..7));
        assert_eq!(settle(&mut agent), wanted(0..7));
        assert_eq!(of_t(&agent)[0], (28, 35, 7));
        agent.lose_spool();
        agent.catch_up();
        agent.adopt();
        assert_eq!(settle(&mut agent), wanted(0..7), "nothing is read again");
        assert_eq!((agent.sealed.unknown, agent.sealed.abandoned), (0, 0));
    }
}

#[test]
fn a_crash_right_after_renaming_changes_nothing() {
    let mut agent = following(3);
    for name in ["t", "s", "t"] {
        agent.rename_source(name);
        agent.crash();
        agent.poll();
        agent.rename_source("u");
        agent.poll();
        agent.seal();
        agent.crash();
    }
    agent.world().append("/l/app.log", lines(3..4));
    assert_eq!(settle(&mut agent), wanted(0..4));
    assert_eq!(agent.n_rows(), 1);
}

#[test]
fn a_copy_is_still_one_after_its_source_was_renamed() {
    for down in [false, true] {
        let mut agent = following(3);
        agent.world().append("/l/app.log", lines(3..4));
        agent.world().copy("/l/app.log", "/l/app.log.1");
        agent.catch_up();
        if down {
            agent.seal();
            agent.crash();
        }
        agent.rename_source("t");
        agent.catch_up();
        agent.world().truncate("/l/app.log", 0);
        agent.world().append("/l/app.log", lines(4..5));
        assert_eq!(settle(&mut agent), wanted(0..5));
        assert_eq!(agent.sealed.unknown, 0);
    }
}

#[test]
fn a_deleted_file_is_read_to_its_end_through_a_rename_of_its_source() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..5));
    agent.world().remove("/l/app.log");
    agent.poll_with(false);
    agent.rename_source("t");
    assert_eq!(settle(&mut agent), wanted(0..5));
}

#[test]
fn files_that_are_not_ours_any_more_are_let_go_and_known_if_they_come_back() {
    for down in [false, true] {
        let mut agent = following(3);
        agent.world().append("/l/other.txt", "not ours yet\n");
        agent.world().append("/l/app.log", lines(3..4));
        agent.tail().hint(None);
        agent.poll_with(false);
        agent.look_for(("/l/", ".txt"));
        if down {
            agent.seal();
            agent.crash();
        }
        agent.world().append("/l/app.log", lines(4..5));
        agent.wait_for(100);
        assert_eq!(agent.sealed.lines.len(), 3);
        agent.catch_up();
        agent.seal();
        assert_eq!(agent.sealed.lines.split_off(3), ["not ours yet"]);
        agent.wait_for(100);
        agent.catch_up();
        agent.seal();
        assert_eq!(agent.sealed.abandoned, 0, "what is not ours is no loss");
        assert_eq!(agent.tail().lag_bytes(), 0);
        agent.look_for(("/l/", ".log"));
        assert_eq!(settle(&mut agent), wanted(0..5), "{down}");
    }
}

#[test]
fn a_file_moved_out_of_the_paths_is_read_to_its_end_through_a_change_of_others() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..4));
    agent.world().rename("/l/app.log", "/l/archived");
    agent.tail().hint(None);
    agent.poll_with(false);
    agent.look_for(("/l/app", ".log"));
    agent.world().append("/l/archived", lines(4..5));
    assert_eq!(settle(&mut agent), wanted(0..5));
}
