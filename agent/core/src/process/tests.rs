//! What is known of processes, and what becomes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_model::{AgentId, Body, Event, Labels, Service, Timestamp};

use super::*;
use crate::observe::Accumulator;
use crate::seal::SealOrder;

const STAT: &str = "4711 (my) (odd \n name) S 1 4711 4711 0 -1 4194304 98 0 0 0 150 50 0 0 20 0 7 0 5636251 3133440 366 \
                    18446744073709551615 1 2 3 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 2 3 4 5 6 7 9\n";

#[test]
fn a_process_may_be_called_anything() {
    let stat = Stat::read(STAT.as_bytes()).unwrap();
    let wanted = Stat {
        state: b'S',
        parent: 1,
        cpu_ticks: 200,
        threads: 7,
        started_ticks: 5_636_251,
        resident_pages: 366,
        wait_status: 9,
    };
    assert_eq!(stat, wanted);
    assert!(!stat.has_ended());
    let zombie = STAT.replace(") S ", ") Z ");
    assert!(!Stat::read(zombie.as_bytes()).unwrap().has_ended(), "six of its threads go on");
    let zombie = zombie.replace(" 20 0 7 0 ", " 20 0 1 0 ");
    assert!(Stat::read(zombie.as_bytes()).unwrap().has_ended());
    for bad in ["", "1 (x", "1 (x)", "1 (x) ", "1 (x) S 1 2 3", "no process"] {
        assert_eq!(Stat::read(bad.as_bytes()), None, "{bad:?}");
    }
    let mut bytes = STAT.as_bytes().to_vec();
    bytes[7] = 0xff;
    assert!(Stat::read(&bytes).is_some(), "a name need not be text");
}

#[test]
fn how_a_process_ended_is_read_and_worded() {
    for (status, exit, words) in [
        (0, Exit::Code(0), "exited with code 0"),
        (3 << 8, Exit::Code(3), "exited with code 3"),
        (9, Exit::Signal(9), "was killed by SIGKILL"),
        (11 | 0x80, Exit::Signal(11), "was killed by SIGSEGV"),
        (35, Exit::Signal(35), "was killed by signal 35"),
    ] {
        assert_eq!(Exit::of_wait_status(status), exit);
        assert_eq!(exit.to_string(), words);
    }
    assert_eq!(Exit::Unknown.to_string(), "ended");
}

#[test]
fn a_pidfile_holds_a_number_in_its_first_line() {
    for (content, pid) in [
        ("4711\n", Ok(4711)),
        ("  4711  ", Ok(4711)),
        ("4711\n/var/lib/postgresql/15/main\n1790000000\n", Ok(4711)),
        ("", Err("is empty")),
        ("\n4711", Err("is empty")),
        ("nginx", Err("holds \"nginx\", which is no process id")),
        ("0", Err("holds \"0\", which is no process id")),
        ("-1", Err("holds \"-1\", which is no process id")),
        ("99999999", Err("holds \"99999999\", which is no process id")),
        ("4711 4712", Err("holds \"4711 4712\", which is no process id")),
    ] {
        let told = pid_in(content.as_bytes());
        assert_eq!(told.map_err(|e| e.to_string()), pid.map_err(str::to_owned), "{content:?}");
    }
    assert!(pid_in(&[0xff; 100]).is_err());
}

#[test]
fn a_number_that_another_process_has_by_now_is_not_meant() {
    let now = Timestamp::from_secs(1_000_000);
    for (sentence, is_volatile, written_ago, began_ago, uptime, may) in [
        ("written as it began", false, 500, 500, 9_000, true),
        ("written long after, by its own", false, 10, 500, 9_000, true),
        ("written a moment before by whoever started it", false, 510, 500, 9_000, true),
        ("another process has the number", false, 5_000, 500, 9_000, false),
        ("in memory too", true, 5_000, 500, 9_000, false),
        ("left over from before the machine was started", false, 20_000, 500, 9_000, false),
        ("in memory it can't be: the clock was wrong then", true, 20_000, 500, 9_000, true),
    ] {
        let ago = Duration::from_secs;
        let file = PidFile { written: now - ago(written_ago), is_volatile };
        assert_eq!(file.may_name(ago(began_ago), ago(uptime), now), may, "{sentence}");
    }
}

#[test]
fn systemd_says_what_it_runs() {
    let unit = |text: &str| systemd(&text.replace(' ', "\n"));
    let up = unit("MainPID=812 NRestarts=2 ExecMainPID=812 ExecMainCode=0 ExecMainStatus=0 LoadState=loaded ActiveState=active SubState=running").unwrap();
    assert_eq!(
        (up.state, up.pid, up.n_starts, up.last_exit),
        (UnitState::Up, Some(812), Some(2), None)
    );
    assert_eq!(up.words, "active (running)");
    for (sentence, text, state, exit) in [
        (
            "a crash that waits to be started again",
            "MainPID=0 NRestarts=3 ExecMainPID=812 ExecMainCode=2 ExecMainStatus=9 LoadState=loaded ActiveState=activating SubState=auto-restart",
            UnitState::Down,
            Some((Some(812), Exit::Signal(9))),
        ),
        (
            "a failure",
            "MainPID=0 NRestarts=0 ExecMainPID=812 ExecMainCode=1 ExecMainStatus=203 LoadState=loaded ActiveState=failed SubState=failed",
            UnitState::Down,
            Some((Some(812), Exit::Code(203))),
        ),
        (
            "no such unit",
            "MainPID=0 NRestarts=0 ExecMainPID=0 ExecMainCode=0 ExecMainStatus=0 LoadState=not-found ActiveState=inactive SubState=dead",
            UnitState::Unknown,
            None,
        ),
        (
            "a oneshot that remains",
            "MainPID=0 LoadState=loaded ActiveState=active SubState=exited",
            UnitState::Up,
            None,
        ),
        (
            "a unit file that was removed while it runs",
            "MainPID=5 LoadState=not-found ActiveState=active SubState=running",
            UnitState::Up,
            None,
        ),
    ] {
        let told = unit(text).unwrap();
        assert_eq!((told.state, told.last_exit), (state, exit), "{sentence}");
    }
    assert_eq!(systemd("Failed to connect to bus: Host is down\n"), None);
}

#[test]
fn launchd_says_what_it_runs() {
    let running = "gui/501/com.maia.vtt-watcher = {\n\tactive count = 1\n\ttype = LaunchAgent\n\tstate = running\n\n\tprogram = /usr/local/bin/vtt\n\
                   \tdefault environment = {\n\t\tPATH => /usr/bin\n\t}\n\n\truns = 3\n\tpid = 4711\n\timmediate reason = speculative\n\
                   \tlast exit code = (never exited)\n\n\tspawn type = daemon (3)\n\tjetsam = {\n\t\tstate = active\n\t\tpid = 1\n\t}\n}\n";
    let told = launchd(running).unwrap();
    assert_eq!(
        (told.state, told.pid, told.n_starts, told.last_exit),
        (UnitState::Up, Some(4711), Some(3), None)
    );
    for (lines, exit) in [
        ("last exit code = 0", Exit::Code(0)),
        ("last exit code = 78: EX_CONFIG", Exit::Code(78)),
        ("last exit code = 0\n\tlast terminating signal = Killed: 9", Exit::Signal(9)),
    ] {
        let told =
            launchd(&format!("system/x = {{\n\tstate = not running\n\truns = 4\n\t{lines}\n}}\n"))
                .unwrap();
        assert_eq!(
            (told.state, told.pid, told.last_exit),
            (UnitState::Down, None, Some((None, exit)))
        );
    }
    assert_eq!(launchd("Could not find service \"x\" in domain for system\n"), None);
}

/// `1` is a process with this number, `1b` one that got the number later.
fn processes(text: &str) -> Vec<Process> {
    let one = |word: &str| {
        let (pid, later) = word.strip_suffix('b').map_or((word, 0), |pid| (pid, 1));
        let pid: u32 = pid.parse().unwrap();
        let id = Identity { started: u64::from(pid) * 10 + later, pid };
        Process { id, began: Timestamp(0) }
    };
    text.split_whitespace().map(one).collect()
}

fn told(changes: &[Change]) -> String {
    let name =
        |p: &Process| format!("{}{}", p.id.pid, if p.id.started % 10 == 1 { "b" } else { "" });
    let one = |change: &Change| match change {
        Change::Died { process, n_left, .. } => format!("-{}/{n_left}", name(process)),
        Change::Started { process, .. } => format!("+{}", name(process)),
        Change::Restarted { before, after, .. } => format!("{}>{}", name(before), name(after)),
    };
    changes.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_seen_one_after_the_other_says_what_became_of_it() {
    for (sentence, looks) in [
        ("what ran already has not started", vec![("1", ""), ("1", "")]),
        ("it dies, and comes again", vec![("1", ""), ("", "-1/0"), ("2", "1>2")]),
        ("it is started again between two looks", vec![("1", ""), ("2", "-1/0 1>2")]),
        ("another has its number", vec![("1", ""), ("1b", "-1/0 1>1b")]),
        ("it was not there before", vec![("", ""), ("1", "+1")]),
        ("workers come and go", vec![("1 2 3", ""), ("1 3 4", "-2/2 +4"), ("1 5", "-3/2 -4/1 +5")]),
        ("all of them are others", vec![("1 2", ""), ("3 4", "-1/1 -2/0 2>3")]),
        ("twice", vec![("1", ""), ("2", "-1/0 1>2"), ("3", "-2/0 2>3")]),
    ] {
        let mut track = Track::default();
        for (seen, changes) in &looks {
            assert_eq!(
                told(&track.look(&processes(seen), Rest::default(), Timestamp(0))),
                *changes,
                "{sentence}: {seen}"
            );
            // A restart of the agent changes nothing.
            track = Track::restore(&track.encode("it", "boot"), "it", "boot");
        }
    }
}

#[test]
fn a_death_that_was_told_is_not_told_again() {
    let mut track = Track::default();
    track.look(&processes("1"), Rest::default(), Timestamp(0));
    let id = processes("1")[0].id;
    let died = track.died(id, Exit::Signal(9), Timestamp::from_secs(5));
    assert!(matches!(died, Some(Change::Died { exit: Exit::Signal(9), n_left: 0, .. })));
    assert_eq!(track.died(id, Exit::Unknown, Timestamp::from_secs(6)), None);
    let again = Process { began: Timestamp::from_secs(6), ..processes("2")[0] };
    let changes = track.look(&[again], Rest::default(), Timestamp::from_secs(9));
    let Change::Restarted { down, .. } = changes[0] else { panic!("{changes:?}") };
    assert_eq!(down, Duration::from_secs(1), "when it began counts, not when it was seen");
}

#[test]
fn what_is_stored_is_of_this_thing_and_this_start_of_the_machine() {
    let mut track = Track::default();
    track.look(&processes("1 2"), Rest::default(), Timestamp(0));
    assert!(track.is_dirty());
    track.stored();
    let stored = track.encode("it", "boot");
    assert_eq!(Track::restore(&stored, "it", "boot"), track);
    for (reads, boot) in [("other", "boot"), ("it", "other")] {
        assert_eq!(Track::restore(&stored, reads, boot), Track::default());
    }
    for bad in ["", "{}", "x", &stored.replace("\"v\":1", "\"v\":2")] {
        assert_eq!(Track::restore(bad, "it", "boot"), Track::default(), "{bad}");
    }
    let many: String = (1..200).map(|n| format!("{n} ")).collect();
    track.look(&processes(&many), Rest::default(), Timestamp(0));
    assert!(track.encode("it", "boot").len() < 4_000);
}

#[test]
fn those_that_are_too_many_to_be_stored_have_not_started_after_a_restart() {
    let list = |of: std::ops::Range<u32>| of.map(|n| format!("{n} ")).collect::<String>();
    let mut track = Track::default();
    track.look(&processes(&list(1..101)), Rest::default(), Timestamp(0));
    let stored = track.encode("it", "boot");
    for (sentence, seen, changes) in [
        ("nothing has happened", list(1..101), ""),
        ("one came", list(1..102), "+101"),
        ("one of those that are stored went", list(2..101), "-1/99"),
        ("others are left", list(81..101), "STORED"),
        ("none is left but another", list(101..102), "ALL"),
    ] {
        let mut track = Track::restore(&stored, "it", "boot");
        let told = told(&track.look(&processes(&seen), Rest::default(), Timestamp(0)));
        match changes {
            "STORED" => assert!(told.ends_with(" -64/20"), "{sentence}: {told}"),
            "ALL" => assert!(told.ends_with(" -64/0 64>101"), "{sentence}: {told}"),
            changes => assert_eq!(told, changes, "{sentence}"),
        }
    }
}

/// Values by signal, outside units, and events.
fn sealed(acc: &mut Accumulator) -> (BTreeMap<String, f64>, Vec<Event>) {
    let (mut values, mut all) = (BTreeMap::new(), Vec::new());
    for sealed in acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services {
        for body in sealed.bodies {
            match body {
                Body::Events { events, .. } => all.extend(events),
                Body::Windows { series, .. } => {
                    for one in series {
                        assert_eq!(one.labels.get("process"), "vtt");
                        let last =
                            one.windows.last().unwrap().distribution.values.as_ref().unwrap();
                        let value = one.unit.dimension().to_outside(last.sum as f64);
                        values.insert(one.signal, value);
                    }
                }
            }
        }
    }
    (values, all)
}

fn sample(process: Process, cpu_ms: u64, fds: Option<u64>) -> Sample {
    let cpu = Duration::from_millis(cpu_ms);
    Sample { process, cpu, memory: 1 << 20, threads: Some(3), fds }
}

#[test]
fn several_processes_are_summed_and_new_ones_count_from_their_beginning() {
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    let mut observer = ProcessObserver::new("vtt", &Service::new("vtt").unwrap(), &mut acc);
    let (old, late) =
        (processes("1 2"), Process { began: Timestamp::from_secs(15), ..processes("3")[0] });
    let first = [sample(old[0], 1_000, Some(5)), sample(old[1], 9_000, Some(6))];
    let up = |n| Total { is_up: true, n };
    observer.look(up(2), &first, None, Timestamp::from_secs(10), &mut acc);
    let (values, _) = sealed(&mut acc);
    assert_eq!(values["process_memory"], f64::from(2 << 20));
    assert_eq!(
        (values["process_up"], values["process_count"], values["process_restarts"]),
        (1.0, 2.0, 0.0)
    );
    assert_eq!((values["process_fds"], values["process_threads"]), (11.0, 6.0));
    assert!(!values.contains_key("process_cpu"), "one look makes no rate");

    // The second is gone; the third began in between; one that was overlooked before says nothing yet.
    let second = [
        sample(old[0], 2_000, None),
        sample(late, 500, Some(1)),
        sample(processes("4")[0], 99_000, Some(1)),
    ];
    let since_last = Some(Duration::from_secs(10));
    observer.look(up(900), &second, since_last, Timestamp::from_secs(20), &mut acc);
    let (values, _) = sealed(&mut acc);
    assert_eq!((values["process_cpu"], values["process_count"]), (0.15, 900.0));
    assert!(!values.contains_key("process_fds"), "a part is no sum");

    observer.look(Total::default(), &[], since_last, Timestamp::from_secs(30), &mut acc);
    let (values, _) = sealed(&mut acc);
    assert_eq!((values["process_up"], values["process_count"], values.len()), (0.0, 0.0, 3));
}

#[test]
fn what_happened_is_told_with_before_and_after() {
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    let mut observer = ProcessObserver::new("vtt", &Service::new("vtt").unwrap(), &mut acc);
    let [before, after] = processes("1 2")[..] else { panic!() };
    let now = Timestamp::from_secs(192);
    let changes = [
        Change::Died { process: before, exit: Exit::Signal(9), n_left: 0 },
        Change::Restarted { before, after, down: Duration::from_millis(1_500) },
        Change::Started { process: after, n_now: 2 },
        Change::Died { process: before, exit: Exit::Code(0), n_left: 0 },
        Change::Died { process: before, exit: Exit::Unknown, n_left: 4 },
    ];
    changes.iter().for_each(|change| observer.tell(change, now, &mut acc));
    let (_, events) = sealed(&mut acc);
    let shown: Vec<_> = events.iter().map(|e| (e.severity.as_str(), e.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("error", "vtt: process 1 was killed by SIGKILL after 3m 12s"),
            ("warning", "vtt: started again as process 2, it was 1"),
            ("info", "vtt: process 2 started, 2 now"),
            ("warning", "vtt: process 1 exited with code 0 after 3m 12s"),
            ("info", "vtt: process 1 ended after 3m 12s, 4 left"),
        ]
    );
    let fields: serde_json::Value = serde_json::from_str(&events[0].fields).unwrap();
    assert_eq!(fields["signal"], 9);
    assert_eq!(fields["before"], serde_json::json!({"pid": 1, "seconds_up": 192.0}));
    assert!(fields["after"].is_null() && fields["exit_code"].is_null());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "(?s)[\t\na-zA-Z=0-9 ()]{0,200}") {
        Stat::read(&bytes);
        Stat::read(text.as_bytes());
        let _ = pid_in(&bytes);
        systemd(&text);
        launchd(&text);
        Track::restore(&text, "", "");
    }

    #[test]
    fn deaths_and_beginnings_add_up_to_what_is_there(looks in proptest::collection::vec(proptest::collection::btree_set(1_u32..9, 0..5), 1..20)) {
        let mut track = Track::default();
        let mut n_known = 0_i64;
        for (n, seen) in looks.iter().enumerate() {
            let text: String = seen.iter().map(|pid| format!("{pid} ")).collect();
            let changes = track.look(&processes(&text), Rest::default(), Timestamp(n as i64));
            let died = changes.iter().filter(|c| matches!(c, Change::Died { .. })).count() as i64;
            let again = changes.iter().filter(|c| matches!(c, Change::Restarted { .. })).count();
            let started = changes.iter().filter(|c| matches!(c, Change::Started { .. })).count() as i64;
            prop_assert!(again <= 1);
            let came = seen.len() as i64 - (n_known - died);
            // Only what is there at the first look, or comes all at once, is told as less than it is.
            prop_assert!(n == 0 || started == came || (n_known == died && started + again as i64 <= came.max(1)), "{changes:?}");
            n_known = seen.len() as i64;
            prop_assert_eq!(track.known().len(), seen.len());
        }
    }
}
