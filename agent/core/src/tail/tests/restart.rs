//! What is read, sealed and read again after a crash.

use super::scene::{following, lines, settle, wanted};
use crate::tail::StartAt;
use crate::tail::agent::Agent;

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
fn a_clock_that_was_ahead_and_is_right_again_hides_no_rotated_file() {
    // Whether it is started again, whether it looks once before anything happens, and by how much the clock was ahead.
    for (crashes, looks, set_back_secs) in
        [(true, true, 1_500), (false, false, 1_500), (true, true, 2), (false, true, 2)]
    {
        let mut agent = following(3);
        agent.wait_for(set_back_secs);
        agent.catch_up();
        agent.seal();
        let right = agent.now().shifted(-i64::try_from(set_back_secs * 1_000_000_000).unwrap());
        agent.world().now = right;
        if crashes {
            agent.crash();
        }
        if looks {
            agent.catch_up();
        }
        // Faster than anybody looks.
        for n in 3..6 {
            agent.world().append("/l/app.log", lines(n..n + 1));
            agent.world().rename("/l/app.log", &format!("/l/app.log.{n}"));
            agent.wait_for(1);
        }
        agent.world().append("/l/app.log", lines(6..7));
        let case = format!("set back by {set_back_secs} s, with a crash: {crashes}");
        assert_eq!(settle(&mut agent), wanted(0..7), "{case}");
        agent.crash();
        assert_eq!(settle(&mut agent), wanted(0..7), "{case}");
    }
}
