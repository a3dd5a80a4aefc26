//! From a line to distributions and events.
//!
//! In reading order: `slots` are the fields that are wanted and `fields` those that were found; `parser` reads a line by
//! its format, such as `json`; `number` and `time` read two kinds of fields, `lines` decides what becomes of a line,
//! with `ids` that tie its events to others and a `limit` on them; `series` finds its label set, `cell` adds it up, and
//! `accumulator` holds everything of an agent until it is sealed. `redact` knows what must not leave the host, and `event`
//! applies it to every body. Nothing here knows files, and nothing reads a clock.

mod accumulator;
mod cell;
mod event;
mod fields;
mod ids;
mod json;
mod limit;
mod lines;
mod number;
mod parser;
mod redact;
mod series;
mod settings;
mod slots;
#[cfg(test)]
mod tests;
mod time;

pub use accumulator::{
    Accumulator, HeldBack, Observation, Overflowed, Sealed, SealedService, SignalId, SignalSpec,
    SourceId,
};
pub use fields::{Field, Fields, Malformed};
pub use limit::EventLimit;
pub use lines::LineObserver;
pub use number::scaled;
pub use parser::{Format, Parser};
pub use redact::{Detector, OwnPattern, PatternError, RedactSettings, Redactor};
pub use series::{LabelKey, MAX_LABEL_VALUE_BYTES};
pub use settings::{
    DEFAULT_MAX_SERIES, EventSettings, LineSettings, MAX_AHEAD, RETENTION, SignalSettings,
    TimeField, ValueField,
};
pub use slots::Slots;
pub use time::TimeFormat;
