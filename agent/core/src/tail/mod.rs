//! Tailing: which bytes of which file are whose line, each exactly once.
//!
//! In reading order: `framer` cuts bytes into records, `names` knows how rotation names files, `disk` is what is asked
//! about the world, `position` is what is stored, `pace` says when to look, `file` is one life of one file, and
//! [`Tail`] follows all files of one source (`follow`): `turn` reads, `scan` finds and recognises files,
//! `copies` tells copies from originals, `compressed` reads gzip files, `forms` tells whose lines they hold,
//! `adopt` takes the collector's word, `rotated` lets files go.
//!
//! Decides and never does: the only way out is the [`Disk`] it is given, which answers with facts. A look at the
//! directory and the file is the truth; a notification is only a reason to look sooner.
//!
//! What can't be known is reported and never guessed: a file cut and written again with the very same bytes up to the
//! place read last looks untouched, and what copytruncate destroys between its copy and its cut existed nowhere else.

mod adopt;
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
#[cfg(test)]
mod memory;
mod names;
mod pace;
mod position;
#[cfg(test)]
mod property;
mod rotated;
mod scan;
mod settings;

#[cfg(test)]
mod tests;
mod turn;

pub use disk::{Disk, End, Ending, Entry, Kind, Listing, Reached, Stat, Version};
pub use follow::{Checkpoint, Progress, Report, Sink, Stored, Tail};
pub use framer::{Framed, Framer, Record};
pub use names::{Compression, Named, classify};
pub use position::{Corrupt, Position};
pub use scan::MAX_FILES;
pub use settings::{Compressed, StartAt, TailSettings};
