//! When a file is looked at, and what of it is no line.

use super::scene::{following, lines, settle, wanted};
use crate::tail::TailSettings;
use crate::tail::agent::Agent;

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
