//! What a source of lines needs to know, resolved and checked: the opposite of what the user wrote.
//!
//! Owns the words between configuration and [`LineObserver`](super::LineObserver). Never holds state.

use std::time::Duration;

use watchkeeper_expr::Condition;
use watchkeeper_model::{Service, Severity, Unit};

use super::limit::EventLimit;
use super::parser::Format;
use super::time::TimeFormat;

/// Lines older than this are too late: the age after which the collector's coarsest rollup is gone.
pub const RETENTION: Duration = Duration::from_secs(400 * 86_400);

/// Lines further ahead of the agent's clock than this get the time they were read.
pub const MAX_AHEAD: Duration = Duration::from_secs(60);

/// How many label sets a signal may have if nothing else is said.
pub const DEFAULT_MAX_SERIES: usize = 1_000;

/// How to turn lines of one source into observations and events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// The source's name.
    pub source: String,
    /// Whose lines they are.
    pub service: Service,
    /// How its lines are written.
    pub format: Format,
    /// Fields that do not come from the line but from where it was read, such as `file.pod`; the source gives them.
    pub given: Vec<String>,
    /// Where the time stands; without it a line has the time it was read.
    pub time: Option<TimeField>,
    /// What to count and measure.
    pub signals: Vec<SignalSettings>,
    /// What to keep whole.
    pub events: Vec<EventSettings>,
}

/// The field that holds a line's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeField {
    /// Its name.
    pub field: String,
    /// How it is written.
    pub format: TimeFormat,
}

/// One signal of a source of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalSettings {
    /// Its name.
    pub name: String,
    /// The value measured; without it lines are only counted.
    pub value: Option<ValueField>,
    /// Name of each label and the field it is taken from.
    pub labels: Vec<(String, String)>,
    /// Which lines it observes.
    pub filter: Condition,
    /// Bounds at which to count exactly, in base units.
    pub bounds: Vec<i64>,
    /// How many label sets it may have.
    pub max_series: usize,
}

/// The field that holds a signal's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueField {
    /// Its name.
    pub field: String,
    /// The unit it is written in.
    pub unit: Unit,
}

/// One kind of event of a source of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSettings {
    /// Its name.
    pub name: String,
    /// Which lines it is.
    pub filter: Condition,
    /// How bad it is.
    pub severity: Severity,
    /// The field a person reads first; without it, or if the line lacks it, the whole line.
    pub message: Option<String>,
    /// The field that ties events together; without it the usual names are tried.
    pub correlation: Option<String>,
    /// The field that holds the id of the trace; without it the usual names are tried.
    pub trace: Option<String>,
    /// How many bodies are kept in a stretch of time; without it all are.
    pub limit: Option<EventLimit>,
}
