//! From a line to distributions and events.
//!
//! In reading order: `slots` are the fields that are wanted and `fields` those that were found; `parser` reads a line by
//! its format: `json`, `logfmt`, `regex` with its `pattern`, or `text`; `scan` and `escapes` are what they share, and
//! `body` is what an event keeps. `number` and `time` read two kinds of fields, the latter with `strftime`; `past` is
//! what time it was for lines that are read later; `lines` decides what becomes of a line, with `ids` that tie its events to others and a `limit` on them; `series` finds
//! its label set, `cell` adds it up, `finished` keeps what may not grow any more, and `accumulator` holds everything of an
//! agent until it is sealed; `in_use` says what of it can be forgotten after a reload. `redact` knows what must not leave the host, and `event` applies it to every
//! body. `measures` is the way in for what no line says. `evidence` is what lines showed on the way, for a person who asks, in the words of `explain`. Nothing here knows
//! files, and nothing reads a clock.

mod accumulator;
mod body;
mod cell;
mod escapes;
mod event;
#[cfg(test)]
mod every_format;
mod evidence;
mod explain;
mod fields;
mod finished;
mod flaw;
mod ids;
mod in_use;
mod json;
mod limit;
mod lines;
mod logfmt;
mod measures;
mod number;
mod parser;
mod past;
mod pattern;
mod redact;
mod regex;
mod scan;
mod series;
mod settings;
mod slots;
mod strftime;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub use accumulator::{
    Accumulator, HeldBack, Observation, Overflowed, Sealed, SealedService, SignalId, SignalSpec,
    SourceId,
};
pub use evidence::{Evidence, Example, Place, RuleEvidence};
pub use fields::{Field, Fields, Malformed};
pub use flaw::Flaw;
pub use in_use::InUse;
pub(crate) use limit::Bucket;
pub use limit::EventLimit;
pub use lines::LineObserver;
pub use measures::{Happening, MAX_EVENTS, Measure, Measures};
pub use number::scaled;
pub use parser::{Format, Parser};
pub use past::{Outside, Past};
pub use pattern::Pattern;
pub use redact::{Detector, OwnPattern, PatternError, RedactSettings, Redactor};
pub use series::{LabelKey, MAX_LABEL_VALUE_BYTES};
pub use settings::{
    DEFAULT_MAX_SERIES, EventSettings, LineSettings, MAX_AHEAD, RETENTION, SignalSettings,
    TimeField, ValueField,
};
pub use slots::Slots;
pub use strftime::Strftime;
pub use time::TimeFormat;
pub use watchkeeper_model::Zone;
