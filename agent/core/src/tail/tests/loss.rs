//! What cannot be read any more is counted, and what the collector knows of it is believed.

use super::scene::{following, lines, settle, wanted};
use crate::tail::StartAt;
use crate::tail::agent::Agent;

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
