//! The store: what must survive, in three SQLite files that don't wait for each other.
//!
//! `intake.db` holds counts and the memory of what was delivered, `events.db` events with their own, `ledger.db` what the
//! engine knows and what receivers were told. In reading order: `error`, `numbers` and `page` are words;
//! `database`, `lock`, `ballast`, `pool` and `writer` are how a file is opened, held, read and written; `codec` is how counts
//! lie in a row; `streams`, `stream_reads`, `letters`, `series`, `sources`, `tiers`, `events`, `ledger` are tables; `intake`, `fold`, `expire`, `scan` are what is
//! done with them; `engine_rows` maps the engine's rows; `snapshot` is all of it at one time; `reads` and `open` are what others see.
//!
//! Bounds: each writer's queue holds 1 024 jobs, then whoever adds waits; series, dead letters, digests and sizes are
//! bounded where they are kept.

mod ballast;
mod codec;
mod database;
mod engine_rows;
mod error;
mod events;
mod expire;
mod fold;
mod intake;
mod ledger;
mod letters;
mod lock;
mod numbers;
mod open;
mod page;
mod past;
mod pool;
mod reads;
mod scan;
mod series;
mod snapshot;
mod sources;
mod stream_reads;
mod streams;
mod tiers;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use codec::{Head, HeadValues};
pub use engine_rows::{LedgerContents, writes_of};
pub use error::StoreError;
pub use events::{EventFilter, EventsBody, EventsCommit, StoredEvent};
pub use expire::Evicted;
pub use fold::Folded;
pub use intake::{Committed, JournalRow, WindowsBody, WindowsCommit};
pub use ledger::{DeliveryFilter, LedgerWrite, Sequence, StateKind, StoredDelivery};
pub use letters::{DeadLetter, LetterCounts};
pub(crate) use lock::DirLock;
pub use open::{DEFAULT_BALLAST_BYTES, MaintenanceReport, OpenSettings, Store, StoreHealth};
pub(crate) use open::{RESTORING, known_schema};
pub use page::{Cursor, NoCursor, Page, Paged};
pub use past::{Extent, PastLimits, PastWanted};
pub use reads::Reads;
pub use scan::{Resolution, StoredWindow, Wanted};
pub use series::SeriesKey;
pub use snapshot::{CopyFailed, Snapshot};
pub use sources::{AgentRow, FrontierRow, SloIncrement, SourceTotals};
pub use streams::{BatchCommit, Fate, Stored, StreamRow};
pub use tiers::Retention;
