//! What a dry run has found, as one document.
//!
//! Owns its names, which scripts rely on: with `--output json` it is written as it stands here. Fields may be added,
//! none is renamed. Times are RFC 3339, durations seconds, sizes bytes; values, bounds and percentiles are in seconds,
//! bytes, ratio or plain, as everywhere outside. Never formats for people: `show` does.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use watchkeeper_model::{Labels, Severity, Timestamp, Unit};

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// The configuration file.
    pub(super) config: String,
    /// Whether the run went on to its end and was not stopped before.
    pub(super) complete: bool,
    pub(super) sources: Vec<SourceReport>,
    /// Sources that a dry run can't read.
    pub(super) left_out: Vec<LeftOut>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct LeftOut {
    pub(super) name: String,
    pub(super) kind: String,
}

/// One source.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SourceReport {
    pub(super) name: String,
    pub(super) service: String,
    /// Patterns, or `standard input`.
    pub(super) paths: Vec<String>,
    /// The first hundred of them.
    pub(super) files: Vec<FileReport>,
    pub(super) n_files: u64,
    /// Files that match, are compressed and not read, the first hundred.
    pub(super) compressed: Vec<String>,
    pub(super) n_compressed: u64,
    /// What can't be read, the first hundred.
    pub(super) problems: Vec<String>,
    pub(super) n_problems: u64,
    /// Whether everything was read that was there.
    pub(super) complete: bool,
    /// Read, line ends included.
    pub(super) bytes: u64,
    /// There and not read: where everything was read, lines whose end is not written yet.
    pub(super) left_bytes: u64,
    /// Spent reading.
    pub(super) seconds: f64,
    /// Names of the fields in the first line that could be read.
    pub(super) fields: Vec<String>,
    /// Lines read: the skipped, the matched and the unmatched.
    pub(super) lines: u64,
    /// Lines that met the condition of a signal or event.
    pub(super) matched: u64,
    /// Lines that met none.
    pub(super) unmatched: Found,
    /// Lines skipped, by reason. `no_value` counts observations of matched lines.
    pub(super) skipped: Vec<SkippedReport>,
    pub(super) time: TimeReport,
    pub(super) signals: Vec<SignalReport>,
    pub(super) events: Vec<EventReport>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct FileReport {
    pub(super) path: String,
    pub(super) read_bytes: u64,
    /// Not read: of a file read to its end, a line whose end is not written yet.
    pub(super) left_bytes: u64,
}

/// So many, and the first of them.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Found {
    pub(super) n: u64,
    pub(super) first: Option<ExampleReport>,
    /// Why, or what could be done.
    pub(super) advice: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ExampleReport {
    /// The line, at most 1 KiB of it.
    pub(super) line: String,
    /// Whether it is longer.
    pub(super) cut: bool,
    pub(super) file: Option<String>,
    /// The record's number in its file, from 1: the line's, where a record is a line.
    pub(super) number: Option<u64>,
    /// What is wrong with it.
    pub(super) why: String,
    /// File and number, as short as they are clear among the source's files.
    #[serde(skip)]
    pub(super) short_place: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct SkippedReport {
    pub(super) reason: &'static str,
    pub(super) n: u64,
    /// What the reason means with these settings.
    pub(super) meaning: String,
    pub(super) first: Option<ExampleReport>,
    /// What could be done.
    pub(super) advice: String,
}

/// When lines say they were written.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TimeReport {
    /// `null`: windows go by the time a line is read.
    pub(super) field: Option<String>,
    pub(super) format: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    pub(super) earliest: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339")]
    pub(super) latest: Option<Timestamp>,
    /// Lines more than a minute ahead of the clock: counted at the time they are read.
    pub(super) clamped: u64,
    pub(super) advice: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct SignalReport {
    pub(super) name: String,
    /// Its condition; "" if it wants every line.
    #[serde(rename = "where")]
    pub(super) condition: String,
    pub(super) unit: String,
    /// Lines that met its condition.
    pub(super) matched: u64,
    /// Lines its condition could not be answered for.
    pub(super) unjudged: Found,
    /// Those of them that have all its fields, one of another type than it takes it for.
    pub(super) mistyped: Found,
    /// Lines that met it and have no usable value.
    pub(super) without_value: Found,
    /// Observations: what is counted.
    pub(super) observed: u64,
    pub(super) label_sets: u64,
    /// The label sets seen most.
    pub(super) top: Vec<LabelSetReport>,
    /// `null` if nothing is measured, or nothing was.
    pub(super) values: Option<ValuesReport>,
    pub(super) bounds: Vec<BoundReport>,
    /// Labels whose values became too many.
    pub(super) overflowed: Vec<OverflowReport>,
    /// Labels that no line had a value for.
    pub(super) empty_labels: Vec<EmptyLabelReport>,
    /// Why no line met its condition.
    pub(super) advice: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct EmptyLabelReport {
    pub(super) label: String,
    /// The field that it is taken from.
    pub(super) field: String,
    pub(super) advice: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct LabelSetReport {
    #[serde(serialize_with = "by_name")]
    pub(super) labels: Labels,
    pub(super) n: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ValuesReport {
    pub(super) n: u64,
    pub(super) min: Value,
    pub(super) p50: Value,
    pub(super) p95: Value,
    pub(super) p99: Value,
    pub(super) max: Value,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct BoundReport {
    pub(super) at: Value,
    /// Values at or below it, exactly.
    pub(super) within: u64,
    /// Of so many.
    pub(super) of: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct OverflowReport {
    pub(super) label: String,
    /// Values that became `__overflow__`.
    pub(super) n: u64,
    /// What could be done.
    pub(super) advice: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct EventReport {
    pub(super) name: String,
    #[serde(rename = "where")]
    pub(super) condition: String,
    #[serde(serialize_with = "word")]
    pub(super) severity: Severity,
    /// Lines kept whole.
    pub(super) n: u64,
    /// Lines that its limit held back.
    pub(super) held_back: u64,
    pub(super) unjudged: Found,
    pub(super) mistyped: Found,
    /// The message of the first.
    pub(super) message: Option<String>,
    /// Why no line met its condition.
    pub(super) advice: String,
}

/// A value in base units of a unit's dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) base: i64,
    pub(super) unit: Unit,
}

/// As people outside see it.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.unit.dimension().to_outside(self.base as f64))
    }
}

fn rfc3339<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::rfc3339).serialize(to)
}

fn by_name<S: Serializer>(labels: &Labels, to: S) -> Result<S::Ok, S::Error> {
    labels.iter().collect::<BTreeMap<_, _>>().serialize(to)
}

fn word<S: Serializer>(severity: &Severity, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(severity.as_str())
}
