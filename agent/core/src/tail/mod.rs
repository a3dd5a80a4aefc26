//! Tailing: which bytes of which file are whose line, each exactly once.
//!
//! In reading order: `record` is what is given out, `framer` cuts bytes into lines, [`join`] makes records of lines,
//! `names` knows how rotation names files, `disk` is what is asked
//! about the world, `position` is what is stored, `pace` says when to look, `file` is one life of one file, and
//! [`Tail`] follows all files of one source (`follow`): `turn` reads, `scan` finds and recognises files,
//! `held` gives out what waits, `copies` tells copies from originals, `compressed` reads gzip files, `forms` tells whose
//! lines they hold, `adopt` takes the collector's word, `rotated` lets files go, `reconfigure` goes on under other
//! settings.
//!
//! Decides and never does: the only way out is the [`Disk`] it is given, which answers with facts. A look at the
//! directory and the file is the truth; a notification is only a reason to look sooner.
//!
//! What can't be known is reported and never guessed: a file cut and written again with the very same bytes up to the
//! place read last looks untouched, and what copytruncate destroys between its copy and its cut existed nowhere else.

mod adopt;
#[cfg(test)]
mod agent;
mod compressed;
#[cfg(test)]
mod compressed_tests;
mod copies;
mod disk;
mod file;
mod follow;
mod forms;
#[cfg(test)]
mod forms_tests;
mod framer;
mod held;
pub mod join;
#[cfg(test)]
mod memory;
mod names;
mod pace;
mod position;
#[cfg(test)]
mod property;
mod reconfigure;
mod record;
mod rotated;
mod scan;
mod settings;

#[cfg(test)]
mod joined;
#[cfg(test)]
mod tests;
mod turn;

pub use disk::{Behind, Disk, End, Ending, Entry, Kind, Listing, Reached, Stat, Version};
pub use follow::{Checkpoint, Followed, Progress, Report, Sink, Stored, Tail};
pub use framer::{Framed, Framer, LineForm};
pub use names::{Compression, Named, classify};
pub use position::{Corrupt, Position};
pub use record::{Record, Stream, Wrapped};
pub use scan::MAX_FILES;
pub use settings::{Compressed, StartAt, TailSettings};
