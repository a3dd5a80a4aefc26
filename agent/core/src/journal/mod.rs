//! systemd's journal: which of its entries are counted, each exactly once.
//!
//! In reading order: `cursor` is how an entry says where it stands, `readable` makes text of what is not written as
//! text, `split` cuts what `journalctl --output=json` writes into entries, `position` is what is stored, and [`Journal`]
//! (`follow`) knows how far was read, where reading goes on, and what goes into a seal.
//!
//! Decides and never does: it starts no process and reads no clock. Order is journald's: what comes behind a cursor is
//! whatever `journalctl` gives when it is asked to go on there.

mod cursor;
mod follow;
mod position;
mod readable;
mod split;

pub use cursor::MAX_CURSOR_BYTES;
pub use follow::{Begin, Checkpoint, Journal, Stored};
pub use position::{Corrupt, FILE, Place, Position};
pub use split::{Entry, Foreign, Splitter};
