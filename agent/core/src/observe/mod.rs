//! From a line to distributions and events.
//!
//! In reading order: `json` finds fields in a line by the `slots` of a table, `number` and `time` read two kinds of
//! them, `lines` decides what becomes of a line, `series` finds its label set, `cell` adds it up, and `accumulator`
//! holds everything of an agent until it is sealed. Nothing here knows files, and nothing reads a clock.

mod accumulator;
mod cell;
mod event;
mod json;
mod lines;
mod number;
mod series;
mod settings;
mod slots;
#[cfg(test)]
mod tests;
mod time;

pub use accumulator::{
    Accumulator, Observation, Overflowed, Sealed, SealedService, SignalId, SignalSpec, SourceId,
};
pub use json::{Extractor, Field, Fields, Malformed};
pub use lines::LineObserver;
pub use number::scaled;
pub use series::{LabelKey, MAX_LABEL_VALUE_BYTES};
pub use settings::{
    DEFAULT_MAX_SERIES, EventSettings, LineSettings, MAX_AHEAD, RETENTION, SignalSettings,
    TimeField, ValueField,
};
pub use slots::Slots;
pub use time::TimeFormat;
