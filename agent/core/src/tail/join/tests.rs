//! The rules of joining, one by one, and what must hold for any lines, interrupted anywhere.

use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_model::Timestamp;

use super::held::Keep;
use super::*;
use crate::tail::record::Record;

const TIME: &str = "2016-10-06T00:17:09.669794202Z";

/// One file that is read line by line.
struct Reading {
    joining: Joining,
    joiner: Joiner,
    at: u64,
    now: Timestamp,
    out: Vec<String>,
}

fn settings(wrap: Wrap, start: Option<&str>) -> JoinSettings {
    let multiline = |s: &str| Multiline::new(s, 4, Duration::from_secs(2)).unwrap();
    JoinSettings { wrap, multiline: start.map(multiline) }
}

fn told(record: Record<'_>) -> String {
    let text = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
    match record {
        Record::Line(line) => text(line),
        Record::Wrapped(w) => format!("{}: {}", w.stream.as_str(), text(w.text)),
        Record::Unparsable(line) => format!("no wrapper: {}", text(line)),
        other => format!("{other:?}"),
    }
}

impl Reading {
    fn new(wrap: Wrap, start: Option<&str>, max_line_bytes: usize) -> Self {
        let joining = Joining::new(settings(wrap, start), max_line_bytes);
        let now = Timestamp::from_secs(100);
        Self { joining, joiner: Joiner::default(), at: 0, now, out: Vec::new() }
    }

    fn record(&mut self, record: Record<'_>, len: usize) {
        let (start, end) = (self.at, self.at + len as u64);
        let Self { joining, joiner, now, out, .. } = self;
        joiner.take(joining, *now, Piece { record, start, end }, &mut |r| out.push(told(r)));
        self.at = end;
    }

    fn line(&mut self, line: impl AsRef<[u8]>) {
        let line = line.as_ref();
        self.record(Record::Line(line), line.len() + 1);
    }

    fn wait(&mut self, secs: u64) {
        self.now = self.now + Duration::from_secs(secs);
        let Self { joining, joiner, now, out, .. } = self;
        joiner.not_after(*now);
        joiner.give_due(joining, *now, &mut |r| out.push(told(r)));
    }

    fn finish(&mut self) -> Vec<String> {
        let Self { joining, joiner, now, out, .. } = self;
        joiner.finish(joining, *now, &mut |r| out.push(told(r)));
        assert!(joiner.is_empty());
        self.take_out()
    }

    fn take_out(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out)
    }
}

fn cri(line: &str) -> String {
    format!("{TIME} {line}")
}

fn docker(stream: &str, log: &str) -> String {
    serde_json::json!({"log": log, "stream": stream, "time": TIME, "attrs": {"a": "b"}}).to_string()
}

#[test]
fn parts_of_a_line_are_put_together_stream_by_stream() {
    for (sentence, lines, wanted) in [
        ("whole lines pass", vec!["stdout F a", "stderr F b"], vec!["stdout: a", "stderr: b"]),
        (
            "parts wait for the end",
            vec!["stdout P a", "stdout P:x b", "stdout F:x c"],
            vec!["stdout: abc"],
        ),
        (
            "streams do not mix",
            vec!["stdout P a", "stderr F x", "stderr P y", "stdout F b", "stderr F z"],
            vec!["stderr: x", "stdout: ab", "stderr: yz"],
        ),
        (
            "a line of another form is one record and disturbs nothing",
            vec!["stdout P a", "nonsense", "stdout F b"],
            vec!["no wrapper: 2016-10-06T00:17:09.669794202Z nonsense", "stdout: ab"],
        ),
        ("an end alone is a line", vec!["stdout P a", "stdout F "], vec!["stdout: a"]),
        (
            "a CR belongs to the end of a line and not to that of a part",
            vec!["stdout P a\r", "stdout P \nb\r", "stdout F \r"],
            vec!["stdout: a\r\nb\r"],
        ),
        ("what is left at the end of a file is taken", vec!["stderr P a"], vec!["stderr: a"]),
    ] {
        let mut reading = Reading::new(Wrap::Cri, None, 100);
        lines.iter().for_each(|line| reading.line(cri(line)));
        assert_eq!(reading.finish(), wanted, "{sentence}");
    }
}

#[test]
fn docker_cuts_lines_where_no_line_feed_stands() {
    let mut reading = Reading::new(Wrap::Docker, None, 100);
    reading.line(docker("stdout", "{\"a\":"));
    reading.line(docker("stderr", "x\r\n"));
    reading.line("{\"log\":");
    reading.line(docker("stdout", "\"\\n\"}\n"));
    assert_eq!(reading.finish(), ["stderr: x", "no wrapper: {\"log\":", "stdout: {\"a\":\"\\n\"}"]);
}

#[test]
fn a_whole_line_is_given_out_where_it_stands() {
    let line = cri("stdout F text");
    let mut joining = Joining::new(settings(Wrap::Cri, None), 100);
    let mut seen = None;
    let piece = Piece { record: Record::Line(line.as_bytes()), start: 0, end: 40 };
    Joiner::default().take(&mut joining, Timestamp(0), piece, &mut |record| {
        let Record::Wrapped(wrapped) = record else { panic!("{record:?}") };
        seen = Some((wrapped.text.as_ptr(), wrapped.time.as_ptr()));
    });
    assert_eq!(seen, Some((line[line.len() - 4..].as_ptr(), line.as_ptr())), "nothing is copied");
}

#[test]
fn lines_become_records_at_starts() {
    for (sentence, lines, wanted) in [
        (
            "a start begins a record, others continue it",
            vec!["a", " 1", " 2", "b"],
            vec!["a\n 1\n 2", "b"],
        ),
        (
            "lines before any start are a record of their own",
            vec![" 1", " 2", "a"],
            vec![" 1\n 2", "a"],
        ),
        ("an empty line continues", vec!["a", "", " 1", "b\r"], vec!["a\n\n 1", "b"]),
        (
            "of too many lines the rest is dropped, and it is one record",
            vec!["a", " 1", " 2", " 3", " 4", " 5", "b"],
            vec!["a\n 1\n 2\n 3", "b"],
        ),
        (
            "of too many bytes too, and characters stay whole",
            vec!["a", " 5678éé", " more", "b"],
            vec!["a\n 5678é", "b"],
        ),
        ("a record of exactly so many is whole", vec!["a", " 4567890"], vec!["a\n 4567890"]),
        ("no room for anything", vec!["0123456789", " 1", "b"], vec!["0123456789", "b"]),
        (
            "a line too long is one by itself",
            vec!["a", " 1", "01234567890", " 2", "b"],
            vec!["TooLong", "a\n 1\n 2", "b"],
        ),
    ] {
        let mut reading = Reading::new(Wrap::None, Some(r"^\S"), 10);
        lines.iter().for_each(|line| reading.line(line));
        assert_eq!(reading.finish(), wanted, "{sentence}");
    }
}

#[test]
fn what_the_framer_passes_over_ends_nothing() {
    let mut reading = Reading::new(Wrap::None, Some("^a"), 100);
    reading.line("a");
    reading.record(Record::TooLong, 1_000);
    reading.record(Record::Blank, 1_000);
    reading.line("b");
    assert_eq!(reading.finish(), ["TooLong", "Blank", "a\nb"]);
}

#[test]
fn records_of_several_lines_come_out_of_wrappers_stream_by_stream() {
    let mut reading = Reading::new(Wrap::Cri, Some(r"^\S"), 100);
    for line in [
        "stdout F a",
        "stderr F x",
        "stdout F  1",
        "stderr P  y",
        "stdout P b",
        "stderr F z",
        "stdout F c",
        "stdout F  2",
        "stderr F x",
    ] {
        reading.line(cri(line));
    }
    assert_eq!(reading.take_out(), ["stdout: a\n 1", "stderr: x\n yz"]);
    assert_eq!(reading.finish(), ["stdout: bc\n 2", "stderr: x"]);
}

#[test]
fn a_line_too_long_by_its_parts_is_one_record_and_the_next_one_is_whole() {
    for start in [None, Some("^b")] {
        let mut reading = Reading::new(Wrap::Cri, start, 10);
        for line in ["P 01234", "P 56789", "P 0", "P and more", "F end", "P b 34567", "F 890\r"] {
            reading.line(cri(&format!("stdout {line}")));
        }
        assert_eq!(reading.finish(), ["TooLong", "stdout: b 34567890"], "{start:?}");
    }
}

#[test]
fn a_record_and_the_parts_of_its_next_line_are_together_no_more_than_one_line() {
    let mut reading = Reading::new(Wrap::Cri, Some("^[ab]"), 10);
    reading.line(cri("stdout F a 2345"));
    reading.line(cri("stdout P 789"));
    assert_eq!(reading.take_out(), [""; 0]);
    reading.line(cri("stdout P 0"));
    assert_eq!(reading.take_out(), ["stdout: a 2345"], "cut before the line that has no room");
    reading.line(cri("stdout F x"));
    reading.line(cri("stdout F y"));
    reading.line(cri("stdout F b"));
    assert_eq!(reading.finish(), ["stdout: b"], "what followed belonged to it");
}

#[test]
fn what_waits_too_long_is_given_out_as_it_is() {
    let mut reading = Reading::new(Wrap::Cri, None, 100);
    let start = reading.now;
    reading.line(cri("stdout P a"));
    assert_eq!(reading.joiner.deadline(&reading.joining), Some(start + Duration::from_secs(60)));
    reading.wait(30);
    reading.line(cri("stdout P b"));
    reading.wait(59);
    assert_eq!(reading.take_out(), [""; 0]);
    reading.wait(1);
    assert_eq!(reading.take_out(), ["stdout: ab"]);
    assert_eq!(reading.joiner.deadline(&reading.joining), None);

    let mut reading = Reading::new(Wrap::Cri, Some(r"^\S"), 100);
    reading.line(cri("stdout F a"));
    reading.line(cri("stdout P  1"));
    reading.wait(59);
    assert_eq!(reading.take_out(), [""; 0], "the line may go on with the record");
    reading.line(cri("stdout F 2"));
    reading.wait(1);
    reading.line(cri("stdout F  3"));
    reading.wait(1);
    assert_eq!(reading.take_out(), [""; 0]);
    reading.wait(1);
    assert_eq!(reading.take_out(), ["stdout: a\n 12\n 3"]);
    reading.line(cri("stdout F  4"));
    reading.wait(2);
    assert_eq!(
        reading.take_out(),
        ["stdout:  4"],
        "a record that was given out is not gone on with"
    );
}

#[test]
fn a_cut_record_ends_in_time_too_and_a_clock_set_back_makes_nothing_wait_for_it() {
    let mut reading = Reading::new(Wrap::None, Some(r"^\S"), 3);
    ["a", " 1", " 2"].iter().for_each(|line| reading.line(line));
    assert_eq!(reading.take_out(), ["a\n "]);
    reading.wait(2);
    assert!(reading.joiner.is_empty());
    reading.line(" 3");
    reading.now = reading.now - Duration::from_secs(3_600);
    reading.wait(0);
    reading.wait(2);
    assert_eq!(reading.take_out(), [" 3"]);
}

#[test]
fn what_has_to_be_kept_is_told() {
    let (start, head) = (Some(r"^\S"), cri("stdout F ").len() as u64 + 1);
    for (sentence, start, lines, keep) in [
        ("nothing is held", None, vec!["stdout F a"], Keep::Nothing),
        ("reading again finds it", None, vec!["stdout F a", "stdout P b"], Keep::From(head + 1)),
        ("the earliest", None, vec!["stdout P a", "stderr P b"], Keep::From(0)),
        ("something behind it is given out", None, vec!["stdout P a", "stderr F b"], Keep::Itself),
        ("or skipped", None, vec!["stdout P a", "nonsense"], Keep::Itself),
        ("records of one stream", start, vec!["stdout F a", "stdout F b"], Keep::From(head + 1)),
        (
            "records of two",
            start,
            vec!["stdout F a", "stderr F x", "stdout F b"],
            Keep::From(head + 1),
        ),
        (
            "records that overlap",
            start,
            vec!["stdout F a", "stderr F x", "stdout F  1", "stdout F b"],
            Keep::Itself,
        ),
        ("a cut record", start, vec!["stdout F 0123456789", "stdout F  1"], Keep::Itself),
    ] {
        let mut reading = Reading::new(Wrap::Cri, start, 10);
        lines.iter().for_each(|line| reading.line(cri(line)));
        assert_eq!(reading.joiner.keep(), keep, "{sentence}");
    }
}

fn stored(reading: &Reading) -> Held {
    let held = Held {
        join: reading.joining.settings().key(),
        path: "/l/a.log".to_owned(),
        streams: reading.joiner.held().to_vec(),
    };
    let row = serde_json::to_string(&held.row()).unwrap();
    let decoded = Held::of(serde_json::from_str(&row).unwrap()).unwrap();
    assert_eq!(serde_json::to_string(&decoded.row()).unwrap(), row);
    decoded
}

#[test]
fn what_is_held_is_stored_byte_by_byte_and_damage_is_noticed() {
    let mut reading = Reading::new(Wrap::Cri, Some("^a"), 100);
    reading.line([cri("stdout F a").as_bytes(), b"\xff\x00\"\\\xc3\xa9"].concat());
    reading.line(cri("stdout P b"));
    reading.line(cri("stderr P c"));
    let held = stored(&reading);
    let row = serde_json::to_string(&held.row()).unwrap();
    let mut seen = Vec::new();
    let mut joiner = Joiner::restored(held.streams, reading.at, reading.now);
    joiner.finish(&reading.joining, reading.now, &mut |r| {
        let Record::Wrapped(w) = r else { panic!("{r:?}") };
        assert_eq!(w.time, TIME);
        seen.push(w.text.to_vec());
    });
    assert_eq!(seen, [b"a\xff\x00\"\\\xc3\xa9\nb".to_vec(), b"c".to_vec()]);
    for damaged in [
        row.replace("stderr", "stdlog"),
        row.replace("stderr", "stdout"),
        row.replace("ÿ", "\u{100}"),
        row.replace("\"line\":{", "\"lines\":{"),
    ] {
        assert!(Held::of(serde_json::from_str(&damaged).unwrap()).is_none(), "{damaged}");
    }
}

#[test]
fn what_other_settings_held_is_given_out_piece_by_piece() {
    let mut reading = Reading::new(Wrap::Cri, Some("^a"), 10);
    for line in ["stdout F a", "stdout P b\r", "stderr P 01234567890", "stderr P 1"] {
        reading.line(cri(line));
    }
    let mut out = Vec::new();
    let mut joiner = Joiner::restored(stored(&reading).streams, reading.at, reading.now);
    joiner.finish_apart(&mut |r| out.push(told(r)));
    assert_eq!(out, ["stdout: a", "stdout: b", "TooLong"]);
}

/// A line of a file, mostly of the wrapper's form.
fn any_line(wrap: Wrap) -> impl Strategy<Value = Vec<u8>> {
    let text = "[ab ]{0,5}";
    let stream = prop_oneof![Just("stdout"), Just("stderr")];
    let form = (stream, any::<bool>(), text).prop_map(move |(stream, ends, text)| match wrap {
        Wrap::None => text,
        Wrap::Cri => cri(&format!("{stream} {} {text}", if ends { "F" } else { "P" })),
        Wrap::Docker => docker(stream, &format!("{text}{}", if ends { "\n" } else { "" })),
    });
    let noise = proptest::collection::vec(any::<u8>().prop_filter("LF", |b| *b != b'\n'), 0..40);
    prop_oneof![9 => form.prop_map(String::into_bytes), 1 => noise]
}

#[derive(Clone, Debug)]
enum Step {
    Read(u8),
    Seal,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..4_u8).prop_map(Step::Read),
        2 => Just(Step::Seal),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 0..40)
}

fn any_settings() -> impl Strategy<Value = (Wrap, Option<&'static str>)> {
    let wrap = prop_oneof![Just(Wrap::None), Just(Wrap::Cri), Just(Wrap::Docker)];
    (wrap, prop_oneof![Just(None), Just(Some("^a"))])
}

fn any_file() -> impl Strategy<Value = (Wrap, Option<&'static str>, Vec<Vec<u8>>)> {
    any_settings().prop_flat_map(|(wrap, start)| {
        let lines = proptest::collection::vec(any_line(wrap), 0..30);
        (Just(wrap), Just(start), lines)
    })
}

fn read_whole(wrap: Wrap, start: Option<&str>, lines: &[Vec<u8>]) -> Vec<String> {
    let mut reading = Reading::new(wrap, start, 12);
    lines.iter().for_each(|line| reading.line(line));
    reading.finish()
}

proptest! {
    #[test]
    fn interrupted_anywhere_the_same_records_come_out(
        (wrap, start, lines) in any_file(),
        steps in steps(),
    ) {
        let wanted = read_whole(wrap, start, &lines);
        let ends: Vec<u64> = lines.iter().scan(0, |at, l| { *at += l.len() as u64 + 1; Some(*at) }).collect();
        let mut reading = Reading::new(wrap, start, 12);
        let mut next = 0;
        // What is durable: where to go on, what is held, how much was given out.
        let mut durable: (u64, Option<Held>, usize) = (0, None, 0);
        for step in steps {
            match step {
                Step::Read(n) => for line in lines.iter().skip(next).take(n.into()) {
                    reading.line(line);
                    next += 1;
                },
                Step::Seal => {
                    // The offset never goes back.
                    durable = match reading.joiner.keep() {
                        Keep::From(at) if at >= durable.0 => (at, None, reading.out.len()),
                        Keep::Nothing => (reading.at, None, reading.out.len()),
                        _ => (reading.at, Some(stored(&reading)), reading.out.len()),
                    };
                }
                Step::Crash => {
                    let (offset, held, n_out) = durable.clone();
                    reading.out.truncate(n_out);
                    reading.at = offset;
                    next = ends.iter().filter(|end| **end <= offset).count();
                    reading.joiner = match held {
                        Some(held) => Joiner::restored(held.streams, offset, reading.now),
                        None => Joiner::default(),
                    };
                }
            }
        }
        lines.iter().skip(next).for_each(|line| reading.line(line));
        let mut seen = reading.finish();
        // At the end of a file both streams are given out, in an order that does not matter.
        let mut wanted = wanted;
        seen.sort();
        wanted.sort();
        prop_assert_eq!(seen, wanted);
    }

    #[test]
    fn no_more_is_held_of_a_stream_than_one_line(
        (wrap, start, lines) in any_file(),
    ) {
        let mut reading = Reading::new(wrap, start, 12);
        for line in &lines {
            reading.line(line);
            prop_assert!(reading.joiner.held().len() <= 2);
            for held in reading.joiner.held() {
                let n: usize = held.texts().map(|t| t.bytes.len()).sum();
                // One more for a CR.
                prop_assert!(n <= 13, "{n}");
            }
        }
        prop_assert!(reading.finish().len() <= lines.len());
    }

    #[test]
    fn every_part_is_in_one_record(
        words in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 0..3_u64), 0..40),
    ) {
        let multiline = Multiline::new(r"^\S", 100, Duration::from_secs(2)).unwrap();
        let settings = JoinSettings { wrap: Wrap::Cri, multiline: Some(multiline) };
        let mut reading = Reading::new(Wrap::Cri, None, 1_000);
        reading.joining = Joining::new(settings, 1_000);
        for (i, (is_out, ends, is_start, wait)) in words.iter().enumerate() {
            let stream = if *is_out { "stdout" } else { "stderr" };
            let space = if *is_start { "" } else { " " };
            reading.line(cri(&format!("{stream} {} {space}<{i}>", if *ends { "F" } else { "P" })));
            reading.wait(*wait);
        }
        let all = reading.finish().concat();
        for i in 0..words.len() {
            prop_assert_eq!(all.matches(&format!("<{i}>")).count(), 1, "{}", i);
        }
    }
}
