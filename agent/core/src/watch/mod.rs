//! Files that are watched: what there is, what changed, and whether it is as expected.
//!
//! In reading order: `name` is how a file is called, `listing` what one look has seen; `files` holds what is known and says
//! what changed, `row` is how that is stored; `age` leaves out the time a machine slept; `figures` are the numbers conditions
//! name and `verdict` what they say; `telling` bounds what is told of changes, `signals` names what is counted, and
//! `observer` leads a look through all of it. Nothing here opens a file.

mod age;
mod figures;
mod files;
mod listing;
mod name;
mod observer;
#[cfg(test)]
mod property;
mod row;
mod signals;
mod telling;
#[cfg(test)]
mod tests;
mod verdict;

pub use figures::VARIABLES;
pub use files::{Change, LookSpan, Moment};
pub use listing::{Blindness, Hash, Listing, MAX_FILES, Space, Stat, Sums, Unseen};
pub use name::FileName;
pub use observer::{WatchObserver, WatchSettings};
pub use row::Stored;
pub use verdict::{Expectation, Outcome};
