//! Which file is which: copies, links, and inodes that are used again.

use super::scene::{following, lines, settle, wanted};
use crate::tail::agent::Agent;

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
