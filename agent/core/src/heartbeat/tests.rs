//! What becomes of runs, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_model::{AgentId, Body, Event, Labels, Service, Timestamp, Zone};

use super::*;
use crate::observe::Accumulator;
use crate::process::Exit;
use crate::seal::SealOrder;

const MINUTE: Duration = Duration::from_secs(60);

fn berlin() -> Zone {
    Zone::named("Europe/Berlin").unwrap()
}

/// A time in Berlin: `2026-11-02 03:00`.
fn moment(text: &str) -> Timestamp {
    Timestamp::from_jiff(berlin().instant(text.parse().unwrap()).unwrap())
}

/// `03:00` of 2 November 2026, `+1 03:00` of the day after.
fn at(text: &str) -> Timestamp {
    let (days, time) = text.split_once(' ').unwrap_or(("+0", text));
    let day = 2 + days.trim_start_matches('+').parse::<u32>().unwrap();
    moment(&format!("2026-11-{day:02} {time}"))
}

fn daily() -> Plan {
    let schedule = Schedule::cron("0 3 * * *", berlin()).unwrap();
    Plan { schedule, grace: 30 * MINUTE, max_duration: None }
}

fn every(minutes: u32) -> Plan {
    Plan { schedule: Schedule::Every(minutes * MINUTE), grace: 10 * MINUTE, max_duration: None }
}

/// `start`, `start A`, `ok A`, `ok 45` (minutes it ran), `fail A`.
fn beat(text: &str) -> Beat {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let minutes = rest.parse::<u32>().ok();
    let duration = minutes.map(|n| n * MINUTE);
    let word = match word {
        "start" => Word::Start,
        "ok" => Word::Success { duration },
        "fail" => Word::Failure { exit: Exit::Code(3), duration },
        other => panic!("{other}"),
    };
    let run = if minutes.is_some() { "" } else { rest };
    Beat { run: run.to_owned(), word, output: String::new() }
}

fn told(changes: &[Change]) -> String {
    changes.iter().map(|change| change.result.as_str()).collect::<Vec<_>>().join(" ")
}

fn plan(name: &str) -> Plan {
    match name {
        "daily" => daily(),
        "long" => Plan { max_duration: Some(60 * MINUTE), ..daily() },
        "often" => Plan { schedule: Schedule::cron("*/5 * * * *", berlin()).unwrap(), ..daily() },
        "hourly" => every(60),
        other => panic!("{other}"),
    }
}

/// Sentences, plans, and one thing after the other: when, what, and behind `=` what is told. `asleep 09:00` is a machine that
/// slept from then on, `gone 09:00` an agent that was not there; `reboot` is a machine that was started anew.
fn play(cases: &[(&str, &str, &str)]) {
    for (sentence, name, steps) in cases {
        let mut book = Book::new(plan(name), at("00:00"));
        for step in steps.split("; ") {
            let (said, wanted) = step.split_once(" = ").unwrap_or((step, ""));
            let n_words = if said.starts_with('+') { 2 } else { 1 };
            let words: Vec<&str> = said.split(' ').collect();
            let (now, what) = (at(&words[..n_words].join(" ")), words[n_words..].join(" "));
            let boot = if what == "reboot" { "another" } else { "boot" };
            let mut changes = step_of(&mut book, now, &what);
            // A restart of the agent changes nothing.
            let (restored, more) = Book::restore(&book.encode("boot"), boot, plan(name), now);
            changes.extend(more);
            book = restored;
            assert_eq!(told(&changes), wanted, "{sentence}: {said}");
        }
    }
}

fn step_of(book: &mut Book, now: Timestamp, what: &str) -> Vec<Change> {
    if let Some(from) = what.strip_prefix("asleep ") {
        book.was_away(at(from), now, now.since(at(from)));
        return Vec::new();
    }
    if let Some(from) = what.strip_prefix("gone ") {
        book.was_away(at(from), now, Duration::ZERO);
        return Vec::new();
    }
    let mut changes = Vec::new();
    // The driver asks whenever it is told to.
    while let Some(deadline) = book.next_deadline().filter(|deadline| *deadline <= now) {
        changes.extend(book.pass(deadline));
    }
    if !["", "reboot"].contains(&what) {
        changes.extend(book.hear(&beat(what), now));
    }
    changes
}

#[test]
fn each_run_that_is_due_becomes_one_verdict() {
    play(&[
        ("as it should be", "daily", "03:00 start; 03:12 ok = ok; +1 02:59; +1 03:10 ok 10 = ok"),
        ("it says only that it has ended", "daily", "03:20 ok = ok; +1 03:29"),
        ("it fails", "daily", "03:00 start a; 03:01 fail a = failed; 03:31"),
        (
            "it does not come, once for each time",
            "daily",
            "03:29; 03:30 = missed; 04:00; +1 03:30 = missed",
        ),
        (
            "it comes after all",
            "daily",
            "03:30 = missed; 04:00 start a; 04:10 ok a = late; +1 03:30 = missed",
        ),
        (
            "after a day it is not late but in time",
            "daily",
            "03:30 = missed; +1 03:01 start a; +1 03:02 ok a = ok",
        ),
        (
            "a run by hand is no run of the schedule",
            "daily",
            "01:00 start; 01:10 ok = ok; 03:30 = missed",
        ),
    ]);
}

#[test]
fn runs_that_overlap_or_take_long_are_told_apart() {
    // Of those every five minutes the runs from 00:05 to 00:30 are over at 01:00, and whoever comes then is in time for all
    // that are not.
    play(&[
        (
            "nobody heard it begin, and it began in time",
            "daily",
            "03:30 = missed; 03:45 ok 45 = ok",
        ),
        (
            "nobody heard it begin, and the missed one is still to come",
            "daily",
            "03:30 = missed; 03:45 ok 46 = ok; 04:00 ok 1 = late",
        ),
        (
            "nobody heard it begin within an hour after the one before",
            "hourly",
            "01:05 ok = ok; 02:15 = missed; 02:20 ok 30 = ok; 02:25 ok = ok",
        ),
        (
            "what is said twice counts once",
            "daily",
            "03:00 start a; 03:00 start a; 03:05 ok a = ok; 03:06 ok a; 03:07 start a; +1 03:30 = missed",
        ),
        (
            "two at a time",
            "daily",
            "03:00 start a; 03:10 start b = overlap; 03:11 start c = overlap; 03:15 ok a = ok; 03:16 fail b = failed; 03:17 ok c = ok",
        ),
        (
            "one that never said its end is in the way once",
            "daily",
            "03:00 start; +1 03:00 start = overlap; +1 03:05 ok = ok; +2 03:00 start; +2 03:05 ok = ok",
        ),
        (
            "it takes too long",
            "long",
            "03:00 start a; 03:59; 04:00 = overdue; 05:00; 05:01 ok a = late",
        ),
        ("that is known at its end at the latest", "long", "03:20 ok 61 = late"),
        (
            "one that takes too long is in nobody's way any more",
            "long",
            "03:00 start a; 04:00 = overdue; +1 03:00 start b; +1 03:01 ok b = ok",
        ),
        (
            "more runs are due than grace is long",
            "often",
            "01:00 = missed missed missed missed missed missed; 01:01 ok = ok; 01:34; 01:35 = missed",
        ),
        (
            "so long after the one before",
            "hourly",
            "01:05 ok = ok; 02:14; 02:15 = missed; 02:20 ok = late; 03:29; 03:30 = missed; 04:29; 04:30 = missed",
        ),
    ]);
}

#[test]
fn grace_begins_when_somebody_listens() {
    play(&[
        (
            "while the machine sleeps jobs do",
            "long",
            "03:00 start a; 08:00 asleep 03:10; 08:40; 08:50 = overdue",
        ),
        (
            "the machine slept when it was due: grace begins when it wakes",
            "daily",
            "07:00 asleep 02:00; 07:29; 07:30 = missed",
        ),
        (
            "it comes as soon as the machine wakes",
            "daily",
            "07:00 asleep 02:00; 07:01 start a; 07:09 ok a = ok; 08:00",
        ),
        (
            "the machine slept for days: only the last run is expected",
            "daily",
            "+4 07:00 asleep 02:00; +4 07:30 = missed; +4 12:00; +5 03:30 = missed",
        ),
        ("the agent was away", "daily", "03:10 gone 02:50; 03:39; 03:40 = missed"),
        (
            "the machine was started anew while it ran",
            "daily",
            "03:00 start a; 03:05 reboot = failed; 03:30",
        ),
    ]);
}

#[test]
fn all_is_well_or_not_until_something_else_becomes_of_it() {
    let mut book = Book::new(daily(), at("00:00"));
    for (when, what, is_good) in [
        ("02:00", "", None),
        ("03:00", "start a", None),
        ("03:05", "ok a", Some(true)),
        ("+1 03:30", "", Some(false)),
        ("+1 04:00", "start b", Some(false)),
        ("+1 04:05", "ok b", Some(true)),
        ("+2 03:00", "start c", Some(true)),
        ("+2 03:05", "fail c", Some(false)),
        ("+2 04:00", "ok 3", Some(true)),
        // A run that is on while the next one is missed.
        ("+3 03:00", "start d", Some(true)),
        ("+4 03:30", "", Some(false)),
        ("+4 04:00", "ok d", Some(false)),
        ("+4 05:00", "ok 1", Some(true)),
        // One that began before the missed one was due is not that one.
        ("+5 03:30", "", Some(false)),
        ("+5 04:00", "ok 61", Some(false)),
        ("+5 04:05", "ok 1", Some(true)),
    ] {
        book.pass(at(when));
        if !what.is_empty() {
            book.hear(&beat(what), at(when));
        }
        assert_eq!(book.is_good(), is_good, "{when} {what}");
    }
}

#[test]
fn a_schedule_is_that_of_cron_in_its_zone_through_the_turn_of_the_clocks() {
    for (sentence, cron, from, due) in [
        ("each day", "0 3 * * *", "2026-11-02 03:00", "2026-11-03T02:00:00Z"),
        ("on working days", "30 6 * * 1-5", "2026-11-06 06:30", "2026-11-09T05:30:00Z"),
        ("the last of a month", "0 22 L * *", "2026-02-01 00:00", "2026-02-28T21:00:00Z"),
        ("a word", "@daily", "2026-11-02 03:00", "2026-11-02T23:00:00Z"),
        (
            "02:30 is skipped: it is due when the clock goes on",
            "30 2 * * *",
            "2026-03-28 12:00",
            "2026-03-29T01:00:00Z",
        ),
        ("and the day after as ever", "30 2 * * *", "2026-03-29 12:00", "2026-03-30T00:30:00Z"),
        (
            "02:30 comes twice: it is due the first time",
            "30 2 * * *",
            "2026-10-24 12:00",
            "2026-10-25T00:30:00Z",
        ),
        ("and not the second time", "30 2 * * *", "2026-10-25 02:30", "2026-10-26T01:30:00Z"),
        (
            "each hour goes on through the skipped one",
            "0 * * * *",
            "2026-03-29 01:00",
            "2026-03-29T01:00:00Z",
        ),
        (
            "each hour comes in the doubled one too",
            "0 * * * *",
            "2026-10-25 02:00",
            "2026-10-25T01:00:00Z",
        ),
        (
            "a list too comes once in the doubled hour",
            "0 2,14 * * *",
            "2026-10-25 02:00",
            "2026-10-25T13:00:00Z",
        ),
        ("and so do minutes", "0,30 2 * * *", "2026-10-25 02:30", "2026-10-26T01:00:00Z"),
        ("and a range", "0 1-5 * * *", "2026-10-25 02:00", "2026-10-25T02:00:00Z"),
        (
            "of a list 02:00 is skipped: it is due when the clock goes on",
            "0 2,14 * * *",
            "2026-03-28 14:00",
            "2026-03-29T01:00:00Z",
        ),
        ("also 02:50", "50 2,14 * * *", "2026-03-28 20:00", "2026-03-29T01:00:00Z"),
        ("and once", "50 2,14 * * *", "2026-03-29 03:00", "2026-03-29T12:50:00Z"),
        ("a range goes on behind it", "0 1-5 * * *", "2026-03-29 03:00", "2026-03-29T02:00:00Z"),
        (
            "what begins with * is skipped with its hour",
            "*/30 2 * * *",
            "2026-03-28 12:00",
            "2026-03-30T00:00:00Z",
        ),
        ("and comes twice with it", "*/30 2 * * *", "2026-10-25 02:30", "2026-10-25T01:00:00Z"),
        ("so does what begins with */", "0 */2 * * *", "2026-10-25 02:00", "2026-10-25T01:00:00Z"),
    ] {
        let schedule = Schedule::cron(cron, berlin()).unwrap();
        let next = schedule.next_after(moment(from)).unwrap();
        assert_eq!(next.rfc3339(), due, "{sentence}: {cron}");
        assert!(schedule.next_after(next).unwrap() > next, "{sentence}");
    }
    for (cron, said) in [
        ("0 3 * *", "is no line of cron"),
        ("0 3 * * * *", "is no line of cron"),
        ("0 0 3 * * * 2027", "is no line of cron"),
        ("61 3 * * *", "is no line of cron"),
        ("", "is no line of cron"),
        ("@sometimes", "is no line of cron"),
        ("0 0 30 2 *", "never comes"),
    ] {
        let error = Schedule::cron(cron, Zone::UTC).unwrap_err().to_string();
        assert!(error.starts_with(said), "{cron}: {error}");
    }
    assert!(Schedule::cron("0 0 29 2 *", Zone::UTC).is_ok());
}

#[test]
fn an_hour_that_is_skipped_at_midnight_is_due_when_the_day_begins() {
    // Clocks go from 00:00 to 01:00 there, on 24 April.
    let schedule = Schedule::cron("30 0 * * *", Zone::named("Africa/Cairo").unwrap()).unwrap();
    let noon = Timestamp::from_secs(1_776_945_600);
    assert_eq!(schedule.next_after(noon).unwrap().rfc3339(), "2026-04-23T22:00:00Z");
}

#[test]
fn an_absence_says_how_many_runs_were_due() {
    let away = |plan: Plan, from: &str, to: &str| {
        let mut book = Book::new(plan, at(from));
        let absence = book.was_away(at(from), at(to), Duration::ZERO);
        absence.map_or(0, |absence| absence.n_due)
    };
    assert_eq!(away(daily(), "04:00", "+1 02:00"), 0);
    assert_eq!(away(daily(), "04:00", "+1 03:00"), 1);
    assert_eq!(away(daily(), "04:00", "+4 04:00"), 4);
    let minutely = Plan { schedule: Schedule::cron("* * * * *", berlin()).unwrap(), ..daily() };
    assert_eq!(away(minutely.clone(), "04:00", "+9 04:00"), 1_000);
    let mut book = Book::new(minutely, at("04:00"));
    book.was_away(at("04:00"), at("+9 04:00"), Duration::ZERO);
    assert!(book.due().unwrap() > at("+9 03:59"));
}

#[test]
fn a_clock_that_was_wrong_is_forgotten() {
    let far = moment("2050-01-01 00:00");
    let mut book = Book::new(daily(), far);
    book.hear(&beat("start a"), far);
    book.was_set_back(at("01:00"));
    assert_eq!(book.due(), Some(at("03:00")));
    let changes = book.hear(&beat("ok a"), at("01:10"));
    assert_eq!(changes[0].duration, Some(10 * MINUTE));
}

#[test]
fn a_clock_that_is_set_back_hides_no_run_that_was_due() {
    let mut book = Book::new(daily(), at("00:00"));
    book.pass(at("03:10"));
    book.was_set_back(at("03:09"));
    assert_eq!(book.due(), Some(at("03:00")));
    assert_eq!(told(&book.pass(at("03:39"))), "missed");
    // Nor does it hold against a run that it was missed in a time to come.
    book.was_set_back(at("02:00"));
    assert_eq!(book.due(), Some(at("03:00")));
    book.hear(&beat("ok"), at("03:05"));
    assert_eq!(book.is_good(), Some(true));
}

#[test]
fn a_clock_that_was_wrong_before_a_restart_is_forgotten() {
    let far = moment("2050-01-01 04:00");
    for (plan, due) in [(daily(), "03:00"), (every(60), "02:00")] {
        let mut book = Book::new(plan.clone(), far);
        book.hear(&beat("ok"), far);
        let (book, _) = Book::restore(&book.encode("boot"), "boot", plan, at("01:00"));
        assert_eq!(book.due(), Some(at(due)));
    }
}

#[test]
fn what_is_stored_is_read_or_left() {
    let mut book = Book::new(daily(), at("00:00"));
    book.hear(&beat("start a"), at("03:00"));
    let stored = book.encode("boot");
    let (restored, _) = Book::restore(&stored, "boot", daily(), at("03:01"));
    assert_eq!(restored.encode("boot"), stored);
    for bad in ["", "{}", "x", &stored.replace("\"v\":1", "\"v\":2")] {
        let (restored, changes) = Book::restore(bad, "boot", daily(), at("03:01"));
        assert_eq!((restored.due(), changes), (Some(at("+1 03:00")), vec![]), "{bad}");
    }
    // Another schedule: what is on stays on, and another time is due.
    let (mut restored, _) = Book::restore(&stored, "boot", every(60), at("03:01"));
    assert_eq!(restored.due(), Some(at("04:01")));
    assert_eq!(restored.hear(&beat("ok a"), at("03:10"))[0].duration, Some(10 * MINUTE));
}

#[test]
fn runs_that_are_on_and_runs_that_ended_are_bounded() {
    let mut book = Book::new(daily(), at("00:00"));
    for n in 0..200 {
        book.hear(&beat(&format!("start x{n}")), at("03:00"));
        book.hear(&beat(&format!("ok y{n}")), at("03:00"));
    }
    let long = "z".repeat(64);
    for n in 0..40 {
        book.hear(&beat(&format!("start {long}{n}")), at("03:00"));
    }
    assert!(book.encode("boot").len() < 8_000, "{}", book.encode("boot").len());
}

#[test]
fn only_the_end_of_an_output_is_kept_from_the_beginning_of_a_line() {
    assert_eq!(tail_of(b"one\ntwo\n\n"), "one\ntwo");
    let long = format!("{}\nlast line\n", "x".repeat(MAX_OUTPUT_BYTES));
    assert_eq!(tail_of(long.as_bytes()), "last line");
    let one_line = "y".repeat(MAX_OUTPUT_BYTES + 5);
    assert_eq!(tail_of(one_line.as_bytes()).len(), MAX_OUTPUT_BYTES);
    assert_eq!(tail_of(&[0xff, b'a']), "\u{fffd}a");
    for (text, is_id) in [("a-1_B:2.3", true), ("", false), ("a b", false), ("ä", false)] {
        assert_eq!(is_run_id(text), is_id, "{text}");
    }
    assert!(is_run_id(&"x".repeat(64)) && !is_run_id(&"x".repeat(65)));
}

/// How many, and values in seconds, by result.
type Counts = BTreeMap<String, (u64, Vec<f64>)>;

fn sealed(acc: &mut Accumulator) -> (Counts, Vec<Event>) {
    let (mut counts, mut all) = (Counts::new(), Vec::new());
    for body in acc
        .seal(Timestamp(0), &SealOrder::default(), Vec::new())
        .services
        .into_iter()
        .flat_map(|service| service.bodies)
    {
        match body {
            Body::Events { events, .. } => all.extend(events),
            Body::Windows { series, .. } => {
                for one in series {
                    assert_eq!(one.labels.get("job"), "backup");
                    let key = match one.labels.get("result") {
                        "" => one.signal.clone(),
                        result => result.to_owned(),
                    };
                    for window in &one.windows {
                        let (n, values): &mut (u64, Vec<f64>) =
                            counts.entry(key.clone()).or_default();
                        *n += window.distribution.count;
                        values.extend(
                            window
                                .distribution
                                .values
                                .as_ref()
                                .map(|values| one.unit.dimension().to_outside(values.sum as f64)),
                        );
                    }
                }
            }
        }
    }
    (counts, all)
}

#[test]
fn verdicts_are_counted_with_their_duration_and_told_in_words() {
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    let mut observer = HeartbeatObserver::new("backup", &Service::new("db").unwrap(), &mut acc);
    let plan = Plan { max_duration: Some(60 * MINUTE), ..daily() };
    let mut book = Book::new(plan.clone(), at("00:00"));
    let failing = Beat { output: "dumping\nno space left\n\n".to_owned(), ..beat("fail a") };
    let steps = [
        ("03:00", Some(beat("start a"))),
        ("03:12", Some(failing)),
        ("+1 03:30", None),
        ("+1 04:00", Some(beat("start b"))),
        ("+1 04:05", Some(beat("start c"))),
        ("+1 05:05", None),
        ("+1 05:10", Some(beat("ok b"))),
        ("+2 03:05", Some(beat("ok 5"))),
    ];
    for (when, said) in steps {
        let now = at(when);
        let mut changes = book.pass(now);
        changes.extend(said.map(|beat| book.hear(&beat, now)).unwrap_or_default());
        changes.iter().for_each(|change| observer.tell(change, &plan, now, &mut acc));
    }
    observer.up(true, at("+2 03:05"), &mut acc);
    let absence = Absence { length: 600 * MINUTE, n_due: 3 };
    observer.absence(&absence, at("+2 03:05"), &mut acc);
    let (counts, events) = sealed(&mut acc);
    assert_eq!(counts["failed"], (1, vec![720.0]));
    assert_eq!(counts["missed"], (1, vec![]), "what did not come took no time");
    assert_eq!(counts["overlap"], (1, vec![]));
    assert_eq!(counts["overdue"], (2, vec![7_500.0]), "both in one second");
    assert_eq!((counts["late"].0, counts["ok"].clone()), (1, (1, vec![300.0])));
    assert_eq!(counts["heartbeat_up"], (1, vec![1.0]));
    let shown: Vec<_> =
        events.iter().map(|e| (e.name.as_str(), e.severity.as_str(), e.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("failed", "error", "backup: exited with code 3 after 12m: no space left"),
            (
                "missed",
                "error",
                "backup: nothing was heard of the run that was due at 2026-11-03 03:00 CET, 30m ago"
            ),
            ("overlap", "warning", "backup: a run began while another one, 5m old, was on"),
            ("overdue", "error", "backup: a run has not ended after 1h 5m"),
            ("overdue", "error", "backup: a run has not ended after 1h"),
            ("late", "warning", "backup: ended well, and was due at 2026-11-03 03:00 CET"),
            (
                "gap",
                "info",
                "backup: 3 runs were due while the machine slept or was off, or the agent was not running, for 10h",
            ),
        ]
    );
    let fields: serde_json::Value = serde_json::from_str(&events[0].fields).unwrap();
    assert_eq!((&fields["exit_code"], &fields["run"]), (&3.into(), &"a".into()));
    assert_eq!(fields["output"], "dumping\nno space left\n\n");
}

proptest! {
    #[test]
    fn whatever_is_said_and_stored_ends_and_stays_bounded(
        words in proptest::collection::vec((0_u32..600, 0_u8..5, 0_u8..4), 0..60),
        text in "[-*/,0-9A-Za-z@# ]{0,30}",
        row in "[ -~]{0,80}",
    ) {
        let _ = Schedule::cron(&text, Zone::UTC);
        let _ = Book::restore(&row, "b", daily(), at("00:00"));
        for plan in [daily(), every(7)] {
            let mut book = Book::new(Plan { max_duration: Some(50 * MINUTE), ..plan }, at("00:00"));
            let mut now = at("00:00");
            for (minutes, word, run) in &words {
                now = now + *minutes * MINUTE;
                match word {
                    0 => _ = book.hear(&beat(&format!("start r{run}")), now),
                    1 => _ = book.hear(&beat(&format!("ok r{run}")), now),
                    2 => _ = book.hear(&beat("ok 30"), now),
                    3 => _ = book.was_away(now - 60 * MINUTE, now, Duration::ZERO),
                    _ => _ = book.pass(now),
                }
                book.pass(now);
                prop_assert!(book.next_deadline().is_none_or(|next| next > now));
                prop_assert!(book.encode("b").len() < 8_000);
            }
        }
    }
}
