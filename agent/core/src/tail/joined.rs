//! What is held, through everything that happens to files, agents and settings, against a file system in memory.
//!
//! Owns one sentence per rule, for tests alone. How lines are joined is tested in `join`, random mixtures in `property`.

use std::time::Duration;

use super::agent::Agent;
use super::join::{JoinSettings, Multiline, Wrap};
use super::{Position, Stream, TailSettings};

const PATH: &str = "/l/app.log";

fn several_lines() -> Multiline {
    Multiline::new(r"^\S", 500, Duration::from_secs(2)).unwrap()
}

fn agent(wrap: Wrap, multiline: Option<Multiline>) -> Agent {
    let mut agent = Agent::new();
    agent.settings.join = JoinSettings { wrap, multiline };
    // A source that has run before.
    agent.poll();
    agent.seal();
    agent
}

/// A line of a container: `o`ut or `e`rr, `P`art or `F`ull, and its text.
fn cri(line: &str) -> String {
    let (head, text) = line.split_at(2);
    let stream = if head.starts_with('o') { "stdout" } else { "stderr" };
    format!("2016-10-06T00:17:09.669794202Z {stream} {} {text}\n", &head[1..])
}

fn write(agent: &Agent, lines: &[&str]) {
    lines.iter().for_each(|line| agent.world().append(PATH, cri(line)));
}

fn settle(agent: &mut Agent) -> Vec<String> {
    agent.catch_up();
    agent.seal();
    agent.sealed.lines.clone()
}

/// What is stored of a file, if the last seal stored it.
fn stored(agent: &Agent) -> Vec<Position> {
    agent.rows().map(|row| Position::decode(row).unwrap()).collect()
}

/// How what is held may be kept: by reading it again, or by itself.
const KEPT: [(&str, &[&str], &[&str]); 2] =
    [("to be read again", &["oFx", "oPa"], &["x"]), ("stored", &["oPa", "eFx"], &["x"])];

#[test]
fn what_is_held_survives_a_crash_either_way() {
    for (kept, lines, out) in KEPT {
        for sealed in [false, true] {
            let mut agent = agent(Wrap::Cri, None);
            write(&agent, lines);
            agent.catch_up();
            if sealed {
                agent.seal();
                assert_eq!(agent.sealed.lines, out, "{kept}");
                let is_stored = stored(&agent)[0].held.is_some();
                assert_eq!(is_stored, kept == "stored");
                let size = agent.world().content(PATH).len() as u64;
                assert_eq!(stored(&agent)[0].offset == size, is_stored, "{kept}");
            }
            for _ in 0..3 {
                agent.crash();
                write(&agent, &["oPb"]);
                agent.catch_up();
                agent.seal();
            }
            write(&agent, &["oFc"]);
            assert_eq!(settle(&mut agent), ["x", "abbbc"], "{kept}, sealed: {sealed}");
            agent.crash();
            assert_eq!(settle(&mut agent), ["x", "abbbc"]);
            assert_eq!(agent.sealed.bytes, agent.world().content(PATH).len() as u64);
            assert_eq!(agent.tail().lag_bytes(), 0);
        }
    }
}

#[test]
fn a_failed_seal_loses_nothing_that_is_held() {
    let mut agent = agent(Wrap::Cri, Some(several_lines()));
    write(&agent, &["oFa", "eFx", "oF 1"]);
    agent.catch_up();
    agent.fail_to_seal();
    write(&agent, &["oFb", "oF 2"]);
    agent.catch_up();
    agent.fail_to_seal();
    agent.seal();
    agent.crash();
    write(&agent, &["eF y", "oFc", "eFz"]);
    agent.catch_up();
    agent.wait_for(2);
    assert_eq!(settle(&mut agent), ["a\n 1", "b\n 2", "x\n y", "c", "z"]);
}

#[test]
fn a_record_that_nothing_is_added_to_is_given_out_in_time_and_never_before_what_can_be_read() {
    let mut agent = agent(Wrap::None, Some(several_lines()));
    agent.world().append(PATH, "a\n 1\n");
    agent.catch_up();
    let (read_at, next) = (agent.now(), agent.poll().next);
    assert!(next <= read_at + Duration::from_secs(2), "it says when to look again");
    agent.disk.world.borrow_mut().now = read_at + Duration::from_millis(1_999);
    agent.poll();
    agent.seal();
    assert_eq!((agent.sealed.lines.len(), agent.tail().lag_bytes()), (0, 5));
    // Nobody was told of this line, and the file is not due.
    agent.disk.world.borrow_mut().now = read_at + Duration::from_millis(2_001);
    agent.world().append(PATH, " 2\n");
    agent.poll();
    agent.wait_for(2);
    agent.poll_with(false);
    agent.seal();
    assert_eq!(agent.sealed.lines, [""; 0], "while files are not read there may be more");
    assert!(agent.poll_with(false).next > agent.now(), "and nobody is asked all the time");
    agent.poll();
    agent.seal();
    assert_eq!(agent.sealed.lines, ["a\n 1\n 2"]);
    assert_eq!(agent.tail().lag_bytes(), 0);
    agent.crash();
    agent.world().append(PATH, " 3\n");
    agent.catch_up();
    agent.wait_for(2);
    assert_eq!(settle(&mut agent), ["a\n 1\n 2", " 3"]);
}

#[test]
fn what_is_stored_and_given_out_in_time_is_not_given_out_again() {
    let mut agent = agent(Wrap::Cri, None);
    write(&agent, &["oPa", "eFx"]);
    agent.catch_up();
    agent.seal();
    agent.wait_for(60);
    agent.catch_up();
    agent.crash();
    agent.catch_up();
    agent.wait_for(60);
    assert!(agent.poll().dirty);
    assert_eq!(settle(&mut agent), ["x", "a"], "a crash before the seal");
    assert_eq!(stored(&agent)[0].held, None);
    agent.crash();
    agent.catch_up();
    agent.wait_for(60);
    assert_eq!(settle(&mut agent), ["x", "a"], "and after it");
}

#[test]
fn what_is_stored_and_given_out_by_the_next_line_is_not_given_out_again() {
    let mut agent = agent(Wrap::None, Some(several_lines()));
    // So long that its first bytes, which are stored too, do not change any more.
    let long = "x".repeat(2_000);
    agent.world().append(PATH, format!("{long}\na\n\0\0\n"));
    settle(&mut agent);
    assert!(stored(&agent)[0].held.is_some(), "something behind it was given out");
    agent.world().append(PATH, "b\n");
    assert_eq!(settle(&mut agent), [&*long, "a"]);
    assert_eq!(stored(&agent)[0].held, None, "the next one is read again, at the same offset");
    agent.crash();
    agent.catch_up();
    agent.wait_for(2);
    assert_eq!(settle(&mut agent), [&*long, "a", "b"]);
}

#[test]
fn at_the_end_of_a_rotated_or_deleted_file_everything_is_given_out() {
    for deleted in [false, true] {
        for (kept, lines, _) in KEPT {
            for unfinished in ["", "2016-10-06T00:17:09Z stdout F b"] {
                let case = format!("deleted: {deleted}, {kept}, {unfinished:?}");
                let mut agent = agent(Wrap::Cri, None);
                write(&agent, lines);
                agent.world().append(PATH, unfinished);
                agent.catch_up();
                agent.seal();
                if deleted {
                    agent.world().remove(PATH);
                } else {
                    agent.world().rename(PATH, "/l/app.log.1");
                }
                agent.catch_up();
                agent.wait_for(6);
                let a = if unfinished.is_empty() { "a" } else { "ab" };
                assert_eq!(settle(&mut agent), ["x", a], "{case}");
                agent.crash();
                agent.wait_for(1_000);
                agent.catch_up();
                agent.wait_for(1_000);
                assert_eq!(settle(&mut agent), ["x", a], "{case}");
                assert_eq!((agent.sealed.abandoned, agent.tail().lag_bytes()), (0, 0), "{case}");
                assert!(agent.sealed.origins.iter().all(|(path, _)| path.to_str() == Some(PATH)));
            }
        }
    }
}

#[test]
fn what_was_held_of_a_file_that_went_while_the_agent_was_down_is_given_out_once() {
    for reused in [false, true] {
        let mut agent = agent(Wrap::Cri, None);
        write(&agent, &["oPa", "eFx"]);
        settle(&mut agent);
        agent.crash();
        agent.world().remove(PATH);
        if reused {
            agent.world().append("/l/other.log", cri("oFother"));
        }
        agent.catch_up();
        agent.wait_for(30);
        agent.catch_up();
        agent.wait_for(31);
        agent.catch_up();
        agent.crash();
        agent.catch_up();
        agent.wait_for(61);
        let mut seen = settle(&mut agent);
        seen.retain(|line| line != "other");
        assert_eq!(seen, ["x", "a"], "reused: {reused}");
        let (path, wrapped) =
            &agent.sealed.origins[agent.sealed.lines.iter().position(|l| l == "a").unwrap()];
        assert_eq!(path.to_str(), Some(PATH), "under the path it had");
        assert_eq!(wrapped.as_ref().unwrap().0, Stream::Stdout);
        agent.crash();
        agent.catch_up();
        agent.wait_for(61);
        assert_eq!(settle(&mut agent).len(), seen.len() + usize::from(reused));
        assert_eq!(agent.sealed.abandoned, 0);
    }
}

#[test]
fn when_a_file_is_cut_a_copy_goes_on_or_what_was_held_is_given_out() {
    for (kept, lines, _) in KEPT {
        for copied in ["nothing", "before the last part", "everything", "more"] {
            for down in [false, true] {
                let case = format!("{kept}, copied: {copied}, down: {down}");
                let mut agent = agent(Wrap::Cri, None);
                write(&agent, lines);
                agent.catch_up();
                agent.seal();
                if copied == "before the last part" {
                    agent.world().copy(PATH, "/l/app.log.1");
                }
                write(&agent, &["oPb"]);
                agent.catch_up();
                agent.seal();
                if down {
                    agent.crash();
                }
                if copied == "more" {
                    write(&agent, &["oFc"]);
                }
                if ["everything", "more"].contains(&copied) {
                    agent.world().copy(PATH, "/l/app.log.1");
                }
                agent.world().truncate(PATH, 0);
                write(&agent, &["oFnew"]);
                agent.catch_up();
                agent.seal();
                agent.wait_for(61);
                agent.catch_up();
                agent.seal();
                agent.crash();
                agent.wait_for(61);
                let mut seen = settle(&mut agent);
                seen.sort();
                // Down, what was to be read again is known to no one but the file.
                let lost = down && kept == "to be read again";
                let a = match copied {
                    "more" => Some("abc"),
                    "everything" => Some("ab"),
                    "nothing" if lost => None,
                    "before the last part" if lost => Some("a"),
                    _ => Some("ab"),
                };
                let wanted: Vec<&str> = a.into_iter().chain(["new", "x"]).collect();
                assert_eq!(seen, wanted, "{case}");
                let is_reported = agent.sealed.unknown > 0;
                assert_eq!(
                    is_reported,
                    lost && !["everything", "more"].contains(&copied),
                    "{case}"
                );
                assert_eq!(agent.sealed.n_truncated, 1, "{case}");
            }
        }
    }
}

#[test]
fn settings_that_changed_give_out_what_was_held_under_the_old_ones() {
    let joins = [
        JoinSettings { wrap: Wrap::None, multiline: None },
        JoinSettings { wrap: Wrap::Cri, multiline: Multiline::new("^b", 9, Duration::MAX).ok() },
        JoinSettings { wrap: Wrap::Docker, multiline: None },
    ];
    for join in joins {
        let mut agent = agent(Wrap::Cri, Some(several_lines()));
        write(&agent, &["oFa", "eFx", "oF 1", "oFb", "oP 2"]);
        assert_eq!(settle(&mut agent), ["a\n 1"]);
        agent.crash();
        agent.settings.join = join;
        agent.poll_with(false);
        agent.seal();
        agent.crash();
        agent.catch_up();
        agent.crash();
        let mut seen = settle(&mut agent);
        seen.sort();
        assert_eq!(seen, [" 2", "a\n 1", "b", "x"]);
        assert_eq!(stored(&agent)[0].held, None);
        agent.crash();
        assert_eq!(settle(&mut agent).len(), 4);
    }
    let mut agent = agent(Wrap::Cri, Some(several_lines()));
    write(&agent, &["oFa", "eFx", "oF 1", "oFb"]);
    settle(&mut agent);
    agent.crash();
    agent.settings.join.multiline.as_mut().unwrap().max_lines = 7;
    agent.settings.max_line_bytes = 5_000;
    write(&agent, &["oF 2", "oFc"]);
    assert_eq!(settle(&mut agent), ["a\n 1", "b\n 2"], "limits change nothing of what it means");
}

#[test]
fn a_lost_spool_costs_what_was_stored_in_it_and_nothing_that_is_read_again() {
    for (kept, lines, _) in KEPT {
        let mut agent = agent(Wrap::Cri, None);
        write(&agent, lines);
        settle(&mut agent);
        agent.lose_spool();
        write(&agent, &["oFb"]);
        agent.catch_up();
        agent.adopt();
        let a = if kept == "stored" { "b" } else { "ab" };
        assert_eq!(settle(&mut agent), ["x", a], "{kept}");
        assert_eq!(agent.sealed.unknown, 0);
    }
}

#[test]
fn what_an_older_spool_holds_waits_for_the_collector_and_is_not_counted_again() {
    let mut agent = agent(Wrap::Cri, None);
    write(&agent, &["oPa", "eFx"]);
    settle(&mut agent);
    let rows: Vec<_> = agent.rows().map(str::to_owned).collect();
    write(&agent, &["oFb"]);
    assert_eq!(settle(&mut agent), ["x", "ab"]);
    agent.crash();
    agent.put_back(rows);
    agent.wait = true;
    agent.catch_up();
    agent.wait_for(700);
    agent.catch_up();
    assert_eq!(settle(&mut agent), ["x", "ab"]);
    agent.adopt();
    agent.wait_for(61);
    assert_eq!(settle(&mut agent), ["x", "ab"]);
}

#[test]
fn of_a_record_that_does_not_end_no_more_is_read_again_than_is_worth_it() {
    let mut agent = Agent::new();
    agent.settings.join = JoinSettings { wrap: Wrap::None, multiline: Some(several_lines()) };
    agent.settings = TailSettings { max_line_bytes: 400_000, ..agent.settings };
    agent.world().append(PATH, "a\n");
    let line = format!(" {}\n", "1".repeat(99));
    for _ in 0..100 {
        agent.world().append(PATH, line.repeat(100));
        agent.catch_up();
        agent.seal();
        let size = agent.world().content(PATH).len() as u64;
        let position = &stored(&agent)[0];
        assert!(size - position.offset < 1 << 20, "{} of {size}", position.offset);
        assert!(agent.rows().all(|row| row.len() < 500_000));
        agent.crash();
    }
    agent.world().append(PATH, "b\n");
    agent.catch_up();
    agent.wait_for(2);
    let seen = settle(&mut agent);
    assert_eq!(seen.iter().map(String::len).collect::<Vec<_>>(), [1 + 500 * 101 - 101, 1]);
}

#[test]
fn nor_of_a_line_that_becomes_longer_than_allowed_by_its_parts() {
    let mut agent = agent(Wrap::Cri, None);
    agent.settings.max_line_bytes = 400_000;
    agent.crash();
    for _ in 0..100 {
        agent.world().append(PATH, cri(&format!("oP{}", "1".repeat(900))).repeat(100));
        agent.catch_up();
        agent.seal();
        let unread = agent.world().content(PATH).len() as u64 - stored(&agent)[0].offset;
        assert!(unread < 1 << 20, "{unread}");
        assert!(agent.rows().all(|row| row.len() < 500_000));
        agent.crash();
    }
    write(&agent, &["oF", "oFb"]);
    assert_eq!(settle(&mut agent), ["b"]);
    assert_eq!(agent.sealed.n_too_long, 1);
}

#[test]
fn what_is_due_waits_for_what_can_be_read_but_was_not_yet() {
    // There is no room for one more file in this seal.
    let mut several = agent(Wrap::Cri, None);
    write(&several, &["oPa", "eFx"]);
    settle(&mut several);
    for i in 0..500 {
        several.world().append(&format!("/l/{i}.log"), cri("oFb"));
    }
    several.catch_up();
    several.wait_for(60);
    write(&several, &["oFc"]);
    several.tail().hint(None);
    several.poll();
    several.seal();
    assert!(!several.sealed.lines.contains(&"a".to_owned()));
    assert!(settle(&mut several).contains(&"ac".to_owned()));

    // There is so much in other files that this one is not looked at.
    let mut busy = agent(Wrap::None, Some(several_lines()));
    busy.world().append(PATH, "a\n 1\n");
    (0..20).for_each(|i| busy.world().append(&format!("/l/{i}.log"), "b\n"));
    busy.catch_up();
    for i in 0..20 {
        let name = format!("/l/{i}.log");
        busy.world().append(&name, "c\n".repeat(200_000));
        busy.world().rename(&name, &format!("{name}.1"));
    }
    busy.wait_for(2);
    busy.world().append(PATH, " 2\n");
    busy.poll();
    busy.seal();
    assert!(!busy.sealed.lines.iter().any(|l| l.starts_with('a')));
    busy.catch_up();
    busy.wait_for(2);
    assert!(settle(&mut busy).contains(&"a\n 1\n 2".to_owned()));
}

#[test]
fn of_a_file_that_is_given_up_what_was_read_is_counted_and_only_the_rest_reported() {
    for unread in [0, 11] {
        for (kept, lines, _) in KEPT {
            let mut agent = agent(Wrap::Cri, None);
            write(&agent, lines);
            settle(&mut agent);
            agent.world().append(PATH, "0123456789\n".repeat(unread / 11));
            agent.world().remove(PATH);
            for _ in 0..3 {
                agent.tail().hint(None);
                agent.poll_with(false);
                agent.wait_for(50_000);
            }
            agent.poll_with(false);
            agent.seal();
            let case = format!("{kept}, unread: {unread}");
            assert_eq!(agent.sealed.lines, ["x", "a"], "{case}");
            assert_eq!(agent.sealed.abandoned, unread as u64, "{case}");
            assert_eq!((agent.n_rows(), agent.tail().lag_bytes()), (0, 0), "{case}");
        }
    }
}

#[test]
fn what_an_older_life_of_an_inode_held_is_given_out_too() {
    let mut agent = agent(Wrap::Cri, None);
    write(&agent, &["oPa", "eFx"]);
    settle(&mut agent);
    let rows: Vec<String> = agent.rows().map(str::to_owned).collect();
    let mut older = Position::decode(&rows[0]).unwrap();
    let mut newer = older.clone();
    newer.held = None;
    older.file.born = older.file.born.shifted(-1);
    older.offset = cri("oPa").len() as u64;
    older.guard.len = older.offset as u32;
    agent.crash();
    agent.put_back(vec![older.encode(), newer.encode()]);
    write(&agent, &["oFb"]);
    let mut seen = settle(&mut agent);
    seen.sort();
    assert_eq!((seen, agent.n_rows()), (["a", "b", "x"].map(str::to_owned).to_vec(), 1));
}

#[test]
fn lines_are_as_long_inside_of_their_wrapper_as_they_may_be() {
    for (wrap, n_full) in [(Wrap::Cri, 1), (Wrap::Docker, 0)] {
        let mut agent = agent(wrap, None);
        agent.settings.max_line_bytes = 300_000;
        agent.crash();
        let text = "\u{1}".repeat(150_000);
        let line = |text: &str, ends: bool| match wrap {
            Wrap::Docker => {
                let end = if ends { "\n" } else { "" };
                let log = format!("{text}{end}");
                serde_json::json!({"log": log, "stream": "stdout", "time": "2016-10-06T00:17:09Z"})
                    .to_string()
                    + "\n"
            }
            _ => cri(&format!("o{}{text}", if ends { "F" } else { "P" })),
        };
        agent.world().append(PATH, line(&text[..100_000], false));
        agent.world().append(PATH, line(&text[..100_000], false));
        agent.world().append(PATH, line(&text[..100_000], true));
        agent.world().append(PATH, line(&text[..100_000], false));
        agent.world().append(PATH, line(&text[..100_000], false));
        agent.world().append(PATH, line(&text[..100_001], true));
        agent.world().append(PATH, line(&"x".repeat(300_000), true));
        agent.world().append(PATH, line(&"x".repeat(300_001), true));
        let seen = settle(&mut agent);
        let n: Vec<usize> = seen.iter().map(String::len).collect();
        assert_eq!((n, agent.sealed.n_too_long), (vec![300_000, 300_000], 2), "{wrap:?} {n_full}");
    }
}

#[test]
fn one_seal_covers_so_many_files_that_are_due_together() {
    let mut agent = agent(Wrap::None, Some(several_lines()));
    for i in 0..700 {
        agent.world().append(&format!("/l/{i}.log"), format!("{i}\n"));
    }
    agent.catch_up();
    agent.wait_for(2);
    agent.poll();
    assert!(agent.poll().next > agent.now());
    agent.seal();
    assert_eq!(agent.sealed.lines.len(), 500);
    assert_eq!(settle(&mut agent).len(), 700);
}

#[test]
fn a_cut_is_noticed_before_the_place_that_was_read_ahead() {
    let mut agent = agent(Wrap::None, Some(several_lines()));
    agent.world().append(PATH, "a\n 1\n 2\n 3\n");
    agent.catch_up();
    agent.seal();
    assert_eq!(agent.tail().lag_bytes(), 11, "nothing is counted");
    agent.world().truncate(PATH, 0);
    agent.world().append(PATH, "a\n 1\n 2\n 4\n 5\n");
    agent.catch_up();
    agent.wait_for(2);
    let mut seen = settle(&mut agent);
    seen.sort();
    assert_eq!(seen, ["a\n 1\n 2\n 3", "a\n 1\n 2\n 4\n 5"]);
}

#[test]
fn a_file_cut_behind_what_was_read_of_it_goes_on_there_though_nothing_is_counted() {
    let mut agent = agent(Wrap::None, Some(several_lines()));
    agent.world().append(PATH, "a\n 1\n");
    agent.catch_up();
    agent.world().append(PATH, " 2\n");
    agent.tail().hint(None);
    agent.poll_with(false);
    agent.world().truncate(PATH, 5);
    agent.catch_up();
    agent.world().append(PATH, " 3\n");
    agent.catch_up();
    agent.wait_for(2);
    assert_eq!(settle(&mut agent), ["a\n 1\n 3"]);
}

#[test]
fn a_file_is_known_by_the_path_it_is_configured_under() {
    let mut agent = agent(Wrap::None, None);
    agent.world().append(PATH, "a\n");
    agent.catch_up();
    agent.world().append(PATH, "b\n");
    agent.world().rename(PATH, "/l/app.log.1");
    agent.world().append(PATH, "c\n");
    agent.catch_up();
    agent.seal();
    agent.crash();
    agent.world().append("/l/app.log.1", "d\n");
    agent.world().rename("/l/app.log.1", "/l/app.log-20261122");
    agent.world().append("/l/app.log.7", "e\n");
    assert_eq!(settle(&mut agent).len(), 5);
    let paths: Vec<_> = agent.sealed.origins.iter().map(|(p, _)| p.to_str().unwrap()).collect();
    assert_eq!(paths, [PATH; 5]);
}
