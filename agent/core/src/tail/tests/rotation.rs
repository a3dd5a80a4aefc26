//! Files that are renamed, deleted and compressed.

use super::scene::{following, lines, settle, wanted};
use crate::tail::agent::Agent;

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
