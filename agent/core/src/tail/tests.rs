//! The rules of tailing, one by one, against a file system in memory.
//!
//! Owns one sentence per rule. Random mixtures of everything are in `property`.

use super::agent::Agent;
use super::{StartAt, TailSettings};

fn lines(n: std::ops::Range<usize>) -> String {
    n.map(|i| format!("line {i}\n")).collect()
}

fn wanted(n: std::ops::Range<usize>) -> Vec<String> {
    n.map(|i| format!("line {i}")).collect()
}

/// An agent that has read and sealed `/l/app.log` with these lines.
fn following(n: usize) -> Agent {
    let mut agent = Agent::new();
    agent.world().append("/l/app.log", lines(0..n));
    agent.catch_up();
    agent.seal();
    assert_eq!(agent.sealed.lines, wanted(0..n));
    agent
}

/// Catches up, seals and says what is durable, in order of lines.
fn settle(agent: &mut Agent) -> Vec<String> {
    agent.catch_up();
    agent.seal();
    let mut lines = agent.sealed.lines.clone();
    lines.sort_by_key(|l| (l.len(), l.clone()));
    lines
}

#[test]
fn lines_are_read_as_they_are_written_and_a_line_without_end_is_held() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", "line");
    assert_eq!(settle(&mut agent), wanted(0..3));
    agent.world().append("/l/app.log", " 3\r\nline 4");
    assert_eq!(settle(&mut agent), wanted(0..4));
    agent.crash();
    agent.world().append("/l/app.log", "\n");
    assert_eq!(settle(&mut agent), wanted(0..5));
    assert_eq!(agent.sealed.bytes, lines(0..5).len() as u64 + 1);
}

#[test]
fn what_was_not_sealed_is_read_again_after_a_crash() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..6));
    agent.catch_up();
    agent.crash();
    assert_eq!(settle(&mut agent), wanted(0..6));
}

#[test]
fn a_failed_seal_moves_no_position() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..6));
    agent.catch_up();
    agent.fail_to_seal();
    agent.world().append("/l/app.log", lines(6..8));
    agent.catch_up();
    agent.fail_to_seal();
    agent.seal();
    assert_eq!(agent.sealed.lines, wanted(0..8));
    assert_eq!(agent.frontiers.values().next().unwrap().from, lines(0..3).len() as u64);
}

#[test]
fn start_at_holds_only_for_files_present_at_the_first_start() {
    let mut agent = Agent::new();
    agent.settings.start_at = StartAt::End;
    agent.world().append("/l/app.log", lines(0..3));
    agent.world().append("/l/app.log.1", "rotated before the first start\n");
    agent.wait_for(1);
    agent.catch_up();
    agent.seal();
    agent.crash();
    agent.world().append("/l/app.log", lines(3..4));
    agent.world().append("/l/new.log", lines(4..6));
    assert_eq!(settle(&mut agent), wanted(3..6));
    agent.world().append("/l/newer.log", lines(6..7));
    assert_eq!(settle(&mut agent), wanted(3..7));
}

#[test]
fn a_crash_before_the_first_line_does_not_move_the_start() {
    let mut agent = Agent::new();
    agent.settings.start_at = StartAt::End;
    agent.world().append("/l/app.log", lines(0..3));
    assert!(agent.poll().dirty, "the start is worth storing though nothing was counted");
    agent.seal();
    assert!(!agent.poll().dirty);
    agent.world().append("/l/app.log", lines(3..4));
    agent.crash();
    assert_eq!(settle(&mut agent), wanted(3..4));
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_its_successor_from_the_start() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..5));
    agent.world().rename("/l/app.log", "/l/app.log.1");
    agent.world().append("/l/app.log", lines(5..7));
    agent.catch_up();
    // A writer that has not noticed yet.
    agent.world().append("/l/app.log.1", lines(7..8));
    agent.wait_for(4);
    agent.catch_up();
    agent.wait_for(60);
    agent.world().append("/l/app.log.1", lines(8..9));
    assert_eq!(settle(&mut agent), wanted(0..9));
    agent.wait_for(2_000);
    agent.catch_up();
    agent.world().append("/l/app.log.1", lines(9..10));
    assert_eq!(settle(&mut agent), wanted(0..10), "even after it was closed");
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..5));
    agent.world().remove("/l/app.log");
    assert_eq!(settle(&mut agent), wanted(0..5));
    agent.wait_for(5);
    agent.catch_up();
    agent.wait_for(601);
    agent.catch_up();
    agent.seal();
    assert_eq!((agent.tail().n_files(), agent.n_rows()), (0, 0), "and then let go");
    assert_eq!(agent.sealed.abandoned, 0);
}

#[test]
fn the_last_line_of_a_rotated_file_needs_no_end_once_it_is_quiet() {
    for deleted in [false, true] {
        let mut agent = following(2);
        agent.world().append("/l/app.log", "line 2");
        agent.catch_up();
        if deleted {
            agent.world().remove("/l/app.log");
        } else {
            agent.world().rename("/l/app.log", "/l/app.log.1");
        }
        agent.catch_up();
        agent.wait_for(4);
        assert_eq!(settle(&mut agent), wanted(0..2), "not yet quiet for long enough");
        agent.wait_for(2);
        assert_eq!(settle(&mut agent), wanted(0..3));
        agent.wait_for(60);
        agent.crash();
        assert_eq!(settle(&mut agent), wanted(0..3));
        assert_eq!(agent.tail().lag_bytes(), 0);
    }
}

#[test]
fn files_rotated_while_the_agent_was_down_go_on_wherever_they_are() {
    let mut agent = following(3);
    agent.crash();
    agent.world().append("/l/app.log", lines(3..4));
    agent.world().rename("/l/app.log", "/l/app.log.1");
    agent.world().append("/l/app.log", lines(4..5));
    agent.world().rename("/l/app.log.1", "/l/app.log.2");
    agent.world().rename("/l/app.log", "/l/app.log.1");
    agent.world().append("/l/app.log", lines(5..6));
    agent.world().append("/l/app.log-20261122", lines(6..7));
    assert_eq!(settle(&mut agent), wanted(0..7), "known ones resume, unknown ones are read whole");
    agent.crash();
    assert_eq!(settle(&mut agent), wanted(0..7));
}

#[test]
fn unknown_siblings_from_before_the_last_seal_are_not_read() {
    let mut agent = Agent::new();
    agent.world().append("/l/app.log.1", "old\n");
    agent.wait_for(1);
    agent.world().append("/l/app.log", lines(0..1));
    agent.catch_up();
    agent.seal();
    agent.crash();
    agent.wait_for(1);
    agent.world().rename("/l/app.log.1", "/l/app.log.2");
    assert_eq!(settle(&mut agent), wanted(0..1));
}

#[test]
fn compressed_siblings_are_counted_once_if_their_lines_were_not_read() {
    let mut agent = following(1);
    agent.crash();
    agent.wait_for(1);
    agent.world().append("/l/app.log.1.gz", "zipped while we were down");
    settle(&mut agent);
    settle(&mut agent);
    agent.wait_for(1);
    agent.world().rename("/l/app.log", "/l/app.log.2");
    agent.catch_up();
    agent.wait_for(1);
    agent.world().append("/l/app.log.2.gz", "zipped from what we follow");
    agent.world().remove("/l/app.log.2");
    agent.wait_for(1);
    settle(&mut agent);
    agent.crash();
    settle(&mut agent);
    assert_eq!(agent.sealed.n_compressed, 1);
    assert_eq!(agent.sealed.lines, wanted(0..1));
}

#[test]
fn a_cut_file_begins_anew_and_what_was_not_read_is_reported() {
    for replacement in
        ["", "line 3\n", "line 3\nline 4\nline 5\nline 6\n", "line 3\nline4\nline5\n"]
    {
        let mut agent = following(3);
        agent.world().append("/l/app.log", "not read");
        agent.poll_with(false);
        agent.tail().hint(None);
        agent.poll_with(false);
        agent.world().truncate("/l/app.log", 0);
        agent.world().append("/l/app.log", replacement);
        let seen = settle(&mut agent);
        assert_eq!(agent.sealed.n_truncated, 1, "{replacement:?}");
        assert_eq!(agent.sealed.unknown, 8);
        assert_eq!(seen.len(), 3 + replacement.lines().count());
        agent.crash();
        assert_eq!(settle(&mut agent), seen);
        assert_eq!((agent.sealed.n_truncated, agent.n_rows()), (1, 1));
    }
}

#[test]
fn a_file_cut_while_the_agent_was_down_begins_anew() {
    let mut agent = following(30);
    agent.crash();
    agent.world().truncate("/l/app.log", 0);
    agent.world().append("/l/app.log", lines(30..31));
    assert_eq!(settle(&mut agent), wanted(0..31));
    assert_eq!((agent.sealed.n_truncated, agent.sealed.abandoned), (1, 0));
}

#[test]
fn a_file_cut_to_the_same_size_begins_anew() {
    let mut agent = following(3);
    agent.world().truncate("/l/app.log", 0);
    agent.world().append("/l/app.log", lines(3..6));
    agent.tail().hint(Some(std::path::Path::new("/l/app.log")));
    assert_eq!(settle(&mut agent), wanted(0..6));
}

#[test]
fn a_file_cut_behind_the_place_read_goes_on_there() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..5) + "0123456789");
    agent.tail().hint(None);
    agent.poll_with(false);
    agent.world().truncate("/l/app.log", lines(0..4).len());
    agent.world().append("/l/app.log", lines(4..6));
    assert_eq!(settle(&mut agent), wanted(0..6));
    assert_eq!((agent.sealed.n_truncated, agent.sealed.unknown), (1, 3));
}

#[test]
fn copytruncate_counts_each_line_once() {
    // Whether we look between copy and cut, and whether there are unread lines when it is cut.
    for look_between in [false, true] {
        for (before_copy, after_copy) in [(0, 0), (2, 0), (0, 2), (3, 2)] {
            for down in [false, true] {
                let case = format!("{look_between} {before_copy} {after_copy} {down}");
                let mut agent = following(5);
                if down {
                    agent.crash();
                }
                let mut n = 5;
                agent.world().append("/l/app.log", lines(n..n + before_copy));
                n += before_copy;
                agent.world().copy("/l/app.log", "/l/app.log.1");
                if look_between && !down {
                    agent.catch_up();
                    agent.seal();
                    // Destroyed unless it is read in time.
                    agent.world().append("/l/app.log", lines(n..n + after_copy));
                    agent.catch_up();
                    n += after_copy;
                }
                agent.world().truncate("/l/app.log", 0);
                agent.world().append("/l/app.log", lines(n..n + 4));
                n += 4;
                assert_eq!(settle(&mut agent), wanted(0..n), "{case}");
                assert_eq!((agent.sealed.n_truncated, agent.sealed.unknown), (1, 0), "{case}");
                agent.world().rename("/l/app.log.1", "/l/app.log.2");
                agent.crash();
                agent.wait_for(5);
                agent.catch_up();
                agent.wait_for(2_000);
                assert_eq!(settle(&mut agent), wanted(0..n), "{case}");
            }
        }
    }
}

#[test]
fn a_file_made_and_rotated_between_the_last_look_and_the_seal_is_read() {
    let mut agent = following(1);
    agent.world().append("/l/b.log", lines(1..2));
    agent.wait_for(60);
    agent.seal();
    agent.crash();
    agent.world().rename("/l/b.log", "/l/b.log.1");
    assert_eq!(
        settle(&mut agent),
        wanted(0..2),
        "what counts is when we looked, not when we sealed"
    );
}

#[test]
fn cut_again_before_it_was_read_it_goes_on_in_the_copy() {
    for look_again in [false, true] {
        let mut agent = following(1);
        for n in 1..5 {
            agent.world().copy("/l/app.log", &format!("/l/app.log.{}", 9 - n));
            agent.world().truncate("/l/app.log", 0);
            agent.world().append("/l/app.log", lines(n..n + 1));
            if look_again || n == 2 {
                agent.wait_for(1);
                agent.poll();
            }
        }
        assert_eq!(settle(&mut agent), wanted(0..5), "{look_again}");
        assert_eq!(agent.sealed.unknown, 0);
    }
}

#[test]
fn a_copy_on_the_inode_of_a_file_that_began_like_it_is_no_old_friend() {
    let mut agent = following(0);
    agent.world().append("/l/app.log", "line 1");
    agent.catch_up();
    agent.seal();
    agent.crash();
    agent.world().remove("/l/app.log");
    agent.world().append("/l/other.log", "");
    agent.world().append("/l/app.log", "line 10\n");
    agent.catch_up();
    agent.world().remove("/l/other.log");
    agent.wait_for(700);
    agent.catch_up();
    agent.world().copy("/l/app.log", "/l/app.log.1");
    agent.world().truncate("/l/app.log", 0);
    assert_eq!(settle(&mut agent), ["line 10"]);
}

#[test]
fn a_copy_on_the_inode_of_a_file_that_is_gone_is_a_copy_even_if_it_matches() {
    let mut agent = Agent::new();
    agent.disk.pattern = ("/l/", "");
    agent.world().append("/l/app.log", lines(0..1));
    settle(&mut agent);
    agent.world().remove("/l/app.log");
    agent.world().append("/l/app.log", lines(1..2));
    agent.crash();
    agent.poll();
    agent.world().copy("/l/app.log", "/l/app.log.1");
    agent.world().truncate("/l/app.log", 0);
    agent.world().append("/l/app.log", lines(2..3));
    assert_eq!(settle(&mut agent), wanted(0..3));
}

#[test]
fn a_file_and_its_copy_that_are_found_together_are_told_apart() {
    let mut agent = Agent::new();
    agent.disk.pattern = ("/l/", "");
    agent.world().append("/l/first", "x\n");
    settle(&mut agent);
    agent.crash();
    agent.world().append("/l/app.log", lines(0..1));
    // The copy gets the lower number.
    agent.world().remove("/l/first");
    agent.world().copy("/l/app.log", "/l/app.log.1");
    settle(&mut agent);
    assert_eq!(agent.sealed.lines, ["x", "line 0"]);
}

#[test]
fn a_copy_is_of_the_life_it_has_most_in_common_with() {
    let mut agent = following(0);
    agent.world().append("/l/app.log", "l");
    agent.catch_up();
    agent.world().remove("/l/app.log");
    agent.seal();
    agent.world().append("/l/app.log", "line 1\n");
    agent.crash();
    agent.catch_up();
    agent.world().copy("/l/app.log", "/l/app.log.1");
    agent.world().truncate("/l/app.log", 0);
    agent.world().append("/l/app.log", "line 2\n");
    assert_eq!(settle(&mut agent), wanted(1..3), "not of one that began with the same letter");
}

#[test]
fn a_copy_in_the_making_is_not_read() {
    let mut agent = following(500);
    agent.world().append("/l/app.log.1", "");
    assert_eq!(settle(&mut agent), wanted(0..500));
    let content = agent.world().content("/l/app.log");
    for part in content.chunks(700) {
        agent.world().append("/l/app.log.1", part);
        agent.wait_for(1);
        assert_eq!(settle(&mut agent).len(), 500);
    }
    agent.crash();
    agent.world().truncate("/l/app.log", 0);
    agent.world().append("/l/app.log", lines(500..501));
    assert_eq!(settle(&mut agent), wanted(0..501));
}

#[test]
fn two_equal_files_alive_together_are_two() {
    let mut agent = Agent::new();
    agent.world().append("/l/a.log", "x\n");
    agent.world().append("/l/b.log", "x\n");
    assert_eq!(settle(&mut agent), ["x", "x"]);
    agent.world().append("/l/c.log", "x\n");
    assert_eq!(settle(&mut agent), ["x", "x", "x"]);
    agent.crash();
    assert_eq!(settle(&mut agent).len(), 3);
    agent.world().rename("/l/a.log", "/l/a.log.1");
    agent.world().append("/l/a.log", "x\n");
    assert_eq!(settle(&mut agent).len(), 4, "a successor that begins like its predecessor");
}

#[test]
fn links_to_one_file_are_one_file_and_a_link_can_move_on() {
    let mut agent = following(2);
    agent.world().link("/l/app.log", "/l/current.log");
    assert_eq!(settle(&mut agent), wanted(0..2));
    agent.world().append("/l/real-2", lines(3..4));
    agent.world().append("/l/app.log", lines(2..3));
    agent.world().remove("/l/app.log");
    agent.world().link("/l/real-2", "/l/current.log");
    assert_eq!(settle(&mut agent), wanted(0..4));
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    for restart in [false, true] {
        let mut agent = following(30);
        agent.world().append("/l/app.log", "unread");
        agent.poll_with(false);
        agent.tail().hint(None);
        agent.poll_with(false);
        agent.seal();
        if restart {
            agent.crash();
            agent.world().remove("/l/app.log");
        } else {
            agent.world().remove("/l/app.log");
            agent.catch_up();
            agent.wait_for(6);
            agent.catch_up();
            agent.wait_for(1_000);
            agent.catch_up();
        }
        agent.world().append("/l/other.log", lines(30..70));
        let seen = settle(&mut agent);
        let (n, abandoned) = if restart { (70, 6) } else { (71, 0) };
        assert_eq!(seen.len(), n, "restart: {restart}");
        assert_eq!((agent.sealed.n_truncated, agent.sealed.abandoned), (0, abandoned));
    }
}

#[test]
fn a_changed_device_number_alone_breaks_nothing() {
    let mut agent = following(3);
    agent.crash();
    agent.world().dev = 77;
    agent.world().append("/l/app.log", lines(3..4));
    assert_eq!(settle(&mut agent), wanted(0..4));
}

#[test]
fn what_is_deleted_while_nobody_can_read_is_reported() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", "0123456789\n");
    agent.poll_with(false);
    agent.tail().hint(None);
    agent.poll_with(false);
    agent.seal();
    agent.crash();
    agent.world().remove("/l/app.log");
    settle(&mut agent);
    assert_eq!(agent.sealed.abandoned, 0, "its file system may come back");
    agent.wait_for(61);
    settle(&mut agent);
    agent.crash();
    settle(&mut agent);
    agent.wait_for(61);
    settle(&mut agent);
    assert_eq!(agent.sealed.abandoned, 11, "once");
    agent.wait_for(8 * 86_400);
    settle(&mut agent);
    assert_eq!(agent.n_rows(), 0);
}

#[test]
fn held_files_are_given_up_in_the_end_and_counted() {
    let mut agent = Agent::new();
    agent.settings.max_held_bytes = 100;
    agent.world().append("/l/a.log", lines(0..1));
    agent.world().append("/l/b.log", lines(0..1));
    agent.catch_up();
    for file in ["/l/a.log", "/l/b.log"] {
        agent.world().append(file, "x".repeat(79) + "\n");
        agent.world().remove(file);
        agent.tail().hint(None);
        agent.poll_with(false);
        agent.poll_with(false);
        agent.wait_for(1);
    }
    agent.tail().hint(None);
    agent.poll_with(false);
    agent.seal();
    assert_eq!(agent.sealed.abandoned, 80, "the oldest goes first");
    assert_eq!(agent.tail().lag_bytes(), 80);
    agent.wait_for(86_401);
    agent.poll_with(false);
    agent.seal();
    assert_eq!((agent.sealed.abandoned, agent.tail().lag_bytes()), (160, 0));
}

#[test]
fn while_files_are_not_read_the_lag_grows_and_nothing_is_lost() {
    let mut agent = following(1);
    agent.world().append("/l/app.log", lines(1..3));
    agent.wait_for(20);
    agent.poll_with(false);
    assert_eq!(agent.tail().lag_bytes(), 14);
    agent.world().rename("/l/app.log", "/l/app.log.1");
    agent.world().append("/l/app.log", lines(3..4));
    agent.wait_for(20);
    agent.poll_with(false);
    assert_eq!(settle(&mut agent), wanted(0..4));
}

#[test]
fn corrupt_positions_stop_the_source_and_say_so() {
    let mut agent = following(3);
    agent.crash();
    agent.corrupt_rows();
    agent.world().append("/l/app.log", lines(3..4));
    agent.poll();
    assert!(agent.tail().corrupt().is_some());
    agent.seal();
    assert_eq!(agent.sealed.lines.len(), 3);
}

#[test]
fn an_agent_without_spool_goes_on_where_the_collector_says() {
    for start_at in [StartAt::Beginning, StartAt::End] {
        let mut agent = following(3);
        agent.world().append("/l/other.log", "x\n");
        agent.world().append("/l/app.log", lines(3..5));
        settle(&mut agent);
        agent.lose_spool();
        agent.settings.start_at = start_at;
        agent.world().append("/l/app.log", lines(5..6));
        agent.world().rename("/l/app.log", "/l/app.log.1");
        agent.world().append("/l/app.log", lines(6..7));
        agent.catch_up();
        agent.world().append("/l/app.log", lines(7..8));
        agent.catch_up();
        assert!(agent.tail().is_waiting());
        assert_eq!(settle(&mut agent).len(), 6, "nothing is read before the collector has spoken");
        agent.adopt();
        let seen = settle(&mut agent);
        let lines: Vec<String> = seen.into_iter().filter(|l| l != "x").collect();
        assert_eq!(lines, wanted(0..8), "{start_at:?}");
        assert_eq!(agent.sealed.unknown, 0);
    }
}

#[test]
fn an_agent_with_an_older_spool_jumps_ahead_and_never_back() {
    let mut agent = following(3);
    agent.world().append("/l/b.log", lines(10..20));
    settle(&mut agent);
    let older = agent.frontiers.clone();
    agent.world().append("/l/app.log", lines(3..5));
    agent.catch_up();
    agent.seal();
    agent.crash();
    agent.wait = true;
    agent.frontiers = older;
    agent.catch_up();
    agent.adopt();
    settle(&mut agent);
    assert_eq!(agent.sealed.lines.len(), 15, "what the collector knows less of stays where it is");
    agent.lose_spool();
    agent.frontiers.values_mut().for_each(|f| f.guard.hash ^= 1);
    agent.adopt();
    settle(&mut agent);
    assert_eq!(agent.sealed.lines.len(), 30, "a place whose bytes differ is not taken");
}

#[test]
fn what_neither_side_knows_is_reported() {
    let mut agent = Agent::new();
    agent.settings.start_at = StartAt::End;
    agent.world().append("/l/quiet.log", lines(0..2));
    agent.wait_for(10);
    agent.world().append("/l/app.log", "");
    agent.catch_up();
    agent.world().append("/l/app.log", lines(2..3));
    settle(&mut agent);
    agent.lose_spool();
    agent.wait_for(10);
    agent.world().append("/l/new.log", lines(3..4));
    agent.catch_up();
    agent.adopt();
    assert_eq!(settle(&mut agent), wanted(2..4), "what is newer than all it knows is new");
    assert_eq!(agent.sealed.unknown, 14);
}

#[test]
fn a_first_start_with_nothing_known_reports_nothing() {
    let mut agent = Agent::new();
    agent.wait = true;
    agent.settings.start_at = StartAt::End;
    agent.world().append("/l/app.log", lines(0..2));
    agent.catch_up();
    agent.world().append("/l/app.log", lines(2..3));
    agent.adopt();
    assert_eq!(settle(&mut agent), wanted(2..3));
    assert_eq!(agent.sealed.unknown, 0);
}

#[test]
fn no_file_starves_another() {
    let mut agent = Agent::new();
    agent.world().append("/l/big.log", "y\n".repeat(4 << 20));
    agent.world().append("/l/small.log", "x\n");
    agent.poll();
    agent.seal();
    assert!(agent.sealed.lines.iter().any(|l| l == "x"), "in the first poll");
    assert!(agent.sealed.lines.len() < 4 << 20, "which is bounded");
    agent.catch_up();
    agent.seal();
    assert_eq!(agent.sealed.lines.len(), (4 << 20) + 1);
}

#[test]
fn one_seal_covers_so_many_files_and_the_rest_follows() {
    let mut agent = Agent::new();
    for i in 0..700 {
        agent.world().append(&format!("/l/{i}.log"), lines(i..i + 1));
    }
    agent.poll();
    agent.poll();
    agent.seal();
    assert_eq!(agent.sealed.lines.len(), 500);
    assert_eq!(settle(&mut agent), wanted(0..700));
}

#[test]
fn long_lines_are_passed_over_and_short_ones_kept() {
    let mut agent = Agent::new();
    agent.settings = TailSettings { max_line_bytes: 600_000, ..agent.settings };
    agent.world().append("/l/app.log", "z".repeat(600_000) + "\n" + &"w".repeat(3 << 20));
    agent.catch_up();
    agent.seal();
    agent.crash();
    agent.world().append("/l/app.log", "\nx\n");
    agent.catch_up();
    agent.seal();
    assert_eq!(agent.sealed.n_too_long, 1);
    assert_eq!(agent.sealed.lines.iter().map(String::len).collect::<Vec<_>>(), [600_000, 1]);
    assert_eq!(agent.sealed.bytes, 600_001 + (3 << 20) + 3);
}

#[test]
fn holes_and_byte_order_marks_are_no_lines() {
    let mut agent = Agent::new();
    agent.world().append("/l/app.log", "\u{feff}x\n");
    settle(&mut agent);
    agent.world().truncate("/l/app.log", 0);
    // A writer without O_APPEND that goes on where it was.
    agent.world().append("/l/app.log", [0; 400_000]);
    agent.world().append("/l/app.log", "y\n");
    settle(&mut agent);
    assert_eq!(agent.sealed.lines, ["x", "y"]);
    assert_eq!((agent.sealed.n_blank, agent.sealed.n_truncated), (1, 1));
}

#[test]
fn what_can_not_be_read_is_a_problem_and_tried_again() {
    let mut agent = Agent::new();
    agent.world().append("/l/app.log", lines(0..1));
    agent.world().unreadable.insert("/l/app.log".into());
    agent.world().directories.insert("/l/dir.log".into());
    agent.catch_up();
    let problems: Vec<(String, String)> =
        agent.tail().problems().map(|(p, why)| (p.display().to_string(), why.to_owned())).collect();
    let problem = |p: &str, why: &str| (p.to_owned(), why.to_owned());
    assert_eq!(
        problems,
        [problem("/l/app.log", "permission denied"), problem("/l/dir.log", "is a directory")]
    );
    agent.world().unreadable.clear();
    agent.world().directories.clear();
    agent.wait_for(1);
    assert_eq!(settle(&mut agent), wanted(0..1));
    assert_eq!(agent.tail().problems().count(), 0);
}

#[test]
fn idle_files_are_looked_at_rarely_and_a_hint_is_enough() {
    let mut agent = following(1);
    let mut n_polls = 0;
    let until = agent.now().shifted(100_000_000_000);
    while agent.now() < until {
        let next = agent.poll().next;
        n_polls += 1;
        assert!(next > agent.now());
        let wait = next.since(agent.now());
        agent.disk.world.borrow_mut().now = agent.now() + wait;
    }
    assert!(n_polls < 130, "{n_polls} looks in 100 s");
    agent.world().append("/l/app.log", lines(1..2));
    agent.tail().hint(Some(std::path::Path::new("/l/app.log")));
    agent.poll();
    agent.seal();
    assert_eq!(agent.sealed.lines, wanted(0..2));
}

#[test]
fn a_file_made_anew_under_a_known_name_is_read_at_once_if_names_changed() {
    let mut agent = following(1);
    agent.world().rename("/l/app.log", "/l/app.log.1");
    agent.world().append("/l/app.log", lines(1..2));
    // A hint about the name alone is one about the file that is known under it.
    let path = std::path::Path::new("/l/app.log");
    agent.tail().hint(Some(path));
    agent.tail().names_changed();
    agent.poll();
    agent.seal();
    assert_eq!(agent.sealed.lines, wanted(0..2));
}

#[test]
fn a_new_epoch_begins_where_the_last_one_sealed() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..4));
    agent.catch_up();
    agent.tail().epoch_changed();
    agent.seal();
    let frontier = agent.frontiers.values().next().unwrap();
    assert_eq!((frontier.begin, frontier.from, frontier.to), (21, 21, 28));
}
#[test]
fn a_place_that_was_lost_and_found_before_the_seal_is_stored() {
    let mut agent = following(3);
    agent.world().append("/l/app.log", lines(3..5));
    agent.catch_up();
    agent.world().rename("/l/app.log", "/l/away");
    agent.catch_up();
    agent.wait_for(700);
    agent.catch_up();
    assert_eq!(agent.tail().n_files(), 0, "it was let go");
    agent.world().rename("/l/away", "/l/app.log");
    agent.catch_up();
    agent.seal();
    agent.crash();
    assert_eq!(settle(&mut agent), wanted(0..5));
}

#[test]
fn a_copy_is_known_even_if_its_original_is_new_too_and_has_a_higher_number() {
    let mut agent = Agent::new();
    agent.poll();
    agent.seal();
    agent.world().append("/l/first", "");
    agent.world().append("/l/app.log", lines(0..3));
    agent.world().remove("/l/first");
    agent.world().copy("/l/app.log", "/l/app.log.1");
    assert_eq!(settle(&mut agent), wanted(0..3));
}

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
