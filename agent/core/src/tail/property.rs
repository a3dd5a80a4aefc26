//! Random rotation, copying, cutting, deleting, compressing, crashing and failing seals against a model.
//!
//! Owns one sentence: each record is counted exactly once, or what became of it is reported. The model knows what stood in
//! a file at the moment it was cut, or was deleted while nobody held it; only that may be missing, and only if that many
//! bytes were reported. Everything written has a number, so a record is known by its content.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::Stream;
use super::agent::Agent;
use super::disk::Ending;
use super::join::{JoinSettings, Multiline, Wrap};

#[derive(Clone, Debug)]
enum Step {
    /// So many lines; the bits choose streams, ends and starts.
    Write(u8, u64),
    WriteHalf(u64),
    /// What is no line: NUL bytes, or what is not of the wrapper's form.
    WriteNoise {
        nuls: bool,
    },
    Rename,
    RenameAndDelete,
    CopyTruncate {
        look_between: bool,
    },
    Delete,
    /// What logrotate's `compress` does to the oldest plain sibling: a part of it, and then the rest.
    Compress {
        part: u8,
    },
    Poll,
    PollWithoutReading,
    Seal,
    FailToSeal,
    Crash,
    /// A crash, and other settings after it.
    Edit,
    /// Other settings without a crash.
    EditInPlace,
    Wait(u8),
    RenameSource,
    LookElsewhereAndBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..6_u8, any::<u64>()).prop_map(|(n, bits)| Step::Write(n, bits)),
        2 => any::<u64>().prop_map(Step::WriteHalf),
        1 => any::<bool>().prop_map(|nuls| Step::WriteNoise { nuls }),
        2 => Just(Step::Rename),
        1 => Just(Step::RenameAndDelete),
        2 => any::<bool>().prop_map(|look_between| Step::CopyTruncate { look_between }),
        1 => Just(Step::Delete),
        6 => Just(Step::Poll),
        2 => Just(Step::PollWithoutReading),
        4 => Just(Step::Seal),
        1 => Just(Step::FailToSeal),
        2 => Just(Step::Crash),
        1 => Just(Step::Edit),
        1 => Just(Step::EditInPlace),
        2 => (0..20_u8).prop_map(Step::Wait),
        1 => Just(Step::RenameSource),
        1 => Just(Step::LookElsewhereAndBack),
    ]
}

fn step_with_compression() -> impl Strategy<Value = Step> {
    prop_oneof![8 => step(), 2 => (0..=4_u8).prop_map(|part| Step::Compress { part })]
}

const PATH: &str = "/l/app.log";
const MAX_LINES: usize = 4;

/// How lines are written, and how carefully.
#[derive(Clone, Copy, Debug)]
struct Form {
    wrap: Wrap,
    several_lines: bool,
    /// The writer ends lines and records before it rotates and before it pauses, so that every record is known. If it
    /// does not, what it wrote is still counted once, in whatever records.
    careful: bool,
}

const PLAIN: Form = Form { wrap: Wrap::None, several_lines: false, careful: true };

fn form() -> impl Strategy<Value = Form> {
    let wrap = prop_oneof![Just(Wrap::None), Just(Wrap::Cri), Just(Wrap::Docker)];
    (wrap, any::<bool>(), any::<bool>()).prop_map(|(wrap, several_lines, careful)| Form {
        wrap,
        several_lines,
        careful,
    })
}

impl Form {
    fn settings(self) -> JoinSettings {
        let (max_lines, secs) = if self.careful { (MAX_LINES, 600) } else { (10_000, 2) };
        let multiline = || Multiline::new("^<", max_lines, Duration::from_secs(secs)).unwrap();
        JoinSettings { wrap: self.wrap, multiline: self.several_lines.then(multiline) }
    }

    /// A line of the file.
    fn line(self, stream: Stream, text: &str, ends: bool) -> String {
        let time = "2016-10-06T00:17:09.669794202Z";
        let stream = stream.as_str();
        match self.wrap {
            Wrap::None => format!("{text}\n"),
            Wrap::Cri => format!("{time} {stream} {} {text}\n", if ends { "F" } else { "P" }),
            Wrap::Docker => {
                let end = if ends { "\\n" } else { "" };
                format!("{{\"log\":\"{text}{end}\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
            }
        }
    }
}

/// One stream as its writer knows it.
#[derive(Default)]
struct Writing {
    line: String,
    is_in_line: bool,
    record: Option<(String, usize)>,
    must_start: bool,
}

struct Model {
    form: Form,
    agent: Agent,
    streams: [Writing; 2],
    /// Of which stream each number is.
    numbers: Vec<Stream>,
    /// Records as they were written.
    wanted: Vec<String>,
    half: Option<String>,
    n_blank: u64,
    n_unparsable: u64,
    running: bool,
    /// Numbers that stood in a file that was deleted.
    at_risk: BTreeSet<usize>,
    n_copies: usize,
    n_bytes: usize,
    /// What is being compressed, and how much of it is done.
    compressing: Option<(String, usize)>,
}

fn numbers(text: &str) -> Vec<usize> {
    text.split('<').skip(1).map(|t| t.split_once('>').unwrap().0.parse().unwrap()).collect()
}

impl Model {
    fn new(form: Form, mut agent: Agent) -> Self {
        agent.settings.join = form.settings();
        // A source that has run before.
        agent.poll();
        agent.seal();
        Self {
            form,
            agent,
            streams: Default::default(),
            numbers: Vec::new(),
            wanted: Vec::new(),
            half: None,
            n_blank: 0,
            n_unparsable: 0,
            running: true,
            at_risk: BTreeSet::new(),
            n_copies: 0,
            n_bytes: 0,
            compressing: None,
        }
    }

    fn append(&mut self, text: &str) {
        self.agent.world().append(PATH, text);
        self.n_bytes += text.len();
    }

    /// The next line of the file; three bits say what it is.
    fn next_line(&mut self, bits: u64) -> String {
        let is_wrapped = self.form.wrap != Wrap::None;
        let stream = if is_wrapped && bits & 1 == 1 { Stream::Stderr } else { Stream::Stdout };
        let ends = !is_wrapped || bits & 2 == 0;
        let writing = &mut self.streams[stream as usize];
        let starts = bits & 4 == 0 || std::mem::take(&mut writing.must_start);
        let number = self.numbers.len();
        self.numbers.push(stream);
        let space = if starts || writing.is_in_line { "" } else { " " };
        let text = format!("{space}<{number}>");
        writing.line += &text;
        writing.is_in_line = !ends;
        if ends {
            self.end_of_line(stream);
        }
        self.form.line(stream, &text, ends)
    }

    fn end_of_line(&mut self, stream: Stream) {
        let writing = &mut self.streams[stream as usize];
        let line = std::mem::take(&mut writing.line);
        match &mut writing.record {
            Some((text, n)) if self.form.several_lines && !line.starts_with('<') => {
                if *n < MAX_LINES {
                    *text += &format!("\n{line}");
                    *n += 1;
                }
            }
            record => self.wanted.extend(record.replace((line, 1)).map(|(text, _)| text)),
        }
    }

    fn write(&mut self, n: u8, bits: u64) {
        let mut text = self.half.take().unwrap_or_default();
        for i in 0..n {
            text += &self.next_line(bits >> (3 * i));
        }
        self.append(&text);
    }

    /// A rotation waits for the end of a line: no writer splits one over two files.
    fn end_line(&mut self) {
        if let Some(rest) = self.half.take() {
            self.append(&rest);
        }
        if self.form.careful {
            self.end_parts();
            self.streams.iter_mut().for_each(|s| s.must_start = true);
        }
    }

    fn end_parts(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if std::mem::take(&mut self.streams[stream as usize].is_in_line) {
                let mut rest = self.half.take().unwrap_or_default();
                self.end_of_line(stream);
                rest += &self.form.line(stream, "", true);
                self.append(&rest);
            }
        }
    }

    fn put_at_risk(&mut self) {
        let content = self.agent.world().content(PATH);
        self.at_risk.extend(numbers(&String::from_utf8(content).unwrap()));
    }

    fn shift_siblings(&mut self) {
        // One rotation ends before the next begins.
        self.compress(4);
        let mut world = self.agent.world();
        for i in (1..20).rev() {
            for ending in ["", ".gz"] {
                let from = format!("{PATH}.{i}{ending}");
                if world.exists(&from) {
                    world.rename(&from, &format!("{PATH}.{}{ending}", i + 1));
                }
            }
        }
    }

    fn toggle_multiline(&mut self) {
        let multiline = &mut self.agent.settings.join.multiline;
        *multiline = match multiline {
            Some(_) => None,
            None => Form { several_lines: true, ..self.form }.settings().multiline,
        };
    }

    /// Goes on with what is being compressed, for so many quarters of it.
    fn compress(&mut self, n_quarters: u8) {
        let Some((path, done)) = self.compressing.take() else { return };
        let content = self.agent.world().content(&path);
        let to = content.len().min(done + content.len() * usize::from(n_quarters) / 4);
        let ending = if to == content.len() { Ending::Whole } else { Ending::Unfinished };
        self.agent.world().append_compressed(&format!("{path}.gz"), &content[done..to], ending);
        if ending == Ending::Whole {
            self.agent.world().remove(&path);
        } else {
            self.compressing = Some((path, to));
        }
    }

    fn exists(&self) -> bool {
        self.agent.world().exists(PATH)
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Write(n, bits) => self.write(*n, *bits),
            Step::WriteHalf(bits) if self.half.is_none() => {
                let line = self.next_line(*bits);
                let (half, rest) = line.split_at(1 + *bits as usize % (line.len() - 1));
                self.half = Some(rest.to_owned());
                self.append(half);
            }
            // Not as the first bytes of a file: two files that begin alike are another test's matter.
            Step::WriteNoise { nuls } if self.half.is_none() && self.exists() => {
                if *nuls {
                    self.append("\0\0\n");
                    self.n_blank += 1;
                } else if self.form.wrap != Wrap::None {
                    self.append("noise\n");
                    self.n_unparsable += 1;
                }
            }
            Step::Rename if self.exists() => {
                self.end_line();
                self.shift_siblings();
                self.agent.world().rename(PATH, &format!("{PATH}.1"));
            }
            Step::RenameAndDelete if self.exists() => {
                self.end_line();
                self.put_at_risk();
                self.agent.world().rename(PATH, "/l/away");
                self.agent.world().remove("/l/away");
            }
            Step::CopyTruncate { look_between } if self.exists() => {
                self.end_line();
                self.shift_siblings();
                self.agent.world().copy(PATH, &format!("{PATH}.1"));
                if *look_between && self.running {
                    self.agent.poll();
                }
                self.agent.world().truncate(PATH, 0);
                self.n_copies += 1;
                // A writer that goes on before anybody looked makes the cut hard to see; at least its bytes differ.
                self.write(1, 0);
            }
            Step::Delete if self.exists() => {
                self.end_line();
                self.put_at_risk();
                self.agent.world().remove(PATH);
            }
            Step::Compress { part } => {
                let oldest = (1..=20).rev().map(|i| format!("{PATH}.{i}"));
                let mut plain = oldest.filter(|path| self.agent.world().exists(path));
                let next = plain.next().map(|path| (path, 0));
                self.compressing = self.compressing.take().or(next);
                self.compress(*part);
            }
            Step::Poll | Step::PollWithoutReading => {
                self.running = true;
                self.agent.poll_with(matches!(step, Step::Poll));
            }
            Step::Seal if self.running => self.agent.seal(),
            Step::FailToSeal if self.running => self.agent.fail_to_seal(),
            Step::Crash => self.crash(),
            Step::Edit if !self.form.careful => {
                self.crash();
                self.toggle_multiline();
            }
            Step::EditInPlace if self.running && !self.form.careful => {
                self.toggle_multiline();
                self.agent.reconfigure();
            }
            Step::Wait(secs) => {
                if self.form.careful {
                    self.end_parts();
                }
                self.agent.wait_for(u64::from(*secs));
            }
            Step::RenameSource => {
                let name = if self.agent.settings.source == "s" { "t" } else { "s" };
                self.agent.rename_source(name);
            }
            Step::LookElsewhereAndBack if self.running => {
                let here = self.agent.disk.pattern;
                self.agent.look_for(("/l/", ".txt"));
                self.agent.look_for(here);
            }
            _ => {}
        }
    }

    fn crash(&mut self) {
        self.running = false;
        self.agent.crash();
    }

    /// Nothing more is written, and everything can be read.
    fn settle(&mut self) {
        self.end_line();
        self.compress(4);
        for stream in &mut self.streams {
            self.wanted.extend(stream.record.take().map(|(text, _)| text));
        }
        for secs in [40, 700, 40, 40] {
            self.agent.wait_for(secs);
            self.agent.catch_up();
            self.agent.seal();
        }
    }

    fn is_at_risk(&self, record: &str) -> bool {
        numbers(record).iter().any(|n| self.at_risk.contains(n))
    }

    /// Each record as it was written, once; each number at most once; how many are missing.
    fn judge(&mut self) -> Result<usize, TestCaseError> {
        let sealed = self.agent.sealed.clone();
        let mut seen = vec![0; self.numbers.len()];
        for (line, (path, wrapped)) in sealed.lines.iter().zip(&sealed.origins) {
            // Where everything matches, a sibling that is found under its own name has that.
            let wanted = self.agent.disk.link.map_or(PATH, |(link, _)| link);
            let is_its = |p: &str| {
                p == wanted || p.starts_with(PATH) && self.agent.disk.pattern.1.is_empty()
            };
            prop_assert!(path.to_str().is_some_and(is_its), "{:?}", path);
            let here = numbers(line);
            prop_assert!(here.is_sorted(), "out of order: {line}");
            for number in here {
                seen[number] += 1;
                let stream = wrapped.as_ref().map(|(stream, _)| *stream);
                let wanted = (self.form.wrap != Wrap::None).then(|| self.numbers[number]);
                prop_assert_eq!(stream, wanted, "{}", line);
            }
        }
        if self.form.careful {
            let mut records: BTreeMap<&str, usize> = BTreeMap::new();
            for line in sealed.lines.iter().filter(|l| !self.is_at_risk(l)) {
                *records.entry(line).or_default() += 1;
            }
            for record in self.wanted.iter().filter(|r| !self.is_at_risk(r)) {
                prop_assert_eq!(records.remove(&**record), Some(1), "{:?}", record);
            }
            prop_assert!(records.is_empty(), "made up: {:?}", records);
        } else {
            for (number, n) in seen.iter().enumerate() {
                prop_assert!(
                    *n == 1 || self.at_risk.contains(&number),
                    "{number} was counted {n} times"
                );
            }
        }
        prop_assert!(seen.iter().all(|n| *n <= 1), "counted twice: {seen:?}");
        let noise = (sealed.n_unparsable, sealed.n_blank);
        if self.at_risk.is_empty() {
            prop_assert_eq!(noise, (self.n_unparsable, self.n_blank));
        }
        prop_assert!(noise.0 <= self.n_unparsable && noise.1 <= self.n_blank, "{noise:?}");
        prop_assert_eq!(sealed.n_too_long, 0);
        Ok(seen.iter().filter(|n| **n == 0).count())
    }
}

fn try_out(mut model: Model, steps: &[Step]) -> Result<(), TestCaseError> {
    let form = model.form;
    steps.iter().for_each(|step| model.take(step));
    model.settle();
    let n_missing = model.judge()?;
    prop_assert_eq!(model.agent.tail().lag_bytes(), 0);
    let sealed = &model.agent.sealed;
    if model.at_risk.is_empty() {
        // Lines beyond the most that a record may have are dropped from its text.
        prop_assert!(n_missing == 0 || form.careful && form.several_lines);
        prop_assert_eq!(sealed.abandoned + sealed.unknown, 0);
        if model.n_copies == 0 {
            prop_assert_eq!(sealed.bytes, model.n_bytes as u64);
        }
    }
    prop_assert!(sealed.n_truncated <= model.n_copies as u64);
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn each_line_is_counted_once_or_reported(steps in proptest::collection::vec(step(), 1..60)) {
        try_out(Model::new(PLAIN, Agent::new()), &steps)?;
    }

    #[test]
    fn each_record_is_counted_once_or_reported(
        form in form(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        try_out(Model::new(form, Agent::new()), &steps)?;
    }

    #[test]
    fn each_record_is_counted_once_or_reported_behind_a_link(
        form in form(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        try_out(Model::new(form, Agent::behind_a_link()), &steps)?;
    }

    #[test]
    fn each_line_is_counted_once_where_files_are_compressed(
        steps in proptest::collection::vec(step_with_compression(), 1..60),
    ) {
        try_out(Model::new(PLAIN, Agent::reading_compressed()), &steps)?;
    }

    #[test]
    fn each_record_is_counted_once_where_files_are_compressed(
        form in form(),
        steps in proptest::collection::vec(step_with_compression(), 1..60),
    ) {
        try_out(Model::new(form, Agent::reading_compressed()), &steps)?;
    }
}

/// What random mixtures have found once, as short as it became.
#[test]
fn what_was_found_before_stays_mended() {
    use Step::*;
    let copy_truncate = || CopyTruncate { look_between: false };
    let begin_to_compress = || Compress { part: 0 };
    let cri = Form { wrap: Wrap::Cri, several_lines: false, careful: true };
    let found: [(Form, Vec<Step>); 3] = [
        // A source renamed, and its place in a gzip file not stored under the new name.
        (
            PLAIN,
            vec![
                Write(1, 0),
                copy_truncate(),
                begin_to_compress(),
                Wait(1),
                copy_truncate(),
                Poll,
                Wait(1),
                CopyTruncate { look_between: true },
                RenameSource,
                Crash,
                Poll,
                Seal,
                Crash,
            ],
        ),
        // A life and its copy both gone, and the gzip file taken for the form of the wrong one.
        (
            PLAIN,
            vec![
                Write(1, 0),
                Crash,
                PollWithoutReading,
                copy_truncate(),
                begin_to_compress(),
                Wait(1),
                PollWithoutReading,
                Rename,
                Seal,
                Write(1, 0),
                Crash,
                Poll,
                copy_truncate(),
            ],
        ),
        // The same, with a part of a line held by one of them.
        (
            cri,
            vec![
                Crash,
                Write(1, 2),
                WriteNoise { nuls: false },
                Poll,
                RenameSource,
                copy_truncate(),
                Crash,
                begin_to_compress(),
                PollWithoutReading,
                LookElsewhereAndBack,
                Write(1, 0),
            ],
        ),
    ];
    for (form, steps) in found {
        try_out(Model::new(form, Agent::reading_compressed()), &steps).unwrap();
    }
}
