//! A report out of what a source has sealed and what its lines showed.
//!
//! Owns which numbers belong together. Never decides what was counted: every number comes from the source, its
//! accumulator or its observer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use watchkeeper_agent_core::observe::{
    EventSettings, Evidence, Example, Overflowed, Place, RuleEvidence, SignalSettings,
};
use watchkeeper_expr::Condition;
use watchkeeper_model::{SkipReason, Unit};

use super::advice;
use super::gather::{Gathered, Measured};
use super::reading::Reading;
use super::report::{
    BoundReport, EmptyLabelReport, EventReport, ExampleReport, FileReport, Found, LabelSetReport,
    OverflowReport, SignalReport, SkippedReport, SourceReport, TimeReport, Value, ValuesReport,
};
use crate::choice::From;
use crate::sources::Inspection;

/// Files and problems named; there may be more.
const MAX_NAMED: usize = 100;

/// Label sets named for each signal.
const N_TOP: usize = 10;

impl SourceReport {
    /// What one source has found so far.
    pub(super) fn of(reading: &Reading) -> Self {
        let lines = &reading.settings.lines;
        let tally = &reading.gathered.tally;
        let mut report = Self {
            name: lines.source.clone(),
            service: lines.service.as_str().to_owned(),
            paths: paths(reading),
            files: Vec::new(),
            n_files: 0,
            compressed: Vec::new(),
            n_compressed: 0,
            problems: Vec::new(),
            n_problems: 0,
            complete: reading.is_at_the_end(),
            bytes: tally.bytes,
            left_bytes: 0,
            seconds: reading.spent.as_secs_f64(),
            fields: Vec::new(),
            lines: tally.read,
            matched: 0,
            unmatched: Found::default(),
            skipped: Vec::new(),
            time: TimeReport {
                field: lines.time.as_ref().map(|time| time.field.clone()),
                format: lines.time.as_ref().map(|time| time.format.as_str().to_owned()),
                earliest: None,
                latest: None,
                clamped: tally.clamped,
                advice: String::new(),
            },
            signals: Vec::new(),
            events: Vec::new(),
        };
        if let Some(inspection) = reading.inspect() {
            report.add_files(reading, &inspection);
            report.add_lines(reading, &inspection);
        }
        report
    }

    fn add_files(&mut self, reading: &Reading, inspection: &Inspection<'_>) {
        let Inspection { files, skipped, problems, .. } = inspection;
        self.n_files = files.len() as u64;
        self.left_bytes = files.iter().map(|f| f.left_bytes).sum();
        self.files = files
            .iter()
            .take(MAX_NAMED)
            .map(|file| FileReport {
                path: file.path.display().to_string(),
                read_bytes: file.read_bytes,
                left_bytes: file.left_bytes,
            })
            .collect();
        // What was named by hand is a problem below.
        if reading.from == From::Paths {
            let mut shown: Vec<String> = skipped.iter().map(|p| p.display().to_string()).collect();
            shown.sort_unstable();
            shown.truncate(MAX_NAMED);
            self.compressed = shown;
            self.n_compressed = skipped.len() as u64;
        }
        let mut all = problems.clone();
        all.extend(missing(reading, inspection));
        self.n_problems = all.len() as u64;
        all.truncate(MAX_NAMED);
        self.problems = all;
    }

    fn add_lines(&mut self, reading: &Reading, inspection: &Inspection<'_>) {
        let (lines, evidence) = (&reading.settings.lines, inspection.lines);
        let places = Places::of(reading, inspection);
        let example = |e: &Example| ExampleReport::of(e, &places);
        self.fields = evidence.fields().to_vec();
        self.matched = evidence.n_matched_lines();
        let (n, first) = evidence.unmatched();
        self.unmatched = Found { n, first: first.map(example), advice: String::new() };
        let first_of = |reason| evidence.skipped().find(|(r, _)| *r == reason).map(|s| s.1);
        let mut skipped = reading.gathered.tally.skipped.clone();
        skipped.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        self.skipped = skipped
            .into_iter()
            .map(|(reason, n)| {
                let mut values = evidence.signals().iter().filter_map(|s| s.without_value.as_ref());
                let first = match reason {
                    SkipReason::NoValue => values.next(),
                    reason => first_of(reason),
                };
                SkippedReport {
                    reason: reason.as_str(),
                    n,
                    meaning: advice::meaning(reason, lines, &reading.settings.tail),
                    first: first.map(example),
                    advice: advice::about_skipped(reason, &reading.settings, evidence, first),
                }
            })
            .collect();
        let times = evidence.times();
        self.time.earliest = times.map(|(earliest, _)| earliest);
        self.time.latest = times.map(|(_, latest)| latest);
        self.time.advice = advice::about_time(lines, evidence);
        self.signals = (lines.signals.iter().zip(evidence.signals()))
            .map(|(signal, rule)| {
                let mut report = SignalReport::of(signal, &reading.gathered, rule, &places);
                report.overflowed = overflowed(reading, signal);
                report.empty_labels = empty_labels(reading, signal, evidence);
                report.advice = advice::about_condition(rule, &signal.filter, evidence);
                report.without_value.advice = advice::about_values(signal, rule, evidence);
                report
            })
            .collect();
        self.events = events(reading, evidence, &places);
    }
}

fn paths(reading: &Reading) -> Vec<String> {
    match &reading.from {
        From::Stdin => vec!["standard input".to_owned()],
        From::Files(files) => files.iter().map(|f| f.display().to_string()).collect(),
        From::Paths => reading.settings.paths.iter().map(|p| p.as_str().to_owned()).collect(),
    }
}

/// Files named on the command line that are not read, and for which nobody has said why.
fn missing(reading: &Reading, inspection: &Inspection<'_>) -> Vec<String> {
    let From::Files(files) = &reading.from else { return Vec::new() };
    let read: BTreeSet<&Path> = inspection.files.iter().map(|f| f.path).collect();
    let is_read = |path: &Path| read.contains(path);
    let is_told = |path: &Path| {
        let begin = format!("{}: ", path.display());
        inspection.problems.iter().any(|p| p.starts_with(&begin))
    };
    let unread = files.iter().filter(|path| !is_read(path) && !is_told(path));
    let told = unread.map(|path| {
        // Asked again only to say what is wrong: whether it is read was decided by the source.
        let why = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "is not there".to_owned(),
            Err(error) => error.to_string(),
            Ok(found) if is_same_as_another(&found, inspection) => return None,
            Ok(_) if path.to_str().is_none() => "is not read: its name is not UTF-8".to_owned(),
            Ok(_) if inspection.skipped.contains(&path.as_path()) => {
                "is compressed and not read: of compressed files only gzip files (.gz) are"
                    .to_owned()
            }
            Ok(_) => "is not read again: its lines are those of another of these files".to_owned(),
        };
        Some(format!("{}: {why}", path.display()))
    });
    told.flatten().collect()
}

/// One file under two names is read once.
fn is_same_as_another(found: &std::fs::Metadata, inspection: &Inspection<'_>) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (found.dev(), found.ino()))
    };
    inspection.files.iter().any(|f| same(f.path))
}

/// How places are told on one line.
struct Places {
    /// The deepest directory that holds all files.
    below: PathBuf,
    /// What stands between a file and a number: numbers of records are numbers of lines.
    before_number: &'static str,
}

impl Places {
    fn of(reading: &Reading, inspection: &Inspection<'_>) -> Self {
        let mut parents = inspection.files.iter().map(|f| f.path.parent().unwrap_or(f.path));
        let first = parents.next().unwrap_or(Path::new("")).to_owned();
        let below = parents.fold(first, |common, parent| {
            let shared = common.components().zip(parent.components()).take_while(|(a, b)| a == b);
            shared.map(|(a, _)| a).collect()
        });
        let joins = reading.settings.tail.join.joins();
        Self { below, before_number: if joins { ", record " } else { ":" } }
    }

    /// As short as it is clear among the source's files.
    fn short(&self, place: &Place) -> String {
        let path = place.path.strip_prefix(&self.below).unwrap_or(&place.path).display();
        match place.number {
            Some(number) => format!("{path}{}{number}", self.before_number),
            None => path.to_string(),
        }
    }
}

impl ExampleReport {
    fn of(example: &Example, places: &Places) -> Self {
        let place = example.place.as_ref();
        Self {
            line: example.line.clone(),
            cut: example.is_cut,
            file: place.map(|p| p.path.display().to_string()),
            number: place.and_then(|p| p.number),
            why: example.why.clone(),
            short_place: place.map_or_else(String::new, |p| places.short(p)),
        }
    }
}

impl Found {
    fn of(n: u64, first: Option<&Example>, places: &Places) -> Self {
        Self { n, first: first.map(|e| ExampleReport::of(e, places)), advice: String::new() }
    }
}

fn mistyped(rule: &RuleEvidence, condition: &Condition, places: &Places) -> Found {
    let mut found = Found::of(rule.n_mistyped, rule.mistyped.as_ref(), places);
    found.advice = advice::about_types(rule, condition);
    found
}

impl SignalReport {
    fn of(
        signal: &SignalSettings,
        gathered: &Gathered,
        rule: &RuleEvidence,
        places: &Places,
    ) -> Self {
        let unit = signal.value.as_ref().map_or(Unit::None, |v| v.unit);
        let none = Measured::default();
        let measured = gathered.signal(&signal.name).unwrap_or(&none);
        let top = measured.top(N_TOP).into_iter();
        Self {
            name: signal.name.clone(),
            condition: signal.filter.text().to_owned(),
            unit: unit.to_string(),
            matched: rule.n_matched,
            unjudged: Found::of(rule.n_unjudged, rule.unjudged.as_ref(), places),
            mistyped: mistyped(rule, &signal.filter, places),
            without_value: Found::of(rule.n_without_value, rule.without_value.as_ref(), places),
            observed: measured.total.count,
            label_sets: measured.n_label_sets() as u64,
            top: top.map(|(labels, n)| LabelSetReport { labels: labels.clone(), n }).collect(),
            values: ValuesReport::of(measured, unit),
            bounds: bounds(signal, measured, unit),
            overflowed: Vec::new(),
            empty_labels: Vec::new(),
            advice: String::new(),
        }
    }
}

impl ValuesReport {
    fn of(measured: &Measured, unit: Unit) -> Option<Self> {
        let values = measured.total.values.as_ref()?;
        let value = |base| Value { base, unit };
        // A bucket's edge may lie beyond the greatest value that is in it.
        let quantile = |q| values.histogram.quantile(q).map_or(values.max, |v| v.min(values.max));
        Some(Self {
            n: values.count,
            min: value(values.min),
            p50: value(quantile(0.5)),
            p95: value(quantile(0.95)),
            p99: value(quantile(0.99)),
            max: value(values.max),
        })
    }
}

fn bounds(signal: &SignalSettings, measured: &Measured, unit: Unit) -> Vec<BoundReport> {
    let within = |at: &i64| {
        let within = measured.total.within(*at);
        BoundReport { at: Value { base: *at, unit }, within: within.within, of: within.total }
    };
    signal.bounds.iter().map(within).collect()
}

fn overflowed(reading: &Reading, signal: &SignalSettings) -> Vec<OverflowReport> {
    let all = reading.overflowed().into_iter().filter(|o| o.signal == signal.name);
    let report = |o: Overflowed| {
        let advice = advice::about_overflow(&o.label, signal);
        OverflowReport { label: o.label, n: o.n, advice }
    };
    all.map(report).collect()
}

/// Labels without a value in any line, although lines were counted.
fn empty_labels(
    reading: &Reading,
    signal: &SignalSettings,
    evidence: &Evidence,
) -> Vec<EmptyLabelReport> {
    let Some(measured) = reading.gathered.signal(&signal.name) else { return Vec::new() };
    let empty = signal.labels.iter().filter(|(label, _)| !measured.has_label(label));
    let report = |(label, field): &(String, String)| EmptyLabelReport {
        label: label.clone(),
        field: field.clone(),
        advice: advice::about_empty_label(field, &reading.settings.lines, evidence),
    };
    empty.map(report).collect()
}

fn events(reading: &Reading, evidence: &Evidence, places: &Places) -> Vec<EventReport> {
    let (lines, gathered) = (&reading.settings.lines, &reading.gathered);
    let report = |(event, rule): (&EventSettings, &RuleEvidence)| {
        let kept = gathered.event(&event.name);
        EventReport {
            name: event.name.clone(),
            condition: event.filter.text().to_owned(),
            severity: event.severity,
            n: kept.map_or(0, |kept| kept.n),
            held_back: reading.held_back(&event.name),
            unjudged: Found::of(rule.n_unjudged, rule.unjudged.as_ref(), places),
            mistyped: mistyped(rule, &event.filter, places),
            message: kept.map(|kept| kept.message.clone()),
            advice: advice::about_condition(rule, &event.filter, evidence),
        }
    };
    lines.events.iter().zip(evidence.events()).map(report).collect()
}
