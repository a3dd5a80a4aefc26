//! The words of Watchkeeper as types: time and its zones, labels, units, distributions, events and the identity of batches.
//!
//! Owns what both sides of the wire must agree on, its arithmetic, and how numbers read. Never does I/O, never reads a clock
//! or randomness, and knows nothing about files on disk, protobuf, SQL or HTTP: those have types of their own
//! and map to these at their edges.

pub mod batch;
pub mod distribution;
pub mod event;
pub mod histogram;
pub mod labels;
pub mod masks;
pub mod names;
pub mod readable;
pub mod seqset;
pub mod time;
pub mod units;
pub mod zone;

pub use batch::{
    AgentId, Batch, BatchKey, Body, Digest, Epoch, FileRef, Frontier, Guard, Kind, SeriesWindows,
    SkipReason, SourceTally, StreamKey, TimeBasis, WindowPart,
};
pub use distribution::{Bound, Distribution, Last, Values};
pub use event::{Event, Severity};
pub use histogram::Histogram;
pub use labels::Labels;
pub use masks::Masks;
pub use names::Service;
pub use seqset::SeqSet;
pub use time::{Timestamp, Window};
pub use units::{Decimal, Dimension, Unit};
pub use zone::Zone;
