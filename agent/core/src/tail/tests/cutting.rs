//! Files that are cut, and copied before that.

use super::scene::{following, lines, settle, wanted};

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
