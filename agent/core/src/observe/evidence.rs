//! What the lines of a source have shown about its settings, for a person who asks why something is counted or not.
//!
//! Owns the first example of everything that can become of a line but good, and how many lines each rule matched. It is
//! kept only where somebody asked for it: without it a good line costs nothing more. Bounded: one line of each kind,
//! cut, and a number for each file. Never decides what becomes of a line: it is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use watchkeeper_expr::{Condition, Verdict};
use watchkeeper_model::{FileRef, SkipReason, Timestamp};

use super::explain::{json_flaw, names_of};
use super::fields::{Field, Fields};
use super::parser::Format;

/// How much of an example's line is kept.
const MAX_EXAMPLE_BYTES: usize = 1024;

/// How many names of fields are kept.
const MAX_FIELDS: usize = 40;

/// Of how many lines: those that a program writes at its start are often of another kind.
const MAX_LINES_WITH_FIELDS: usize = 100;

/// How much of a field's text stands in an explanation.
const MAX_QUOTED_BYTES: usize = 60;

/// Files whose records are numbered. Beyond it all that are not being read lose their numbers.
const MAX_NUMBERED_FILES: usize = 50_000;

/// One line as it was met first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// Its text, cut; "" of a record that was never kept, such as one that is too long.
    pub line: String,
    /// Whether it was longer.
    pub is_cut: bool,
    /// Where it stood; `None` if its source does not say.
    pub place: Option<Place>,
    /// It stands in no wrapper, where its source takes one off.
    pub is_unwrapped: bool,
    /// What is wrong with it, if there is more to say than the reason; lower case, no full stop.
    pub why: String,
}

/// Where a record stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Which record of it, from 1: the line's number where a record is a line. `None` if the file was not read from its
    /// beginning.
    pub number: Option<u64>,
}

/// What one signal or event made of the lines it was asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleEvidence {
    /// Its name.
    pub name: String,
    /// Lines that met its condition.
    pub n_matched: u64,
    /// Lines its condition could not answer for: they did not meet it.
    pub n_unjudged: u64,
    /// The first of those.
    pub unjudged: Option<Example>,
    /// Those of them that have all its fields: one is of another type than the condition takes it for.
    pub n_mistyped: u64,
    /// The first of those.
    pub mistyped: Option<Example>,
    /// Lines that met its condition and had no usable value.
    pub n_without_value: u64,
    /// The first of those.
    pub without_value: Option<Example>,
}

/// What an explanation needs of the settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    /// Names of wanted fields, by slot.
    pub(super) fields: Vec<String>,
    /// The slot of the time, and how it is written.
    pub(super) time: Option<(usize, String)>,
    /// How a line is to be written.
    pub(super) format: Format,
}

/// Everything kept of one source since its start.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    skipped: BTreeMap<SkipReason, Example>,
    signals: Vec<RuleEvidence>,
    events: Vec<RuleEvidence>,
    n_matched_lines: u64,
    n_unmatched_lines: u64,
    unmatched: Option<Example>,
    times: Option<(Timestamp, Timestamp)>,
    /// Of the line at hand.
    time: Option<Timestamp>,
    /// Of the first lines, sorted.
    fields: Vec<String>,
    n_lines_with_fields: usize,
    words: Words,
    reading: Option<Reading>,
    numbers: BTreeMap<FileRef, u64>,
    is_matched: bool,
}

#[derive(Clone, Debug)]
struct Reading {
    file: FileRef,
    path: PathBuf,
    number: Option<u64>,
}

/// Which kind of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Signal(usize),
    Event(usize),
}

/// Told what becomes of a line while it is decided. `()` hears nothing, and costs nothing.
pub(super) trait Notice {
    /// The line says that it is of this time.
    fn time(&mut self, _at: Timestamp) {}
    /// A rule's condition was asked about it.
    fn judged(&mut self, _: Rule, _: &Condition, _: Verdict, _: &str, _: &Fields<'_>) {}
    /// It met the condition of a signal, but what stands in this slot is no value.
    fn without_value(&mut self, _signal: usize, _slot: usize, _: &str, _: &Fields<'_>) {}
    /// All rules were asked.
    fn asked(&mut self, _: &str) {}
}

impl Notice for () {}

impl Evidence {
    pub(super) fn new<'a>(
        words: &Words,
        signals: impl Iterator<Item = &'a str>,
        events: impl Iterator<Item = &'a str>,
    ) -> Self {
        let named = |name: &str| RuleEvidence { name: name.to_owned(), ..RuleEvidence::default() };
        Self {
            words: words.clone(),
            signals: signals.map(named).collect(),
            events: events.map(named).collect(),
            ..Self::default()
        }
    }

    /// The first record skipped for each reason; [`SkipReason::NoValue`] stands with its signal.
    pub fn skipped(&self) -> impl Iterator<Item = (SkipReason, &Example)> {
        self.skipped.iter().map(|(reason, example)| (*reason, example))
    }

    /// Signals, in the order of the settings.
    pub fn signals(&self) -> &[RuleEvidence] {
        &self.signals
    }

    /// Events, in the order of the settings.
    pub fn events(&self) -> &[RuleEvidence] {
        &self.events
    }

    /// Lines that met the condition of a signal or event.
    pub fn n_matched_lines(&self) -> u64 {
        self.n_matched_lines
    }

    /// Lines that met none, and the first of them.
    pub fn unmatched(&self) -> (u64, Option<&Example>) {
        (self.n_unmatched_lines, self.unmatched.as_ref())
    }

    /// The earliest and the latest time that a line said, whatever became of it.
    pub fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.times
    }

    /// The names of the fields in the first hundred lines, as settings call them, sorted; at most 40. None of formats that
    /// name their fields themselves.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The next records are of this file, from this byte on.
    pub(super) fn reading(&mut self, file: FileRef, path: &Path, from: u64) {
        if let Some(reading) = &mut self.reading
            && reading.file == file
        {
            if reading.path != path {
                path.clone_into(&mut reading.path);
            }
            if from == 0 {
                reading.number = Some(0);
            }
            return;
        }
        if let Some(before) = self.reading.take()
            && let Some(number) = before.number
        {
            if self.numbers.len() >= MAX_NUMBERED_FILES {
                self.numbers.clear();
            }
            self.numbers.insert(before.file, number);
        }
        let number = if from == 0 { Some(0) } else { self.numbers.get(&file).copied() };
        self.reading = Some(Reading { file, path: path.to_owned(), number });
    }

    /// Another record.
    pub(super) fn begin(&mut self) {
        self.is_matched = false;
        self.time = None;
        if let Some(Reading { number: Some(number), .. }) = &mut self.reading {
            *number += 1;
        }
    }

    /// Whether no record was skipped for this reason yet.
    pub(super) fn is_first(&self, reason: SkipReason) -> bool {
        !self.skipped.contains_key(&reason)
    }

    /// This record is the first that was skipped for its reason; `time` is what stands in the place of its time.
    pub(super) fn skip(&mut self, reason: SkipReason, line: &[u8], time: Option<Field<'_>>) {
        let why = match (reason, std::str::from_utf8(line)) {
            // Its text was never kept.
            (_, Ok("")) => String::new(),
            (_, Err(error)) => format!("not UTF-8 from byte {} on", error.valid_up_to() + 1),
            (SkipReason::Unparsable, Ok(line)) if self.words.format == Format::Json => {
                json_flaw(line)
            }
            (SkipReason::NoTime, _) => self.why_no_time(time),
            (SkipReason::TooLate, _) => {
                self.time.map_or_else(String::new, |at| format!("its time is {}", at.rfc3339()))
            }
            _ => String::new(),
        };
        let example = self.example(line, why);
        self.skipped.insert(reason, example);
    }

    /// This record is the first that is unparsable, for it is in no wrapper.
    pub(super) fn skip_unwrapped(&mut self, line: &[u8]) {
        let example = Example { is_unwrapped: true, ..self.example(line, String::new()) };
        self.skipped.insert(SkipReason::Unparsable, example);
    }

    fn why_no_time(&self, time: Option<Field<'_>>) -> String {
        match (&self.words.time, time) {
            (Some((slot, format)), Some(field)) => {
                describe_time(&self.words.fields[*slot], field, format)
            }
            _ => String::new(),
        }
    }

    /// A line that could be read, whatever became of it.
    pub(super) fn note_fields(&mut self, line: &[u8]) {
        if self.n_lines_with_fields == MAX_LINES_WITH_FIELDS || self.fields.len() == MAX_FIELDS {
            return;
        }
        self.n_lines_with_fields += 1;
        let line = std::str::from_utf8(line).unwrap_or_default();
        for name in names_of(line, &self.words.format) {
            if let Err(at) = self.fields.binary_search(&name)
                && self.fields.len() < MAX_FIELDS
            {
                self.fields.insert(at, name);
            }
        }
    }

    fn example(&self, line: &[u8], why: String) -> Example {
        let kept = &line[..line.len().min(MAX_EXAMPLE_BYTES)];
        let place = self.reading.as_ref();
        Example {
            line: String::from_utf8_lossy(kept).into_owned(),
            is_cut: kept.len() < line.len(),
            place: place.map(|r| Place { path: r.path.clone(), number: r.number }),
            is_unwrapped: false,
            why,
        }
    }

    /// Why a condition has no answer, as far as its fields tell.
    fn why_unjudged(&self, condition: &Condition, fields: &Fields<'_>) -> String {
        let slot = |name: &String| self.words.fields.iter().position(|n| n == name);
        let field = |name: &String| slot(name).map_or(Field::Absent, |s| fields.get(s));
        let of_kind = |absent: bool| {
            let names = condition.fields().iter();
            let said = names.filter(|name| (field(name) == Field::Absent) == absent);
            said.map(|name| describe(name, field(name))).collect::<Vec<_>>()
        };
        let absent = of_kind(true);
        if absent.is_empty() { of_kind(false).join(", ") } else { absent.join(", ") }
    }
}

impl Notice for Evidence {
    fn time(&mut self, at: Timestamp) {
        self.time = Some(at);
        let (earliest, latest) = self.times.unwrap_or((at, at));
        self.times = Some((earliest.min(at), latest.max(at)));
    }

    fn judged(
        &mut self,
        rule: Rule,
        condition: &Condition,
        verdict: Verdict,
        line: &str,
        fields: &Fields<'_>,
    ) {
        let (rules, i) = match rule {
            Rule::Signal(i) => (&mut self.signals, i),
            Rule::Event(i) => (&mut self.events, i),
        };
        match verdict {
            Verdict::NoMatch => {}
            Verdict::Match => {
                rules[i].n_matched += 1;
                self.is_matched = true;
            }
            Verdict::Unjudged => {
                rules[i].n_unjudged += 1;
                let is_first = rules[i].unjudged.is_none();
                let has_all = condition.fields().iter().all(|name| {
                    let slot = self.words.fields.iter().position(|n| n == name);
                    slot.is_some_and(|slot| fields.get(slot) != Field::Absent)
                });
                rules[i].n_mistyped += u64::from(has_all);
                let is_first_mistyped = has_all && rules[i].mistyped.is_none();
                if !is_first && !is_first_mistyped {
                    return;
                }
                let why = self.why_unjudged(condition, fields);
                let example = self.example(line.as_bytes(), why);
                let rule = match rule {
                    Rule::Signal(i) => &mut self.signals[i],
                    Rule::Event(i) => &mut self.events[i],
                };
                if is_first_mistyped {
                    rule.mistyped = Some(example.clone());
                }
                rule.unjudged.get_or_insert(example);
            }
        }
    }

    fn without_value(&mut self, signal: usize, slot: usize, line: &str, fields: &Fields<'_>) {
        self.signals[signal].n_without_value += 1;
        if self.signals[signal].without_value.is_none() {
            let field = fields.get(slot);
            let said = describe(&self.words.fields[slot], field);
            let why = match field {
                Field::Text(_) => format!("{said}, which is no number or out of range"),
                Field::Number(_) => format!("{said}, which is out of range"),
                _ => said,
            };
            self.signals[signal].without_value = Some(self.example(line.as_bytes(), why));
        }
    }

    fn asked(&mut self, line: &str) {
        if self.is_matched {
            self.n_matched_lines += 1;
            return;
        }
        self.n_unmatched_lines += 1;
        if self.unmatched.is_none() {
            self.unmatched = Some(self.example(line.as_bytes(), String::new()));
        }
    }
}

/// "`time` is absent", "`status` is the text \"200\"".
fn describe(name: &str, field: Field<'_>) -> String {
    let is = match field {
        Field::Absent => "absent".to_owned(),
        Field::Null => "null".to_owned(),
        Field::Bool(value) => value.to_string(),
        Field::Number(text) => format!("the number {}", quoted(text)),
        Field::Text(text) => format!("the text {:?}", quoted(text)),
        Field::Json(text) if text.starts_with('[') => "an array".to_owned(),
        Field::Json(_) => "an object".to_owned(),
    };
    format!("`{name}` is {is}")
}

/// "`ts` is the number 1661140339572, which is no rfc3339 time, but may be unix_ms".
fn describe_time(name: &str, field: Field<'_>, format: &str) -> String {
    let said = describe(name, field);
    let (Field::Number(text) | Field::Text(text)) = field else { return said };
    let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // Times of this century, by their number of digits.
    let alike = match (n_digits, text.as_bytes().get(n_digits)) {
        (10, None | Some(b'.')) => "unix",
        (13, None | Some(b'.')) => "unix_ms",
        (16, None) => "unix_us",
        (19, None) => "unix_ns",
        (4, Some(b'-')) if text.len() >= "2026-11-22T18:07:09Z".len() => "rfc3339",
        _ => format,
    };
    let maybe = if alike == format { String::new() } else { format!(", but may be {alike}") };
    format!("{said}, which is no {format} time{maybe}")
}

fn quoted(text: &str) -> String {
    let kept = head(text, MAX_QUOTED_BYTES);
    format!("{kept}{}", if kept.len() < text.len() { "…" } else { "" })
}

/// The longest head of `text` that has at most `max` bytes and ends between characters.
pub(super) fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{
        Accumulator, EventSettings, Format, LineObserver, LineSettings, SignalSettings, TimeField,
        TimeFormat, ValueField,
    };
    use watchkeeper_expr::Scope;
    use watchkeeper_model::{AgentId, Labels, Service, Severity, Unit};

    const NOW: Timestamp = Timestamp(1_793_491_200 * 1_000_000_000);

    fn condition(text: &str) -> Condition {
        Condition::compile(text, Scope::Line).unwrap()
    }

    fn shop() -> (Accumulator, LineObserver) {
        let settings = LineSettings {
            source: "shop-log".into(),
            service: Service::new("shop").unwrap(),
            format: Format::Json,
            given: Vec::new(),
            time: Some(TimeField { field: "time".into(), format: TimeFormat::Unix }),
            signals: vec![SignalSettings {
                name: "requests".into(),
                value: Some(ValueField { field: "ms".into(), unit: Unit::Ms }),
                labels: Vec::new(),
                filter: condition("status >= 200"),
                bounds: Vec::new(),
                max_series: 10,
            }],
            events: vec![EventSettings {
                name: "error".into(),
                filter: condition(r#"level == "error""#),
                severity: Severity::Error,
                message: None,
                correlation: None,
                trace: None,
                limit: None,
            }],
        };
        let mut acc = Accumulator::new(AgentId::new("web-1"), Labels::default());
        let lines = LineObserver::new(&settings, &mut acc);
        (acc, lines)
    }

    fn seen(all: &[&str]) -> (Accumulator, Evidence) {
        let (mut acc, mut lines) = shop();
        lines.keep_evidence();
        for line in all {
            lines.observe(line.as_bytes(), NOW, &mut acc);
        }
        let evidence = lines.evidence().unwrap().clone();
        (acc, evidence)
    }

    #[test]
    fn the_first_line_of_each_reason_is_kept_with_what_is_wrong() {
        for (line, reason, why) in [
            ("no json", SkipReason::Unparsable, r#"it begins with "no json", not with {"#),
            (r#"{"ts":1}"#, SkipReason::NoTime, "`time` is absent"),
            (
                r#"{"time":"soon"}"#,
                SkipReason::NoTime,
                r#"`time` is the text "soon", which is no unix time"#,
            ),
            (r#"{"time":{"s":1}}"#, SkipReason::NoTime, "`time` is an object"),
            (r#"{"time":1000000000}"#, SkipReason::TooLate, "its time is 2001-09-09T01:46:40Z"),
            (" ", SkipReason::Blank, ""),
        ] {
            let (_, evidence) = seen(&[line, &format!("{line} ")]);
            let kept: Vec<_> = evidence.skipped().collect();
            let example =
                Example { line: line.to_owned(), why: why.to_owned(), ..Example::default() };
            assert_eq!(kept, [(reason, &example)], "{line}");
        }
        let (mut acc, mut lines) = shop();
        lines.keep_evidence();
        lines.observe(b"{\"a\":\"\xff\"}", NOW, &mut acc);
        lines.skip(SkipReason::TooLong, &mut acc);
        lines.skip_unwrapped(b"from nowhere", &mut acc);
        let bare = lines.evidence().unwrap().skipped().find(|s| s.0 == SkipReason::Unparsable);
        let Example { line, is_unwrapped, why, .. } = bare.unwrap().1;
        assert_eq!((&**line, is_unwrapped, &**why), ("from nowhere", &true, ""));
        let kept: Vec<_> = lines.evidence().unwrap().skipped().map(|s| (s.0, &*s.1.why)).collect();
        let utf8 = (SkipReason::InvalidUtf8, "not UTF-8 from byte 7 on");
        let bare = (SkipReason::Unparsable, "");
        assert_eq!(kept, [bare, (SkipReason::TooLong, ""), utf8]);
    }

    #[test]
    fn each_rule_says_what_it_made_of_the_lines() {
        let time = r#""time":1793491199"#;
        let (_, evidence) = seen(&[
            &format!(r#"{{{time},"status":200,"ms":1}}"#),
            &format!(r#"{{{time},"status":200,"ms":"fast"}}"#),
            &format!(r#"{{{time},"status":200}}"#),
            &format!(r#"{{{time},"status":"200","level":"info"}}"#),
            &format!(r#"{{{time},"status":100,"level":"error"}}"#),
        ]);
        let requests = &evidence.signals()[0];
        assert_eq!((requests.n_matched, requests.n_unjudged, requests.n_without_value), (3, 1, 2));
        let why = |example: &Option<Example>| example.as_ref().unwrap().why.clone();
        assert_eq!(
            why(&requests.without_value),
            r#"`ms` is the text "fast", which is no number or out of range"#
        );
        assert_eq!(why(&requests.unjudged), r#"`status` is the text "200""#);
        assert_eq!((requests.n_mistyped, &requests.mistyped), (1, &requests.unjudged));
        let error = &evidence.events()[0];
        assert_eq!((error.n_matched, error.n_unjudged), (1, 3));
        assert_eq!(why(&error.unjudged), "`level` is absent");
        assert_eq!((error.n_mistyped, &error.mistyped), (0, &None));
        assert_eq!((evidence.n_matched_lines(), evidence.unmatched().0), (4, 1));
        assert!(evidence.unmatched().1.unwrap().line.contains(r#""status":"200""#));
        assert_eq!(evidence.fields(), ["level", "ms", "status", "time"]);
    }

    #[test]
    fn times_are_noted_whatever_becomes_of_their_lines() {
        let (_, evidence) = seen(&[
            r#"{"time":1793491199}"#,
            r#"{"time":1000000000}"#,
            r#"{"time":1993491199}"#,
            r#"{"time":"soon"}"#,
        ]);
        let wanted = (Timestamp::from_secs(1_000_000_000), Timestamp::from_secs(1_993_491_199));
        assert_eq!(evidence.times(), Some(wanted));
    }

    #[test]
    fn examples_say_where_they_stood() {
        let (mut acc, mut lines) = shop();
        lines.keep_evidence();
        let file = |inode| FileRef { inode, born: NOW };
        let (a, b, c) = (Path::new("/l/a.log"), Path::new("/l/b.log"), Path::new("/l/c.log"));
        lines.reading(file(1), a, 0);
        lines.observe(b"{}", NOW, &mut acc);
        lines.reading(file(2), b, 0);
        lines.observe(b"{}", NOW, &mut acc);
        lines.skip(SkipReason::TooLong, &mut acc);
        lines.reading(file(1), a, 3);
        lines.observe(b"?", NOW, &mut acc);
        lines.reading(file(3), c, 100);
        lines.observe(b"", NOW, &mut acc);
        let places = lines.evidence().unwrap().skipped().map(|(reason, example)| {
            let place = example.place.clone().unwrap();
            (reason, place.path, place.number)
        });
        let wanted = [
            (SkipReason::Unparsable, a.to_owned(), Some(2)),
            (SkipReason::TooLong, b.to_owned(), Some(2)),
            (SkipReason::Blank, c.to_owned(), None),
            (SkipReason::NoTime, a.to_owned(), Some(1)),
        ];
        assert_eq!(places.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = "x".repeat(1 << 20);
        let (_, evidence) = seen(&[&long, &format!(r#"{{"time":"{long}"}}"#)]);
        for (reason, example) in evidence.skipped() {
            assert!(example.is_cut && example.line.len() <= MAX_EXAMPLE_BYTES, "{reason:?}");
            assert!(example.why.len() < 200, "{}", example.why);
        }
        let mut evidence = Evidence::default();
        for inode in 0..2 * MAX_NUMBERED_FILES as u64 {
            evidence.reading(FileRef { inode, born: NOW }, Path::new("/l/a.log"), 0);
        }
        assert!(evidence.numbers.len() <= MAX_NUMBERED_FILES);
    }

    #[test]
    fn keeping_evidence_changes_nothing_that_is_counted() {
        let lines = [
            "no json",
            r#"{"time":1793491199,"status":200,"ms":1}"#,
            r#"{"time":1793491199,"status":200,"level":"error"}"#,
            r#"{"time":"soon"}"#,
            "",
        ];
        let (mut with, _) = seen(&lines);
        let (mut without, mut observer) = shop();
        for line in lines {
            observer.observe(line.as_bytes(), NOW, &mut without);
        }
        let order = crate::seal::SealOrder::default();
        assert!(observer.evidence().is_none());
        assert_eq!(with.seal(NOW, &order, Vec::new()), without.seal(NOW, &order, Vec::new()));
    }
}
